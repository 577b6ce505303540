"""A TCP proxy that spoils what passes through it, between a client and a gateway, as a test commands while it runs.

It knows the protocol's frames (a length of four bytes and a payload that begins with the message's number), so that
a fault meets a message, or a byte within one. What it has passed on it remembers, with the time of day.
"""

import asyncio
import inspect
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from src.runtime.bridge import LoopThread
from src.runtime.clock import wall_clock

_PATIENCE: Final = 10.0
_AT_ONCE: Final = 65_536
_GREETING: Final = b"API\0"
PLACE_ORDER: Final = "3"


class Way(StrEnum):
    """Which way bytes go: out of the client, or in to it."""

    OUT = "out"
    IN = "in"


class Do(StrEnum):
    """What becomes of a message, or, from the byte named, of the connection."""

    RESET = "reset"  # RST both ways
    FIN = "fin"  # an orderly end both ways
    SILENCE = "silence"  # read on, pass nothing on
    HALF_OPEN = "half_open"  # neither read nor write: the buffers fill
    DROP = "drop"
    DUPLICATE = "duplicate"
    GARBAGE = "garbage"  # `data` in its place
    TRUNCATE = "truncate"  # what is left of it is never sent, and the next follows
    DELAY = "delay"  # it and all behind it wait `seconds`


@dataclass(slots=True)
class Fault:
    """Of the messages that go `way` and bear `kind` ("": any; "API": the greeting), the `nth` from now on meets it.

    `at` bytes of the frame pass first; as many as there are when it is greater. `count`: so often, message by message.
    """

    do: Do
    way: Way
    kind: str = ""
    nth: int = 1
    at: int = 0
    seconds: float = 0.0
    data: bytes = b""
    count: int = 1

    def meets(self, way: Way, kind: str) -> bool:
        """Count a message; whether it is the one."""
        if way is not self.way or self.kind not in ("", kind) or self.count <= 0:
            return False
        self.nth -= 1
        if self.nth > 0:
            return False
        self.count -= 1
        return True


@dataclass(frozen=True, slots=True)
class Passed:
    """Bytes of one frame that were passed on. `time` is epoch ns, when their sending began."""

    time: int
    way: Way
    kind: str
    frame: bytes


@dataclass(slots=True)
class Shape:
    """How bytes flow one way: in pieces of so many bytes, a pause between; so many frames gathered; so much later."""

    piece: int = 0
    pause: float = 0.0
    gather: int = 1
    later: float = 0.0


@dataclass(slots=True)
class _Half:
    """One direction's bytes, cut into frames."""

    greets: bool
    left: bytes = b""

    def frames(self, data: bytes) -> list[tuple[str, bytes]]:
        """Whole frames, each with its message's number."""
        have, start, found = self.left + data, 0, list[tuple[str, bytes]]()
        if self.greets and len(have) >= len(_GREETING):
            self.greets, start = False, len(_GREETING)
            found.append(("API", have[:start]))
        while not self.greets and len(have) >= start + 4:
            end = start + 4 + int.from_bytes(have[start : start + 4])
            if len(have) < end:
                break
            kind = have[start + 4 : min(start + 12, end)].split(b"\0", 1)[0]
            found.append((kind.decode(errors="replace"), have[start:end]))
            start = end
        self.left = have[start:]
        return found


