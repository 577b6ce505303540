"""The facade: how it connects, what it knows of account and prices, and from where it may be called."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from src.brokers.ib_gateway import IBGatewayClient
from src.brokers.opening import Play
from src.domain.errors import (
    ConfigurationError,
    ConnectionFailedError,
    NotConnectedError,
    NotSupportedError,
)
from src.domain.events import Filled, QuoteChanged
from src.settings import Settings
from tests.brokers.conftest import THURSDAY

Address = tuple[str, int]
Place = Callable[[IBGatewayClient], object]


def test_a_new_client_is_connected_to_nothing(settings: Settings) -> None:
    """The attributes of document 004, before `connect()`."""
    client = IBGatewayClient(settings=settings)
    assert (client.host, client.port, client.client_id) == ("127.0.0.1", 7497, 1)
    assert client.supported_symbols == ["NVDA", "MSFT"]
    assert (client.connected, client.simulation_mode, client.mode) == (False, False, "disconnected")


def test_arguments_are_honoured_as_given(settings: Settings) -> None:
    """Zero is a client id like any other, and stands above the settings."""
    client = IBGatewayClient("10.1.2.3", 4002, 0, settings=settings)
    assert (client.host, client.port, client.client_id) == ("10.1.2.3", 4002, 0)


def test_the_environment_is_read_when_no_settings_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of document 004; an argument stands above them."""
    monkeypatch.setenv("IBKR_HOST_IP", "172.24.32.1")
    monkeypatch.setenv("IBKR_PORT", "4002")
    monkeypatch.setenv("IBKR_CLIENT_ID", "7")
    client = IBGatewayClient(client_id=0)
    assert (client.host, client.port, client.client_id) == ("172.24.32.1", 4002, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", "abc"), ("port", -1), ("port", 70_000), ("port", True), ("client_id", -1), ("client_id", True),
     ("client_id", "one"), ("host", "no host:7497"), ("host", "")],
)  # fmt: skip
@pytest.mark.parametrize("with_settings", [True, False])
def test_a_wrong_argument_is_named(settings: Settings, name: str, value: object, with_settings: bool) -> None:
    """Whether or not settings come with it."""
    arguments: dict[str, object] = {name: value, **({"settings": settings} if with_settings else {})}
    with pytest.raises(ConfigurationError, match=name):
        IBGatewayClient(**arguments)  # type: ignore[arg-type]


def test_connect_says_true_on_the_simulator_and_the_mode_says_which(settings: Settings) -> None:
    """True in both good cases, told apart by the mode; the address stays what was asked for."""
    client = IBGatewayClient(settings=settings, play=Play(start=THURSDAY))
    assert client.connect() is True
    assert (client.connected, client.simulation_mode, client.mode) == (True, True, "simulated")
    assert (client.host, client.port) == ("127.0.0.1", 7497)
    client.disconnect()
    client.disconnect()
    assert (client.connected, client.simulation_mode, client.mode) == (False, False, "disconnected")


def test_connecting_again_keeps_the_account(client: IBGatewayClient) -> None:
    """A session is one account: leaving and coming back does not swap it."""
    client.place_market_order("NVDA", 5, "BUY")
    broker = client.broker
    assert client.connect() is True
    client.disconnect()
    assert client.connect() is True
    assert client.broker is broker
    assert client.get_positions()["NVDA"]["position"] == 5


