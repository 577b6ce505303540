"""`python -m src kill` and `resume`: beside a trader that answers, one that hangs, one that is gone."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.orders import AccountId, OrderStatus
from src.gateways.tws_server import PaperGateway
from src.runtime.market import MarketRules, seeded_market
from src.runtime.worker import wait_until

ROOT = Path(__file__).parents[2]
_TRADER = """
import sys
from src.brokers.ib_gateway import IBGatewayClient
client = IBGatewayClient()
assert client.connect()
client.place_market_order("NVDA", 5, "BUY")
price = round(client.get_current_price("NVDA") * 0.5, 2)
print(client.place_limit_order("NVDA", 3, price, "BUY")["status"], flush=True)
sys.stdin.read()  # until it is killed
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are stopped by signals here")


@pytest.fixture
def gateway() -> Iterator[PaperGateway]:
    """A paper gateway that answers at once."""
    rules = MarketRules(preset="ideal", hours="always", seed=3)
    with PaperGateway(seeded_market(rules, ["NVDA"], {AccountId("DUSIM01"): Decimal(10**6)})) as found:
        yield found


@pytest.fixture
def surroundings(gateway: PaperGateway, tmp_path: Path) -> dict[str, str]:
    """The environment of a person whose TWS is that gateway."""
    own = {"IBKR_HOST_IP": "127.0.0.1", "IBKR_PORT": str(gateway.port), "IBKR_STATE_DIR": str(tmp_path)}
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **own}


@pytest.fixture
def trader(surroundings: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A trader with a position and a working order."""
    process = subprocess.Popen(
        [sys.executable, "-c", _TRADER], cwd=ROOT, env=surroundings, text=True, stdin=-1, stdout=-1
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() in ("Submitted", "PreSubmitted")
    yield process
    process.kill()
    process.communicate()


def run(surroundings: dict[str, str], *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """A command's exit code and what it said."""
    command = [sys.executable, "-m", "src", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=surroundings, text=True, capture_output=True, check=False, input=typed, timeout=120
    )


def working(gateway: PaperGateway) -> int:
    """How many orders work at the gateway."""
    return sum(1 for order in gateway.truth().orders if not OrderStatus(order.status).is_done)


def test_a_trader_that_runs_cancels_its_orders_and_says_so(
    trader: "subprocess.Popen[str]", gateway: PaperGateway, surroundings: dict[str, str]
) -> None:
    assert working(gateway) == 1
    done = run(surroundings, "kill")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"process {trader.pid}, has heard: none of its orders works any more" in done.stdout
    assert working(gateway) == 0
    assert gateway.truth().positions == {("DUSIM01", "NVDA"): 5}
    resumed = run(surroundings, "resume")
    assert resumed.returncode == 0
    assert "cleared: KILL: python -m src kill" in resumed.stdout


def test_flattening_is_done_when_it_is_asked_for(
    trader: "subprocess.Popen[str]", gateway: PaperGateway, surroundings: dict[str, str]
) -> None:
    assert run(surroundings, "kill", "--flatten").returncode == 0
    assert wait_until(lambda: not gateway.truth().positions, 60)


def test_one_that_hangs_is_named_and_one_that_is_gone_is_replaced(
    trader: "subprocess.Popen[str]", gateway: PaperGateway, surroundings: dict[str, str]
) -> None:
    trader.send_signal(signal.SIGSTOP)
    hangs = run(surroundings, "kill")
    assert hangs.returncode == 1
    assert f"kill -9 {trader.pid}" in hangs.stdout
    assert working(gateway) == 1
    trader.kill()
    trader.wait()
    gone = run(surroundings, "kill")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert "its orders are cancelled from here, as client 1" in gone.stdout
    assert working(gateway) == 0
    assert re.search("No trader runs", run(surroundings, "kill").stdout)


def test_everybody_s_orders_are_cancelled_only_when_it_is_typed(
    trader: "subprocess.Popen[str]", gateway: PaperGateway, surroundings: dict[str, str]
) -> None:
    trader.send_signal(signal.SIGSTOP)
    refused = run(surroundings, "kill", "--global-cancel", typed="yes\n")
    assert "Not typed" in refused.stdout
    assert working(gateway) == 1
    typed = run(surroundings, "kill", "--global-cancel", typed="CANCEL EVERYTHING\n")
    assert "All orders are cancelled." in typed.stdout
    assert working(gateway) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="this system has no SIGUSR1")
def test_the_signal_throws_the_switch_of_a_session(surroundings: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "live_trader.py", "--duration", "5", "--quiet", "--backend", "simulated"]
    with subprocess.Popen(command, cwd=ROOT, env=surroundings, text=True, stderr=-1, stdout=-1) as process:
        assert wait_until(lambda: any(tmp_path.glob("TRADER-*")), 60)
        process.send_signal(signal.SIGUSR1)
        assert wait_until((tmp_path / "KILL").exists, 60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert "The kill switch is thrown" in errors
    assert process.returncode == 130


def test_a_switch_that_cannot_be_thrown_is_said_not_to_be(surroundings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    surroundings["IBKR_STATE_DIR"] = str(tmp_path / "file")
    done = run(surroundings, "kill")
    assert (done.returncode, done.stdout) == (2, "")
    assert "NOT thrown" in done.stderr
    assert "IBKR_STATE_DIR" in done.stderr
