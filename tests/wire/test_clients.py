"""Clients that nobody here wrote, unmodified, in environments of their own, through everything the gateway does.

And our own under each Python that is installed. The environments are made by `make`; where one is missing its tests are
skipped and say so.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from src.gateways.tws_server import GatewayOptions
from tests.conftest import ROOT
from tests.gateways.tws_stage import Stage

HERE = Path(__file__).parent
SECONDS = 200
VERSIONS = (157, 163, 173, 176, 178)


def python_of(environment: str) -> str:
    """The interpreter of an environment beside ours."""
    for python in (ROOT / environment / "bin" / "python", ROOT / environment / "Scripts" / "python.exe"):
        if python.exists():
            return str(python)
    pytest.skip(f"{environment} is not there: `make test` makes it")


def drive(python: str, script: str, *arguments: str, newest: int = 178) -> Any:  # noqa: ANN401  # what the script says
    """Run a client against a gateway of its own; return what it found."""
    with Stage(options=GatewayOptions(port=0, latency=0.02, max_server_version=newest)) as stage:
        done = subprocess.run(
            [python, str(HERE / script), *arguments, str(stage.port)],
            capture_output=True, text=True, timeout=SECONDS, check=False, cwd=HERE,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize(
    ("environment", "newest"), [(".venv-ibapi", 157), *((".venv-nautilus", newest) for newest in VERSIONS)]
)
def test_official_clients(environment: str, newest: int) -> None:
    """IB's own Python client, old and new."""
    found = drive(python_of(environment), "official_client.py", newest=newest)
    assert found["version"] == newest
    assert {code for _, code, _ in found["errors"]} == {200, 201, 202}
    assert found["counts"]["bar"] == 12
    assert found["counts"]["execution"] >= 2
    assert found["counts"]["commission"] >= 2
    assert not found["loop_ended"]


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize(
    ("library", "environment", "newest", "spoken"),
    [
        *(("ib_insync", None, newest, min(newest, 176)) for newest in VERSIONS),
        *(("ib_async", ".venv-ib_async", newest, newest) for newest in VERSIONS),
    ],
)
def test_asyncio_libraries(library: str, environment: str | None, newest: int, spoken: int) -> None:
    """ib_insync and its successor."""
    python = sys.executable if environment is None else python_of(environment)
    found = drive(python, "library_client.py", library, newest=newest)
    assert found["version"] == spoken
    assert found["errors"] == [200, 201, 202]
    assert (found["bars"], found["executions"], found["open"], found["nothing"]) == (12, 1, 0, 0)
    assert found["completed"] == 6
    assert found["margin"] > 0
    assert found["summary"] > 20


@pytest.mark.timeout(SECONDS + 20)
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_our_client_under_each_python(version: str) -> None:
    """The library is imported in a thread that has its loop; no warning is let pass."""
    ours = "{}.{}".format(*sys.version_info)
    found = drive(sys.executable if version == ours else python_of(f".venv-{version}"), "own_client.py")
    assert found["python"] == version
    assert (found["status"], found["commission"], found["position"]) == ("Filled", "1", ["10"])
