"""What a session has sent and what it has heard of it: written into the journal, and counted for the guards.

Every execution is booked once, whoever tells it and however often; the position that all of them come to is held
against the venue's. A simulated session whose account does not outlive it has no journal, and is counted all the same.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Final

from src.brokers.reconciling import outcome_of
from src.domain.errors import JournalUnavailableError
from src.domain.events import CommissionCharged, ConnectionChanged, Event, Filled, OrderChanged
from src.domain.intents import Intent, IntentRecord, IntentState
from src.domain.journal_facts import (
    Acknowledged,
    Adjusted,
    Amended,
    CancelNoted,
    Charged,
    ConnectionNoted,
    Executed,
    JournalFact,
    Refused,
    StateChanged,
)
from src.domain.market import Contract, Mode
from src.domain.orders import Execution, Fill, Order, OrderStatus, Trade
from src.domain.outcomes import Outcomes, execution_family
from src.records.journal import Journal
from src.records.journal_reading import JournalReader
from src.runtime.clock import NS
from src.runtime.worker import new_lock

_log: Final = logging.getLogger(__name__)
_ZERO: Final = Decimal(0)
_ENDED_WITHOUT: Final = frozenset({IntentState.CANCELLED, IntentState.REJECTED, IntentState.NOT_SENT})


class Books:
    """The books of one session. `now` is the session's clock, `today` names its day. Safe on any thread."""

    def __init__(self, journal: Journal | None, session: str, now: Callable[[], int], today: Callable[[], str]) -> None:
        self.journal, self.session, self._now, self.today = journal, session, now, today
        self._lock = new_lock()
        self.outcomes = Outcomes()
        self.refusals: Counter[str] = Counter()
        self.positions: dict[int, Decimal] = {}  # by con_id: what the executions come to
        self._known: dict[str, tuple[int, Decimal]] = {}  # signed shares by execution, with the revision
        self._charged: set[str] = set()
        self._caught_up: dict[str, Fill] = {}  # by execution: what was taken in of the venue's list
        self._own: dict[int, Decimal] = {}  # of orders with a reference: for round trips
        self._trips, self._day = 0, ""
        self._paid: deque[tuple[int, Decimal]] = deque(maxlen=10_000)  # when what was heard, and what it cost
        self._rejections: dict[int, dict[str, int]] = {}  # by con_id: when which order was
        #: Who is to hear of a position that the venue has closed; called once for each such execution.
        self.on_liquidation: Callable[[Execution], None] = lambda execution: None  # noqa: ARG005

    # --- intents ----------------------------------------------------------------------------------------------------

    def intend(self, orders: Sequence[Order]) -> None:
        """Write down that these will be sent, together; durable on return. JournalUnavailableError: nothing may be."""
        if self.journal is None:
            return
        now = self._now()
        parent = orders[0].order_ref
        intents = [
            Intent.of(each, self.session, now, parent_ref=parent if number else "")
            for number, each in enumerate(orders)
        ]
        self.journal.intend(intents)
        self._take(intents)

    def _take(self, facts: Iterable[JournalFact]) -> None:
        with self._lock:
            for each in facts:
                self.outcomes.take(each)

    def amend(self, order: Order) -> None:
        """Write down what an order is asked to be from now on; durable on return. JournalUnavailableError."""
        if self.outcomes.of(order.order_ref) is not None:
            self.commit(self._amended(order))

    def amended(self, order: Order) -> None:
        """Note what an order is after all."""
        if self.outcomes.of(order.order_ref) is not None:
            self.tell(self._amended(order))

    def _amended(self, order: Order) -> Amended:
        return Amended(order.order_ref, self._now(), order.quantity, order.limit_price, order.stop_price)

    def refused(self, order: Order, rule: str, limit: str, value: str) -> None:
        """Note that a limit has refused an order."""
        self.refusals[rule] += 1
        if self.journal is not None:
            now = self._now()
            self.tell(Intent.of(order, self.session, now), Refused(order.order_ref, now, rule, limit, value))

    def tell(self, *facts: JournalFact) -> None:
        """Note facts: they are written down soon."""
        if self.journal is not None:
            self.journal.record(*facts)
            self._take(facts)

    def commit(self, fact: JournalFact) -> None:
        """Write a fact down; durable on return. JournalUnavailableError, and then it is not written."""
        if self.journal is not None:
            self.journal.commit(fact)
            self._take([fact])

    def state(self, order_ref: str, state: IntentState, reason: str = "") -> None:
        """Note the state of an intent."""
        self.tell(StateChanged(order_ref, self._now(), state, reason))

    def acknowledged(self, trade: Trade) -> None:
        """Note that the venue has an order."""
        self.tell(Acknowledged(trade.order.order_ref, self._now(), trade.order_id, trade.perm_id))

    @property
    def unavailable(self) -> str | None:
        """Why nothing can be written down; None while it can."""
        return None if self.journal is None else self.journal.failed

    # --- what is heard ----------------------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        """Take an event of the venue's in."""
        if isinstance(event, Filled):
            self.book(event.fill.execution)
        elif isinstance(event, CommissionCharged):
            self._charge(event.report.exec_id, event)
        elif isinstance(event, OrderChanged):
            self._changed(event.trade)
        elif isinstance(event, ConnectionChanged):
            self.tell(ConnectionNoted(self._now(), event.mode, event.connected, event.reason))

    def _changed(self, trade: Trade) -> None:
        record = self.outcomes.of(trade.order.order_ref) if trade.order.order_ref else None
        if record is not None and trade.is_done and trade.status is not OrderStatus.FILLED:
            self.tell(*outcome_of(trade, self._now()))

    def _charge(self, exec_id: str, event: CommissionCharged) -> None:
        if exec_id not in self._charged:
            self._charged.add(exec_id)
            self.tell(Charged.of(event.report, self._now()))

    def catch_up(self, fills: Iterable[Fill], *, announce: bool) -> int:
        """Book what is among these executions and was not heard; with `announce`, say each in the log. How many."""
        missed, known = 0, self._caught_up
        for fill in fills:
            exec_id = fill.execution.exec_id
            if known.get(exec_id) is fill:  # a day's list is looked at again and again
                continue
            if self.book(fill.execution, reconciled=True):
                missed += 1
                if announce:
                    _log.warning("%s", _missed(fill.execution))
            if (report := fill.commission_report) is not None:
                self._charge(report.exec_id, CommissionCharged(fill.execution.account, fill.execution.order_id, report))
            known[exec_id] = fill
        return missed

    def book(self, execution: Execution, *, reconciled: bool = False) -> bool:
        """Book an execution; False when it was booked before, or has been corrected since."""
        with self._lock:
            return self._book(execution, reconciled=reconciled)

    def _book(self, execution: Execution, *, reconciled: bool) -> bool:
        family, revision = execution_family(execution.exec_id)
        name = f"{family} {execution.order_ref}"  # a simulated venue begins anew with its numbers
        known = self._known.get(name)
        if known is not None and known[0] >= revision:
            return False
        signed = execution.shares * execution.side.sign
        moved = signed - (known[1] if known is not None else _ZERO)
        self._known[name] = revision, signed
        con_id = execution.contract.con_id
        self.positions[con_id] = self.positions.get(con_id, _ZERO) + moved
        record = self.outcomes.of(execution.order_ref) if execution.order_ref else None
        if record is not None and record.state in _ENDED_WITHOUT:
            _log.error(
                "order %s was %s, and %s %s have filled at %s all the same: they are booked",
                execution.order_ref, record.state, execution.shares, execution.contract.symbol, execution.price,
            )  # fmt: skip
        if execution.liquidation:
            _log.error("IB has liquidated %s %s", execution.shares, execution.contract.symbol)
            self.on_liquidation(execution)
        self._count(execution, moved)
        self.tell(Executed.of(execution, reconciled=reconciled))
        return True

    # --- counters ---------------------------------------------------------------------------------------------------

    def _count(self, execution: Execution, moved: Decimal) -> None:
        self._paid.append((self._now(), moved * execution.price))
        if not execution.order_ref:
            return
        if self._day != self.today():
            self._day, self._trips = self.today(), 0
        con_id = execution.contract.con_id
        before = self._own.get(con_id, _ZERO)
        after = self._own[con_id] = before + moved
        if before and before * after <= 0:
            self._trips += 1

    @property
    def round_trips(self) -> int:
        """How often today a position of ours was brought back to nothing, or turned round."""
        return self._trips if self._day == self.today() else 0

    def paid_since(self, moment: int) -> Decimal:
        """Dollars spent on purchases heard of after `moment`."""
        with self._lock:
            while self._paid and self._paid[0][0] <= moment:
                self._paid.popleft()
            return sum((amount for _, amount in self._paid if amount > 0), _ZERO)

    def rejected(self, order: Order) -> int:
        """Note that the venue has rejected an order; how many it has, of that contract, within a minute."""
        now = self._now()
        with self._lock:
            found = self._rejections.setdefault(order.contract.con_id, {})
            found[order.order_ref] = now
            for ref in [ref for ref, time in found.items() if time <= now - 60 * NS]:
                del found[ref]
            return len(found)

    # --- the beginning ----------------------------------------------------------------------------------------------

    def open(self, mode: Mode) -> tuple[IntentRecord, ...]:
        """Take in what the journal knows; return the intents of which the venue may know more."""
        if self.journal is None:
            return ()
        with JournalReader(self.journal.path) as reader:
            outcomes = reader.outcomes()
            executions = tuple(reader.executions().values())
            adjusted = [each for each in reader.facts(Adjusted) if isinstance(each, Adjusted)]
        unsettled = outcomes.unsettled
        if mode is Mode.SIMULATED:  # whose numbers begin anew: of the past only what is open counts
            refs = {record.order_ref for record in unsettled}
            outcomes = _only(outcomes, refs, executions)
        self.outcomes = outcomes
        for each in executions:
            family, revision = execution_family(each.exec_id)
            name = f"{family} {each.order_ref}"
            if name not in self._known or self._known[name][0] < revision:
                self._known[name] = revision, each.shares * each.action.sign
        if mode is not Mode.SIMULATED:
            for execution in outcomes.executions.values():
                moved = execution.shares * execution.action.sign
                self.positions[execution.con_id] = self.positions.get(execution.con_id, _ZERO) + moved
            for each_adjusted in adjusted:
                con_id = each_adjusted.con_id
                self.positions[con_id] = self.positions.get(con_id, _ZERO) + each_adjusted.shares
        return unsettled

    def symbol_of(self, con_id: int) -> str:
        """The symbol that executions of this contract have told; empty when none has."""
        return next((each.symbol for each in self.outcomes.executions.values() if each.con_id == con_id), "")

    def adjust(self, contract: Contract, shares: Decimal, reason: str) -> None:
        """Take over the venue's position where no execution explains it."""
        con_id = contract.con_id
        self.positions[con_id] = self.positions.get(con_id, _ZERO) + shares
        self.tell(Adjusted(self._now(), contract.symbol, con_id, shares, reason))

    def close(self, how: str) -> None:
        """Write down what waits and how the session ended."""
        if self.journal is not None:
            self.journal.close(how)

    def flush(self) -> None:
        """Write down what waits, if it can be; a failure shows in `unavailable`."""
        if self.journal is not None:
            try:
                self.journal.flush()
            except JournalUnavailableError as error:
                _log.error("%s", error)


