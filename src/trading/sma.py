"""`sma`: two simple moving averages of bar closes, long only. Pure.

From the first bar on which the slow average is full, with d = round(fast - slow, 9): above zero and flat, buy the
symbol's quantity at market; below zero and long, sell all. Nothing is sent while an own order still works.

How d is kept exact and fast: it runs along with the bars and is taken anew from the closes once every `slow` bars. In
between it is off by a few roundings a bar, far less than the guard; where it comes as near to zero as that, it is
computed as defined. So every decision is the one that the definition gives.
"""

from collections.abc import Callable, Generator, Sequence
from math import fsum
from sys import float_info
from typing import Final

from src.domain.errors import ConfigurationError
from src.domain.market import Bar
from src.domain.orders import Action, Order
from src.trading.portfolio import Portfolio

#: The guard holds for closes up to this many dollars.
_HIGHEST_CLOSE: Final = 1e8
_DECIMALS: Final = 9
_NOTHING: Final = "as it should be already, or an order still works: nothing to do"


def difference(fast: Sequence[float], slow: Sequence[float]) -> float:
    """Return d, as it is defined, of the closes in both averages."""
    return round(fsum(fast) / len(fast) - fsum(slow) / len(slow), _DECIMALS)


def _differences(fast: int, slow: int, closes: list[float]) -> Generator[float, float, None]:
    """Take closes; give d after each: 0 until full, then exact near zero, and of the right sign everywhere.

    `closes` is the ring of the last `slow` ones. (Local variables cost half of what an object's would.)
    """
    guard = 10.0**-_DECIMALS + 8 * slow * float_info.epsilon * _HIGHEST_CLOSE
    below, per_fast, per_slow = -guard, 1 / fast, 1 / slow
    places = [(index, (index - fast) % slow) for index in range(slow)]  # of the close that leaves each average
    for index in range(slow):
        closes[index] = yield 0.0
    while True:
        running = fsum(closes[-fast:]) / fast - fsum(closes) / slow
        for index, leaving in places:
            if running > guard or running < below:
                close = yield running
            else:
                newest = closes[leaving:index] if leaving < index else closes[leaving:] + closes[:index]
                close = yield difference(newest, closes)
            running += (close - closes[leaving]) * per_fast - (close - closes[index]) * per_slow
            closes[index] = close


class MovingAverageCross:
    """Long while the fast average is above the slow one."""

    def __init__(self, fast: int = 10, slow: int = 50) -> None:
        """`fast` and `slow` are bars, 0 < fast < slow."""
        if not 0 < fast < slow:
            raise ConfigurationError(f"sma needs 0 < fast < slow, not fast={fast}, slow={slow}")
        self._fast, self._slow = fast, slow
        self._closes: dict[str, list[float]] = {}
        self._difference_after: dict[str, Callable[[float], float]] = {}
        self._bar: Bar | None = None  # the last one, and the difference after it
        self._d = 0.0
        self._acted: tuple[Bar | None, str] = None, ""

    @property
    def warm_up(self) -> int:
        """One less than the slow average's length: the next bar makes it full."""
        return self._slow - 1

    def on_bar(self, bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        """Buy above, sell below."""
        contract = bar[0]
        symbol = contract.symbol
        try:
            d = self._difference_after[symbol](bar[6])
        except KeyError:
            d = self._begun(symbol)(bar[6])
        self._bar, self._d = bar, d
        if d > 0.0:
            if symbol in portfolio.held or portfolio.is_working(contract):
                return ()
            self._acted = bar, "flat, so it buys"
            return (Order(contract, Action.BUY, portfolio.quantity(contract)),)
        if d < 0.0 and symbol in portfolio.held:
            held = portfolio.position(contract)
            if held > 0 and not portfolio.is_working(contract):
                self._acted = bar, "long, so it sells all"
                return (Order(contract, Action.SELL, held),)
        return ()

    def _begun(self, symbol: str) -> Callable[[float], float]:
        closes = self._closes[symbol] = [0.0] * self._slow
        differences = _differences(self._fast, self._slow, closes)
        next(differences)
        self._difference_after[symbol] = differences.send
        return differences.send

    def explain(self) -> str:
        """The two averages, their difference and what followed."""
        if self._bar is None:
            return "no bar yet"
        bar, d = self._bar, self._d
        closes = self._closes[bar.contract.symbol]
        seen = f"{bar.contract.symbol} closed at {bar.close:g}"
        if 0.0 in closes:
            missing = closes.count(0.0)
            return f"{seen}: the slow average needs {missing} bars more, so nothing"
        slow = fsum(closes) / self._slow
        side = "above" if d > 0 else "below" if d < 0 else "equal to"
        means = f"mean of {self._fast} {slow + d:.4f} {side} mean of {self._slow} {slow:.4f}"
        decision = self._acted[1] if self._acted[0] is bar else _NOTHING
        return f"{seen}: {means} (d {round(d, _DECIMALS):+g}); {decision}"
