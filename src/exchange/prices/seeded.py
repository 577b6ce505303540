"""Seeded prices as a price source: quotes of every contract at each step, bars at their ends (see `paths.py`).

P&L on invented prices says nothing of a strategy.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, repeat
from itertools import count as integers
from math import inf, nan
from typing import TYPE_CHECKING, Final

from src.domain.errors import ConfigurationError, NoMarketDataError, UnknownContractError
from src.domain.market import Bar, Contract, Quote, Source
from src.exchange.listings import Listing
from src.exchange.prices.daily import FIRST_DAY
from src.exchange.prices.paths import Block, Paths
from src.exchange.prices.source import Instant
from src.exchange.sessions import Sessions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHUNK: Final = 256  # instants: few enough that their tuples stay in the processor's cache and wake no collector
_SECOND: Final = 1_000_000_000
_DAY_SECONDS: Final = 86_400
_SOME_DAYS: Final = 10 * _DAY_SECONDS * _SECOND
_new_bar = partial(tuple.__new__, Bar)
_new_quote = partial(tuple.__new__, Quote)
_new_instant = partial(tuple.__new__, Instant)


class SeededSource:
    """A `PriceSource` of invented prices from `start` on, while the market is open; to `end`, or as long as asked.

    An instant at each multiple of `step_seconds` and at each bar's end, with a quote of every contract (none at a
    session's close) and the bars of `bar_seconds` that end there. Bars are cut at multiples of their size, UTC, and
    at the session's open and close.
    """

    def __init__(
        self,
        listings: Sequence[Listing],
        seed: int,
        sessions: Sessions,
        start: int,
        *,
        step_seconds: int = 1,
        bar_seconds: int = 60,
        end: int | None = None,
    ) -> None:
        if not listings:
            raise ConfigurationError("seeded prices need at least one symbol")
        if seed < 0:
            raise ConfigurationError(f"a seed must be zero or more, not {seed}")
        for name, seconds in (("step", step_seconds), ("bar", bar_seconds)):
            if seconds <= 0 or _DAY_SECONDS % seconds:
                raise ConfigurationError(f"a {name} must be a whole part of a day, not {seconds} seconds")
        sessions.is_open(start)  # refuses a start that the table does not cover
        self._listings, self._sessions, self._end = tuple(listings), sessions, end
        self._contracts = tuple(listing.contract for listing in listings)
        self._start, self._step, self._bar = -(-start // _SECOND), step_seconds, bar_seconds
        self._seed, self._paths = seed, Paths(seed, always=sessions.is_always)
        self._days: dict[tuple[str, Block], list[Bar]] = {}  # each costs a session's path, and is asked for again

    def grown(self, listings: Sequence[Listing], start: int) -> "SeededSource":
        """The same market with other listings, from `start` on; what was worked out already stays so."""
        steps = {"step_seconds": self._step, "bar_seconds": self._bar}
        other = SeededSource(listings, self._seed, self._sessions, start, end=self._end, **steps)
        other._paths, other._days = self._paths, self._days
        return other

    @property
    def contracts(self) -> Sequence[Contract]:
        """The contracts, in the order of the listings."""
        return self._contracts

    @property
    def bar_seconds(self) -> int:
        """The length of its bars in seconds."""
        return self._bar

    def bar_seconds_of(self, contract: Contract) -> int:
        """The same for every contract."""
        del contract
        return self._bar

    def instants(self) -> Iterator[Instant]:
        """Every instant, as long as asked. Beyond the session table: ConfigurationError."""
        return chain.from_iterable(self._chunks())

    def closes(self) -> None:
        """None: there are quotes."""

    def history(self, contract: Contract, size_seconds: int, count: int, end: int) -> list[Bar]:
        """The last `count` bars that ended at or before `end`, from the same path, as far as the sessions reach."""
        listing = self._listing(contract)
        if size_seconds <= 0 or _DAY_SECONDS % size_seconds:
            raise NoMarketDataError(f"no bars of {size_seconds} seconds: a bar must be a whole part of a day")
        found: list[list[Bar]] = []
        missing = count
        for block in self._blocks_before(end // _SECOND):
            if missing <= 0:
                break
            if size_seconds == _DAY_SECONDS and block[1] <= end // _SECOND:
                bars = self._day_bars(listing, block)[-missing:]
            else:
                bars = self._session_bars(listing, block, size_seconds, end // _SECOND, missing)
            found.append(bars)
            missing -= len(bars)
        return [bar for bars in reversed(found) for bar in bars]

    def _day_bars(self, listing: Listing, block: Block) -> list[Bar]:
        """The day of a session that is over."""
        key = listing.local_symbol, block
        if key not in self._days:
            self._days[key] = self._session_bars(listing, block, _DAY_SECONDS)
        return self._days[key]

    def standing(self, contract: Contract, now: int) -> Quote | None:
        """The quote of the last step until `now`, stamped `now`; None while the market is closed."""
        listing = self._listing(contract)
        block = next(self._blocks_before(now // _SECOND + 1), None)
        if block is None or now // _SECOND >= block[1]:
            return None
        second = now // _SECOND
        row = max(second - second % self._step, block[0]) - block[0]
        return next(self._rows(listing, block, slice(row, row + 1), [now]))

    def _listing(self, contract: Contract) -> Listing:
        for known in self._listings:
            if known.local_symbol == contract.local_symbol:
                return known
        names = tuple(known.local_symbol for known in self._listings)
        raise UnknownContractError(f"no prices of {contract.local_symbol} here", candidates=names)

    def _chunks(self) -> Iterator[Iterator[Instant]]:
        import numpy as np

        for block in self._blocks():
            times = self._instants(block)
            by_listing = (self._session_bars(listing, block, self._bar) for listing in self._listings)
            bars = list(zip(*by_listing, strict=True))
            rows = np.searchsorted(times, [together[0].end // _SECOND for together in bars])
            ending = {
                int(row): together
                for row, together in zip(rows, bars, strict=True)
                if together[0].end // _SECOND >= self._start
            }
            for cut in range(0, len(times), _CHUNK):
                chunk = times[cut : cut + _CHUNK]
                moments = (chunk * _SECOND).tolist()
                ended = (ending.get(row, ()) for row in range(cut, cut + len(chunk)))
                yield map(_new_instant, zip(moments, self._quotes(block, chunk, moments), ended, strict=True))

    def _blocks(self) -> Iterator[Block]:
        """The sessions from the start on, in time order."""
        if self._sessions.is_always:
            # A midnight closes its day: it brings the last bars of that day, and the first quotes of the next.
            for day in integers((self._start - 1) // _DAY_SECONDS):
                if self._end is not None and day * _DAY_SECONDS * _SECOND >= self._end:
                    return
                yield day * _DAY_SECONDS, (day + 1) * _DAY_SECONDS
        covered = self._sessions.covers or (0, 0)
        last = covered[1] if self._end is None else min(self._end, covered[1])
        for session in self._sessions.between(self._start * _SECOND - 1, last + 1):
            yield _in_seconds(session)
        covers = self._sessions.covers
        if covers and (self._end is None or self._end > covers[1]):
            self._sessions.close_after(covers[1])  # refuses: what comes after the table is not known

    def _blocks_before(self, end: int) -> Iterator[Block]:
        """The sessions that began before `end`, the latest first."""
        if self._sessions.is_always:
            for day in range((end - 1) // _DAY_SECONDS, FIRST_DAY, -1):
                yield day * _DAY_SECONDS, (day + 1) * _DAY_SECONDS
        first = (self._sessions.covers or (0, 0))[0]
        upper = end * _SECOND
        while upper > first:  # a few at a time: the table may go back for years
            lower = max(first, upper - _SOME_DAYS)
            begun = [each for each in self._sessions.between(lower, upper) if each.open >= lower]
            yield from map(_in_seconds, reversed(begun))
            upper = lower

    def _instants(self, block: Block) -> "NDArray[np.int64]":
        """The times of a session's instants, in epoch seconds."""
        import numpy as np

        opens, closes = block
        first = opens + 1 if self._sessions.is_always else opens
        grids = [np.arange(-(-first // size) * size, closes, size) for size in {self._step, self._bar}]
        times = np.unique(np.concatenate([*grids, [closes]]))
        last = closes if self._end is None else self._end // _SECOND
        return times[(times >= self._start) & (times <= last)]

    def _session_bars(
        self, listing: Listing, block: Block, size: int, until: float = inf, most: int | None = None
    ) -> list[Bar]:
        """The bars of a session; those that end by `until` (epoch seconds), the latest `most` of them."""
        import numpy as np

        opens, closes = block
        prices = self._paths.session(listing, block)
        starts = np.append(opens, np.arange((opens // size + 1) * size, closes, size))
        ends = np.append(starts[1:], closes)
        last = int(np.searchsorted(ends, until, side="right"))
        first = 0 if most is None else max(0, last - most)
        if first == last:
            return []
        starts, ends = starts[first:last], ends[first:last]
        at, after = starts - opens, ends - opens
        printed = prices.last[: after[-1]]
        columns = (
            starts * _SECOND,
            ends * _SECOND,
            printed[at],
            np.maximum.reduceat(printed, at),
            np.minimum.reduceat(printed, at),
            printed[after - 1],
            np.maximum(prices.traded[after] - prices.traded[at], min(listing.daily_volume, 1.0)),
        )
        return list(map(_new_bar, zip(repeat(listing.contract), *(c.tolist() for c in columns), strict=False)))

    def _quotes(self, block: Block, times: "NDArray[np.int64]", moments: list[int]) -> Iterator[Sequence[Quote]]:
        """The quotes of all contracts at each of `times`: none at a close, those of the next day at a midnight."""
        rows = times[times < block[1]] - block[0]
        quotes = zip(*(self._rows(listing, block, rows, moments) for listing in self._listings), strict=True)
        if len(rows) == len(times):
            return quotes
        if not self._sessions.is_always:
            return chain(quotes, [()])
        following = block[1], block[1] + _DAY_SECONDS
        first = (self._rows(listing, following, slice(1), moments[-1:]) for listing in self._listings)
        return chain(quotes, zip(*first, strict=True))

    def _rows(
        self, listing: Listing, block: Block, rows: "NDArray[np.int64] | slice", moments: list[int]
    ) -> "Iterator[Quote]":
        prices = self._paths.session(listing, block)
        columns = (prices.bid, prices.ask, prices.bid_size, prices.ask_size)
        fields: list[Iterable[float]] = [column[rows].tolist() for column in columns]
        fields.append(prices.last[rows].tolist() if listing.daily_volume else repeat(nan))
        return map(_new_quote, zip(repeat(listing.contract), moments, *fields, repeat(Source.SIMULATED), strict=False))


def _in_seconds(session: tuple[int, int]) -> Block:
    if session[0] % _SECOND or session[1] % _SECOND:
        raise ConfigurationError("seeded prices need sessions that open and close at whole seconds")
    return session[0] // _SECOND, session[1] // _SECOND
