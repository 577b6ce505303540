"""The documented commands, as a person types them: what they print, and what they exit with."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from src.brokers import checks
from src.brokers.ib_gateway import IBGatewayClient, main
from src.runtime import market
from src.runtime.clock import ManualClock, to_nanoseconds
from tests.conftest import ROOT, Address, Run

GATEWAY = str(ROOT / "src/brokers/ib_gateway.py")
DEMO = str(ROOT / "simple_ibkr_paper_trading.py")
CONNECTION = str(ROOT / "test_ibkr_connection.py")
TESTS = ("connect", "account", "positions", "price", "order", "health")
SATURDAY = to_nanoseconds(datetime(2025, 1, 4, 15, 0, tzinfo=UTC))
SIMULATED = {"IBKR_BACKEND": "simulated"}


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The one JSON object on standard output; its exit code is the command's."""
    [line] = done.stdout.splitlines()
    report: dict[str, Any] = json.loads(line)
    assert list(report) == ["test", "passed", "mode", "result", "error", "exit_code"]
    assert report["exit_code"] == done.returncode
    assert report["passed"] is (report["error"] is None)
    assert "Traceback" not in done.stderr
    return report


@pytest.mark.parametrize("test", TESTS)
def test_each_check_passes_on_the_simulator_by_name(run: Run, test: str) -> None:
    """From another folder, without a word on standard error."""
    done = run(GATEWAY, "--test", test, "--json", **SIMULATED)
    report = answer(done)
    assert (report["test"], report["passed"], report["mode"]) == (test, True, "simulated")
    assert report["result"]
    assert done.stderr == ""


@pytest.mark.parametrize("test", TESTS)
def test_each_check_tells_a_person_the_mode(run: Run, test: str) -> None:
    """Nobody takes an invented price for a real one."""
    done = run(GATEWAY, "--test", test, "--verbose", **SIMULATED)
    assert done.returncode == 0
    assert done.stdout.startswith(f"✅ {test}: SIMULATED (prices are invented)\n")


def test_an_order_is_there_in_the_next_process_until_it_is_reset(run: Run) -> None:
    """The simulated account lives across processes, and `sim reset` clears it."""
    order = answer(run(GATEWAY, "--test", "order", "--symbol", "NVDA", "--quantity", "5", "--json", **SIMULATED))
    assert order["result"]["order"]["status"] == "Filled"
    assert order["result"]["position"]["position"] == 5
    positions = answer(run(GATEWAY, "--test", "positions", "--json", **SIMULATED))["result"]
    assert (positions["NVDA"]["position"], positions["MSFT"]["position"]) == (5, 0)
    sold = answer(run(GATEWAY, "--test", "order", "--quantity", "2", "--action", "sell", "--json", **SIMULATED))
    assert sold["result"]["position"]["position"] == 3

    assert "cleared" in run("-m", "src", "sim", "reset", cwd=ROOT).stdout
    assert answer(run(GATEWAY, "--test", "positions", "--json", **SIMULATED))["result"]["NVDA"]["position"] == 0


