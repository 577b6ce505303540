# mypy: disable-error-code=comparison-overlap
# A Decimal equals an int, and an empty tuple every other.
"""Connecting: each way to fail has its own words, within its deadline; and what is refused stays unsent."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest

from src.brokers.findings import Finding, Outcome
from src.brokers.tws import open_tws
from src.brokers.tws.broker import TwsBroker
from src.domain.errors import (
    ClientIdInUseError,
    ConfigurationError,
    ConnectionFailedError,
    LiveTradingRefusedError,
    NotConnectedError,
    OrderRefusedError,
)
from src.domain.events import ConnectionChanged
from src.domain.market import Contract, Mode
from src.domain.orders import Action, Order
from src.gateways.tws_codec import (
    ExecutionDataEnd,
    PlaceOrder,
    ReqAccountUpdates,
    ReqAllOpenOrders,
    ReqCompletedOrders,
    ReqExecutions,
    ReqMktData,
    ReqOpenOrders,
    ReqPositions,
    StartApi,
)
from src.settings import Settings
from tests.brokers.tws.scripted import PATIENCE, Client, ScriptedTws, wait_until

#: For answers that do not come; what comes before them has come by then.
SHORT = 1.5


def fails(broker: TwsBroker) -> ConnectionFailedError:
    """How connecting fails, at once or after `SHORT`, and that nothing is left of it."""
    since, threads = monotonic(), {*threading.enumerate()}
    with pytest.raises(ConnectionFailedError) as caught:
        broker.connect()
    assert monotonic() - since < PATIENCE / 2
    assert not broker.is_connected
    assert not broker.health().connected
    assert {*threading.enumerate()} <= threads
    return caught.value


def test_a_connection_is_made_and_left(tws: ScriptedTws) -> None:
    broker, threads = tws.broker(), {*threading.enumerate()}
    assert broker.mode is Mode.DISCONNECTED
    broker.connect()
    broker.connect()
    health = broker.health()
    assert (health.mode, health.connected, health.client_id) == (Mode.SIMULATED, True, 1)
    assert health.library is not None
    assert health.library.startswith(("ib_insync ", "ib_async "))
    assert health.server_version in (176, 178)
    assert broker.positions() == broker.open_trades() == broker.fills() == ()
    assert broker.account_summary().net_liquidation == 100_000
    assert {*threading.enumerate()} - threads
    broker.disconnect()
    broker.disconnect()
    assert {*threading.enumerate()} <= threads
    with pytest.raises(NotConnectedError):
        broker.positions()


def test_it_can_be_opened_from_a_finding(tws: ScriptedTws) -> None:
    broker = open_tws(Settings(), Finding("127.0.0.1", tws.port, Outcome.LISTENING), client_id=33)
    assert broker.health().client_id == 33
    broker.disconnect()


def test_nothing_listens(quiet_address: tuple[str, int]) -> None:
    error = fails(TwsBroker(Settings(connect_timeout=PATIENCE), *quiet_address))
    assert error.phase == "connect"
    assert "nothing listens" in error.cause


def serve(behaviour: Callable[[socket.socket], Any]) -> Iterator[int]:
    """A port whose first visitor is treated so."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = threading.Event()

        def run() -> None:
            found, _ = server.accept()
            with found:
                behaviour(found)
                done.wait(PATIENCE)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        done.set()
        thread.join(PATIENCE)


def closing(found: socket.socket) -> None:
    found.recv(100)
    found.close()


def resetting(found: socket.socket) -> None:
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    found.close()


def silent(found: socket.socket) -> None:
    found.recv(100)


def old(found: socket.socket) -> None:
    found.recv(100)
    found.sendall(b"\0\0\0\x1b99\x0020261120 10:00:00 EST\0  ")


