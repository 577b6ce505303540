"""Watches one connected broker: books what it tells, finds out what became of orders, throws nobody's orders but ours.

Over a socket this is a thread of its own. A simulated broker in this process is watched on its callers' threads, when
they call: it has no other time. Nothing is ever sent a second time from here.
"""

import logging
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, Protocol

from src.brokers.admission import Admission, Unsettled
from src.brokers.books import Books
from src.brokers.broker import Broker
from src.brokers.cancels import Cancels
from src.brokers.kill import Kill, Latches
from src.brokers.reconciling import is_listed, outcome_of, reconcile
from src.domain.account import AccountSummary
from src.domain.errors import BrokerError, NotConnectedError
from src.domain.events import ConnectionChanged, Event, Notice, OrderChanged
from src.domain.intents import IntentRecord, IntentState
from src.domain.journal_facts import KillNoted
from src.domain.market import Contract, Mode
from src.domain.orders import Action, Execution, Order, OrderId, OrderStatus, Origin, Trade
from src.runtime.bridge import EventStream
from src.runtime.clock import monotonic
from src.runtime.worker import Ticker

_log: Final = logging.getLogger(__name__)
_ZERO: Final = Decimal(0)
#: Real seconds: between two looks at the switch and the account, at what is not settled, at the positions.
LOOK_SECONDS: Final = 0.25
HEAR_SECONDS: Final = 0.05
#: The same while much is told: many small rounds, since an order that is on its way meanwhile waits for a whole one.
BUSY_SECONDS: Final = 0.02
SETTLE_SECONDS: Final = 2.0
POSITIONS_SECONDS: Final = 30.0
#: How often positions and executions are compared at once, while they move.
_LOOKS: Final = 3
#: After so long with an unknown outcome a person is called.
ALERT_SECONDS: Final = 60.0


class Hands(Protocol):
    """What the watch may do."""

    def cancel_order(self, order_id: OrderId) -> Trade:
        """Cancel an order."""
        ...

    def place_order(self, order: Order) -> Trade:
        """Place an order, through every guard."""
        ...


