"""Orders out, and the wait for what becomes of them. On the loop's thread only.

An order is settled by what TWS says of its state. An error message ends a wait only together with a look at TWS's own
lists; when nothing is heard in time, the outcome is unknown and nothing is sent again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from src.brokers.tws.order_book import OrderBook
from src.brokers.tws.pacing import MessagePacer
from src.brokers.tws.waiting import Venue, Wait, in_time, tell, unknown
from src.domain.account import OrderPreview
from src.domain.codes import Meaning, RequestKind, meaning
from src.domain.errors import (
    NotConnectedError,
    OrderRefusedError,
    OrderRejectedError,
    RequestTimeoutError,
    UnknownOrderError,
)
from src.domain.events import Notice
from src.domain.orders import Bracket, Order, OrderChange, OrderId, OrderStatus, Trade
from src.domain.rejections import UNKNOWN_ORDER
from src.runtime.bridge import Reply
from src.runtime.clock import monotonic

_log: Final = logging.getLogger(__name__)
#: Seconds that an order's status may come after, or before, the message that explains it.
_GRACE: Final = 0.3
#: An order id that TWS has seen before.
_ID_USED: Final = 103
#: Changing what has ended (TWS code 104).
_TOO_LATE: Final = 104
#: Claims that end an order, if its state bears them out.
_ENDS: Final = frozenset({Meaning.REJECTED, Meaning.CANCELLED, Meaning.UNKNOWN, Meaning.FAILED, Meaning.NO_CONTRACT})
#: States of a new order that may be a refusal.
_TO_EXPLAIN: Final = frozenset({OrderStatus.INACTIVE, OrderStatus.CANCELLED, OrderStatus.API_CANCELLED})
_TOLD: Final = frozenset(
    {Meaning.HELD, Meaning.ORDER_INFO, Meaning.UNCHANGED, Meaning.CANCEL_REFUSED, Meaning.UNKNOWN, Meaning.PACING}
)


class Orders:
    """Places, changes and cancels orders over the connection of `venue`. `timeout` and `oldest` are seconds."""

    def __init__(self, venue: Venue, book: OrderBook, pacer: MessagePacer, timeout: float, oldest: float = 2.0) -> None:
        self._venue, self._book, self._pacer, self._timeout, self._oldest = venue, book, pacer, timeout, oldest
        self._waits: dict[OrderId, list[Wait]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # --- what is heard ----------------------------------------------------------------------------------------------

    def knows(self, order_id: OrderId) -> bool:
        """Whether this id is an order of ours, or a preview under way."""
        return order_id in self._waits or order_id in self._book.trades

    def touched(self, order_ids: Sequence[OrderId]) -> None:
        """Snapshots of these have changed."""
        for order_id in order_ids:
            for wait in tuple(self._waits.get(order_id, ())):
                if wait.reply is None or not self._hand_over(order_id, wait):
                    wait.hear()

    def _hand_over(self, order_id: OrderId, wait: Wait) -> bool:
        """Give an order that TWS has taken to the thread that waits; False when its state is to be looked into."""
        trade = self._book.trades[order_id]
        if trade.status in _TO_EXPLAIN:
            return False
        if trade.status is not OrderStatus.PENDING_SUBMIT and wait.reply is not None:
            wait.reply.give((trade,))
            wait.leave_hand()
            self._end([order_id], [wait])
        return True

    def previewed(self, order_id: OrderId, preview: OrderPreview | None) -> None:
        """A what-if answer; a real TWS sends one without values first, which is none."""
        for wait in self._waits.get(order_id, ()):
            if preview is not None:
                wait.preview = preview
                wait.wake.set()

    def heard(self, order_id: OrderId, code: int, text: str, now: int) -> None:
        """An error message on an order's id: a claim."""
        waits = self._waits.get(order_id, [])
        what = meaning(code, waits[-1].kind if waits else RequestKind.NONE)
        if code == _ID_USED:
            self._venue.wire.ask_ids()
        if what in _ENDS:
            self._book.claim(order_id, code, text)
        for wait in waits:
            if wait.claim is None or wait.claim[0] not in _ENDS:
                wait.claim = (what, code, text)
            wait.hear()
        if what in _TOLD and order_id in self._book.trades:
            self._book.events.append(Notice(now, code, text, self._book.account, order_id))
        if not waits and what is Meaning.UNKNOWN:
            _log.warning("order %s: TWS says %s %s; looking it up", order_id, code, text)
            self._look_later()

    def lost(self) -> None:
        """The connection is gone."""
        for waits in self._waits.values():
            for wait in waits:
                wait.lost = True
                wait.hear()

    def _look_later(self) -> None:
        async def look() -> None:
            await asyncio.sleep(_GRACE)
            await self._venue.look()

        task = asyncio.ensure_future(look())
        self._tasks.add(task)
        task.add_done_callback(self._looked)

    def _looked(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("the orders could not be looked up: %s", error)

    # --- what is asked ----------------------------------------------------------------------------------------------

    def place(self, order: Order, asked: float, reply: Reply[tuple[Trade, ...]]) -> None:
        """Send an order that was `asked` for then (see `monotonic`); the reply is given once it is acknowledged.

        By the very packet that says so, if nothing else comes up: a task that waits takes the loop three rounds more.
        """
        if reply.is_abandoned:
            return
        try:
            self._venue.check_can_trade()
            if not self._pacer.takes(1):
                task = asyncio.ensure_future(self._place([(order, None, True)], asked))
                reply.on_abandon = task.cancel
                task.add_done_callback(partial(tell, reply))
                return
            deadline = monotonic() + self._timeout
            ids, waits = self._send([(order, None, True)], asked)
        except Exception as error:  # noqa: BLE001  # the caller gets it
            reply.fail(error)
            return
        [wait] = waits

        def go_on() -> None:
            wait.leave_hand()
            task = asyncio.ensure_future(self._settled(ids, waits, deadline))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(partial(tell, reply))

        wait.reply, wait.go_on = reply, go_on
        wait.timer = asyncio.get_running_loop().call_later(self._timeout, go_on)

    async def place_bracket(self, bracket: Bracket, asked: float) -> tuple[Trade, ...]:
        """Send parent, target and stop; the last one releases all three. One refused takes the others with it."""
        legs = [(bracket.parent, None, False), (bracket.take_profit, 0, False), (bracket.stop_loss, 0, True)]
        return await self._place(legs, asked)

    async def _place(self, legs: Sequence[tuple[Order, int | None, bool]], asked: float) -> tuple[Trade, ...]:
        """Send orders together: each with the place of its parent among them, and whether it releases those before."""
        self._venue.check_can_trade()
        deadline = monotonic() + self._timeout
        if not self._pacer.takes(len(legs)):
            await self._turn(deadline, len(legs))
            self._venue.check_can_trade()
        ids, waits = self._send(legs, asked)
        return await self._settled(ids, waits, deadline)

    def _send(
        self, legs: Sequence[tuple[Order, int | None, bool]], asked: float
    ) -> tuple[Sequence[OrderId], Sequence[Wait]]:
        """Write orders whose turn it is; their ids, and what is to be heard of each."""
        if (waited := monotonic() - asked) > self._oldest:
            reason = f"nothing was sent: it has waited {waited:.1f} s to be written, and the market has gone on"
            raise OrderRefusedError(reason, reason=reason, code=None)
        wire, ids, waits = self._venue.wire, list[OrderId](), list[Wait]()
        for order, parent, transmit in legs:
            order_id = OrderId(wire.next_id())
            own = order if parent is None else replace(order, parent_id=ids[parent])
            self._book.expect(order_id, own)
            try:
                wire.place(order_id, own, transmit=transmit)
            except (ConnectionError, OrderRefusedError) as error:
                self._book.forget(order_id)
                self._end(ids, waits)
                if isinstance(error, OrderRefusedError):
                    raise
                raise NotConnectedError("the connection is gone: the order was not sent") from None
            self._venue.finish()  # who reads orders sees it once it has left; nothing can have answered it yet
            ids.append(order_id)
            waits.append(self._begin(order_id, RequestKind.NEW))
        return ids, waits

    async def _settled(self, ids: Sequence[OrderId], waits: Sequence[Wait], deadline: float) -> tuple[Trade, ...]:
        """The orders, once all are acknowledged."""
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - monotonic()):
                for order_id, wait in zip(ids, waits, strict=True):
                    await self._acknowledged(order_id, wait)
        except TimeoutError:
            raise unknown(ids, f"TWS has not acknowledged it within {self._timeout:g} s") from None
        except OrderRejectedError:
            self._withdraw(ids)
            raise
        finally:
            self._end(ids, waits)
        return tuple(self._book.trades[order_id] for order_id in ids)

    async def _acknowledged(self, order_id: OrderId, wait: Wait) -> None:
        """Return once an order is past PendingSubmit; OrderRejectedError when it is not taken."""
        looked = False
        while True:
            wait.wake.clear()
            trade = self._book.trades[order_id]
            if trade.status is OrderStatus.INACTIVE or (trade.is_done and not trade.filled and _refused(wait)):
                await self._explained(order_id, wait)
                trade = self._book.trades[order_id]
                reason = trade.reason or (wait.claim[2] if wait.claim else "") or "TWS gives no reason"
                code = trade.code if trade.code is not None else wait.claim[1] if wait.claim else None
                raise OrderRejectedError(f"order {order_id}: {reason}", reason=reason, code=code, order_id=order_id)
            if trade.status is not OrderStatus.PENDING_SUBMIT:
                return
            if wait.lost:
                raise unknown([order_id], "the connection was lost before TWS acknowledged it")
            if wait.claim is None or wait.claim[0] not in _ENDS or looked:
                await wait.wake.wait()
                continue
            if await self._more(wait):
                continue
            looked = True
            await self._venue.look()
            self._venue.finish()
            what, code, text = wait.claim
            if self._book.trades[order_id].status is OrderStatus.PENDING_SUBMIT and what is not Meaning.UNKNOWN:
                self._book.refuse(order_id, code, text)
                self._venue.finish()

    async def _explained(self, order_id: OrderId, wait: Wait) -> None:
        """Give the message that explains an end the time to come."""
        if not self._book.trades[order_id].reason:
            await self._more(wait)

    @staticmethod
    async def _more(wait: Wait) -> bool:
        """Whether anything more is heard within the grace."""
        wait.wake.clear()
        try:
            await asyncio.wait_for(wait.wake.wait(), _GRACE)
        except TimeoutError:
            return False
        return True

    def _withdraw(self, ids: Sequence[OrderId]) -> None:
        """Of orders that belong together one was refused: take back those that were not."""
        for order_id in ids[: len(ids) if len(ids) > 1 else 0]:
            if not self._book.trades[order_id].is_done:
                try:
                    self._venue.wire.cancel(order_id)
                except (ConnectionError, NotConnectedError):
                    _log.exception("order %s of a refused bracket could not be cancelled", order_id)

    async def modify(self, order_id: OrderId, change: OrderChange) -> Trade:
        """Send a changed order; return once TWS shows the change."""
        self._venue.check_can_trade()
        trade = self._own(order_id)
        wanted = change.applied_to(trade.order)
        if trade.is_done:
            reason = f"order {order_id} is {trade.status} and cannot be changed"
            raise OrderRejectedError(reason, reason=reason, code=_TOO_LATE, order_id=order_id)
        if wanted == trade.order:
            return trade

        def made() -> bool:
            now = self._book.trades[order_id]
            shown = (now.order.quantity, now.order.limit_price, now.order.stop_price)
            return shown == (wanted.quantity, wanted.limit_price, wanted.stop_price)

        def send() -> None:
            self._venue.wire.place(order_id, wanted)

        claim = await self._request(order_id, RequestKind.MODIFY, send, made)
        if claim is not None:
            raise OrderRejectedError(
                f"order {order_id} was not changed: {claim[2]}", reason=claim[2], code=claim[1], order_id=order_id
            )
        return self._book.trades[order_id]

    async def cancel(self, order_id: OrderId) -> Trade:
        """Send a cancel; return once the order has ended, or TWS has refused."""
        trade = self._own(order_id)
        if trade.is_done:
            return trade
        self._venue.check_can_trade(cancel=True)

        def send() -> None:
            self._venue.wire.cancel(order_id)

        await self._request(order_id, RequestKind.CANCEL, send, lambda: False)
        return self._book.trades[order_id]

    async def _request(
        self, order_id: OrderId, kind: RequestKind, send: Callable[[], None], made: Callable[[], bool]
    ) -> tuple[Meaning, int, str] | None:
        """Send a change or a cancel, and wait until it is made, the order has ended, or TWS has refused: the refusal.

        OrderOutcomeUnknownError when none of it happens in time.
        """
        deadline = monotonic() + self._timeout
        await self._turn(deadline, 1)
        wait = self._begin(order_id, kind)
        try:
            try:
                send()
            except ConnectionError:
                raise NotConnectedError(f"the connection is gone: the {kind} was not sent") from None
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - monotonic()):
                while not (made() or self._book.trades[order_id].is_done):
                    if wait.lost:
                        raise unknown([order_id], f"the connection was lost before TWS answered the {kind}")
                    if wait.claim is not None and wait.claim[0] is Meaning.UNCHANGED:
                        return wait.claim
                    if wait.claim is not None and wait.claim[0] in (*_ENDS, Meaning.CANCEL_REFUSED):
                        if await self._more(wait):
                            continue
                        await self._venue.look()
                        self._venue.finish()
                        return wait.claim if not made() else None
                    await wait.wake.wait()
                    wait.wake.clear()
        except TimeoutError:
            if kind is RequestKind.CANCEL and self._book.trades[order_id].status is OrderStatus.PENDING_CANCEL:
                return None  # TWS has it, and waits for the exchange: the trade says so
            raise unknown([order_id], f"TWS has not confirmed the {kind} within {self._timeout:g} s") from None
        finally:
            self._end([order_id], [wait])
        return None

    async def preview(self, order: Order) -> OrderPreview:
        """Ask what an order would do."""
        self._venue.check_can_trade()
        deadline = monotonic() + self._timeout
        await self._turn(deadline, 1)
        wire = self._venue.wire
        order_id = OrderId(wire.next_id())
        wait = self._begin(order_id, RequestKind.NEW)
        try:
            wire.place(order_id, order, what_if=True)
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + deadline - monotonic()):
                while wait.preview is None:
                    if wait.lost:
                        raise NotConnectedError("the connection was lost before TWS answered the preview")
                    if wait.claim is not None and wait.claim[0] in _ENDS:
                        raise OrderRejectedError(wait.claim[2], reason=wait.claim[2], code=wait.claim[1])
                    await wait.wake.wait()
                    wait.wake.clear()
        except ConnectionError:
            raise NotConnectedError("the connection is gone: the preview was not sent") from None
        except TimeoutError:
            raise RequestTimeoutError(f"TWS has not answered the preview within {self._timeout:g} s") from None
        finally:
            self._end([order_id], [wait])
        return wait.preview

    # ----------------------------------------------------------------------------------------------------------------

    def _own(self, order_id: OrderId) -> Trade:
        trade = self._book.trades.get(order_id)
        if trade is None:
            raise UnknownOrderError(f"no order {order_id} of this client", code=UNKNOWN_ORDER)
        return trade

    async def _turn(self, deadline: float, messages: int) -> None:
        """Wait for the right to send; OrderRefusedError, nothing sent, when it does not come in time."""
        await in_time(
            self._pacer.turn(order=True, messages=messages), deadline - monotonic(), "IB's 50 messages a second"
        )

    def _begin(self, order_id: OrderId, kind: RequestKind) -> Wait:
        wait = Wait(kind)
        self._waits.setdefault(order_id, []).append(wait)
        return wait

    def _end(self, ids: Sequence[OrderId], waits: Sequence[Wait]) -> None:
        for order_id, wait in zip(ids, waits, strict=True):
            left = self._waits.get(order_id, [])
            if wait in left:
                left.remove(wait)
            if not left:
                self._waits.pop(order_id, None)


def _refused(wait: Wait) -> bool:
    return wait.claim is not None and wait.claim[0] is Meaning.REJECTED
