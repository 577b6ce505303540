"""Recorded prices as a price source: all symbols merged by time, one instant for all bars that end together.

The rows of all symbols are sorted once, by numpy; then columns become tuples a chunk at a time, and `step()` hands
out prepared instants (decision D2). A quote belongs to the first instant after it, so that none comes before
a bar that ended earlier. Recorded quotes bear `Source.SIMULATED`: whoever trades on them trades in a simulation.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise, repeat
from typing import TYPE_CHECKING, Any, Final, TypeVar

from src.domain.errors import NoMarketDataError, UnknownContractError
from src.domain.events import BarClosed
from src.domain.market import Bar, Contract, Quote, Source
from src.exchange.prices import Instant
from src.exchange.sessions import Sessions
from src.runtime.files import BarColumns, Recording

if TYPE_CHECKING:
    from src.runtime.tables import Floats, Ints

_CHUNK: Final = 512  # instants: few enough that their tuples stay in the processor's cache and wake no collector
_SECOND: Final = 1_000_000_000
_DAY_SECONDS: Final = 86_400
_MIDNIGHT: Final = 5 * 3600 * _SECOND  # no US session, extended hours included, spans 05:00 UTC
_Item = TypeVar("_Item")
#: Makes a named tuple of a plain one, without a line of Python: `map(_named, repeat(Bar), rows)`.
_named: Final[Any] = tuple.__new__


class ReplaySource:
    """A `PriceSource` over a Recording. With `sessions`, a day's bar ends when its session closes (half days)."""

    def __init__(
        self, recording: Recording, contract_for: Callable[[str], Contract], sessions: Sessions | None = None
    ) -> None:
        import numpy as np

        self._contracts = tuple(contract_for(symbol) for symbol in recording.symbols)
        self._columns = {
            contract.local_symbol: _within_sessions(bars, sessions)
            for contract, bars in zip(self._contracts, recording.bars.values(), strict=True)
        }
        names = ("end", "start", "open", "high", "low", "close", "volume")
        self._bars = _Rows(list(self._columns.values()), self._contracts, names)
        names = ("time", "bar_end", "bid", "ask", "bid_size", "ask_size", "last")
        quoted = [contract for contract in self._contracts if contract.local_symbol in recording.quotes]
        self._quotes = _Rows([recording.quotes[contract.local_symbol] for contract in quoted], quoted, names)
        ends = self._bars.time if not quoted else np.concatenate([self._bars.time, self._quotes.columns[0]])
        instants = np.unique(ends)
        self._bar_offsets = np.append(np.searchsorted(self._bars.time, instants), len(self._bars.time))
        self._quote_offsets = np.append(0, np.searchsorted(self._quotes.time, instants))
        self._instants = instants
        self._bars_each = _even(self._bar_offsets)

    @property
    def contracts(self) -> Sequence[Contract]:
        """The contracts, in the order of the recording's symbols."""
        return self._contracts

    @property
    def bar_seconds(self) -> int:
        """The length of the shortest of its bars, in seconds."""
        return min(bars.seconds for bars in self._columns.values())

    def bar_seconds_of(self, contract: Contract) -> int:
        """The length of a contract's own bars, in seconds."""
        return self._columns_of(contract).seconds

    def instants(self) -> Iterator[Instant]:
        """Every instant, made a chunk at a time; no line of Python runs for each."""
        return chain.from_iterable(self._chunks())

    def closes(self) -> Iterator[BarClosed] | None:
        """The bars of every instant in the same way; None where quotes were recorded."""
        if len(self._quotes.time):
            return None
        chunks = map(self._bars_from, range(0, len(self._instants), _CHUNK))
        return map(_named, repeat(BarClosed), zip(chain.from_iterable(chunks), strict=True))

    def history(self, contract: Contract, size_seconds: int, count: int, end: int) -> list[Bar]:
        """The last `count` bars that ended at or before `end`; longer bars are joined from the file's own.

        A joined bar starts at a whole multiple of its size, UTC; a joined day is New York's.
        """
        columns = self._columns_of(contract)
        if count <= 0:
            return []
        if size_seconds % columns.seconds or size_seconds > _DAY_SECONDS:
            own = f"the files hold {contract.local_symbol} in bars of {columns.seconds} s"
            raise NoMarketDataError(f"{own}: {size_seconds} s cannot be made of them")
        known = self._contracts[list(self._columns).index(contract.local_symbol)]
        if size_seconds == columns.seconds:
            last = int(columns.end.searchsorted(end, side="right"))
            rows = slice(max(0, last - count), last)
            fields = (columns.open, columns.high, columns.low, columns.close, columns.volume)
            return list(_bars(repeat(known), columns.start[rows], columns.end[rows], [field[rows] for field in fields]))
        return _joined(known, columns, size_seconds * _SECOND, count, end)

    def _columns_of(self, contract: Contract) -> BarColumns:
        columns = self._columns.get(contract.local_symbol)
        if columns is None:
            raise UnknownContractError(f"no prices of {contract.local_symbol} here", candidates=tuple(self._columns))
        return columns

    def _chunks(self) -> Iterator[Iterator[Instant]]:
        """The instants, made a chunk at a time."""
        for first in range(0, len(self._instants), _CHUNK):
            last = min(first + _CHUNK, len(self._instants))
            times = self._instants[first:last].tolist()
            quotes: Iterator[Sequence[Quote]] = repeat((), last - first)
            if len(self._quotes.time):
                rows, quote_cuts = _cuts(self._quote_offsets[first : last + 1])
                quotes = _pieces(self._make_quotes(rows), quote_cuts)
            yield map(_named, repeat(Instant), zip(times, quotes, self._bars_from(first), strict=True))

    def _bars_from(self, first: int) -> Iterator[tuple[Bar, ...]]:
        """The bars of a chunk's instants, an instant at a time."""
        rows, cuts = _cuts(self._bar_offsets[first : first + _CHUNK + 1], self._bars_each)
        start, *prices = (column[rows] for column in self._bars.columns)
        return _pieces(_bars(self._bars.owner[rows].tolist(), start, self._bars.time[rows], prices), cuts)

    def _make_quotes(self, rows: slice) -> Iterator[Quote]:
        _, *fields = (column[rows].tolist() for column in self._quotes.columns)
        owners, times = self._quotes.owner[rows].tolist(), self._quotes.time[rows].tolist()
        return map(_named, repeat(Quote), zip(owners, times, *fields, repeat(Source.SIMULATED), strict=False))


