"""The gateway's connections: greeting, versions, client ids, and what a client can send without harm to others."""

import asyncio
import logging
import time

import pytest

from src.domain.errors import ConfigurationError
from src.gateways.tws_codec import (
    CancelMktData,
    CurrentTime,
    ManagedAccounts,
    NextValidId,
    ReqAutoOpenOrders,
    ReqCurrentTime,
    ReqIds,
    ReqManagedAccts,
    StartApi,
    UnsupportedRequest,
    frame,
)
from src.gateways.tws_server import GatewayOptions, PaperGateway, checked_account
from tests.gateways.tws_stage import ACCOUNT, CASH, PATIENCE, START, Frames, Stage, eventually, ib_insync_client, market

NS = 1_000_000_000


async def test_ib_insync_connects_and_is_synchronised(stage: Stage) -> None:
    """All six parts of its start-up are answered, well before its time-out."""
    begun = time.monotonic()
    ib = await ib_insync_client(stage)
    assert time.monotonic() - begun < PATIENCE / 2
    assert ib.client.serverVersion() == 176
    assert ib.managedAccounts() == [ACCOUNT]
    values = {(row.tag, row.currency): row.value for row in ib.accountValues()}
    assert values["NetLiquidation", "USD"] == f"{CASH:.2f}"
    assert values["TotalCashBalance", "BASE"] == f"{CASH:.2f}"
    assert (ib.positions(), ib.openTrades(), ib.fills()) == ([], [], [])


async def test_a_second_connection_waits_for_nothing(stage: Stage) -> None:
    """With everything loaded, connecting is a handful of messages, and none of them is paused for."""
    (await ib_insync_client(stage)).disconnect()
    took = list[float]()
    for number in range(2, 7):
        begun = time.monotonic()
        await ib_insync_client(stage, number)
        took.append(time.monotonic() - begun)
    assert min(took) < 1.0


