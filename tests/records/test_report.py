"""A report is gathered from the journal and the recording of one session, and from nothing else."""

from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.errors import ConfigurationError
from src.domain.intents import IntentState
from src.domain.journal_facts import Adjusted, Charged, ConnectionNoted, Executed, KillNoted, Refused, StateChanged
from src.domain.market import Bar, Contract, Mode
from src.domain.orders import AccountId, Action, OrderId
from src.records.recording import SessionRecording
from src.records.report import report_of
from src.records.session_notes import write_notes
from tests.records.conftest import SESSIONS, OpenJournal, intent

D = Decimal
FIRST, SECOND, _ = SESSIONS
MSFT = Contract("MSFT", con_id=272093)


def bought(number: int, exec_id: str, price: str, session: str = FIRST) -> Executed:
    """An execution of the order of that number."""
    name = f"{session}-{number}"
    return Executed(exec_id, 2_000, name, OrderId(number), "MSFT", 272093, Action.BUY, D(10), D(price))


def test_a_report_has_what_was_traded_refused_and_heard_in_its_session(
    tmp_path: Path, open_journal: OpenJournal
) -> None:
    """The fills of its own orders with their costs; what is not its own is left out."""
    journal = open_journal()
    journal.intend([intent(1), intent(2), intent(3)])
    stranger = Executed("x.y.01", 2_500, "other", OrderId(9), "MSFT", 272093, Action.SELL, D(1), D(5))
    journal.record(
        bought(1, "a.b.01", "101"),
        Charged("a.b.01", 2_100, D(1), None, "USD"),
        stranger,
        StateChanged(f"{FIRST}-2", 3_000, IntentState.REJECTED, "201: margin"),
        Refused(f"{FIRST}-3", 3_100, "max order quantity", "500", "501"),
        ConnectionNoted(3_200, Mode.PAPER, connected=False, reason="1100"),
        KillNoted(3_300, engaged=True, reason="by hand"),
        Adjusted(3_400, "MSFT", 272093, D(5), "nothing explains it"),
    )
    journal.close("disconnected")
    recording = SessionRecording(tmp_path / "state", FIRST)
    recording.bars([Bar(MSFT, 0, 900, 99.0, 101.0, 98.0, 100.0, 1.0), Bar(MSFT, 900, 1_800, 100, 100, 100, 99.0, 1.0)])
    recording.equity(900, 1000.0)
    recording.equity(2_100, 900.0)
    recording.close()
    write_notes(tmp_path / "state", FIRST, {"strategy": "sma"})
    report = report_of(tmp_path / "state", FIRST)
    assert (report.session.mode, report.session.how) == (Mode.PAPER, "disconnected")
    assert report.notes == {"strategy": "sma"}
    [row] = report.fills
    # Meant at 1,001: the last bar that had ended closed at 100.
    assert (row.order_ref, row.price, row.commission, row.decided_at, row.slippage) == (
        f"{FIRST}-1", D(101), D(1), 100.0, 10.0
    )  # fmt: skip
    assert [(each.by, each.reason) for each in report.refused] == [
        ("the venue", "201: margin"),
        ("a limit", "max order quantity: 501, and the limit is 500"),
    ]
    assert [each.kind for each in report.remarks] == ["connection", "kill switch", "adjustment"]
    assert report.statistics.total_return == pytest.approx(-0.1)
    assert report.statistics.max_drawdown == pytest.approx(0.1)
    assert list(report.bars) == ["MSFT"]


def test_the_last_session_is_reported_on_unless_one_is_named(tmp_path: Path, open_journal: OpenJournal) -> None:
    """Of all journals of the folder, whatever their mode and account."""
    open_journal().close("done")
    other = open_journal(SECOND, Mode.SIMULATED, AccountId("SIM0001"))
    other.intend([intent(1, SECOND)])
    other.close("done")
    assert report_of(tmp_path / "state").session.facts.session == SECOND
    assert report_of(tmp_path / "state", FIRST).session.facts.session == FIRST


def test_a_session_without_a_recording_has_its_fills_and_no_curve(tmp_path: Path, open_journal: OpenJournal) -> None:
    """As one of a program of the user's own."""
    journal = open_journal()
    journal.intend([intent(1)])
    journal.record(bought(1, "a.b.01", "101"))
    journal.close("done")
    report = report_of(tmp_path / "state")
    assert (len(report.fills), report.times, report.statistics.total_return) == (1, [], None)
    assert report.fills[0].decided_at is None


def test_what_is_not_there_is_said_with_what_to_do(tmp_path: Path, open_journal: OpenJournal) -> None:
    """No session at all, and none of that name."""
    with pytest.raises(ConfigurationError, match="run one with live_trader"):
        report_of(tmp_path / "state")
    open_journal().close("done")
    with pytest.raises(ConfigurationError, match="python -m src orders"):
        report_of(tmp_path / "state", "nosuch")
