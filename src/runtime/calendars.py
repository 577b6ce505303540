"""The New York Stock Exchange's sessions as a table: holidays, half days and clock changes, from exchange_calendars.

The calendar is always asked for explicit dates (without them it reads the clock). It imports pandas: only when used.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from src.domain.errors import ConfigurationError
from src.exchange.sessions import Sessions

_NEW_YORK: Final = ZoneInfo("America/New_York")
_FIRST, _LAST = date(1970, 1, 1), date(2100, 12, 31)  # beyond, the calendar's holidays are guesses
#: The longest known closing of the exchange since 1970 lasted six days; an order may wait that long for its open.
_AFTERWARDS: Final = timedelta(days=10)


def nyse_sessions(start: date, end: date) -> Sessions:
    """The sessions from `start` to `end`, both included: New York dates, the whole of each day covered."""
    if start > end:
        raise ConfigurationError(f"a calendar must start before it ends: {start}, {end}")
    if start < _FIRST or end > _LAST:
        raise ConfigurationError(f"the exchange's calendar is known from {_FIRST} to {_LAST}, not {start} to {end}")
    import exchange_calendars

    # A calendar needs two sessions at least and rounds its bounds to sessions: ask for more, keep what was wanted.
    margin = timedelta(days=15)
    calendar = exchange_calendars.get_calendar("XNYS", start=start - margin, end=end + margin)
    opens, closes = (
        column.to_numpy("datetime64[ns]").astype("int64").tolist() for column in (calendar.opens, calendar.closes)
    )
    covers = (_midnight(start), _midnight(end + timedelta(days=1)))
    kept = [(o, c) for o, c in zip(opens, closes, strict=True) if covers[0] <= o < covers[1]]
    if not kept:
        raise ConfigurationError(f"the exchange is closed from {start} to {end}")
    return Sessions([o for o, _ in kept], [c for _, c in kept], covers=covers)


def sessions_between(start: int, end: int) -> Sessions:
    """The sessions around [start, end] in epoch ns, and days on: an order placed at the end finds its next open."""
    first, last = (datetime.fromtimestamp(moment // 1_000_000_000, _NEW_YORK).date() for moment in (start, end))
    return nyse_sessions(first, last + _AFTERWARDS)


def _midnight(day: date) -> int:
    return int(datetime.combine(day, time(), _NEW_YORK).astimezone(UTC).timestamp()) * 1_000_000_000
