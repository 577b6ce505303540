"""Price files of many symbols as one `Recording`: found, read, checked and joined in time order.

A file is named after its symbol (`MSFT.csv`, `MSFT_2019-02-11.csv`, `.parquet`); a folder stands for its files.
Either all of it loads or a DataFileError names the file, the line, the column and what was expected.
Symbols keep their own grids; a bar is as long as the smallest gap between a symbol's bars. A day's bar covers the
regular session, 09:30 to 16:00 New York. numpy and pyarrow are imported only when something is loaded.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from src.domain.errors import ConfigurationError, DataFileError

if TYPE_CHECKING:
    from src.runtime.columns import QuoteColumns, TradeColumns
    from src.runtime.quote_bars import QuotePoints
    from src.runtime.tables import Floats, Ints

_SYMBOL: Final = re.compile(r"[A-Z][A-Z0-9.\- ]{0,15}")
_SUFFIXES: Final = (".csv", ".parquet")
_SIBLINGS: Final = ("minute", "quote_minute")
_DAY_SECONDS: Final = 86_400
_SECOND: Final = 1_000_000_000
#: Bar lengths that IB knows, in seconds.
_REGULAR: Final = (1, 5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 28800, 86400)


@dataclass(frozen=True, slots=True)
class BarColumns:
    """All bars of one symbol in time order: times in epoch ns, prices in dollars, volume in shares."""

    seconds: int
    start: "Ints"
    end: "Ints"
    open: "Floats"
    high: "Floats"
    low: "Floats"
    close: "Floats"
    volume: "Floats"


@dataclass(frozen=True, slots=True)
class Recording:
    """What the files hold: bars of every symbol, and quotes of those that have quote files."""

    bars: Mapping[str, BarColumns]
    quotes: Mapping[str, "QuotePoints"]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols, in the order in which they were asked for."""
        return tuple(self.bars)

    @property
    def start(self) -> int:
        """When the first bar starts or the first quote comes, in epoch nanoseconds."""
        firsts = [bars.start[0] for bars in self.bars.values()] + [quotes.time[0] for quotes in self.quotes.values()]
        return int(min(firsts))

    @property
    def end(self) -> int:
        """When the last bar ends, of trades or of quotes, in epoch nanoseconds."""
        lasts = [bars.end[-1] for bars in self.bars.values()] + [quotes.bar_end[-1] for quotes in self.quotes.values()]
        return int(max(lasts))

    @property
    def bar_count(self) -> int:
        """How many bars there are, of all symbols together."""
        return sum(len(bars.start) for bars in self.bars.values())


def symbol_of(path: Path) -> str:
    """The symbol that a price file is named after."""
    symbol = path.stem.partition("_")[0].upper()
    if not _SYMBOL.fullmatch(symbol):
        raise DataFileError(f"{path}: expected a name that begins with its symbol, such as MSFT.csv or MSFT_2019.csv")
    return symbol


def find(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """The price files that `paths` name, by symbol."""
    found: dict[str, list[Path]] = defaultdict(list)
    seen: set[Path] = set()
    for path in paths:
        for file in _files_of(path):
            if file.resolve() not in seen:
                seen.add(file.resolve())
                found[symbol_of(file)].append(file)
    return dict(sorted(found.items()))


def load(paths: Sequence[Path], symbols: Sequence[str] | None = None) -> Recording:
    """The bars and quotes in `paths` (files and folders), of all symbols or of those named."""
    found = find(paths)
    if not found:
        raise ConfigurationError("no price file was named")
    wanted = list(dict.fromkeys(symbol.upper() for symbol in symbols)) if symbols else list(found)
    absent = [symbol for symbol in wanted if symbol not in found]
    if absent:
        raise ConfigurationError(f"no prices of {', '.join(absent)} in the files: they hold {', '.join(found)}")
    loaded = {symbol: _load_symbol(symbol, found[symbol]) for symbol in wanted}
    return Recording(
        {symbol: bars for symbol, (bars, _) in loaded.items()},
        {symbol: quotes for symbol, (_, quotes) in loaded.items() if quotes is not None},
    )


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise DataFileError(f"{path}: no such file or folder")
        return [path]
    files = _files_in(path) or [file for name in _SIBLINGS for file in _files_in(path / name)]
    if not files:
        raise DataFileError(f"{path}: expected a folder with files ending in {' or '.join(_SUFFIXES)}, found none")
    return files


def _files_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES and not file.is_dir())
    broken = next((file for file in files if not file.is_file()), None)
    if broken is not None:
        raise DataFileError(
            f"{broken}: expected a file, found {'a link that leads to no file' if broken.is_symlink() else 'none'}"
        )
    return files


