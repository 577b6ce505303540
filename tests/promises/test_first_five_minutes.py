"""The first five minutes of the README: TWS does not let us in, one setting is changed, and it does."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from importlib.util import find_spec

from src.brokers.ib_gateway import IBGatewayClient
from src.domain.orders import AccountId
from src.gateways.tws_server import GatewayOptions, PaperGateway
from src.runtime.market import MarketRules, seeded_market
from src.settings import Settings
from tests.conftest import ROOT, Run
from tests.listeners import listening, resetting

CHECK = str(ROOT / "test_ibkr_connection.py")
#: Another address than this machine's first one, as Windows' is under WSL.
WINDOWS = "127.0.0.2"


@contextmanager
def tws_at(host: str, port: int, account: str = "DU1234567") -> Iterator[PaperGateway]:
    """A TWS that lets us in: the paper gateway under a paper account's id."""
    rules = MarketRules(preset="realistic", hours="always", seed=1)
    market = seeded_market(rules, ["NVDA", "MSFT"], {AccountId(account): Decimal(1_000_000)})
    with PaperGateway(market, GatewayOptions(host=host, port=port, latency=0.0)) as gateway:
        yield gateway


def test_a_tws_that_lets_nobody_in_and_then_us(run: Run) -> None:
    """The candidates with a line each, what to change, 3; after the change what TWS says, and 0."""
    with listening(resetting, WINDOWS) as closed:
        port = closed.address[1]
        variables = {"IBKR_HOST_IP": WINDOWS, "IBKR_PORT": str(port)}
        before = run(CHECK, **variables)
    lines = before.stdout.splitlines()
    assert before.returncode == 3
    assert lines[0] == "🔌 IBKR WORKSTATION CONNECTION TEST"
    assert lines[1].startswith("❌ CONNECTION FAILED")
    tried = lines[lines.index("🔎 What was tried:") + 1 :][:2]
    assert tried == [
        f"   {WINDOWS}:{port} (as set): the connection is accepted, and then closed",
        f"   127.0.0.1:{port}: nothing listens: the connection was refused",
    ]
    assert any("Global Configuration > API > Settings" in line for line in lines)
    assert lines[-1].startswith("👉 In TWS")
    assert "Trusted IPs" in lines[-1]

    with tws_at(WINDOWS, port):
        after = run(CHECK, **variables)
    assert (after.returncode, after.stderr) == (0, "")
    title, success, account, nvda, msft, end = after.stdout.splitlines()
    assert (title, success) == ("🔌 IBKR WORKSTATION CONNECTION TEST", "✅ CONNECTION SUCCESSFUL! PAPER")
    assert account.startswith("✅ Account info retrieved: DU*****67, net liquidation $1,000,000.00, ")
    assert nvda.startswith("   NVDA: $")
    assert nvda.endswith(" (delayed)")
    assert msft.startswith("   MSFT: $")
    assert end == "✅ Market data test completed. Nothing was ordered."
    assert "DU1234567" not in after.stdout


def test_what_else_may_be_in_the_way_is_the_last_line(run: Run) -> None:
    """A client id in use, and an account of real money: each with what to do, never simulated, never a traceback."""
    with tws_at("127.0.0.1", 0) as gateway:
        variables = {"IBKR_HOST_IP": "127.0.0.1", "IBKR_PORT": str(gateway.port)}
        with IBGatewayClient(settings=Settings(host="127.0.0.1", port=gateway.port, client_id=101)):
            taken = run(CHECK, **variables)
    assert taken.returncode == 3
    assert taken.stdout.splitlines()[-1].startswith("👉 start: client id 101 is in use: end the other program")

    with tws_at("127.0.0.1", 0, "U7654321") as gateway:
        live = run(CHECK, IBKR_HOST_IP="127.0.0.1", IBKR_PORT=str(gateway.port))
    assert live.returncode == 2
    assert "U7****21, which is real money" in live.stderr
    for done in (taken, live):
        assert "SIMULATED" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_missing_client_library_is_what_to_install(run: Run) -> None:
    """TWS answers, and nothing here can talk to it: 3, and the simulator stands in with a warning."""
    missing = next(name for name in ("ib_insync", "ib_async") if find_spec(name) is None)
    with tws_at("127.0.0.1", 0) as gateway:
        done = run(CHECK, IBKR_HOST_IP="127.0.0.1", IBKR_PORT=str(gateway.port), IBKR_LIBRARY=missing)
    assert done.returncode == 3
    assert f"{missing} is not installed" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("👉 Install a client library")
