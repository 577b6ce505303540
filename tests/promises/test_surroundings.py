"""What a command does where a stream is closed, a disk is full, or Python is old: one line or none, and its code."""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT, Run

GATEWAY = str(ROOT / "src/brokers/ib_gateway.py")
TRADER = str(ROOT / "live_trader.py")
DEMO = str(ROOT / "simple_ibkr_paper_trading.py")
CONNECTION = str(ROOT / "test_ibkr_connection.py")
REPLAY = [TRADER, "--replay", str(ROOT / "data/sample/MSFT_2019-02-11.csv")]
SIMULATED = {"IBKR_BACKEND": "simulated"}
COMMANDS = ([GATEWAY, "--test", "health"], REPLAY, [DEMO], [GATEWAY, "--help"], [TRADER, "--help"])
needs_sh = pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell here")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")


def in_shell(redirection: str, command: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command of Python's under a shell that redirects its streams."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", sys.executable, *command],
        env={**environment, **SIMULATED}, capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip


@needs_sh
@pytest.mark.parametrize(("command", "closed"), [(COMMANDS[0], "2>&-"), (REPLAY, "2>&-"), ([DEMO], "<&- 2>&-")])
def test_a_closed_standard_error_changes_nothing(
    environment: dict[str, str], command: Sequence[str], closed: str
) -> None:
    """The answer is printed, and the code is its own."""
    done = in_shell(closed, command, environment)
    assert done.returncode == 0
    assert done.stdout


@needs_sh
def test_a_failure_keeps_its_code_without_standard_error(environment: dict[str, str]) -> None:
    """Wrong use is 2."""
    assert in_shell("2>&-", [TRADER, "--replay", "nowhere.csv"], environment).returncode == 2
    assert in_shell("2>&-", [TRADER, "--nonsense"], environment).returncode == 2
    assert in_shell("2>&-", [GATEWAY, "--test", "nothing"], environment).returncode == 2


@needs_full
@needs_sh
@pytest.mark.parametrize(("command", "unbuffered"), [*((each, "") for each in COMMANDS), (REPLAY, "1")])
def test_a_full_standard_output_is_one_line(
    environment: dict[str, str], command: Sequence[str], unbuffered: str
) -> None:
    """And 1: the answer was not given."""
    done = in_shell(">/dev/full", command, {**environment, "PYTHONUNBUFFERED": unbuffered})
    assert done.stderr.splitlines() == ["standard output cannot be written: No space left on device"]
    assert done.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
@pytest.mark.parametrize(("command", "unbuffered"), [*((each, "") for each in COMMANDS), (REPLAY, "1")])
def test_a_reader_that_has_gone_is_no_reason_for_words(
    environment: dict[str, str], command: Sequence[str], unbuffered: str
) -> None:
    """As `| head` leaves it: 1, and nothing on standard error."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, *command], env={**environment, **SIMULATED, "PYTHONUNBUFFERED": unbuffered},
            stdout=writing, stderr=subprocess.PIPE, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


@needs_full
def test_a_summary_that_cannot_be_written_is_named(run: Run) -> None:
    """The session was well, and its summary is printed; the file is what failed."""
    done = run(*REPLAY, "--json", "/dev/full")
    assert done.returncode == 1
    assert "Session summary" in done.stdout
    assert done.stderr == "--json: /dev/full cannot be written: No space left on device\n"


# --- the account's file ---------------------------------------------------------------------------------------------


def test_an_order_that_cannot_be_kept_is_answered(run: Run, tmp_path: Path) -> None:
    """It was filled; one line says that the next process will not know of it."""
    (tmp_path / "state/simulated_account.new").mkdir(parents=True)
    done = run(GATEWAY, "--test", "order", "--json", **SIMULATED)
    assert json.loads(done.stdout)["result"]["order"]["status"] == "Filled"
    [line] = done.stderr.splitlines()
    assert line.startswith("ERROR: the simulated account is no longer kept: ")
    assert done.returncode == 0


def test_a_directory_in_the_accounts_place_is_one_sentence(run: Run, tmp_path: Path) -> None:
    """For the checks and for the reset."""
    (tmp_path / "state/simulated_account.json").mkdir(parents=True)
    done = run(GATEWAY, "--test", "health", "--json", **SIMULATED)
    assert "simulated_account.json cannot be read: Is a directory" in json.loads(done.stdout)["error"]
    assert done.returncode == 2
    reset = run("-m", "src", "sim", "reset", cwd=ROOT)
    assert "simulated_account.json cannot be removed" in reset.stderr
    assert "Traceback" not in done.stderr + reset.stderr


# --- old Pythons ----------------------------------------------------------------------------------------------------

SCRIPTS = (GATEWAY, TRADER, DEMO, CONNECTION)


def says_what_to_install(said: str) -> bool:
    return said.startswith("Understudy needs Python 3.11 or newer, and this is Python 3.") and said.count("\n") == 1


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_old_python_is_told_what_to_install(run: Run, script: str) -> None:
    """Here one that only claims to be old."""
    pretence = f"import runpy, sys; sys.version_info = (3, 10, 0); runpy.run_path({script!r}, run_name='__main__')"
    done = run("-c", pretence, PYTHONPATH=str(ROOT))
    assert done.returncode == 2
    assert says_what_to_install(done.stderr)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10"])
def test_an_installed_old_python_is_told_what_to_install(
    environment: dict[str, str], tmp_path: Path, version: str, script: str
) -> None:
    """One that is as old as it says."""
    found = shutil.which(f"python{version}")
    if found is None or subprocess.run([found, "-c", ""], capture_output=True, timeout=120, check=False).returncode:
        pytest.skip(f"Python {version} is not installed")
    done = subprocess.run(
        [found, script], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 2
    assert says_what_to_install(done.stderr)


@pytest.mark.parametrize("script", [*SCRIPTS, str(ROOT / "src/__init__.py")])
def test_what_runs_first_can_be_read_by_an_old_python(script: str) -> None:
    """Its grammar is 3.8's, or the check would never run."""
    ast.parse(Path(script).read_text(encoding="utf-8"), feature_version=(3, 8))
