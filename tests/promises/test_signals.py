"""I22: Ctrl-C and SIGTERM in every phase of a session: its end comes in time, in order, and the journal is whole."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.orders import AccountId
from src.gateways.tws_server import PaperGateway
from src.records.journal_file import FOLDER
from src.records.journal_reading import JournalReader
from src.runtime.market import MarketRules, seeded_market
from src.runtime.worker import wait_until

ROOT = Path(__file__).parents[2]
#: Ten at rest; on a busy machine twice as long.
SHUTDOWN_SECONDS = 20.0
#: What goes wrong at the gateway, and the request after which the signal comes.
_STRATEGY = """
from src.domain.orders import Action, Order
class Buys:
    warm_up = 0
    def on_bar(self, bar, portfolio):
        return [Order(bar.contract, Action.BUY, 1)]
    def explain(self):
        return "buys"
"""
PHASES = {
    "waiting to be let in": ("- {on: startApi, action: drop}", "startApi"),
    "waiting for positions": ("- {on: reqPositions, action: drop}", "reqPositions"),
    "waiting for an acknowledgement": ("- {on: newOrder, action: drop}", "newOrder", "placeOrder"),
    "waiting for a fill's news": (
        "- {on: [execDetails, orderStatus, openOrder], action: drop}",
        "newOrder",
        "placeOrder",
    ),
    "trading": ("", "newOrder", "placeOrder"),
}
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


@pytest.fixture
def gateway() -> Iterator[PaperGateway]:
    """A paper gateway that answers at once, and whose market runs a hundred times as fast."""
    rules = MarketRules(preset="ideal", hours="always", seed=3)
    with PaperGateway(seeded_market(rules, ["NVDA"], {AccountId("DUSIM01"): Decimal(10**6)}, speed=100)) as found:
        yield found


def started(port: int, folder: Path, **variables: str) -> "subprocess.Popen[str]":
    """A session that buys once and holds."""
    (folder / "mine.py").write_text(_STRATEGY)
    own = {"IBKR_HOST_IP": "127.0.0.1", "IBKR_PORT": str(port), "IBKR_STATE_DIR": str(folder), "METRICS_PORT": "off"}
    own |= {"PYTHONPATH": str(folder), **variables}
    command = [sys.executable, "live_trader.py", "--backend", "tws", "--symbols", "NVDA", "--strategy", "mine:Buys"]
    return subprocess.Popen(
        [*command, "--duration", "30", "--quiet"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ends(process: "subprocess.Popen[str]", number: int, code: int, reached: Callable[[], bool]) -> str:
    """Send the signal once `reached`; the exit code and the time that it took are right. What was said."""
    assert wait_until(reached, 60), process.poll()
    process.send_signal(number)
    begun = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < SHUTDOWN_SECONDS
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    return errors


def journals_are_whole(folder: Path) -> None:
    for path in (folder / FOLDER).glob("*.sqlite3"):
        with JournalReader(path) as reader:
            assert reader.sessions()
            reader.facts()


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("phase", PHASES)
def test_a_session_ends_in_time_in_every_phase(
    gateway: PaperGateway, tmp_path: Path, phase: str, number: int, code: int
) -> None:
    scenario, *requests = PHASES[phase]
    if scenario:
        gateway.play(scenario)
    process = started(gateway.port, tmp_path)
    try:
        ends(process, number, code, lambda: bool(gateway.truth().named(*requests)))
    finally:
        process.kill()
        process.communicate()
    journals_are_whole(tmp_path)
    refs = [order.order_ref for order in gateway.truth().orders]
    assert len(refs) == len(set(refs))


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["SIGINT", "SIGTERM"])
def test_a_session_ends_in_time_while_nobody_shakes_hands(tmp_path: Path, number: int, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(40)
        process = started(silent.getsockname()[1], tmp_path)
        accepted, _ = silent.accept()
        with accepted:
            try:
                ends(process, number, code, lambda: True)
            finally:
                process.kill()
                process.communicate()


def test_a_second_signal_ends_it_at_once_and_the_journal_is_whole(gateway: PaperGateway, tmp_path: Path) -> None:
    gateway.play("- {on: newOrder, action: drop}")
    process = started(gateway.port, tmp_path, IBKR_ORDER_TIMEOUT="120")  # for so long it would wait for the answer
    try:
        assert wait_until(lambda: bool(gateway.truth().named("newOrder", "placeOrder")), 60)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert any("once more ends it at once" in line for line in process.stderr)  # two signals at once would be one
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert time.monotonic() - begun < SHUTDOWN_SECONDS
    assert process.returncode == 130
    journals_are_whole(tmp_path)


LOADING = {
    "a session": (["live_trader.py", "--replay", "data/sample"], "src.console.session_options"),
    "the gateway": (["-m", "src", "serve-tws", "--port", "0"], "src.gateways.tws_codec.frames"),
    "the demo": (["simple_ibkr_paper_trading.py", "--backend", "simulated"], "src.brokers.answers"),
    "the connection check": (["test_ibkr_connection.py"], "src.brokers.answers"),
    "the doctor": (["-m", "src", "doctor"], "src.brokers.doctor.report"),
}


@pytest.mark.parametrize(("command", "module"), LOADING.values(), ids=LOADING)
def test_ctrl_c_while_a_command_is_being_loaded_is_one_line(tmp_path: Path, command: list[str], module: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "IBKR_STATE_DIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", *command],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert any(line.rstrip().endswith(f" {module}") for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    # Where it strikes within a class that is being written, Python ends itself by the signal: 130 to a shell, too.
    assert process.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in errors
    assert "interrupted" in errors
