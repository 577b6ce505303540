"""Orders of one connected broker: refused here while nothing has been sent, answered as dicts once something has.

Malformed orders, unknown contracts and a missing connection are raised. From the moment in which bytes may have left,
nothing is raised: a venue's rejection, a limit of ours and a missing answer are statuses with their reason.
Waiting is done on the broker's events, so that it ends with the event waited for and costs nothing meanwhile.
"""

import logging
import math
from contextlib import nullcontext
from typing import Final

from src.brokers.answers import UNKNOWN, OrderAnswer, order_answer, reason_shown, unplaced_answer, verdict
from src.brokers.broker import Broker
from src.brokers.contracts import Contracts
from src.domain.errors import (
    BrokerError,
    CancelKeptError,
    ConnectionLostError,
    InvalidOrderError,
    OrderOutcomeUnknownError,
    OrderRejectedError,
    RequestTimeoutError,
    UnknownOrderError,
    shown,
)
from src.domain.events import Notice
from src.domain.facts import fact
from src.domain.orders import (
    HIGHEST_ORDER_ID,
    Bracket,
    Order,
    OrderChange,
    OrderId,
    OrderStatus,
    OrderType,
    Origin,
    Trade,
    checked_action,
    checked_quantity,
    exact,
)
from src.runtime.bridge import EventStream
from src.runtime.clock import monotonic

_log = logging.getLogger(__name__)
_CANCELLED: Final = frozenset({OrderStatus.CANCELLED, OrderStatus.API_CANCELLED})
_UNANSWERED: Final = (OrderOutcomeUnknownError, RequestTimeoutError, ConnectionLostError)


@fact
class Wish:
    """An order as a person asks for it, unchecked; the prices given decide its type."""

    symbol: object
    quantity: object
    action: object
    limit_price: object = None
    stop_price: object = None
    order_type: OrderType = OrderType.MARKET


