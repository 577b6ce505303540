"""What a session counts for Prometheus while it goes, and whom the collector asks for the rest."""

from collections.abc import Sequence
from decimal import Decimal
from math import nan

from src.brokers.guarded import GuardedBroker
from src.domain.errors import BrokerError
from src.domain.events import Event, Filled
from src.domain.market import Bar
from src.domain.orders import Order, Trade
from src.records.metrics.collector import Sources
from src.records.metrics.counters import SessionState
from src.records.metrics.readings import Readings
from src.runtime.clock import NS, monotonic, wall_clock
from src.trading.hours import MarketHours
from src.trading.observer import Observer, Watched
from src.trading.quotes import want_quotes


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
        want_quotes(broker, contracts)

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
