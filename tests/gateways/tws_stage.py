"""A paper gateway whose market a test moves by hand; ib_insync as its client, and one that speaks plain frames."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self, TypeAlias, TypeVar

from src.domain.orders import AccountId
from src.exchange.commission import fee_schedule
from src.exchange.exchange import Exchange
from src.exchange.fill_models import IDEAL, Liquidity, Preset, realistic
from src.exchange.listings import listings
from src.exchange.prices import SeededSource
from src.exchange.sessions import Sessions
from src.exchange.terms import Listed
from src.exchange.units import units
from src.gateways.tws_codec import (
    ClientHello,
    ErrorMessage,
    FrameReader,
    Reply,
    Request,
    StartApi,
    decode_reply,
    decode_server_hello,
    encode_client_hello,
    encode_request,
    frame,
)
from src.gateways.tws_server import GatewayOptions, PaperGateway
from src.runtime.clock import NS, ManualClock
from src.runtime.market import Market
from src.runtime.venue import Venue

#: 2025-06-02, 15:00 UTC, a Monday.
START: Final = 1_748_876_400 * NS
CASH: Final = Decimal(1_000_000)
ACCOUNT: Final = AccountId("DUSIM01")
PATIENCE: Final = 40.0
_LISTINGS: Final = listings()
#: What comes without types: an ib_insync client, and what is its own.
Ib: TypeAlias = Any
R = TypeVar("R", bound=Reply)


def market(
    preset: Preset = IDEAL,
    accounts: Sequence[str] = (ACCOUNT,),
    sessions: Sessions | None = None,
    clock: ManualClock | None = None,
    priced: Sequence[str] = ("NVDA", "MSFT"),
    hard_to_borrow: Sequence[str] = (),
) -> Market:
    """Invented prices of some listings from two seconds before START on, and an account or several."""
    hours = sessions or Sessions.always()
    listed = [Listed.of(each, "fixed", shortable=each.symbol not in hard_to_borrow) for each in _LISTINGS]
    exchange = Exchange(listed, preset, hours, fee_schedule("fixed"))
    for account in accounts:
        exchange.open_account(AccountId(account), CASH)
    found = tuple(each for each in _LISTINGS if each.local_symbol in priced)
    source = SeededSource(found, 7, hours, START - 2 * NS)
    venue = Venue(exchange, source, clock or ManualClock(START), preset.fill_model)
    return Market(venue, _LISTINGS, hours, preset.latency)


def slow() -> Preset:
    """Spreads, displayed sizes and 50 ms on the way to the exchange."""
    return realistic({each.con_id: Liquidity(units(each.half_spread), each.displayed_size) for each in _LISTINGS})


class Stage:
    """A running gateway and the hand that moves its market on."""

    def __init__(self, preset: Preset = IDEAL, options: GatewayOptions | None = None, **terms: Ib) -> None:
        self.clock = ManualClock(START)
        self.gateway = PaperGateway(market(preset, clock=self.clock, **terms), options)

    @property
    def port(self) -> int:
        return self.gateway.port

    def pass_time(self, seconds: float) -> None:
        """Let the market go on."""
        self.clock.move_to(self.clock.now() + round(seconds * NS))
        self.gateway.call(lambda server: server.look())

    def __enter__(self) -> Self:
        self.gateway.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.gateway.stop()


async def ib_insync_client(stage: Stage, client_id: int = 1, **more: Ib) -> Ib:
    """A connected, unmodified ib_insync client without its throttle."""
    import ib_insync

    ib: Ib = ib_insync.IB()  # type: ignore[no-untyped-call]
    _open_clients.append(ib.disconnect)
    ib.client.MaxRequests = 0
    await ib.connectAsync("127.0.0.1", stage.port, clientId=client_id, timeout=PATIENCE, **more)
    return ib


async def eventually(what: Callable[[], Ib]) -> None:
    """Wait for what nobody announces."""
    async with asyncio.timeout(PATIENCE):
        while not what():  # noqa: ASYNC110  # there is no event
            await asyncio.sleep(0.001)


async def until(ib: Ib, what: Callable[[], Ib]) -> Ib:
    """Wait for the client to have learned what is wanted."""
    async with asyncio.timeout(PATIENCE):
        while not (found := what()):
            await ib.updateEvent
        return found


class Frames:
    """A client that speaks plain frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        _open_clients.append(self.end)
        self._frames = FrameReader()
        self._payloads: list[bytes] = []
        self.version = 0
        self.seen: list[Reply] = []

    @classmethod
    async def connect(cls, stage: Stage | PaperGateway, newest: int = 178, oldest: int = 100) -> Self:
        """Greet; do not start yet."""
        client = cls(*await asyncio.open_connection("127.0.0.1", stage.port))
        client.writer.write(encode_client_hello(ClientHello(oldest, newest)))
        client.version = decode_server_hello(await client.payload()).server_version
        return client

    @classmethod
    async def started(cls, stage: Stage | PaperGateway, client_id: int = 1, newest: int = 178) -> Self:
        """Greet and start."""
        client = await cls.connect(stage, newest)
        client.send(StartApi(client_id))
        await client.error(2158)
        client.seen.clear()
        return client

    def send(self, *requests: Request) -> None:
        self.writer.write(b"".join(frame(encode_request(each, self.version)) for each in requests))

    async def payload(self) -> bytes:
        """The next frame; EOFError when there is none."""
        async with asyncio.timeout(PATIENCE):
            while not self._payloads:
                data = await self._reader.read(65_536)
                if not data:
                    raise EOFError
                self._payloads += self._frames.feed(data)
        return self._payloads.pop(0)

    async def reply(self) -> Reply:
        """The next message."""
        message = decode_reply(await self.payload(), self.version)
        self.seen.append(message)
        return message

    async def until(self, kind: type[R], **values: object) -> R:
        """The next message of a kind with these values; those before it are in `seen`."""
        while True:
            message = await self.reply()
            if isinstance(message, kind) and all(getattr(message, name) == value for name, value in values.items()):
                return message

    async def error(self, code: int) -> ErrorMessage:
        """The next error of a code."""
        return await self.until(ErrorMessage, error_code=code)

    async def is_ended(self) -> bool:
        """Whether the server has closed, after whatever it sent."""
        try:
            while True:
                await self.payload()
        except (EOFError, ConnectionError):
            return True

    async def end(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


_open_clients: list[Callable[[], Ib]] = []


async def end_clients() -> None:
    """Close every client of a test, whatever became of it."""
    while _open_clients:
        ended = _open_clients.pop()()
        if inspect.isawaitable(ended):
            await ended
    await asyncio.sleep(0)