class Watch:
    """Watches `broker` from `begin` to `end`. `told` hears how far it has come with a kill: thrown, still working."""

    def __init__(  # all that a session is watched with
        self,
        broker: Broker,
        admission: Admission,
        latches: Latches,
        hands: Hands,
        told: Callable[[bool, int], None],
        cancels: Cancels,
    ) -> None:
        self._broker, self._admission, self._latches, self._hands, self._told = broker, admission, latches, hands, told
        self._cancels = cancels
        self._books = admission.books
        self.summary: AccountSummary | None = None
        self._stream: EventStream | None = None
        self._ticker: Ticker | None = None
        self._look_at = self._settle_at = self._positions_at = 0.0
        self._killed: Kill | None = None
        self._flattened = self._quiet = self._in_process = False
        self._unexplained: dict[int, Decimal] = {}
        self._uncharged: set[str] = set()  # executions whose commission the last look missed
        self._pause = HEAR_SECONDS

    # --- beginning and end ------------------------------------------------------------------------------------------

    def begin(self, books: Books, *, in_process: bool) -> None:
        """Find out what became of what was left open, then watch. The broker has just been synchronised."""
        self._books, self._in_process = books, in_process
        if not (in_process and books.journal is None and self._admission.limits.is_plain):
            self._stream = self._broker.events()  # first, so that nothing is missed
        left = books.open(self._broker.mode)
        known = books.journal is not None and books.journal.last_session() is not None
        if known:  # one that is older than the journal has been seen, or is nobody's affair here
            books.on_liquidation = self._liquidated
        books.catch_up(self._broker.fills(), announce=known)
        books.on_liquidation = self._liquidated
        self._find_out_of_the_past(left)
        for record in left:
            now = books.outcomes.of(record.order_ref)
            if now is not None and now.state is not record.state:
                _log.warning("order %s, left %s, is %s", record.order_ref, record.state, now.state)
        self._cancels.take_over(left)
        if books.journal is None or self._broker.mode is Mode.SIMULATED:
            books.positions = self._positions()
        else:
            self._explain_positions(first=not known, patience=0)
        self._positions_at = monotonic() + POSITIONS_SECONDS
        if not in_process:
            self._look_at_account()
            self._ticker = Ticker(self._round, "guards")

    def end(self) -> None:
        """Stop watching; what has been told is booked."""
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None
        if self._stream is not None:
            self._hear_all()
            self._stream.close()
            self._stream = None

    def _round(self) -> None:
        """One round of the thread. It is not woken by events: who waits for an order's answer goes first."""
        if self._ticker is not None:
            self._ticker.pause(self._pause)
        try:
            self._pause = BUSY_SECONDS if self._hear_all() else HEAR_SECONDS
            self.look()
        except BrokerError as error:
            self._complain(error)
        except Exception:  # noqa: BLE001  # whatever it is, the watch does not end with it
            _log.exception("the guards' watch goes on after an error of its own")

    def _complain(self, error: BrokerError) -> None:
        if not isinstance(error, NotConnectedError) and not self._quiet:
            _log.warning("the account cannot be watched at present: %s", error)
        self._quiet = True

    def _find_out_of_the_past(self, left: Sequence[IntentRecord]) -> None:
        """Settle what an earlier session left open; where the lists cannot be had, it blocks until they can."""
        if not left:
            return
        try:
            self._broker.synchronise()
        except BrokerError as error:
            _log.error("what became of %d orders of an earlier session is not known yet: %s", len(left), error)
            for record in left:
                self._admission.unsettled[record.order_ref] = Unsettled(order_of(record), monotonic(), -1)
            return
        self._books.catch_up(self._broker.fills(), announce=True)
        unshown = self._broker.unshown()
        for record in left:
            if record.perm_id in unshown:  # it is there: what became of it, a later list says
                self._admission.unsettled[record.order_ref] = Unsettled(order_of(record), monotonic(), -1)
        self._find_out(left, frozenset(record.order_ref for record in left if record.perm_id not in unshown))

    # --- looks ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Do what is due. BrokerError when the broker cannot be asked."""
        now = monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        self._hear_all()
        self._heed_kill()
        if not self._broker.is_connected:
            return
        self._admission.look_at_quotes(suspects=self._in_process)
        if self._in_process:
            if self._admission.unsettled:
                self._settle()
            return
        self._cancels.send_kept()
        self._look_at_account()
        if self._admission.unsettled and now >= self._settle_at:
            self._settle_at = now + SETTLE_SECONDS
            self._settle()
        if now >= self._positions_at:
            self._positions_at = now + POSITIONS_SECONDS
            self._look_at_positions()
        self._quiet = False

    def _look_at_account(self) -> None:
        if self._admission.limits.is_plain:
            return
        self.summary = self._broker.account_summary()
        if self._admission.look_at_losses(self.summary):
            self._cancel_ours()

    def _heed_kill(self) -> None:
        kill = self._latches.kill
        if kill is None:
            if self._killed is not None:
                self._killed, self._flattened = None, False
                self._books.tell(KillNoted(self._broker.now(), engaged=False))
                _log.warning("the kill switch is released")
                self._told(False, 0)  # noqa: FBT003
            return
        if self._killed is None:
            _log.error("the kill switch is thrown: %s; working orders of ours are cancelled", kill.reason)
            self._books.tell(KillNoted(self._broker.now(), engaged=True, reason=kill.reason))
        self._killed = kill
        if not self._broker.is_connected:
            return
        working = self._cancel_ours()
        if kill.flatten and not working and not self._flattened:
            self._flattened = True
            self._flatten()
        self._told(True, working)  # noqa: FBT003

    def _cancel_ours(self) -> int:
        """Cancel our working orders, nobody else's; how many work still."""
        for trade in self._ours():
            if trade.status is not OrderStatus.PENDING_CANCEL:
                try:
                    self._hands.cancel_order(trade.order_id)
                except BrokerError as error:
                    _log.warning("order %s is not cancelled: %s", trade.order_id, error)
        return len(self._ours())

    def _ours(self) -> list[Trade]:
        return [trade for trade in self._broker.open_trades() if trade.origin is Origin.OURS and not trade.is_done]

    def _flatten(self) -> None:
        """Close every position of the account at the market."""
        for position in self._broker.positions():
            if position.quantity:
                action = Action.SELL if position.quantity > 0 else Action.BUY
                try:
                    self._hands.place_order(Order(position.contract, action, abs(position.quantity)))
                except BrokerError as error:
                    _log.error("%s is not closed: %s", position.contract.symbol, error)

    # --- what is heard ----------------------------------------------------------------------------------------------

    def _hear_all(self) -> bool:
        """Take in what has come; whether anything has."""
        event = None
        if self._stream is not None:
            for event in self._stream.arrived():
                self._hear(event)
        return event is not None

    def _hear(self, event: Event) -> None:
        self._books.hear(event)
        if isinstance(event, OrderChanged):
            self._changed(event.trade)
        elif isinstance(event, ConnectionChanged) and event.connected:
            self._look_at = self._settle_at = self._positions_at = 0.0  # all that may have happened meanwhile, at once
        elif isinstance(event, Notice) and event.code == 0:  # an execution was corrected
            self._books.catch_up(self._broker.fills(), announce=True)
            self._end_corrected()

    def _end_corrected(self) -> None:
        """An order that has filled is done, although its executions, corrected to fewer shares, do not say so."""
        open_still = {record.order_ref: record for record in self._books.outcomes.unsettled}
        for trade in self._broker.completed_trades() if open_still else ():
            record = open_still.get(trade.order.order_ref)
            if record is not None and trade.status is OrderStatus.FILLED and trade.filled == record.filled:
                self._books.tell(*outcome_of(trade, self._broker.now()))

    def _changed(self, trade: Trade) -> None:
        unsettled = self._admission.unsettled.get(trade.order.order_ref)
        if unsettled is not None and trade.status is not OrderStatus.PENDING_SUBMIT:
            self._books.tell(*outcome_of(trade, self._broker.now()))
            self._settled(unsettled)
        if trade.status is OrderStatus.INACTIVE and trade.origin is Origin.OURS:
            self._admission.rejected(trade.order, trade.code)

    def _liquidated(self, execution: Execution) -> None:
        """Take no new risk with an account that IB has closed positions of. Play money goes on with what is left."""
        if self._broker.mode is not Mode.SIMULATED:
            self._latches.halt(f"IB has liquidated {execution.shares} {execution.contract.symbol} for want of margin")

    # --- what is not known ------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Look for the orders whose outcome is not known. Those that the venue's silence does not settle stay."""
        waiting = dict(self._admission.unsettled)
        self._call_for_help(waiting)
        self._broker.synchronise()
        self._books.catch_up(self._broker.fills(), announce=True)
        broker = self._broker
        connection = None if self._in_process else broker.health().reconnects  # what is in this process is the venue
        known = {ref: found for ref in waiting if (found := self._books.outcomes.of(ref)) is not None}
        unshown = broker.unshown()
        hidden = {ref for ref, record in known.items() if record.perm_id in unshown}
        renewed = frozenset(ref for ref, each in waiting.items() if each.connection != connection and ref not in hidden)
        self._find_out([*known.values()], renewed)
        trades = self._listed()
        for ref, each in waiting.items():
            record = self._books.outcomes.of(ref)
            if ref in trades:
                self._books.amended(trades[ref].order)
            is_known = record is not None and record.state is not IntentState.UNKNOWN and ref not in hidden
            if ref in trades or ref in renewed or is_known:
                self._settled(each)

    def _settled(self, unsettled: Unsettled) -> None:
        order = unsettled.order
        record = self._books.outcomes.of(order.order_ref)
        _log.warning(
            "what became of order %s is known: %s", order.order_ref, record.state if record else "see the venue's lists"
        )
        self._admission.release((order,))

    def _find_out(self, records: Sequence[IntentRecord], renewed: frozenset[str]) -> None:
        if not records:
            return
        broker = self._broker
        executed: dict[str, Decimal] = {}
        for fill in broker.fills():
            ref = fill.execution.order_ref
            executed[ref] = executed.get(ref, _ZERO) + fill.execution.shares
        self._books.tell(*reconcile(records, self._listed(), executed, renewed, broker.now()))

    def _listed(self) -> dict[str, Trade]:
        """By reference, the orders that the venue has told of."""
        trades = (*self._broker.completed_trades(), *self._broker.open_trades())
        return {trade.order.order_ref: trade for trade in trades if is_listed(trade)}

    def _call_for_help(self, waiting: dict[str, Unsettled]) -> None:
        now = monotonic()
        for ref, each in waiting.items():
            if not each.alerted and now - each.since > ALERT_SECONDS:
                each.alerted = True
                _log.error(
                    "what became of order %s (%s %s %s) is not known after %.0f s: look at TWS's screen for a question "
                    "and at its orders; to connect anew settles it", ref, each.order.action, each.order.quantity,
                    each.order.contract.symbol, now - each.since,
                )  # fmt: skip

    # --- positions --------------------------------------------------------------------------------------------------

    def _positions(self) -> dict[int, Decimal]:
        return {each.contract.con_id: each.quantity for each in self._broker.positions()}

    def _differences(self) -> dict[int, Decimal]:
        """By con_id, how much more is held than the executions come to; all that are known are booked first.

        What fills between the one look and the other would be a difference, and is looked at again.
        """
        held = self._positions()
        for _ in range(_LOOKS):
            self._books.catch_up(self._broker.fills(), announce=True)
            before, held = held, self._positions()
            if before == held:
                break
        booked = self._books.positions
        found = {each: held.get(each, _ZERO) - booked.get(each, _ZERO) for each in {*held, *booked}}
        return {con_id: shares for con_id, shares in found.items() if shares}

    def _look_at_positions(self) -> None:
        if self._books.journal is None:
            return
        uncharged = {fill.execution.exec_id for fill in self._broker.fills() if fill.commission_report is None}
        late, self._uncharged = uncharged - self._uncharged, uncharged
        lasts = any(self._unexplained.get(con_id) == shares for con_id, shares in self._differences().items())
        if lasts or uncharged - late:  # to list a busy day takes seconds in which no order is answered
            self._broker.synchronise()
        self._end_corrected()
        self._explain_positions(first=False, patience=1)
        if self._unexplained or late:  # a few seconds decide whether a message is on its way
            self._positions_at = min(self._positions_at, monotonic() + SETTLE_SECONDS)

    def _explain_positions(self, *, first: bool, patience: int) -> None:
        """Take over what nothing explains: without a word when a journal begins, else with an alarm and a block.

        With `patience` a difference must be there, the same, in two looks.
        """
        differences = self._differences()
        contracts = {each.contract.con_id: each.contract for each in self._broker.positions()}
        for con_id, shares in differences.items():
            if patience and self._unexplained.get(con_id) != shares:
                continue
            contract = contracts.get(con_id) or Contract(self._books.symbol_of(con_id), con_id=con_id)
            if first:
                self._books.adjust(contract, shares, "held when this journal began")
                continue
            reason = f"the position in {contract.symbol or con_id} moved by {shares}, and no execution explains it"
            _log.error("%s: it is taken over, and nothing more is traded in it before python -m src resume", reason)
            self._latches.block(con_id, reason)  # first: who sees it taken over finds the block
            self._books.adjust(contract, shares, reason)
        self._unexplained = differences


def order_of(record: IntentRecord) -> Order:
    """The order that an intent of an earlier session meant."""
    intent = record.intent
    return Order(
        intent.contract, intent.action, record.quantity, intent.order_type, intent.limit_price, intent.stop_price,
        order_ref=intent.order_ref,
    )  # fmt: skip
