"""TWS is there: the session trades on it, or says why not; it is never simulated instead (decisions D7 to D9)."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import util
from threading import Thread
from typing import Any, TypeAlias

import pytest

from src.brokers.ib_gateway import IBGatewayClient
from src.brokers.opening import NO_LIBRARY, NoBrokerError, Opening, Play, open_broker
from src.domain.errors import (
    BrokerError,
    ClientIdInUseError,
    ConfigurationError,
    ConnectionFailedError,
    LiveTradingRefusedError,
    NotConnectedError,
    OrderRefusedError,
)
from src.domain.market import Mode
from src.domain.orders import AccountId
from src.gateways.tws_codec import (
    PlaceOrder,
    ReqAccountUpdates,
    ReqContractDetails,
    ReqExecutions,
    ReqOpenOrders,
    ReqPositions,
    StartApi,
)
from src.gateways.tws_server import PaperGateway
from src.runtime.market import MarketRules, seeded_market
from src.settings import Settings
from tests.brokers.tws.scripted import PATIENCE, ScriptedTws, wait_until

LOCAL = "127.0.0.1"
#: What comes without types.
Ib: TypeAlias = Any


def gateway_of(*accounts: str) -> PaperGateway:
    rules = MarketRules(preset="ideal", hours="always", seed=3)
    return PaperGateway(
        seeded_market(rules, ["NVDA", "MSFT"], dict.fromkeys(map(AccountId, accounts), Decimal(100_000)))
    )


@pytest.fixture
def gateway() -> Iterator[PaperGateway]:
    """A paper gateway that answers at once."""
    with gateway_of("DUSIM01") as found:
        yield found


@pytest.fixture
def tws() -> Iterator[ScriptedTws]:
    """A TWS with an empty account, that answers as a test wants."""
    with ScriptedTws() as found:
        yield found


def settings_for(port: int, **fields: Any) -> Settings:
    return Settings(host=LOCAL, port=port, **{"connect_timeout": PATIENCE, "order_timeout": PATIENCE, **fields})


@pytest.fixture
def client(gateway: PaperGateway) -> Iterator[IBGatewayClient]:
    """Connected to the paper gateway."""
    with IBGatewayClient(settings=settings_for(gateway.port)) as connected:
        yield connected


@pytest.mark.parametrize("fields", [{}, {"backend": "tws"}, {"fallback": "never"}, {"fallback": "ask"}])
def test_a_tws_that_answers_is_traded_on(
    fields: dict[str, str], gateway: PaperGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the policy says; nothing is warned of."""
    opening = open_broker(settings_for(gateway.port, **fields), Play())
    assert opening.broker.is_connected
    assert (opening.broker.account_id, opening.fallback_reason) == ("DUSIM01", None)
    assert opening.found is opening.attempts[0]
    assert opening.found.port == gateway.port
    opening.broker.disconnect()
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_health_tells_what_was_found(client: IBGatewayClient, gateway: PaperGateway) -> None:
    """`host` and `port` become it; the library and the server's version are named; all of it is JSON."""
    health = client.health_check()
    assert (client.host, client.port) == (health["host"], health["port"]) == (LOCAL, gateway.port)
    assert (health["mode"], health["connected"], client.simulation_mode) == ("simulated", True, True)
    assert health["library"] is not None
    assert health["library"].startswith(("ib_insync ", "ib_async "))
    assert health["server_version"] is not None
    assert health["server_version"] >= 157
    assert health["accounts"] == ["DUSIM01"]
    assert (health["reconnects"], health["fallback_reason"], health["error"]) == (0, None, None)
    assert health["attempts"] == [{"host": LOCAL, "port": gateway.port, "outcome": "ok"}]
    assert json.loads(json.dumps(health)) == health


