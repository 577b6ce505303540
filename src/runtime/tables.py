"""One CSV or Parquet file as a table of named columns, every cell traceable to its line.

A `Table` turns its columns into numbers and times and raises DataFileError, which names the file, the line
(1 is the header; a Parquet file has rows instead), the column and what was expected. It knows nothing of prices.
"""

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from src.domain.errors import DataFileError

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Column = Sequence[str] | Floats | Ints | NDArray[np.datetime64]

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
SUFFIXES: Final = (".csv", ".parquet")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = 315_532_800 * SECOND  # 1980-01-01: what lies outside is not a time but a wrong column
_FIRST_YEAR_BEYOND: Final = 2200
_LATEST: Final = 7_258_118_400 * SECOND - 1
_TIME_TEXT: Final = (
    "an ISO time in UTC such as 2019-02-11T14:30:00Z, or whole seconds, milliseconds, microseconds or nanoseconds "
    "since 1970, from 1980 to 2199"
)
_DATE_TEXT: Final = "a date such as 2019-02-11, before 2200"
_DECIMALS: Final = "; decimals take a point"
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def place(lines: Sequence[int], row: int) -> str:
    """Where a row (counted from 0) stands in its file, in words; `lines` are as `Table` has them."""
    line = lines[row]
    return f"line {line}" if line > 0 else f"row {-line}"


