"""The library's reader of messages, extended: each one goes to our inbox first, then to the library.

What `library.py` says of defects that the reader works around is done here. The library keeps its own objects up to
date for those who ask for them by `facade.tws(fn)`; it logs each of its Trades, fills and positions at every word about
it, and makes that text whether or not anybody reads it, which takes longer than all else it does: `quiet_trades` and
`_quick` make the text short.
"""

# ruff: noqa: ANN401, C901, N802, N803, PLR0913, PLR0917  # the library has its own names and ways
import importlib
import logging
from typing import Any, Final

from src.brokers.tws import convert
from src.brokers.tws.compiled import updated, values_of, with_names
from src.brokers.tws.inbox import Inbox
from src.domain.errors import InvalidOrderError
from src.domain.market import Contract
from src.domain.orders import HIGHEST_ORDER_ID, AccountId, OrderId, OrderStatus

_log: Final = logging.getLogger(__name__)


class UnknownOnly(list[Any]):
    """The answer to a question for completed orders of which the library takes in those that it does not know."""


def quiet_trades(module: Any) -> Any:
    """The library's class of trades, whose text in a log line is short; `repr` and all else are as ever.

    An event of it is made when somebody asks for it: seven of them, of three objects each, live as long as the day.
    """

    class Trade(module.Trade):  # type: ignore[misc]  # untyped
        def __post_init__(self) -> None:
            pass

        def __getattr__(self, name: str) -> Any:
            if name not in module.Trade.events:
                raise AttributeError(name)
            made = module.Event(name)
            setattr(self, name, made)
            return made

        def __format__(self, how: str) -> str:
            return format(f"Trade of order {self.order.orderId}: {self.orderStatus.status}", how)

    return Trade


def _quick(base: Any) -> Any:
    """The library's `Wrapper`, whose fills and positions have a short text in a log line; all else is as ever.

    It copies its objects by their fields' names, one by one, up to five times an order: here as wholes.
    """
    names = {name: _short(base.position.__globals__[name]) for name in ("Fill", "Position", "PortfolioItem")}
    names |= {"dataclassAsDict": values_of, "dataclassUpdate": updated}
    methods = ("orderStatus", "execDetails", "commissionReport", "position", "updatePortfolio")
    return type("Quick", (base,), {name: with_names(getattr(base, name), names) for name in methods})


def _short(kind: Any) -> Any:
    """A class of tuples as it was, but that a log line names it alone."""
    name = kind.__name__
    return type(name, (kind,), {"__slots__": (), "__format__": lambda _, how: format(name, how)})


