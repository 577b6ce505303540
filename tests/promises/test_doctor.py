"""`python -m src doctor` as a person runs it: each neighbour has its finding, and the last line is what to do."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.brokers.ib_gateway import IBGatewayClient
from src.domain.orders import AccountId
from src.gateways.tws_server import PaperGateway
from src.runtime.market import MarketRules, seeded_market
from src.settings import Settings
from tests.conftest import ROOT, Address, Run
from tests.listeners import Handler, http_server, listening, resetting, silent, tws

CONNECTION = str(ROOT / "test_ibkr_connection.py")
IDS = {
    "ok", "too_old", "silent", "closed_after_accept", "not_tws", "listening", "filtered", "not_listening",
    "unreachable", "unresolved", "not_allowed",
}  # fmt: skip
#: Seconds until it is said of these who they are.
WAITS = {"tws": 1, "silent": 1, "web": 2}


@contextmanager
def nobody() -> Iterator[Address]:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()


@contextmanager
def neighbour(kind: str) -> Iterator[Address]:
    """Who is at the port."""
    handlers: dict[str, Handler] = {"tws": tws(), "resetting": resetting, "silent": silent, "old": tws(140)}
    if kind == "web":
        with http_server() as address:
            yield address
    elif kind == "nobody":
        with nobody() as address:
            yield address
    else:
        with listening(handlers[kind]) as server:
            yield server.address


@pytest.fixture
def doctor(run: Run) -> Run:
    """Run the doctor against an address; `wait` is short for those who say nothing until the end of it."""

    def examine(
        address: Address, *arguments: str, wait: int = 20, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        there = {"IBKR_HOST_IP": address[0], "IBKR_PORT": str(address[1]), "IBKR_CONNECT_TIMEOUT": str(wait)}
        return run("-m", "src", "doctor", *arguments, cwd=ROOT, **{**there, **variables})

    return examine


def answer(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    [line] = done.stdout.splitlines()
    report: dict[str, Any] = json.loads(line)
    assert list(report) == ["ok", "mode", "findings"]
    for each in report["findings"]:
        assert list(each) == ["id", "status", "title", "detail", "fix"]
        assert each["status"] in {"PASS", "WARN", "FAIL"}
        assert each["status"] != "FAIL" or each["fix"]
    assert report["ok"] is (done.returncode == 0)
    assert "Traceback" not in done.stderr
    return report


@pytest.mark.parametrize(
    ("kind", "finding", "status", "code", "cure"),
    [
        ("nobody", "not_listening", "FAIL", 3, "Start TWS"),
        ("tws", "ok", "PASS", 3, ""),
        ("resetting", "closed_after_accept", "FAIL", 3, "Trusted IPs"),
        ("silent", "silent", "FAIL", 3, "dialog"),
        ("web", "not_tws", "FAIL", 3, "IBKR_PORT"),
        ("old", "too_old", "FAIL", 3, "current TWS"),
    ],
)
def test_each_neighbour_has_its_finding_and_its_cure(
    doctor: Run, kind: str, finding: str, status: str, code: int, cure: str
) -> None:
    """For a program."""
    with neighbour(kind) as address:
        done = doctor(address, "--json", wait=WAITS.get(kind, 20))
    report = answer(done)
    first = next(each for each in report["findings"] if each["id"] in IDS)
    assert (first["id"], first["status"]) == (finding, status)
    assert f"{address[0]}:{address[1]}" in first["title"]
    assert cure in first["fix"]
    assert (done.returncode, report["mode"]) == (code, "disconnected")


@pytest.mark.parametrize(
    ("kind", "last"),
    [("nobody", "Start TWS"), ("resetting", "Trusted IPs"), ("silent", "dialog"), ("web", "IBKR_PORT")],
)
def test_the_one_thing_to_do_is_the_last_thing_read(doctor: Run, kind: str, last: str) -> None:
    """For a person; the candidate stands on a line of its own."""
    with neighbour(kind) as address:
        done = doctor(address, wait=WAITS.get(kind, 20))
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("👉 ")
    assert last in lines[-1]
    assert [line for line in lines if line.startswith(f"FAIL  {address[0]}:{address[1]}")]
    assert "would not work" in done.stdout


def test_a_tws_that_greets_and_then_says_nothing_would_not_work(doctor: Run) -> None:
    """Server version and clock by its greeting; the rest is said to be unchecked, and the exit is not 0."""
    with neighbour("tws") as address:
        done = doctor(address, "--json", wait=1)
    findings = {each["id"]: each for each in answer(done)["findings"]}
    assert "server version 176" in findings["ok"]["title"]
    assert "clock" in findings
    assert (findings["connection"]["status"], done.returncode) == ("FAIL", 3)
    assert "did not answer within 1 s" in findings["connection"]["detail"]
    for name in ("accounts", "read_only", "market_data", "quote"):
        assert (findings[name]["status"], findings[name]["detail"]) == ("WARN", "not checked: there is no connection")


@pytest.fixture
def gateway() -> Iterator[PaperGateway]:
    """A paper gateway that answers at once."""
    rules = MarketRules(preset="realistic", hours="always", seed=1)
    with PaperGateway(seeded_market(rules, ["NVDA"], {AccountId("DUSIM01"): Decimal(100_000)})) as found:
        yield found


def test_on_the_paper_gateway_trading_would_work(doctor: Run, gateway: PaperGateway) -> None:
    """All of it passes, for a program and for a person; nothing was ordered."""
    address = ("127.0.0.1", gateway.port)
    report = answer(done := doctor(address, "--json"))
    assert (done.returncode, report["ok"], report["mode"]) == (0, True, "simulated")
    findings = {each["id"]: each for each in report["findings"]}
    assert {name: each["title"] for name, each in findings.items() if each["status"] != "PASS"} == {}
    assert findings["ok"]["title"].startswith(f"127.0.0.1:{gateway.port} (as set): TWS answers")
    assert findings["accounts"]["title"] == "accounts: DUSIM01 (simulated)"
    assert findings["read_only"]["title"] == "read-only API: off, TWS takes orders"
    assert findings["open_orders"]["title"] == "open orders: none at work in this account"
    assert findings["market_data"]["title"] == "market data: simulated (IBKR_MARKET_DATA_TYPE=3)"
    assert findings["quote"]["title"].startswith("quote: NVDA ")
    assert findings["language"]["title"] == "messages: in English"
    last = doctor(address).stdout.splitlines()[-1]
    where = f"on the paper gateway at 127.0.0.1:{gateway.port}: no money, no market"
    assert last == f"✅ Trading would work: SIMULATED ({where})"


def test_it_runs_beside_a_trader_and_counts_its_orders(doctor: Run, gateway: PaperGateway) -> None:
    """On a client id of its own."""
    settings = Settings(host="127.0.0.1", port=gateway.port)
    with IBGatewayClient(settings=settings) as trader:
        trader.place_limit_order("NVDA", 1, 1.5, "BUY")
        done = doctor(("127.0.0.1", gateway.port))
        assert done.returncode == 0
        assert "PASS  open orders: 1 at work in this account" in done.stdout
        assert trader.connected
        taken = doctor(("127.0.0.1", gateway.port), IBKR_CHECK_CLIENT_ID="1")
    assert taken.returncode == 3
    assert taken.stdout.splitlines()[-1].startswith("👉 Set IBKR_CHECK_CLIENT_ID")


def test_an_account_that_may_not_be_traded_is_named_with_its_cure(doctor: Run) -> None:
    """Real money that nobody has allowed: masked, and nothing else is looked at."""
    rules = MarketRules(preset="realistic", hours="always", seed=1)
    with PaperGateway(seeded_market(rules, ["NVDA"], {AccountId("U7654321"): Decimal(100_000)})) as gateway:
        done = doctor(("127.0.0.1", gateway.port), "--json")
    findings = {each["id"]: each for each in answer(done)["findings"]}
    assert (findings["accounts"]["status"], findings["accounts"]["title"]) == ("FAIL", "accounts: U7****21 (live)")
    assert "real money" in findings["accounts"]["fix"]
    assert findings["quote"]["detail"] == "not checked: the account first"
    assert (done.returncode, "U7654321" in done.stdout + done.stderr) == (1, False)


def test_a_stale_address_says_where_tws_does_answer(doctor: Run) -> None:
    """Document 004's Windows has another address today."""
    with neighbour("tws") as (_, port):
        done = doctor(("127.0.0.2", port), wait=1)
    assert done.returncode == 3
    assert f"TWS answers at 127.0.0.1:{port}" in done.stdout.splitlines()[-1]


