"""When the simulator may stand in, and what is said when it does (decision D8)."""

import io
import logging
import socket
import sys
from pathlib import Path
from time import monotonic

import pytest

from src.brokers import handshake
from src.brokers.findings import Outcome
from src.brokers.opening import NoBrokerError, Play, open_broker
from src.domain.errors import ConfigurationError
from src.domain.market import Mode
from src.settings import Settings
from tests.listeners import Handler, closing, http_server, listening, resetting, saying, silent, tws

Address = tuple[str, int]
#: What nobody has to wait for ends far sooner, on a busy machine too.
PATIENCE = 20.0


class Terminal(io.StringIO):
    """A terminal with a person at it, who has typed the answer already."""

    def isatty(self) -> bool:
        return True


def settings_for(address: Address, state_dir: Path, **fields: object) -> Settings:
    host, port = address
    return Settings(host=host, port=port, state_dir=state_dir, **fields)  # type: ignore[arg-type]


def sit_at_terminal(answer: str, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


def test_without_tws_the_simulator_stands_in_with_one_warning(
    quiet_address: Address, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line: what was tried, that prices are invented, the account, and how to find out why; nobody waits."""
    begun = monotonic()
    opening = open_broker(settings_for(quiet_address, tmp_path, connect_timeout=PATIENCE), Play())
    assert monotonic() - begun < PATIENCE / 2
    assert opening.broker.is_connected
    assert opening.broker.mode is Mode.SIMULATED
    assert opening.fallback_reason == "not_listening"
    first = opening.attempts[0]
    assert (first.host, first.port, first.outcome) == (*quiet_address, Outcome.NOT_LISTENING)
    [record] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    host, port = quiet_address
    for part in (f"{host}:{port}", "invented", opening.broker.account_id, "python -m src doctor"):
        assert part in record.getMessage()
    assert opening.broker.account_id.startswith("SIM")
    opening.broker.disconnect()


@pytest.mark.parametrize(
    ("handler", "wait", "reason", "setting"),
    [
        (resetting, PATIENCE, "closed_after_accept", "Trusted IPs"),
        (closing, PATIENCE, "closed_after_accept", "Trusted IPs"),
        (silent, 0.4, "silent", "TWS's screen"),
        (saying(b"SSH-2.0\r\n"), PATIENCE, "not_tws", "IBKR_PORT"),
    ],
)
def test_somebody_who_does_not_let_us_in_is_simulated_and_the_setting_to_change_is_named(
    handler: Handler, wait: float, reason: str, setting: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last warning says both; silence has the whole wait before it."""
    begun = monotonic()
    with listening(handler) as server:
        opening = open_broker(settings_for(server.address, tmp_path, connect_timeout=wait), Play())
    assert monotonic() - begun < PATIENCE / 2
    assert (opening.broker.mode, opening.fallback_reason) == (Mode.SIMULATED, reason)
    warning = [each for each in caplog.records if each.levelno >= logging.WARNING][-1].getMessage()
    assert f"127.0.0.1:{server.address[1]}" in warning
    assert setting in warning
    assert "invented" in warning
    opening.broker.disconnect()


@pytest.mark.parametrize("fallback", ["auto", "ask", "never"])
def test_a_stale_address_is_an_error_that_says_where_tws_answers(
    fallback: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever set TWS up means to trade on it: nothing is simulated, and nobody is asked to."""
    sit_at_terminal("y\n", monkeypatch)
    with listening(tws()) as server:
        settings = settings_for(("127.0.0.2", server.address[1]), tmp_path, fallback=fallback)
        with pytest.raises(NoBrokerError) as caught:
            open_broker(settings, Play())
    message = str(caught.value)
    assert f"127.0.0.2:{server.address[1]} (nothing listens" in message
    assert f"TWS answers at 127.0.0.1:{server.address[1]}" in message
    assert "IBKR_HOST_IP=127.0.0.1" in message
    assert [each.outcome for each in caught.value.attempts][:2] == [Outcome.NOT_LISTENING, Outcome.OK]
    assert not caplog.records


def test_a_tws_that_is_too_old_is_an_error_and_not_simulated(tmp_path: Path) -> None:
    """Whatever the policy says."""
    with listening(tws(150)) as server, pytest.raises(NoBrokerError, match=r"version 150.*[Nn]othing is simulated"):
        open_broker(settings_for(server.address, tmp_path), Play())


def test_the_wait_for_a_silent_tws_is_the_connect_timeout(tmp_path: Path) -> None:
    """`IBKR_CONNECT_TIMEOUT`, and no second one."""
    begun = monotonic()
    with listening(silent) as server:
        with pytest.raises(NoBrokerError):
            open_broker(settings_for(server.address, tmp_path, connect_timeout=0.8, fallback="never"), Play())
        assert server.connections == 1
    assert 0.5 <= monotonic() - begun < PATIENCE / 2


def test_a_web_server_is_no_tws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named as such, and the simulator stands in."""
    monkeypatch.setattr(handshake, "_LAST_SECONDS", PATIENCE)
    monkeypatch.setattr(handshake, "_LAST_PART", 0.99)
    with http_server() as address:
        opening = open_broker(settings_for(address, tmp_path, connect_timeout=PATIENCE), Play())
    assert opening.fallback_reason == "not_tws"
    opening.broker.disconnect()


def test_the_simulator_by_name_asks_nobody_and_warns_of_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing connects to the address that listens, and the log stays empty."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = settings_for(server.getsockname(), tmp_path, backend="simulated")
        opening = open_broker(settings, Play())
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert (opening.attempts, opening.fallback_reason) == ((), None)
    assert not caplog.records
    opening.broker.disconnect()


def test_the_simulator_by_name_is_no_live_trading(quiet_address: Address, tmp_path: Path) -> None:
    """Who asks for the simulator gets it, whatever the account type says."""
    settings = settings_for(quiet_address, tmp_path, backend="simulated", account_type="live")
    opening = open_broker(settings, Play())
    assert opening.broker.mode is Mode.SIMULATED
    opening.broker.disconnect()


@pytest.mark.parametrize("fallback", ["auto", "ask", "never"])
def test_real_money_is_never_simulated_instead(quiet_address: Address, tmp_path: Path, fallback: str) -> None:
    """Whatever the policy says."""
    settings = settings_for(quiet_address, tmp_path, account_type="live", fallback=fallback)
    with pytest.raises(NoBrokerError, match=r"nothing listens.*never simulated"):
        open_broker(settings, Play())


def test_never_means_never(quiet_address: Address, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The error carries what was tried; nothing is simulated, nothing is warned of."""
    with pytest.raises(NoBrokerError, match="IBKR_FALLBACK=never") as caught:
        open_broker(settings_for(quiet_address, tmp_path, fallback="never"), Play())
    first = caught.value.attempts[0]
    assert (first.host, first.port, first.outcome) == (*quiet_address, Outcome.NOT_LISTENING)
    assert not caplog.records


def test_asking_without_a_terminal_means_never(
    quiet_address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service has nobody to ask: a `y` from a pipe is nobody's word."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(NoBrokerError, match="nobody agreed"):
        open_broker(settings_for(quiet_address, tmp_path, fallback="ask"), Play())


def test_asking_without_any_standard_input_means_never(
    quiet_address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program without a console has no standard input at all."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(NoBrokerError, match="nobody agreed"):
        open_broker(settings_for(quiet_address, tmp_path, fallback="ask"), Play())


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "no\n", "maybe\n", "YES PLEASE\n"])
def test_only_yes_is_yes(answer: str, quiet_address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Return alone, and the end of input, mean no."""
    sit_at_terminal(answer, monkeypatch)
    with pytest.raises(NoBrokerError, match="nobody agreed"):
        open_broker(settings_for(quiet_address, tmp_path, fallback="ask"), Play())


@pytest.mark.parametrize("answer", ["y\n", "Yes\n"])
def test_a_person_may_agree(
    answer: str, quiet_address: Address, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question says why and what for, and is not put on standard output."""
    screen = sit_at_terminal(answer, monkeypatch)
    opening = open_broker(settings_for(quiet_address, tmp_path, fallback="ask"), Play())
    assert opening.fallback_reason == "not_listening"
    assert "invented prices" in screen.getvalue()
    opening.broker.disconnect()


def test_a_public_address_is_a_wrong_setting(tmp_path: Path) -> None:
    """TWS speaks in clear text: it is named in IBKR_ALLOWED_HOSTS, or not talked to."""
    with pytest.raises(ConfigurationError, match="IBKR_ALLOWED_HOSTS"):
        open_broker(settings_for(("8.8.8.8", 7497), tmp_path), Play())
