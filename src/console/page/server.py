"""The page's server: aiohttp on loopback, on an event loop of its own thread.

It serves files of its own, a stream of what the session looks like, and one command: the kill switch, by POST, behind
the token that the session prints. A request under another host name is refused, so that no page of the internet can
reach this one by a name that points here; nothing is changed by a GET. The session never waits for it.
"""

import asyncio
import hmac
import json
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from src.console.page.payload import chart_since, view_as_json
from src.console.view import SessionView
from src.domain.errors import ConfigurationError
from src.runtime.bridge import LoopThread
from src.trading.chart import Chart

_log: Final = logging.getLogger(__name__)
_ASSETS: Final = Path(__file__).parent / "assets"
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
_TOKEN: Final = "X-Understudy-Token"  # noqa: S105  # the header's name
_START_SECONDS: Final = 5.0
_INTERVAL: Final = 0.5
_BY_HAND: Final = "Ctrl-C in the session's terminal cancels its orders; `python -m src kill` tries again"
#: What a page may do: nothing but what comes from here.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageServer:
    """Serves a session's page on `host` and `port` (0: any). `look` gives the view, None before the session begins.

    `kill` stops all new risk, and says in words what it did; OSError when it cannot. ConfigurationError when the port
    is taken, or the host is not this machine's own.
    """

    def __init__(self, look: Callable[[], SessionView | None], chart: Chart, kill: Callable[[], str]) -> None:
        self._look, self._chart, self._kill = look, chart, kill
        self.token = secrets.token_urlsafe(16)
        self.port = 0
        self._thread: LoopThread | None = None
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self._has_failed = False

    def start(self, port: int = 0, host: str = "127.0.0.1") -> str:
        """Serve from now on; return the address to open, with the token in its fragment, which no server sees."""
        if host not in _LOOPBACK:
            raise ConfigurationError(f"--dashboard: the page is served on this machine only, not on {host}")
        self._thread = LoopThread("page")
        try:
            self._thread.call(self._open(host, port), _START_SECONDS)
        except OSError as error:
            self.stop()
            raise ConfigurationError(f"--dashboard: port {port} cannot be had: {_reason(error)}") from None
        return f"http://{host}:{self.port}/#{self.token}"

    async def _open(self, host: str, port: int) -> None:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/", self._file)
        app.router.add_get("/assets/{name}", self._file)
        app.router.add_get("/events", self._events)
        app.router.add_post("/kill", self._killed)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.port = self._runner.addresses[0][1]

    def stop(self) -> None:
        """End; idempotent, never raises."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            thread.call(self._close(), _START_SECONDS)
        except (TimeoutError, RuntimeError) as error:
            _log.warning("the page did not end well: %s", str(error) or type(error).__name__)
        thread.stop()

    async def _close(self) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    # --- what is asked ------------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        allowed = {f"{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        if request.headers.get("Host", "") not in allowed:
            raise web.HTTPMisdirectedRequest(text="this page is served to this machine only")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name", "index.html")
        path = _ASSETS / name
        if path.parent != _ASSETS or path.suffix not in _TYPES or not path.is_file():
            raise web.HTTPNotFound
        return web.Response(body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: the whole chart first, then what is new, and the view each time."""
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        loop, seen = asyncio.get_running_loop(), (0, 0, 0)
        while not self._closing.is_set():
            view = await loop.run_in_executor(None, self._look_on)  # a broker's snapshot may be behind a lock
            if view is not None:
                news, seen = chart_since(self._chart, seen)
                data = json.dumps({"view": view_as_json(view), "chart": news}, allow_nan=False)
                try:
                    await response.write(f"data: {data}\n\n".encode())
                except (ConnectionError, asyncio.CancelledError):
                    break
            try:
                await asyncio.wait_for(self._closing.wait(), _INTERVAL)
            except TimeoutError:
                continue
        return response

    def _look_on(self) -> SessionView | None:
        """One look; a page that is told nothing says by itself that what stands on it is old."""
        try:
            return self._look()
        except Exception:  # noqa: BLE001  # one bad look must not end the stream
            if not self._has_failed:
                _log.exception("the page cannot look at the session; it tries again, and this is not told again")
            self._has_failed = True
            return None

    async def _killed(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get(_TOKEN, "")
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            words = "the token is missing or wrong: open the address that the session has printed"
            return web.json_response({"done": False, "words": words}, status=403)
        try:
            words = self._kill()  # here and now: it must not queue behind looks at a broker that hangs
        except OSError as error:
            _log.error("the page's kill button could not throw the switch: %s", error)  # no traceback
            return web.json_response({"done": False, "words": f"NOT STOPPED: {error}. {_BY_HAND}"}, status=500)
        return web.json_response({"done": True, "words": words})


def _reason(error: OSError) -> str:
    """Why an address cannot be had; asyncio wraps the system's words in its own."""
    return str(error) if error.errno is None else os.strerror(error.errno)