@pytest.mark.parametrize(
    ("behaviour", "phases", "timeout"),
    [
        (closing, {"handshake"}, PATIENCE),
        (resetting, {"connect", "handshake"}, PATIENCE),
        (silent, {"handshake"}, SHORT),
    ],
)
def test_who_does_not_speak_is_told_by_phase(
    behaviour: Callable[[socket.socket], Any], phases: set[str], timeout: float
) -> None:
    """At once when the connection ends, at the deadline when nothing comes; with what to change in TWS."""
    for port in serve(behaviour):
        error = fails(TwsBroker(Settings(connect_timeout=timeout), "127.0.0.1", port))
        assert error.phase in phases
        assert "TWS" in error.cause or "API" in error.cause


def test_a_question_on_tws_screen_is_guessed(tws: ScriptedTws) -> None:
    """The handshake is answered, and then nothing."""
    tws.on(StartApi, None)
    error = fails(tws.broker(connect_timeout=SHORT))
    assert error.phase == "start"
    assert "screen" in error.cause


def test_a_client_id_in_use_is_known_at_once(tws: ScriptedTws) -> None:
    def refuse(client: Client, _: StartApi) -> None:
        client.error(-1, 326, "Unable to connect as the client id is already in use.")
        client.transport.close()

    tws.on(StartApi, refuse)
    error = fails(tws.broker())
    assert isinstance(error, ClientIdInUseError)
    assert error.code == 326
    assert "client id 1" in str(error)


@pytest.mark.parametrize(
    ("kind", "phase"),
    [
        (ReqPositions, "positions"), (ReqOpenOrders, "open orders"), (ReqAllOpenOrders, "open orders"),
        (ReqCompletedOrders, "completed orders"), (ReqAccountUpdates, "account"), (ReqExecutions, "executions"),
    ],
)  # fmt: skip
def test_what_is_not_answered_is_named(tws: ScriptedTws, kind: type, phase: str) -> None:
    """Never an empty account: an unanswered question for positions is not "flat"."""
    tws.on(kind, None)
    assert fails(tws.broker(connect_timeout=SHORT)).phase == phase


def drips(count: int, pause: float) -> Callable[[Client, ReqExecutions], None]:
    """Answers with so many executions, one after each pause."""

    def answer(client: Client, message: ReqExecutions) -> None:
        def say(number: int) -> None:
            if number == count:
                client.send(ExecutionDataEnd(message.req_id))
                return
            client.execution(900 + number, f"{number:04}.01.01", 1, "120.5", message.req_id)
            asyncio.get_running_loop().call_later(pause, say, number + 1)

        say(0)

    return answer


def test_a_day_of_many_executions_takes_longer_than_silence_may(tws: ScriptedTws) -> None:
    """They are waited for as long as they come."""
    tws.on(ReqExecutions, drips(8, 0.25))
    broker = tws.broker(connect_timeout=SHORT)
    broker.connect()
    assert len(broker.fills()) == 8
    broker.synchronise()
    broker.disconnect()


def test_executions_that_never_end_are_named(tws: ScriptedTws) -> None:
    tws.on(ReqExecutions, drips(10_000, 0.05))
    error = fails(tws.broker(connect_timeout=0.6))
    assert error.phase == "executions"
    assert "has not come to an end with the question for executions" in error.cause


def test_executions_that_stop_coming_are_named(tws: ScriptedTws) -> None:
    def answer(client: Client, message: ReqExecutions) -> None:
        client.execution(900, "0001.01.01", 1, "120.5", message.req_id)

    tws.on(ReqExecutions, answer)
    assert fails(tws.broker(connect_timeout=SHORT)).phase == "executions"


def test_a_connection_that_ends_while_synchronising(tws: ScriptedTws) -> None:
    tws.on(ReqPositions, lambda client, _: client.reset())
    fails(tws.broker())


def test_after_a_failure_it_can_be_tried_again(tws: ScriptedTws) -> None:
    broker = tws.broker(connect_timeout=SHORT)
    tws.on(ReqPositions, None)
    fails(broker)
    tws.answers[ReqPositions] = ScriptedTws().answers[ReqPositions]
    broker.connect()
    assert broker.positions() == ()
    broker.disconnect()