def test_an_address_that_was_not_named_becomes_what_was_found(
    gateway: PaperGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that looks for TWS says afterwards where it is."""
    monkeypatch.setattr("src.brokers.discovery.PAPER_PORTS", (gateway.port,))
    with IBGatewayClient(settings=Settings()) as client:
        assert (client.host, client.port) == (LOCAL, gateway.port)


def test_the_facade_trades_there(client: IBGatewayClient) -> None:
    """An order through the facade is a position at the gateway, as another client sees it."""
    order = client.place_market_order("NVDA", 10, "BUY", wait=PATIENCE)
    assert (order["status"], order["filled"], order["mode"]) == ("Filled", 10, "simulated")
    assert client.get_positions()["NVDA"]["position"] == 10
    with IBGatewayClient(settings=settings_for(client.port, client_id=2)) as other:
        assert other.get_positions()["NVDA"]["position"] == 10


def test_it_may_be_used_inside_a_running_event_loop_and_from_any_thread(gateway: PaperGateway) -> None:
    """As in a notebook: the library has a loop of its own."""
    answers: list[Any] = []

    async def cell() -> None:
        client = IBGatewayClient(settings=settings_for(gateway.port))
        assert client.connect()
        other = Thread(target=lambda: answers.append(client.get_current_price("NVDA")))
        other.start()
        answers.append(client.place_market_order("NVDA", 1, "BUY", wait=PATIENCE)["status"])
        other.join()
        client.disconnect()

    asyncio.run(cell())
    assert "Filled" in answers
    assert any(isinstance(each, float) and each > 0 for each in answers)


def refused(settings: Settings, kind: type[BrokerError], *parts: str) -> BrokerError:
    """How opening fails, with each of `parts` in the message."""
    with pytest.raises(kind) as caught:
        open_broker(settings, Play())
    assert not isinstance(caught.value, NotConnectedError)
    for part in parts:
        assert part in str(caught.value)
    return caught.value


def test_a_client_id_in_use_is_an_error(client: IBGatewayClient) -> None:
    """And the first client stays."""
    error = refused(settings_for(client.port), NoBrokerError, "client id 1 is in use", "IBKR_CLIENT_ID", "Nothing is")
    assert isinstance(error.__cause__, ClientIdInUseError)
    assert client.connected


def test_the_facade_says_so_once_and_is_disconnected(client: IBGatewayClient, caplog: pytest.LogCaptureFixture) -> None:
    """`connect()` is False; `health_check()` keeps the error and what was tried."""
    second = IBGatewayClient(settings=settings_for(client.port))
    assert second.connect() is False
    [record] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    health = second.health_check()
    assert health["error"] == record.getMessage()
    assert health["attempts"][0]["outcome"] == "ok"
    assert (second.mode, second.connected) == ("disconnected", False)


def test_another_account_than_the_one_that_is_set_is_an_error(gateway: PaperGateway) -> None:
    refused(settings_for(gateway.port, account_id="DU7654321"), ConfigurationError, "IBKR_ACCOUNT_ID", "DUSIM01")


def test_several_accounts_and_none_named_is_an_error() -> None:
    with gateway_of("DUSIM01", "DUSIM02") as gateway:
        refused(settings_for(gateway.port), ConfigurationError, "IBKR_ACCOUNT_ID", "DUSIM01, DUSIM02")
        opening = open_broker(settings_for(gateway.port, account_id="DUSIM02"), Play())
        assert opening.broker.account_id == "DUSIM02"
        opening.broker.disconnect()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "real money"),
        ({"account_type": "live"}, "IBKR_ALLOW_LIVE"),
        ({"account_type": "live", "allow_live": "U1234568"}, "names another account now"),
        ({"account_type": "paper", "allow_live": "U1234567"}, "IBKR_ACCOUNT_TYPE=live"),
    ],
)
def test_real_money_without_three_agreeing_facts_is_refused(fields: dict[str, str], why: str) -> None:
    with gateway_of("U1234567") as gateway:
        error = refused(settings_for(gateway.port, **fields), LiveTradingRefusedError, why)
        assert "U1234567" not in str(error)


@pytest.mark.parametrize("account", ["DU1234567", "DUSIM01"])
def test_live_on_an_account_that_is_not_is_refused(account: str) -> None:
    """A `D` is a veto, whatever else agrees."""
    with gateway_of(account) as gateway:
        live = settings_for(gateway.port, account_type="live", allow_live=account)
        refused(live, LiveTradingRefusedError, "not a live account", "set IBKR_ACCOUNT_TYPE=paper, or log in")


def test_three_agreeing_facts_are_live() -> None:
    """The account is named, allowed, and the server's: the mode says so."""
    with gateway_of("U1234567") as gateway:
        live = settings_for(gateway.port, account_type="live", allow_live="U1234567")
        with IBGatewayClient(settings=live) as client:
            assert (client.mode, client.simulation_mode) == (Mode.LIVE, False)
            assert client.health_check()["accounts"] == ["U1****67"]


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (StartApi, "start"),
        (ReqPositions, "positions"),
        (ReqAccountUpdates, "account"),
        (ReqOpenOrders, "open orders"),
        (ReqExecutions, "executions"),
    ],
)
def test_a_synchronisation_that_is_not_answered_is_an_error_that_names_the_part(
    kind: type, part: str, tws: ScriptedTws
) -> None:
    tws.on(kind, None)
    error = refused(settings_for(tws.port, connect_timeout=1.0), NoBrokerError, part, "Nothing is simulated")
    assert isinstance(error, NoBrokerError)
    assert error.phase == part
    assert error.attempts


