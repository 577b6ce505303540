"""What the journal says, held against what the gateway really did. Each difference is a sentence that names a promise.

The gateway's log is the truth; the journal is read from its file, as the next session would read it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from src.domain.intents import IntentRecord, IntentState
from src.domain.journal_facts import Adjusted, Charged, Executed, SessionBegan, StateChanged
from src.domain.market import Mode
from src.domain.orders import Execution
from src.domain.outcomes import Outcomes, execution_family
from src.gateways.tws_server.truth import TrueOrder, Truth
from src.records.journal_reading import JournalReader

_ZERO: Final = Decimal(0)
_S: Final = IntentState
#: What an intent may be, by the status that its order really has. Nothing is known for ever of what still works.
_AGREES: Final[Mapping[str, frozenset[IntentState]]] = {
    "Filled": frozenset({_S.FILLED}),
    "Cancelled": frozenset({_S.CANCELLED}),
    "ApiCancelled": frozenset({_S.CANCELLED}),
    "Inactive": frozenset({_S.REJECTED}),
    "Submitted": frozenset({_S.ACKED, _S.PARTIAL}),
    "PreSubmitted": frozenset({_S.ACKED, _S.PARTIAL}),
}
#: What an intent may be of which the gateway made no order.
_NO_ORDER: Final = frozenset({_S.NOT_SENT, _S.REFUSED, _S.REJECTED})
_DOUBT: Final = frozenset({_S.INTENT, _S.SENDING, _S.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Written:
    """What a journal's file says."""

    intents: tuple[IntentRecord, ...]
    executions: tuple[Executed, ...]  # as they count: the latest revision of each
    told: tuple[Executed, ...]  # every one that was written, corrections and what they correct
    charges: tuple[Charged, ...]
    adjusted: tuple[Adjusted, ...]
    unsent: frozenset[str]  # the references of which it was ever said that they were not sent
    sessions: tuple[SessionBegan, ...]
    mode: Mode

    @staticmethod
    def read(path: Path) -> "Written":
        """Read the journal in a file."""
        with JournalReader(path) as reader:
            facts = reader.facts()  # at one instant
            outcomes = Outcomes(facts)
            states = [each for each in facts if isinstance(each, StateChanged)]
            return Written(
                outcomes.records,
                tuple(outcomes.executions.values()),
                tuple(each for each in facts if isinstance(each, Executed)),
                tuple(each for each in facts if isinstance(each, Charged)),
                tuple(each for each in facts if isinstance(each, Adjusted)),
                frozenset(each.order_ref for each in states if each.state is IntentState.NOT_SENT),
                tuple(each for each in facts if isinstance(each, SessionBegan)),
                reader.mode,
            )

    def of(self, order_ref: str) -> IntentRecord | None:
        """One intent."""
        return next((each for each in self.intents if each.order_ref == order_ref), None)


def orders_of(truth: Truth) -> dict[str, list[TrueOrder]]:
    """The orders that were made, by reference."""
    found: dict[str, list[TrueOrder]] = {}
    for order in truth.orders:
        if order.order_ref:
            found.setdefault(order.order_ref, []).append(order)
    return found


def never_twice(truth: Truth) -> list[str]:
    """I1: at most one order of an intent; one that is broken can never be mended."""
    return [
        f"I1: {len(made)} orders of {ref}: {sorted(each.perm_id for each in made)}"
        for ref, made in orders_of(truth).items()
        if len({each.perm_id for each in made}) > 1
    ]


def differences(truth: Truth, written: Written) -> list[str]:
    """I1, I2, I7, I9, I14: where journal and gateway disagree now; while news travels, some is to be expected."""
    found = never_twice(truth)
    made = orders_of(truth)
    by_ref = {record.order_ref: record for record in written.intents}
    found += [
        f"I2: {ref} was declared not sent, and the gateway made it" for ref in sorted(made.keys() & written.unsent)
    ]
    for ref in made.keys() - by_ref.keys():
        found.append(f"I6: order {ref} is at the gateway, and no intent in the journal")
    for ref, record in by_ref.items():
        orders = made.get(ref, [])
        if not orders:
            if record.state not in _NO_ORDER:
                found.append(f"I2: {ref} is {record.state}, and the gateway never made it")
            continue
        true = orders[0]
        if record.state not in _AGREES.get(true.status, frozenset()):
            found.append(f"I2: {ref} is {record.state}, and at the gateway {true.status}")
        if record.filled != sum((each.shares for each in true.executions), _ZERO):
            found.append(f"I9: {ref} has {record.filled} filled, and at the gateway {true.filled}")
    return found + _executions(truth, written) + _positions(truth, written)


