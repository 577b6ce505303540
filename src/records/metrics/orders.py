"""What becomes of a session's orders, counted: by status, by class of rejection, how long it took and what it cost.

An order is known by its reference, which is new for every intent. Each status counts once for each order, however
often a venue repeats it. Durations are real seconds of a monotonic clock that the caller reads.
"""

from dataclasses import dataclass, field
from typing import Final

from src.domain.errors import (
    BrokerError,
    InvalidOrderError,
    NoMarketDataError,
    NotConnectedError,
    NotSupportedError,
    OrderRefusedError,
    OrderRejectedError,
)
from src.domain.orders import Fill, Order, OrderStatus, Trade
from src.domain.rejections import classify
from src.records.metrics.histogram import Histogram
from src.records.metrics.labels import (
    ACTIONS,
    NOT_SENT,
    ORDER_TYPES,
    OTHER,
    REFUSED,
    REJECT_CLASSES,
    STATUSES,
    UNKNOWN,
)

_ACK_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_FILL_BOUNDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
#: Of the price at which the order was decided on: below zero better, above zero worse.
_SLIPPAGE_BOUNDS: Final = (-100.0, -50.0, -25.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)
_BPS: Final = 10_000.0
_NEVER_LEFT: Final = (NotConnectedError, NoMarketDataError, NotSupportedError)


@dataclass(slots=True)
class _Sent:
    """One order under way."""

    symbol: str
    order: Order
    at: float
    price: float | None  # the last price when it left
    seen: set[str] = field(default_factory=set)


class OrderCounts:
    """Counts of one session's orders; `symbols` are those with series of their own, "other" among them."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self._symbols = frozenset(symbols)
        self.by_status: dict[tuple[str, ...], int] = {
            (symbol, action, kind, status): 0
            for symbol in symbols
            for action in ACTIONS
            for kind in ORDER_TYPES
            for status in STATUSES
        }
        self.rejects = dict.fromkeys(REJECT_CLASSES, 0)
        self.ack_seconds = Histogram(_ACK_BOUNDS)
        self.fill_seconds = Histogram(_FILL_BOUNDS)
        self.slippage_bps = Histogram(_SLIPPAGE_BOUNDS)
        self._sent: dict[str, _Sent] = {}
        self._executions: set[str] = set()

    def sent(self, order: Order, now: float, price: float | None) -> None:
        """An order is about to leave; `price` is the last one that its decision saw."""
        symbol = order.contract.symbol
        self._sent[order.order_ref] = _Sent(symbol if symbol in self._symbols else OTHER, order, now, price)

    def answered(self, order: Order, answer: Trade | BrokerError, now: float) -> None:
        """The order has its answer; it tells whether the order has left at all."""
        known = self._sent.get(order.order_ref)
        if known is None:
            return
        if isinstance(answer, OrderRefusedError):
            self._count(known, REFUSED)
            return
        if isinstance(answer, _NEVER_LEFT):
            self._count(known, NOT_SENT)
            return
        self._count(known, OrderStatus.PENDING_SUBMIT)
        if isinstance(answer, Trade):
            self.ack_seconds.observe(now - known.at)
        elif isinstance(answer, OrderRejectedError):
            self.ack_seconds.observe(now - known.at)
            self._reject(known, answer.code, answer.reason)
        elif isinstance(answer, InvalidOrderError):
            self._reject(known, answer.code, str(answer))
        else:
            self._count(known, UNKNOWN)

    def changed(self, trade: Trade, now: float) -> None:
        """An order's status may have changed."""
        known = self._sent.get(trade.order.order_ref)
        if known is None:
            return
        if trade.status is OrderStatus.INACTIVE:
            self._reject(known, trade.code, trade.reason)
        elif self._count(known, trade.status) and trade.status is OrderStatus.FILLED:
            self.fill_seconds.observe(now - known.at)

    def filled(self, fill: Fill) -> None:
        """A part of an order was executed: what its price was worth, against the price that it was decided on."""
        execution = fill.execution
        known = self._sent.get(execution.order_ref)
        if known is None or known.price is None or not known.price > 0 or execution.exec_id in self._executions:
            return
        self._executions.add(execution.exec_id)
        worse = (float(execution.price) - known.price) * execution.side.sign
        self.slippage_bps.observe(worse / known.price * _BPS)

    def _reject(self, known: _Sent, code: int | None, reason: str) -> None:
        if self._count(known, OrderStatus.INACTIVE):
            self.rejects[classify(code, reason).value] += 1

    def _count(self, known: _Sent, status: str) -> bool:
        """Count a status of an order, once; False when it had it before."""
        if status in known.seen:
            return False
        known.seen.add(status)
        order = known.order
        self.by_status[known.symbol, order.action.value, order.order_type.value, str(status)] += 1
        return True
