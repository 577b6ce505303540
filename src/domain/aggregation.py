"""Smaller bars of one contract into larger ones. Pure; O(1) per bar.

Below a day, buckets lie on multiples of their length since the epoch, and a bucket's bar bears the bucket's own start
and end, also where minutes are missing. A day bar holds the bars of one New York date and reaches from the first one's
start to the last one's end. A bucket is closed by the bar that ends with it, or, after a gap, by the first bar beyond.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from src.domain.market import Bar, Contract

_NS: Final = 1_000_000_000
_DAY: Final = 86_400
_NEW_YORK: Final = "America/New_York"


class BarAggregator:
    """Turns the bars of one contract, in time's order, into bars of `seconds`."""

    def __init__(self, seconds: int) -> None:
        if not (0 < seconds <= _DAY and _DAY % seconds == 0):
            raise ValueError(f"a bar's length must divide a day, not {seconds} seconds")
        self._length = seconds * _NS
        self._daily = seconds == _DAY
        self._bucket_start = self._bucket_end = 0
        self._contract: Contract | None = None  # None: no bar is being built
        self._start = self._end_of_last = 0
        self._open = self._high = self._low = self._close = self._volume = 0.0

    def add(self, bar: Bar) -> tuple[Bar, ...]:
        """Take the next bar; return the bars closed by it, oldest first: at most the one before a gap and its own."""
        contract, start, end, open_, high, low, close, volume = bar
        closed: tuple[Bar, ...] = ()
        if self._contract is not None and self._bucket_start <= start < self._bucket_end:
            if start < self._end_of_last:
                raise ValueError(f"bars must come in time's order: {bar} after one that ended at {self._end_of_last}")
            if high > self._high:
                self._high = high
            if low < self._low:
                self._low = low
            self._volume += volume
        else:
            closed = self._begin(contract, start)
            self._open, self._high, self._low, self._volume = open_, high, low, volume
        self._close = close
        self._end_of_last = end
        if end < self._bucket_end:
            return closed
        if end > self._bucket_end:
            raise ValueError(f"{bar} reaches beyond its bar of {self._length // _NS} seconds")
        return closed + self.flush()

    @property
    def ends(self) -> int | None:
        """When the bar that is being built will be over; None when none is."""
        return None if self._contract is None else self._bucket_end

    def flush(self) -> tuple[Bar, ...]:
        """Close the bar that is being built, if any: at a session's or the data's end."""
        if self._contract is None:
            return ()
        start, end = (self._start, self._end_of_last) if self._daily else (self._bucket_start, self._bucket_end)
        bar = Bar(self._contract, start, end, self._open, self._high, self._low, self._close, self._volume)
        self._contract = None
        return (bar,)

    def _begin(self, contract: Contract, start: int) -> tuple[Bar, ...]:
        if start < self._end_of_last:
            raise ValueError(f"bars must come in time's order: {start} after {self._end_of_last}")
        closed = self.flush()
        if not self._bucket_start <= start < self._bucket_end:
            self._bucket_start, self._bucket_end = self._bucket(start)
        self._contract, self._start = contract, start
        return closed

    def _bucket(self, moment: int) -> tuple[int, int]:
        if self._daily:
            return _new_york_day(moment)
        start = moment - moment % self._length
        return start, start + self._length


def aggregate(bars: Iterable[Bar], seconds: int) -> tuple[Bar, ...]:
    """`bars` of one contract, oldest first, as bars of `seconds`; the last one may be incomplete: its end tells."""
    aggregator = BarAggregator(seconds)
    closed = [larger for bar in bars for larger in aggregator.add(bar)]
    return (*closed, *aggregator.flush())


def _new_york_day(moment: int) -> tuple[int, int]:
    zone = ZoneInfo(_NEW_YORK)
    day = datetime.fromtimestamp(moment // _NS, UTC).astimezone(zone).date()
    first, last = (datetime.combine(date, time(), zone) for date in (day, day + timedelta(days=1)))
    return int(first.timestamp()) * _NS, int(last.timestamp()) * _NS
