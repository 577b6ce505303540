"""What tests share: commands apart from this machine, and an address where nothing listens."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shell starts what runs in its background with Ctrl-C ignored, and so would be all that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The same examples every time, however slow the machine; `--hypothesis-profile explore` draws others.
for name, same in (("steady", True), ("explore", False)):
    settings.register_profile(name, deadline=None, derandomize=same, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

ROOT = Path(__file__).resolve().parents[1]
#: Everything that Understudy reads from an environment.
OURS = ("IBKR_", "IB_", "SIM_", "RISK_", "METRICS_", "NOTIFY_", "STRATEGY_NAME", "INITIAL_CAPITAL", "DATA_SOURCE")

#: What a command may take, on a busy machine too: one that hangs is a failure, one that is slow is not.
COMMAND_SECONDS = 120

Address = tuple[str, int]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the journal of the person who runs it, whatever it sets or leaves unset."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def quiet_address() -> Iterator[Address]:
    """An address of this machine where nothing listens, and where nothing else can while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()


@pytest.fixture
def environment(tmp_path: Path, quiet_address: Address) -> dict[str, str]:
    """An environment without this machine's settings: a state folder of its own, and a TWS that is not there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    host, port = quiet_address
    return {
        **kept,
        "PYTHONIOENCODING": "utf-8",
        "IBKR_STATE_DIR": str(tmp_path / "state"),
        "IBKR_HOST_IP": host,
        "IBKR_PORT": str(port),
        "IBKR_BACKEND": "auto",
        "IBKR_FALLBACK": "auto",
        "IBKR_ACCOUNT_TYPE": "paper",
        # A developer's own `.env` stands below the environment: what tests rely on is said here.
        "IBKR_CLIENT_ID": "1",
        "IBKR_SYMBOLS": "NVDA,MSFT",
        "INITIAL_CAPITAL": "100000",
        "SIM_SEED": "1",
        "SIM_PRESET": "realistic",
        "SIM_FEES": "fixed",
        "SIM_MARKET_HOURS": "always",
        "METRICS_PORT": "off",  # tests that want metrics name a port
    }


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run a command of Python's as a user would, from another folder unless `cwd` is given; keywords are variables."""

    def run_python(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path if cwd is None else cwd,
            env={**environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=COMMAND_SECONDS,
            check=False,
        )

    return run_python
