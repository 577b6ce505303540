# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201
"""Drives a gateway with ib_insync or ib_async, unmodified: run in an environment that has it.

    python library_client.py LIBRARY PORT

Prints what it found as one JSON object.
"""

import asyncio
import importlib
import json
import math
import sys

PATIENCE = 40.0


async def until(ib, what):
    """Wait for the client to have learned what is wanted."""
    async with asyncio.timeout(PATIENCE):
        while not (found := what()):
            await ib.updateEvent
        return found


async def run(library, port):
    found = {}
    ib = library.IB()
    ib.client.MaxRequests = 0
    errors = []
    ib.errorEvent += lambda request_id, code, *_: errors.append([request_id, code])
    await ib.connectAsync("127.0.0.1", port, clientId=1, timeout=PATIENCE)
    found["version"] = ib.client.serverVersion()
    (contract,) = await ib.qualifyContractsAsync(library.Stock("NVDA", "SMART", "USD"))
    ticker = ib.reqMktData(contract, "233")
    await until(ib, lambda: not math.isnan(ticker.open))
    trade = ib.placeOrder(contract, library.MarketOrder("BUY", 10))
    await until(ib, lambda: trade.fills and trade.fills[0].commissionReport.commission)
    await until(ib, lambda: ib.positions() and ib.portfolio())
    limit = ib.placeOrder(contract, library.LimitOrder("BUY", 10, round(ticker.bid * 0.8, 2)))
    await until(ib, lambda: limit.orderStatus.status == "Submitted")
    limit.order.lmtPrice = round(ticker.bid * 0.7, 2)
    ib.placeOrder(contract, limit.order)
    await until(ib, lambda: limit.log[-1].message == "Modified")
    ib.cancelOrder(limit.order)
    await until(ib, lambda: limit.orderStatus.status == "Cancelled")
    bracket = ib.bracketOrder("BUY", 10, *(round(ticker.bid * x, 2) for x in (0.8, 1.2, 0.5)))
    legs = [ib.placeOrder(contract, order) for order in bracket]
    await until(ib, lambda: legs[2].orderStatus.status == "PreSubmitted")
    ib.cancelOrder(legs[0].order)
    await until(ib, lambda: all(leg.orderStatus.status == "Cancelled" for leg in legs))
    dear = ib.placeOrder(contract, library.MarketOrder("BUY", 900_000))
    await until(ib, lambda: dear.orderStatus.status == "Inactive")
    state = await asyncio.wait_for(ib.whatIfOrderAsync(contract, library.MarketOrder("BUY", 10)), PATIENCE)
    found["margin"] = float(state.initMarginAfter)
    bars = await ib.reqHistoricalDataAsync(contract, "", "3600 S", "5 mins", "TRADES", True)
    found["bars"] = len(bars)
    book = ib.reqMktDepth(contract, 3)
    await until(ib, lambda: len(book.domBids) == 3)
    profit = ib.reqPnL(ib.managedAccounts()[0])
    await until(ib, lambda: not math.isnan(profit.dailyPnL))
    found["summary"] = len(await ib.accountSummaryAsync())
    found["completed"] = len(await ib.reqCompletedOrdersAsync(False))
    found["executions"] = len(await ib.reqExecutionsAsync())
    found["open"] = len(await ib.reqAllOpenOrdersAsync())
    found["nothing"] = len(await ib.reqContractDetailsAsync(library.Stock("NOPE", "SMART", "USD")))
    found["errors"] = sorted({code for _, code in errors} - {2104, 2106, 2158})
    ib.disconnect()
    print(json.dumps(found))


if __name__ == "__main__":
    event_loop = asyncio.new_event_loop()
    asyncio.set_event_loop(event_loop)
    event_loop.run_until_complete(run(importlib.import_module(sys.argv[1]), int(sys.argv[2])))