def reader(base: Any, inbox: Inbox) -> Any:
    """The library's `Wrapper`, extended so that `inbox` takes each message first."""
    order_from = convert.OrderReader()

    def ours(contract: Any) -> Contract:
        return inbox.numbered(contract.conId) or inbox.known(convert.contract_from(contract))

    def readable(order_id: int, contract: Any, order: Any, state: Any) -> convert.OpenOrder | None:
        try:
            return convert.open_order_from(order_id, order_from(ours(contract), order), order, state)
        except InvalidOrderError as error:  # another's, of fractions of a share for one
            _log.info("an order that cannot be shown here: %s", error)
            return None

    class Reader(_quick(base)):  # type: ignore[misc]  # untyped
        def openOrder(self, orderId: int, contract: Any, order: Any, orderState: Any) -> None:
            if order.whatIf:
                inbox.on_preview(OrderId(int(orderId)), convert.preview_from(orderState))
                return
            found = readable(orderId, contract, order, orderState)
            if found is not None:
                inbox.on_open_order(found)
            super().openOrder(orderId, contract, order, orderState)

        def completedOrder(self, contract: Any, order: Any, orderState: Any) -> None:
            order.totalQuantity = order.totalQuantity or getattr(order, "filledQuantity", 0)  # TWS clears it
            found = readable(order.orderId, contract, order, orderState)
            if found is not None:
                inbox.on_completed_order(found)
            answer = self._results.get("completedOrders")  # theirs fails outside of a request
            if answer is not None and not (isinstance(answer, UnknownOnly) and order.permId in self.permId2Trade):
                super().completedOrder(contract, order, orderState)

        def orderStatus(
            self,
            orderId: int,
            status: str,
            filled: float,
            remaining: float,
            avgFillPrice: float,
            permId: int,
            parentId: int,
            lastFillPrice: float,
            clientId: int,
            *rest: Any,
        ) -> None:
            known: OrderStatus | None = convert.status_from(status)
            if known is None:
                _log.warning("TWS has sent an order status that is not known: %r", status)
            else:
                inbox.on_order_status(
                    convert.status_report_from(orderId, known, filled, avgFillPrice, permId, clientId)
                )
            super().orderStatus(
                orderId, status, filled, remaining, avgFillPrice, permId, parentId, lastFillPrice, clientId, *rest
            )

        def execDetails(self, reqId: int, contract: Any, execution: Any) -> None:
            inbox.on_execution(convert.executed_from(ours(contract), execution), reqId)
            super().execDetails(reqId, contract, execution)

        def commissionReport(self, commissionReport: Any) -> None:
            inbox.on_commission(convert.commission_from(commissionReport))
            super().commissionReport(commissionReport)

        def position(self, account: str, contract: Any, posSize: float, avgCost: float) -> None:
            inbox.on_position(AccountId(account), ours(contract), convert.money(posSize), convert.money(avgCost))
            super().position(account, contract, posSize, avgCost)

        def updatePortfolio(self, contract: Any, *values: Any) -> None:
            quantity, price, worth, cost, unrealized, realized = (convert.money(value) for value in values[:6])
            inbox.on_portfolio(
                convert.PortfolioRow(
                    AccountId(values[6]), ours(contract), quantity, cost, price, worth, unrealized, realized
                )
            )
            super().updatePortfolio(contract, *values)

        def updateAccountValue(self, tag: str, val: str, currency: str, account: str) -> None:
            inbox.on_account_value(AccountId(account), tag, val, currency)
            super().updateAccountValue(tag, val, currency, account)

        def updateAccountTime(self, timestamp: str) -> None:
            inbox.on_account_time()
            super().updateAccountTime(timestamp)

        def accountSummary(self, reqId: int, account: str, tag: str, value: str, currency: str) -> None:
            inbox.on_account_summary(AccountId(account), tag, value, currency)
            super().accountSummary(reqId, account, tag, value, currency)

        def pnl(self, reqId: int, dailyPnL: float, unrealizedPnL: float, realizedPnL: float) -> None:
            inbox.on_pnl((convert.number(dailyPnL), convert.number(unrealizedPnL), convert.number(realizedPnL)))
            super().pnl(reqId, dailyPnL, unrealizedPnL, realizedPnL)

        def priceSizeTick(self, reqId: int, tickType: int, price: float, size: float) -> None:
            if not inbox.on_price(reqId, tickType, price, size):
                super().priceSizeTick(reqId, tickType, price, size)

        def tickSize(self, reqId: int, tickType: int, size: float) -> None:
            if not inbox.on_size(reqId, tickType, size):
                super().tickSize(reqId, tickType, size)

        def tickGeneric(self, reqId: int, tickType: int, value: float) -> None:
            if not inbox.on_generic(reqId, tickType, value):
                super().tickGeneric(reqId, tickType, value)

        def marketDataType(self, reqId: int, marketDataId: int) -> None:
            if not inbox.on_data_type(reqId, marketDataId):
                super().marketDataType(reqId, marketDataId)

        def realtimeBar(self, reqId: int, time: int, *prices: Any) -> None:
            if not inbox.on_real_time_bar(reqId, int(time), tuple(float(value) for value in prices[:5])):
                super().realtimeBar(reqId, time, *prices)

        def error(self, reqId: int, errorCode: int, errorString: str, *rest: Any) -> None:
            if errorCode == 321 and reqId in self._futures:  # ib_async takes it for a warning
                self._endReq(reqId, _request_error(base)(reqId, errorCode, errorString), success=False)
            super().error(reqId, errorCode, errorString, *(rest or ("",)))
            inbox.on_error(reqId, errorCode, errorString)

        def currentTime(self, time: int) -> None:
            inbox.on_time(int(time))
            super().currentTime(time)

        def nextValidId(self, reqId: int) -> None:
            if not 0 <= reqId <= HIGHEST_ORDER_ID:
                inbox.on_impossible_id(reqId)
                return
            super().nextValidId(reqId)
            self.ib.client.updateReqId(int(reqId))

        def connectionClosed(self) -> None:
            super().connectionClosed()
            inbox.on_closed("")

        def tcpDataArrived(self) -> None:
            inbox.on_packet()
            super().tcpDataArrived()

        def tcpDataProcessed(self) -> None:
            super().tcpDataProcessed()
            inbox.on_packet_end()

    return Reader


def _request_error(base: Any) -> Any:
    return importlib.import_module(base.__module__).RequestError
