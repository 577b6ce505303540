"""Ctrl-C while the disk works is told once the commit is on the disk: what comes after it is written all the same."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal

import pytest

from src.domain.journal_facts import Charged
from src.domain.market import Mode
from src.records import journal as journal_module
from src.records import journal_writing
from src.records.journal_reading import JournalReader
from src.records.journal_writing import Insert, JournalWriter
from tests.interrupting import CtrlC, at_every_point, on_its_own_thread
from tests.records.conftest import SESSIONS, OpenJournal, intent
from tests.records.test_journal import executed


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Append to it, and the next commit ends with Ctrl-C, as Python tells a signal that came while SQLite worked."""
    soon: list[bool] = []
    commit = JournalWriter._all

    def broken_off(writer: JournalWriter, inserts: Sequence[Insert], groups: int) -> Sequence[Exception | None]:
        errors = commit(writer, inserts, groups)
        if soon:
            soon.clear()
            raise KeyboardInterrupt
        return errors

    monkeypatch.setattr(JournalWriter, "_all", broken_off)
    return soon


def test_intents_are_taken_after_ctrl_c_in_a_commit(open_journal: OpenJournal, interrupted: list[bool]) -> None:
    journal = open_journal()
    interrupted.append(True)
    with pytest.raises(KeyboardInterrupt):
        journal.intend([intent(1)])
    journal.intend([intent(2)])
    assert [each.order_ref for each in journal.intents()] == [f"{SESSIONS[0]}-1", f"{SESSIONS[0]}-2"]


def test_no_execution_is_lost_after_ctrl_c_in_a_commit(open_journal: OpenJournal, interrupted: list[bool]) -> None:
    journal = open_journal()
    interrupted.append(True)
    with pytest.raises(KeyboardInterrupt):
        journal.commit(executed("00.01.01", 4))
    journal.commit(executed("00.02.01", 4))
    assert set(journal.known_executions()) == {"00.01.01", "00.02.01"}


def test_nothing_is_written_twice_after_ctrl_c_in_a_commit(open_journal: OpenJournal, interrupted: list[bool]) -> None:
    journal = open_journal(mode=Mode.SIMULATED)
    charged = Charged("00.01.01", 6, Decimal("1.0035"), None, "USD")
    interrupted.append(True)
    with pytest.raises(KeyboardInterrupt):
        journal.commit(charged)
    journal.flush()
    with JournalReader(journal.path) as reader:
        assert reader.facts(Charged) == (charged,)


@pytest.mark.parametrize("disk_has_it", [False, True], ids=["anywhere in a commit", "and again after one that is done"])
@on_its_own_thread
def test_ctrl_c_at_any_point_of_a_commit_loses_nothing_and_writes_nothing_twice(
    open_journal: OpenJournal, monkeypatch: pytest.MonkeyPatch, disk_has_it: bool
) -> None:
    """What waited is in the journal once, in its order, after the next commit."""
    facts = tuple(Charged(f"00.0{number}.01", number, Decimal(1), None, "USD") for number in range(1, 4))
    last = Charged("00.09.01", 9, Decimal(1), None, "USD")
    commit, points = JournalWriter._all, 0
    for ctrl_c in at_every_point(journal_module.__file__, journal_writing.__file__):
        journal = open_journal(mode=Mode.SIMULATED, session=f"{points:010d}")
        journal._waiting.extend(journal._writer.line(each) for each in facts)

        def broken_off(
            writer: JournalWriter, inserts: Sequence[Insert], groups: int, again: CtrlC = ctrl_c
        ) -> Sequence[Exception | None]:
            commit(writer, inserts, groups)
            again.arm()
            raise KeyboardInterrupt

        with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
            if disk_has_it:
                patched.setattr(JournalWriter, "_all", broken_off)
            else:
                ctrl_c.arm()
            journal.flush()
        sys.settrace(None)
        journal.commit(last)
        journal.close("the point is over")
        with JournalReader(journal.path) as reader:
            assert reader.facts(Charged, session=f"{points:010d}") == (*facts, last), points
        points += 1
    assert points > 3
