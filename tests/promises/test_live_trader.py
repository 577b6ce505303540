"""`live_trader.py` as a person runs it: what it prints, what it writes, what it exits with, and how it is stopped."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Run

TRADER = str(ROOT / "live_trader.py")
SAMPLE = str(ROOT / "data" / "sample")
ONE_DAY = str(ROOT / "data" / "sample" / "MSFT_2019-02-11.csv")
DOCUMENTED = (
    "--replay", ONE_DAY, "--symbols", "MSFT", "--speed", "max", "--preset", "ideal", "--fees", "commission",
)  # fmt: skip
ALLOWED_SECONDS = 0.100
ALLOWED_RATIO = 1.8
KEYS = (
    "mode symbols start end bars orders fills commissions realized_pnl unrealized_pnl final_equity max_drawdown"
    " seconds bars_per_second"
)
STRATEGIES = """
class Raises:
    warm_up = 0
    def on_bar(self, bar, portfolio):
        raise LookupError("nothing found")
    def explain(self):
        return ""

class Hangs(Raises):
    def on_bar(self, bar, portfolio):
        print("hanging", flush=True)
        while True:
            pass
"""


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """As on a fresh machine: New York's hours in a replay, a market that never closes otherwise."""
    return {**environment, "SIM_MARKET_HOURS": "auto"}


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """What stands on standard error of a command that was used wrongly: one line, and nothing on standard output."""
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    [line] = done.stderr.splitlines()
    return line


def test_the_documented_replay_gives_equal_results_twice(run: Run, tmp_path: Path) -> None:
    """A summary for a person, a JSON object with exactly the promised names; equal but for the time taken."""
    documents: list[dict[str, Any]] = []
    for name in ("one.json", "two.json"):
        done = run(TRADER, *DOCUMENTED, "--json", name)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Prices are recorded, fills are simulated." in done.stdout
        documents.append(json.loads((tmp_path / name).read_text()))
    one, two = documents
    assert " ".join(one) == KEYS
    assert (one["mode"], one["symbols"], one["bars"]) == ("simulated", ["MSFT"], 390)
    assert (one["start"], one["end"]) == ("2019-02-11T14:30:00Z", "2019-02-11T21:00:00Z")
    assert one["orders"] == one["fills"] > 5
    assert one["commissions"] == one["fills"]  # a hundred shares cost the minimum of a dollar
    assert one["realized_pnl"] + one["unrealized_pnl"] == pytest.approx(one["final_equity"] - 100_000)
    assert {**one, "seconds": 0, "bars_per_second": 0} == {**two, "seconds": 0, "bars_per_second": 0}


def test_a_dash_writes_the_summary_as_json_to_standard_output_and_nothing_else(run: Run, tmp_path: Path) -> None:
    done = run(TRADER, *DOCUMENTED, "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fills"] > 5
    assert done.stderr.startswith("Report: ")
    assert not (tmp_path / "-").exists()


def test_a_replay_without_symbols_trades_all_of_its_files(run: Run) -> None:
    """Five days of two symbols, as `make run` trades them."""
    done = run(TRADER, "--replay", SAMPLE, IBKR_SYMBOLS="NVDA")
    assert (done.returncode, done.stderr) == (0, "")
    assert "AAPL MSFT" in done.stdout
    assert "3,896 in" in done.stdout


def test_symbols_may_be_written_with_commas_or_blanks(run: Run) -> None:
    """Two ways, one result."""
    outputs = [
        run(TRADER, "--replay", SAMPLE, "--json", "/dev/stdout", "--symbols", *symbols).stdout
        for symbols in (("MSFT,AAPL",), ("msft", "aapl"))
    ]
    assert all('"symbols": [\n    "MSFT",\n    "AAPL"\n  ]' in output for output in outputs)


def test_options_reach_strategy_exchange_and_account(run: Run, tmp_path: Path) -> None:
    """Shares, averages, bars, fees, cash and the end, each to be seen in the result."""
    options = (
        "--symbols", "MSFT", "--quantity", "MSFT=7", "--strategy-option", "fast=2", "--strategy-option", "slow=5",
        "--timeframe", "5m", "--fees", "none", "--initial-capital", "50000", "--flat-before-close", "10",
        "--json", "out.json", "--quiet",
    )  # fmt: skip
    done = run(TRADER, "--replay", SAMPLE, *options)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads((tmp_path / "out.json").read_text())
    assert (document["bars"], document["commissions"], document["unrealized_pnl"]) == (5 * 78, 0, 0)
    assert document["fills"] > 20
    assert document["final_equity"] == pytest.approx(50_000 + document["realized_pnl"])
    assert abs(document["realized_pnl"]) < 7 * 10


