"""The journal: what it was told is there, for the next session too, and it takes nothing back."""

import logging
import sqlite3
import stat
import sys
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.errors import JournalInUseError, JournalUnavailableError
from src.domain.intents import CancelStep, IntentRecord, IntentState
from src.domain.journal_facts import (
    Acknowledged,
    Adjusted,
    Amended,
    CancelNoted,
    Charged,
    ConnectionNoted,
    EquityMarked,
    Executed,
    JournalFact,
    KillNoted,
    Refused,
    Sending,
    StateChanged,
)
from src.domain.market import Mode
from src.domain.orders import AccountId, Action, OrderId
from src.records.journal import Journal
from src.records.journal_reading import JournalReader
from src.runtime.worker import wait_until
from tests.records.conftest import ACCOUNT, SESSIONS, OpenJournal, intent, session_facts

REF = f"{SESSIONS[0]}-1"


def executed(exec_id: str, shares: int, ref: str = REF, time: int = 5_000) -> Executed:
    return Executed(exec_id, time, ref, OrderId(7), "MSFT", 272093, Action.BUY, Decimal(shares), Decimal("106.4625"))


EVERY_KIND: tuple[JournalFact, ...] = (
    intent(1),
    Sending(REF, 2, OrderId(7)),
    Acknowledged(REF, 3, OrderId(7), 1234),
    Amended(REF, 4, Decimal(20), Decimal("99.5"), None),
    CancelNoted(REF, 4, CancelStep.KEPT, "1100"),
    executed("00.01.01", 4),
    Charged("00.01.01", 6, Decimal("1.0035"), None, "USD"),
    StateChanged(REF, 7, IntentState.CANCELLED, "202: cancelled"),
    Adjusted(8, "NVDA", 4815747, Decimal(-3), "no execution explains it"),
    intent(2),
    Refused(f"{SESSIONS[0]}-2", 9, "RISK_MAX_ORDER_QTY", "500", "501"),
    ConnectionNoted(10, Mode.DISCONNECTED, connected=False, reason="reset"),
    KillNoted(11, engaged=True, reason="the file KILL"),
    EquityMarked(12, Decimal("100000.01")),
)


def test_what_intend_returned_for_is_there_for_whoever_looks(open_journal: OpenJournal) -> None:
    """Without close or flush: that is what writing ahead means."""
    journal = open_journal()
    journal.intend([intent(1), intent(2)], [OrderId(7)])
    with JournalReader(journal.path) as reader:
        first, second = reader.intents()
    assert first == IntentRecord(intent(1), IntentState.SENDING, Decimal(10), 1_001, order_id=OrderId(7))
    assert second == IntentRecord.begin(intent(2))


@pytest.mark.parametrize("mode", [Mode.SIMULATED, Mode.PAPER, Mode.LIVE])
def test_every_kind_of_fact_comes_back_as_it_was(open_journal: OpenJournal, mode: Mode) -> None:
    """In the order in which it was told, to the last digit."""
    journal = open_journal(mode=mode)
    journal.record(*EVERY_KIND)
    journal.flush()
    with JournalReader(journal.path) as reader:
        assert reader.facts()[1:] == EVERY_KIND


def test_facts_are_written_without_being_waited_for(open_journal: OpenJournal) -> None:
    """And the next session finds them."""
    first = open_journal()
    first.intend([intent(1)])
    first.record(Acknowledged(REF, 3, OrderId(7), 99), executed("00.01.01", 4))
    first.close("done")
    second = open_journal(SESSIONS[1])
    (record,) = second.unsettled()
    assert (record.state, record.order_id, record.perm_id) == (IntentState.PARTIAL, 7, 99)
    assert record.filled == 4
    assert list(second.known_executions()) == ["00.01.01"]
    assert second.highest_order_id(1) == 7
    assert second.highest_order_id(2) == 0


