"""The tape both sides replay: two symbols, 100,000 one-minute bars each, always the same. Writes it when run.

`python -m benchmarks.prices FILE` writes an .npz: `start` (epoch nanoseconds, UTC) and `<SYMBOL>.<column>` for each
of COLUMNS, as float64. Prices are whole cents between 50 and 500 dollars.
"""

import sys
from pathlib import Path

import numpy as np

SYMBOLS = ("MSFT", "AAPL")
COLUMNS = ("open", "high", "low", "close", "volume")
BARS = 100_000
MINUTE = 60_000_000_000
_FIRST = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z; the market never closes, so that nothing but bars counts
_LOW, _HIGH = np.log(60.0), np.log(450.0)


def tape(bars: int = BARS, seed: int = 1) -> dict[str, np.ndarray]:
    """The arrays of the file, a function of its arguments alone."""
    arrays = {"start": _FIRST + MINUTE * np.arange(bars, dtype=np.int64)}
    for number, symbol in enumerate(SYMBOLS):
        chance = np.random.default_rng([seed, number])
        walk = np.cumsum(chance.normal(0.0, 0.0008, bars + 1)) + 0.5 * (number + 1)
        # Folded into its band: at an edge the path turns back and stays continuous.
        width = _HIGH - _LOW
        level = np.exp(_LOW + np.abs((walk + width) % (2 * width) - width))
        open_ = np.round(level[:-1] * (1 + chance.normal(0.0, 0.0001, bars)), 2)
        close = np.round(level[1:], 2)
        reach = np.abs(chance.normal(0.0, 0.0005, (2, bars))) * close
        arrays |= {
            f"{symbol}.open": open_,
            f"{symbol}.high": np.round(np.maximum(open_, close) + reach[0], 2),
            f"{symbol}.low": np.round(np.minimum(open_, close) - reach[1], 2),
            f"{symbol}.close": close,
            f"{symbol}.volume": chance.integers(100, 20_000, bars).astype(np.float64),
        }
    return arrays


def turning(bars: int, first: float, turn: float, last: float) -> dict[str, np.ndarray]:
    """The same arrays for prices (dollars) that go from `first` to `turn` in a hundred bars, and then to `last`."""
    points = np.round(np.interp(np.arange(bars + 1), [0, 100, bars], [first, turn, last]), 2)
    open_, close = points[:-1], points[1:]
    prices = (open_, np.maximum(open_, close), np.minimum(open_, close), close, np.full(bars, 1000.0))
    arrays = {"start": _FIRST + MINUTE * np.arange(bars, dtype=np.int64)}
    return arrays | {f"{symbol}.{name}": each for symbol in SYMBOLS for name, each in zip(COLUMNS, prices, strict=True)}


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **tape())  # type: ignore[arg-type]  # no array is called allow_pickle
