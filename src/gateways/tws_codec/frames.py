"""Frames and the greeting: what stands around and before the messages.

A frame is a 4-byte length, big-endian, and its payload. A client begins with the four bytes `API` NUL, then a frame
with the versions that it knows; the server answers with one frame: the version and the time. Everything after is a
message. The server sends nothing between its greeting and the client's StartApi: the official client loses it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from src.gateways.tws_codec.errors import WireError
from src.gateways.tws_codec.layout import NEWEST, OLDEST

PREFIX: Final = b"API\0"
#: The longest payload that official clients take.
MAX_FRAME: Final = 0xFFFFFF
_LENGTH: Final = 4
_MAX_HELLO: Final = 1_024
#: Libraries send a field from this version on that they read from the next one only: it is never negotiated.
_HOLE: Final = 158
_VERSIONS: Final = re.compile(r"v([0-9]{1,5})(?:\.\.([0-9]{1,5}))?(?: (.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The versions that a client knows, and its options such as `+PACEAPI`."""

    oldest: int
    newest: int
    options: str = ""


@dataclass(frozen=True, slots=True)
class ServerHello:
    """The version that both speak, and the server's time with its zone."""

    server_version: int
    time: str


def frame(payload: bytes) -> bytes:
    """The payload behind its length. Raises WireError where a client would not take it."""
    if not 0 < len(payload) <= MAX_FRAME:
        raise WireError("frame", "length", f"{len(payload)} is not between 1 and {MAX_FRAME}")
    return len(payload).to_bytes(_LENGTH) + payload


class FrameReader:
    """Cuts a stream of bytes into payloads. It holds one frame at most, and what came with its end.

    With `expects_prefix` the stream is a client's from its first byte on. After a fault nothing can be understood any
    more: every later `feed` raises it again.
    """

    def __init__(self, *, expects_prefix: bool = False) -> None:
        self._buffer = bytearray()
        self._missing = PREFIX if expects_prefix else b""
        self._fault: WireError | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give the payloads that are whole now.

        Raises WireError behind the last good one where the stream is not TWS's, as early as that can be known.
        """
        self._buffer += data
        return self._frames()

    def _frames(self) -> Iterator[bytes]:
        if self._fault is None:
            self._read_prefix()
        while self._fault is None and not self._missing and len(self._buffer) >= _LENGTH:
            length = int.from_bytes(self._buffer[:_LENGTH])
            if not 0 < length <= MAX_FRAME:
                self._fault = WireError("frame", "length", f"{length} is not between 1 and {MAX_FRAME}")
            elif len(self._buffer) < _LENGTH + length:
                return
            else:
                payload = bytes(self._buffer[_LENGTH : _LENGTH + length])
                del self._buffer[: _LENGTH + length]
                yield payload
        if self._fault is not None:
            self._buffer.clear()
            raise self._fault

    def _read_prefix(self) -> None:
        found = bytes(self._buffer[: len(self._missing)])
        if not self._missing.startswith(found):
            self._fault = WireError("greeting", "prefix", f"{found!r} is not the start of {PREFIX!r}")
        self._missing = self._missing[len(found) :]
        del self._buffer[: len(found)]


def decode_client_hello(payload: bytes) -> ClientHello:
    """A client's first frame: `v157..178 options`, or `v157`."""
    match = _VERSIONS.fullmatch(payload.decode(errors="replace")) if len(payload) <= _MAX_HELLO else None
    if match is None:
        raise WireError("greeting", "versions", f"{payload[:40]!r} is not v<oldest>..<newest>")
    oldest, newest, options = match.groups()
    return ClientHello(int(oldest), int(newest or oldest), options or "")


def encode_client_hello(hello: ClientHello) -> bytes:
    """All that a client sends first: the prefix and its first frame."""
    options = f" {hello.options}" if hello.options else ""
    return PREFIX + frame(f"v{hello.oldest}..{hello.newest}{options}".encode())


def encode_server_hello(hello: ServerHello) -> bytes:
    """The payload of the server's greeting."""
    return f"{hello.server_version}\0{hello.time}\0".encode()


def decode_server_hello(payload: bytes) -> ServerHello:
    """The server's greeting."""
    version, *rest = payload.decode(errors="replace").split("\0") if len(payload) <= _MAX_HELLO else [""]
    if not (version.isdecimal() and version.isascii() and len(version) <= 5 and len(rest) == 2 and not rest[1]):
        raise WireError("greeting", "version", f"{payload[:40]!r} is not a version and a time")
    return ServerHello(int(version), rest[0])


def negotiate(client_oldest: int, client_newest: int, own_newest: int = NEWEST) -> int | None:
    """The server version that both speak, or None: the newest common one, but 157 instead of 158."""
    version = min(client_newest, own_newest, NEWEST)
    if version == _HOLE:
        version = OLDEST
    return version if version >= max(client_oldest, OLDEST) else None
