"""One client's connection: the greeting, frames in, messages out in their order, each after the gateway's latency.

What a client sends can end its own connection at most: a frame that cannot be read is answered by error 320, and one
that is too long by 507 and the end.
"""

import asyncio
import logging
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol, cast

from src.gateways.tws_codec import (
    ErrorMessage,
    FrameReader,
    Reply,
    Request,
    ServerHello,
    StartApi,
    WireError,
    decode_client_hello,
    decode_request,
    encode_reply,
    encode_server_hello,
    frame,
    negotiate,
)
from src.gateways.tws_server.times import greeting_time

_log = logging.getLogger(__name__)
_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
_GREETING_SECONDS: Final = 60.0
_LAST_WORDS_SECONDS: Final = 1.0
_WRITE_AT_ONCE: Final = 16_384
_SLOW: Final = 1 << 20
_STUCK: Final = 64 << 20
READING_ERROR, TOO_LONG, NOT_CONNECTED = 320, 507, 504


class Host(Protocol):
    """The server, as a connection sees it."""

    max_server_version: int
    latency: float
    #: What every answer passes before it is written; None: nothing.
    on_send: "Callable[[Connection, Reply], None] | None"

    def now(self) -> int:
        """Market time."""
        ...

    def connected(self, connection: "Connection") -> None:
        """A socket was accepted."""
        ...

    def greeting(self, connection: "Connection", hello: ServerHello) -> ServerHello | None:
        """What is said first, None for nothing."""
        ...

    def start_client(self, connection: "Connection", message: StartApi) -> None:
        """The client has said who it is."""
        ...

    def receive(self, connection: "Connection", message: Request) -> None:
        """A request has come."""
        ...

    def lost(self, connection: "Connection") -> None:
        """The connection is over."""
        ...