def test_invented_prices_are_called_invented(run: Run, tmp_path: Path) -> None:
    """A simulated session faster than the day: reproducible, and its P&L says nothing."""
    command = (TRADER, "--backend", "simulated", "--speed", "max", "--duration", "60", "--symbols", "NVDA", "--seed")
    results = []
    for seed in ("3", "3", "4"):
        done = run(*command, seed, "--json", "out.json")
        assert (done.returncode, done.stderr) == (0, "")
        assert "the P&L says nothing about the strategy" in done.stdout
        document = json.loads((tmp_path / "out.json").read_text())
        results.append({**document, "seconds": 0, "bars_per_second": 0})
    assert results[0] == results[1] != results[2]
    assert results[0]["bars"] == 60
    assert results[0]["orders"] > 0


def test_without_tws_it_simulates_and_says_so_once(run: Run) -> None:
    """One warning; in the real time of an invented market, which lasts a second here."""
    done = run(TRADER, "--duration", "0.02", "--symbols", "NVDA", "--quiet")
    assert done.returncode == 0
    [line] = done.stderr.splitlines()
    assert line.startswith("WARNING: No TWS answered.")
    assert "prices are invented" in line


def test_a_session_tells_of_its_start_and_of_the_history_it_has(run: Run) -> None:
    """The first decision needs no 50 minutes: the bars before the session are there."""
    done = run(TRADER, "--backend", "simulated", "--duration", "0.02", "--symbols", "NVDA")
    assert "begins: NVDA on simulated" in done.stderr
    assert "missing" not in done.stderr


@pytest.mark.parametrize("wish", [("--require", "tws"), ("--quiet",)])
def test_a_real_connection_that_was_wanted_and_is_not_there_is_three(run: Run, wish: tuple[str, ...]) -> None:
    """By option, or because falling back is forbidden; and nothing is traded."""
    done = run(TRADER, *wish, "--duration", "0.02", IBKR_FALLBACK="never" if wish == ("--quiet",) else "auto")
    assert (done.returncode, done.stdout) == (3, "")
    assert "No TWS answered" in done.stderr
    assert "Traceback" not in done.stderr


def test_required_tws_and_a_simulated_backend_disagree(run: Run) -> None:
    """The settings say simulated: there was no real connection."""
    done = run(TRADER, "--require", "tws", IBKR_BACKEND="simulated")
    assert done.returncode == 3
    assert "TWS is required" in one_line(done)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--wrong",), "unrecognized arguments: --wrong"),
        (("--duration", "soon"), "--duration: expected a number, not 'soon'"),
        (("--duration", "-3"), "--duration: expected a number above zero"),
        (("--duration", "nan"), "--duration: expected a number above zero"),
        (("--speed", "fast"), "--speed: expected a number"),
        (("--timeframe", "2m"), "--timeframe: invalid choice: '2m'"),
        (("--quantity", "MSFT"), "--quantity: expected SYMBOL=N"),
        (("--quantity", "MSFT=1.5"), "whole shares above zero"),
        (("--quantity", "MSFT=0"), "whole shares above zero"),
        (("--symbols", ","), "--symbols: expected symbols"),
        (("--seed", "x"), "--seed: invalid int value: 'x'"),
        (("--replay", ONE_DAY, "--backend", "tws"), "leave out --backend tws"),
        (("--replay", ONE_DAY, "--require", "tws"), "leave out --require tws"),
        (("--backend", "tws", "--speed", "max"), "a real market runs at its own speed"),
        (("--replay", ONE_DAY, "--json", "no/such/folder/out.json"), "--json: there is no folder"),
        (("--replay", "nothing.csv"), "nothing.csv: no such file or folder"),
        (("--replay", ONE_DAY, "--symbols", "TSLA"), "no prices of TSLA in the files: they hold MSFT"),
        (("--replay", "days/SPY.csv"), "SPY is in day bars: use --timeframe 1d"),
        (("--replay", "days/SPY.csv", "--timeframe", "5m"), "SPY is in day bars: use --timeframe 1d"),
        (("--replay", ONE_DAY, "--quantity", "TSLA=5"), "--quantity TSLA=...: the session trades MSFT only"),
        (("--replay", ONE_DAY, "--strategy", "smma"), "no strategy is called 'smma'"),
        (("--replay", ONE_DAY, "--strategy", "a.b:C"), "there is no module a: put it beside live_trader.py"),
        (("--replay", ONE_DAY, "--strategy-option", "fast"), "a strategy option is written name=value"),
        (("--replay", ONE_DAY, "--strategy-option", "fats=1"), "strategy sma has no option fats: it has fast, slow"),
        (("--replay", ONE_DAY, "--initial-capital", "much"), "initial_capital"),
        (("--replay", ONE_DAY, "--config", "none.yaml"), "there is no configuration file none.yaml"),
        (("--backend", "simulated", "--symbols", "NOSUCH"), "NOSUCH"),
    ],
)
def test_wrong_use_gets_one_line_and_two(run: Run, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    """The line names what is wrong; nothing is traded, and there is never a traceback."""
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "SPY.csv").write_text("date,open,high,low,close,volume\n2019-02-11,1,1,1,1,1\n")
    done = run(TRADER, *arguments)
    assert done.returncode == 2
    assert says in one_line(done)