class Table:
    """The columns of one file by lower-case name: texts from CSV, arrays from Parquet."""

    def __init__(self, path: Path, columns: Mapping[str, Column], lines: Sequence[int]) -> None:
        """`lines` names each row's place in its file; negative numbers are rows of a Parquet file."""
        self.path, self._columns, self.lines = path, columns, lines

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, column: str) -> bool:
        return column in self._columns

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the order of the file."""
        return tuple(self._columns)

    def fail(self, row: int, column: str, problem: str) -> NoReturn:
        """Refuse the file for what stands in `row` (counted from 0) of `column`."""
        raise DataFileError(f"{self.path}, {place(self.lines, row)}, column {column}: {problem}")

    def numbers(self, column: str, *, empty_allowed: bool = False) -> Floats:
        """A column as finite floats; an empty cell is NaN when allowed."""
        cells = self._columns[column]
        values = cells.astype(np.float64) if isinstance(cells, np.ndarray) else self._parsed(column, cells)
        missing = np.isnan(values)
        bad = np.isinf(values) if empty_allowed else ~np.isfinite(values)
        if bad.any():
            row = int(np.argmax(bad))
            found = self._cell(cells, row, empty=bool(missing[row]))
            self.fail(row, column, f"expected a finite number, found {found}")
        return values

    def times(self, column: str) -> Ints:
        """A column of times in epoch nanoseconds."""
        cells = self._columns[column]
        if isinstance(cells, np.ndarray):
            return self._array_times(column, cells)
        quick = _quick_times(cells)
        if quick is not None:
            return self._within(column, *quick)
        return self._within(column, np.array([self._time(column, r, c) for r, c in enumerate(cells)], np.int64), 1)

    def days(self, column: str) -> Ints:
        """A column of dates as midnights UTC in epoch nanoseconds."""
        cells = self._columns[column]
        if isinstance(cells, np.ndarray):
            times = self.times(column)
            if (times % DAY).any():
                self.fail(int(np.argmax(times % DAY != 0)), column, f"expected {_DATE_TEXT}, found a time of day")
            return times
        return np.array([self._day(column, row, cell) for row, cell in enumerate(cells)], np.int64)

    def _parsed(self, column: str, cells: Sequence[str]) -> Floats:
        if "_" not in "".join(cells):  # float() reads 1_000; a price file's author did not mean it
            try:
                return np.array([float(cell) if cell else np.nan for cell in cells], np.float64)
            except ValueError:
                pass  # the careful way finds the line
        for row, cell in enumerate(cells):
            try:
                readable = not cell or float(cell.replace("_", "x")) is not None
            except ValueError:
                readable = False
            if not readable:
                hint = _DECIMALS if "," in cell else ""
                self.fail(row, column, f"expected a number, found {cell!r}{hint}")
        raise AssertionError("every cell was readable")

    @staticmethod
    def _cell(cells: Column, row: int, *, empty: bool) -> str:
        if isinstance(cells, np.ndarray):
            return "nothing" if empty else str(cells[row])
        return repr(cells[row]) if cells[row] else "nothing"

    def _array_times(self, column: str, cells: Floats | Ints | NDArray[np.datetime64]) -> Ints:
        if cells.dtype == np.float64:
            self.fail(0, column, f"expected {_TIME_TEXT}, found {cells[0]}")
        if cells.dtype == np.int64:
            return self._within(column, *_with_unit(cells.astype(np.int64)))
        missing = np.isnat(cells)
        if missing.any():
            self.fail(int(np.argmax(missing)), column, f"expected {_TIME_TEXT}, found nothing")
        return self._within(column, cells.astype("datetime64[ns]").astype(np.int64), 1)

    def _within(self, column: str, values: Ints, scale: int) -> Ints:
        """`values` times `scale` nanoseconds, when all of them are times of our time."""
        bad = (values < _EARLIEST // scale) | (values > _LATEST // scale)
        if bad.any():
            row = int(np.argmax(bad))
            cells = self._columns[column]
            self.fail(row, column, f"expected {_TIME_TEXT}, found {self._cell(cells, row, empty=False)}")
        return values * scale

    def _time(self, column: str, row: int, cell: str) -> int:
        try:
            parsed = datetime.fromisoformat(cell)
        except ValueError:
            self.fail(row, column, f"expected {_TIME_TEXT}, found {cell!r}")
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return min((parsed - _EPOCH) // timedelta(microseconds=1) * 1000, _LATEST + 1)

    def _day(self, column: str, row: int, cell: str) -> int:
        try:
            day = date.fromisoformat(cell[:10]) if len(cell) > 8 else date.fromisoformat(cell)
            midnight = len(cell) <= 10 or datetime.fromisoformat(cell).time() == datetime.min.time()
        except ValueError:
            midnight = False
        if not midnight or day.year >= _FIRST_YEAR_BEYOND:
            self.fail(row, column, f"expected {_DATE_TEXT}, found {cell!r}")
        return (day - _EPOCH.date()).days * DAY


def _quick_times(cells: Sequence[str]) -> tuple[Ints, int] | None:
    """The two usual forms, whole numbers and 2019-02-11T14:30:00Z, with their unit in nanoseconds; None otherwise."""
    try:
        if all(cell.isdecimal() for cell in cells):
            return _with_unit(np.array([int(cell) for cell in cells], np.int64))
        if all(len(cell) == 20 and cell[19] == "Z" for cell in cells):
            return np.array([cell[:19] for cell in cells], "datetime64[s]").astype(np.int64), SECOND
    except (ValueError, OverflowError):
        pass  # the careful way finds the line
    return None


def _with_unit(values: Ints) -> tuple[Ints, int]:
    """Epoch numbers with their unit in nanoseconds: seconds are below 1e11, milliseconds below 1e14, and so on."""
    largest = int(np.abs(values).max())
    units = ((10**11, SECOND), (10**14, 10**6), (10**17, 10**3))
    return values, next((unit for bound, unit in units if largest < bound), 1)


def read_table(path: Path) -> Table:
    """The table in `path`, CSV or Parquet by its suffix."""
    if path.suffix.lower() not in SUFFIXES:
        raise DataFileError(f"{path}: expected a file ending in {' or '.join(SUFFIXES)}")
    try:
        content = path.read_bytes() if path.suffix.lower() == ".csv" else b""
    except OSError as error:
        raise DataFileError(f"{path}: cannot be read: {error.strerror or error}") from None
    table = _csv_table(path, content) if path.suffix.lower() == ".csv" else _parquet_table(path)
    if not len(table):
        raise DataFileError(f"{path}: expected at least one row below the header, found none")
    return table


def _csv_table(path: Path, content: bytes) -> Table:
    rows, lines = _csv_rows(path, _text(path, content))
    if not rows:
        raise DataFileError(f"{path}: expected a header line, found an empty file")
    header = [name.strip().lower() for name in rows[0]]
    twice = next((name for name in header if name.isidentifier() and header.count(name) > 1), None)
    if twice is not None:
        raise DataFileError(f"{path}, line {lines[0]}, column {twice}: expected each column once")
    if len(header) == 1 and (
        separator := next((name for mark, name in _SEPARATORS.items() if mark in header[0]), None)
    ):
        raise DataFileError(f"{path}, line {lines[0]}: expected fields separated by commas, found {separator}")
    ragged = next((i for i, row in enumerate(rows) if len(row) != len(header)), None)
    if ragged is not None:
        found = f"{len(rows[ragged])}{_DECIMALS if len(rows[ragged]) > len(header) else ''}"
        raise DataFileError(
            f"{path}, line {lines[ragged]}: expected {len(header)} comma-separated fields, found {found}"
        )
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else iter([()] * len(header))
    return Table(path, dict(zip(header, columns, strict=True)), lines[1:])


def _text(path: Path, content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataFileError(f"{path}, line 1: expected UTF-8 text, found UTF-16")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise DataFileError(f"{path}, line {line}: expected UTF-8 text, found byte 0x{byte:02x}") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataFileError(f"{path}, line {line}: expected UTF-8 text, found binary data")
    return text


def _csv_rows(path: Path, text: str) -> tuple[list[list[str]], Sequence[int]]:
    """The rows that are not blank, and the line of each."""
    lines = text.splitlines()
    reader = csv.reader(lines, strict=True)
    rows: list[list[str]] = []
    try:
        rows.extend(reader)
        error = ""
    except csv.Error as found:
        error = str(found)
    if error or len(rows) != len(lines):
        _refuse_rows(path, lines, error)
    if " " in text or "\t" in text:
        rows = [[cell.strip() for cell in row] for row in rows]
    if all(rows):
        return rows, range(1, len(rows) + 1)
    kept = [(row, line) for line, row in enumerate(rows, 1) if row]
    return [row for row, _ in kept], [line for _, line in kept]


def _refuse_rows(path: Path, lines: Sequence[str], error: str) -> NoReturn:
    """Name the first line that is no row of its own: read again, because csv counts only what it has read."""
    for number, line in enumerate(lines, 1):
        try:
            next(csv.reader([line], strict=True), None)
        except csv.Error as found:
            if "unexpected end of data" not in str(found):
                raise DataFileError(f"{path}, line {number}: expected comma-separated values: {found}") from None
            expected = "expected one row a line, found a quoted field that runs over the line's end"
            raise DataFileError(f"{path}, line {number}: {expected}") from None
    raise AssertionError(error)


def _parquet_table(path: Path) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Column] = {}
    try:
        with path.open("rb") as file:
            content = pq.read_table(file)
        for name, cells in zip(content.column_names, content.columns, strict=True):
            values = _parquet_column(cells)
            if name.strip().lower() in columns:
                raise DataFileError(f"{path}, column {name}: expected each column once")
            if values is not None:
                columns[name.strip().lower()] = values
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.strerror:  # pyarrow's own have no number and no text
            raise DataFileError(f"{path}: cannot be read: {error.strerror}") from None
        reason = str(error).partition("\n")[0]
        raise DataFileError(f"{path}: expected a Parquet file, found something else ({reason})") from None
    return Table(path, columns, range(-1, -content.num_rows - 1, -1))


def _parquet_column(cells: "pa.ChunkedArray") -> Column | None:
    """A column as texts, integers (times as nanoseconds) or floats; None when it holds something else."""
    import pyarrow as pa

    kind = cells.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [str(cell or "").strip() for cell in cells.to_pylist()]
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return np.asarray(cells.cast(pa.timestamp("ns", getattr(kind, "tz", None))).to_numpy())
    if pa.types.is_integer(kind) and not cells.null_count:
        return np.asarray(cells.cast(pa.int64()).to_numpy())
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(cells.cast(pa.float64()).to_numpy())
    return None
