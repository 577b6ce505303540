"""What a chart of a session needs: its bars, its equity at each, and its fills, as they came.

Lists only grow, so that a reader on another thread takes what lies between two lengths without a lock. They are
bounded: of a very long session the charts show what came first and say so; the recording has all of it.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from src.domain.events import Event, Filled
from src.domain.market import Bar
from src.runtime.clock import NS
from src.trading.observer import Observer, Watched

_MOST: Final = 200_000


class Candle(NamedTuple):
    """A bar for a chart: `time` is its start in epoch seconds, prices are dollars."""

    symbol: str
    time: int
    open: float
    high: float
    low: float
    close: float


class Point(NamedTuple):
    """The session's equity (dollars) at a bar's close, epoch seconds, and its fall from the peak: a ratio <= 0."""

    time: int
    equity: float
    drawdown: float


class Mark(NamedTuple):
    """An own fill: epoch seconds, BUY or SELL, shares, dollars."""

    symbol: str
    time: int
    side: str
    shares: float
    price: float


class Chart(Observer):
    """Keeps a session's bars, curve and fills while it goes."""

    def __init__(self) -> None:
        self.candles: list[Candle] = []
        self.curve: list[Point] = []
        self.marks: list[Mark] = []
        self.is_full = False
        self._prefix, self._peak = "", 0.0

    def began(self, session: Watched, equity: float) -> None:
        """Its orders are known by their references."""
        self._prefix, self._peak = session.prefix, equity

    def bars(self, bars: Sequence[Bar], equity: float) -> None:
        """Keep them, and the point of the curve."""
        if len(self.candles) >= _MOST:
            self.is_full = True
            return
        for bar in bars:
            self.candles.append(Candle(bar.contract.symbol, bar.start // NS, bar.open, bar.high, bar.low, bar.close))
        self._peak = max(self._peak, equity)
        fall = (equity - self._peak) / self._peak if self._peak > 0 else 0.0
        self.curve.append(Point(bars[0].end // NS, equity, fall))

    def heard(self, event: Event) -> None:
        """Keep an own fill."""
        if len(self.marks) >= _MOST:
            self.is_full = True
        elif isinstance(event, Filled) and event.fill.execution.order_ref.startswith(self._prefix):
            one = event.fill.execution
            self.marks.append(
                Mark(one.contract.symbol, one.time // NS, str(one.side), float(one.shares), float(one.price))
            )