def test_the_settings_are_shown_with_where_they_are_from_and_without_account_ids(doctor: Run) -> None:
    """By the names under which they were written; credentials are not even looked at."""
    with neighbour("nobody") as address:
        done = doctor(address, IBKR_ACCOUNT_ID="DU9876543", IB_PASSWORD="hunter2", IBKR_CLIENT_ID="7")
    assert f"IBKR_PORT={address[1]} (the environment)" in done.stdout
    assert "client id of this check: 107" in done.stdout
    assert "IBKR_ACCOUNT_ID=DU*****43" in done.stdout
    for secret in ("DU9876543", "hunter2"):
        assert secret not in done.stdout + done.stderr


def test_wrong_settings_are_the_first_thing_to_put_right(doctor: Run) -> None:
    """2, and nothing is looked for."""
    with neighbour("nobody") as address:
        done = doctor(address, "--json", IBKR_CLIENT_ID="one")
    report = answer(done)
    assert done.returncode == 2
    assert "IBKR_CLIENT_ID" in report["findings"][0]["title"]
    assert not {each["id"] for each in report["findings"]} & IDS


def test_both_libraries_in_one_environment_are_found(doctor: Run, tmp_path: Path) -> None:
    """As their installation leaves them: what a distribution says of itself."""
    for name, version in (("ib_insync", "0.9.86"), ("ib_async", "2.1.0"), ("eventkit", "1"), ("aeventkit", "2")):
        folder = tmp_path / "libraries" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    with neighbour("nobody") as address:
        done = doctor(address, PYTHONPATH=str(tmp_path / "libraries"))
    assert "FAIL  client library: ib_insync 0.9.86, ib_async 2.1.0 in one environment" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("👉 Make the environment anew")


