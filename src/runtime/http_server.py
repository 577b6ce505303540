"""A small HTTP server on threads of its own, for what is looked at: it answers GET, and nothing that it does trades.

A client that is slow, or says nothing, holds one of a few threads for some seconds, and nothing else. The `Host` header
must be an address or a name of this machine's, so that no web page can read what is served here by a name of its own.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socketserver import TCPServer
from typing import Any, Final
from urllib.parse import urlsplit

_log: Final = logging.getLogger(__name__)
_PATIENCE: Final = 5.0
_MOST_AT_ONCE: Final = 8
_LOCAL_NAMES: Final = frozenset({"localhost", "host.docker.internal"})
_PLAIN: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    path: str
    query: str
    accept: str


@dataclass(frozen=True, slots=True)
class Page:
    """An answer."""

    status: int
    content_type: str
    body: bytes


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class HttpServer:
    """Serves `answer` from its constructor on until `close`. OSError when the address cannot be had.

    With a `token`, each request must bear it: `Authorization: Bearer <token>`.
    """

    def __init__(self, host: str, port: int, answer: Callable[[Request], Page], token: str = "") -> None:
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer), "own_host": host, "token": token})
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._server = type("Server", (_Server,), {"address_family": family})((host, port), handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="http", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Listen no more; who is being answered is left to it. Idempotent."""
        self._server.shutdown()
        self._server.server_close()


class PatientServer:
    """An `HttpServer` that waits for its port while somebody else has it, and takes it as soon as it is free.

    The constructor tries once. `on_taken` is told of the first failure, `on_served` of the port when it was waited
    for; `while_waiting` is called at each further attempt. All on a thread of its own.
    """

    def __init__(
        self,
        serve: Callable[[], HttpServer],
        on_taken: Callable[[OSError], None],
        on_served: Callable[[int], None],
        while_waiting: Callable[[], None],
        every: float = 2.0,
    ) -> None:
        self._serve, self._on_served, self._while_waiting, self._every = serve, on_served, while_waiting, every
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self.server: HttpServer | None = None
        try:
            self.server = serve()
        except OSError as error:
            threading.Thread(target=self._wait, args=(error, on_taken), name="http-waiting", daemon=True).start()

    def _wait(self, error: OSError, on_taken: Callable[[OSError], None]) -> None:
        on_taken(error)
        while not self._closed.wait(self._every):
            with self._lock:
                if self._closed.is_set():
                    return
                try:
                    self.server = self._serve()
                except OSError:
                    pass
                else:
                    self._on_served(self.server.port)
                    return
            self._while_waiting()

    def close(self) -> None:
        """Serve no more, and wait for the port no more."""
        self._closed.set()
        with self._lock:
            if self.server is not None:
                self.server.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    # On Windows the option would let two programs share a port.
    allow_reuse_address = os.name == "posix"
    request_queue_size = 16

    def __init__(self, *arguments: Any) -> None:  # socketserver's own
        self._free = threading.BoundedSemaphore(_MOST_AT_ONCE)
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """Bind, without the look-up of a name that http.server does: it may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Answer on a thread of its own, or not at all when too many are being answered."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Answer, and let the next one in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """A client that leaves in the middle is none of the session's business."""
        del request, client_address
        _log.debug("an HTTP request was not answered", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = _PATIENCE
    server_version = "understudy"
    sys_version = ""
    answer: Callable[[Request], Page]
    own_host: str
    token: str

    def do_GET(self) -> None:  # http.server's name
        """Answer, when the request may be answered at all."""
        self._send(self._page())

    do_HEAD = do_GET  # noqa: N815

    def _page(self) -> Page:
        if not self._host_is_ours():
            return Page(403, _PLAIN, b"the Host header names nobody here\n")
        given = self.headers.get("Authorization", "")
        if self.token and not compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            return Page(401, _PLAIN, b"a token is needed: Authorization: Bearer <token>\n")
        url = urlsplit(self.path)
        try:
            return self.answer(Request(url.path, url.query, self.headers.get("Accept", "")))
        except Exception:  # noqa: BLE001  # whatever it is, the page's, and the log has it
            _log.exception("the page %s could not be made", url.path)
            return Page(500, _PLAIN, b"this page could not be made; the session's log says why\n")

    def _host_is_ours(self) -> bool:
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        except ValueError:
            return False
        if name in _LOCAL_NAMES or name == self.own_host.lower():
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True

    def _send(self, page: Page) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # http.server's name
        """To the debug log, not to standard error."""
        _log.debug("http: " + format, *arguments)