def test_a_tws_that_closes_once_it_knows_us_is_an_error(tws: ScriptedTws) -> None:
    """It has shaken hands: it is TWS, and something is to be put right there."""
    tws.on(StartApi, lambda client, _: client.reset())
    refused(settings_for(tws.port), NoBrokerError, "start", "Nothing is simulated")


@pytest.mark.parametrize("backend", ["auto", "tws"])
def test_without_a_client_library_the_reason_is_the_library(
    backend: str, gateway: PaperGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """TWS answers, nothing here can talk to it: simulated, with one warning that says both; by name an error."""
    look_up = util.find_spec
    hidden = ("ib_insync", "ib_async")
    monkeypatch.setattr(util, "find_spec", lambda name: None if name in hidden else look_up(name))
    settings = settings_for(gateway.port, backend=backend)
    if backend == "tws":
        refused(settings, NoBrokerError, "ib_insync is not installed", "IBKR_BACKEND=tws")
        return
    opening = open_broker(settings, Play())
    assert (opening.broker.mode, opening.fallback_reason, opening.found) == (Mode.SIMULATED, NO_LIBRARY, None)
    [warning] = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    for part in (f"TWS answers at {LOCAL}:{gateway.port}", "not installed", "make", "invented"):
        assert part in warning
    opening.broker.disconnect()


def test_a_library_that_is_not_there_but_asked_for_is_named(gateway: PaperGateway) -> None:
    """`IBKR_LIBRARY` names one of the two."""
    missing = "ib_async" if util.find_spec("ib_insync") else "ib_insync"
    settings = settings_for(gateway.port, library=missing, fallback="never")
    refused(settings, NoBrokerError, f"{missing} is not installed")


def test_tws_by_name_is_never_simulated(quiet_address: tuple[str, int]) -> None:
    host, port = quiet_address
    for fallback in ("auto", "ask", "never"):
        settings = Settings(host=host, port=port, backend="tws", fallback=fallback)
        refused(settings, NoBrokerError, "IBKR_BACKEND=tws forbids the simulator", "nothing listens")


def test_losing_tws_is_disconnected_and_never_the_simulator(
    gateway: PaperGateway, client: IBGatewayClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is the simulator there when one connects again in vain."""
    broker = client.broker
    gateway.stop()
    wait_until(lambda: not client.connected)
    assert (client.mode, client.simulation_mode) == ("disconnected", False)
    with pytest.raises(NotConnectedError):
        client.get_account_info()
    assert client.connect() is False
    assert (client.mode, client.connected) == ("disconnected", False)
    assert "nothing listens" in (client.health_check()["error"] or "")
    assert "SIMULATED" not in caplog.text
    client.disconnect()
    assert broker.mode is Mode.SIMULATED  # the account's; it is what `mode` was, and no longer is


def test_connecting_while_tws_has_lost_ib_says_so(tws: ScriptedTws) -> None:
    """The socket is up, and no order can be sent."""
    with IBGatewayClient(settings=settings_for(tws.port)) as client:
        tws.say(lambda served: served.error(-1, 1100, "Connectivity between IB and TWS has been lost."))
        wait_until(lambda: not client.connected)
        assert client.connect() is False
        assert "1100" in (client.health_check()["error"] or "")
        tws.say(lambda served: served.error(-1, 1102, "Connectivity between IB and TWS has been restored."))
        wait_until(lambda: client.connected)
        assert client.connect() is True
        assert client.health_check()["error"] is None


def test_a_tws_that_has_lost_ib_while_we_connect_is_not_connected(tws: ScriptedTws) -> None:
    """1100 in the midst of the synchronisation counts; once IB is back, so is the session."""
    tws.on_positions_first(1100, "Connectivity between IB and TWS has been lost.")
    client = IBGatewayClient(settings=settings_for(tws.port))
    assert client.connect() is False
    assert (client.connected, client.mode) == (False, "disconnected")
    assert "1100" in (client.health_check()["error"] or "")
    tws.say(lambda served: served.error(-1, 1102, "Connectivity between IB and TWS has been restored."))
    wait_until(lambda: client.connected)
    assert client.connect() is True
    client.disconnect()


def test_a_context_that_is_not_entered_leaves_no_connection(tws: ScriptedTws) -> None:
    """TWS had let us in."""
    tws.on_positions_first(1100, "Connectivity between IB and TWS has been lost.")
    with pytest.raises(ConnectionFailedError, match="1100"):
        IBGatewayClient(settings=settings_for(tws.port)).__enter__()
    wait_until(tws.clients[-1].transport.is_closing)


# --- the library's own object, by `tws(fn)` ---------------------------------------------------------------------------


def library() -> Ib:
    name = "ib_insync" if "ib_insync" in sys.modules else "ib_async"
    return sys.modules[name]


def test_a_function_runs_on_the_library_s_object(client: IBGatewayClient) -> None:
    """What it returns comes back, awaited when it can be."""
    assert client.tws(lambda ib: ib.managedAccounts()) == ["DUSIM01"]
    [found] = client.tws(lambda ib: ib.reqContractDetailsAsync(library().Stock("MSFT", "SMART", "USD")))
    assert found.contract.symbol == "MSFT"


def sent(ib: Ib) -> object:
    """How many messages have left."""
    return ib.client.conn.numMsgSent


def _place(ib: Ib) -> object:
    return ib.placeOrder(library().Stock("NVDA", "SMART", "USD"), library().MarketOrder("BUY", 5))


def _place_raw(ib: Ib) -> object:
    return ib.client.send(3, 77, "NVDA")


def _preview(ib: Ib) -> object:
    return ib.whatIfOrderAsync(library().Stock("NVDA", "SMART", "USD"), library().MarketOrder("BUY", 5))


def _exercise(ib: Ib) -> object:
    return ib.exerciseOptions(library().Option("NVDA", "20261218", 100, "C", "SMART"), 1, 1, "DUSIM01", 0)


@pytest.mark.parametrize("way", [_place, _place_raw, _preview, _exercise])
def test_no_order_leaves_by_that_way(way: Callable[[Ib], object], tws: ScriptedTws) -> None:
    """No limit of ours would have seen it. The client's own orders still leave."""
    with IBGatewayClient(settings=settings_for(tws.port, order_timeout=0.5)) as client:
        before = client.tws(sent)
        with pytest.raises(OrderRefusedError, match="nothing was sent"):
            client.tws(way)
        assert client.tws(sent) == before
        assert client.tws(lambda ib: ib.openTrades()) == []
        client.place_limit_order("NVDA", 1, 100.0, "BUY")
        assert len(tws.asked(PlaceOrder)) == 1
        assert tws.asked(ReqContractDetails)


def test_an_opening_tells_the_simulator_from_tws(gateway: PaperGateway) -> None:
    """The mode does not: a paper gateway's account is simulated, too."""
    there = open_broker(settings_for(gateway.port), Play())
    here: Opening = open_broker(settings_for(gateway.port, backend="simulated"), Play())
    assert there.broker.mode is here.broker.mode is Mode.SIMULATED
    assert (there.found is None, here.found is None) == (False, True)
    for each in (there, here):
        each.broker.disconnect()
