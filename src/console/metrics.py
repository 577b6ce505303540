"""A session's metrics, served while it goes: what is counted where, on which port, and until when.

A port that somebody else has never touches trading: one warning names who has it, the session goes on, and takes the
port as soon as it is free. Meanwhile it knocks there, so that a session of ours that has the port shows in its own
metrics that another one is not watched (`ibkr_unwatched_sessions`), and an alert says so.
"""

import logging
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from math import nan
from platform import python_version
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from src.brokers.guarded import GuardedBroker
from src.domain.errors import BrokerError, ConfigurationError
from src.domain.events import Event, Filled
from src.domain.market import Bar
from src.domain.orders import Order, Trade
from src.records.metrics.collector import Sources
from src.records.metrics.counters import SessionCounters, SessionState
from src.records.metrics.pages import Pages
from src.records.metrics.readings import Readings
from src.runtime.clock import NS, monotonic, new_session_id, wall_clock
from src.runtime.http_server import HttpServer, PatientServer, is_loopback
from src.runtime.worker import call_in_parallel, wait_until
from src.trading.hours import MarketHours
from src.trading.observer import Observer, Watched

if TYPE_CHECKING:
    from src.settings import Settings

_log: Final = logging.getLogger(__name__)
_KNOCK_SECONDS: Final = 2.0


class SessionMetrics(Observer):
    """Counts what a session does, in plain slots, and tells the collector whom to ask for the rest."""

    def __init__(self, sources: Sources, *, never_closes: bool = False) -> None:
        """`never_closes` is of a simulated market in this process."""
        self.sources, self.counters = sources, sources.counters
        self._never_closes = never_closes
        self._session: Watched | None = None
        self._deciding_since = nan

    def began(self, session: Watched, equity: float) -> None:  # noqa: D102  # see Observer, here and below
        counters, broker, contracts = self.counters, session.broker, tuple(session.contracts.values())
        self._session = session
        try:
            held = broker.positions()
        except BrokerError:
            counters.shares_before = None  # unknown, so that no mismatch can be told
        else:
            counters.shares_before = {one.contract.symbol: float(one.quantity) for one in held}
        hours = MarketHours(broker, contracts[0], never_closes=self._never_closes)
        self.sources.reading = Readings(broker, contracts, hours).take
        if isinstance(broker, GuardedBroker):
            self._watch_guards(broker)
        counters.session, counters.mode = session.session, broker.mode.value
        counters.valued(equity)
        counters.started_at = counters.loop_last_success = wall_clock() / NS
        counters.state = SessionState.RUNNING
        # Who looks on never waits for a quote; somebody has to subscribe to it.
        call_in_parallel(
            [partial(broker.quote, one) for one in contracts if broker.latest_quote(one) is None], timeout=0.0
        )

    def _watch_guards(self, broker: GuardedBroker) -> None:
        sources, most = self.sources, broker.limits.max_daily_loss

        def daily_loss_limit(worth: Decimal, daily: Decimal) -> Decimal | None:
            # Of what the account had this morning, as the guards count it.
            return None if most is None else most.of(max(worth - daily, worth))

        sources.daily_loss_limit = daily_loss_limit
        sources.refusals = lambda: broker.refusals
        sources.kill_switch = lambda: broker.is_killed
        sources.journal = lambda: broker.journal_counts

    def heard(self, event: Event) -> None:  # noqa: D102
        self.counters.heard(event, monotonic())
        if isinstance(event, Filled):
            self._note_shares()

    def deciding(self, bars: Sequence[Bar]) -> None:  # noqa: D102
        last_close = self.counters.last_close
        for bar in bars:
            last_close[bar[0].symbol] = bar[6]
        self._deciding_since = monotonic()

    def decided(self, orders: Sequence[Order]) -> None:  # noqa: D102
        self.counters.decided(orders)

    def bars(self, bars: Sequence[Bar], equity: float) -> None:  # noqa: D102
        counters = self.counters
        counters.loop_seconds.observe(monotonic() - self._deciding_since)
        counters.loop_last_success = wall_clock() / NS
        counters.bars += len(bars)
        counters.valued(equity)

    def sent(self, order: Order) -> None:  # noqa: D102
        self.counters.sent(order, monotonic())

    def answered(self, order: Order, answer: Trade | BrokerError) -> None:  # noqa: D102
        self.counters.answered(order, answer, monotonic())

    def idle(self) -> None:  # noqa: D102
        self.counters.loop_last_success = wall_clock() / NS
        self._note_shares()

    def ended(self, failure: BaseException | None) -> None:  # noqa: D102
        self._note_shares()
        self.counters.state = SessionState.ENDED_OK if failure is None else SessionState.ENDED_ERROR

    def _note_shares(self) -> None:
        if self._session is not None:
            held = self._session.portfolio.held
            self.counters.own_shares = {symbol: float(shares) for symbol, shares in held.items()}


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
