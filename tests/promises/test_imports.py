"""What `import src.brokers.ib_gateway` costs: little time, and nothing heavy; and that every class exists once."""

from pathlib import Path

import pytest

from tests.conftest import ROOT, Run

HEAVY = (
    "numpy", "pandas", "exchange_calendars", "pyarrow", "pydantic", "pydantic_core", "yaml", "dotenv", "rich",
    "tenacity", "aiohttp", "prometheus_client", "ib_insync", "ib_async", "ibapi", "ibind", "eventkit", "asyncio",
    "platformdirs", "dataclasses", "inspect",
)  # fmt: skip
ALLOWED_SECONDS = 0.060
ALLOWED_RATIO = 1.0

# What the standard library brings by itself, as newer Pythons' does, is not ours.
LOADED = f"""
import argparse, logging, sys
known = set(sys.modules)
import src.brokers.ib_gateway
print(*[name for name in {HEAVY!r} if name in sys.modules and name not in known])
"""
# Processor time: a machine that is busy with other tests makes nobody slower by it.
TIMED = """
from time import process_time
begun = process_time()
import src.brokers.ib_gateway
print(process_time() - begun)
"""


@pytest.mark.parametrize("module", ["src.brokers.ib_gateway", "src.__main__", "simple_ibkr_paper_trading"])
def test_importing_the_facade_loads_nothing_heavy(run: Run, module: str) -> None:
    """Each heavy library is imported where it is used, and by whom it is used."""
    done = run("-c", LOADED.replace("src.brokers.ib_gateway", module), cwd=ROOT)
    assert done.stderr == ""
    assert done.stdout.strip() == ""


def test_importing_the_facade_takes_at_most_sixty_milliseconds(run: Run, tmp_path: Path) -> None:
    """The best of seven, compiled before, as it is for a person; on a machine too busy for that, beside a known import.

    The standard library's asyncio, json and argparse take half as long again as ours.
    """
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}
    known = TIMED.replace("src.brokers.ib_gateway", "asyncio, json, argparse")
    run("-c", TIMED, cwd=ROOT, **compiled)
    run("-c", known, cwd=ROOT, **compiled)
    pairs = [[float(run("-c", script, cwd=ROOT, **compiled).stdout) for script in (TIMED, known)] for _ in range(7)]
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    assert ours <= max(ALLOWED_SECONDS, ALLOWED_RATIO * theirs)


def test_connecting_to_the_simulator_starts_no_event_loop(run: Run) -> None:
    """Asyncio stays out of a simulated session altogether, and no thread is left running."""
    script = """
import sys, threading
from src.brokers.ib_gateway import IBGatewayClient
with IBGatewayClient() as client:
    client.place_market_order("NVDA", 1, "BUY")
    print("asyncio" in sys.modules, threading.active_count())
"""
    assert run("-c", script, cwd=ROOT, IBKR_BACKEND="simulated").stdout.split() == ["False", "1"]


def test_run_by_path_every_class_exists_once(run: Run) -> None:
    """The module that is run hands over to the one that is imported."""
    script = f"""
import runpy, sys
sys.argv = ["ib_gateway.py", "--test", "nothing"]
sys.path.insert(0, "replaced")
try:
    runpy.run_path({str(ROOT / "src/brokers/ib_gateway.py")!r}, run_name="__main__")
except SystemExit as end:
    print(end.code)
print(sys.path[0])
"""
    code, path = run("-c", script).stdout.splitlines()[-2:]
    assert (code, path) == ("2", str(ROOT))