class OrderDesk:
    """Checks, sends and follows orders. `patience` is how many seconds a cancel may take to be confirmed."""

    def __init__(self, broker: Broker, contracts: Contracts, patience: float) -> None:
        self._broker, self._contracts, self._patience = broker, contracts, patience

    def order(self, wish: Wish) -> Order:
        """Return the order wished for; InvalidOrderError or UnknownContractError when there cannot be one."""
        action, quantity, kind = checked_action(wish.action), checked_quantity(wish.quantity), wish.order_type
        for name, price, wanted in (
            ("limit price", wish.limit_price, kind.has_limit),
            ("stop price", wish.stop_price, kind.has_stop),
        ):
            if wanted and price is None:
                raise InvalidOrderError(f"a {kind} order needs a {name}")
        contract = self._contracts.find(wish.symbol)
        if contract.currency != "USD":  # the limits on an order count dollars, and so does the account
            raise InvalidOrderError(f"orders are in dollars: {contract.local_symbol} is quoted in {contract.currency}")
        return Order(
            contract=contract,
            action=action,
            quantity=quantity,
            order_type=kind,
            limit_price=self._contracts.price(contract, wish.limit_price, "limit price") if kind.has_limit else None,
            stop_price=self._contracts.price(contract, wish.stop_price, "stop price") if kind.has_stop else None,
            account=self._broker.account_id,
        )

    def place(self, order: Order, wait: float) -> OrderAnswer:
        """Send an order and wait up to `wait` seconds until it is done."""
        # Subscribed before it is sent, so that no word of the venue's about it is missed.
        with self._broker.events() if wait > 0 else nullcontext() as events:
            try:
                trade = self._broker.place_order(order)
            except (OrderRejectedError, *_UNANSWERED) as error:
                return unplaced_answer(order, error, self._broker.mode)
            return self._follow(trade, events, wait)

    def place_bracket(self, entry: Order, take_profit: object, stop_loss: object) -> list[OrderAnswer]:
        """Send an entry with its target and its stop; the answers come in that order."""
        bracket = Bracket.around(
            entry,
            self._contracts.price(entry.contract, take_profit, "take profit"),
            self._contracts.price(entry.contract, stop_loss, "stop loss"),
        )
        try:
            trades = self._broker.place_bracket(bracket)
        except (OrderRejectedError, *_UNANSWERED) as error:
            legs = (bracket.parent, bracket.take_profit, bracket.stop_loss)
            refused = [unplaced_answer(leg, error, self._broker.mode) for leg in legs]
            for exit_leg in refused[1:]:  # the id is the entry's: its exits came to none
                exit_leg["order_id"] = None
            return refused
        return [order_answer(trade, self._broker.mode) for trade in trades]

    def modify(self, order_id: OrderId, quantity: object, price: object, stop_price: object) -> OrderAnswer:
        """Change a working order; the answer to a change that was rejected is `Rejected`, and the order stays."""
        trade = self._broker.trade(order_id)
        contract = trade.order.contract
        change = OrderChange(
            None if quantity is None else checked_quantity(quantity),
            None if price is None else self._contracts.price(contract, price, "price"),
            None if stop_price is None else self._contracts.price(contract, stop_price, "stop price"),
        )
        change.applied_to(trade.order)
        try:
            return order_answer(self._broker.modify_order(order_id, change), self._broker.mode)
        except (OrderRejectedError, *_UNANSWERED) as error:
            return self._after(trade, *verdict(error))

    def cancel(self, order_id: OrderId) -> bool:
        """Cancel a working order; True only when the venue has confirmed it. The log says why it was not."""
        try:
            trade = self._broker.cancel_order(order_id)
            if not trade.is_done:
                with self._broker.events() as events:
                    trade, _ = self._until_done(self._broker.trade(order_id), events, self._patience)
        except (OrderRejectedError, UnknownOrderError, *_UNANSWERED) as error:
            if self._is_cancelled(order_id):
                return True
            _log.warning("order %s is not cancelled: %s", order_id, error)
            return False
        if trade.status not in _CANCELLED:
            _log.warning("order %s is not cancelled: it is %s", order_id, trade.status)
        return trade.status in _CANCELLED

    def cancel_all(self) -> list[OrderAnswer]:
        """Cancel every working order of ours; an answer for each, with the status it then has."""
        trades = [trade for trade in self._broker.open_trades() if trade.origin is Origin.OURS]
        for trade in trades:
            try:
                self.cancel(trade.order_id)
            except CancelKeptError as error:
                _log.warning("%s", error)
        return [self.answer(trade.order_id) for trade in trades]

    def answer(self, order_id: OrderId) -> OrderAnswer:
        """Return an order's state; UnknownOrderError."""
        return order_answer(self._broker.trade(order_id), self._broker.mode)

    def wait(self, order_id: OrderId, seconds: float) -> OrderAnswer:
        """Wait up to `seconds` until an order is done; UnknownOrderError."""
        with self._broker.events() as events:
            return self._follow(self._broker.trade(order_id), events, seconds)

    def _follow(self, trade: Trade, events: EventStream | None, seconds: float) -> OrderAnswer:
        """Answer once an order is done or the seconds are over, with the venue's last word about it."""
        if events is None:
            return order_answer(trade, self._broker.mode)
        try:
            trade, word = self._until_done(trade, events, seconds)
        except BrokerError as error:  # it was sent, and what became of it cannot be seen from here
            return self._after(trade, UNKNOWN, str(error))
        answer = order_answer(trade, self._broker.mode)
        answer["reason"] = answer["reason"] or word
        return answer

    def _until_done(self, trade: Trade, events: EventStream, seconds: float) -> tuple[Trade, str]:
        deadline, word = monotonic() + seconds, ""
        while not trade.is_done:
            left = deadline - monotonic()
            event = events.next(max(0.0, left))
            if isinstance(event, Notice) and event.order_id == trade.order_id:
                word = reason_shown(event.text)
            trade = self._broker.trade(trade.order_id)
            if event is None or left <= 0:
                break
        return trade, word

    def _is_cancelled(self, order_id: OrderId) -> bool:
        try:
            return self._broker.trade(order_id).status in _CANCELLED
        except BrokerError:
            return False

    def _after(self, trade: Trade, status: str, reason: str) -> OrderAnswer:
        answer = order_answer(trade, self._broker.mode)
        answer["status"], answer["reason"] = status, reason
        return answer


def checked_seconds(value: object, name: str) -> float:
    """`value` as a number of seconds from zero up; InvalidOrderError otherwise."""
    seconds = float(exact(value, name))
    if seconds < 0 or not math.isfinite(seconds):
        raise InvalidOrderError(f"{name} must be seconds from zero up, not {shown(value)}")
    return seconds


def checked_order_id(value: object) -> OrderId:
    """`value` as an order id, which is a whole number; InvalidOrderError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > HIGHEST_ORDER_ID:
        raise InvalidOrderError(f"an order id is a whole number up to {HIGHEST_ORDER_ID}, not {shown(value)}")
    return OrderId(value)
