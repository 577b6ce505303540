"""What a session saw: one Parquet file beside the journal with its bars, its quotes and the equity at each bar.

A row is a bar, a quote or an equity (`kind`); what it has not is null. Prices and equity are dollars as floats: exact
money is the journal's. While the session runs, what was seen is written each minute into a part of its own, and closing
joins the parts; so a session that is killed loses its last minute. A recording that cannot be written is given up with
one warning: it never holds up trading.
"""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from src.domain.errors import JournalError
from src.domain.market import Bar, Quote
from src.records.journal_file import FOLDER, prepare_folder
from src.runtime.worker import Worker, new_lock

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_log = logging.getLogger(__name__)
_SUFFIX: Final = ".parquet"
_SECONDS: Final = 60.0
#: Rows after which the minute is not waited for.
_ROWS: Final = 100_000
_SESSION: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_BAR: Final = ("symbol", "start", "time", "open", "high", "low", "close", "volume")
_QUOTE: Final = ("symbol", "time", "bid", "ask", "bid_size", "ask_size", "last", "source")
_EQUITY: Final = ("time", "equity")
_TEXTS: Final = ("kind", "symbol", "source")
_COLUMNS: Final = ("kind", *dict.fromkeys((*_BAR, *_QUOTE, *_EQUITY)))

Columns = Mapping[str, "np.ndarray[Any, Any]"]


