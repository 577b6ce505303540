"""What a session counts while it goes: its states, its orders, its events, its decisions. Plain slots, no lock.

The session's thread writes; the collector reads at a scrape. A dict has all its keys from the start, so that reading
one while it is written is safe, and so that a rate is known from the first count on.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from math import nan
from typing import Final

from src.domain.errors import BrokerError
from src.domain.events import CommissionCharged, ConnectionChanged, Event, Filled, Notice, OrderChanged
from src.domain.market import Mode
from src.domain.orders import Order, Trade
from src.records.metrics.histogram import Histogram
from src.records.metrics.labels import (
    ACTIONS,
    ERROR_CODES,
    OTHER,
    RECONNECT_REASONS,
    reconnect_reason,
    symbols_of,
)
from src.records.metrics.orders import OrderCounts

_LOOP_BOUNDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)


class SessionState(StrEnum):
    """Where a session stands. One that has ended has said so; one that has vanished was running at its last word."""

    STARTING = "starting"
    RUNNING = "running"
    ENDED_OK = "ended_ok"
    ENDED_ERROR = "ended_error"


class SessionCounters:
    """One session's counts; `symbols` are those it trades."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.symbols = symbols_of(symbols)
        self.session = ""
        self.mode = Mode.DISCONNECTED.value
        self.state = SessionState.STARTING
        self.orders = OrderCounts(self.symbols)
        self.signals: dict[tuple[str, ...], int] = {(name, side): 0 for name in self.symbols for side in ACTIONS}
        self.api_errors = dict.fromkeys((*ERROR_CODES, OTHER), 0)
        self.reconnects = dict.fromkeys(RECONNECT_REASONS, 0)
        self.commission_dollars = 0.0
        self.bars = 0
        self.loop_seconds = Histogram(_LOOP_BOUNDS)
        self.loop_last_success = nan  # epoch seconds
        self.started_at = nan  # epoch seconds
        self.drawdown = nan  # below the peak now, a ratio
        self.last_close: dict[str, float] = dict.fromkeys(self.symbols, nan)
        #: The session's own shares by symbol, and the account's before it; each is replaced as a whole.
        self.own_shares: Mapping[str, float] = {}
        self.shares_before: Mapping[str, float] | None = None
        self._peak = 0.0
        self._lost_by = ""
        self._charged: set[str] = set()

    def mismatch(self, symbol: str, held: float | None) -> float:
        """Shares that should be in the account and are not, or the other way round; NaN while that is unknown."""
        if held is None or self.shares_before is None:
            return nan
        return self.shares_before.get(symbol, 0.0) + self.own_shares.get(symbol, 0.0) - held

    def valued(self, equity: float) -> None:
        """The session is worth so many dollars."""
        self._peak = max(self._peak, equity)
        if self._peak > 0:
            self.drawdown = (self._peak - equity) / self._peak

    def decided(self, orders: Iterable[Order]) -> None:
        """The strategy wants these."""
        for order in orders:
            symbol = order.contract.symbol
            self.signals[symbol if (symbol, order.action.value) in self.signals else OTHER, order.action.value] += 1

    def sent(self, order: Order, now: float) -> None:
        """An order leaves."""
        self.orders.sent(order, now, self.last_close.get(order.contract.symbol))

    def answered(self, order: Order, answer: Trade | BrokerError, now: float) -> None:
        """An order has its answer."""
        self.orders.answered(order, answer, now)

    def heard(self, event: Event, now: float) -> None:
        """The broker has told something."""
        if isinstance(event, OrderChanged):
            self.orders.changed(event.trade, now)
        elif isinstance(event, Filled):
            self.orders.filled(event.fill)
        elif isinstance(event, CommissionCharged):
            if event.report.exec_id not in self._charged:
                self._charged.add(event.report.exec_id)
                self.commission_dollars += float(event.report.commission)
        elif isinstance(event, Notice):
            code = str(event.code)
            self.api_errors[code if code in self.api_errors else OTHER] += 1
        elif isinstance(event, ConnectionChanged):
            self._connection_changed(event)

    def _connection_changed(self, event: ConnectionChanged) -> None:
        if not event.connected:
            self._lost_by = event.reason
        else:
            self.reconnects[reconnect_reason(self._lost_by)] += 1
