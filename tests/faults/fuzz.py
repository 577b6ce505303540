"""T11: frames that no TWS and no client would send, to the paper gateway and to the TWS backend.

Good frames are drawn from the codec's own layouts and taken from a real session, then spoiled. Most are fed in the
process, on the receiver's own loop; some go over real sockets. Whoever receives them ends a connection at most: nothing
is raised, what cannot be read changes nothing, memory does not grow, and others do not notice.
"""

import asyncio
import ctypes
import gc
import logging
import resource
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from src.brokers.tws.broker import TwsBroker
from src.domain.errors import BrokerError
from src.domain.orders import Action, Order
from src.gateways.tws_codec import (
    ClientHello,
    StartApi,
    WireError,
    decode_request,
    encode_client_hello,
    encode_request,
)
from src.gateways.tws_codec.layout import NEWEST
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.server import Server
from tests.faults.harness import ACCOUNT, NVDA, TIMING, FaultStage, soon, wait_for
from tests.faults.proxy import Do, Fault, Way
from tests.faults.results import Result, chance_of
from tests.gateways.tws_codec_examples import ALL_REPLIES, ALL_REQUESTS, both_ways, messages

#: I18: by how much memory may have grown at the end.
_MEGABYTES: Final = 50
_GREETING: Final = encode_client_hello(ClientHello(157, NEWEST))
_TEN_MEGABYTES: Final = b"x" * 10_000_000
#: A length that lies ends the backend's connection: of those that would, so many do.
_LIES: Final = 0.05
#: A frame of this size is drawn once in so many.
_SELDOM: Final = 3_000
_LENGTHS: Final = (0, 1, 3, 2**24 - 1, 2**24, 2**31 - 1, 2**32 - 1)
_TEXTS: Final = (
    b"", b"0", b"-1", b"nan", b"NaN", b"inf", b"-Infinity", b"1e400", b"1E-999", b"9" * 400, b"-" + b"9" * 5_000,
    b"2147483648", b"9223372036854775808", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"1_0", b"0x10", b" 1", b"1.5",
    b"true", b"\n", b"20250230 25:61:61", b"\\u12", b"x" * 70_000, ACCOUNT.encode(), b"NVDA", b"Filled", b"BUY",
)  # fmt: skip


