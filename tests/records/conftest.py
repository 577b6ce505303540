"""What tests of the journal share: an account, sessions, intents, and a journal of their own."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from src.domain.intents import Intent
from src.domain.journal_facts import SessionFacts
from src.domain.market import Contract, Mode
from src.domain.orders import AccountId, Action, Order
from src.records.journal import Journal

ACCOUNT = AccountId("DU7654321")
SESSIONS = ("aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc")

OpenJournal = Callable[..., Journal]


def session_facts(session: str = SESSIONS[0], client_id: int = 1) -> SessionFacts:
    """A session of a program that does not change."""
    return SessionFacts(session, client_id, "c0ffee", "c0de", "1.0")


def intent(number: int | str, session: str = SESSIONS[0], quantity: int = 10) -> Intent:
    """The intent to buy so many shares."""
    order = Order(Contract("MSFT", con_id=272093), Action.BUY, Decimal(quantity), order_ref=f"{session}-{number}")
    return Intent.of(order, session, 1_000 + (number if isinstance(number, int) else 0), strategy="sma")


@pytest.fixture
def open_journal(tmp_path: Path) -> Iterator[OpenJournal]:
    """Open journals in a state folder of the test's own, on a clock that counts; what is open at the end is closed."""
    journals: list[Journal] = []
    clock = count(1_000_000)

    def open_one(
        session: str = SESSIONS[0], mode: Mode = Mode.PAPER, account: AccountId = ACCOUNT, *, beside: bool = False
    ) -> Journal:
        folder, facts = tmp_path / "state", session_facts(session)
        journal = Journal.open(folder, mode, account, facts, lambda: next(clock), beside=beside)
        journals.append(journal)
        return journal

    yield open_one
    for journal in journals:
        journal.close("the test is over")
