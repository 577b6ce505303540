"""What became of orders whose outcome is not known, by what the venue lists: never by asking again, never by a guess.

Pure. The lists are whole as of one synchronisation: working orders, those that are done, executions. An order is
looked for under its `order_ref`, which no other order bears.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from src.domain.intents import IntentRecord, IntentState
from src.domain.journal_facts import Acknowledged, JournalFact, StateChanged
from src.domain.orders import OrderStatus, Trade

_CANCELLED: Final = frozenset({OrderStatus.CANCELLED, OrderStatus.API_CANCELLED})
#: States in which the venue has been heard to have the order.
_SEEN: Final = frozenset({IntentState.ACKED, IntentState.PARTIAL})
NEVER_ARRIVED: Final = "not among the venue's orders and executions: it never arrived"
ENDED_UNSEEN: Final = (
    "no longer among the venue's orders: it ended while nobody watched, and its executions are not listed any more; "
    "see the positions"
)


def is_listed(trade: Trade) -> bool:
    """Whether the venue has told of an order; else it is only what we have asked for."""
    return bool(trade.perm_id) or trade.status is not OrderStatus.PENDING_SUBMIT


def outcome_of(trade: Trade, now: int) -> tuple[JournalFact, ...]:
    """What a trade that the venue lists says of its intent; executions are facts of their own."""
    ref = trade.order.order_ref
    heard: list[JournalFact] = []
    if trade.status is not OrderStatus.PENDING_SUBMIT and trade.order_id > 0:
        heard.append(Acknowledged(ref, now, trade.order_id, trade.perm_id))
    if trade.status in _CANCELLED:
        heard.append(StateChanged(ref, now, IntentState.CANCELLED, trade.reason))
    elif trade.status is OrderStatus.INACTIVE:
        heard.append(StateChanged(ref, now, IntentState.REJECTED, trade.reason))
    elif trade.status is OrderStatus.FILLED:
        heard.append(StateChanged(ref, now, IntentState.FILLED, "by the venue's list of orders"))
    return tuple(heard)


def reconcile(
    records: Iterable[IntentRecord],
    trades: Mapping[str, Trade],
    executed: Mapping[str, Decimal],
    renewed: frozenset[str],
    now: int,
) -> list[JournalFact]:
    """What is found of intents whose outcome is not known.

    `trades` are the venue's by reference, `executed` the shares executed by reference. `renewed` names the intents
    that left over a connection which is no more: only of those does the lists' silence say that they never arrived.
    One that left over this very connection may still wait for a person at TWS's screen.
    """
    found: list[JournalFact] = []
    for record in records:
        ref = record.order_ref
        if (trade := trades.get(ref)) is not None:
            found += outcome_of(trade, now)
        elif executed.get(ref, Decimal(0)) >= record.quantity:
            found.append(StateChanged(ref, now, IntentState.FILLED, "by its executions"))
        elif executed.get(ref) or record.state in _SEEN:
            if ref in renewed:
                found.append(StateChanged(ref, now, IntentState.CANCELLED, ENDED_UNSEEN))
        elif ref in renewed:
            found.append(StateChanged(ref, now, IntentState.NOT_SENT, NEVER_ARRIVED))
    return found