def test_an_execution_told_in_two_sessions_counts_once(open_journal: OpenJournal) -> None:
    """And its correction replaces it."""
    first = open_journal()
    first.intend([intent(1)])
    first.record(executed("00.01.01", 4))
    first.close("done")
    second = open_journal(SESSIONS[1])
    second.record(executed("00.01.01", 4), executed("00.01.02", 6), executed("00.01.01", 4))
    assert second.intents()[0].filled == 6
    assert sorted(second.known_executions()) == ["00.01.01", "00.01.02"]


def test_the_last_session_says_how_it_ended(open_journal: OpenJournal) -> None:
    """One that did not close its journal did not end cleanly."""
    first = open_journal()
    assert first.last_session() is None
    first.close("interrupted")
    second = open_journal(SESSIONS[1])
    last = second.last_session()
    assert last is not None
    assert (last.facts.session, last.mode, last.how, last.ended_cleanly) == (
        SESSIONS[0],
        Mode.PAPER,
        "interrupted",
        True,
    )
    second.flush()
    second._release()  # as a process that is killed lets go of it
    third = open_journal(SESSIONS[2])
    last = third.last_session()
    assert last is not None
    assert (last.facts.session, last.ended_cleanly, last.ended) == (SESSIONS[1], False, None)


def test_an_intent_is_written_down_once(open_journal: OpenJournal, caplog: pytest.LogCaptureFixture) -> None:
    """A second one under the same reference is refused, and takes nobody else's down with it."""
    journal = open_journal()
    journal.intend([intent(1)])
    journal.record(executed("00.01.01", 4))
    with caplog.at_level(logging.CRITICAL), pytest.raises(JournalUnavailableError, match="once"):
        journal.intend([intent(2), intent(1)])
    assert journal.failed is None
    journal.intend([intent(3)])
    assert [record.order_ref[-1] for record in journal.intents()] == ["1", "3"]
    assert journal.intents()[0].filled == 4


@pytest.mark.parametrize("deed", ["UPDATE intents SET quantity = '1'", "DELETE FROM intents", "DELETE FROM sessions"])
def test_nothing_is_ever_changed_or_removed(open_journal: OpenJournal, deed: str) -> None:
    """The file itself refuses."""
    journal = open_journal()
    journal.intend([intent(1)])
    other = sqlite3.connect(journal.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(deed)
    other.close()


def test_a_second_process_on_the_account_is_refused(open_journal: OpenJournal) -> None:
    """And the first goes on; another account is another journal."""
    first = open_journal()
    with pytest.raises(JournalInUseError, match="another process trades on this paper account"):
        open_journal(SESSIONS[1])
    first.intend([intent(1)])
    other = open_journal(SESSIONS[1], account=AccountId("DU1111111"))
    assert other.path != first.path


def test_two_versions_of_the_code_never_write_one_journal_at_once(open_journal: OpenJournal, tmp_path: Path) -> None:
    """One after the other may; which of them wrote what stays in it."""
    facts = replace(session_facts(SESSIONS[1]), code_hash="0ther")
    first = open_journal()
    with pytest.raises(JournalInUseError, match="stop it first"):
        Journal.open(tmp_path / "state", Mode.PAPER, ACCOUNT, facts, lambda: 1)
    first.close("done")
    second = Journal.open(tmp_path / "state", Mode.PAPER, ACCOUNT, facts, lambda: 1)
    last = second.last_session()
    second.close("done")
    assert last is not None
    assert (last.facts.session, last.facts.code_hash) == (SESSIONS[0], "c0de")


def test_a_second_simulated_session_has_a_journal_of_its_own(open_journal: OpenJournal) -> None:
    """Invented money may be traded twice."""
    first, second = open_journal(mode=Mode.SIMULATED), open_journal(SESSIONS[1], mode=Mode.SIMULATED)
    second.intend([intent(1, SESSIONS[1])])
    second.flush()
    assert first.intents() == ()
    assert len(second.intents()) == 1


def test_no_account_id_is_in_any_file(open_journal: OpenJournal, tmp_path: Path) -> None:
    """Neither in a name nor in a text that the venue sent; control characters stay out too."""
    journal = open_journal()
    journal.intend([intent(1)])
    journal.record(StateChanged(REF, 7, IntentState.REJECTED, f"201: account {ACCOUNT}\n\x1b[31mis short"))
    journal.flush()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) >= 3
    assert not any(
        ACCOUNT.encode() in file.read_bytes() or ACCOUNT in str(file.relative_to(tmp_path)) for file in files
    )
    assert journal.intents()[0].reason == "201: account ***  [31mis short"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions otherwise")
