"""When a market is open: a table of sessions in epoch nanoseconds, or `always`.

A table answers only for the time it covers; a question beyond it is refused with ConfigurationError,
because an unknown year is not a year without holidays. Pure: the table comes from the caller
(`runtime/calendars.py` builds it from exchange_calendars).
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple, Self

from src.domain.errors import ConfigurationError


class Session(NamedTuple):
    """One trading session: open in [open, close)."""

    open: int
    close: int


class Sessions:
    """Sorted opens and closes, and the questions that orders and price sources ask of them."""

    __slots__ = ("_closes", "_covers", "_opens")

    def __init__(self, opens: Sequence[int], closes: Sequence[int], *, covers: tuple[int, int] | None = None) -> None:
        """Sessions [opens[i], closes[i]); `covers`: the time the table speaks for, if not first open to last close."""
        if not opens or len(opens) != len(closes):
            raise ConfigurationError(f"a session table needs as many opens as closes: {len(opens)}, {len(closes)}")
        if any(o >= c for o, c in zip(opens, closes, strict=True)):
            raise ConfigurationError("a session must open before it closes")
        if any(close > following for close, (_, following) in zip(closes, pairwise(opens), strict=False)):
            raise ConfigurationError("sessions must be in time order and must not overlap")
        self._opens, self._closes = tuple(opens), tuple(closes)
        self._covers = (self._opens[0], self._closes[-1]) if covers is None else covers
        if self._covers[0] > self._opens[0] or self._covers[1] < self._closes[-1]:
            raise ConfigurationError("a session table must cover its own sessions")

    @classmethod
    def always(cls) -> Self:
        """The market that never closes."""
        sessions = cls((0,), (1,))
        sessions._opens, sessions._closes = (), ()
        return sessions

    @property
    def is_always(self) -> bool:
        """Whether the market never closes."""
        return not self._opens

    @property
    def covers(self) -> tuple[int, int] | None:
        """First and last instant that the table speaks for; None when it never ends."""
        return None if self.is_always else self._covers

    def is_open(self, now: int) -> bool:
        """Whether the market is open at `now`."""
        return self.is_always or self.session_of(now) is not None

    def session_of(self, now: int) -> Session | None:
        """The session in progress at `now`; None when the market is closed, and when it never closes."""
        if self.is_always:
            return None
        self._check(now)
        index = bisect_right(self._opens, now) - 1
        if index >= 0 and now < self._closes[index]:
            return Session(self._opens[index], self._closes[index])
        return None

    def next_open(self, now: int) -> int | None:
        """The first open after `now`; None when the market never closes."""
        if self.is_always:
            return None
        self._check(now)
        index = bisect_right(self._opens, now)
        if index == len(self._opens):
            raise self._unknown(now, "an open after")
        return self._opens[index]

    def close_after(self, now: int) -> int | None:
        """The close of the session in progress, or of the next one; None when the market never closes."""
        if self.is_always:
            return None
        self._check(now)
        index = bisect_right(self._closes, now)
        if index == len(self._closes):
            raise self._unknown(now, "a close after")
        return self._closes[index]

    def between(self, start: int, end: int) -> tuple[Session, ...]:
        """The table's sessions that overlap [start, end), in time order; none when the market never closes."""
        if end <= start:
            return ()
        first, last = bisect_right(self._closes, start), bisect_right(self._opens, end - 1)
        return tuple(map(Session, self._opens[first:last], self._closes[first:last]))

    def _check(self, now: int) -> None:
        if not self._covers[0] <= now <= self._covers[1]:
            raise self._unknown(now, "the session at")

    def _unknown(self, now: int, what: str) -> ConfigurationError:
        first, last = (_text(time) for time in self._covers)
        return ConfigurationError(f"the session table does not know {what} {_text(now)}: it covers {first} to {last}")


def _text(time: int) -> str:
    return datetime.fromtimestamp(time // 1_000_000_000, UTC).isoformat()
