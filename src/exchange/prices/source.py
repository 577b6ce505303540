"""What every source of prices gives: instants in time order, and the bars before them.

Whoever pulls (the Venue) feeds `quotes` to the exchange first, each at its own time, then all `bars` together.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from src.domain.events import BarClosed
from src.domain.market import Bar, Contract, Quote


class Instant(NamedTuple):
    """All that became known after the instant before and up to `time` (epoch ns): it has all happened by then.

    `quotes` are in time order, none later than `time`; `bars` are all that end at `time`, one a contract at most.
    """

    time: int
    quotes: Sequence[Quote]
    bars: Sequence[Bar]


class PriceSource(Protocol):
    """Prices of some contracts, one instant after the other."""

    @property
    def contracts(self) -> Sequence[Contract]:
        """What it has prices of."""
        ...

    @property
    def bar_seconds(self) -> int:
        """The length of its bars in seconds; the shortest, where they differ."""
        ...

    def bar_seconds_of(self, contract: Contract) -> int:
        """The length of a contract's own bars in seconds."""
        ...

    def instants(self) -> Iterator[Instant]:
        """Every instant from the source's beginning, in time order; each call begins anew."""
        ...

    def closes(self) -> Iterator[BarClosed] | None:
        """The bars of every instant, where there is never anything but bars; else None."""
        ...

    def history(self, contract: Contract, size_seconds: int, count: int, end: int) -> list[Bar]:
        """The last `count` bars of `size_seconds` that ended at or before `end`; the caller keeps `end` <= now."""
        ...
