"""What clients ask about orders: those at work, those that are done, and the day's executions."""

from collections.abc import Iterable

from src.domain.orders import Fill
from src.gateways.tws_codec import (
    CompletedOrdersEnd,
    ExecutionDataEnd,
    OpenOrderEnd,
    ReqAllOpenOrders,
    ReqAutoOpenOrders,
    ReqCompletedOrders,
    ReqExecutions,
    ReqOpenOrders,
)
from src.gateways.tws_server import order_news as news
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers
from src.gateways.tws_server.order_news import Placed
from src.gateways.tws_server.placed_orders import PlacedOrders
from src.gateways.tws_server.refusals import invalid
from src.gateways.tws_server.times import day_start, parse_moment


class OrderQuestions:
    """Answers from the orders and the exchange's own records."""

    def __init__(self, context: Context, orders: PlacedOrders) -> None:
        self._context, self._orders = context, orders
        self.handlers: Handlers = {
            ReqOpenOrders: self._open_orders,
            ReqAllOpenOrders: self._all_open_orders,
            ReqAutoOpenOrders: self._auto_open_orders,
            ReqCompletedOrders: self._completed_orders,
            ReqExecutions: self._executions,
        }

    def _open_orders(self, client: Connection, message: ReqOpenOrders) -> None:
        del message
        self._send_open(client, (each for each in self._orders.all() if each.client_id == client.client_id))
        client.send(OpenOrderEnd())

    def _all_open_orders(self, client: Connection, message: ReqAllOpenOrders) -> None:
        del message
        self._send_open(client, self._orders.all())
        client.send(OpenOrderEnd())

    def _auto_open_orders(self, client: Connection, message: ReqAutoOpenOrders) -> None:
        if client.client_id:
            raise invalid("Only the default client (i.e 0) can auto bind orders.", "bC")
        self._orders.bind(wanted=message.auto_bind)
        self._send_open(client, (each for each in self._orders.all() if each.is_by_hand))

    def _send_open(self, client: Connection, orders: Iterable[Placed]) -> None:
        for placed in orders:
            if not placed.is_done:
                client.send(news.open_order(placed))
                client.send(news.status_of(placed))

    def _completed_orders(self, client: Connection, message: ReqCompletedOrders) -> None:
        today = day_start(self._context.now())
        for placed in self._orders.all():
            if placed.trade is None or not placed.is_done or placed.trade.time < today:
                continue
            if not (message.api_only and placed.is_by_hand):
                client.send(news.completed(placed))
        client.send(CompletedOrdersEnd())

    def _executions(self, client: Connection, message: ReqExecutions) -> None:
        since = day_start(self._context.now())
        if message.time:
            try:
                since = max(since, parse_moment(message.time))
            except ValueError as error:
                raise invalid(str(error), "bE") from None
        for account in self._context.accounts:
            if message.acct_code in ("", account):
                for fill in self._context.fills(account):
                    if fill.execution.time >= since:
                        self._send_execution(client, message, fill)
        client.send(ExecutionDataEnd(message.req_id))

    def _send_execution(self, client: Connection, message: ReqExecutions, fill: Fill) -> None:
        execution = fill.execution
        placed = self._orders.of_exchange(execution.order_id)
        if placed is None:
            return
        told = news.execution_data(message.req_id, placed, execution, client.server_version)
        if (
            message.client_id in (0, placed.client_id)
            and message.symbol in ("", execution.contract.symbol)
            and message.sec_type in ("", execution.contract.sec_type)
            and message.exchange in ("", "SMART", told.exchange)
            and message.side.upper() in ("", execution.side.value, told.side)
        ):
            client.send(told)
            if fill.commission_report is not None:
                client.send(news.commission_report(fill.commission_report))