def _load_symbol(symbol: str, files: Sequence[Path]) -> "tuple[BarColumns, QuotePoints | None]":
    from src.runtime.columns import QuoteColumns, TradeColumns, read_columns
    from src.runtime.quote_bars import QuoteBars, mid_bars, quote_points
    from src.runtime.splits import warn_of_splits

    read = [read_columns(file) for file in files]
    trades = sorted((c for c in read if isinstance(c, TradeColumns)), key=lambda c: int(c.start[0]))
    quotes = sorted((c for c in read if isinstance(c, QuoteColumns)), key=lambda c: int(c.start[0]))
    bars = None
    if trades:
        seconds, start, end = _grid(trades)
        warn_of_splits(symbol, trades)
        bars = BarColumns(seconds, start, end, *_joined(trades, ("open", "high", "low", "close", "volume")))
    if not quotes:
        if bars is None:
            raise AssertionError("a file holds trades or quotes")
        return bars, None
    seconds, start, end = _grid(quotes)
    quote_bars = QuoteBars(start, end, *_joined(quotes, ("bid", "ask", "bid_size", "ask_size")))
    if bars is None:
        rows, prices = mid_bars(quote_bars)
        if not len(rows):
            raise DataFileError(f"{quotes[0].path}: expected at least one quote with both sides, bid not above ask")
        bars = BarColumns(seconds, start[rows], end[rows], *prices)
        return bars, quote_points(quote_bars, bars.end[:0], bars.close[:0])
    points = quote_points(quote_bars, bars.end, bars.close)
    return bars, points if len(points.time) else None


def _joined(files: "Sequence[TradeColumns | QuoteColumns]", names: Sequence[str]) -> "list[Floats]":
    import numpy as np

    return [np.concatenate([getattr(columns, name) for columns in files]) for name in names]


def _grid(files: "Sequence[TradeColumns | QuoteColumns]") -> "tuple[int, Ints, Ints]":
    """Length in seconds, starts and ends of the bars of one symbol's files, which come in time order."""
    import numpy as np

    for before, after in pairwise(files):
        if before.daily != after.daily or after.start[0] <= before.start[-1]:
            raise DataFileError(
                f"{after.path}, column {'date' if after.daily else 'time'}: expected bars of one length that "
                f"begin after those of {before.path} end"
            )
    start = np.concatenate([columns.start for columns in files])
    seconds = _DAY_SECONDS if files[0].daily else _bar_seconds(files)
    if seconds == _DAY_SECONDS and not (start % (_DAY_SECONDS * _SECOND)).any():
        return seconds, *_regular_sessions(start)
    return seconds, start, start + seconds * _SECOND


def _bar_seconds(files: "Sequence[TradeColumns | QuoteColumns]") -> int:
    """The smallest gap of all files: one minute when no file has two rows."""
    import numpy as np

    from src.runtime.tables import place

    gaps = [(np.diff(columns.start), columns) for columns in files if len(columns.start) > 1]
    if not gaps:
        return 60
    gap, columns = min(gaps, key=lambda each: int(each[0].min()))
    row = int(gap.argmin())
    seconds, rest = divmod(int(gap[row]), _SECOND)
    if rest or seconds not in _REGULAR:
        raise DataFileError(
            f"{columns.path}, {place(columns.lines, row + 1)}, column time: expected bars of a regular length "
            f"(1s to 30s, 1m to 30m, 1h to 8h, 1d), found a smallest gap of {gap[row] / _SECOND:g} seconds"
        )
    return seconds


def _regular_sessions(midnights: "Ints") -> "tuple[Ints, Ints]":
    """09:30 and 16:00 New York of each date: half days are the calendar's knowledge, not a file's."""
    import numpy as np

    zone = ZoneInfo("America/New_York")
    dates = [datetime.fromtimestamp(midnight // _SECOND, UTC).date() for midnight in midnights.tolist()]
    opens, closes = (
        np.array([int(datetime.combine(day, hour, zone).timestamp()) * _SECOND for day in dates], np.int64)
        for hour in (time(9, 30), time(16))
    )
    return opens, closes
