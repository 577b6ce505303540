"""Every command of the README over `python -m src serve-tws`, as a person runs them: a real connection, no money."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Run
from tests.wire.test_clients import python_of

CHECK = str(ROOT / "src" / "brokers" / "ib_gateway.py")
DEMO = str(ROOT / "simple_ibkr_paper_trading.py")
TRADER = str(ROOT / "live_trader.py")
#: A strategy whose orders a test can count: in and out at every bar.
STRATEGY = """
from src.domain.orders import Action, Order

class InAndOut:
    warm_up = 3
    def on_bar(self, bar, portfolio):
        if portfolio.is_working(bar.contract):
            return []
        held = portfolio.position(bar.contract)
        return [Order(bar.contract, Action.SELL if held else Action.BUY, abs(held) or 7)]
    def explain(self):
        return "in and out"
"""
#: Document 004, "Basic Connection Test" and "Paper Trading Example", as written there.
BASIC_CONNECTION_TEST = """
from src.brokers.ib_gateway import IBGatewayClient

# Create client
client = IBGatewayClient()

# Connect
if client.connect():
    print("✅ Connected to IBKR")

    # Get account info
    account = client.get_account_info()
    print(f"Account: {account['account_id']}")
    print(f"Buying Power: ${account['buying_power']:,.2f}")

    # Get current price
    nvda_price = client.get_current_price('NVDA')
    print(f"NVDA Price: ${nvda_price:.2f}")

    # Disconnect
    client.disconnect()
"""
PAPER_TRADING_EXAMPLE = """
# Place a small paper trade
client = IBGatewayClient()
client.connect()

# Buy 10 shares of NVDA
order = client.place_market_order('NVDA', 10, 'BUY')
print(f"Order placed: {order['order_id']}")
print(f"Status: {order['status']}")

# Check positions
positions = client.get_positions()
print(f"NVDA Position: {positions['NVDA']['position']} shares")
"""
IMPORT = "from src.brokers.ib_gateway import IBGatewayClient\n"


@contextmanager
def gateway(environment: dict[str, str], *arguments: str) -> Iterator[int]:
    """`serve-tws` as a process of its own; its port."""
    command = [sys.executable, "-m", "src", "serve-tws", "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.kill()


@pytest.fixture
def on_gateway(environment: dict[str, str]) -> Iterator[str]:
    """The port of a gateway at the market's own pace; the commands of the test look there."""
    with gateway(environment) as port:
        environment["IBKR_PORT"] = str(port)
        yield str(port)