@pytest.mark.parametrize(
    ("newest", "spoken"), [(157, 157), (158, 157), (159, 159), (170, 170), (176, 176), (178, 178), (225, 178)]
)
async def test_the_version_is_the_newest_that_both_know_and_never_158(stage: Stage, newest: int, spoken: int) -> None:
    client = await Frames.started(stage, newest=newest)
    assert client.version == spoken
    client.send(ReqCurrentTime())
    assert await client.until(CurrentTime) == CurrentTime(START // NS)


async def test_the_newest_version_can_be_held_back() -> None:
    with Stage(options=GatewayOptions(port=0, latency=0, max_server_version=170)) as held:
        client = await Frames.connect(held)
        assert client.version == 170


async def test_nothing_is_sent_between_the_greeting_and_start_api(stage: Stage) -> None:
    """The official client loses what follows the greeting."""
    client = await Frames.connect(stage)
    waiting = asyncio.ensure_future(client.payload())
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    client.send(StartApi(1))
    await waiting


async def test_the_start_is_answered_by_accounts_then_next_id_then_the_farms(stage: Stage) -> None:
    client = await Frames.connect(stage)
    client.send(StartApi(3))
    await client.error(2158)
    assert [type(message).__name__ for message in client.seen] == [
        "ManagedAccounts", "NextValidId", "ErrorMessage", "ErrorMessage", "ErrorMessage"
    ]  # fmt: skip
    assert client.seen[0] == ManagedAccounts(ACCOUNT)


async def test_a_client_id_in_use_gets_326_and_the_end(stage: Stage) -> None:
    first = await Frames.started(stage, 7)
    second = await Frames.connect(stage)
    second.send(StartApi(7))
    refused = await second.error(326)
    assert refused.req_id == -1
    assert await second.is_ended()
    first.send(ReqCurrentTime())
    await first.until(CurrentTime)


async def test_a_client_id_is_free_again_once_its_client_has_gone(stage: Stage) -> None:
    for _ in range(3):
        ib = await ib_insync_client(stage, 5)
        ib.disconnect()
        await eventually(lambda: stage.gateway.call(lambda server: 5 not in server.context.clients))


async def test_several_clients_at_once(stage: Stage) -> None:
    clients = [await ib_insync_client(stage, number) for number in range(5)]
    for ib in clients:
        assert ib.managedAccounts() == [ACCOUNT]


BAD_BEGINNINGS = {
    "62 and NUL, as clients before v100": b"62\0",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "zeros": bytes(64),
    "a frame of no length": b"API\0\0\0\0\0",
    "a frame of a gigabyte": b"API\0\x40\0\0\0",
    "no versions": b"API\0" + frame(b"hello"),
    "versions too old": b"API\0" + frame(b"v60..99"),
    "versions too new": b"API\0" + frame(b"v213..225"),
}


@pytest.mark.parametrize("data", BAD_BEGINNINGS.values(), ids=BAD_BEGINNINGS)
async def test_what_is_not_a_tws_client_is_closed_at_once(stage: Stage, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(data)
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
    assert (await Frames.started(stage)).version == 178


BAD_FRAMES = {
    "no message id": frame(b"\0"),
    "letters for an id": frame(b"abc\0"),
    "no final NUL": frame(b"49\0" + b"1"),
    "too few fields": frame(b"3\0" + b"1\0"),
    "too many fields": frame(b"49\0" + b"1\0" * 40),
    "not UTF-8": frame(b"81\0" + b"5\0" + b"\xff\xfe\0"),
    "numbers that are none": frame(b"59\0" + b"1\0x\0"),
    "a hundred thousand fields": frame(b"6\0" * 100_000),
    "an unknown id": frame(b"9999\0" + b"1\0"),
}


@pytest.mark.parametrize("data", BAD_FRAMES.values(), ids=BAD_FRAMES)
async def test_a_frame_that_cannot_be_read_ends_nothing(
    stage: Stage, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """It is answered, and the connection goes on."""
    client = await Frames.started(stage)
    client.writer.write(data)
    client.send(ReqCurrentTime())
    await client.until(CurrentTime)


async def test_a_frame_too_long_ends_only_its_own_connection(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    good, bad = await Frames.started(stage, 1), await Frames.started(stage, 2)
    bad.writer.write(b"\xff\xff\xff\xff" + b"x" * 100)
    assert (await bad.error(507)).req_id == -1
    assert await bad.is_ended()
    good.send(ReqCurrentTime())
    await good.until(CurrentTime)


async def test_a_frame_that_never_ends_ends_nothing(stage: Stage) -> None:
    good, cut = await Frames.started(stage, 1), await Frames.started(stage, 2)
    cut.writer.write(b"\0\0\0\x20" + b"49\0")
    await cut.end()
    good.send(ReqCurrentTime())
    await good.until(CurrentTime)


async def test_frames_may_come_in_any_pieces(stage: Stage) -> None:
    """Byte by byte, and many at once."""
    client = await Frames.connect(stage)
    data = frame(b"71\0" + b"2\0" + b"4\0\0") + frame(b"49\0" + b"1\0") * 3
    for byte in data:
        client.writer.write(bytes([byte]))
        await client.writer.drain()
    for _ in range(3):
        await client.until(CurrentTime)
    client.writer.write(frame(b"49\0" + b"1\0") * 500)
    for _ in range(500):
        await client.until(CurrentTime)


async def test_a_request_before_start_api_is_refused(stage: Stage) -> None:
    client = await Frames.connect(stage)
    client.send(ReqCurrentTime())
    await client.error(504)


@pytest.mark.parametrize(
    ("request_id", "message", "code"),
    [
        (12, UnsupportedRequest(52, "reqFundamentalData", 12, ("2", "12", "0", "X")), 430),
        (13, UnsupportedRequest(22, "reqScannerSubscription", 13, ("13",)), 162),
        (14, UnsupportedRequest(88, "reqHistogramData", 14, ("14",)), 10188),
        (15, UnsupportedRequest(83, "reqSmartComponents", 15, ("15", "a60001")), 354),
        (-1, UnsupportedRequest(4711, "request 4711", -1, ("1",)), 321),
        (-1, ReqAutoOpenOrders(True), 321),
        (77, CancelMktData(77), 300),
    ],
)
async def test_what_is_not_here_is_answered_under_its_request_id(
    stage: Stage, request_id: int, message: UnsupportedRequest, code: int
) -> None:
    client = await Frames.started(stage)
    client.send(message)
    assert (await client.error(code)).req_id == request_id


async def test_ids_and_accounts_are_told_again(stage: Stage) -> None:
    client = await Frames.started(stage)
    client.send(ReqIds(), ReqManagedAccts())
    assert await client.until(NextValidId) == NextValidId(1)
    await client.until(ManagedAccounts)


async def test_several_accounts_are_told_joined_by_commas() -> None:
    with Stage(accounts=("DUSIM01", "DUSIM02")) as both:
        ib = await ib_insync_client(both)
        assert ib.managedAccounts() == ["DUSIM01", "DUSIM02"]
        assert {row.account for row in ib.accountValues()} == {"DUSIM01", "DUSIM02"}


async def test_a_fault_in_the_gateway_is_an_error_not_an_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = await Frames.started(stage)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    stage.gateway.call(lambda server: server._handlers.update({ReqIds: fail}))
    client.send(ReqIds(), ReqCurrentTime())
    await client.error(320)
    await client.until(CurrentTime)
    assert "ZeroDivisionError" in caplog.text


async def test_answers_wait_for_the_latency_and_keep_their_order() -> None:
    with Stage(options=GatewayOptions(port=0, latency=0.05)) as late:
        client = await Frames.started(late)
        begun = time.monotonic()
        client.send(ReqCurrentTime(), ReqManagedAccts(), ReqIds())
        kinds = [type(await client.reply()) for _ in range(3)]
        assert kinds == [CurrentTime, ManagedAccounts, NextValidId]
        assert time.monotonic() - begun >= 0.045


async def test_the_gateway_going_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    with Stage() as short:
        ib = await ib_insync_client(short)
    await eventually(lambda: not ib.isConnected())


def test_it_starts_and_stops_in_milliseconds() -> None:
    terms = market()
    PaperGateway(terms).start().stop()
    took = list[float]()
    for _ in range(5):
        begun = time.monotonic()
        gateway = PaperGateway(terms)
        gateway.start()
        gateway.stop()
        gateway.stop()
        took.append(time.monotonic() - begun)
    assert min(took) < 0.5


def test_a_taken_port_is_an_error(stage: Stage) -> None:
    with pytest.raises(OSError, match="address already in use"):
        PaperGateway(market(), GatewayOptions(port=stage.port)).start()


@pytest.mark.parametrize("port", [7496, 4001, -1, 70_000])
def test_live_ports_are_refused(port: int) -> None:
    with pytest.raises(ConfigurationError, match="port"):
        GatewayOptions(port=port)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])  # noqa: S104
def test_others_cannot_reach_it_unless_asked_for(host: str) -> None:
    with pytest.raises(ConfigurationError, match="--allow-remote"):
        GatewayOptions(host=host)
    assert GatewayOptions(host=host, allow_remote=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_reaches_it(host: str) -> None:
    assert GatewayOptions(host=host).host == host


@pytest.mark.parametrize("account_id", ["", "du1", "DU", "DU 12345", "X" * 17, "DU-1"])
def test_an_account_id_looks_like_one(account_id: str) -> None:
    with pytest.raises(ConfigurationError, match="account id"):
        checked_account(account_id)
