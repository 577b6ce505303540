"""What was seen of one contract today, and the ticks that tell it. Dollars and shares as floats."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Final, NamedTuple

from src.domain.market import Bar, Quote
from src.runtime.clock import NS

BID, ASK, LAST, HIGH, LOW, CLOSE, OPEN = 1, 2, 4, 6, 7, 9, 14
BID_SIZE, ASK_SIZE, LAST_SIZE, VOLUME = 0, 3, 5, 8
LAST_TIME, RT_VOLUME, MARK = 45, 48, 37
SHORTABLE, SHORTABLE_SHARES = 46, 89
#: The same ticks when they are delayed.
DELAYED: Final = {
    BID: 66, ASK: 67, LAST: 68, HIGH: 72, LOW: 73, CLOSE: 75, OPEN: 76,
    BID_SIZE: 69, ASK_SIZE: 70, LAST_SIZE: 71, VOLUME: 74, LAST_TIME: 88,
}  # fmt: skip
#: Shares in a print of a market that tells only quotes.
PRINT_SIZE: Final = 100.0


class PriceTick(NamedTuple):
    """A price, and the size that goes with it where there is one."""

    kind: int
    price: float
    size: float = 0.0


class SizeTick(NamedTuple):
    """A size or the day's volume."""

    kind: int
    size: float


class TextTick(NamedTuple):
    """A tick written as text."""

    kind: int
    text: str


Tick = PriceTick | SizeTick | TextTick


@dataclass(slots=True)
class Tape:
    """The day of one contract so far. NaN: not known. `time` is of the last print; without `prints` there is none."""

    prints: bool = True
    bid: float = nan
    ask: float = nan
    bid_size: float = 0.0
    ask_size: float = 0.0
    last: float = nan
    last_size: float = 0.0
    time: int = 0
    volume: float = 0.0
    value: float = 0.0  # shares times price, for the average
    open: float = nan
    high: float = nan
    low: float = nan
    close: float = nan  # yesterday's

    def begin(self, close: float, bars: Sequence[Bar]) -> None:
        """Take what is known of the day so far, oldest first, and yesterday's close."""
        self.close = close
        for bar in bars:
            self.traded(bar)
            if self.prints:
                self.last, self.last_size, self.time = bar.close, PRINT_SIZE, bar.end

    def new_day(self) -> None:
        """Yesterday's last price is the close; the rest begins anew."""
        self.close = self.last if self.prints else round((self.bid + self.ask) / 2, 6)
        self.volume = self.value = 0.0
        self.open = self.high = self.low = nan

    @property
    def is_quoted(self) -> bool:
        """Whether both sides are known."""
        return isfinite(self.bid) and isfinite(self.ask)

    @property
    def average(self) -> float:
        """The day's volume-weighted average price."""
        return self.value / self.volume if self.volume else self.last

    @property
    def rt_volume(self) -> TextTick:
        """RTVolume: price;size;milliseconds;volume;average;single trade."""
        text = f"{self.last:g};{self.last_size:g};{self.time // 1_000_000};{self.volume:.0f};{self.average:.8f};false"
        return TextTick(RT_VOLUME, text)

    def all(self) -> list[Tick]:
        """Everything known; yesterday's close before the last price, which some clients keep in one place."""
        ticks: list[Tick] = []
        for price_kind, size_kind, price, size in self._sides():
            ticks += (_side(price_kind, price, size), SizeTick(size_kind, size))
        if isfinite(self.close):
            ticks.append(PriceTick(CLOSE, self.close))
        if isfinite(self.last):
            ticks += self._print()
        if self.prints:
            ticks.append(SizeTick(VOLUME, self.volume))
        extremes = ((HIGH, self.high), (LOW, self.low), (OPEN, self.open))
        ticks += (PriceTick(kind, price) for kind, price in extremes if isfinite(price))
        return ticks

    def quoted(self, quote: Quote) -> list[Tick]:
        """Take a quote; return the ticks of what it changed."""
        before = self._sides()
        self.bid, self.ask, self.bid_size, self.ask_size = quote.bid, quote.ask, quote.bid_size, quote.ask_size
        ticks: list[Tick] = []
        for (price_kind, size_kind, price, size), (_, _, old_price, old_size) in zip(
            self._sides(), before, strict=True
        ):
            moved = price != old_price and (isfinite(price) or isfinite(old_price))
            if moved:
                ticks.append(_side(price_kind, price, size))
            if moved or size != old_size:
                ticks.append(SizeTick(size_kind, size))
        if self.prints and isfinite(quote.last) and quote.last != self.last:
            self.last, self.last_size, self.time = quote.last, PRINT_SIZE, quote.time
            ticks += self._print()
            ticks += self._extremes(quote.last, quote.last, quote.last)
        return ticks

    def traded(self, bar: Bar) -> list[Tick]:
        """Take a bar that has ended; return the ticks of what it changed."""
        self.volume += bar.volume
        self.value += bar.volume * (bar.high + bar.low + bar.close) / 3
        extremes = self._extremes(bar.open, bar.high, bar.low)
        return [SizeTick(VOLUME, self.volume), *extremes] if self.prints else extremes

    def _sides(self) -> tuple[tuple[int, int, float, float], ...]:
        return ((BID, BID_SIZE, self.bid, self.bid_size), (ASK, ASK_SIZE, self.ask, self.ask_size))

    def _print(self) -> list[Tick]:
        last = PriceTick(LAST, self.last, self.last_size)
        return [last, SizeTick(LAST_SIZE, self.last_size), TextTick(LAST_TIME, str(self.time // NS))]

    def _extremes(self, opening: float, high: float, low: float) -> list[Tick]:
        ticks: list[Tick] = []
        if not isfinite(self.open):
            self.open = opening
            ticks.append(PriceTick(OPEN, opening))
        if not high <= self.high:
            self.high = high
            ticks.append(PriceTick(HIGH, high))
        if not low >= self.low:
            self.low = low
            ticks.append(PriceTick(LOW, low))
        return ticks


def _side(kind: int, price: float, size: float) -> PriceTick:
    """A bid or an ask; -1 without size where there is none."""
    return PriceTick(kind, price, size) if isfinite(price) else PriceTick(kind, -1.0)