def test_tws_by_name_is_never_simulated(run: Run) -> None:
    """A real connection was wanted, and there is none: 3, and no summary."""
    done = run(TRADER, "--backend", "tws", "--quiet")
    assert done.returncode == 3
    assert "IBKR_BACKEND=tws forbids the simulator" in one_line(done)


def test_a_bad_price_file_is_named_with_its_line(run: Run, tmp_path: Path) -> None:
    """File, line, column, and what was expected."""
    rows = ["time,open,high,low,close,volume", "2019-02-11T14:30:00Z,1,1,1,one,1"]
    (tmp_path / "MSFT.csv").write_text("\n".join(rows))
    done = run(TRADER, "--replay", "MSFT.csv")
    assert done.returncode == 2
    line = one_line(done)
    assert "MSFT.csv, line 2, column close: expected a number, found 'one'" in line


def test_a_wrong_strategy_is_found_before_anything_is_taken(run: Run) -> None:
    """No port, no folder, no search for TWS: nothing to give back."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(TRADER, "--strategy", "smma", "--backend", "simulated", METRICS_PORT=str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert done.stderr.startswith("no strategy is called 'smma'")
    assert len(done.stderr.splitlines()) == 1


def test_a_strategy_that_raises_ends_with_one_and_a_summary(run: Run, tmp_path: Path) -> None:
    """Its traceback is in the log; the figures are there all the same."""
    (tmp_path / "mine.py").write_text(STRATEGIES)
    done = run(TRADER, *DOCUMENTED, "--strategy", "mine:Raises", "--json", "out.json", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "LookupError: nothing found" in done.stdout
    assert "LookupError: nothing found" in done.stderr
    assert "Traceback" in done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["orders"] == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_session_cleanly(
    environment: dict[str, str], tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """Half an hour was meant; at the signal the summary comes, the file is written, and the code tells the signal."""
    command = [sys.executable, TRADER, "--backend", "simulated", "--symbols", "NVDA", "--json", "out.json"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stderr is not None
        assert any("begins" in line for line in process.stderr)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Session summary" in out
    assert "Traceback" not in err
    assert json.loads((tmp_path / "out.json").read_text())["mode"] == "simulated"


def test_a_second_signal_ends_it_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    """Even where a strategy hangs and the first one is never looked at."""
    (tmp_path / "mine.py").write_text(STRATEGIES)
    command = [sys.executable, TRADER, *DOCUMENTED, "--strategy", "mine:Hangs"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "hanging\n"
        process.send_signal(signal.SIGINT)
        assert "once more" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130


def test_missing_packages_get_one_line(run: Run) -> None:
    """Python without its site-packages, as when the environment is not active."""
    done = run("-S", TRADER, "--replay", ONE_DAY)
    assert done.returncode == 2
    assert "is missing here: run `make`, or activate .venv" in one_line(done)


def test_help_is_there_within_a_tenth_of_a_second(run: Run) -> None:
    """The best of five in processor time, interpreter included; it lists every documented option.

    On a machine too busy for that it stands beside an empty parser's help, with what every command imports.
    """
    resource = pytest.importorskip("resource", reason="processor time of a child is known on Unix only")

    def taken(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(*arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return float(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    known = "import argparse, decimal, typing; argparse.ArgumentParser().print_help()"
    pairs = [(taken(TRADER, "--help"), taken("-c", known)) for _ in range(5)]
    ours, theirs = (min(column) for column in zip(*pairs, strict=True))
    assert ours <= max(ALLOWED_SECONDS, ALLOWED_RATIO * theirs)
    done = run(TRADER, "--help")
    for option in (
        "duration", "symbols", "timeframe", "strategy", "strategy-option", "quantity", "initial-capital", "backend",
        "replay", "speed", "preset", "fees", "seed", "on-exit", "flat-before-close", "json", "quiet", "config",
    ):  # fmt: skip
        assert f"--{option}" in done.stdout
