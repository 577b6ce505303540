"""TWS's own link to IB's servers, and whatever else it says of no request. On the loop's thread only.

1100 and 2110 mean that TWS has lost IB: nothing new can be sent, quotes are old, and executions are still told. 1101
and 1102 mean that it is back, without and with the subscriptions. A farm that is down makes some prices old and touches
no order. What is said over and over is told once.
"""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from src.domain.codes import Meaning, RequestKind, is_information, meaning
from src.domain.events import TOLD, Event, Notice
from src.runtime.clock import monotonic

_log: Final = logging.getLogger(__name__)
_KEPT: Final = 50
#: Real seconds for which the same message is not told again.
_QUIET: Final = 60.0


class Link:
    """Whether TWS has its link to IB, and its latest messages. `now` is epoch ns; `events` takes what is told."""

    def __init__(self, now: Callable[[], int], events: list[Event]) -> None:
        self._now, self._events = now, events
        self.is_up = True
        #: Code and text of the latest messages, oldest first.
        self.messages: deque[tuple[int, str]] = deque(maxlen=_KEPT)
        self._told: dict[tuple[int, str], float] = {}

    def heard(self, code: int, text: str) -> Meaning:
        """Take a message; return what it means. INFO also where it has just been said."""
        self.messages.append((code, text))
        what = meaning(code, RequestKind.NONE)
        if what is Meaning.CLIENT_ID_IN_USE:  # what ends the connecting is told by its error
            return Meaning.INFO
        if what is Meaning.INFO and is_information(code):
            _log.debug("TWS: %s %s", code, text)
        elif not self._is_repeated(code, text):
            _log.warning("TWS: %s %s", code, text, extra=TOLD)
            self._events.append(Notice(self._now(), code, text))
        return what

    def _is_repeated(self, code: int, text: str) -> bool:
        now = monotonic()
        told = self._told.get((code, text))
        if told is not None and now - told < _QUIET:
            return True
        if len(self._told) >= _KEPT:
            self._told.clear()
        self._told[code, text] = now
        return False
