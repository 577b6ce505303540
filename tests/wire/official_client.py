# mypy: ignore-errors
# ruff: noqa: ANN001, ANN002, ANN003, ANN201, ANN204, ARG002, N802, N803
"""Drives a gateway with IB's own Python client, unmodified: run in an environment that has it, not in ours.

    python official_client.py PORT

Prints what it found as one JSON object. Knows the forms of `error`: three arguments, and more with newer clients.
"""

import json
import sys
import threading
from decimal import Decimal

from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.order import Order
from ibapi.wrapper import EWrapper

PATIENCE = 40.0


class Client(EWrapper, EClient):
    """Counts what is told, and lets the script wait for it."""

    def __init__(self):
        EClient.__init__(self, self)
        self.told = {}
        self.arrived = threading.Condition()

    def note(self, name, value=None):
        with self.arrived:
            self.told.setdefault(name, []).append(value)
            self.arrived.notify_all()

    def wait(self, name, when=bool):
        with self.arrived:
            if not self.arrived.wait_for(lambda: when(self.told.get(name)), PATIENCE):
                raise SystemExit(f"waited in vain for {name}: {sorted(self.told)} {self.told.get('error')}")
            return self.told[name]

    def nextValidId(self, orderId):
        self.note("nextValidId", orderId)

    def managedAccounts(self, accountsList):
        self.note("accounts", accountsList)

    def error(self, reqId, *rest):
        code = [each for each in rest if isinstance(each, int)][-1]  # newer clients name the time before it
        text = next(each for each in rest if isinstance(each, str))
        self.note("error", [reqId, code, text[:80]])

    def contractDetails(self, reqId, contractDetails):
        self.note("details", [contractDetails.contract.conId, contractDetails.minTick, contractDetails.longName])

    def contractDetailsEnd(self, reqId):
        self.note("detailsEnd")

    def marketDataType(self, reqId, marketDataType):
        self.note("dataType", marketDataType)

    def tickPrice(self, reqId, tickType, price, attrib):
        self.note("price", [tickType, price])

    def tickSize(self, reqId, tickType, size):
        self.note("size", [tickType, float(size)])

    def tickSnapshotEnd(self, reqId):
        self.note("snapshotEnd")

    def openOrder(self, orderId, contract, order, orderState):
        self.note("openOrder", [orderId, orderState.status, order.orderType])
        if order.whatIf:
            self.note("whatIf", orderState.initMarginAfter)

    def orderStatus(self, orderId, status, *rest):
        self.note("status", [orderId, status])

    def openOrderEnd(self):
        self.note("openOrderEnd")

    def execDetails(self, reqId, contract, execution):
        self.note("execution", [execution.execId, float(execution.shares), execution.side])

    def execDetailsEnd(self, reqId):
        self.note("executionEnd")

    def commissionReport(self, commissionReport):
        self.note("commission", commissionReport.commission)

    def commissionAndFeesReport(self, report):
        self.note("commission", report.commissionAndFees)

    def position(self, account, contract, position, avgCost):
        self.note("position", [contract.symbol, float(position)])

    def positionEnd(self):
        self.note("positionEnd")

    def updateAccountValue(self, key, val, currency, accountName):
        self.note("accountValue", [key, val, currency])

    def updatePortfolio(self, contract, position, *rest):
        self.note("portfolio", [contract.symbol, float(position)])

    def accountDownloadEnd(self, accountName):
        self.note("accountEnd")

    def accountSummary(self, reqId, account, tag, value, currency):
        self.note("summary", [tag, value])

    def accountSummaryEnd(self, reqId):
        self.note("summaryEnd")

    def historicalData(self, reqId, bar):
        self.note("bar", [bar.date, bar.open, float(bar.volume)])

    def historicalDataEnd(self, reqId, start, end):
        self.note("barEnd")

    def updateMktDepth(self, reqId, position, operation, side, price, size):
        self.note("depth", [position, side, price])

    def completedOrder(self, contract, order, orderState):
        self.note("completed", orderState.status)

    def completedOrdersEnd(self):
        self.note("completedEnd")

    def pnl(self, reqId, dailyPnL, unrealizedPnL, realizedPnL):
        self.note("pnl", dailyPnL)

    def pnlSingle(self, reqId, pos, dailyPnL, unrealizedPnL, realizedPnL, value):
        self.note("pnlSingle", float(pos))

    def tickByTickBidAsk(self, reqId, time, bidPrice, askPrice, bidSize, askSize, tickAttribBidAsk):
        self.note("tickByTick", [bidPrice, askPrice])

    def currentTime(self, time):
        self.note("time", time)

    def symbolSamples(self, reqId, contractDescriptions):
        self.note("symbols", [each.contract.symbol for each in contractDescriptions])

    def marketRule(self, marketRuleId, priceIncrements):
        self.note("rule", len(priceIncrements))

    def headTimestamp(self, reqId, headTimestamp):
        self.note("head", headTimestamp)

    def historicalTicks(self, reqId, ticks, done):
        self.note("midpoints", len(ticks))

    def historicalTicksBidAsk(self, reqId, ticks, done):
        self.note("bidAsks", len(ticks))

    def historicalTicksLast(self, reqId, ticks, done):
        self.note("lasts", len(ticks))