@cache
def good_frames(*, requests: bool) -> tuple[bytes, ...]:
    """Payloads of every kind that there is."""
    shapes, found = ALL_REQUESTS if requests else ALL_REPLIES, list[bytes]()

    @seed(11)
    @settings(
        max_examples=len(shapes), deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(st.sampled_from(shapes).flatmap(lambda shape: st.tuples(st.just(shape), messages(shape))))
    def draw(drawn: tuple[Any, Any]) -> None:
        shape, message = drawn
        encode, _ = both_ways(shape)
        found.append(encode(message.at(NEWEST), NEWEST))

    draw()
    return tuple(found)


def spoiled(chance: Random, payload: bytes, *, lies: float = 1.0) -> bytes:
    """A frame of this payload with one to three faults in it; of lengths that lie, only some are let through."""
    length, is_cut = None, False
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        match chance.randrange(12):
            case 0:
                is_cut = True
            case 1 if chance.random() < lies:
                length = chance.choice((*_LENGTHS, chance.randrange(2 * len(payload) + 1)))
            case 2 if not chance.randrange(_SELDOM // 12):
                payload += chance.choice((_TEN_MEGABYTES, b"1\0" * 10_000))
            case _:
                payload = b"\0".join(_spoiled_texts(chance, payload.split(b"\0")))
    whole = (len(payload) if length is None else length).to_bytes(4) + payload
    return whole[: chance.randrange(len(whole) + 1)] if is_cut else whole


def _spoiled_texts(chance: Random, texts: list[bytes]) -> list[bytes]:
    """One fault in the fields: another text, one too many or too few, another message's number, another byte."""
    place = chance.randrange(len(texts))
    match chance.randrange(9):
        case 0:
            texts.insert(place, chance.choice(_TEXTS))
        case 1:
            del texts[place]
        case 2:
            texts = texts[: chance.randrange(len(texts) + 1)]
        case 3:
            texts[0] = b"%d" % chance.choice((-1, 0, 13, 108, 200, 2**31, chance.randrange(300)))
        case 4 if texts[place]:
            text = bytearray(texts[place])
            text[chance.randrange(len(text))] = chance.randrange(256)
            texts[place] = bytes(text)
        case _:
            texts[place] = chance.choice(_TEXTS)
    return texts


def megabytes() -> float:
    """Memory that this process holds now, what is free given back first."""
    gc.collect()
    with suppress(OSError, AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


@contextmanager
def failures_logged() -> Iterator[list[str]]:
    """What is logged with a traceback meanwhile, or by asyncio at all: somebody has caught what nobody expected."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info or record.name == "asyncio":
                found.append(f"I18: {record.getMessage():.150}: {record.exc_info and record.exc_info[1]!r:.150}")

    listener = Listener(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("src", "asyncio")]
    for logger in loggers:
        logger.addHandler(listener)
    try:
        yield found
    finally:
        for logger in loggers:
            logger.removeHandler(listener)


# --- to the gateway ---------------------------------------------------------------------------------------------------


class _Nowhere(asyncio.Transport):
    """A socket of nobody's: what is written is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self._is_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401
        del name
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True

    abort = close


def _orders(server: Server) -> tuple[object, ...]:
    return tuple((each.perm_id, each.status, each.order) for each in server.orders.all())


def _connected(server: Server, client_id: int) -> Connection:
    connection = Connection(server)
    connection.connection_made(_Nowhere())
    start = encode_request(StartApi(client_id), NEWEST)
    connection.data_received(_GREETING + len(start).to_bytes(4) + start)
    return connection


def feed_gateway(server: Server, frames: Sequence[bytes]) -> list[str]:
    """Feed frames to the server, on its loop; what cannot be read changes no order."""
    found: list[str] = []
    connection, before = _connected(server, 77), _orders(server)
    for frame in frames:
        try:
            connection.data_received(frame)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
            found.append(f"I18: {frame[:60]!r} raises {error!r:.150}")
        is_whole = len(frame) > 4 and int.from_bytes(frame[:4]) == len(frame) - 4
        after = _orders(server)
        if after != before and (not is_whole or _is_unreadable(frame[4:])):
            found.append(f"I18: {frame[:60]!r} cannot be read, and orders have changed")
        before = after
        if not is_whole or not connection.is_open:
            connection.connection_lost(None)
            connection = _connected(server, 77)
    connection.connection_lost(None)
    return found


def _is_unreadable(payload: bytes) -> bool:
    try:
        decode_request(payload, NEWEST)
    except WireError:
        return True
    return False


def fuzz_gateway(stage: FaultStage, chance: Random, count: int) -> list[str]:
    """Feed the gateway in this process, then a hundredth as many over sockets, while another client works."""
    good = good_frames(requests=True)
    broker = TwsBroker(stage.settings, "127.0.0.1", stage.gateway.port, client_id=5)
    broker.connect()
    with failures_logged() as logged:
        found, held = list[str](), None
        for _ in range(0, count, 200):  # the loop lives in between
            frames = [spoiled(chance, chance.choice(good)) for _ in range(200)]
            found += stage.gateway.call(lambda server: feed_gateway(server, frames))  # noqa: B023
            held = megabytes() if held is None else held
        for _ in range(count // 500):
            _pour(stage.gateway.port, [spoiled(chance, chance.choice(good)) for _ in range(5)])
        if not broker.tws(lambda ib: ib.reqCurrentTimeAsync(), 40.0):
            found.append("I18: another client of the gateway is not answered")
    if broker.health().reconnects or not broker.is_connected:
        found.append("I18: another client of the gateway has lost its connection")
    broker.disconnect()
    return found + logged + _grown(held)


def _grown(since: float | None) -> list[str]:
    grown = 0.0 if since is None else megabytes() - since
    return [f"I18: memory has grown by {grown:.0f} MB"] if grown > _MEGABYTES else []


def _pour(port: int, frames: Sequence[bytes]) -> None:
    """Send frames over a socket of their own, and leave without a word."""
    start = encode_request(StartApi(78), NEWEST)
    with socket.create_connection(("127.0.0.1", port), 5.0) as client, suppress(OSError):
        client.settimeout(2.0)
        client.sendall(_GREETING + len(start).to_bytes(4) + start)
        for frame in frames:
            client.sendall(frame[:200_000])
        client.shutdown(socket.SHUT_WR)
        while client.recv(65_536):
            pass


# --- to the backend ---------------------------------------------------------------------------------------------------


def _known(broker: TwsBroker) -> tuple[object, ...]:
    book, account = broker._session.book, broker._session.account
    return dict(book.trades), dict(book.working), dict(book.done), dict(book.fills), account.positions, account.values


class _Unread(logging.Handler):
    """Counts what the library, or we, could not read."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += "cannot be read" in record.getMessage()


def feed_backend(
    broker: TwsBroker, frames: Iterator[bytes], unread: _Unread, found: list[str]
) -> Callable[[Any], None]:
    """Feed frames to the library's socket as long as the connection lasts; what was wrong is added to `found`."""

    def feed(ib: Any) -> None:  # noqa: ANN401
        client = ib.client
        before = _known(broker)
        for frame in frames:
            told = unread.count
            try:
                client.conn.data_received(frame)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
                found.append(f"I18: {frame[:60]!r} raises {error!r:.150}")
            if not broker._session.is_up:
                break
            client._data = b""  # a length that lies: here the next frame is heard all the same
            after = _known(broker)
            if unread.count > told and after != before:
                found.append(f"I18: {frame[:60]!r} cannot be read, and what is known has changed")
            before = after

    return feed


def fuzz_backend(stage: FaultStage, chance: Random, count: int) -> list[str]:
    """Feed the backend in this process; then once over the socket; then it comes back and knows the truth."""
    broker = TwsBroker(
        replace(stage.settings, connect_timeout=10.0), "127.0.0.1", stage.proxy.port, client_id=6,
        timing=replace(TIMING, heartbeat=1.0, slept=3600.0),
    )  # fmt: skip
    broker.connect()
    soon(lambda: broker.quote(NVDA))
    for action in (Action.BUY, Action.SELL):
        with suppress(BrokerError):
            broker.place_order(Order(NVDA, action, 10 + chance.randrange(90)))  # type: ignore[arg-type]
    good = (
        *good_frames(requests=False),
        *sorted({each.frame[4:] for each in stage.proxy.passed if each.way is Way.IN}),
    )
    left, found, unread, held = count, list[str](), _Unread(), None

    def frames() -> Iterator[bytes]:
        nonlocal left
        while left:
            left -= 1
            yield spoiled(chance, chance.choice(good), lies=_LIES)

    drawn = frames()
    logger = logging.getLogger("src.brokers.tws.library")
    logger.addHandler(unread)
    with failures_logged() as logged:
        while left and not found:
            with suppress(BrokerError):  # it has lost its connection, as it may
                broker.tws(feed_backend(broker, drawn, unread, found), 200.0)
            held = megabytes() if held is None else held
            _await(broker, lambda: broker.is_connected)
        if broker._session.is_up:
            stage.proxy.arm(Fault(Do.GARBAGE, Way.IN, data=spoiled(chance, chance.choice(good))[:200_000]))
        stage.proxy.behave()
        stage.proxy.end(Do.RESET)
        found += _comes_back(broker, stage)
    logger.removeHandler(unread)
    broker.disconnect()
    return found + logged + _grown(held)


def _await(broker: TwsBroker, back: Callable[[], bool]) -> None:
    """Wait for the session's connection; where TWS has said that there will be none, begin another session."""
    wait_for(lambda: back() or bool(broker._session._keeper._given_up), 60.0)
    if not back():
        broker.disconnect()
        soon(broker.connect)


def _comes_back(broker: TwsBroker, stage: FaultStage) -> list[str]:
    """A new connection, the same session's or another's, knows the truth."""
    _await(broker, lambda: broker.is_connected and broker.health().reconnects > 0)
    held = {each.contract.symbol: int(each.quantity) for each in soon(broker.positions) if each.quantity}
    true = {symbol: shares for (_, symbol), shares in stage.truth().positions.items()}
    return [] if held == true else [f"I18: {held} is held by what is believed, {true} in truth"]


# --- both -------------------------------------------------------------------------------------------------------------


def fuzz(folder: Path, seed: int, *, frames: int = 2_000) -> Result:
    """T11: so many spoiled frames to the gateway, and as many to the backend."""
    chance, result = chance_of("T11", seed), Result()
    for receiver in (fuzz_gateway, fuzz_backend):
        with FaultStage(folder, seed=seed) as stage:
            found = receiver(stage, chance, frames)
        result.trials += frames
        result.failures += [f"{each} [T11 seed {seed}, {receiver.__name__}]" for each in found[:3]]
    return result
