"""The only readers of time, and the source of session ids. Market times are epoch nanoseconds, UTC.

A clock answers two questions: what time it is on the market, and how long until a market time comes.
`monotonic()` is for durations and deadlines in real seconds, whatever the market's clock does.
"""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from random import Random

NS: Final = 1_000_000_000
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"


def monotonic() -> float:
    """Seconds on a clock that never goes back; only differences mean anything."""
    return time.monotonic()


def wall_clock() -> int:
    """The time of day in epoch nanoseconds."""
    return time.time_ns()


def new_session_id() -> str:
    """Ten random base32 characters: unique per session, fit for an orderRef."""
    import secrets  # brings hashing: sessions need it, an import of the facade does not

    return "".join(secrets.choice(_ALPHABET) for _ in range(10))


def new_chance() -> "Random":
    """A source of chance that no other shares: for pauses that must not be alike."""
    from random import Random
    from secrets import randbits

    return Random(randbits(64))  # noqa: S311  # it spreads attempts in time, and guards nothing


def to_datetime(moment: int) -> datetime:
    """Epoch nanoseconds as an aware UTC datetime (microseconds are the finest it holds)."""
    return datetime.fromtimestamp(moment // 1000 / 1_000_000, UTC)


def to_nanoseconds(moment: datetime) -> int:
    """A datetime as epoch nanoseconds. A naive one is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * NS + delta.microseconds * 1000


def iso(moment: int) -> str:
    """Epoch nanoseconds as ISO 8601 UTC, to the second: 2019-02-11T14:30:00Z."""
    return to_datetime(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock(Protocol):
    """The market's time for one session."""

    def begin(self) -> None:
        """Let time run, where it does not run anyway; idempotent. Its market calls it when prices are first wanted."""
        ...

    def now(self) -> int:
        """Market time, epoch nanoseconds."""
        ...

    def seconds_until(self, moment: int) -> float:
        """Real seconds until market time `moment`; zero or less when it has come."""
        ...


class SystemClock:
    """Market time is the time of day."""

    def begin(self) -> None:
        """Nothing: the day has begun."""

    def now(self) -> int:
        """The time of day."""
        return time.time_ns()

    def seconds_until(self, moment: int) -> float:
        """Real seconds until `moment`."""
        return (moment - time.time_ns()) / NS


class ScaledClock:
    """Market time runs `speed` times as fast as the day, from `start` at `begin()`; long closed hours are skipped."""

    _LONGEST_WAIT: Final = 300 * NS

    def __init__(self, start: int, speed: float) -> None:
        self._start, self._speed = start, speed
        self._origin: int | None = None

    def begin(self) -> None:
        """Run from now on, so that a session's start does not depend on how long making it took."""
        if self._origin is None:
            self._origin = time.monotonic_ns()

    def now(self) -> int:
        """Market time now; `start` until it begins."""
        if self._origin is None:
            return self._start
        return self._start + int((time.monotonic_ns() - self._origin) * self._speed)

    def seconds_until(self, moment: int) -> float:
        """Real seconds until `moment`; a wait of more than five market minutes is skipped."""
        now = self.now()
        if moment - now > self._LONGEST_WAIT and self._origin is not None:
            self._start += moment - now - NS
            now = self.now()
        return (moment - now) / NS / self._speed


class ReplayClock:
    """The next moment has always come: for replays at full speed, whose time is what they have processed."""

    def __init__(self, start: int) -> None:
        self._start = start

    def begin(self) -> None:
        """Nothing: its reader moves it."""

    def now(self) -> int:
        """Where the replay starts."""
        return self._start

    def seconds_until(self, moment: int) -> float:
        """Zero: never a wait."""
        del moment
        return 0.0


class ManualClock:
    """Market time stands still until a test moves it."""

    def __init__(self, start: int) -> None:
        self._now = start

    def begin(self) -> None:
        """Nothing: a test moves it."""

    def now(self) -> int:
        """Where the test has put it."""
        return self._now

    def move_to(self, moment: int) -> None:
        """Set market time to `moment`."""
        self._now = moment

    def seconds_until(self, moment: int) -> float:
        """The distance in market seconds, as if time ran."""
        return (moment - self._now) / NS