class _Link:
    """One client's connection and the one to the gateway behind it."""

    def __init__(self, proxy: "FaultProxy", client: socket.socket, gateway: socket.socket) -> None:
        self._proxy, self._sockets = proxy, {Way.OUT: (client, gateway), Way.IN: (gateway, client)}
        self.flows = asyncio.Event()
        self.flows.set()
        self.is_silent = False
        self._pumps = asyncio.gather(*map(self._pump, Way), return_exceptions=True)
        self._pumps.add_done_callback(self._close)

    async def _pump(self, way: Way) -> None:
        source, _ = self._sockets[way]
        half, loop = _Half(way is Way.OUT), asyncio.get_running_loop()
        try:
            while True:
                await self.flows.wait()
                data = await loop.sock_recv(source, _AT_ONCE)
                await self.flows.wait()
                if self.is_silent:
                    if not data:
                        return
                    continue
                if not data:
                    self.end(Do.FIN)
                    return
                for kind, whole in half.frames(data):
                    await self._meet(way, kind, whole)
        except OSError:
            self.end(Do.RESET)

    async def _meet(self, way: Way, kind: str, whole: bytes) -> None:
        if self._proxy.witness is not None:
            self._proxy.witness(way, kind, whole)
        fault = next((each for each in self._proxy.faults if each.meets(way, kind)), None)
        if fault is None:
            await self._send(way, kind, whole)
            return
        if fault.do is Do.DELAY:
            await asyncio.sleep(fault.seconds)
            await self._send(way, kind, whole)
        elif fault.do is Do.DUPLICATE:
            await self._send(way, kind, whole + whole)
        elif fault.do is Do.GARBAGE:
            await self._send(way, kind, whole[: fault.at] + fault.data)
        else:
            await self._send(way, kind, whole[: fault.at])
            if fault.do not in (Do.DROP, Do.TRUNCATE):
                self.end(fault.do)
            if fault.do is Do.HALF_OPEN:
                await self._send(way, kind, whole[fault.at :])  # TCP loses nothing: once it flows again

    async def _send(self, way: Way, kind: str, data: bytes) -> None:
        await self.flows.wait()
        if not data or self.is_silent:
            return
        shape, loop = self._proxy.shapes[way], asyncio.get_running_loop()
        if shape.later:
            await asyncio.sleep(shape.later)
        if shape.gather > 1:
            held = self._proxy.held[way]
            held.append(data)
            if len(held) < shape.gather:
                return
            data = b"".join(held)
            held.clear()
        if self._proxy.remembers:
            self._proxy.passed.append(Passed(wall_clock(), way, kind, data))
        _, sink = self._sockets[way]
        step = shape.piece or len(data)
        for start in range(0, len(data), step):
            await self.flows.wait()
            await loop.sock_sendall(sink, data[start : start + step])
            if shape.pause:
                await asyncio.sleep(shape.pause)

    def end(self, how: Do) -> None:
        """End, or spoil, the connection."""
        if how is Do.HALF_OPEN:
            self.flows.clear()
            return
        self.is_silent = True
        for end in self._sockets[Way.OUT]:
            with suppress(OSError):
                if how is Do.FIN:
                    end.shutdown(socket.SHUT_WR)
                elif how is Do.RESET:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if how is Do.RESET:
            self._pumps.cancel()

    def _close(self, pumps: "asyncio.Future[list[BaseException | None]]") -> None:
        """Let go of both sockets, once nobody waits on them."""
        if not pumps.cancelled():
            pumps.exception()  # seen: a cancelled pump is how a reset ends
        self._proxy.links.discard(self)
        for end in self._sockets[Way.OUT]:
            end.close()

    def behave(self) -> None:
        """Flow again; what was silent has lost bytes, and is reset."""
        self.flows.set()
        if self.is_silent:
            self.end(Do.RESET)


class FaultProxy:
    """Listens on a free port of this machine inside `with`, and passes on to `target`, a port of it."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.faults: list[Fault] = []
        self.shapes = {way: Shape() for way in Way}
        self.held: dict[Way, list[bytes]] = {way: [] for way in Way}
        self.passed: list[Passed] = []
        self.remembers = True
        #: Is shown each whole message before it meets its fate, on the proxy's thread.
        self.witness: Callable[[Way, str, bytes], None] | None = None
        self.links: set[_Link] = set()
        self.accepted = 0
        self._thread = LoopThread("fault-proxy")
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    # --- commands ---------------------------------------------------------------------------------------------------

    def arm(self, *faults: Fault) -> None:
        """These faults from now on, beside those that wait already; of several that fit, the first."""
        self._run(lambda: self.faults.extend(faults))

    def shape(self, way: Way, shape: Shape) -> None:
        """Let bytes flow so from now on."""
        self._run(lambda: self.shapes.update({way: shape}))

    def end(self, how: Do) -> None:
        """Meet every connection with RESET, FIN, SILENCE or HALF_OPEN, now."""

        def end() -> None:
            for link in tuple(self.links):
                link.end(how)

        self._run(end)

    def behave(self) -> None:
        """Forget every fault and shape; what is half open flows again, what is silent is reset."""

        def forget() -> None:
            self.faults.clear()
            self.shapes.update({way: Shape() for way in Way})
            for link in tuple(self.links):
                link.behave()

        self._run(forget)

    def refuse(self) -> None:
        """Listen no more; what is connected stays."""
        self._run(self._stop_listening)

    def listen(self) -> None:
        """Listen again, on the same port."""
        self._run(self._listen)

    @property
    def order_bytes(self) -> int:
        """How many bytes of orders, changes and previews have gone out."""
        return sum(len(each.frame) for each in self.sent(PLACE_ORDER))

    def sent(self, kind: str) -> list[Passed]:
        """What of a kind has gone out."""
        return [each for each in tuple(self.passed) if each.way is Way.OUT and each.kind == kind]

    # ----------------------------------------------------------------------------------------------------------------

    def _run(self, what: Callable[[], object]) -> None:
        async def run() -> None:
            found = what()
            if inspect.isawaitable(found):
                await found

        self._thread.call(run(), _PATIENCE)

    async def _listen(self) -> None:
        await self._stop_listening()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._accepting = asyncio.ensure_future(self._accept(self._listener))

    async def _stop_listening(self) -> None:
        if self._listener is not None and self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
            self._listener.close()
            self._listener = self._accepting = None

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            self.accepted += 1
            gateway = socket.socket()
            for end in (client, gateway):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await loop.sock_connect(gateway, ("127.0.0.1", self.target))
            except BaseException as error:
                client.close()
                gateway.close()
                if not isinstance(error, OSError):
                    raise
            else:
                self.links.add(_Link(self, client, gateway))

    def __enter__(self) -> Self:
        self._run(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        async def stop() -> None:
            await self._stop_listening()
            for link in tuple(self.links):
                link.end(Do.RESET)

        self._run(stop)
        self._thread.stop()