def test_files_are_for_their_owner_only(open_journal: OpenJournal, tmp_path: Path) -> None:
    """The folder too."""
    journal = open_journal()
    journal.intend([intent(1)])
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in journal.path.parent.iterdir()} == {0o600}


def test_a_closed_journal_lets_nothing_through(open_journal: OpenJournal, caplog: pytest.LogCaptureFixture) -> None:
    """Closing twice is once; facts that come later are named in the log."""
    journal = open_journal()
    journal.close("done")
    journal.close("again")
    with pytest.raises(JournalUnavailableError, match="closed"):
        journal.intend([intent(1)])
    with caplog.at_level(logging.ERROR):
        journal.record(executed("00.01.01", 4))
    assert "too late" in caplog.text


def test_a_simulated_burst_is_on_disk_after_closing(open_journal: OpenJournal) -> None:
    """All of it, though it was gathered first and not written one by one."""
    journal = open_journal(mode=Mode.SIMULATED)
    for number in range(500):
        journal.intend([intent(number)])
    journal.close("done")
    assert journal._writer._commits < 100
    with JournalReader(journal.path) as reader:
        assert len(reader.intents()) == 500


def test_over_a_socket_a_simulated_session_leaves_facts_and_tidying_to_a_thread(open_journal: OpenJournal) -> None:
    """Also the last of a burst is written although its caller says nothing more, and no commit stops to tidy up."""
    journal = open_journal(mode=Mode.SIMULATED, beside=True)
    for number in range(100):
        journal.intend([intent(number)])
    assert wait_until(lambda: len(_intents(journal)) == 100, 10)
    journal.record(executed("00.01.01", 4))
    assert wait_until(lambda: len(_executions(journal)) == 1, 10)
    assert journal._writer._connection.execute("PRAGMA wal_autocheckpoint").fetchone()[0] == 0


def _intents(journal: Journal) -> Sequence[object]:
    with JournalReader(journal.path) as reader:
        return reader.intents()


def _executions(journal: Journal) -> Sequence[object]:
    with JournalReader(journal.path) as reader:
        return tuple(reader.executions())


def test_synchronous_is_full_where_money_may_be_real(open_journal: OpenJournal) -> None:
    """2 is FULL, 1 is NORMAL; the log is written ahead everywhere."""
    for mode, wanted in ((Mode.PAPER, 2), (Mode.LIVE, 2), (Mode.SIMULATED, 1)):
        connection = open_journal(mode=mode)._writer._connection
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == wanted
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_new_simulated_account_counts_its_executions_anew(open_journal: OpenJournal) -> None:
    """The same id for another order is another execution; on a real venue an id is of one for ever."""
    for mode, filled in ((Mode.SIMULATED, 6), (Mode.PAPER, 0)):
        first = open_journal(mode=mode)
        first.intend([intent(1)])
        first.record(executed("1.1", 4))
        first.close("done")
        second = open_journal(SESSIONS[1], mode=mode)
        second.intend([intent(1, SESSIONS[1])])
        second.record(executed("1.1", 6, f"{SESSIONS[1]}-1"), executed("1.1", 4))
        assert [record.filled for record in second.intents()] == [4, filled]
        second.close("done")
