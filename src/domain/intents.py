"""What we mean to do at a venue, and how far it has come. Pure; quantities are shares, money dollars, times epoch ns.

An intent is written down before its first byte leaves (decision D10). Its state is what is known, not what is hoped:

    INTENT -> SENDING -> ACKED -> PARTIAL... -> FILLED | CANCELLED | REJECTED

`UNKNOWN` follows a timeout, a disconnect or a crash, and only a reconciliation leaves it; `REFUSED` is a limit of
ours, with nothing sent; `NOT_SENT` is what a complete reconciliation says of an intent that the venue never saw.
Cancelled, rejected and not sent are claims: an execution that comes later is a fact, and moves them.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from src.domain.facts import fact
from src.domain.market import Contract
from src.domain.orders import Action, Order, OrderId, OrderType, TimeInForce


class IntentState(StrEnum):
    """How far an intent has come, as far as is known."""

    INTENT = "INTENT"
    SENDING = "SENDING"
    ACKED = "ACKED"
    PARTIAL = "PARTIAL"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"
    NOT_SENT = "NOT_SENT"
    REFUSED = "REFUSED"

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is expected of the venue; an unsettled intent is looked for at the next start."""
        return self in SETTLED


class CancelStep(StrEnum):
    """How far a cancel of an order has come; what it brought about is the order's own state."""

    ASKED = "ASKED"  # asked for, and handed to the venue
    KEPT = "KEPT"  # it could not leave: it will, once the venue is there again
    SENT = "SENT"  # one that was kept has left
    DROPPED = "DROPPED"  # one that was kept is not needed, or not possible


_S = IntentState
SETTLED: Final = frozenset({_S.FILLED, _S.CANCELLED, _S.REJECTED, _S.NOT_SENT, _S.REFUSED})
_ENDS: Final = frozenset({_S.FILLED, _S.CANCELLED, _S.REJECTED, _S.UNKNOWN})
_EXECUTED: Final = frozenset({_S.PARTIAL, _S.FILLED})
#: What may follow each state; news that may not follow is late, and changes nothing. UNKNOWN reopens a claim.
FOLLOWS: Final[Mapping[IntentState, frozenset[IntentState]]] = {
    _S.INTENT: frozenset(_S) - {_S.INTENT},
    _S.SENDING: frozenset({_S.ACKED, _S.PARTIAL, _S.NOT_SENT}) | _ENDS,
    _S.ACKED: frozenset({_S.PARTIAL}) | _ENDS,
    _S.PARTIAL: _ENDS,
    _S.UNKNOWN: frozenset({_S.ACKED, _S.PARTIAL, _S.NOT_SENT}) | (_ENDS - {_S.UNKNOWN}),
    _S.CANCELLED: _EXECUTED | {_S.UNKNOWN},
    _S.REJECTED: _EXECUTED | {_S.UNKNOWN},
    _S.NOT_SENT: frozenset({_S.ACKED, _S.PARTIAL}) | _ENDS,
    _S.REFUSED: _EXECUTED,
    _S.FILLED: frozenset(),
}


def next_state(state: IntentState, news: IntentState) -> IntentState:
    """The state after `news`: that, or `state` itself where `news` is late or stale."""
    return news if news in FOLLOWS[state] else state


def state_after_execution(state: IntentState, filled: Decimal, quantity: Decimal) -> IntentState:
    """The state once `filled` of `quantity` is executed.

    A part leaves UNKNOWN as it is: what became of the rest is still to be found out.
    """
    if filled >= quantity:
        return next_state(state, _S.FILLED)
    return state if filled <= 0 or state is _S.UNKNOWN else next_state(state, _S.PARTIAL)


@fact
class Intent:
    """An order that we mean to send, under an `order_ref` of its own. The account is the journal's, and not in here."""

    order_ref: str
    session: str
    time: int
    symbol: str
    action: Action
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    tif: TimeInForce = TimeInForce.DAY
    outside_rth: bool = False
    oca_group: str = ""
    con_id: int = 0
    sec_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    primary_exchange: str = ""
    strategy: str = ""
    parent_ref: str = ""

    @staticmethod
    def of(order: Order, session: str, time: int, *, strategy: str = "", parent_ref: str = "") -> "Intent":
        """The intent to send `order`, which bears its `order_ref`; `parent_ref` is that of a bracket's parent."""
        contract = order.contract
        return Intent(
            order.order_ref,
            session,
            time,
            contract.symbol,
            order.action,
            order.quantity,
            order.order_type,
            order.limit_price,
            order.stop_price,
            order.tif,
            order.outside_rth,
            order.oca_group,
            contract.con_id,
            contract.sec_type,
            contract.exchange,
            contract.currency,
            contract.primary_exchange,
            strategy,
            parent_ref,
        )

    @property
    def contract(self) -> Contract:
        """What is to be traded."""
        return Contract(self.symbol, self.sec_type, self.exchange, self.currency, self.primary_exchange, self.con_id)


@fact
class IntentRecord:
    """An intent and what became of it. `quantity` is the total now asked for; `updated` is the time of the last news.

    `order_id` is None until one was reserved, `perm_id` 0 until the venue gave one; `reason` is why it
    is in its state, where somebody said so. `cancel` is the last step of a cancel that was asked for.
    """

    intent: Intent
    state: IntentState
    quantity: Decimal
    updated: int
    filled: Decimal = Decimal(0)
    order_id: OrderId | None = None
    perm_id: int = 0
    reason: str = ""
    cancel: CancelStep | None = None

    @staticmethod
    def begin(intent: Intent) -> "IntentRecord":
        """The record of an intent of which nothing has been heard."""
        return IntentRecord(intent, IntentState.INTENT, intent.quantity, intent.time)

    @property
    def order_ref(self) -> str:
        """The intent's reference."""
        return self.intent.order_ref

    def told(self, news: IntentState, time: int, reason: str = "") -> "IntentRecord":
        """The record after news of its state; the same record when they are late."""
        state = next_state(self.state, news)
        if state is self.state and news is not state:
            return self
        return IntentRecord(
            self.intent, state, self.quantity, time, self.filled, self.order_id, self.perm_id, reason, self.cancel
        )

    def numbered(self, order_id: OrderId, perm_id: int = 0) -> "IntentRecord":
        """The record under the ids that the order has; without a `perm_id`, under the one that it had."""
        return IntentRecord(
            self.intent, self.state, self.quantity, self.updated, self.filled, order_id, perm_id or self.perm_id,
            self.reason, self.cancel,
        )  # fmt: skip

    def executed(self, filled: Decimal, time: int, *, corrected: bool = False) -> "IntentRecord":
        """The record once `filled` shares in all are executed.

        An execution that was `corrected` says nothing of whether the order works: what has ended stays so.
        """
        state = state_after_execution(self.state, filled, self.quantity)
        if corrected and state is _S.PARTIAL and self.state in (_S.CANCELLED, _S.REJECTED):
            state = self.state
        reason = self.reason if state is self.state else ""
        return replace(self, state=state, filled=filled, updated=time, reason=reason)
