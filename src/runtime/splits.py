"""A warning where a price moves by a whole split ratio at once: within a bar, or from one close to the next open.

Nothing is adjusted: a file may hold adjusted prices or not, and only its owner knows.
"""

import logging
from collections.abc import Sequence
from typing import Final

import numpy as np

from src.runtime.columns import TradeColumns, as_text
from src.runtime.tables import Floats, place

_log = logging.getLogger(__name__)

#: Ratios, and how far (as a part) a price may have moved besides: little else makes a price a quarter at once.
_RATIOS: Final = {2: 0.02, 3: 0.02, 4: 0.03, 5: 0.03, 7: 0.03, 10: 0.03, 20: 0.03}
_NAMED: Final = 5  # further ones of a file are only counted


def warn_of_splits(symbol: str, files: Sequence[TradeColumns]) -> None:
    """One WARNING for each of a symbol's files, which come in time order, in which something looks like a split."""
    before = np.nan
    for file in files:
        closes_before = np.concatenate([[before], file.close[:-1]])
        before = file.close[-1]
        over_night, within = _split(closes_before, file.open), _split(file.open, file.close)
        rows = np.flatnonzero(over_night + within)
        if not len(rows):
            continue
        row = int(rows[0])
        opens, was, close = file.open[row], closes_before[row], file.close[row]
        moves = f"after a close of {was:g}" if over_night[row] else f"and closes at {close:g}"
        further = [as_text(int(file.start[each])) for each in rows[1 : _NAMED + 1]]
        if len(rows) > _NAMED + 1:
            further.append(f"{len(rows) - _NAMED - 1} more")
        _log.warning(
            "%s, %s: %s at %s opens at %g %s, as in a %d:1 split%s; nothing was adjusted",
            file.path,
            place(file.lines, row),
            symbol,
            as_text(int(file.start[row])),
            opens,
            moves,
            over_night[row] or within[row],
            f"; the same at {', '.join(further)}" if further else "",
        )


def _split(first: Floats, then: Floats) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The whole ratio between each two prices, whichever is larger; 0 where there is none. NaN has none."""
    ratio = np.maximum(first, then) / np.minimum(first, then)
    found = np.zeros(len(ratio), np.int64)
    for split, tolerance in _RATIOS.items():
        found[np.abs(ratio / split - 1) <= tolerance] = split
    return found