# --- whose account --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accounts", "settings", "expected"),
    [
        (["DUSIM01"], {}, Mode.SIMULATED),
        (["DU0000001"], {}, Mode.PAPER),
        (["DU0000001", "DU0000002"], {"account_id": "DU0000002"}, Mode.PAPER),
        (["U0000001"], {"account_type": "live", "allow_live": "U0000001"}, Mode.LIVE),
        (["U0000001"], {}, LiveTradingRefusedError),
        (["U0000001"], {"account_type": "live"}, LiveTradingRefusedError),
        (["U0000001"], {"account_type": "live", "allow_live": "U0000002"}, LiveTradingRefusedError),
        (["U0000001"], {"allow_live": "U0000001"}, LiveTradingRefusedError),
        (["DU0000001"], {"account_type": "live", "allow_live": "DU0000001"}, LiveTradingRefusedError),
        (["DUSIM01"], {"account_type": "live", "allow_live": "U0000001"}, LiveTradingRefusedError),
        (["DU0000001", "DU0000002"], {}, ConfigurationError),
        (["DU0000001"], {"account_id": "DU0000009"}, ConfigurationError),
    ],
)
def test_the_account_decides_the_mode_and_live_needs_three_facts(
    tws: ScriptedTws, accounts: list[str], settings: dict[str, Any], expected: Mode | type[Exception]
) -> None:
    tws.accounts = accounts
    broker = tws.broker(**settings)
    if isinstance(expected, Mode):
        broker.connect()
        assert broker.mode is expected
        assert broker.account_id == settings.get("account_id", accounts[0])
        broker.disconnect()
    else:
        with pytest.raises(expected) as caught:
            broker.connect()
        assert not any(account in str(caught.value) for account in accounts if account != "DUSIM01")
        assert not broker.is_connected
    assert tws.asked(PlaceOrder) == []


