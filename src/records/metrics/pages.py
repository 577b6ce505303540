"""What is served: `/metrics` for Prometheus, `/livez` and `/readyz` for who asks whether the session is well.

`/livez` answers 200 and the session's name while the process can answer at all. `/readyz` answers 200 when an order
could be sent now, and 503 with the reason when not. A session that waits for this port says so
by asking `/livez?waiting=<its id>`.
"""

from typing import Final
from urllib.parse import parse_qs

from src.records.metrics.collector import SessionCollector, Sources
from src.records.metrics.counters import SessionState
from src.runtime.clock import monotonic
from src.runtime.http_server import Page, Request

_PLAIN: Final = "text/plain; charset=utf-8"
#: Seconds after which a session that waits for this port, and has not asked again, counts as gone.
_FORGOTTEN: Final = 30.0
_MOST_WAITING: Final = 100


class Pages:
    """Answers requests about one session."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        sources.unwatched = self._unwatched
        self._waiting: dict[str, float] = {}
        #: Scrapes answered in all, and since the session has ended.
        self.scrapes = 0
        self.scrapes_of_the_end = 0

    def answer(self, request: Request) -> Page:
        """The page at a path; 404 where there is none."""
        if request.path == "/metrics":
            return self._metrics(request)
        if request.path == "/livez":
            self._note_waiting(request.query)
            counters = self._sources.counters
            return Page(200, _PLAIN, f"ok: session {counters.session or 'starting'}, {counters.mode}\n".encode())
        if request.path == "/readyz":
            reason = self.not_ready()
            return Page(200, _PLAIN, b"ok\n") if reason is None else Page(503, _PLAIN, f"{reason}\n".encode())
        return Page(404, _PLAIN, b"/metrics, /livez, /readyz\n")

    def not_ready(self) -> str | None:
        """Why no order could be sent now; None when one could."""
        counters = self._sources.counters
        if counters.state is not SessionState.RUNNING:
            return f"the session is {counters.state.value.replace('_', ' ')}"
        if self._sources.kill_switch():
            return "the kill switch is on"
        reading = self._sources.reading()
        if reading.health is None:
            return "the broker does not answer"
        if not reading.health.connected:
            return reading.health.error or "not connected"
        if reading.positions is None or reading.account is None:
            return "not synchronised: the account's positions or values are not known"
        return reading.health.error

    def _metrics(self, request: Request) -> Page:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import choose_encoder

        ended = self._sources.counters.state in (SessionState.ENDED_OK, SessionState.ENDED_ERROR)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(SessionCollector(self._sources))
        encode, content_type = choose_encoder(request.accept)
        body = encode(registry)
        self.scrapes += 1
        self.scrapes_of_the_end += ended
        return Page(200, content_type, body)

    def _note_waiting(self, query: str) -> None:
        for session in parse_qs(query).get("waiting", [])[:1]:
            if session in self._waiting or len(self._waiting) < _MOST_WAITING:
                self._waiting[session] = monotonic()

    def _unwatched(self) -> int:
        now = monotonic()
        for session, asked in tuple(self._waiting.items()):
            if now - asked > _FORGOTTEN:
                self._waiting.pop(session, None)
        return len(self._waiting)