class _Rows:
    """Columns of several contracts, merged by the first named one; at one time, in the contracts' order."""

    def __init__(self, tables: Sequence[object], contracts: Sequence[Contract], names: Sequence[str]) -> None:
        import numpy as np

        self.time, self.owner = np.empty(0, np.int64), np.empty(0, object)
        self.columns: list[Ints | Floats] = []
        if tables:
            time, *others = (np.concatenate([getattr(table, name) for table in tables]) for name in names)
            order = np.argsort(time, kind="stable")
            of_row = np.repeat(np.arange(len(tables)), [len(getattr(table, names[0])) for table in tables])
            self.time, self.columns = time[order], [column[order] for column in others]
            self.owner = np.array([*contracts, None], object)[of_row[order]]


def _bars(
    owners: Iterable[Contract], start: "Ints | Floats", end: "Ints", fields: "Sequence[Ints | Floats]"
) -> Iterator[Bar]:
    columns = (column.tolist() for column in fields)
    return map(_named, repeat(Bar), zip(owners, start.tolist(), end.tolist(), *columns, strict=False))


def _even(offsets: "Ints") -> int:
    """The length of the pieces between offsets where all are as long, as on one grid; else 0."""
    length = int(offsets[1] - offsets[0]) if len(offsets) > 1 else 0
    return length if (offsets[1:] - offsets[:-1] == length).all() else 0


def _cuts(offsets: "Ints", each: int = 0) -> "tuple[slice, int | list[int]]":
    """The rows between the first offset and the last, and their cuts: one length where all pieces are as long."""
    return slice(int(offsets[0]), int(offsets[-1])), each or _even(offsets) or (offsets - offsets[0]).tolist()


def _pieces(items: Iterator[_Item], cuts: int | list[int]) -> Iterator[tuple[_Item, ...]]:
    """`items` in pieces; on one grid, where all are as long, without a step of Python for each."""
    if isinstance(cuts, int):
        return zip(*[items] * cuts, strict=True)
    listed = tuple(items)
    return (listed[first:last] for first, last in pairwise(cuts))


def _within_sessions(bars: BarColumns, sessions: Sessions | None) -> BarColumns:
    """A file's day bars end at 16:00; their sessions know better."""
    if sessions is None or sessions.is_always or bars.seconds != _DAY_SECONDS:
        return bars
    import numpy as np

    found = map(sessions.session_of, bars.start.tolist())
    closes = [session.close if session else end for session, end in zip(found, bars.end.tolist(), strict=True)]
    return replace(bars, end=np.minimum(bars.end, np.array(closes, np.int64)))


def _joined(contract: Contract, columns: BarColumns, size: int, count: int, end: int) -> list[Bar]:
    """The last `count` complete bars of `size` nanoseconds; a day is complete when New York's is over."""
    import numpy as np

    daily = size == _DAY_SECONDS * _SECOND
    shift = _MIDNIGHT if daily else 0
    bucket = (columns.start - shift) // size
    complete = (bucket + 1) * size + shift <= end
    bucket = bucket[complete]
    if not len(bucket):
        return []
    first = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))[-count:]
    base = first[0]
    last = np.append(first[1:], len(bucket)) - 1
    at = first - base
    start, stop = columns.start[first], columns.end[last]
    if not daily:
        start, stop = bucket[first] * size, (bucket[first] + 1) * size
    rows = slice(int(base), len(bucket))
    fields = [
        columns.open[first],
        np.maximum.reduceat(columns.high[rows], at),
        np.minimum.reduceat(columns.low[rows], at),
        columns.close[last],
        np.add.reduceat(columns.volume[rows], at),
    ]
    return list(_bars(repeat(contract), start, stop, fields))
