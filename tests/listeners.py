"""Who may be at a port: TWS, those that are not, and those that say nothing. Each is a real server on this machine."""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Address = tuple[str, int]
Handler = Callable[[socket.socket], None]
GREETING = b"API\0\0\0\0\x09v157..178"
NEW_YORK = "20260105 09:31:02 EST"


@dataclass
class Listener:
    """Where it listens, and how often somebody has connected."""

    address: Address
    connections: int = 0
    heard: list[bytes] = field(default_factory=list)


@contextmanager
def listening(handle: Handler, host: str = "127.0.0.1") -> Iterator[Listener]:
    """Hand every connection to `handle` on a thread, and close it afterwards."""
    with socket.create_server((host, 0)) as server:
        listener = Listener(server.getsockname())
        ended = threading.Event()

        def serve() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    if ended.is_set():
                        return
                    listener.connections += 1
                    with suppress(OSError):
                        handle(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            ended.set()
            socket.create_connection(listener.address).close()
            thread.join(60)
            assert not thread.is_alive()


def resetting(connection: socket.socket) -> None:
    """TWS without trust in the address: a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closing(connection: socket.socket) -> None:
    """The same, politely."""
    connection.shutdown(socket.SHUT_RDWR)


def silent(connection: socket.socket) -> None:
    """TWS with a dialog on its screen: it reads, and answers nothing."""
    while connection.recv(1024):
        pass


def saying(words: bytes) -> Handler:
    """Somebody who speaks first, and does not listen."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(words)
        silent(connection)

    return handle


def dripping(words: bytes, seconds: float) -> Handler:
    """A byte at a time."""

    def handle(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert connection.recv(1024) == GREETING
        for byte in words:
            connection.sendall(bytes([byte]))
            if select.select([connection], [], [], seconds)[0]:
                return
        silent(connection)

    return handle


def hello(version: int, time: str = NEW_YORK) -> bytes:
    """The frame by which TWS answers a greeting."""
    payload = f"{version}\0{time}\0".encode()
    return len(payload).to_bytes(4, "big") + payload


def tws(version: int = 176, time: str = NEW_YORK, heard: list[bytes] | None = None) -> Handler:
    """TWS as far as the greeting goes; what comes after it is put into `heard`."""

    def handle(connection: socket.socket) -> None:
        assert connection.recv(1024).startswith(b"API\0")  # a client library asks for other versions than we
        connection.sendall(hello(version, time))
        while more := connection.recv(1024):
            if heard is not None:
                heard.append(more)

    return handle


@contextmanager
def http_server() -> Iterator[Address]:
    """A web server that waits for a whole line before it says anything."""

    class Quiet(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield ("127.0.0.1", server.server_port)
        finally:
            server.shutdown()
            thread.join(60)