class SessionRecording:
    """The recording of one session, in the state folder. Any thread may add to it; adding never raises."""

    def __init__(self, state_dir: Path, session: str) -> None:
        self._folder, self._session = prepare_folder(state_dir), _checked(session)
        self._lock = new_lock()
        self._bars: list[Bar] = []
        self._quotes: list[Quote] = []
        self._equity: list[tuple[int, float]] = []
        self._parts: list[Path] = []
        self._worker: Worker | None = None
        self._ended = False

    def bars(self, bars: Iterable[Bar]) -> None:
        """Add the bars of an instant."""
        with self._lock:
            self._bars.extend(bars)
            self._nudge(len(self._bars))

    def quote(self, quote: Quote) -> None:
        """Add a quote."""
        with self._lock:
            self._quotes.append(quote)
            self._nudge(len(self._quotes))

    def equity(self, time: int, value: float) -> None:
        """Add what the account was worth at `time`, in dollars."""
        with self._lock:
            self._equity.append((time, value))
            self._nudge(len(self._equity))

    def close(self) -> Path | None:
        """Write the rest, join the parts, and return the file; None when nothing was seen or it cannot be written."""
        if self._worker is not None:
            self._worker.stop()
        self._write_part()
        with self._lock:
            self._ended = True
        if not self._parts:
            return None
        target = self._folder / f"{self._session}{_SUFFIX}"
        if not self._joined(target):
            return None
        for part in self._parts:
            part.unlink(missing_ok=True)
        return target

    def _nudge(self, rows: int) -> None:
        if self._ended:
            self._bars, self._quotes, self._equity = [], [], []
            return
        if self._worker is None:
            self._worker = Worker(self._write_part, _SECONDS, "recording")
        self._worker.nudge(hurry=rows >= _ROWS)

    def _write_part(self) -> None:
        with self._lock:
            bars, self._bars = self._bars, []
            quotes, self._quotes = self._quotes, []
            equity, self._equity = self._equity, []
        if self._ended or not (bars or quotes or equity):
            return
        part = self._folder / f"{self._session}.{len(self._parts):06}{_SUFFIX}"
        kinds: tuple[tuple[str, Sequence[str], Sequence[Sequence[Any]]], ...] = (
            ("bar", _BAR, bars),
            ("quote", _QUOTE, quotes),
            ("equity", _EQUITY, equity),
        )
        if self._written(part, (_table(*each) for each in kinds if each[2])):
            self._parts.append(part)

    def _joined(self, target: Path) -> bool:
        if len(self._parts) == 1:
            with suppress(OSError):  # else as if there were several
                self._parts[0].replace(target)
                return True
        return self._written(target, (table for part in self._parts for table in _tables(part)))

    def _written(self, path: Path, tables: "Iterable[pa.Table]") -> bool:
        from pyarrow import ArrowException

        try:
            _write(path, tables)
        except (OSError, ArrowException) as error:
            self._ended = True
            _log.warning("the recording of session %s is given up: %s", self._session, error)
            return False
        return True


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a session saw, as columns: bars and quotes by symbol, times in epoch nanoseconds, prices in dollars."""

    bars: Mapping[str, Columns]
    quotes: Mapping[str, Columns]
    equity: Columns


def read_recording(state_dir: Path, session: str) -> Recorded | None:
    """What was recorded of a session, also of one that was killed; None when nothing was. JournalError: damaged."""
    import pyarrow as pa
    import pyarrow.compute as pc

    folder, name = state_dir / FOLDER, _checked(session)
    whole = folder / f"{name}{_SUFFIX}"
    files = [whole] if whole.exists() else sorted(folder.glob(f"{name}.??????{_SUFFIX}"))
    if not files:
        return None
    try:
        content = pa.concat_tables([table for file in files for table in _tables(file)])
    except (pa.ArrowException, OSError) as error:
        raise JournalError(f"the recording {files[0]} is damaged ({error}): move it away") from None

    def of_kind(kind: str) -> Any:  # noqa: ANN401  # a pyarrow table
        return content.filter(pc.equal(content["kind"], kind))

    return Recorded(
        _by_symbol(of_kind("bar"), _BAR), _by_symbol(of_kind("quote"), _QUOTE), _columns(of_kind("equity"), _EQUITY)
    )


def _checked(session: str) -> str:
    if not _SESSION.fullmatch(session):
        raise JournalError(f"{session!r} is not the id of a session")
    return session


def _by_symbol(content: Any, names: Sequence[str]) -> dict[str, Columns]:  # noqa: ANN401
    import pyarrow.compute as pc

    symbols = pc.unique(content["symbol"]).to_pylist()
    return {
        symbol: _columns(content.filter(pc.equal(content["symbol"], symbol)), [n for n in names if n != "symbol"])
        for symbol in symbols
    }


def _columns(content: Any, names: Iterable[str]) -> Columns:  # noqa: ANN401
    return {name: content[name].to_numpy() for name in names}


def _schema() -> "pa.Schema":
    import pyarrow as pa

    kinds = {"start": pa.int64(), "time": pa.int64()} | {name: pa.string() for name in _TEXTS}
    return pa.schema([(name, kinds.get(name, pa.float64())) for name in _COLUMNS])


def _table(kind: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> "pa.Table":
    """The rows of one kind as columns; `names` says what stands where in a row."""
    import pyarrow as pa

    def column(field: pa.Field) -> pa.Array:
        if field.name == "kind":
            return pa.array([kind] * len(rows), field.type)
        if field.name not in names:
            return pa.nulls(len(rows), field.type)
        place = names.index(field.name)
        if field.name == "symbol":
            return pa.array([row[place].symbol for row in rows], field.type)
        if field.name == "source":
            return pa.array([row[place].value for row in rows], field.type)
        return _numbers(map(itemgetter(place), rows), len(rows), whole=field.type == pa.int64())

    schema = _schema()
    return pa.table([column(field) for field in schema], schema=schema)


def _numbers(values: Iterable[float], count: int, *, whole: bool) -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    return pa.array(np.fromiter(values, np.int64 if whole else np.float64, count))


def _tables(path: Path) -> "Iterator[pa.Table]":
    import pyarrow.parquet as pq

    with path.open("rb") as file:
        content = pq.ParquetFile(file)
        for index in range(content.num_row_groups):
            yield content.read_row_group(index)


def _write(path: Path, tables: "Iterable[pa.Table]") -> None:
    """Write a file whole or not at all, for its owner only."""
    import pyarrow.parquet as pq

    draft = path.with_suffix(".new")
    try:
        with (
            os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
            # Prices hardly repeat: looking for those that do would take most of the time.
            pq.ParquetWriter(file, _schema(), use_dictionary=list(_TEXTS)) as writer,
        ):
            for table in tables:
                writer.write_table(table)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
