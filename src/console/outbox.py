"""Messages on their way to a person: each way has a queue and a thread of its own, and holds up nobody.

A message is tried three times and then given up with a line in the log. Of each kind at most so many a minute leave, so
that a flood of one cannot take the place of another; what was left out is counted in the next message. The kill switch
and the summary come through always.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from src.console.webhooks import Message
from src.runtime.clock import monotonic
from src.runtime.periodic import Periodic
from src.runtime.worker import wait_until

_log: Final = logging.getLogger(__name__)
_MOST_WAITING: Final = 50
_ATTEMPTS: Final = 3
_PAUSE: Final = 0.1
_LAST_WORDS: Final = 5.0
_ALWAYS: Final = frozenset({"kill", "summary"})

#: Sends a message; why it could not, or "".
Send = Callable[[Message], str]


class Outbox:
    """Sends what is put into it, by each of the `ways`; of each kind of event at most `per_minute`."""

    def __init__(self, ways: Sequence[Send], per_minute: int, retry_after: float = 2.0) -> None:
        self._ways = tuple(_Way(send, retry_after) for send in ways)
        self._per_minute = per_minute
        self._recent: dict[str, deque[float]] = {}

    def put(self, message: Message) -> None:
        """Have it sent soon, or leave it out when there are too many; never waits."""
        allowed = message.event in _ALWAYS or self._is_in_time(message.event)
        for way in self._ways:
            way.put(message, allowed=allowed)

    def _is_in_time(self, event: str) -> bool:
        recent, now = self._recent.setdefault(event, deque(maxlen=self._per_minute)), monotonic()
        if len(recent) == self._per_minute and now - recent[0] < 60.0:
            return False
        recent.append(now)
        return True

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        if not wait_until(lambda: not any(way.letters for way in self._ways), _LAST_WORDS):
            _log.warning("%d notifications could not be sent in time", sum(len(way.letters) for way in self._ways))
        for way in self._ways:
            way.stop()


@dataclass(slots=True)
class _Letter:
    """A message, how often it was tried, and when it may be again."""

    message: Message
    tried: int = 0
    due: float = 0.0


class _Way:
    """One way out, fifty letters long."""

    def __init__(self, send: Send, retry_after: float) -> None:
        self._send, self._retry_after = send, retry_after
        self.letters: deque[_Letter] = deque()  # the sender alone takes them out
        self._left_out = 0
        self._sending = Periodic("notify", _PAUSE, self._send_all)
        self._sending.start()

    def put(self, message: Message, *, allowed: bool) -> None:
        """Queue it, or count it as left out."""
        if not allowed or (len(self.letters) >= _MOST_WAITING and message.event not in _ALWAYS):
            self._left_out += 1
            return
        if self._left_out:
            message = Message(message.event, f"{message.text}\n({self._left_out} more were not sent)")
            self._left_out = 0
        self.letters.append(_Letter(message))

    def stop(self) -> None:
        """Send no more."""
        self._sending.stop()

    def _send_all(self) -> None:
        """Try each letter that is due; it stays first in the queue until it is sent or given up."""
        for _ in range(len(self.letters)):
            letter = self.letters[0]
            done = letter.due <= monotonic() and self._is_done_with(letter)
            self.letters.popleft()
            if not done:
                self.letters.append(letter)

    def _is_done_with(self, letter: _Letter) -> bool:
        letter.tried += 1
        try:
            failure = self._send(letter.message)
        except Exception as error:  # noqa: BLE001  # one letter that cannot be sent must not stop those behind it
            failure = type(error).__name__  # its words may have the address in them
        letter.due = monotonic() + self._retry_after
        if failure and letter.tried == _ATTEMPTS:
            _log.warning("a notification (%s) could not be sent: %s", letter.message.event, failure)
        return not failure or letter.tried == _ATTEMPTS