def test_the_account_stays_the_same_for_the_session(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.say(lambda client: client.reset())
    wait_until(lambda: not broker.is_connected)
    tws.accounts = ["DUSIM02"]
    with pytest.raises(ConfigurationError, match="another account"):
        broker.connect()
    assert broker.account_id == "DUSIM01"


# --- read-only ------------------------------------------------------------------------------------------------------


def test_a_read_only_api_is_recognised(tws: ScriptedTws, caplog: pytest.LogCaptureFixture) -> None:
    """It does not answer the questions for orders; everything else works, and orders are refused unsent."""
    text = "Error validating request.-'bO' : cause - The API interface is currently in Read-Only mode."
    tws.on(ReqOpenOrders, lambda client, _: client.error(-1, 321, text))
    tws.on(ReqCompletedOrders, None)
    broker = tws.broker()
    since = monotonic()
    broker.connect()
    assert monotonic() - since < PATIENCE / 2
    assert "Read-Only API" in caplog.text
    assert "Read-Only API" in (broker.health().error or "")
    assert broker.positions() == ()
    with pytest.raises(OrderRefusedError, match="untick"):
        broker.place_order(Order(Contract("NVDA"), Action.BUY, 1))  # type: ignore[arg-type]  # an int will do
    assert tws.asked(PlaceOrder) == []
    broker.disconnect()


def test_our_own_read_only_setting_asks_for_no_orders(tws: ScriptedTws) -> None:
    broker = tws.broker(read_only=True)
    broker.connect()
    with pytest.raises(OrderRefusedError, match="IBKR_READ_ONLY"):
        broker.place_order(Order(Contract("NVDA"), Action.BUY, 1))  # type: ignore[arg-type]  # an int will do
    assert tws.asked(PlaceOrder) == tws.asked(ReqOpenOrders) == []
    broker.disconnect()


# --- losing it ------------------------------------------------------------------------------------------------------


def test_a_lost_connection_is_told_and_can_be_made_again(tws: ScriptedTws, broker: TwsBroker) -> None:
    """Quotes are subscribed to anew, streams go on, and nothing is known in between."""
    stream = broker.events(Contract("NVDA"))
    wait_until(lambda: len(tws.asked(ReqMktData)) == 1)
    tws.say(lambda client: client.reset())
    event = stream.next(PATIENCE)
    assert isinstance(event, ConnectionChanged)
    assert not event.connected
    assert event.mode is Mode.SIMULATED
    assert not broker.is_connected
    assert broker.health().mode is Mode.DISCONNECTED
    with pytest.raises(NotConnectedError):
        broker.positions()
    broker.connect()
    event = stream.next(PATIENCE)
    assert isinstance(event, ConnectionChanged)
    assert event.connected
    wait_until(lambda: len(tws.asked(ReqMktData)) == 2)
    assert broker.health().reconnects == 1


def test_without_its_link_to_ib_nothing_is_sent(tws: ScriptedTws, broker: TwsBroker) -> None:
    """1100, and 1102 after it; reading goes on."""
    stream = broker.events()
    tws.say(lambda client: client.error(-1, 1100, "Connectivity between IB and TWS has been lost."))
    wait_until(lambda: not broker.is_connected)
    with pytest.raises(NotConnectedError, match="1100"):
        broker.place_order(Order(Contract("NVDA"), Action.BUY, 1))  # type: ignore[arg-type]  # an int will do
    assert broker.positions() == ()
    assert "1100" in (broker.health().error or "")
    assert tws.asked(PlaceOrder) == []
    looks = len(tws.asked(ReqExecutions))
    tws.say(lambda client: client.error(-1, 1102, "Connectivity has been restored - data maintained."))
    wait_until(lambda: broker.is_connected)
    assert len(tws.asked(ReqExecutions)) == looks + 1, "first look what has happened"
    changes = list[bool]()
    while len(changes) < 2:
        event = stream.next(PATIENCE)
        assert event is not None
        if isinstance(event, ConnectionChanged):
            changes.append(event.connected)
    assert changes == [False, True]


def test_data_that_were_lost_are_subscribed_to_anew_once(tws: ScriptedTws, broker: TwsBroker) -> None:
    broker.events(Contract("NVDA"))
    for code in (1100, 1101):
        tws.say(lambda client, code=code: client.error(-1, code, "Connectivity"))  # type: ignore[misc]
    wait_until(lambda: broker.is_connected and len(tws.asked(ReqMktData)) > 1)  # once TWS's lists are read
    assert len(tws.asked(ReqMktData)) == 2


def test_the_library_can_be_used_on_its_own_thread(tws: ScriptedTws, broker: TwsBroker) -> None:
    """Whatever it returns comes back; what can be awaited is."""
    name = broker.tws(lambda ib: (threading.current_thread().name, ib.isConnected()))
    assert name == ("tws", True)
    moment = broker.tws(lambda ib: ib.reqCurrentTimeAsync())
    assert moment.timestamp() == 1
    with pytest.raises(ZeroDivisionError):
        broker.tws(lambda _: 1 / 0)


def test_calls_from_the_connections_own_thread_are_refused_not_hung(broker: TwsBroker) -> None:
    def inside(_: object) -> object:
        return broker.qualify(Contract("MSFT"))

    with pytest.raises(NotConnectedError, match="wait for itself"):
        broker.tws(inside)


def test_several_who_ask_for_the_lists_at_once_are_all_answered() -> None:
    """The library takes one such question at a time: a second one asked meanwhile would leave the first without end."""
    with ScriptedTws() as tws:
        broker = tws.broker()
        broker.connect()
        since = monotonic()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: broker.synchronise(), range(8)))
        assert monotonic() - since < PATIENCE / 2
        broker.disconnect()