@pytest.fixture
def closed_market(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as the commands see one, on a Saturday in New York's hours, with a fifth of a second of patience."""
    for name, value in {**environment, **SIMULATED, "SIM_MARKET_HOURS": "nyse"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(market, "SystemClock", lambda: ManualClock(SATURDAY))
    monkeypatch.setattr(market, "wall_clock", lambda: SATURDAY)
    monkeypatch.setattr(checks, "ORDER_SECONDS", 0.2)


@pytest.mark.usefixtures("closed_market")
def test_an_order_that_does_not_fill_is_cancelled_and_the_check_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Failed, with the venue's reason; nothing is left working."""
    assert main(["--test", "order", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["result"]["order"]["status"] == "Cancelled"
    assert report["result"]["position"]["position"] == 0
    assert "next open" in report["error"]
    assert "cancelled" in report["error"]
    assert main(["--test", "health", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["open_orders"] == 0


@pytest.mark.usefixtures("closed_market")
def test_an_order_that_does_not_fill_is_left_when_it_is_to_be_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """Passed, and it still works in the next process."""
    assert main(["--test", "order", "--keep"]) == 0
    assert "PreSubmitted" in capsys.readouterr().out
    assert main(["--test", "health", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["open_orders"] == 1


def test_a_rejected_order_fails_with_the_venue_s_reason(run: Run) -> None:
    """More than the account can pay for."""
    done = run(GATEWAY, "--test", "order", "--quantity", "100000", "--json", **SIMULATED)
    report = answer(done)
    assert done.returncode == 1
    assert report["result"]["order"]["status"] == "Rejected"
    assert report["error"].startswith("Rejected: ")
    assert report["error"].endswith(report["result"]["order"]["reason"])


def test_an_order_under_read_only_fails_with_the_setting_s_name(run: Run) -> None:
    """Nothing was sent."""
    report = answer(run(GATEWAY, "--test", "order", "--json", IBKR_READ_ONLY="true", **SIMULATED))
    assert (report["exit_code"], report["result"]["order"]["status"]) == (1, "Refused")
    assert report["error"] == "Refused: IBKR_READ_ONLY=true refuses every order; nothing was sent"


@pytest.mark.usefixtures("closed_market")
def test_ctrl_c_is_130_and_no_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever it comes: here while the account is asked."""

    def interrupt(client: IBGatewayClient) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(IBGatewayClient, "get_account_info", interrupt)
    assert main(["--test", "account", "--json"]) == 130
    assert json.loads(capsys.readouterr().out)["error"] == "interrupted"


def test_resetting_nothing_is_no_error(run: Run) -> None:
    """It says so, and that is all."""
    done = run("-m", "src", "sim", "reset", cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no simulated account" in done.stdout


def test_the_checks_are_a_command_of_the_package_too(run: Run) -> None:
    """`python -m src check --test ...`, with the same options."""
    report = answer(run("-m", "src", "check", "--test", "price", "--symbol", "MSFT", "--json", cwd=ROOT, **SIMULATED))
    assert (report["result"]["symbol"], report["result"]["source"]) == ("MSFT", "simulated")
    assert report["result"]["price"] > 0


def test_another_symbol_may_be_ordered(run: Run) -> None:
    """Any symbol that can be qualified."""
    report = answer(run(GATEWAY, "--test", "order", "--symbol", "aapl", "--json", **SIMULATED))
    assert report["result"]["order"]["symbol"] == "AAPL"
    assert report["result"]["position"]["position"] == 1


@pytest.mark.parametrize(("test", "code"), [("connect", 3), ("account", 0)])
def test_only_the_connection_check_fails_for_a_fallback(run: Run, quiet_address: Address, test: str, code: int) -> None:
    """One warning on standard error; the mode is in every report."""
    done = run(GATEWAY, "--test", test, "--json")
    report = answer(done)
    assert (done.returncode, report["mode"]) == (code, "simulated")
    host, port = quiet_address
    [warning] = done.stderr.splitlines()
    assert warning.startswith("WARNING")
    assert f"{host}:{port}" in warning


def test_a_failed_connection_check_tells_a_program_what_was_tried(run: Run, quiet_address: Address) -> None:
    """Each address with its outcome, and the reason for the fallback."""
    report = answer(run(GATEWAY, "--test", "connect", "--json"))
    host, port = quiet_address
    assert report["result"]["attempts"][0] == {"host": host, "port": port, "outcome": "not_listening"}
    assert report["result"]["fallback_reason"] == "not_listening"
    assert report["error"]


@pytest.mark.parametrize("test", TESTS)
def test_required_tws_is_not_replaced(run: Run, test: str, tmp_path: Path) -> None:
    """3, for any test; nothing is ordered on the simulator instead."""
    report = answer(run(GATEWAY, "--test", test, "--require", "tws", "--json"))
    assert (report["exit_code"], report["result"]) == (3, None)
    assert answer(run(GATEWAY, "--test", "positions", "--json", **SIMULATED))["result"]["NVDA"]["position"] == 0


def test_without_fallback_there_is_no_connection(run: Run) -> None:
    """3 as well: one was wanted, and there was none."""
    done = run(GATEWAY, "--test", "account", "--json", IBKR_FALLBACK="never")
    report = answer(done)
    assert (report["exit_code"], report["mode"]) == (3, "disconnected")
    assert "IBKR_FALLBACK=never" in report["error"]
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--test", "nothing"],
        ["--test", "order", "--quantity", "0"],
        ["--test", "order", "--quantity=-5"],
        ["--test", "order", "--quantity", "nan"],
        ["--test", "order", "--quantity", "1.5"],
        ["--test", "order", "--quantity", "five"],
        ["--test", "order", "--quantity", ""],
        ["--test", "order", "--quantity", "True"],
        ["--test", "order", "--action", "HOLD"],
        ["--test", "order", "--symbol", "NOSUCH"],
        ["--test", "price", "--symbol", ""],
        ["--test", "price", "--require", "luck"],
        ["--test", "account", "--unknown"],
    ],
)
def test_wrong_use_is_two_and_one_object(run: Run, arguments: list[str]) -> None:
    """A program that asked for JSON gets it, with the reason; a person gets no traceback."""
    report = answer(run(GATEWAY, *arguments, "--json", **SIMULATED))
    assert (report["exit_code"], report["passed"]) == (2, False)
    assert report["test"] == (arguments[1] if arguments else None)


@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"IBKR_PORT": "abc"}, "IBKR_PORT"),
        ({"IBKR_CLIENT_ID": "one"}, "IBKR_CLIENT_ID"),
        ({"IBKR_HOST_IP": "8.8.8.8"}, "IBKR_ALLOWED_HOSTS"),
        ({"IBKR_SYMBOLS": "NOSUCH", "IBKR_BACKEND": "simulated"}, "NOSUCH"),
    ],
)
def test_wrong_settings_are_two_and_named(run: Run, variables: dict[str, str], part: str) -> None:
    """One line that names the setting."""
    done = run(GATEWAY, "--test", "connect", "--json", **variables)
    assert part in answer(done)["error"]
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("variables", "part"),
    [
        ({"IBKR_BACKEND": "tws"}, "IBKR_BACKEND=tws forbids the simulator"),
        ({"IBKR_ACCOUNT_TYPE": "live"}, "never simulated"),
    ],
)
def test_what_is_never_simulated_is_three_without_tws(run: Run, variables: dict[str, str], part: str) -> None:
    """A real connection was wanted, and there was none."""
    done = run(GATEWAY, "--test", "account", "--json", **variables)
    assert part in answer(done)["error"]
    assert done.returncode == 3


def test_the_account_s_file_when_damaged_is_named(run: Run, tmp_path: Path) -> None:
    """And the message says how to begin anew."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state/simulated_account.json").write_text("{")
    done = run(GATEWAY, "--test", "positions", "--json", **SIMULATED)
    assert "sim reset" in answer(done)["error"]
    assert done.returncode == 2


def test_a_terminal_without_such_signs_is_no_reason_to_fail(run: Run) -> None:
    """A check mark becomes a question mark."""
    done = run(GATEWAY, "--test", "account", PYTHONIOENCODING="ascii", **SIMULATED)
    assert done.returncode == 0
    assert done.stdout.startswith("? account: SIMULATED")


def test_missing_packages_get_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    """Run by a Python that has none of them."""
    for script, arguments in ((GATEWAY, ["--test", "connect"]), (DEMO, []), (CONNECTION, [])):
        done = subprocess.run(
            [sys.executable, "-S", script, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == 2
        assert "is missing here: run `make`, or activate .venv" in said
        assert "Traceback" not in said


def test_help_names_every_option(run: Run) -> None:
    """For the script and for the package."""
    for command in ([GATEWAY], ["-m", "src", "check"]):
        done = run(*command, "--help", cwd=ROOT)
        assert done.returncode == 0
        for option in ("--test", "--symbol", "--quantity", "--action", "--verbose", "--json", "--require", "--keep"):
            assert option in done.stdout


@pytest.mark.parametrize("arguments", [[], ["sim"], ["nothing"], ["sim", "reset", "now"]])
def test_wrong_commands_of_the_package_are_two(run: Run, arguments: list[str]) -> None:
    """Usage, and no traceback."""
    done = run("-m", "src", *arguments, cwd=ROOT)
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_prints_its_six_lines_with_the_true_mode(run: Run) -> None:
    """Document 004's, on the simulator: five NVDA and five MSFT, and the portfolio."""
    done = run(DEMO, "--backend", "simulated")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "🚀 Starting Simple IBKR Paper Trading Demo"
    assert lines[1] == "✅ Connected to IBKR: SIMULATED (prices are invented)"
    assert lines[2].startswith("💰 Account: SIM")
    assert lines[2].endswith("(Simulated)")
    assert [line.split(" $")[0] for line in lines[3:7]] == [
        "📈 NVDA:",
        "🟢 BUY 5 NVDA @",
        "📈 MSFT:",
        "🟢 BUY 5 MSFT @",
    ]
    assert lines[7].startswith("📊 Final Portfolio: $")


def test_the_demo_remembers_what_it_holds(run: Run) -> None:
    """Who holds some sells them: its account outlives the process, and is the checks' own."""
    assert run(DEMO, "--backend", "simulated").returncode == 0
    assert answer(run(GATEWAY, "--test", "positions", "--json", **SIMULATED))["result"]["NVDA"]["position"] == 5
    again = run(DEMO, "--backend", "simulated")
    assert (again.returncode, again.stderr) == (0, "")
    assert "🔴 SELL 5 NVDA @" in again.stdout
    assert "🔴 SELL 5 MSFT @" in again.stdout


def test_the_demo_says_when_it_falls_back_and_never_trades_real_money(run: Run) -> None:
    """A warning with the trades; with a live account, nothing at all."""
    done = run(DEMO)
    assert done.returncode == 0
    assert "prices are invented" in done.stderr
    live = run(DEMO, IBKR_ACCOUNT_TYPE="live")
    assert live.returncode == 2
    assert "never trades real money" in live.stderr
    assert "Connected" not in live.stdout


def test_the_connection_check_succeeds_on_the_simulator_by_name(run: Run) -> None:
    """Document 004's lines, with the true mode."""
    done = run(CONNECTION, **SIMULATED)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "🔌 IBKR WORKSTATION CONNECTION TEST",
        "✅ CONNECTION SUCCESSFUL! SIMULATED (prices are invented)",
        "✅ Account info retrieved",
        "✅ Market data test completed",
    ):
        assert line in done.stdout


@pytest.mark.parametrize("fallback", ["auto", "never"])
def test_the_connection_check_says_what_was_tried_and_what_to_change(
    run: Run, quiet_address: Address, fallback: str
) -> None:
    """3 after a fallback, and without one; each address on a line of its own."""
    done = run(CONNECTION, IBKR_FALLBACK=fallback)
    host, port = quiet_address
    assert done.returncode == 3
    assert "SUCCESSFUL" not in done.stdout
    lines = done.stdout.splitlines()
    assert f"   {host}:{port} (as set): nothing listens: the connection was refused" in lines
    assert lines[-1].startswith("👉 Start TWS")
    assert "Enable ActiveX and Socket Clients" in done.stdout
    assert ("SIMULATED (prices are invented)" in done.stdout) is (fallback == "auto")


def test_a_pair_is_shown_to_its_last_decimal_in_its_own_currency_and_by_its_whole_name(run: Run) -> None:
    """A pip is 0.0001 and a tick half of it; yen are no dollars; EUR may be one pair or another."""
    assert "$" not in run(GATEWAY, "--test", "price", "--symbol", "USD.JPY", **SIMULATED).stdout
    order = answer(run(GATEWAY, "--test", "order", "--symbol", "eur.usd", "--quantity", "20000", "--json", **SIMULATED))
    assert order["passed"]
    held = answer(run(GATEWAY, "--test", "positions", "--json", **SIMULATED))["result"]["EUR.USD"]["average_cost"]
    shown = run(GATEWAY, "--test", "positions", **SIMULATED).stdout
    assert f"EUR.USD: 20000 shares at ${held:.6f}".rstrip("0") in shown
    assert " EUR.USD " in run("-m", "src", "orders", cwd=ROOT, **SIMULATED).stdout
