"""Telling clients what becomes of their orders, in the order in which TWS tells it."""

import re
from typing import Final

from src.domain.events import CommissionCharged, Event, Filled, Notice, OrderChanged
from src.domain.orders import OrderId, OrderStatus, Trade
from src.domain.rejections import HELD
from src.gateways.tws_codec import Reply
from src.gateways.tws_server import order_news as news
from src.gateways.tws_server.context import Context
from src.gateways.tws_server.order_news import Placed
from src.gateways.tws_server.placed_orders import PlacedOrders
from src.gateways.tws_server.refusals import CANCELLED

CANCEL_TEXT: Final = "Order Canceled - reason:"
_OTHER_ORDER: Final = re.compile(r"\b(order|parent) (\d+)\b")


class OrderTeller:
    """Tells each order's client, and the master."""

    def __init__(self, context: Context, orders: PlacedOrders) -> None:
        self._context, self._orders = context, orders

    def tell(self, placed: Placed, *messages: Reply) -> None:
        """Send these to who sees the order."""
        for client in self._context.others(placed.client_id):
            for message in messages:
                client.send(message)

    def tell_standing(self, placed: Placed) -> None:
        """The order and where it stands."""
        self.tell(placed, news.open_order(placed), news.status_of(placed))

    def tell_cancelled(self, placed: Placed, text: str = CANCEL_TEXT) -> None:
        """Both are needed: some clients take the status, others the error."""
        for client in self._context.others(placed.client_id):
            client.send(news.status_of(placed))
            client.error(placed.order_id, CANCELLED, text)

    def tell_inactive(self, placed: Placed, code: int, text: str) -> None:
        """An order was refused: why, and that it is not at work."""
        for client in self._context.others(placed.client_id):
            client.error(placed.order_id, code, text)
        self.tell(placed, news.status_of(placed))

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

    def _changed(self, trade: Trade) -> None:
        placed = self._orders.of_trade(trade)
        placed.take(trade)
        has_traded, placed.told_filled = trade.filled > placed.told_filled, trade.filled
        status = trade.status
        if status is OrderStatus.CANCELLED:
            self.tell_cancelled(placed, _OTHER_ORDER.sub(self._named, trade.reason or CANCEL_TEXT))
        elif status is OrderStatus.INACTIVE:
            self.tell_inactive(placed, trade.code or 201, _OTHER_ORDER.sub(self._named, trade.reason))
        elif status is OrderStatus.PENDING_CANCEL or (has_traded and status is not OrderStatus.FILLED):
            self.tell(placed, news.status_of(placed))
        else:
            placed.rested |= status is OrderStatus.SUBMITTED
            self.tell_standing(placed)

    def _named(self, found: re.Match[str]) -> str:
        """An order of the exchange by its client's id."""
        placed = self._orders.of_exchange(OrderId(int(found[2])))
        return f"{found[1]} {placed.order_id}" if placed is not None else found[1]

    def _filled(self, event: Filled) -> None:
        execution = event.fill.execution
        placed = self._orders.of_exchange(execution.order_id)
        if placed is not None:
            placed.last_price = execution.price
            for client in self._context.others(placed.client_id):
                client.send(news.execution_data(-1, placed, execution, client.server_version))

    def _charged(self, event: CommissionCharged) -> None:
        placed = self._orders.of_exchange(event.order_id)
        if placed is not None:
            if placed.status is OrderStatus.FILLED:
                self.tell(placed, news.open_order(placed, with_commission=True))
            self.tell(placed, news.commission_report(event.report))

    def _noticed(self, notice: Notice) -> None:
        placed = None if notice.order_id is None else self._orders.of_exchange(notice.order_id)
        if placed is None:
            for client in self._context.clients.values():
                client.error(-1, notice.code, notice.text)
            return
        if placed.trade is not None and placed.is_done and placed.trade.code == notice.code:
            return  # told with its status
        for client in self._context.others(placed.client_id):
            client.error(placed.order_id, notice.code, notice.text)
        if notice.code != HELD and not placed.is_done:  # a refused change: the order works on as it was
            self.tell_standing(placed)