class Connection(asyncio.Protocol):
    """One client from its first byte to its last. `client_id` is -1 until it has started."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._socket: socket.socket | None = None
        self._reader = FrameReader(expects_prefix=True)
        self._deadline: asyncio.TimerHandle | None = None
        self._ready: list[bytes] = []
        self._later: deque[tuple[float, bytes]] = deque()
        self._flushing: asyncio.Handle | None = None
        self.is_at_once = False  # what is sent waits for no latency: the synchronisation at a connection's start
        self._is_receiving = False  # what is written meanwhile leaves with all else at its end
        self._is_finished = False
        self._unread: bytearray | None = None  # what has come while the connection hangs
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.server_version = 0
        self.client_id = -1
        self.is_slow = False  # it does not read as fast as we write: market data skip it

    # --- the socket ------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket; small messages leave at once."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_SLOW)
        self._socket = transport.get_extra_info("socket")
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deadline = self._loop.call_later(_GREETING_SECONDS, self.close)
        self._host.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was to be sent; the client's orders stay."""
        del exc
        for handle in (self._deadline, self._flushing):
            if handle is not None:
                handle.cancel()
        self._transport = None
        self._ready.clear()
        self._later.clear()
        self._host.lost(self)
        self.ended.set_result(None)

    def pause_writing(self) -> None:
        """The client does not read."""
        self.is_slow = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.is_slow = False

    @property
    def is_open(self) -> bool:
        """Whether something can be sent."""
        return self._transport is not None and not self._transport.is_closing() and not self._is_finished

    @property
    def is_started(self) -> bool:
        """Whether the client has said who it is."""
        return self.client_id >= 0

    def close(self) -> None:
        """Send what is due, then end the connection."""
        if self._transport is not None:
            self._ready += (data for _, data in self._later)
            self._later.clear()
            self.flush()
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once; what was not written is lost."""
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """End the connection with a reset (RST)."""
        if self._socket is not None and self._transport is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def finish(self) -> None:
        """Send what is due and end in order (FIN); what the client still says is not read."""
        if self._transport is not None and self.is_open:
            self._ready += (data for _, data in self._later)
            self._later.clear()
            self.flush()
            self._is_finished = True
            self._transport.write_eof()
            self._loop.call_later(_LAST_WORDS_SECONDS, self.close)

    def hang(self, seconds: float | None) -> None:
        """Neither read nor write for `seconds`: what comes and goes meanwhile waits. None: for good."""
        if seconds is None:
            self._is_finished = True
            self._ready.clear()
            self._later.clear()
            return
        if self._unread is None:
            self._unread = bytearray()
        self._loop.call_later(seconds, self._revive)

    def _revive(self) -> None:
        waited, self._unread = self._unread, None
        if waited and self.is_open:
            self.data_received(bytes(waited))
        self._flush_later()

    # --- bytes in --------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Read what has come: the greeting first, then frames, as many as there are."""
        if self._is_finished:
            return
        if self._unread is not None:
            self._unread += data[: _STUCK - len(self._unread)]
            return
        if self._socket is not None and _QUICKACK is not None:
            # Old clients leave Nagle's algorithm on: without this their second message waits 40 ms for our delayed ACK.
            # Also where an answer follows at once, which acknowledges too: left out there, it took a third longer.
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        self._is_receiving = True
        try:
            for payload in self._reader.feed(data):
                if not self.is_open:
                    return
                if self.server_version:
                    self._take(payload)
                else:
                    self._greet(payload)
        except WireError as error:
            self._end(error)
        finally:
            self._is_receiving = False
        self.flush()

    def _greet(self, payload: bytes) -> None:
        asked = decode_client_hello(payload)
        version = negotiate(asked.oldest, asked.newest, self._host.max_server_version)
        if version is None:
            raise WireError("greeting", "versions", f"{asked.oldest} to {asked.newest} are not spoken here")
        self.server_version = version
        hello = self._host.greeting(self, ServerHello(version, greeting_time(self._host.now())))
        if hello is not None:
            self._write(frame(encode_server_hello(hello)))

    def _end(self, error: WireError) -> None:
        """What came cannot be TWS's protocol: nothing after it can be read."""
        _log.warning("client %d: its connection ends: %s", self.client_id, error)
        if self.server_version:
            self.error(-1, TOO_LONG, f"Bad message length: {error}")
        self.close()

    def _take(self, payload: bytes) -> None:
        message: Request | None = None
        try:
            message = decode_request(payload, self.server_version)
            if type(message) is StartApi:
                if self._deadline is not None:
                    self._deadline.cancel()
                self._host.start_client(self, message)
            elif self.client_id < 0:
                self.send(ErrorMessage(-1, NOT_CONNECTED, "Not connected: startApi comes first"))
            else:
                self._host.receive(self, message)
        except WireError as error:
            _log.warning("client %d: %s", self.client_id, error)
            found = -1 if error.request_id is None else error.request_id
            self.error(found, READING_ERROR, f"Error reading request: {error}")
        except Exception:  # noqa: BLE001  # one request must not end the connection, or the server
            _log.exception("client %d: a request could not be processed", self.client_id)
            request_id = getattr(message, "req_id", getattr(message, "order_id", -1))
            self.error(request_id, READING_ERROR, "Error processing request: the gateway failed, see its log")

    # --- messages out ----------------------------------------------------------------------------------------------

    def error(self, request_id: int, code: int, text: str) -> None:
        """Send an error, warning or notice."""
        self.send(ErrorMessage(request_id, code, text))

    def send(self, message: Reply) -> None:
        """Send a message, unless a scenario wants something else of it."""
        if self._host.on_send is None:
            self.put(message)
        else:
            self._host.on_send(self, message)

    def put(self, message: Reply, texts: Mapping[bytes, bytes] | None = None) -> None:
        """Write a message after the gateway's latency, behind those before it; `texts` are put in others' places."""
        if not self.is_open:
            return
        try:
            payload = encode_reply(message, self.server_version)
            if texts:
                for old, new in texts.items():
                    payload = payload.replace(old, new)
            data = frame(payload)
        except WireError:
            _log.exception("client %d: a message could not be written", self.client_id)
            return
        latency = 0.0 if self.is_at_once else self._host.latency
        if latency or self._later:
            due = self._loop.time() + latency
            if self._later:
                due = max(due, self._later[-1][0])
            self._later.append((due, data))
            if self._flushing is None:
                self._flushing = self._loop.call_at(due, self._flush_later)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        self._ready.append(data)
        if self._flushing is None and not self._later and not self._is_receiving:
            self._flushing = self._loop.call_soon(self._flush_later)

    def _flush_later(self) -> None:
        self._flushing = None
        now = self._loop.time() + 0.000_5
        while self._later and self._later[0][0] <= now:
            self._ready.append(self._later.popleft()[1])
        self.flush()
        if self._later:
            self._flushing = self._loop.call_at(self._later[0][0], self._flush_later)

    def flush(self) -> None:
        """Write what is due, in pieces that clients take well."""
        if self._transport is None or not self._ready or self._unread is not None:
            return
        piece: list[bytes] = []
        size = 0
        for data in self._ready:
            piece.append(data)
            size += len(data)
            if size >= _WRITE_AT_ONCE:
                self._transport.write(b"".join(piece))
                piece, size = [], 0
        self._transport.write(b"".join(piece))
        self._ready.clear()
        if self._transport.get_write_buffer_size() > _STUCK:
            _log.warning("client %d does not read: its connection ends", self.client_id)
            self.abort()
