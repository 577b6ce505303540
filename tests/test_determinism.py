"""One seed, one log: byte for byte, in every process and on every Python that is installed."""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SCRIPT = ROOT / "tests" / "determinism_session.py"


def installed(version: str) -> str | None:
    """A Python of this version that runs: on the path, or kept by pyenv or uv. A shim may be there and not run."""
    homes = (
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions",
        Path.home() / ".local/share/uv/python",
    )
    kept = [str(found) for home in homes for found in sorted(home.glob(f"*{version}.*/bin/python{version}"))]
    for python in (shutil.which(f"python{version}"), *kept):
        if python is not None:
            probe = "import sys; print(*sys.version_info[:2], sep='.')"
            ran = subprocess.run([python, "-c", probe], capture_output=True, text=True, timeout=120, check=False)
            if ran.stdout.strip() == version:
                return python
    return None


@cache
def log_of(python: str, hash_seed: str) -> bytes:
    """The log of ten sessions, written by a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed, "PYTHONWARNINGS": "error"}
    ran = subprocess.run([python, str(SCRIPT), "10"], env=environment, capture_output=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout


def test_two_runs_give_the_same_log() -> None:
    """Also with strings hashed differently."""
    first = log_of(sys.executable, "1")
    assert first == log_of(sys.executable, "2")
    assert first.count(b"Filled(fill=") >= 1_000
    assert first.count(b"LIQUIDATION") > 0
    assert first.count(b"\n") > 5_000


@pytest.mark.parametrize("version", PYTHONS)
def test_every_python_gives_the_same_log(version: str) -> None:
    """Whatever of 3.11 to 3.14 is installed; the exchange needs nothing but Python."""
    python = installed(version)
    if python is None:
        pytest.skip(f"python{version} is not installed")
    assert log_of(python, "3") == log_of(sys.executable, "1")


def test_seeds_differ() -> None:
    """The log is the session's, not a constant."""
    lines = log_of(sys.executable, "1").splitlines()
    assert len(set(lines)) > len(lines) * 9 // 10
