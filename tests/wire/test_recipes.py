"""The scripts that ib_insync's guides teach, unmodified library and blocking manner, against a gateway in motion."""

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.orders import AccountId
from src.gateways.tws_server import GatewayOptions, PaperGateway
from src.runtime.market import MarketRules, seeded_market
from tests.wire.test_clients import python_of

SCRIPT = Path(__file__).parent / "recipes_client.py"
SECONDS = 200
#: How much faster than the day the market runs, so that new bars need not be waited for.
SPEED = 20.0


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize(("library", "environment"), [("ib_insync", None), ("ib_async", ".venv-ib_async")])
def test_ordering_bars_and_streaming(library: str, environment: str | None) -> None:
    """What the guides promise their readers."""
    python = sys.executable if environment is None else python_of(environment)
    rules = MarketRules(preset="realistic", hours="always", seed=1)
    accounts = {AccountId("DUSIM01"): Decimal(1_000_000)}
    market = seeded_market(rules, ["NVDA", "MSFT"], accounts, speed=SPEED)
    with PaperGateway(market, GatewayOptions(port=0)) as gateway:
        command = [python, str(SCRIPT), library, str(gateway.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])

    ordering = found["ordering"]
    assert (ordering["cancelled"], ordering["market"]) == ("Cancelled", "Filled")
    assert {"PendingSubmit", "Submitted", "PendingCancel", "Cancelled"} <= set(ordering["log"])
    assert ordering["price"] > 0
    assert ordering["commission"] > 0
    assert (ordering["positions"], ordering["margin_after_sale"]) == ([["NVDA", 100]], 0)

    bars = found["bars"]
    assert bars["head"] < "2026"
    assert bars["columns"] == ["date", "open", "high", "low", "close", "volume"]
    assert bars["hours"] >= 5 * 7
    assert bars["falls_outside"] == 0
    assert bars["updates"] >= 3
    assert bars["steps"] == [5]

    streaming = found["streaming"]
    assert streaming["seen"] == ["MSFT", "NVDA"]
    assert streaming["prices_are_prices"]
    assert streaming["ticks"] > 0
