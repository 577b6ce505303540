"""Cancels: each is written down, and one that cannot leave is kept until TWS is there again.

A cancel takes risk away, so no guard stands before it, and it does not wait for the disk. One that is asked for while
the connection or TWS's link to IB is down leaves nothing behind on the wire: it is kept, also over the end of the
process. Once what happened meanwhile is known, it is sent if its order still works, and said to be needless if not. It
is on the disk that it is sent before it is, and no cancel is ever sent a second time unasked.
"""

import logging
from collections.abc import Iterable
from typing import Final

from src.brokers.admission import Admission
from src.brokers.broker import Broker
from src.brokers.reconciling import is_listed
from src.domain.errors import BrokerError, CancelKeptError, NotConnectedError
from src.domain.intents import CancelStep, IntentRecord
from src.domain.journal_facts import CancelNoted
from src.domain.orders import OrderId, OrderStatus, Origin, Trade
from src.runtime.worker import new_lock

_log: Final = logging.getLogger(__name__)


class Cancels:
    """The cancels of one session, to `broker`, in the books of `admission`. `ask` on any thread."""

    def __init__(self, broker: Broker, admission: Admission) -> None:
        self._broker, self._admission = broker, admission
        self._kept: dict[str, OrderId] = {}
        self._lock = new_lock()

    def ask(self, order_id: OrderId) -> Trade:
        """Cancel a working order; as the broker's. CancelKeptError: nothing was sent, and it will be."""
        if self._admission.books.journal is None:
            return self._broker.cancel_order(order_id)
        ref = self._reference(order_id)
        if ref is None:
            return self._broker.cancel_order(order_id)
        with self._lock:
            self._kept.pop(ref, None)  # this one is sent in its place
        self._note(ref, CancelStep.ASKED)
        try:
            return self._broker.cancel_order(order_id)
        except NotConnectedError as error:
            self._keep(ref, order_id, str(error))
            raise CancelKeptError(
                f"order {order_id}: its cancel is kept, and sent once TWS is there again; cancel in TWS itself if that "
                f"is too late ({error})"
            ) from None

    def _reference(self, order_id: OrderId) -> str | None:
        """The reference of an order of ours that is in the books; while nothing can be asked, by the books alone."""
        outcomes = self._admission.books.outcomes
        try:
            ref = self._broker.trade(order_id).order.order_ref
        except NotConnectedError:
            return next((each.order_ref for each in reversed(outcomes.unsettled) if each.order_id == order_id), None)
        return ref if outcomes.of(ref) is not None else None

    def _keep(self, ref: str, order_id: OrderId, why: str) -> None:
        with self._lock:
            self._kept[ref] = order_id
        self._note(ref, CancelStep.KEPT, why)
        _log.warning("order %s: its cancel is kept until TWS is there again", order_id)

    def _note(self, ref: str, step: CancelStep, reason: str = "") -> None:
        self._admission.books.tell(CancelNoted(ref, self._broker.now(), step, reason))

    # --- afterwards -------------------------------------------------------------------------------------------------

    def take_over(self, left: Iterable[IntentRecord]) -> None:
        """Go on with the cancels that an earlier session has kept, and say which others came to nothing."""
        outcomes = self._admission.books.outcomes
        for before in left:
            record = outcomes.of(before.order_ref)
            if record is None or record.cancel is None or record.order_id is None:
                continue
            if record.cancel is CancelStep.KEPT:
                with self._lock:
                    self._kept[record.order_ref] = record.order_id
            elif record.cancel is not CancelStep.DROPPED and not record.state.is_settled:
                _log.error(
                    "order %s is %s, although a cancel was asked for: none is sent again unasked",
                    record.order_id, record.state,
                )  # fmt: skip

    def send_kept(self) -> None:
        """Send what was kept, now that the venue's lists have been read. BrokerError when it cannot be asked."""
        if not self._kept:
            return
        lists = (*self._broker.completed_trades(), *self._broker.open_trades())
        trades = {trade.order.order_ref: trade for trade in lists if is_listed(trade)}
        for ref, order_id in tuple(self._kept.items()):
            record, trade = self._admission.books.outcomes.of(ref), trades.get(ref)
            if trade is not None and not trade.is_done and trade.status is not OrderStatus.PENDING_CANCEL:
                if ref in self._admission.unsettled:
                    continue  # first what became of the order itself
                if trade.origin is not Origin.OURS:
                    self._drop(ref, order_id, f"it is client {trade.client_id}'s now: cancel it there, or in TWS")
                else:
                    self._send(ref, trade)
            elif trade is not None:
                self._drop(ref, order_id, f"it is not needed: the order is {trade.status}")
            elif record is None or record.state.is_settled:
                self._drop(ref, order_id, f"it is not needed: the order is {record.state if record else 'not known'}")

    def _take(self, ref: str) -> bool:
        """Whether it was still kept: it is not any more."""
        with self._lock:
            return self._kept.pop(ref, None) is not None

    def _drop(self, ref: str, order_id: OrderId, why: str) -> None:
        if self._take(ref):
            _log.warning("order %s: the cancel that was kept is not sent: %s", order_id, why)
            self._note(ref, CancelStep.DROPPED, why)

    def _send(self, ref: str, trade: Trade) -> None:
        if not self._take(ref):
            return
        order_id = trade.order_id
        self._note(ref, CancelStep.SENT)
        self._admission.books.flush()  # after what waits: it is of before. Where it fails a cancel is sent all the same
        _log.warning("order %s: the cancel that was kept while TWS was away is sent now", order_id)
        try:
            found = self._broker.cancel_order(order_id)
        except NotConnectedError as error:
            self._keep(ref, order_id, str(error))
        except BrokerError as error:
            _log.error(
                "order %s: what became of its cancel is not known, and it is not sent again: %s", order_id, error
            )
        else:
            _log.warning("order %s: after its kept cancel it is %s", order_id, found.status)
