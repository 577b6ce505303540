"""T13 and the kill: whatever happens to the file, nothing is sent that is not written down, and the file is kept."""

import logging
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path

import pytest

from src.domain.errors import JournalError, JournalInUseError, JournalUnavailableError
from src.domain.intents import IntentState
from src.domain.journal_facts import StateChanged
from src.domain.market import Mode
from src.records.journal import Journal
from src.records.journal_reading import JournalReader
from src.runtime.clock import monotonic
from tests.records.conftest import ACCOUNT, SESSIONS, OpenJournal, intent, session_facts
from tests.records.journal_faults import Fault, locked, log_removed, read_only, removed, replaced, too_large

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows lets nobody remove a file that is open")


def impatient(journal: Journal) -> None:
    """Wait for a lock no longer than a test likes."""
    journal._writer._connection.execute("PRAGMA busy_timeout = 20")


@contextmanager
def held(journal: Journal) -> Iterator[None]:
    """A backup tool holds the file for longer than the test waits."""
    impatient(journal)
    with locked(journal):
        yield


@contextmanager
def full(journal: Journal) -> Iterator[None]:
    """No page more fits on the disk."""
    connection = journal._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    yield
    connection.execute("PRAGMA max_page_count = 1000000")


_numbers = count(1000)


def fill(journal: Journal) -> None:
    """Write until nothing more goes in: a page that has room left takes a few rows."""
    for number in islice(_numbers, 200):
        journal.intend([intent(number)])


PASSING = [held, full]
LASTING = [read_only, *([] if sys.platform == "win32" else [too_large, removed, replaced, log_removed])]


