"""A session's metrics, served while it goes: on which port, to whom, and until when.

A port that somebody else has never touches trading: one warning names who has it, the session goes on, and takes the
port as soon as it is free. Meanwhile it knocks there, so that a session of ours that has the port shows in its own
metrics that another one is not watched (`ibkr_unwatched_sessions`), and an alert says so.
"""

import logging
from functools import partial
from platform import python_version
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from src.console.metrics import SessionMetrics
from src.domain.errors import ConfigurationError
from src.records.metrics.collector import Sources
from src.records.metrics.counters import SessionCounters, SessionState
from src.records.metrics.pages import Pages
from src.runtime.clock import new_session_id
from src.runtime.http_server import HttpServer, PatientServer, is_loopback
from src.runtime.worker import wait_until

if TYPE_CHECKING:
    from src.settings import Settings

_log: Final = logging.getLogger(__name__)
_KNOCK_SECONDS: Final = 2.0


class MetricsServer:
    """Serves one session's metrics from entering to leaving, and leaves only when the session's end has been scraped.

    ConfigurationError when it may not be served there.
    """

    def __init__(self, settings: "Settings", *, real_time: bool = True) -> None:
        self._host, self._port, self._linger = (
            settings.metrics_host,
            settings.metrics_port or 0,
            settings.metrics_linger,
        )
        self._token = settings.metrics_token
        if not (is_loopback(self._host) or self._token):
            raise ConfigurationError(
                f"METRICS_HOST={self._host} can be reached from other machines: set METRICS_TOKEN as well, to 16 "
                "characters or more, or leave METRICS_HOST at 127.0.0.1"
            )
        sources = Sources(
            SessionCounters(settings.symbols),
            expected_backend="simulated" if settings.backend == "simulated" else "tws",
            build={"python": python_version()},
        )
        hours = settings.sim_market_hours
        self.session = SessionMetrics(sources, never_closes=hours == "always" or (hours == "auto" and real_time))
        self._pages = Pages(sources)
        self._id = new_session_id()
        self._server: PatientServer | None = None

    @property
    def port(self) -> int | None:
        """The port served on; None while it is somebody else's."""
        server = self._server.server if self._server is not None else None
        return None if server is None else server.port

    def __enter__(self) -> Self:
        serve = partial(HttpServer, self._host, self._port, self._pages.answer, self._token)
        self._server = PatientServer(serve, self._taken, self._served, self._keep_knocking)
        if self.port is not None:
            self._served(self.port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        counters = self.session.counters
        if counters.state in (SessionState.STARTING, SessionState.RUNNING):  # it never came to its end
            counters.state = SessionState.ENDED_ERROR
        try:
            self._wait_for_last_scrape()
        finally:
            if self._server is not None:
                self._server.close()

    def _wait_for_last_scrape(self) -> None:
        """Who has never been scraped waits for nobody."""
        if self._pages.scrapes and self._linger:
            _log.info("the metrics stay until they have been scraped once more, %g s at most", self._linger)
            wait_until(lambda: self._pages.scrapes_of_the_end > 0, self._linger)

    def _served(self, port: int) -> None:
        _log.info("metrics at http://%s:%d/metrics", f"[{self._host}]" if ":" in self._host else self._host, port)

    def _taken(self, error: OSError) -> None:
        holder = self._knock()
        who = f"it is served by {holder}" if holder else error.strerror or "it cannot be listened on"
        _log.warning(
            "METRICS_PORT %s:%d: %s. This session trades on, and nobody watches it until the port is free; a second "
            "session needs a METRICS_PORT of its own, and a line in ops/prometheus/targets.yml",
            self._host, self._port, who,
        )  # fmt: skip

    def _keep_knocking(self) -> None:
        self._knock()

    def _knock(self) -> str:
        """Tell who has the port that this session waits for it; return its name if it is a session of ours."""
        from http.client import HTTPConnection, HTTPException  # seldom needed

        connection = HTTPConnection(self._host, self._port, timeout=_KNOCK_SECONDS)
        try:
            headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            connection.request("GET", f"/livez?waiting={self._id}", headers=headers)
            answer = connection.getresponse().read(200).decode("ascii", "replace").strip()
        except (OSError, HTTPException):
            return ""
        finally:
            connection.close()
        return answer.removeprefix("ok: ") if answer.startswith("ok: session ") else ""