def test_on_the_simulator_by_name_tws_is_not_looked_for(doctor: Run) -> None:
    """Trading would work, on invented prices, and the mode says so."""
    with listening(tws()) as server:
        done = doctor(server.address, "--json", IBKR_BACKEND="simulated")
        assert server.connections == 0
    assert (done.returncode, answer(done)["mode"]) == (0, "simulated")


def test_the_doctor_leaves_nothing_behind(doctor: Run, tmp_path: Path) -> None:
    """No state folder is made."""
    with neighbour("nobody") as address:
        doctor(address)
    assert not (tmp_path / "state").exists()


def test_wrong_use_is_two(doctor: Run) -> None:
    """With the usage."""
    with neighbour("nobody") as address:
        done = doctor(address, "--cure-me")
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: python -m src doctor" in done.stderr


def test_the_connection_check_names_the_setting_of_a_tws_that_does_not_let_us_in(run: Run) -> None:
    """Document 004's "connection reset by peer": the candidates, then what to change, and 3."""
    with neighbour("resetting") as (host, port):
        done = run(CONNECTION, IBKR_HOST_IP=host, IBKR_PORT=str(port))
    lines = done.stdout.splitlines()
    assert done.returncode == 3
    assert lines[0] == "🔌 IBKR WORKSTATION CONNECTION TEST"
    assert f"   {host}:{port} (as set): the connection is accepted, and then closed" in lines
    assert lines[-1].startswith("👉 In TWS")
    assert "Trusted IPs" in lines[-1]


def test_the_connection_check_does_not_simulate_for_a_stale_address(run: Run) -> None:
    """TWS is there: the check says where."""
    with neighbour("tws") as (_, port):
        done = run(CONNECTION, IBKR_HOST_IP="127.0.0.2", IBKR_PORT=str(port))
    assert done.returncode == 3
    assert "SIMULATED" not in done.stdout + done.stderr
    assert "IBKR_HOST_IP=127.0.0.1" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("below", ["", "state"])
def test_a_file_where_the_state_folder_should_be_fails(doctor: Run, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    with neighbour("nobody") as address:
        report = answer(doctor(address, "--json", IBKR_STATE_DIR=str(tmp_path / "file" / below)))
    [found] = [each for each in report["findings"] if each["id"] == "state_dir"]
    assert (found["status"], "IBKR_STATE_DIR" in found["fix"]) == ("FAIL", True)
