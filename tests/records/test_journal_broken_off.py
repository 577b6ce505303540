"""Ctrl-C while the disk works is told once the commit is on the disk: what comes after it is written all the same."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from src.domain.journal_facts import Charged
from src.domain.market import Mode
from src.records.journal_reading import JournalReader
from src.records.journal_writing import Insert, JournalWriter
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
