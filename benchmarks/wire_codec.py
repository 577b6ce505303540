"""What the gateway encodes in a second of processor time beside what ib_insync decodes of the same messages."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from statistics import median
from time import process_time
from typing import Any

from src.gateways.tws_codec import (
    HistoricalBar,
    HistoricalData,
    OrderStatusMessage,
    Reply,
    TickPrice,
    encode_reply,
    frame,
)

VERSION = 176  # what ib_insync speaks
MESSAGES = 3000
ROUNDS = 5


def client() -> Any:  # noqa: ANN401  # untyped
    """ib_insync as it is after its handshake, with a subscription and orders; connected to nothing."""
    import ib_insync

    ib = ib_insync.IB()
    ib.client._serverVersion = ib.client.decoder.serverVersion = VERSION  # noqa: SLF001
    ib.client.connState = ib.client.CONNECTED
    ib.client._apiReady = True  # noqa: SLF001
    ib.wrapper.clientId = 1
    contract = ib_insync.Stock("NVDA", "SMART", "USD")
    ib.wrapper.startTicker(5, contract, "mktData")
    for number in range(1, MESSAGES + 1):
        order = ib_insync.LimitOrder("BUY", 10, 100.0, orderId=number, clientId=1)
        status = ib_insync.OrderStatus(orderId=number)
        ib.wrapper.trades[ib.wrapper.orderKey(1, number, 0)] = ib_insync.Trade(contract, order, status, [], [])
    return ib


def ticks(number: int) -> Reply:
    """A price and its size."""
    return TickPrice(5, 1, 100.0 + number % 100 / 100, 300.0)


def statuses(number: int) -> Reply:
    """A part of an order, each of another: a Trade's log grows with each, and it writes all of it for each."""
    filled = Decimal(number % 10)
    return OrderStatusMessage(
        number + 1, "Submitted", filled, 10 - filled, Decimal("100.01"), 77, 0, Decimal("100.01"), 1
    )


def bars(number: int) -> Reply:
    """Ten bars with epoch dates."""
    bar = HistoricalBar(str(1_748_876_400 + number), 100.0, 101.0, 99.5, 100.5, 1200.0, 100.2, 40)
    return HistoricalData(9, "", "", (bar,) * 10)


def rates(make: Any) -> tuple[float, float]:  # noqa: ANN401  # one of the three above
    """Messages a second: encoded by us, decoded by them."""
    messages = [make(number) for number in range(MESSAGES)]
    started = process_time()
    frames = [frame(encode_reply(message, VERSION)) for message in messages]
    ours = MESSAGES / (process_time() - started)
    chunks = [b"".join(frames[first : first + 40]) for first in range(0, MESSAGES, 40)]  # some 4 KiB, as sent
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        ib = client()
        read = ib.client._onSocketHasData  # noqa: SLF001
        if make is bars:
            read, chunks = _only_bars(ib), frames
        started = process_time()
        for chunk in chunks:
            read(chunk)
        theirs = MESSAGES / (process_time() - started)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return ours, theirs


def _only_bars(ib: Any) -> Any:  # noqa: ANN401
    """Each answer belongs to a request of its own."""
    from ib_insync import BarDataList

    read = ib.client._onSocketHasData  # noqa: SLF001

    def answer(data: bytes) -> None:
        future = ib.wrapper.startReq(9, container=BarDataList())
        read(data)
        assert len(future.result()) == 10  # noqa: S101

    return answer


def encoding() -> Iterator[Any]:
    """The three, each as a ratio."""
    from benchmarks.wire import Figure

    for name, make in (("ticks", ticks), ("orderStatus", statuses), ("bars", bars)):
        found = [rates(make) for _ in range(ROUNDS)]
        yield Figure(f"encoding {name} / ib_insync decoding", median(a / b for a, b in found), 3, at_most=False)