def contract(symbol="NVDA"):
    found = Contract()
    found.symbol, found.secType, found.exchange, found.currency = symbol, "STK", "SMART", "USD"
    return found


def order(kind="MKT", action="BUY", quantity=10, **more):
    made = Order()
    made.action, made.orderType = action, kind
    made.totalQuantity = Decimal(quantity) if "Decimal" in str(type(Order().totalQuantity)) else quantity
    for name, value in {"eTradeOnly": False, "firmQuoteOnly": False, **more}.items():
        setattr(made, name, value)
    return made


def cancel(client, order_id):
    try:
        client.cancelOrder(order_id)
    except TypeError:
        try:
            client.cancelOrder(order_id, "")
        except (TypeError, AttributeError):
            from ibapi.order_cancel import OrderCancel

            client.cancelOrder(order_id, OrderCancel())


def is_at(order_id, status):
    return lambda told: [order_id, status] in (told or [])


def trade(client):
    first = client.wait("nextValidId")[0]
    client.wait("accounts")
    client.reqContractDetails(1, contract())
    client.wait("detailsEnd")
    client.reqMarketDataType(1)
    client.reqMktData(2, contract(), "", True, False, [])
    client.wait("snapshotEnd")
    bid = next(price for kind, price in client.told["price"] if kind == 1)
    client.reqMktData(3, contract(), "233", False, False, [])
    client.placeOrder(first, contract(), order())
    client.wait("status", is_at(first, "Filled"))
    client.wait("commission")
    limit = round(bid * 0.8, 2)
    client.placeOrder(first + 1, contract(), order("LMT", lmtPrice=limit))
    client.wait("status", is_at(first + 1, "Submitted"))
    client.placeOrder(first + 1, contract(), order("LMT", lmtPrice=limit - 1))
    client.wait("openOrder", lambda told: sum(each[:2] == [first + 1, "Submitted"] for each in told or ()) >= 2)
    cancel(client, first + 1)
    client.wait("status", is_at(first + 1, "Cancelled"))
    parent = order("LMT", lmtPrice=limit, transmit=False)
    target = order("LMT", "SELL", lmtPrice=round(bid * 1.3, 2), parentId=first + 2, transmit=False)
    stop = order("STP", "SELL", auxPrice=round(bid * 0.5, 2), parentId=first + 2)
    for number, each in enumerate((parent, target, stop)):
        client.placeOrder(first + 2 + number, contract(), each)
    client.wait("status", is_at(first + 4, "PreSubmitted"))
    cancel(client, first + 2)
    for number in range(3):
        client.wait("status", is_at(first + 2 + number, "Cancelled"))
    client.placeOrder(first + 5, contract(), order(whatIf=True))
    client.wait("whatIf")
    client.placeOrder(first + 6, contract(), order(quantity=9_000_000))
    client.wait("status", is_at(first + 6, "Inactive"))


def ask(client):
    client.reqPositions()
    client.wait("positionEnd")
    client.reqAccountUpdates(True, client.told["accounts"][0])
    client.wait("accountEnd")
    client.reqAccountSummary(4, "All", "NetLiquidation,BuyingPower")
    client.wait("summaryEnd")
    client.reqOpenOrders()
    client.wait("openOrderEnd")
    client.reqCompletedOrders(False)
    client.wait("completedEnd")
    from ibapi.execution import ExecutionFilter

    client.reqExecutions(5, ExecutionFilter())
    client.wait("executionEnd")
    client.reqHistoricalData(6, contract(), "", "3600 S", "5 mins", "TRADES", 1, 1, False, [])
    client.wait("barEnd")
    client.reqMktDepth(7, contract(), 3, False, [])
    client.wait("depth", lambda told: len(told or ()) >= 6)
    client.reqPnL(8, client.told["accounts"][0], "")
    client.wait("pnl")
    client.reqPnLSingle(9, client.told["accounts"][0], "", client.told["details"][0][0])
    client.wait("pnlSingle")
    client.reqTickByTickData(10, contract("MSFT"), "BidAsk", 0, False)
    client.wait("tickByTick")
    client.reqMatchingSymbols(11, "MSF")
    client.wait("symbols")
    client.reqMarketRule(26)
    client.wait("rule")
    client.reqHeadTimeStamp(12, contract(), "TRADES", 1, 1)
    client.wait("head")
    for number, (show, name) in enumerate({"TRADES": "lasts", "BID_ASK": "bidAsks", "MIDPOINT": "midpoints"}.items()):
        client.reqHistoricalTicks(20 + number, contract(), "", "20250602 10:00:00 US/Eastern", 5, show, 1, False, [])
        client.wait(name)
    client.reqContractDetails(30, contract("NOPE"))
    client.wait("error", lambda told: any(each[:2] == [30, 200] for each in told or ()))
    client.reqCurrentTime()
    client.wait("time")


def main(port):
    client = Client()
    client.connect("127.0.0.1", port, 1)
    thread = threading.Thread(target=client.run, daemon=True)
    thread.start()
    trade(client)
    ask(client)
    version = client.serverVersion()
    client.disconnect()
    thread.join(5)
    informational = (2104, 2106, 2158)
    errors = [each for each in client.told.get("error", []) if each[1] not in informational]
    counts = {name: len(values) for name, values in client.told.items()}
    print(json.dumps({"version": version, "errors": errors, "counts": counts, "loop_ended": thread.is_alive()}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
