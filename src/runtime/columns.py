"""One price file as checked columns: trade bars or quote bars, whole or not at all.

Trade bars: `time` (or `date`), open, high, low, close, volume. Quote bars: `time`, bid_open, bid_high, bid_low,
bid_close, bid_size and the same of ask; a side that is empty or without a price or size is NaN throughout.
Columns come in any order and case, others are ignored. Every fault is a DataFileError with file, line and column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from src.domain.errors import DataFileError
from src.runtime.tables import DAY, Floats, Ints, Table, read_table

_PRICES: Final = ("open", "high", "low", "close")
_TRADE_COLUMNS: Final = (*_PRICES, "volume")
_QUOTE_COLUMNS: Final = tuple(f"{side}_{what}" for side in ("bid", "ask") for what in (*_PRICES, "size"))
_LOWEST: Final = 0.0001  # the exchange's unit: less than that rounds to nothing
_HIGHEST: Final = 1e7
_RANGE: Final = f"expected a price from {_LOWEST} to {_HIGHEST:,.0f} dollars"


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Checked trade bars of one file. `daily` says that `start` holds dates, as midnights UTC; `lines` as in Table."""

    path: Path
    lines: Sequence[int]
    daily: bool
    start: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


@dataclass(frozen=True, slots=True)
class QuoteColumns:
    """Checked quote bars of one file; `bid` and `ask` have a row a bar: open, high, low, close."""

    path: Path
    lines: Sequence[int]
    daily: bool
    start: Ints
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats


def read_columns(path: Path) -> TradeColumns | QuoteColumns:
    """The price file at `path`, checked."""
    table = read_table(path)
    wanted = _QUOTE_COLUMNS if any(name in table for name in _QUOTE_COLUMNS) else _TRADE_COLUMNS
    daily = "time" not in table and "date" in table
    missing = [name for name in (*(() if daily else ("time",)), *wanted) if name not in table]
    if missing:
        raise DataFileError(_missing_columns(table, missing, wanted))
    start = table.days("date") if daily else table.times("time")
    _check_order(table, start, "date" if daily else "time")
    if wanted is _QUOTE_COLUMNS:
        (bid, bid_size), (ask, ask_size) = (_read_side(table, side) for side in ("bid", "ask"))
        return QuoteColumns(path, table.lines, daily, start, bid, ask, bid_size, ask_size)
    prices = np.column_stack([_read_prices(table, name) for name in _PRICES])
    _check_range(table, _PRICES, prices)
    volume = table.numbers("volume")
    if (volume < 0).any():
        row = int(np.argmax(volume < 0))
        table.fail(row, "volume", f"expected shares, zero or more, found {volume[row]:g}")
    opens, highs, lows, closes = np.ascontiguousarray(prices.T)
    return TradeColumns(path, table.lines, daily, start, opens, highs, lows, closes, volume)


def _missing_columns(table: Table, missing: list[str], wanted: tuple[str, ...]) -> str:
    expected = f"expected a header with time,{','.join(wanted)} (or date instead of time)"
    where = f"{table.path}, line 1, column {missing[0]}"
    if not any(name in table for name in ("time", "date", *wanted)):
        return f"{where}: {expected}, found no header: {','.join(table.names)[:120]}"
    return f"{where}: missing; {expected}, found {','.join(table.names)[:200]}"


def _check_order(table: Table, start: Ints, column: str) -> None:
    late = np.diff(start) <= 0
    if late.any():
        row = int(np.argmax(late)) + 1
        fault = "the same as" if start[row] == start[row - 1] else "earlier than"
        found = f"{as_text(int(start[row]))}, {fault} the row before"
        table.fail(row, column, f"expected times in ascending order, each once, found {found}")


def _read_prices(table: Table, column: str) -> Floats:
    values = table.numbers(column)
    _check_prices(table, column, values, (values < _LOWEST) | (values > _HIGHEST))
    return values


def _check_prices(table: Table, column: str, values: Floats, bad: NDArray[np.bool_]) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        table.fail(row, column, f"{_RANGE}, found {values[row]:g}")


def _read_side(table: Table, side: str) -> tuple[Floats, Floats]:
    """A side's four prices and its size; NaN all over where the side cannot be traded on."""
    names = tuple(f"{side}_{name}" for name in _PRICES)
    prices = np.column_stack([table.numbers(name, empty_allowed=True) for name in names])
    for name, values in zip(names, prices.T, strict=True):
        _check_prices(table, name, values, (values > 0) & (values < _LOWEST) | (values > _HIGHEST))
    size = table.numbers(f"{side}_size", empty_allowed=True)
    unusable = ~((prices > 0).all(axis=1) & (size > 0))
    prices[unusable] = np.nan
    size[unusable] = np.nan
    _check_range(table, names, prices)
    return prices, size


def _check_range(table: Table, names: tuple[str, ...], prices: Floats) -> None:
    """High is the highest of open, high, low, close and low the lowest; NaN passes."""
    _, high, low, _ = prices.T
    for column, name in enumerate(names):
        above, below = prices[:, column] > high, prices[:, column] < low
        if (above | below).any():
            row = int(np.argmax(above | below))
            bound = f"{names[1]} {high[row]:g}" if above[row] else f"{names[2]} {low[row]:g}"
            side = "at most" if above[row] else "at least"
            table.fail(row, name, f"expected {side} {bound}, found {prices[row, column]:g}")


def as_text(time: int) -> str:
    """An instant in epoch nanoseconds as ISO 8601; a midnight as its date."""
    moment = datetime.fromtimestamp(time // 1_000_000_000, UTC)
    return moment.date().isoformat() if time % DAY == 0 else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
