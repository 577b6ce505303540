"""A dry run's orders: what the strategy would have sent. Pure.

Nothing is sent, so nothing fills, and a strategy that wants to be long asks again at every bar. A wish that is repeated
from bar to bar is kept once; when it comes back after a bar without it, it is a new one.
"""

from typing import Final

from src.domain.orders import Order
from src.runtime.clock import NS, iso
from src.trading.words import order_in_words

_MOST_SHOWN: Final = 10


class Rehearsal:
    """The distinct wishes in the order in which they came, each with the market time (epoch ns) of the first."""

    def __init__(self, bar_seconds: int) -> None:
        self.wishes: list[tuple[int, Order]] = []
        self._bar = bar_seconds * NS
        self._last: dict[str, tuple[int, Order]] = {}

    def add(self, now: int, order: Order) -> bool:
        """Keep a wish; False when it is the one of the bar before over again."""
        symbol = order.contract.symbol
        before, wish = self._last.get(symbol, (0, None))
        self._last[symbol] = now, order
        if wish == order and now - before <= self._bar:
            return False
        self.wishes.append((now, order))
        return True

    def in_words(self) -> str:
        """What would have been sent, a line each, for the end of a session."""
        lines = [f"  {iso(moment)} {order_in_words(order)}" for moment, order in self.wishes[:_MOST_SHOWN]]
        more = len(self.wishes) - _MOST_SHOWN
        rest = [f"  and {more:,} more"] if more > 0 else []
        return "\n".join(["Dry run: nothing was sent. The strategy wanted:", *lines, *rest])
