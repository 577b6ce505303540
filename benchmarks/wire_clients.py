"""One client's market orders, one after the other, each until it is acknowledged: seconds of each as JSON on stdout.

`python -m benchmarks.wire_clients ours|library PORT ORDERS`: TwsBroker from the caller's thread, or ib_insync alone in
its own loop. Both without throttle, the heap frozen once connected.
"""

import asyncio
import gc
import json
import sys
from decimal import Decimal
from pathlib import Path
from time import perf_counter

WARM_UP = 50


def ours(port: int, orders: int) -> list[float]:
    """By `TwsBroker.place_order`."""
    from src.brokers.tws.broker import TwsBroker
    from src.domain.market import Contract
    from src.domain.orders import Action, Order
    from src.settings import Settings

    broker = TwsBroker(Settings(state_dir=Path(), max_requests_per_second=10**6), "127.0.0.1", port, client_id=1)
    broker.connect()
    contract = broker.qualify(Contract("NVDA"))
    gc.collect()
    gc.freeze()
    found = []
    for number in range(orders + WARM_UP):
        order = Order(contract, (Action.BUY, Action.SELL)[number % 2], Decimal(1))
        started = perf_counter()
        broker.place_order(order)
        found.append(perf_counter() - started)
    broker.disconnect()
    return found[WARM_UP:]


async def library(port: int, orders: int) -> list[float]:
    """By ib_insync: `placeOrder`, then the first status past PendingSubmit."""
    import ib_insync

    ib = ib_insync.IB()
    ib.client.MaxRequests = 0
    await ib.connectAsync("127.0.0.1", port, clientId=1)
    [contract] = await ib.qualifyContractsAsync(ib_insync.Stock("NVDA", "SMART", "USD"))
    gc.collect()
    gc.freeze()
    found = []
    for number in range(orders + WARM_UP):
        order = ib_insync.MarketOrder(("BUY", "SELL")[number % 2], 1)
        started = perf_counter()
        trade = ib.placeOrder(contract, order)
        while trade.orderStatus.status == "PendingSubmit":
            await trade.statusEvent
        found.append(perf_counter() - started)
    ib.disconnect()
    return found[WARM_UP:]


def main() -> None:
    """Measure one side."""
    side, port, orders = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if side == "ours":
        found = ours(port, orders)
    else:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        found = loop.run_until_complete(library(port, orders))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
