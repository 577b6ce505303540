"""One client's market orders, one after the other, each until it is acknowledged.

`python -m benchmarks.wire_clients SIDE PORT ORDERS`, where SIDE is `facade` (`place_market_order(wait=0)`, with guards
and a simulated session's journal), `broker` (`TwsBroker.place_order`, both from the caller's thread) or `library`
(ib_insync alone in its own loop). All without throttle, the heap settled once connected
and the threads sharing the processor, as in a session of ours. As JSON on stdout: the
`seconds` of each order, and the processor time of an order in all of the client's threads, `processor`.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from src.runtime.heap import settle_heap
from src.runtime.worker import share_processor

WARM_UP = 50
_UNLIMITED = 10**6
#: Guards that stop a machine which does nothing but trade.
_LIFTED = ("ORDERS_PER_MINUTE", "DUPLICATE_SECONDS", "ROUND_TRIPS_PER_DAY", "MAX_DAILY_LOSS", "MAX_DRAWDOWN", "HOURS")
_SIDES = ("BUY", "SELL")


def timed(place: Callable[[str], object], orders: int) -> dict[str, Any]:
    """Place so many, buys and sells in turn."""
    settle_heap(in_real_time=True)
    share_processor()
    for number in range(WARM_UP):
        place(_SIDES[number % 2])
    found = []
    began = process_time()
    for number in range(orders):
        started = perf_counter()
        place(_SIDES[number % 2])
        found.append(perf_counter() - started)
    return {"seconds": found, "processor": (process_time() - began) / orders}


def facade(port: int, orders: int) -> dict[str, Any]:
    """By the facade."""
    from src.brokers.ib_gateway import IBGatewayClient
    from src.settings import Settings

    risk = {f"RISK_{name}": "off" for name in _LIFTED}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            host="127.0.0.1", port=port, state_dir=Path(folder), risk=risk, max_requests_per_second=_UNLIMITED
        )
        with IBGatewayClient(settings=settings) as client:

            def place(side: str) -> None:
                answer = client.place_market_order("NVDA", 1, side, wait=0)
                if answer["order_id"] is None:
                    raise RuntimeError(answer)

            return timed(place, orders)


def broker(port: int, orders: int) -> dict[str, Any]:
    """By `TwsBroker.place_order`."""
    from src.brokers.tws.broker import TwsBroker
    from src.domain.market import Contract
    from src.domain.orders import Action, Order
    from src.settings import Settings

    inner = TwsBroker(Settings(state_dir=Path(), max_requests_per_second=_UNLIMITED), "127.0.0.1", port, client_id=1)
    inner.connect()
    contract = inner.qualify(Contract("NVDA"))
    found = timed(lambda side: inner.place_order(Order(contract, Action(side), Decimal(1))), orders)
    inner.disconnect()
    return found


async def library(port: int, orders: int) -> dict[str, Any]:
    """By ib_insync: `placeOrder`, then the first status past PendingSubmit."""
    import ib_insync

    ib = ib_insync.IB()
    ib.client.MaxRequests = 0
    await ib.connectAsync("127.0.0.1", port, clientId=1)
    [contract] = await ib.qualifyContractsAsync(ib_insync.Stock("NVDA", "SMART", "USD"))
    settle_heap(in_real_time=True)
    found = []
    began = 0.0
    for number in range(orders + WARM_UP):
        if number == WARM_UP:
            began = process_time()
        started = perf_counter()
        trade = ib.placeOrder(contract, ib_insync.MarketOrder(_SIDES[number % 2], 1))
        while trade.orderStatus.status == "PendingSubmit":
            await trade.statusEvent
        found.append(perf_counter() - started)
    processor = (process_time() - began) / orders
    ib.disconnect()
    return {"seconds": found[WARM_UP:], "processor": processor}


def main() -> None:
    """Measure one side."""
    side, port, orders = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if side == "library":
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        found = loop.run_until_complete(library(port, orders))
    else:
        found = {"facade": facade, "broker": broker}[side](port, orders)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
