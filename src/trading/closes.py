"""New York's closes for a session that must be flat before them: a year of the calendar at a time, when needed."""

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
