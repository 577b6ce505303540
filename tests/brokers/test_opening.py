"""When the simulator may stand in, and what is said when it does (decision D8)."""

import io
import logging
import socket
import sys
from pathlib import Path
from time import monotonic

import pytest

from src.brokers.findings import Finding, Outcome
from src.brokers.opening import NO_TWS_BACKEND, NoBrokerError, Play, open_broker
from src.domain.errors import ConfigurationError, LiveTradingRefusedError
from src.domain.market import Mode
from src.settings import Settings

Address = tuple[str, int]


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
    """One line: what was tried, that prices are invented, the account, and how to find out why; in two seconds."""
    begun = monotonic()
    opening = open_broker(settings_for(quiet_address, tmp_path), Play())
    assert monotonic() - begun < 2
    assert opening.broker.is_connected
    assert opening.broker.mode is Mode.SIMULATED
    assert opening.fallback_reason == "not_listening"
    assert opening.attempts == (Finding(*quiet_address, Outcome.NOT_LISTENING),)
    [record] = [each for each in caplog.records if each.levelno >= logging.WARNING]
    host, port = quiet_address
    for part in (f"{host}:{port}", "invented", opening.broker.account_id, "python test_ibkr_connection.py"):
        assert part in record.getMessage()
    assert opening.broker.account_id.startswith("SIM")
    opening.broker.disconnect()


def test_something_that_answers_is_named_rather_than_called_missing(
    listening_address: Address, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """TWS may well be there: it is this version that cannot talk to it."""
    opening = open_broker(settings_for(listening_address, tmp_path), Play())
    host, port = listening_address
    assert opening.fallback_reason == NO_TWS_BACKEND
    assert f"answers at {host}:{port}, but this version has no TWS backend yet" in caplog.text
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


def test_tws_by_name_is_refused_in_words(quiet_address: Address, tmp_path: Path) -> None:
    """There is no TWS backend yet, and the message says what to use instead."""
    with pytest.raises(ConfigurationError, match=r"not part of this version yet.*auto or simulated"):
        open_broker(settings_for(quiet_address, tmp_path, backend="tws"), Play())


@pytest.mark.parametrize("fallback", ["auto", "ask", "never"])
def test_real_money_is_never_simulated_instead(quiet_address: Address, tmp_path: Path, fallback: str) -> None:
    """Whatever the policy says."""
    settings = settings_for(quiet_address, tmp_path, account_type="live", fallback=fallback)
    with pytest.raises(LiveTradingRefusedError, match="never simulated"):
        open_broker(settings, Play())


def test_never_means_never(quiet_address: Address, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The error carries what was tried; nothing is simulated, nothing is warned of."""
    with pytest.raises(NoBrokerError, match="IBKR_FALLBACK=never") as caught:
        open_broker(settings_for(quiet_address, tmp_path, fallback="never"), Play())
    assert caught.value.attempts == (Finding(*quiet_address, Outcome.NOT_LISTENING),)
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
