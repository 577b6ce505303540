"""Times as TWS writes them. Market time is epoch nanoseconds; the exchange's own zone is New York's."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from src.exchange.sessions import Sessions
from src.runtime.clock import NS, to_datetime, to_nanoseconds

#: How TWS names New York; the zone itself goes by its current name, which every system has.
ZONE_ID: Final = "US/Eastern"
_NEW_YORK: Final = ZoneInfo("America/New_York")
_WITH_ZONES: Final = 174  # the server version from which times bear their zone
_MOMENT: Final = re.compile(r"(\d{8})(?:(-| {1,2})(\d{2}:\d{2}(?::\d{2})?)(?: ([A-Za-z_]+(?:/[A-Za-z_+-]+)*[0-9]*))?)?")
_HOURS_AHEAD_DAYS: Final = 6


def new_york(moment: int) -> datetime:
    """A market time in New York."""
    return to_datetime(moment).astimezone(_NEW_YORK)


def greeting_time(moment: int) -> str:
    """The time in the server's first words."""
    return new_york(moment).strftime("%Y%m%d %H:%M:%S EST")


def execution_time(moment: int, server_version: int) -> str:
    """When something traded: with its zone, or for old clients the machine's own time and two spaces."""
    if server_version >= _WITH_ZONES:
        return f"{new_york(moment):%Y%m%d %H:%M:%S} {ZONE_ID}"
    return to_datetime(moment).astimezone().strftime("%Y%m%d  %H:%M:%S")


def bar_time(moment: int, server_version: int, *, as_epoch: bool) -> str:
    """Where an intraday bar starts."""
    if as_epoch:
        return str(moment // NS)
    if server_version >= _WITH_ZONES:
        return f"{new_york(moment):%Y%m%d %H:%M:%S} {ZONE_ID}"
    return f"{new_york(moment):%Y%m%d  %H:%M:%S}"


def trading_date(start: int, end: int) -> date:
    """The day of New York that a bar has most of."""
    return new_york((start + end) // 2).date()


def parse_moment(text: str) -> int:
    """A moment as a client writes it; without a zone it is New York's, with a dash UTC. ValueError."""
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a time like 20250415 16:00:00 US/Eastern")
    day, dash, time, zone_id = found.groups()
    pattern = "%Y%m%d%H:%M:%S" if time is None or time.count(":") == 2 else "%Y%m%d%H:%M"
    naive = datetime.strptime(day + (time or "00:00:00"), pattern)  # noqa: DTZ007  # its zone comes next
    return to_nanoseconds(naive.replace(tzinfo=UTC if dash == "-" else _zone(zone_id)))


def _zone(zone_id: str | None) -> ZoneInfo:
    if zone_id in (None, "US/Eastern", "EST", "EDT", "EST5EDT"):
        return _NEW_YORK
    try:
        return ZoneInfo(zone_id or "UTC")
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{zone_id!r} is no time zone known here") from None


def hours(sessions: Sessions, now: int, *, liquid: bool) -> str:
    """Trading, or liquid, hours of the coming days as contract details have them; closed days are named."""
    today = new_york(now).date()
    days = [today + timedelta(days=ahead) for ahead in range(_HOURS_AHEAD_DAYS)]
    if sessions.is_always:
        return ";".join(f"{day:%Y%m%d}:0000-{day:%Y%m%d}:2359" for day in days)
    first, last = midnight(days[0]), midnight(days[-1] + timedelta(days=1))
    by_day = {new_york(session.open).date(): session for session in sessions.between(first, last)}
    parts = []
    for day in days:
        session = by_day.get(day)
        if session is None:
            parts.append(f"{day:%Y%m%d}:CLOSED")
        elif liquid:
            parts.append(f"{new_york(session.open):%Y%m%d:%H%M}-{new_york(session.close):%Y%m%d:%H%M}")
        else:
            parts.append(f"{day:%Y%m%d}:0400-{day:%Y%m%d}:2000")
    return ";".join(parts)


def midnight(day: date) -> int:
    """The beginning of a New York day."""
    return to_nanoseconds(datetime(day.year, day.month, day.day, tzinfo=_NEW_YORK))


def day_start(now: int) -> int:
    """The beginning of the New York day of a moment."""
    return midnight(new_york(now).date())
