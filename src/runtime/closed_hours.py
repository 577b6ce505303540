"""A warning where a day's prices all lie outside the market's hours: an ordinary order cannot fill in any of them.

It is mostly a file whose times are not UTC, or prices of a weekend.
"""

import logging
from typing import TYPE_CHECKING, Final

import numpy as np

from src.exchange.sessions import Sessions
from src.runtime.tables import DAY, SECOND

if TYPE_CHECKING:
    from src.runtime.files import BarColumns, Recording
    from src.runtime.tables import Ints

_log = logging.getLogger(__name__)

_MIDNIGHT: Final = 5 * 3600 * SECOND  # New York's, in winter: in summer nothing trades in the hour before it either


def warn_of_closed_hours(recording: "Recording", sessions: Sessions) -> None:
    """One WARNING that names the first such day, and how many there are; none for a market that never closes."""
    if sessions.is_always:
        return
    table = sessions.between(recording.start, recording.end)
    opens, closes = (np.array([session[side] for session in table], np.int64) for side in (0, 1))
    found = {symbol: _closed_days(bars, opens, closes) for symbol, bars in recording.bars.items()}
    days = sorted((int(day), symbol) for symbol, each in found.items() for day in each)
    if days:
        first, symbol = days[0]
        _log.warning(
            "all bars of %s on %s%s lie outside the market's hours: ordinary orders cannot fill in them. "
            "Times are UTC; SIM_MARKET_HOURS=always trades around the clock",
            symbol,
            np.datetime64(first, "D"),
            f" (and {len(days) - 1} more)" if len(days) > 1 else "",
        )


def _closed_days(bars: "BarColumns", opens: "Ints", closes: "Ints") -> "Ints":
    """The New York days (in epoch days) of bars none of which reaches into a session."""
    days = (bars.start - _MIDNIGHT) // DAY
    following = np.searchsorted(closes, bars.start, side="right")
    inside = np.append(opens, np.iinfo(np.int64).max)[following] < bars.end
    return np.setdiff1d(days, days[inside])
