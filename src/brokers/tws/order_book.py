"""What became of every order and what was executed, as TWS has said it. Pure: no socket, no clock, no thread.

State comes from orderStatus, openOrder and executions; never from an error code. It only gains information: a stale
`Submitted` after `Filled` changes nothing, an execution is counted once whatever its message is repeated, a corrected
one replaces what it corrects, and a fill after a cancellation is booked.

One thread writes. What others read - `trades`, `working`, `done`, `fills` - changes in `finish()` alone, which is
called at a packet's end: so that a filled order, its position and its commission are seen together.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from src.brokers.tws.convert import Executed, OpenOrder, StatusReport
from src.domain.events import CommissionCharged, Event, Filled, Notice, OrderChanged
from src.domain.orders import (
    AccountId,
    CommissionReport,
    Execution,
    Fill,
    Order,
    OrderId,
    OrderStatus,
    Origin,
    Trade,
)
from src.domain.outcomes import execution_family

_log: Final = logging.getLogger(__name__)
_ZERO: Final = Decimal(0)
#: The revision of an execution that was not corrected.
_FIRST: Final = 1
#: What an openOrder message may say of an order's state. `Inactive` there is also an order that is not transmitted.
_ECHOED: Final = frozenset({OrderStatus.PRE_SUBMITTED, OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL})
_DEAD: Final = frozenset({OrderStatus.CANCELLED, OrderStatus.API_CANCELLED})


@dataclass(slots=True, eq=False)
class _Record:
    """One order as it grows; known to the writing thread alone."""

    number: int
    order_id: OrderId
    client_id: int
    order: Order
    origin: Origin
    trade: Trade
    status: OrderStatus = OrderStatus.PENDING_SUBMIT
    perm_id: int = 0
    reported: Decimal = _ZERO  # filled, by orderStatus
    reported_price: Decimal | None = None
    executed: Decimal = _ZERO
    value: Decimal = _ZERO  # of what was executed
    corrected: bool = False
    commission: Decimal = _ZERO
    code: int | None = None
    reason: str = ""


class OrderBook:
    """The orders of one account. `now` is the time that events are stamped with, epoch ns; `events` takes them."""

    def __init__(self, now: Callable[[], int], events: list[Event]) -> None:
        self._now, self.events = now, events
        self.account, self.client_id = AccountId(""), -1
        self._count = 0
        self._records: dict[int, _Record] = {}
        self._by_id: dict[tuple[int, int], _Record] = {}
        self._by_perm: dict[int, _Record] = {}
        self._executions: dict[str, tuple[int, Executed]] = {}  # by family, with the revision
        self._charges: dict[str, CommissionReport] = {}
        self._claims: dict[OrderId, tuple[int, str]] = {}
        self._changed: dict[int, _Record] = {}
        self._new_fills: dict[str, Fill] = {}
        #: Ours by id; all that work and all that are done, by a number of our own; fills by execution.
        self.trades: dict[OrderId, Trade] = {}
        self.working: dict[int, Trade] = {}
        self.done: dict[int, Trade] = {}
        self.fills: dict[str, Fill] = {}
        #: The perm ids of working orders whose status alone has come. A set that is replaced, never changed.
        self.unshown: frozenset[int] = frozenset()

    @property
    def highest_id(self) -> int:
        """The highest order id that this client has been seen to use; 0 for none."""
        own = (order_id for client_id, order_id in self._by_id if client_id == self.client_id)
        executed = (
            each.execution.order_id for _, each in self._executions.values() if each.client_id == self.client_id
        )
        return max((0, *own, *executed))

    # --- ours -------------------------------------------------------------------------------------------------------

    def expect(self, order_id: OrderId, order: Order) -> None:
        """One of ours is about to be sent."""
        record = self._new(order_id, self.client_id, order, Origin.OURS)
        self._changed[record.number] = record

    def forget(self, order_id: OrderId) -> None:
        """It was not sent after all: not a byte of it."""
        record = self._by_id.pop((self.client_id, order_id))
        del self._records[record.number]
        self._changed.pop(record.number, None)
        for found in (self.working, self.done):
            found.pop(record.number, None)
        self.trades.pop(order_id, None)

    def claim(self, order_id: OrderId, code: int, text: str) -> None:
        """An error message: why an order ended, if its status says that it did."""
        self._claims[order_id] = (code, text)
        record = self._by_id.get((self.client_id, order_id))
        if record is not None and record.status in (OrderStatus.INACTIVE, *_DEAD) and not record.reason:
            self._settle(record)

    def refuse(self, order_id: OrderId, code: int, text: str) -> None:
        """The venue refused one of ours, and does not have it: looked up, not guessed."""
        self._claims[order_id] = (code, text)
        record = self._by_id[self.client_id, order_id]
        record.status = OrderStatus.INACTIVE
        self._settle(record)

    # --- what TWS says ----------------------------------------------------------------------------------------------

    def opened(self, found: OpenOrder) -> None:
        """An openOrder message."""
        self._show(found.perm_id)
        if found.order.account not in ("", self.account):
            return
        record = self._find(found.client_id, found.order_id, found.perm_id, found.order.order_ref)
        if record is None:
            if not found.perm_id and (found.client_id, found.order_id) in self._by_id:
                return  # another order under an id of ours, and nothing to know it by again
            record = self._new(found.order_id, found.client_id, found.order, self._origin(found))
        self._name(record, found)
        if found.status in _ECHOED and self._is_news(record, found.status):
            record.status = found.status
        self._settle(record)

    def completed(self, found: OpenOrder) -> None:
        """A completedOrder message: one that was done by the time we asked. It bears no order id."""
        self._show(found.perm_id)
        if found.order.account not in ("", self.account):
            return
        record = self._by_perm.get(found.perm_id)
        if record is None:
            record = self._new(found.order_id, found.client_id, found.order, self._origin(found))
            self._name(record, found)
        if found.status is not None and found.status.is_done and self._is_news(record, found.status):
            record.status = found.status
        self._settle(record)

    def reported(self, report: StatusReport) -> None:
        """An orderStatus message."""
        named = self._by_perm.get(report.perm_id)
        reference = "" if named is None else named.order.order_ref
        record = self._find(report.client_id, report.order_id, report.perm_id, reference)
        if record is None:
            _log.info("a status of an order that was not shown: %s", report.status)
            if report.status.is_done:
                self._show(report.perm_id)
            elif report.perm_id:
                self.unshown |= {report.perm_id}
            return
        self._remember_perm(record, report.perm_id)
        if report.filled > record.reported:
            record.reported, record.reported_price = report.filled, report.average_price
        if self._is_news(record, report.status):
            record.status = report.status
        self._settle(record)

    def executed(self, found: Executed, *, live: bool) -> Decimal | None:
        """An execution; returns by how much it moves the position, None when it is not news.

        `live` is False for those that the first synchronisation brings: they are no events.
        """
        execution = found.execution
        if execution.account != self.account:
            return None
        stem, revision = execution_family(execution.exec_id)
        known = self._executions.get(stem)
        if known is not None and known[0] >= revision:
            return None
        self._executions[stem] = (revision, found)
        signed = execution.shares * execution.side.sign
        record = self._owner(found)
        if known is not None:
            before = known[1].execution
            signed -= before.shares * before.side.sign
            self._correct(record, before, execution)
        if record is not None:
            record.corrected |= revision > _FIRST  # before we heard of it
            record.executed += execution.shares
            record.value += execution.shares * execution.price
            self._remember_perm(record, found.perm_id)
        report = self._charges.get(execution.exec_id)
        fill = Fill(self._named(execution, record), report)
        self._new_fills[stem] = fill
        if live and known is None and execution.shares:  # what was annulled before it was heard of fills nothing
            self.events.append(Filled(fill))
        if record is not None:
            self._settle(record, quiet=not live)
        if report is not None:
            self._charge(fill.execution, report, record, live=live)
        return signed

    def charged(self, report: CommissionReport, *, live: bool) -> Execution | None:
        """A commission report; returns its execution, None when that has not come yet or was charged before."""
        if self._charges.get(report.exec_id) == report:
            return None
        before = self._charges.get(report.exec_id)
        self._charges[report.exec_id] = report
        stem, revision = execution_family(report.exec_id)
        known = self._executions.get(stem)
        if known is None or known[0] != revision:
            return None
        record = self._owner(known[1])
        if before is not None and record is not None:
            record.commission -= before.commission
        execution = self._named(known[1].execution, record)
        self._new_fills[stem] = Fill(execution, report)
        self._charge(execution, report, record, live=live and before is None)
        return execution

    def finish(self) -> list[OrderId]:
        """Show what has changed to the readers; returns the ids of ours among it."""
        touched = []
        for number, record in self._changed.items():
            trade = record.trade
            here, there = (self.done, self.working) if trade.is_done else (self.working, self.done)
            here[number] = trade
            there.pop(number, None)
            if record.origin is Origin.OURS and record.order_id > 0:
                self.trades[record.order_id] = trade
                touched.append(record.order_id)
        self._changed.clear()
        if self._new_fills:
            self.fills.update(self._new_fills)
            self._new_fills.clear()
        return touched

    def forget_others_but(self, seen: set[int]) -> None:
        """All open orders were listed: another's that is not among them (by perm_id) works no longer."""
        for record in self._records.values():
            if record.origin is not Origin.OURS and not record.status.is_done and record.perm_id not in seen:
                record.status = OrderStatus.CANCELLED
                self._settle(record)

    # ----------------------------------------------------------------------------------------------------------------

    def _show(self, perm_id: int) -> None:
        if perm_id in self.unshown:
            self.unshown -= {perm_id}

    def _new(self, order_id: OrderId, client_id: int, order: Order, origin: Origin) -> _Record:
        status, quantity = OrderStatus.PENDING_SUBMIT, order.quantity
        trade = Trade(order_id, order, status, _ZERO, quantity, _ZERO, self._now(), client_id=client_id, origin=origin)
        self._count += 1
        record = _Record(self._count, order_id, client_id, order, origin, trade)
        self._records[record.number] = record
        if order_id > 0 and (origin is Origin.OURS or (client_id, order_id) not in self._by_id):
            self._by_id[client_id, order_id] = record
        return record

    def _origin(self, found: OpenOrder) -> Origin:
        """A person's orders in TWS bear client 0 and no id of their own."""
        if (found.client_id, found.order_id) in self._by_id:
            _log.warning(
                "TWS shows order %s under id %s, which is another order's of this session",
                found.order.order_ref, found.order_id,
            )  # fmt: skip
            return Origin.OTHER
        if found.client_id == self.client_id and found.order_id > 0:
            return Origin.OURS
        return Origin.MANUAL if found.order_id <= 0 else Origin.OTHER

    def _find(self, client_id: int, order_id: int, perm_id: int, reference: str) -> _Record | None:
        record = self._by_id.get((client_id, order_id)) if order_id > 0 else None
        if record is None or _is_another(record, perm_id, reference):
            return self._by_perm.get(perm_id)
        return record

    def _owner(self, found: Executed) -> _Record | None:
        """The order of an execution; one that was only listed as completed learns its id here."""
        order_id = found.execution.order_id
        record = self._by_perm.get(found.perm_id) or self._by_id.get((found.client_id, order_id))
        if record is not None and _is_another(record, found.perm_id, found.execution.order_ref):
            return None
        if record is not None and record.order_id <= 0 < order_id and (found.client_id, order_id) not in self._by_id:
            record.order_id, record.client_id = order_id, found.client_id
            record.origin = Origin.OURS if found.client_id == self.client_id else Origin.OTHER
            self._by_id[found.client_id, order_id] = record
        return record

    def _remember_perm(self, record: _Record, perm_id: int) -> None:
        if perm_id and not record.perm_id:
            record.perm_id = perm_id
            self._by_perm[perm_id] = record

    def _name(self, record: _Record, found: OpenOrder) -> None:
        """Take what an echo says of the order itself; contract, reference and group stay as we asked for them."""
        self._remember_perm(record, found.perm_id)
        before, said = record.order, found.order
        if before is said or (record.origin is Origin.OURS and _repeats(before, said)):
            return
        if record.origin is Origin.OURS:
            said = replace(
                said,
                contract=before.contract,
                account=before.account or said.account,
                order_ref=before.order_ref or said.order_ref,
                oca_group=before.oca_group,
                parent_id=before.parent_id or said.parent_id,
            )
        if said != before:
            record.order = said

    @staticmethod
    def _is_news(record: _Record, status: OrderStatus) -> bool:
        """Whether a status may follow the one that is known. Done is done, but `Inactive` can come back to life."""
        known = record.status
        if status is OrderStatus.PENDING_SUBMIT or known is OrderStatus.FILLED:
            return False
        return known not in _DEAD or status is OrderStatus.FILLED

    def _correct(self, record: _Record | None, before: Execution, now: Execution) -> None:
        if record is not None:
            record.corrected = True
            record.executed -= before.shares
            record.value -= before.shares * before.price
            charged = self._charges.get(before.exec_id)
            record.commission -= charged.commission if charged else _ZERO
        was = f"{before.side} {before.shares} {before.contract.symbol} at {before.price}"
        text = f"execution corrected: {was} is now {now.shares} at {now.price}"
        if not now.shares:
            text = f"execution annulled by the venue (a bust): {was} does not count any more"
        _log.warning("%s", text)
        self.events.append(Notice(self._now(), 0, text, self.account, now.order_id))

    @staticmethod
    def _named(execution: Execution, record: _Record | None) -> Execution:
        """The execution under the contract of its order: executions name the venue they took place at."""
        if record is None or execution.contract is record.order.contract:  # as of any contract that was qualified
            return execution
        return replace(execution, contract=record.order.contract)

    def _charge(self, execution: Execution, report: CommissionReport, record: _Record | None, *, live: bool) -> None:
        if record is not None:
            record.commission += report.commission
            record.trade = replace(record.trade, commission=record.commission)
            self._changed[record.number] = record
        if live:
            self.events.append(CommissionCharged(self.account, execution.order_id, report))

    def _settle(self, record: _Record, *, quiet: bool = False) -> None:
        """Make the order's snapshot anew; an event when it differs in what matters."""
        order, before = record.order, record.trade
        filled = record.executed if record.corrected else max(record.executed, record.reported)
        if filled >= order.quantity and not (record.corrected and record.status is not OrderStatus.FILLED):
            record.status = OrderStatus.FILLED
        if record.executed == filled:
            average = record.value / filled if filled else _ZERO
        else:
            average = record.reported_price or _ZERO
        if record.status in (OrderStatus.INACTIVE, *_DEAD) and record.order_id in self._claims and not record.reason:
            record.code, record.reason = self._claims[record.order_id]
        status, reason = record.status, record.reason
        same = (
            status is before.status
            and filled == before.filled
            and (order is before.order or order == before.order)
            and reason == before.reason
        )
        trade = Trade(
            record.order_id,
            order,
            status,
            filled,
            max(order.quantity - filled, _ZERO),
            average,
            before.time if same else self._now(),
            record.perm_id,
            record.client_id,
            record.origin,
            record.code,
            reason,
            record.commission,
        )
        if same and trade == before and record.number in (self.done if status.is_done else self.working):
            return
        record.trade = trade
        self._changed[record.number] = record
        if not same and not quiet:
            self.events.append(OrderChanged(trade))


def _is_another(record: _Record, perm_id: int, reference: str) -> bool:
    """Whether what bears this reference is another order than ours of the same id: TWS's numbers may begin anew."""
    ours = record.order.order_ref
    if reference == ours or not (reference and ours) or record.origin is not Origin.OURS:
        return False
    return not perm_id or perm_id != record.perm_id  # a person may edit a reference in TWS


def _repeats(asked: Order, said: Order) -> bool:
    """Whether an echo says of our order what we asked for, in all that it can change."""
    return (
        asked.quantity == said.quantity
        and asked.limit_price == said.limit_price
        and asked.stop_price == said.stop_price
        and asked.order_type is said.order_type
        and asked.action is said.action
        and asked.tif is said.tif
        and asked.outside_rth == said.outside_rth
        and (bool(asked.account) or not said.account)
        and (bool(asked.order_ref) or not said.order_ref)
        and (bool(asked.parent_id) or not said.parent_id)
    )
