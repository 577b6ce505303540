"""Everything that Prometheus is told, gathered at a scrape: the session's counters and one reading of its broker.

The names are fixed: dashboards and alerts in `ops/` select them, and `docs/monitoring.md` explains them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from src.records.metrics.counters import SessionCounters, SessionState
from src.records.metrics.families import Families
from src.records.metrics.journal_counts import JournalCounts
from src.records.metrics.labels import OTHER, RISK_RULES
from src.records.metrics.readings import Reading
from src.records.metrics.trading import DailyLossLimit, account_families, market_families, order_families

if TYPE_CHECKING:
    from prometheus_client import Metric


@dataclass(slots=True)
class Sources:
    """Where the numbers of one session come from; what is None is not there, and shows as unknown."""

    counters: SessionCounters
    reading: Callable[[], Reading] = Reading
    expected_backend: str = "tws"
    build: Mapping[str, str] = field(default_factory=dict)
    daily_loss_limit: DailyLossLimit = lambda worth, daily: None  # noqa: ARG005
    refusals: Callable[[], Mapping[str, int]] = dict
    kill_switch: Callable[[], bool | None] = lambda: None
    journal: Callable[[], JournalCounts | None] = lambda: None
    unwatched: Callable[[], int] = lambda: 0


class SessionCollector:
    """A collector for a registry of prometheus_client."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> "Iterator[Metric]":
        """Every family, as it is now."""
        sources, counters = self._sources, self._sources.counters
        reading = sources.reading()
        families = Families(counters.mode)
        _session(families, sources, reading)
        _connection(families, sources, reading)
        account_families(families, counters, reading, sources.daily_loss_limit)
        market_families(families, counters, reading)
        order_families(families, counters, reading)
        _safety(families, sources)
        _loop(families, counters)
        return iter(families)


def _session(families: Families, sources: Sources, reading: Reading) -> None:
    counters, health = sources.counters, reading.health
    families.gauges(
        "session_state",
        "Where the session stands: 1 at its present state, 0 at the others.",
        "state",
        {state.value: counters.state is state for state in SessionState},
    )
    families.info("session_info", "The session that is scraped here.", {"session": counters.session})
    families.gauge(
        "session_start_timestamp_seconds", "When the session began, on the day's clock.", counters.started_at
    )
    families.info("build_info", "What runs.", dict(sources.build))
    families.info(
        "backend_info",
        "What the session trades through; empty while that is not known.",
        {
            "backend": _backend(reading),
            "host": (health.host if health else None) or "",
            "port": str((health.port if health else None) or ""),
            "library": (health.library if health else None) or "",
        },
    )
    families.info(
        "backend_expected_info",
        "What the settings ask for; `auto` asks for TWS.",
        {"backend": sources.expected_backend},
    )
    families.gauge(
        "unwatched_sessions",
        "Sessions on this machine that want this port and cannot have it: Prometheus does not see them.",
        sources.unwatched(),
    )


def _backend(reading: Reading) -> str:
    """What is traded through; empty while that is not known."""
    health = reading.health
    return "" if health is None else "simulated" if health.library is None else "tws"


def _connection(families: Families, sources: Sources, reading: Reading) -> None:
    counters, health = sources.counters, reading.health
    backend = _backend(reading) or sources.expected_backend
    connected = None if health is None else health.connected
    families.gauges("connected", "1 while orders can be sent.", "backend", {backend: connected})
    families.gauge(
        "last_message_timestamp_seconds", "When TWS last said anything; NaN on the simulator.", reading.last_message
    )
    families.counters(
        "reconnects_total",
        "Connections that came back, by what was lost: the socket to TWS, TWS's link to IB, a sleep of this computer.",
        ("reason",),
        {(reason,): count for reason, count in counters.reconnects.items()},
    )
    families.counters(
        "api_errors_total",
        "Messages of TWS by code, notices among them.",
        ("code",),
        {(code,): count for code, count in counters.api_errors.items()},
    )
    families.counter(
        "pacing_wait_seconds_total",
        "Time that requests waited so that TWS's limits were kept.",
        0.0 if health is None else health.pacing_wait,
    )
    families.histogram(
        "request_seconds",
        "How long TWS took to answer a request.",
        {(("request", name),): histogram for name, histogram in ((health and health.request_seconds) or {}).items()},
    )


def _safety(families: Families, sources: Sources) -> None:
    families.counters(
        "risk_blocks_total",
        "Orders that a limit of ours refused; nothing was sent.",
        ("rule",),
        _bounded(sources.refusals()),
    )
    families.gauge("kill_switch", "1 while the kill switch is on.", sources.kill_switch())
    journal = sources.journal() or JournalCounts()
    families.counter("journal_commits_total", "Commits to the journal.", journal.commits)
    families.counter("journal_failures_total", "Writes that the journal could not make.", journal.failures)
    families.histogram("journal_commit_seconds", "How long a commit to the journal took.", {(): journal.seconds})


def _bounded(refusals: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    """Every rule from the start, and what nobody has heard of as "other"."""
    counts: dict[tuple[str, ...], float] = {(rule,): 0.0 for rule in (*RISK_RULES, OTHER)}
    for rule, count in tuple(refusals.items()):
        counts[(rule,) if rule in RISK_RULES else (OTHER,)] += count
    return counts


def _loop(families: Families, counters: SessionCounters) -> None:
    families.histogram("loop_iteration_seconds", "Deciding on the bars of one instant.", {(): counters.loop_seconds})
    families.gauge(
        "loop_last_success_timestamp_seconds",
        "When the session's loop last came around, with bars or without.",
        counters.loop_last_success,
    )
    families.counter("bars_total", "Bars decided on.", counters.bars)
    families.counters(
        "signals_total", "Orders that the strategy wanted, sent or not.", ("symbol", "signal"), counters.signals
    )