def _only(outcomes: Outcomes, refs: set[str], executions: Iterable[Executed]) -> Outcomes:
    """The outcomes of some intents alone."""
    found = Outcomes(record.intent for record in outcomes.records if record.order_ref in refs)
    for record in outcomes.records:
        if record.order_ref in refs:
            if record.order_id is not None:
                found.take(Acknowledged(record.order_ref, record.updated, record.order_id, record.perm_id))
            if record.cancel is not None:
                found.take(CancelNoted(record.order_ref, record.updated, record.cancel))
            if record.state is IntentState.UNKNOWN:
                found.take(StateChanged(record.order_ref, record.updated, record.state, record.reason))
    for each in executions:
        if each.order_ref in refs:
            found.take(each)
    return found


def _missed(execution: Execution) -> str:
    """What an execution says that no event has told."""
    whose = f"order {execution.order_ref or 'of somebody else'}"
    if not execution.shares:
        return f"annulled by the venue (a bust): execution {execution.exec_id} of {execution.contract.symbol}, {whose}"
    what = f"{execution.side} {execution.shares} {execution.contract.symbol} at {execution.price}, {whose}"
    revised = execution_family(execution.exec_id)[1] > 1
    return f"corrected by the venue to {what}" if revised else f"filled while this session did not watch: {what}"
