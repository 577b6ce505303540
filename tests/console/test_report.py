"""The report as HTML, CSV and JSON, from a session that was really traded; and as a page in a real browser."""

import csv
import io
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from selenium import webdriver

from src.console.report.command import write_report
from src.domain.intents import Intent, IntentState
from src.domain.journal_facts import SessionFacts, StateChanged
from src.domain.market import Contract, Mode
from src.domain.orders import AccountId, Action, Order
from src.records.journal import Journal
from tests.conftest import ROOT, Run
from tests.console.browsing import BROWSER_TESTS, by_id, until

SAMPLE = str(ROOT / "data" / "sample")
SESSION = ("live_trader.py", "--replay", SAMPLE, "--symbols", "MSFT", "--preset", "ideal", "--quiet")


@pytest.fixture
def written(run: Run) -> Path:
    """The report that a session has written and told of."""
    done = run(*SESSION, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return Path(re.findall(r"^Report: (.*)$", done.stdout, re.MULTILINE)[0])


def test_every_session_ends_with_a_report_and_the_command_writes_the_same(
    run: Run, written: Path, tmp_path: Path
) -> None:
    """The last session's by default, into a file that is named, for its owner's eyes."""
    assert written.name.endswith(".html")
    assert written.stat().st_mode & 0o077 == 0
    again = tmp_path / "again.html"
    done = run("-m", "src", "report", "--out", str(again), cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, f"Report: {again}\n")
    assert again.read_text(encoding="utf-8") == written.read_text(encoding="utf-8")


def test_the_figures_as_json_and_csv_are_those_of_the_summary(run: Run, tmp_path: Path) -> None:
    """Fills, commissions, what was realized, and the drawdown."""
    out = tmp_path / "out.json"
    assert run(*SESSION, "--json", str(out), cwd=ROOT).returncode == 0
    summary = json.loads(out.read_text())
    report = json.loads(run("-m", "src", "report", "--format", "json", cwd=ROOT).stdout)
    rows = list(csv.DictReader(io.StringIO(run("-m", "src", "report", "--format", "csv", cwd=ROOT).stdout)))
    assert len(rows) == len(report["fills"]) == summary["fills"] > 20
    assert report["statistics"]["commissions"] == pytest.approx(summary["commissions"])
    assert report["statistics"]["max_drawdown"] == pytest.approx(summary["max_drawdown"], abs=1e-6)
    assert sum(float(row["realized_pnl"]) for row in rows) == pytest.approx(summary["realized_pnl"], abs=0.01)
    assert report["notes"]["prices"] == "Prices are recorded, fills are simulated."
    assert (report["mode"], report["notes"]["strategy"], report["days"]) == ("simulated", "sma", 5)


def test_a_folder_that_is_named_and_not_there_is_an_error_and_is_not_made(run: Run, tmp_path: Path) -> None:
    assert run(*SESSION, cwd=ROOT).returncode == 0
    missing = tmp_path / "missing"
    done = run("-m", "src", "report", "--out", str(missing / "a.html"), cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a.html cannot be written: No such file or directory" in done.stderr
    assert not missing.exists()


def test_without_a_session_or_with_a_wrong_one_it_says_what_to_do(run: Run) -> None:
    """One line, exit 2."""
    done = run("-m", "src", "report", cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert "run one with live_trader.py" in done.stderr
    assert run("-m", "src", "report", "--format", "pdf", cwd=ROOT).returncode == 2


def test_no_report_leaves_nothing_behind(run: Run, environment: dict[str, str]) -> None:
    """No journal of a replay, no recording, no page."""
    done = run(*SESSION, "--no-report", cwd=ROOT)
    assert "Report:" not in done.stdout
    assert not list(Path(environment["IBKR_STATE_DIR"]).rglob("*.html"))
    assert not list(Path(environment["IBKR_STATE_DIR"]).rglob("*.sqlite3"))


@BROWSER_TESTS
def test_the_page_shows_its_figures_and_its_fills_where_they_belong(written: Path, browser: webdriver.Chrome) -> None:
    """Without a server, without a request to anywhere, without an error in the console."""
    browser.get(written.as_uri())
    until(browser, "document.querySelectorAll('#fills tbody tr').length > 20")
    assert by_id(browser, "mode").text == "SIMULATED - not real money"
    assert "5 days: they say little" in by_id(browser, "warning").text
    console, network = (browser.get_log(kind) for kind in ("browser", "performance"))  # type: ignore[no-untyped-call]
    assert [entry for entry in console if entry["level"] == "SEVERE"] == []
    asked = [json.loads(entry["message"])["message"] for entry in network]
    urls = [each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith(("file:", "data:", "about:", "chrome:"))] == []
    rows = browser.execute_script(
        "return markers.markers().map((mark, place) => {"
        " const bar = candleSeries.data().find((each) => each.time === mark.time);"
        " const [, time, side, , at] = report.marks[place];"
        " return [time - mark.time, side, mark.position, at >= bar.low && at <= bar.high]; })"
    )
    assert len(rows) > 20
    for after, side, position, is_within in rows:
        assert 0 <= after < 60
        assert position == ("belowBar" if side == "BUY" else "aboveBar")
        assert is_within


@BROWSER_TESTS
def test_a_text_of_a_venue_cannot_end_the_script(tmp_path: Path, browser: webdriver.Chrome) -> None:
    """What stands in the data stays data, and is shown as it came."""
    hostile = "</script><script>document.title=1</script>"
    facts = SessionFacts("aaaaaaaaaa", 1, "c0ffee", "c0de", "1.0")
    journal = Journal.open(tmp_path, Mode.PAPER, AccountId("DU7654321"), facts, lambda: 1_000)
    order = Order(Contract("MSFT", con_id=1), Action.BUY, Decimal(1), order_ref="aaaaaaaaaa-1")
    journal.intend([Intent.of(order, "aaaaaaaaaa", 1_000)])
    journal.record(StateChanged("aaaaaaaaaa-1", 2_000, IntentState.REJECTED, hostile))
    journal.close("done")
    browser.get(write_report(tmp_path, "aaaaaaaaaa").as_uri())
    assert by_id(browser, "refused").text.count(hostile) == 1
    assert browser.title == "Session aaaaaaaaaa: PAPER - play money at IB"