@pytest.mark.parametrize("fault", [*PASSING, *LASTING], ids=lambda fault: fault.__name__)
def test_no_intent_passes_a_journal_that_cannot_write(
    open_journal: OpenJournal, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """It says why, once in the log; what was written before is kept, and what passes by itself is tried again."""
    journal = open_journal()
    journal.intend([intent(1)])
    with fault(journal):
        with pytest.raises(JournalUnavailableError, match=str(journal.path)):
            fill(journal)
        assert journal.failed is not None
        assert "no new orders" in journal.failed
        journal.record(StateChanged(f"{SESSIONS[0]}-1", 9, IntentState.CANCELLED))  # never raises
        if fault is not full:  # a small fact finds room where an intent does not
            with pytest.raises(JournalUnavailableError):
                journal.flush()
        with pytest.raises(JournalUnavailableError):
            fill(journal)
        assert fault is full or len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1
    with JournalReader(journal.path) as reader:
        before = reader.intents()
    assert before[0].intent == intent(1)
    if fault in PASSING:
        journal.intend([intent(2)])
        assert journal.failed is None
        assert journal.intents()[0].state is IntentState.CANCELLED
    else:
        with pytest.raises(JournalUnavailableError, match="restart"):
            journal.intend([intent(2)])
        assert "restart" in (journal.failed or "")


def test_a_lock_that_passes_is_noticed_without_a_new_order(open_journal: OpenJournal) -> None:
    """The journal tries again by itself: whoever looks at `failed` first would wait for ever otherwise."""
    journal = open_journal()
    with held(journal), pytest.raises(JournalUnavailableError):
        journal.intend([intent(1)])
    deadline = monotonic() + 60
    while journal.failed is not None and monotonic() < deadline:
        threading.Event().wait(0.01)
    assert journal.failed is None
    assert journal.intents() == ()


def test_a_lock_is_waited_for_two_seconds(open_journal: OpenJournal) -> None:
    """A reader's moment is none."""
    assert open_journal()._writer._connection.execute("PRAGMA busy_timeout").fetchone()[0] == 2000


def test_a_fact_that_cannot_be_written_closes_the_journal_for_orders(
    open_journal: OpenJournal, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake of ours raises nothing into trading, and lets nothing through afterwards."""
    journal = open_journal()
    journal.record("not a fact")  # type: ignore[arg-type]
    assert "does not take" in caplog.text
    with pytest.raises(JournalUnavailableError, match="not a fact"):
        journal.intend([intent(1)])


@POSIX
def test_wherever_the_disk_ends_what_was_promised_is_there(tmp_path: Path) -> None:
    """The system refuses to write at a random length of the log: what `intend` returned for is there, and no more."""
    chance, stopped = random.Random(7), 0  # noqa: S311
    for turn in range(20):
        journal = Journal.open(tmp_path / str(turn), Mode.PAPER, ACCOUNT, session_facts(), lambda: 1)
        promised: list[str] = []
        with too_large(journal, chance.randrange(200_000)), suppress(JournalUnavailableError):
            for number in range(40):
                journal.intend([intent(number)])
                promised.append(f"{SESSIONS[0]}-{number}")
        stopped += journal.failed is not None
        journal._release()
        again = Journal.open(tmp_path / str(turn), Mode.PAPER, ACCOUNT, session_facts(SESSIONS[1]), lambda: 1)
        found = [record.order_ref for record in again.intents()]
        assert found[: len(promised)] == promised
        assert len(found) <= len(promised) + 1  # the one in doubt may be there: it is looked for at the venue
        again.close("done")
    assert 5 < stopped <= 20


def test_sixteen_callers_share_commits_and_lose_nothing(open_journal: OpenJournal) -> None:
    """Each intent is on the disk when its own call returns; fewer commits than calls."""
    journal = open_journal()
    before, missing = journal._writer._commits, list[str]()

    def caller(name: int) -> None:
        for number in range(10):
            own = intent(f"{name}x{number}")
            journal.intend([own])
            if number == 9:
                with JournalReader(journal.path) as reader:
                    if own not in [record.intent for record in reader.intents()]:
                        missing.append(own.order_ref)

    threads = [threading.Thread(target=caller, args=(name,)) for name in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)
    assert missing == []
    assert 10 <= journal._writer._commits - before < 160
    assert len(journal.intents()) == 160


WRITER = Path(__file__).with_name("journal_writer.py")


@POSIX
def test_what_intend_returned_for_survives_a_kill(tmp_path: Path) -> None:
    """Four callers, killed again and again at some point; the next session finds every one of them, and goes on."""
    chance, told = random.Random(9), set()  # noqa: S311
    for turn in range(8):
        command = [sys.executable, str(WRITER), str(tmp_path), f"session{turn:03}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            for _ in range(chance.randrange(60)):
                told.add(process.stdout.readline().strip())
            os.kill(process.pid, signal.SIGKILL)
            told |= {line.strip() for line in process.stdout if line.endswith("\n")}
        journal = Journal.open(tmp_path, Mode.PAPER, ACCOUNT, session_facts(f"between{turn:03}"), lambda: 1)
        last = journal.last_session()
        assert last is not None
        assert (last.facts.session, last.ended_cleanly) == (f"session{turn:03}", False)
        assert told <= {record.order_ref for record in journal.intents()}
        assert {record.state for record in journal.unsettled()} == {IntentState.INTENT}
        journal.close("done")
    assert len(told) > 50


@POSIX
def test_a_kill_while_it_opens_leaves_a_journal_that_opens(tmp_path: Path) -> None:
    """Also when it is made at that moment."""
    chance = random.Random(3)  # noqa: S311
    for turn in range(6):
        folder = tmp_path / str(turn)
        command = [sys.executable, str(WRITER), str(folder), SESSIONS[0]]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while not (folder / "journal").exists():
                threading.Event().wait(0.0005)
            threading.Event().wait(chance.random() * 0.03)
            process.kill()
        journal = Journal.open(folder, Mode.PAPER, ACCOUNT, session_facts(SESSIONS[1]), lambda: 1)
        journal.intend([intent(1, SESSIONS[1])])
        journal.close("done")


@POSIX
def test_a_second_process_is_refused_by_a_sentence(open_journal: OpenJournal, tmp_path: Path) -> None:
    """Before it could do anything."""
    open_journal()
    command = [sys.executable, str(WRITER), str(tmp_path / "state"), SESSIONS[1]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert JournalInUseError.__name__ in done.stderr
    assert "stop it first" in done.stderr
    with suppress(JournalError):
        open_journal(SESSIONS[2])
