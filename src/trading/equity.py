"""A session's equity at bar closes: what the account was worth at its start, and the strategy's own P&L since. Pure.

Floats: this marks and measures, it does not keep accounts. Nothing is to be done while the strategy is flat.
"""

from collections.abc import Sequence
from decimal import Decimal

from src.domain.market import Bar


class Equity:
    """The curve's last point, its peak, and the deepest fall from a peak as a ratio."""

    def __init__(self, start: float) -> None:
        self.start = self.value = self._peak = start
        self.max_drawdown = 0.0
        #: Whether marking can change nothing: flat, and marked since the last fill.
        self.idle = True
        self.prices: dict[str, float] = {}
        self._shares: dict[str, float] = {}

    def traded(self, symbol: str, position: Decimal, price: Decimal) -> None:
        """A fill made the own position in `symbol` what it is now; until the next close it is marked at the fill."""
        if position:
            self._shares[symbol] = float(position)
        else:
            self._shares.pop(symbol, None)
        self.prices[symbol] = float(price)

    def paid(self, cash_flow: Decimal) -> None:
        """All own fills and commissions so far brought in (+) or cost (-) this many dollars."""
        value = self.start + float(cash_flow)
        for symbol, held in self._shares.items():
            value += held * self.prices[symbol]
        self.value = value
        self.idle = False

    def mark(self, bars: Sequence[Bar]) -> None:
        """Value the own shares at the closes of one instant."""
        shares, prices, value = self._shares, self.prices, self.value
        for bar in bars:
            symbol = bar[0].symbol
            if symbol in shares:
                close = bar[6]
                value += shares[symbol] * (close - prices[symbol])
                prices[symbol] = close
        self.value = value
        peak = self._peak
        if value > peak:
            self._peak = value
        elif peak > 0.0:
            fall = (peak - value) / peak
            if fall > self.max_drawdown:
                self.max_drawdown = fall
        self.idle = not shares
