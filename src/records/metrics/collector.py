"""Everything that Prometheus is told, gathered at a scrape: the session's counters and one reading of its broker.

The names are fixed: dashboards and alerts in `ops/` select them, and `docs/monitoring.md` explains them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import isnan, nan
from typing import TYPE_CHECKING, Final

from src.domain.market import Source
from src.records.metrics.counters import SessionCounters, SessionState
from src.records.metrics.families import Families
from src.records.metrics.journal_counts import JournalCounts
from src.records.metrics.labels import OTHER, RISK_RULES
from src.records.metrics.readings import Reading

if TYPE_CHECKING:
    from prometheus_client import Metric

_DELAYED: Final = frozenset({Source.DELAYED})


@dataclass(slots=True)
class Sources:
    """Where the numbers of one session come from; what is None is not there, and shows as unknown."""

    counters: SessionCounters
    reading: Callable[[], Reading] = Reading
    expected_backend: str = "tws"
    build: Mapping[str, str] = field(default_factory=dict)
    #: Dollars, by what the account is worth and what it made or lost today.
    daily_loss_limit: Callable[[Decimal, Decimal], Decimal | None] = lambda worth, daily: None  # noqa: ARG005
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
        _account(families, counters, reading, sources)
        _market(families, counters, reading)
        _orders(families, counters, reading)
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
    backend = "" if health is None else "simulated" if health.library is None else "tws"
    families.info(
        "backend_info",
        "What the session trades through; empty while that is not known.",
        {
            "backend": backend,
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


def _connection(families: Families, sources: Sources, reading: Reading) -> None:
    counters, health = sources.counters, reading.health
    backend = "simulated" if health is not None and health.library is None else "tws"
    families.gauges(
        "connected",
        "1 while orders can be sent.",
        "backend",
        {backend: None if health is None else health.connected},
    )
    families.gauge(
        "last_message_timestamp_seconds", "When TWS last said anything; NaN on the simulator.", reading.last_message
    )
    families.counters(
        "reconnects_total",
        "Connections that came back, by what was lost: the socket to TWS, or TWS's link to IB.",
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
        {(("request", name),): histogram for name, histogram in (health.request_seconds if health else {}).items()},
    )


#: Metric, field of AccountSummary, help.
_ACCOUNT: Final = (
    ("net_liquidation", "net_liquidation", "Cash and what is held, at the latest prices."),
    ("available_funds", "available_funds", "What new positions may take as initial margin."),
    ("buying_power", "buying_power", "What shares can be bought for."),
    ("excess_liquidity", "excess_liquidity", "What is left above maintenance margin."),
    ("total_cash", "total_cash_value", "Cash at trade time."),
    ("gross_position", "gross_position_value", "Long and short positions, added up."),
)
_PROFITS: Final = (
    ("realized", "The account's profit and loss: closed positions, net of commission."),
    ("unrealized", "The account's profit and loss: open positions, at the latest prices."),
    ("daily", "The account's profit and loss: today, as the broker counts it."),
)


def _account(families: Families, counters: SessionCounters, reading: Reading, sources: Sources) -> None:
    account = reading.account
    for name, field_name, help_text in _ACCOUNT:
        families.gauge(f"account_{name}_dollars", help_text, getattr(account, field_name, None))
    for name, help_text in _PROFITS:
        families.gauge(f"pnl_{name}_dollars", help_text, getattr(reading.pnl, name, None))
    worth = float(account.net_liquidation) if account else nan
    exposure = float(account.gross_position_value) / worth if account and worth > 0 else nan
    families.gauge("exposure_ratio", "Gross position over net liquidation value.", exposure)
    families.gauge("drawdown_ratio", "How far the session's equity is below its peak.", counters.drawdown)
    families.counter(
        "commission_dollars_total", "Commission charged while the session ran.", counters.commission_dollars
    )
    families.gauge(
        "daily_loss_limit_dollars",
        "The loss of a day at which no new risk is taken; NaN without a limit.",
        sources.daily_loss_limit(account.net_liquidation, reading.pnl.daily) if account and reading.pnl else None,
    )


def _market(families: Families, counters: SessionCounters, reading: Reading) -> None:
    symbols = [symbol for symbol in counters.symbols if symbol != OTHER]
    quotes, times = reading.quotes, reading.tick_times
    families.gauges(
        "last_price_dollars",
        "The last trade's price, or the middle of the market, or the last bar's close.",
        "symbol",
        {symbol: _price(reading, symbol, counters.last_close[symbol]) for symbol in symbols},
    )
    families.gauges(
        "spread_dollars",
        "Ask less bid.",
        "symbol",
        {symbol: quotes[symbol].ask - quotes[symbol].bid if symbol in quotes else None for symbol in symbols},
    )
    families.gauges(
        "last_tick_timestamp_seconds",
        "When the newest quote came, on the day's clock.",
        "symbol",
        {symbol: times.get(symbol) for symbol in symbols},
    )
    families.gauges(
        "market_data_delayed",
        "1 where prices are delayed.",
        "symbol",
        {symbol: quotes[symbol].source in _DELAYED if symbol in quotes else None for symbol in symbols},
    )
    for_source: dict[tuple[str, ...], float] = {
        (symbol, source.value): float(quotes[symbol].source is source)
        for symbol in symbols
        if symbol in quotes
        for source in Source
    }
    families.labelled(
        "market_data_source", "1 at the source that prices come from now.", ("symbol", "source"), for_source
    )
    families.gauge("market_open", "1 while the stock market is open.", reading.is_open)


def _price(reading: Reading, symbol: str, close: float) -> float:
    quote = reading.quotes.get(symbol)
    if quote is None:
        return close
    if not isnan(quote.last):
        return quote.last
    middle = (quote.bid + quote.ask) / 2
    return close if isnan(middle) else middle


def _orders(families: Families, counters: SessionCounters, reading: Reading) -> None:
    orders = counters.orders
    families.counters(
        "orders_total",
        "The session's orders by the statuses they have reached; PendingSubmit counts all that left.",
        ("symbol", "action", "order_type", "status"),
        orders.by_status,
    )
    families.counters(
        "order_rejects_total",
        "Orders that the venue rejected, by what the rejection is about.",
        ("reject_class",),
        {(name,): count for name, count in orders.rejects.items()},
    )
    families.histogram("order_ack_seconds", "From sending an order to the venue's answer.", {(): orders.ack_seconds})
    families.histogram("order_fill_seconds", "From sending an order to its last fill.", {(): orders.fill_seconds})
    families.histogram(
        "slippage_bps",
        "Fills against the last close when the order left, in hundredths of a percent; above zero is worse.",
        {(): orders.slippage_bps},
    )
    families.gauge(
        "open_orders", "Orders at work in the account.", reading.health.open_orders if reading.health else None
    )
    symbols = [symbol for symbol in counters.symbols if symbol != OTHER]
    held = {symbol: reading.shares(symbol) for symbol in symbols}
    families.gauges("position_shares", "The account's shares, below zero when short.", "symbol", held)
    families.gauges(
        "position_mismatch",
        "The session's shares and those held before it, less what the broker says.",
        "symbol",
        {symbol: counters.mismatch(symbol, shares) for symbol, shares in held.items()},
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
