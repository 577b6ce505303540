"""Orders over the wire: placing, changing and cancelling.

An order is its client's own: the same client id and order id again changes it, and only that client, or the master,
cancels it. It outlives its client's connection. An order that is not to be transmitted waits here; the first of its
family that is transmitted takes the parent and its brothers along.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from src.domain.errors import BrokerError, InvalidOrderError
from src.domain.events import OrderChanged
from src.domain.orders import Order, OrderId, OrderStatus
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
from src.gateways.tws_server.order_teller import OrderTeller
from src.gateways.tws_server.placed_orders import PlacedOrders
from src.gateways.tws_server.placing import check_same, foreign, to_change, to_order
from src.gateways.tws_server.refusals import (
    ALREADY_FILLED,
    CANCEL_TOO_LATE,
    CANCEL_UNKNOWN,
    DUPLICATE_ORDER,
    NOT_CANCELLABLE,
    UNKNOWN_CONTRACT,
    RefusedError,
    rejected,
)

#: After these the order is told to be inactive; the others are about a message, or about another order.
_ENDS_ORDER: Final = frozenset({201, 110, 387, 435})


class OrderDesk:
    """Takes what clients want of their orders."""

    def __init__(self, context: Context, orders: PlacedOrders, teller: OrderTeller) -> None:
        self._context, self._venue = context, context.venue
        self.orders, self._teller = orders, teller
        self.handlers: Handlers = {
            ReqIds: self._ids,
            PlaceOrder: self._place,
            CancelOrder: self._cancel,
            ReqGlobalCancel: self._cancel_all,
        }

    def _ids(self, client: Connection, message: ReqIds) -> None:
        del message
        client.send(NextValidId(self.orders.next_id(client.client_id)))

    # --- placing ---------------------------------------------------------------------------------------------------

    def _new(self, client_id: int, order_id: int, message: PlaceOrder) -> Placed:
        listing = self._context.listing(message.contract)
        try:
            account = self._context.account(message.order.account)
        except RefusedError as refused:
            raise refused if refused.code != 321 else rejected(refused.text) from None
        order = to_order(message, listing.contract, account)
        return Placed(client_id, order_id, 0, message.order, order)

    def _place(self, client: Connection, message: PlaceOrder) -> None:
        placed = self.orders.of_client(client.client_id, message.order_id)
        try:
            if message.order.what_if:
                self._preview(client, self._new(client.client_id, message.order_id, message))
            elif placed is not None:
                self._change(placed, message)
            else:
                self._add(client, message)
        except RefusedError as refused:
            self.refuse(client, message, refused)
        self._context.deliver()

    def refuse(self, client: Connection, message: PlaceOrder, refused: RefusedError) -> None:
        """Tell a client that its order, or its change, is not taken; nothing is booked."""
        client.error(message.order_id, refused.code, refused.text)
        working = self.orders.of_client(client.client_id, message.order_id)
        if message.order.what_if or refused.code == DUPLICATE_ORDER:
            pass
        elif working is not None and not working.is_done:  # it works on as it was
            self._teller.tell_standing(working)
        elif working is None and refused.code in _ENDS_ORDER:
            client.send(_never(message, client.client_id))

    def place_unasked(self, order: Order, client_id: int = 0) -> None:
        """Place an order that no message has asked for: client 0's by hand, or another client's next."""
        if client_id:
            placed = Placed(client_id, self.orders.next_id(client_id), 0, foreign(order), order)
            self.orders.keep(placed)
            self._submit([placed])
        else:
            self._venue.submit(order.account, order)
            self._context.deliver()
            self._context.wake()

    def _add(self, client: Connection, message: PlaceOrder) -> None:
        if message.order_id < self.orders.next_id(client.client_id):
            raise RefusedError(DUPLICATE_ORDER, "Duplicate order id")
        placed = self._new(client.client_id, message.order_id, message)
        if message.order.parent_id:
            parent = self.orders.of_client(client.client_id, message.order.parent_id)
            if parent is None or parent.parent is not None or parent.order.contract != placed.order.contract:
                raise rejected(f"Missing parent order {message.order.parent_id}")
            placed.parent = parent
        self.orders.keep(placed)
        if placed.parent is not None:
            placed.parent.children.append(placed)
        if message.order.transmit:
            self._transmit(placed)
        else:
            self._teller.tell(placed, news.open_order(placed))

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
            self.orders.at_exchange(placed, OrderId(first.trade.order_id + index))
        self._context.deliver()
        self._context.wake(order.contract)

    def _refuse(self, family: Iterable[Placed], code: int, text: str) -> None:
        for placed in family:
            placed.ended = OrderStatus.INACTIVE
            self._teller.tell_inactive(placed, code, text)

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
                self._teller.tell(placed, news.open_order(placed))
            return
        change = to_change(placed.order, wanted)
        if change is None:
            self._teller.tell_standing(placed)
            return
        self._venue.modify(placed.order.account, placed.exchange_id, change)
        self._context.settle()

    def _cancel(self, client: Connection, message: CancelOrder) -> None:
        placed = self.orders.of_client(client.client_id, message.order_id)
        if placed is None and client.client_id == self._context.options.master_client_id:
            same = self.orders.numbered(message.order_id)
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

    def withdraw_all(self) -> None:
        """Cancel every order of everybody."""
        for placed in self.orders.at_work():
            if placed.status is not OrderStatus.PENDING_CANCEL:
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
                self._teller.tell_cancelled(placed)


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
