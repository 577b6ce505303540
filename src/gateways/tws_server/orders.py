"""Orders over the wire: placing, changing, cancelling, and telling what became of them.

An order is its client's own: the same client id and order id again changes it, and only that client, or the master,
cancels it. It outlives its client's connection. An order that is not to be transmitted waits here; the first of its
family that is transmitted takes the parent and its brothers along.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from src.domain.errors import BrokerError, InvalidOrderError
from src.domain.events import CommissionCharged, Event, Filled, Notice, OrderChanged
from src.domain.orders import Order, OrderId, OrderStatus, Trade
from src.domain.rejections import HELD
from src.gateways.tws_codec import (
    CancelOrder,
    NextValidId,
    OrderStatusMessage,
    PlaceOrder,
    Reply,
    ReqGlobalCancel,
    ReqIds,
)
from src.gateways.tws_server import order_news as news
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers
from src.gateways.tws_server.order_news import Placed
from src.gateways.tws_server.placing import check_same, foreign, to_change, to_order
from src.gateways.tws_server.refusals import (
    ALREADY_FILLED,
    CANCEL_TOO_LATE,
    CANCEL_UNKNOWN,
    CANCELLED,
    DUPLICATE_ORDER,
    NOT_CANCELLABLE,
    UNKNOWN_CONTRACT,
    RefusedError,
    rejected,
)

#: IB's permanent ids have ten digits and fit into 31 bits.
_LOWEST_PERM_ID: Final = 1_000_000_000
#: After these the order is told to be inactive; the others are about a message, or about another order.
_ENDS_ORDER: Final = frozenset({201, 110, 387, 435})
_CANCEL_TEXT: Final = "Order Canceled - reason:"
_OTHER_ORDER: Final = re.compile(r"\b(order|parent) (\d+)\b")


class OrderDesk:
    """Every order of every client."""

    def __init__(self, context: Context) -> None:
        self._context, self._venue = context, context.venue
        self._orders: dict[tuple[int, int], Placed] = {}
        self._by_exchange_id: dict[OrderId, Placed] = {}
        self._next_id: dict[int, int] = {}
        self._next_perm_id = _LOWEST_PERM_ID + context.options.first_number % _LOWEST_PERM_ID
        self._binds = False  # client 0 wants the orders made by hand for its own
        self.handlers: Handlers = {
            ReqIds: self._ids,
            PlaceOrder: self._place,
            CancelOrder: self._cancel,
            ReqGlobalCancel: self._cancel_all,
        }

    # --- ids -------------------------------------------------------------------------------------------------------

    def next_id(self, client_id: int) -> int:
        """The first order id that a client may use."""
        return self._next_id.get(client_id, 1)

    def _ids(self, client: Connection, message: ReqIds) -> None:
        del message
        client.send(NextValidId(self.next_id(client.client_id)))

    def _new(self, client_id: int, order_id: int, message: PlaceOrder) -> Placed:
        listing = self._context.listing(message.contract)
        try:
            account = self._context.account(message.order.account)
        except RefusedError as refused:
            raise refused if refused.code != 321 else rejected(refused.text) from None
        order = to_order(message, listing.contract, account)
        return Placed(client_id, order_id, 0, message.order, order)

    def _keep(self, placed: Placed) -> None:
        placed.perm_id = self._next_perm_id
        self._next_perm_id += 1
        self._orders[placed.client_id, placed.order_id] = placed
        self._next_id[placed.client_id] = max(self.next_id(placed.client_id), placed.order_id + 1)

    # --- placing ---------------------------------------------------------------------------------------------------

    def _place(self, client: Connection, message: PlaceOrder) -> None:
        key = client.client_id, message.order_id
        try:
            if message.order.what_if:
                self._preview(client, self._new(*key, message))
            elif key in self._orders:
                self._change(self._orders[key], message)
            else:
                self._add(client, message)
        except RefusedError as refused:
            self.refuse(client, message, refused)
        self._context.deliver()

    def refuse(self, client: Connection, message: PlaceOrder, refused: RefusedError) -> None:
        """Tell a client that its order, or its change, is not taken; nothing is booked."""
        client.error(message.order_id, refused.code, refused.text)
        working = self._orders.get((client.client_id, message.order_id))
        if message.order.what_if or refused.code == DUPLICATE_ORDER:
            pass
        elif working is not None and not working.is_done:  # it works on as it was
            self._tell(working, news.open_order(working), news.status_of(working))
        elif working is None and refused.code in _ENDS_ORDER:
            client.send(_never(message, client.client_id))

    def knows(self, client_id: int, order_id: int) -> bool:
        """Whether a client has an order of this id already."""
        return (client_id, order_id) in self._orders

    def place_unasked(self, order: Order, client_id: int = 0) -> None:
        """Place an order that no message has asked for: client 0's by hand, or another client's next."""
        if client_id:
            placed = Placed(client_id, self.next_id(client_id), 0, foreign(order), order)
            self._keep(placed)
            self._submit([placed])
        else:
            self._venue.submit(order.account, order)
            self._context.deliver()
            self._context.wake()

    def _add(self, client: Connection, message: PlaceOrder) -> None:
        if message.order_id < self.next_id(client.client_id):
            raise RefusedError(DUPLICATE_ORDER, "Duplicate order id")
        placed = self._new(client.client_id, message.order_id, message)
        if message.order.parent_id:
            parent = self._orders.get((client.client_id, message.order.parent_id))
            if parent is None or parent.parent is not None or parent.order.contract != placed.order.contract:
                raise rejected(f"Missing parent order {message.order.parent_id}")
            placed.parent = parent
        self._keep(placed)
        if placed.parent is not None:
            placed.parent.children.append(placed)
        if message.order.transmit:
            self._transmit(placed)
        else:
            self._tell(placed, news.open_order(placed))

    def _transmit(self, placed: Placed) -> None:
        """Send an order to the exchange; with a child go its parent and its brothers, if they have not gone yet."""
        head = placed.parent
        if head is None:
            self._submit([placed])
            return
        family = [child for child in head.children if child.is_held]
        if head.is_held:
            self._submit([head, *family])
        elif head.exchange_id is None:
            self._end(family, OrderStatus.CANCELLED)
        else:
            for child in family:
                self._submit([child], head.exchange_id)

    def _submit(self, family: Sequence[Placed], parent_id: OrderId | None = None) -> None:
        """Give orders to the exchange as one: a parent and its children, one exit of `parent_id`, or an order alone."""
        head, *children = family
        account, order = head.order.account, head.order
        try:
            if parent_id is not None:
                events = self._venue.submit_exit(account, parent_id, order)
            elif children:
                events = self._venue.submit_family(account, order, [child.order for child in children])
            else:
                events = self._venue.submit(account, order)
        except InvalidOrderError as error:
            self._refuse(family, 201, f"Order rejected - reason:{error}")
            return
        except BrokerError as error:  # no prices here
            self._refuse(family, UNKNOWN_CONTRACT, f"No security definition has been found for the request: {error}")
            return
        first = events[0]
        if not isinstance(first, OrderChanged):
            raise AssertionError(first)
        for index, placed in enumerate(family):  # the exchange's ids follow each other
            placed.exchange_id = OrderId(first.trade.order_id + index)
            self._by_exchange_id[placed.exchange_id] = placed
        self._context.deliver()
        self._context.wake(order.contract)

    def _refuse(self, family: Iterable[Placed], code: int, text: str) -> None:
        for placed in family:
            placed.ended = OrderStatus.INACTIVE
            for client in self._context.others(placed.client_id):
                client.error(placed.order_id, code, text)
            self._tell(placed, news.status_of(placed))

    def _preview(self, client: Connection, placed: Placed) -> None:
        account = placed.order.account
        with self._venue.lock:
            try:
                self._venue.want(placed.order.contract)
            except BrokerError as error:
                raise RefusedError(UNKNOWN_CONTRACT, str(error)) from None
            self._venue.catch_up()
            now, exchange = self._venue.now(), self._venue.exchange
            preview = exchange.preview(account, placed.order, now)
            equity = exchange.account_summary(account, now).equity_with_loan_value
        if self._context.options.two_step_what_if:
            client.send(news.what_if_unanswered(placed))
        client.send(news.what_if(placed, preview, equity))

    # --- changing and cancelling -----------------------------------------------------------------------------------

    def _change(self, placed: Placed, message: PlaceOrder) -> None:
        if placed.status is OrderStatus.FILLED:
            raise RefusedError(ALREADY_FILLED, "Cannot modify a filled order.")
        if placed.is_done:
            raise RefusedError(DUPLICATE_ORDER, "Duplicate order id")
        wanted = self._new(placed.client_id, placed.order_id, message).order
        if placed.exchange_id is None:
            check_same(placed.order, wanted)
            placed.ask(message.order, wanted)
            if message.order.transmit:
                self._transmit(placed)
            else:
                self._tell(placed, news.open_order(placed))
            return
        change = to_change(placed.order, wanted)
        if change is None:
            self._tell(placed, news.open_order(placed), news.status_of(placed))
            return
        self._venue.modify(placed.order.account, placed.exchange_id, change)
        self._context.settle()

    def _cancel(self, client: Connection, message: CancelOrder) -> None:
        placed = self._orders.get((client.client_id, message.order_id))
        if placed is None and client.client_id == self._context.options.master_client_id:
            same = [each for (_, order_id), each in self._orders.items() if order_id == message.order_id]
            placed = same[0] if len(same) == 1 else None
        if placed is None:
            text = f"OrderId {message.order_id} that needs to be cancelled is not found."
            client.error(message.order_id, CANCEL_UNKNOWN, text)
        elif placed.is_done:
            text = f"OrderId {message.order_id} that needs to be cancelled can not be cancelled, state: "
            client.error(message.order_id, CANCEL_TOO_LATE, f"{text}{placed.status}.")
        elif placed.status is OrderStatus.PENDING_CANCEL:
            text = f"Cancel attempted when order is not in a cancellable state. Order permId = {placed.perm_id}"
            client.error(message.order_id, NOT_CANCELLABLE, text)
        else:
            self._withdraw(placed)

    def _cancel_all(self, client: Connection, message: ReqGlobalCancel) -> None:
        del client, message
        self.withdraw_all()

    def bind(self, *, wanted: bool) -> None:
        """Whether orders made by hand get ids of client 0, by which it can change and cancel them."""
        self._binds = wanted
        for placed in tuple(self._by_exchange_id.values()) if wanted else ():
            if placed.is_by_hand and not placed.order_id and not placed.is_done:
                self._bind(placed)

    def _bind(self, placed: Placed) -> None:
        """TWS's ids of bound orders are negative."""
        placed.order_id = -1 - sum(order_id < 0 for _, order_id in self._orders)
        self._orders[0, placed.order_id] = placed

    def withdraw_all(self) -> None:
        """Cancel every order of everybody."""
        for placed in tuple(self._by_exchange_id.values()) + tuple(self._orders.values()):
            if not placed.is_done and placed.status is not OrderStatus.PENDING_CANCEL:
                self._withdraw(placed)

    def _withdraw(self, placed: Placed) -> None:
        if placed.exchange_id is None:
            self._end([placed, *placed.children], OrderStatus.CANCELLED)
        else:
            self._venue.cancel(placed.order.account, placed.exchange_id)
            self._context.settle()

    def _end(self, orders: Iterable[Placed], status: OrderStatus) -> None:
        """End orders that were never transmitted."""
        for placed in orders:
            if placed.is_held:
                placed.ended = status
                self._tell_cancelled(placed, _CANCEL_TEXT)

    # --- what the exchange tells -----------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Tell a client what has happened to its order."""
        if isinstance(event, OrderChanged):
            self._changed(event.trade)
        elif isinstance(event, Filled):
            self._filled(event)
        elif isinstance(event, CommissionCharged):
            self._charged(event)
        elif isinstance(event, Notice):
            self._noticed(event)

    def _of(self, trade: Trade) -> Placed:
        """The order of a trade; one that no client has placed belongs to client 0, and bears no order id."""
        placed = self._by_exchange_id.get(trade.order_id)
        if placed is None:
            placed = Placed(0, 0, self._next_perm_id, foreign(trade.order), trade.order)
            self._next_perm_id += 1
            placed.exchange_id = trade.order_id
            self._by_exchange_id[trade.order_id] = placed
            if self._binds:
                self._bind(placed)
        return placed

    def _changed(self, trade: Trade) -> None:
        placed = self._of(trade)
        placed.take(trade)
        has_traded, placed.told_filled = trade.filled > placed.told_filled, trade.filled
        status = trade.status
        if status is OrderStatus.CANCELLED:
            self._tell_cancelled(placed, _OTHER_ORDER.sub(self._named, trade.reason or _CANCEL_TEXT))
        elif status is OrderStatus.INACTIVE:
            for client in self._context.others(placed.client_id):
                client.error(placed.order_id, trade.code or 201, _OTHER_ORDER.sub(self._named, trade.reason))
            self._tell(placed, news.status_of(placed))
        elif status is OrderStatus.PENDING_CANCEL or (has_traded and status is not OrderStatus.FILLED):
            self._tell(placed, news.status_of(placed))
        else:
            placed.rested |= status is OrderStatus.SUBMITTED
            self._tell(placed, news.open_order(placed), news.status_of(placed))

    def _named(self, found: re.Match[str]) -> str:
        """An order of the exchange by its client's id."""
        placed = self._by_exchange_id.get(OrderId(int(found[2])))
        return f"{found[1]} {placed.order_id}" if placed is not None else found[1]

    def _filled(self, event: Filled) -> None:
        execution = event.fill.execution
        placed = self._by_exchange_id.get(execution.order_id)
        if placed is not None:
            placed.last_price = execution.price
            for client in self._context.others(placed.client_id):
                client.send(news.execution_data(-1, placed, execution, client.server_version))

    def _charged(self, event: CommissionCharged) -> None:
        placed = self._by_exchange_id.get(event.order_id)
        if placed is not None:
            if placed.status is OrderStatus.FILLED:
                self._tell(placed, news.open_order(placed, with_commission=True))
            self._tell(placed, news.commission_report(event.report))

    def _noticed(self, notice: Notice) -> None:
        placed = None if notice.order_id is None else self._by_exchange_id.get(notice.order_id)
        if placed is None:
            for client in self._context.clients.values():
                client.error(-1, notice.code, notice.text)
            return
        if placed.trade is not None and placed.is_done and placed.trade.code == notice.code:
            return  # told with its status
        for client in self._context.others(placed.client_id):
            client.error(placed.order_id, notice.code, notice.text)
        if notice.code != HELD and not placed.is_done:  # a refused change: the order works on as it was
            self._tell(placed, news.open_order(placed), news.status_of(placed))

    def _tell(self, placed: Placed, *messages: Reply) -> None:
        for client in self._context.others(placed.client_id):
            for message in messages:
                client.send(message)

    def _tell_cancelled(self, placed: Placed, text: str) -> None:
        """Both are needed: some clients take the status, others the error."""
        for client in self._context.others(placed.client_id):
            client.send(news.status_of(placed))
            client.error(placed.order_id, CANCELLED, text)

    def all(self) -> list[Placed]:
        """Every order, in the order in which they came."""
        found = {placed.perm_id: placed for placed in (*self._orders.values(), *self._by_exchange_id.values())}
        return [found[perm_id] for perm_id in sorted(found)]

    def of_event(self, event: Event) -> Placed | None:
        """The order that an event is about; None for other events."""
        if isinstance(event, OrderChanged):
            return self._by_exchange_id.get(event.trade.order_id)
        return self._by_exchange_id.get(event.fill.execution.order_id) if isinstance(event, Filled) else None

    def of_exchange(self, order_id: OrderId) -> Placed | None:
        """The order that the exchange has under an id."""
        return self._by_exchange_id.get(order_id)


def _never(message: PlaceOrder, client_id: int) -> Reply:
    """The status of an order that was refused before it was one."""
    quantity = message.order.total_quantity
    return OrderStatusMessage(
        message.order_id,
        OrderStatus.INACTIVE.value,
        news.ZERO,
        quantity if quantity is not None and quantity.is_finite() else news.ZERO,
        parent_id=message.order.parent_id,
        client_id=client_id,
    )
