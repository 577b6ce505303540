"""I19: canaries - an account id, a password - and every artefact of a session that knew them."""

import logging
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from src.brokers.redaction import Redaction
from src.domain.orders import AccountId
from src.gateways.tws_server import PaperGateway
from src.runtime.market import MarketRules, seeded_market

ROOT = Path(__file__).parents[2]
_SESSION = """
import logging
from src.brokers.command_line import prepare_streams, told
prepare_streams(verbose=True)
logging.getLogger().setLevel(logging.DEBUG)
for part in ("ib", "client", "wrapper"):
    logging.getLogger(f"ib_insync.{part}").setLevel(logging.DEBUG)
from src.brokers.ib_gateway import IBGatewayClient
client = IBGatewayClient()
assert client.connect()
assert client.place_market_order("NVDA", 5, "BUY")["status"] == "Filled"
assert client.place_market_order("NVDA", 10**6, "BUY")["status"] == "Refused"
broker = client.broker
order = broker.completed_trades()[0].order
logging.getLogger("somebody.else").warning("an order: %r", order)
try:
    raise ValueError(f"failed: {order}")
except ValueError as error:
    logging.getLogger("somebody.else").exception("it failed")
    told(error)
try:
    broker.place_order(type(order)(order.contract, order.action, order.quantity, account="DU1111111"))
except ValueError as error:
    told(error)
client.disconnect()
"""


def test_no_artefact_of_a_session_bears_the_account_or_a_password(tmp_path: Path) -> None:
    account, password = "DU7654321", "swordfish-canary"
    rules = MarketRules(preset="ideal", hours="always", seed=3)
    with PaperGateway(seeded_market(rules, ["NVDA"], {AccountId(account): Decimal(10**6)})) as gateway:
        own = {"IBKR_HOST_IP": "127.0.0.1", "IBKR_PORT": str(gateway.port), "IBKR_STATE_DIR": str(tmp_path)}
        own |= {"IBKR_ACCOUNT_ID": account, "IB_PASSWORD": password, "IBKR_USERNAME": password, "RISK_HOURS": "off"}
        own |= {"RISK_MAX_QUOTE_AGE": "off"}
        done = subprocess.run(
            [sys.executable, "-c", _SESSION],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **own},
            capture_output=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr.decode()
    assert b"an order: Order(" in done.stderr
    assert b"Traceback" in done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".sqlite3" for path in files)
    artefacts = {"output": done.stdout + done.stderr} | {str(path): path.read_bytes() for path in files}
    for canary in (b"7654321", b"1111111", password.encode()):
        assert [name for name, content in artefacts.items() if canary in content or canary.decode() in name] == []


def test_a_record_that_does_not_fit_its_arguments_is_not_ours_to_judge() -> None:
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%d", ("many",), None)
    assert Redaction().filter(record)


@pytest.mark.parametrize("text", ["a\nERROR: b", "a\rb", "a\x1b[2Kb"])
def test_a_venue_s_text_begins_no_line_of_ours(text: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "x", 1, "TWS: %s", (text,), None)
    Redaction().filter(record)
    assert record.getMessage().isprintable()
