"""New York's closes, a year of the calendar at a time, and when a session must be flat before them."""

from collections.abc import Callable
from sys import maxsize
from typing import Final

from src.exchange.sessions import Sessions
from src.runtime.calendars import sessions_between
from src.runtime.clock import NS

_DAY: Final = 86_400 * NS


class NyseCloses:
    """Call it with a moment (epoch ns): the first close after it. Holidays and half days are known."""

    def __init__(self) -> None:
        self._sessions: Sessions | None = None
        self._until = 0

    def __call__(self, moment: int) -> int | None:
        """The first close after `moment`."""
        if self._sessions is None or moment >= self._until:
            self._until = moment + 365 * _DAY
            self._sessions = sessions_between(moment - _DAY, self._until)
        return self._sessions.close_after(moment)


class ClosingTime:
    """When to be flat: so many market minutes before each close. Never, without minutes or where nothing closes."""

    def __init__(self, minutes: float | None, close_after: Callable[[int], int | None] | None) -> None:
        self._lead = 0 if minutes is None else int(minutes * 60 * NS)
        self._close_after = None if minutes is None else close_after
        #: The moment to be flat at, epoch ns; far away when there is none.
        self.flat_at = maxsize
        #: Flat before a close: no new orders until it has come.
        self.is_resting = False

    def plan(self, now: int) -> None:
        """Find the next close after `now`."""
        close = self._close_after(now) if self._close_after is not None else None
        self.flat_at = maxsize if close is None else close - self._lead

    def has_come(self, instant: int) -> bool:
        """Whether to flatten at this instant, at or after `flat_at`: once a close; past it, the next one is planned."""
        if instant >= self.flat_at + self._lead:
            self.is_resting = False
            self.plan(instant)
            if instant < self.flat_at:
                return False
        first, self.is_resting = not self.is_resting, True
        return first
