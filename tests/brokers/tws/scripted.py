"""A TWS that says what a test tells it to: for what the paper gateway, being well behaved, never does.

It answers the synchronisation of an empty account; a test replaces the answer to a kind of request, by none (silence)
or by a function that sends what it likes.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from threading import Event
from time import monotonic
from types import TracebackType
from typing import Any, Self

from src.brokers.broker import Broker
from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.timing import Timing
from src.gateways.tws_codec import (
    AccountSummaryEnd,
    AcctDownloadEnd,
    AcctUpdateTime,
    AcctValue,
    CompletedOrdersEnd,
    ContractData,
    ContractDataEnd,
    CurrentTime,
    ErrorMessage,
    ExecutionData,
    ExecutionDataEnd,
    FrameReader,
    ManagedAccounts,
    NextValidId,
    OpenOrder,
    OpenOrderEnd,
    OrderState,
    OrderStatusMessage,
    PlaceOrder,
    PositionEnd,
    Reply,
    ReqAccountSummary,
    ReqAccountUpdates,
    ReqAllOpenOrders,
    ReqCompletedOrders,
    ReqContractDetails,
    ReqCurrentTime,
    ReqExecutions,
    ReqOpenOrders,
    ReqPositions,
    Request,
    ServerHello,
    StartApi,
    WireContract,
    decode_client_hello,
    decode_request,
    encode_reply,
    encode_server_hello,
    frame,
    negotiate,
)
from src.runtime.bridge import LoopThread
from src.runtime.clock import Clock
from src.settings import Settings

ACCOUNT = "DUSIM01"
#: What comes at all has come within these seconds, on a busy machine too; what is in vain ends far sooner by itself.
PATIENCE = 20.0
NVDA = WireContract(
    4815747, "NVDA", "STK", exchange="SMART", primary_exchange="NASDAQ", currency="USD", trading_class="NMS"
)
VALUES = (
    "NetLiquidation", "TotalCashValue", "GrossPositionValue", "EquityWithLoanValue", "InitMarginReq", "MaintMarginReq",
    "AvailableFunds", "ExcessLiquidity", "BuyingPower",
)  # fmt: skip

Answer = Callable[["Client", Any], None] | None


class Client(asyncio.Protocol):
    """One connection, from the server's side."""

    def __init__(self, tws: "ScriptedTws") -> None:
        self.tws, self.version, self.client_id = tws, 0, -1
        self._reader = FrameReader(expects_prefix=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.tws.clients.append(self)

    def data_received(self, data: bytes) -> None:
        for payload in self._reader.feed(data):
            if not self.version:
                hello = decode_client_hello(payload)
                self.version = negotiate(hello.oldest, hello.newest) or 0
                if self.tws.greets:
                    self.transport.write(frame(encode_server_hello(ServerHello(self.version, "20261120 10:00:00 EST"))))
            else:
                self.receive(decode_request(payload, self.version))

    def receive(self, request: Request) -> None:
        self.tws.received.append(request)
        answer = self.tws.answers.get(type(request))
        if answer is not None:
            answer(self, request)

    def send(self, *replies: Reply) -> None:
        """All in one segment."""
        self.transport.write(b"".join(frame(encode_reply(reply, self.version)) for reply in replies))

    def error(self, request_id: int, code: int, text: str) -> None:
        self.send(ErrorMessage(request_id, code, text))

    def reset(self) -> None:
        """End the connection with a RST."""
        found = self.transport.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    # --- an order's life, as TWS tells it ---------------------------------------------------------------------------

    def echo(self, asked: PlaceOrder, status: str = "Submitted", **changes: Any) -> None:
        """An openOrder message of what was asked."""
        order = asked.order._replace(**changes)
        state = OrderState(status)
        self.send(OpenOrder(asked.order_id, NVDA, order, state, self.client_id, 9000 + asked.order_id))

    def status(self, order_id: int, status: str, filled: int = 0, quantity: int = 10, price: str = "0") -> None:
        """An orderStatus message."""
        self.send(
            OrderStatusMessage(
                order_id, status, Decimal(filled), Decimal(quantity - filled), Decimal(price), 9000 + order_id,
                client_id=self.client_id,
            )
        )  # fmt: skip

    def execution(
        self, order_id: int, exec_id: str, shares: int, price: str, request: int = -1, account: str = ACCOUNT
    ) -> None:
        """An execDetails message."""
        self.send(
            ExecutionData(
                request, order_id, NVDA, exec_id, "20261120 14:31:02 US/Eastern", account, "NASDAQ", "BOT",
                Decimal(shares), Decimal(price), 9000 + order_id, self.client_id, cum_qty=Decimal(shares),
                avg_price=Decimal(price),
            )
        )  # fmt: skip


def accept(client: Client, asked: PlaceOrder) -> None:
    """Take an order, whatever it is."""
    client.echo(asked)
    client.status(asked.order_id, "Submitted", quantity=int(asked.order.total_quantity or 0))


def _start(client: Client, message: StartApi) -> None:
    client.client_id = message.client_id
    client.send(ManagedAccounts(",".join(client.tws.accounts)), NextValidId(client.tws.next_id))


def _updates(client: Client, message: ReqAccountUpdates) -> None:
    account = message.acct_code
    client.send(*(AcctValue(tag, "100000.00", "USD", account) for tag in VALUES))
    client.send(AcctUpdateTime("10:00"), AcctDownloadEnd(account))


def _details(client: Client, message: ReqContractDetails) -> None:
    if message.contract.symbol != "NVDA":
        client.error(message.req_id, 200, "No security definition has been found for the request")
        return
    found = ContractData(message.req_id, NVDA, long_name="NVIDIA CORP", time_zone_id="US/Eastern")
    client.send(found, ContractDataEnd(message.req_id))


_TIMING = Timing()


class ScriptedTws:
    """Listens inside `with`; `answers` may be changed at any time before the request in question comes."""

    def __init__(self) -> None:
        self.accounts, self.next_id, self.greets = [ACCOUNT], 1, True
        self.clients: list[Client] = []
        self.received: list[Request] = []
        self.answers: dict[type, Answer] = {
            StartApi: _start,
            ReqPositions: lambda client, _: client.send(PositionEnd()),
            ReqOpenOrders: lambda client, _: client.send(OpenOrderEnd()),
            ReqAllOpenOrders: lambda client, _: client.send(OpenOrderEnd()),
            ReqCompletedOrders: lambda client, _: client.send(CompletedOrdersEnd()),
            ReqAccountUpdates: _updates,
            ReqAccountSummary: lambda client, message: client.send(AccountSummaryEnd(message.req_id)),
            ReqExecutions: lambda client, message: client.send(ExecutionDataEnd(message.req_id)),
            ReqContractDetails: _details,
            ReqCurrentTime: lambda client, _: client.send(CurrentTime(1)),
        }
        self._thread: LoopThread | None = None
        self.port = 0

    def on(self, kind: type, answer: Answer) -> None:
        """Answer a kind of request so from now on; None is silence."""
        self.answers[kind] = answer

    def on_positions_first(self, code: int, text: str) -> None:
        """Say something about no request in the midst of the first synchronisation, then list no positions."""
        told: list[int] = []

        def answer(client: Client, _: object) -> None:
            if not told:
                client.error(-1, code, text)
                told.append(code)
            client.send(PositionEnd())

        self.on(ReqPositions, answer)

    def asked(self, kind: type) -> list[Any]:
        """The requests of a kind, so far."""
        return [request for request in self.received if type(request) is kind]

    def say(self, what: Callable[[Client], None]) -> None:
        """Send something unasked to the newest client."""
        thread = self._thread
        assert thread is not None

        async def run() -> None:
            what(self.clients[-1])

        thread.call(run(), PATIENCE)

    def settle(self) -> None:
        """Come back once whoever has knocked is let in, and what it has sent is read."""
        thread = self._thread
        assert thread is not None

        async def turns() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        thread.call(turns(), PATIENCE)

    def broker(
        self,
        client_id: int = 1,
        timing: Timing = _TIMING,
        clock: Clock | None = None,
        **settings: Any,
    ) -> TwsBroker:
        """A broker for this TWS that waits for every answer; not connected. A test of silence shortens a deadline."""
        patient = {"connect_timeout": PATIENCE, "order_timeout": PATIENCE, "read_timeout": PATIENCE, **settings}
        return TwsBroker(Settings(**patient), "127.0.0.1", self.port, client_id=client_id, timing=timing, clock=clock)

    def __enter__(self) -> Self:
        self._thread = LoopThread("scripted-tws")

        async def start() -> None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: Client(self), "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]

        self._thread.call(start(), PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._thread is not None

        async def stop() -> None:
            self._server.close()
            for client in self.clients:
                with suppress(OSError):
                    client.transport.abort()

        self._thread.call(stop(), PATIENCE)
        self._thread.stop()


def hurry(broker: Broker, seconds: float = 0.3) -> None:
    """Wait for answers only so long from now on: what is to be answered has been, and the rest is silence."""
    assert isinstance(broker, TwsBroker)
    broker._settings = replace(broker._settings, read_timeout=seconds)
    broker._session.orders._timeout = seconds


def wait_until(true: Callable[[], bool], seconds: float = PATIENCE) -> None:
    """Come back once something holds."""
    deadline, pause = monotonic() + seconds, Event()
    while not true():
        assert monotonic() < deadline
        pause.wait(0.005)
