# mypy: ignore-errors
# ruff: noqa: ANN001, ANN201, ANN202
"""What ib_insync's guides show - orders, historical bars, streaming - in its blocking manner, as scripts do.

    python recipes_client.py LIBRARY PORT

The library is unmodified, its throttle and its defaults included. Prints what it found as one JSON object.
"""

import datetime as dt
import importlib
import json
import math
import sys
import time
from itertools import pairwise

SECONDS = 60


def wait_for(ib, what):
    """Let the library work until something holds."""
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline
        ib.sleep(0.05)


def ordering(library, ib, contract):
    """A limit order far off, changed and cancelled; a market order; what another would take."""
    order = library.LimitOrder("BUY", 20, 0.05)
    trade = ib.placeOrder(contract, order)
    wait_for(ib, lambda: trade.orderStatus.status == "Submitted")
    assert trade in ib.trades()
    assert trade in ib.openTrades()
    assert order in ib.orders()
    order.lmtPrice = 0.10
    ib.placeOrder(contract, order)
    ib.sleep(0.5)
    ib.cancelOrder(order)
    wait_for(ib, trade.isDone)

    market = ib.placeOrder(contract, library.MarketOrder("BUY", 100))
    while not market.isDone():
        ib.waitOnUpdate(timeout=SECONDS)
    wait_for(ib, lambda: sum(fill.commissionReport.commission for fill in ib.fills()) > 0)
    wait_for(ib, ib.positions)
    preview = ib.whatIfOrder(contract, library.MarketOrder("SELL", 100))
    return {
        "cancelled": trade.orderStatus.status,
        "log": [entry.status for entry in trade.log],
        "market": market.orderStatus.status,
        "price": market.orderStatus.avgFillPrice,
        "commission": sum(fill.commissionReport.commission for fill in ib.fills()),
        "positions": [[each.contract.symbol, each.position] for each in ib.positions()],
        "margin_after_sale": float(preview.initMarginAfter),
    }


def bars(library, ib, contract):
    """The oldest bar there is, some days of hours as a data frame, and bars that keep up with the market."""
    head = ib.reqHeadTimeStamp(contract, whatToShow="TRADES", useRTH=True)
    past = ib.reqHistoricalData(
        contract, endDateTime="", durationStr="5 D", barSizeSetting="1 hour", whatToShow="TRADES", useRTH=True
    )
    frame = library.util.df(past)
    following = ib.reqHistoricalData(
        contract, endDateTime="", durationStr="900 S", barSizeSetting="10 secs", whatToShow="MIDPOINT",
        useRTH=True, keepUpToDate=True,
    )  # fmt: skip
    new = []
    following.updateEvent += lambda _, has_new_bar: new.append(has_new_bar)
    wait_for(ib, lambda: sum(new) >= 3)
    ib.cancelHistoricalData(following)
    live = ib.reqRealTimeBars(contract, 5, "MIDPOINT", False)
    wait_for(ib, lambda: len(live) >= 3)
    ib.cancelRealTimeBars(live)
    steps = {(later.time - earlier.time).total_seconds() for earlier, later in pairwise(live)}
    return {
        "head": str(head),
        "columns": list(frame.columns[:6]),
        "hours": len(frame),
        "falls_outside": int(((frame.close > frame.high) | (frame.close < frame.low)).sum()),
        "updates": len(new),
        "steps": sorted(steps),
    }


def streaming(ib, contracts):
    """Quotes of several symbols by event, tick by tick, and ticks of the past."""
    seen = set()
    for contract in contracts:
        ib.reqMktData(contract, "", False, False)

    def on_pending(tickers):
        seen.update(each.contract.symbol for each in tickers if each.bid < each.ask)

    ib.pendingTickersEvent += on_pending
    wait_for(ib, lambda: len(seen) == len(contracts))
    ib.pendingTickersEvent -= on_pending
    prices = [ib.ticker(contract).marketPrice() for contract in contracts]
    for contract in contracts:
        ib.cancelMktData(contract)
    ticker = ib.reqTickByTickData(contracts[0], "BidAsk")
    wait_for(ib, lambda: ticker.tickByTicks)
    ib.cancelTickByTickData(ticker.contract, "BidAsk")
    ticks = ib.reqHistoricalTicks(contracts[0], "", dt.datetime.now(dt.UTC), 100, "BID_ASK", useRth=False)
    return {
        "seen": sorted(seen),
        "prices_are_prices": all(price > 0 and not math.isnan(price) for price in prices),
        "ticks": len(ticks),
    }


def main(name, port):
    library = importlib.import_module(name)
    ib = library.IB()
    ib.connect("127.0.0.1", port, clientId=13)
    contracts = [library.Stock(symbol, "SMART", "USD") for symbol in ("NVDA", "MSFT")]
    ib.qualifyContracts(*contracts)
    found = {
        "ordering": ordering(library, ib, contracts[0]),
        "bars": bars(library, ib, contracts[0]),
        "streaming": streaming(ib, contracts),
    }
    ib.disconnect()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
