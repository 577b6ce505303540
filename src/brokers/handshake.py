"""TWS's greeting: what a client sends first, and what the answer tells of who is there.

Only the first of three steps is taken: versions are exchanged, the API is not started, no client id is used. TWS
shows such a visitor as one that came and left.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from src.brokers.findings import NEWEST_SERVER_VERSION, OLDEST_SERVER_VERSION, Outcome
from src.runtime.clock import monotonic, wall_clock

_VERSIONS: Final = f"v{OLDEST_SERVER_VERSION}..{NEWEST_SERVER_VERSION}".encode()
GREETING: Final = b"API\0" + len(_VERSIONS).to_bytes(4, "big") + _VERSIONS
#: Seconds of silence after which a person should look at TWS's screen.
HINT_SECONDS: Final = 1.0
_LONGEST_ANSWER: Final = 1024
_PREFIX: Final = 4
_SHOWN: Final = 40
#: The last of the wait, in seconds and at most as this part of all: whoever waits for the end of our words speaks then.
_LAST_SECONDS: Final = 0.5
_LAST_PART: Final = 0.25


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the finding, and what TWS said of itself or the beginning of what another said."""

    outcome: Outcome
    server_version: int | None = None
    server_time: str = ""
    seen: str = ""
    heard_at: int = 0


def shake_hands(connection: socket.socket, seconds: float, on_silence: Callable[[], None]) -> Answer:
    """Greet whoever accepted this connection, and hear the answer out; at most `seconds`.

    While nothing comes the connection stays open, since TWS may be asking a person; `on_silence` is called once, when
    there is reason to look. At the end our side is closed first: a server that waits for a whole line says then
    what it is.
    """
    begun, received = monotonic(), bytearray()
    end = begun + seconds
    last = end - min(_LAST_SECONDS, seconds * _LAST_PART)
    we_closed = False
    try:
        connection.settimeout(seconds)
        connection.sendall(GREETING)
        answer = _hear(connection, received, min(begun + HINT_SECONDS, last))
        if answer is None and not received:
            on_silence()
        answer = answer or _hear(connection, received, last)
        if answer is None:
            connection.shutdown(socket.SHUT_WR)
            we_closed = True
            answer = _hear(connection, received, end)
    except OSError:
        answer = None if received or we_closed else Answer(Outcome.CLOSED_AFTER_ACCEPT)
    return answer or (_not_tws(received) if received else Answer(Outcome.SILENT))


def _hear(connection: socket.socket, received: bytearray, until: float) -> Answer | None:
    """Receive until there is an answer; None when the time is up. ConnectionError when the other side is gone."""
    while (left := until - monotonic()) > 0:
        connection.settimeout(left)
        try:
            chunk = connection.recv(_LONGEST_ANSWER)
        except TimeoutError:
            break
        if not chunk:
            raise ConnectionResetError
        received += chunk
        if answer := read_answer(bytes(received)):
            return answer
    return None


def read_answer(received: bytes) -> Answer | None:
    """Read what came so far; None while it may become TWS's answer: a length, a version, the time, each field ended."""
    length = int.from_bytes(received[:_PREFIX].ljust(_PREFIX, b"\0"), "big")
    if length > _LONGEST_ANSWER:
        return _not_tws(received)
    if len(received) < _PREFIX or (length and len(received) < _PREFIX + length):
        return None
    fields = received[_PREFIX : _PREFIX + length].split(b"\0")
    # The last field is ended, too, so that nothing stands behind it.
    if len(fields) < 3 or fields[-1] or not (fields[0].isdigit() and len(fields[0]) <= _PREFIX):
        return _not_tws(received)
    version = int(fields[0])
    outcome = Outcome.OK if version >= OLDEST_SERVER_VERSION else Outcome.TOO_OLD
    return Answer(outcome, version, _printable(fields[1]), heard_at=wall_clock())


def _not_tws(received: bytes | bytearray) -> Answer:
    return Answer(Outcome.NOT_TWS, seen=_printable(bytes(received).splitlines()[0]))


def _printable(text: bytes) -> str:
    """At most a line of it, without what a terminal would obey."""
    shown = text.decode("latin-1")[:_SHOWN]
    return "".join(sign if sign.isascii() and sign.isprintable() else "." for sign in shown)