@pytest.fixture
def fast_gateway(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """A gateway whose market runs a hundred times as fast, and a strategy beside the command."""
    (tmp_path / "mine.py").write_text(STRATEGY)
    environment["PYTHONPATH"] = str(tmp_path)
    with gateway(environment, "--speed", "100", "--preset", "ideal") as port:
        environment["IBKR_PORT"] = str(port)
        yield str(port)


def answer(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    """The object on standard output."""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_document_004_s_examples_run_as_written(run: Run, on_gateway: str) -> None:
    """Nothing is warned of: this is a connection. The second example never disconnects, and ends all the same."""
    done = run("-c", BASIC_CONNECTION_TEST, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    connected, account, power, price = done.stdout.splitlines()
    assert (connected, account) == ("✅ Connected to IBKR", "Account: DUSIM01")
    assert power == "Buying Power: $400,000.00"
    assert float(price.removeprefix("NVDA Price: $")) > 0

    done = run("-c", IMPORT + PAPER_TRADING_EXAMPLE, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    placed, status, position = done.stdout.splitlines()
    assert int(placed.removeprefix("Order placed: ")) > 0
    assert (status, position) == ("Status: Filled", "NVDA Position: 10 shares")

    result = answer(run(CHECK, "--test", "positions", "--json", IBKR_PORT=on_gateway))["result"]
    assert result["NVDA"]["position"] == 10


def test_the_same_with_ib_async_installed_instead(environment: dict[str, str], on_gateway: str) -> None:
    """Document 004's examples, a check, and a session."""
    python = python_of(".venv-ib_async")
    environment["IBKR_PORT"] = on_gateway

    def run_there(*arguments: str) -> str:
        done = subprocess.run(
            [python, *arguments],
            cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=True,
        )  # fmt: skip
        assert "WARNING" not in done.stderr
        return done.stdout

    assert "✅ Connected to IBKR\nAccount: DUSIM01\n" in run_there("-c", BASIC_CONNECTION_TEST)
    assert "NVDA Position: 10 shares" in run_there("-c", IMPORT + PAPER_TRADING_EXAMPLE)
    assert json.loads(run_there(CHECK, "--test", "health", "--json"))["result"]["library"].startswith("ib_async 2")
    assert "on a paper gateway" in run_there(TRADER, "--duration", "0.03", "--require", "tws")


def test_every_check_passes_and_tws_may_be_required(run: Run, on_gateway: str) -> None:
    """The mode is the account's; the words say that it is a paper gateway, and not a simulator in this process."""
    for test in ("connect", "account", "positions", "price", "order", "health"):
        done = run(CHECK, "--test", test, "--require", "tws", "--json")
        report = answer(done)
        assert (done.returncode, done.stderr) == (0, "")
        assert (report["passed"], report["mode"], report["error"], report["exit_code"]) == (True, "simulated", None, 0)
    first, *_ = run(CHECK, "--test", "account").stdout.splitlines()
    assert first == f"✅ account: SIMULATED (on the paper gateway at 127.0.0.1:{on_gateway}: no money, no market)"


def test_the_connection_check_tells_what_it_found(run: Run, on_gateway: str) -> None:
    """The address, the library, no fallback."""
    result = answer(run(CHECK, "--test", "connect", "--json"))["result"]
    assert (result["account_id"], result["host"], result["port"]) == ("DUSIM01", "127.0.0.1", int(on_gateway))
    assert (result["client_id"], result["fallback_reason"]) == (101, None)
    assert [each["outcome"] for each in result["attempts"]] == ["ok"]
    text = run(CHECK, "--test", "connect").stdout
    assert f"TWS answers at 127.0.0.1:{on_gateway}, ib_" in text


def test_the_demo_trades_there(run: Run, on_gateway: str) -> None:
    """And knows at the second time what it holds: the gateway keeps the account."""
    first, second = run(DEMO, "--backend", "tws"), run(DEMO, "--backend", "tws")
    for done in (first, second):
        assert (done.returncode, done.stderr) == (0, "")
        assert f"✅ Connected to IBKR: SIMULATED (on the paper gateway at 127.0.0.1:{on_gateway}" in done.stdout
        assert "💰 Account: DUSIM01 (Simulated)" in done.stdout
    assert "🟢 BUY 5 NVDA @ $" in first.stdout
    assert "🔴 SELL 5 NVDA @ $" in second.stdout


def test_a_session_goes_on_when_the_gateway_is_killed_and_started_anew(
    environment: dict[str, str], run: Run, tmp_path: Path
) -> None:
    """The new gateway knows nothing of the old one's orders, and what it executes is not taken for theirs."""
    (tmp_path / "mine.py").write_text(STRATEGY)
    environment |= {"PYTHONPATH": str(tmp_path), "IBKR_RECONNECT_DELAY": "0.1"}
    rules = ("--speed", "100", "--preset", "ideal")
    command = [sys.executable, TRADER, "--symbols", "NVDA", "--strategy", "mine:InAndOut", "--require", "tws"]
    with gateway(environment, *rules) as port:
        environment["IBKR_PORT"] = str(port)
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, encoding="utf-8")
        assert process.stderr is not None
        said = _until("filled: SELL 7 NVDA", process.stderr)
    with process, gateway(environment, *rules, "--port", str(port)):
        for action in ("BUY", "SELL"):
            said += _until(f"filled: {action} 7 NVDA", process.stderr)
        process.send_signal(signal.SIGTERM)
        said += process.communicate(timeout=60)[1]
        assert (process.returncode, "Traceback" in said, said.count("the connection is back")) == (143, False, 1)
    orders = json.loads(run("-m", "src", "orders", "--json", cwd=ROOT).stdout)
    assert {each["state"] for each in orders} == {"FILLED"}


def _until(words: str, lines: Iterable[str]) -> str:
    """Read up to the line that has these words."""
    said = ""
    for line in lines:
        said += line
        if words in line:
            return said
    raise AssertionError(said)


@pytest.mark.usefixtures("fast_gateway")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_session_trades_there_and_ends_in_good_order(
    environment: dict[str, str], run: Run, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """History warms the strategy up, bars of a minute arrive, orders fill; at a signal nothing of it stays."""
    command = [sys.executable, TRADER, "--strategy", "mine:InAndOut", "--on-exit", "flatten", "--json", "out.json"]
    said: list[str] = []
    with subprocess.Popen(
        [*command, "--require", "tws"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            if sum("filled: " in each for each in said) == 6:
                break
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    logged = "".join(said) + err
    assert (process.returncode, "Traceback" in logged, "WARNING" in logged) == (code, False, False)
    assert "missing" not in logged  # of history
    assert "Fills are simulated, on a paper gateway, whose prices may be invented." in out
    assert "Still held" not in out
    summary = json.loads((tmp_path / "out.json").read_text())
    assert (summary["mode"], summary["symbols"]) == ("simulated", ["NVDA", "MSFT"])
    assert summary["bars"] >= 6
    assert summary["orders"] == summary["fills"] >= 6
    assert summary["commissions"] > 0
    positions = answer(run(CHECK, "--test", "positions", "--json"))["result"]
    assert (positions["NVDA"]["position"], positions["MSFT"]["position"]) == (0, 0)
    assert answer(run(CHECK, "--test", "health", "--json"))["result"]["open_orders"] == 0


@pytest.mark.usefixtures("on_gateway")
def test_a_session_lasts_as_long_as_it_was_told_to(run: Run) -> None:
    """Two seconds here, and no bar of a minute in them. What was sold before is not told as held."""
    for action in ("buy", "sell"):
        assert run(CHECK, "--test", "order", "--action", action).returncode == 0
    done = run(TRADER, "--duration", "0.03", "--require", "tws")
    assert (done.returncode, "WARNING" in done.stderr) == (0, False)
    assert "were in the account before" not in done.stderr
    assert "Session summary" in done.stdout


@pytest.mark.usefixtures("on_gateway")
def test_a_session_keeps_to_the_gateway_s_speed(run: Run) -> None:
    """`--speed` is the simulator's: said in one line, and nothing is traded."""
    done = run(TRADER, "--speed", "10", "--quiet")
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert "--speed: TWS's market runs at its own speed" in line
