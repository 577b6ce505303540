"""A session's equity at bar closes: what the account was worth at its start, and the strategy's own P&L since. Pure.

Floats: this marks and measures, it does not keep accounts. Nothing is to be done while the strategy is flat.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from src.domain.market import Bar


class Equity:
    """The curve's last point, its peak, and the deepest fall from a peak as a ratio."""

    def __init__(self, start: float) -> None:
        self.start = self.value = self._peak = start
        self.max_drawdown = 0.0
        self._floor = start  # a close below it is the deepest fall so far
        #: Whether marking can change nothing: flat, and marked since the last fill.
        self.idle = True
        self._held: dict[str, list[float]] = {}  # symbol: own shares and their last price
        self._left: dict[str, float] = {}  # the last price of what was held before

    @property
    def prices(self) -> Mapping[str, float]:
        """The price at which each symbol was last valued, held or not."""
        return self._left | {symbol: price for symbol, (_, price) in self._held.items()}

    def traded(self, symbol: str, position: Decimal, price: Decimal) -> None:
        """A fill made the own position in `symbol` what it is now; until the next close it is marked at the fill."""
        if position:
            self._held[symbol] = [float(position), float(price)]
        else:
            self._held.pop(symbol, None)
            self._left[symbol] = float(price)

    def paid(self, cash_flow: Decimal) -> None:
        """All own fills and commissions so far brought in (+) or cost (-) this many dollars."""
        value = self.start + float(cash_flow)
        for shares, price in self._held.values():
            value += shares * price
        self.value = value
        self.idle = False

    def mark(self, bars: Sequence[Bar]) -> None:
        """Value the own shares at the closes of one instant."""
        held, value = self._held, self.value
        for bar in bars:
            symbol = bar[0].symbol
            if symbol in held:
                own, close = held[symbol], bar[6]
                value += own[0] * (close - own[1])
                own[1] = close
        self.value = value
        if value > self._peak:
            self._peak = value
            self._floor = value * (1.0 - self.max_drawdown)
        elif value < self._floor and self._peak > 0.0:
            self.max_drawdown = (self._peak - value) / self._peak
            self._floor = value
        if not held:
            self.idle = True