def test_nothing_reachable_and_no_fallback_is_false_with_one_error(
    quiet_address: Address, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`health_check()` keeps the reason and what was tried."""
    host, port = quiet_address
    client = IBGatewayClient(settings=Settings(host=host, port=port, fallback="never", state_dir=tmp_path))
    assert client.connect() is False
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    health = client.health_check()
    assert health["error"] == record.getMessage()
    assert health["attempts"][0] == {"host": host, "port": port, "outcome": "not_listening"}
    assert (health["mode"], health["connected"]) == ("disconnected", False)
    with pytest.raises(NotConnectedError):
        client.get_positions()


def test_a_context_without_a_broker_is_not_entered(quiet_address: Address, tmp_path: Path) -> None:
    """The body of a `with` may rely on a connection."""
    host, port = quiet_address
    client = IBGatewayClient(settings=Settings(host=host, port=port, fallback="never", state_dir=tmp_path))
    with pytest.raises(ConnectionFailedError, match="IBKR_FALLBACK=never"):
        client.__enter__()


def test_wrong_configuration_is_raised(tmp_path: Path) -> None:
    """It is no missing connection: a person has to change something."""
    client = IBGatewayClient(settings=Settings(host="8.8.8.8", port=7497, state_dir=tmp_path))
    with pytest.raises(ConfigurationError, match="IBKR_ALLOWED_HOSTS"):
        client.connect()
    assert "IBKR_ALLOWED_HOSTS" in (client.health_check()["error"] or "")


def test_a_fallback_can_be_seen_by_a_program(quiet_address: Address, tmp_path: Path) -> None:
    """Machine-readable, beside the mode."""
    host, port = quiet_address
    with IBGatewayClient(settings=Settings(host=host, port=port, state_dir=tmp_path)) as client:
        health = client.health_check()
    assert (health["mode"], health["fallback_reason"], health["error"]) == ("simulated", "not_listening", None)


def test_health_has_its_keys_and_is_json_in_every_state(settings: Settings) -> None:
    """Before, during and after a connection."""
    keys = {
        "mode", "connected", "host", "port", "client_id", "library", "server_version", "accounts", "data_source",
        "last_message_age_seconds", "open_orders", "reconnects", "attempts", "fallback_reason", "error",
    }  # fmt: skip
    client = IBGatewayClient(client_id=0, settings=settings, play=Play(start=THURSDAY))
    states = [client.health_check()]
    client.connect()
    states.append(client.health_check())
    client.disconnect()
    states.append(client.health_check())
    for health in states:
        assert set(health) == keys
        assert json.loads(json.dumps(health, allow_nan=False)) == health
        assert health["client_id"] == 0
    assert [health["connected"] for health in states] == [False, True, False]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_account_info(),
        lambda client: client.get_positions(),
        lambda client: client.get_current_price("NVDA"),
        lambda client: client.get_quote("NVDA"),
        lambda client: client.get_bars("NVDA"),
        lambda client: client.stream("NVDA"),
        lambda client: client.is_market_open(),
        lambda client: client.place_market_order("NVDA", 5, "BUY"),
        lambda client: client.place_limit_order("NVDA", 5, 100.0, "BUY"),
        lambda client: client.place_stop_order("NVDA", 5, 100.0, "SELL"),
        lambda client: client.place_stop_limit_order("NVDA", 5, 100.0, 99.0, "SELL"),
        lambda client: client.place_bracket_order("NVDA", 5, "BUY", 200.0, 100.0),
        lambda client: client.close_position("NVDA"),
        lambda client: client.modify_order(1, 5),
        lambda client: client.wait_for_order(1, 0),
        lambda client: client.get_order(1),
        lambda client: client.get_open_orders(),
        lambda client: client.get_fills(),
        lambda client: client.cancel_order(1),
        lambda client: client.cancel_all_orders(),
        lambda client: client.tws(lambda ib: ib),
        lambda client: client.broker,
    ],
)
def test_nothing_works_without_a_connection(settings: Settings, call: Place) -> None:
    """Neither before `connect()` nor after `disconnect()`."""
    client = IBGatewayClient(settings=settings, play=Play(start=THURSDAY))
    with pytest.raises(NotConnectedError, match=r"connect\(\)"):
        call(client)
    client.connect()
    client.disconnect()
    with pytest.raises(NotConnectedError, match=r"connect\(\)"):
        call(client)


def test_there_is_no_tws_behind_the_simulator(client: IBGatewayClient) -> None:
    """`tws(fn)` runs nothing."""
    with pytest.raises(NotSupportedError, match="simulated"):
        client.tws(lambda ib: pytest.fail(f"called with {ib}"))


def test_the_account_is_numbers_with_a_mode_and_a_time(client: IBGatewayClient) -> None:
    """The keys that document 004 reads, and where they come from."""
    account = client.get_account_info()
    assert set(account) == {
        "account_id", "net_liquidation", "available_funds", "buying_power", "total_cash", "currency", "mode", "as_of",
    }  # fmt: skip
    assert account["account_id"].startswith("SIM")
    assert (account["net_liquidation"], account["mode"], account["currency"]) == (100_000.0, "simulated", "USD")
    assert datetime.fromisoformat(account["as_of"]).date() == datetime(2025, 1, 2, tzinfo=UTC).date()


def test_the_price_lies_within_the_quote(client: IBGatewayClient) -> None:
    """And says that it is invented."""
    quote = client.get_quote("MSFT")
    assert quote["source"] == "simulated"
    assert quote["bid"] is not None
    assert quote["ask"] is not None
    assert 0 < quote["bid"] <= quote["ask"]
    assert quote["age_seconds"] >= 0
    assert client.get_current_price("MSFT") == pytest.approx(quote["bid"], rel=0.01)


def test_a_symbol_may_be_written_in_any_case(client: IBGatewayClient) -> None:
    """`nvda` is NVDA, in the answer too."""
    assert client.get_quote(" nvda ")["symbol"] == "NVDA"
    assert client.place_market_order("nvda", 1, "buy")["symbol"] == "NVDA"
    assert client.get_positions()["NVDA"]["position"] == 1


def test_a_closed_market_still_has_its_last_price(on_saturday: IBGatewayClient) -> None:
    """Never 0 and never NaN: the close, at which nobody quotes."""
    assert on_saturday.is_market_open() is False
    assert on_saturday.get_current_price("NVDA") == on_saturday.get_bars("NVDA", "1m", 1)["close"][0]


def test_the_market_that_never_closes_is_open(client: IBGatewayClient) -> None:
    """Play at night, unless New York's hours are asked for."""
    assert client.is_market_open() is True


def test_bars_are_columns(client: IBGatewayClient) -> None:
    """As many as asked for, closed, oldest first."""
    bars = client.get_bars("NVDA", "5m", 3)
    assert list(bars) == ["time", "open", "high", "low", "close", "volume"]
    assert {len(column) for column in bars.values()} == {3}  # type: ignore[arg-type]
    assert bars["time"] == sorted(bars["time"])
    assert all(low <= close <= high for low, close, high in zip(bars["low"], bars["close"], bars["high"], strict=True))


@pytest.mark.parametrize(
    ("size", "count"),
    [("1 minute", 5), ("", 5), (None, 5), (5, 5), ("1m", 0), ("1m", -1), ("1m", 1.5), ("1m", None), ("1m", True)],
)
def test_bars_nobody_can_give_are_refused(client: IBGatewayClient, size: str, count: int) -> None:
    """The error lists the sizes there are."""
    with pytest.raises(ConfigurationError, match=r"1m, 5m|whole number"):
        client.get_bars("NVDA", size, count)


def test_a_stream_brings_quotes_and_the_account_s_own_fills(client: IBGatewayClient) -> None:
    """Iterate, or take one at a time; leaving the context ends it."""
    with client.stream("NVDA") as events:
        quote = events.next(timeout=60)
        assert isinstance(quote, QuoteChanged)
        assert quote.quote.contract.symbol == "NVDA"
        client.place_market_order("MSFT", 3, "BUY")
        seen = [events.next(timeout=60) for _ in range(3)]
    assert any(isinstance(event, Filled) for event in seen)
    assert events.next(timeout=60) is None


def test_a_stream_without_symbols_brings_the_supported_ones(client: IBGatewayClient) -> None:
    """Both of document 004."""
    seen: set[str] = set()
    with client.stream() as events:
        while len(seen) < 2:
            event = events.next(timeout=60)
            assert event is not None
            if isinstance(event, QuoteChanged):
                seen.add(event.quote.contract.symbol)
    assert seen == {"NVDA", "MSFT"}