def _executions(truth: Truth, written: Written) -> list[str]:
    """Every execution once, as it now stands; the first revision is written once, however often it was told."""
    true = {_family(each.exec_id): each for order in truth.orders for each in order.executions}
    booked = {_family(each.exec_id): each for each in written.executions}
    found = [f"I14: execution {each} is not booked" for each in sorted(true.keys() - booked.keys())]
    found += [
        f"I9: {each} is booked, and never happened"
        for each in sorted(booked.keys() - true.keys())
        if booked[each].shares
    ]
    found += [
        f"I9: {each} is booked as {booked[each].shares} at {booked[each].price}, and was {fact.shares} at {fact.price}"
        for each, fact in true.items()
        if each in booked and _terms(booked[each]) != (fact.shares, fact.price, fact.side)
    ]
    ids = [each.exec_id for each in written.told]
    return found + [f"I9: {each} is booked {ids.count(each)} times" for each in sorted({*ids}) if ids.count(each) > 1]


def _terms(each: Executed) -> tuple[object, ...]:
    return each.shares, each.price, each.action


def _family(exec_id: str) -> str:
    return execution_family(exec_id)[0]


def _positions(truth: Truth, written: Written) -> list[str]:
    """I7: what the booked executions come to, with what was taken over, is what is held."""
    booked: dict[str, Decimal] = {}
    for each in written.executions:
        booked[each.symbol] = booked.get(each.symbol, _ZERO) + each.shares * each.action.sign
    for taken in written.adjusted:
        booked[taken.symbol] = booked.get(taken.symbol, _ZERO) + taken.shares
    held: dict[str, Decimal] = {}
    for (_, symbol), shares in truth.positions.items():
        held[symbol] = held.get(symbol, _ZERO) + shares
    return [
        f"I7: {symbol}: {booked.get(symbol, _ZERO)} by the journal, {held.get(symbol, _ZERO)} held"
        for symbol in sorted({*booked, *held})
        if booked.get(symbol, _ZERO) != held.get(symbol, _ZERO)
    ]


def cash_differences(opening: Decimal, cash: Decimal, written: Written) -> list[str]:
    """I8: opening cash, less what the booked executions cost with their commissions, is the account's cash."""
    latest = {each.exec_id: each.commission for each in written.charges}
    counts = {each.exec_id for each in written.executions}
    paid = sum((each.shares * each.price * each.action.sign for each in written.executions), _ZERO)
    charged = sum((amount for exec_id, amount in latest.items() if exec_id in counts), _ZERO)
    uncharged = counts - latest.keys()
    found = [f"I8: the commission of {each} is not booked" for each in sorted(uncharged)]
    if not uncharged and opening - paid - charged != cash:
        found.append(f"I8: {opening - paid - charged} by the journal, {cash} in the account")
    return found


def in_doubt(written: Written) -> list[str]:
    """I2: intents of which nothing certain is known; at rest there must be none."""
    return [f"I2: {each.order_ref} is {each.state} still" for each in written.intents if each.state in _DOUBT]


def one_mode(written: Written, mode: Mode) -> list[str]:
    """I3: the journal's file is of one mode, whatever happened to the connection."""
    return [] if written.mode is mode else [f"I3: a session in mode {mode} writes a journal of {written.mode}"]


def executions_of(truth: Truth, order_ref: str) -> tuple[Execution, ...]:
    """What was really executed of one intent."""
    return tuple(each for order in orders_of(truth).get(order_ref, ()) for each in order.executions)
