"""`python -m src orders`: every intent and what became of it, also while a trader runs and after one was killed."""

import json
from decimal import Decimal
from pathlib import Path

from src.domain.intents import IntentState
from src.domain.journal_facts import Acknowledged, Executed, StateChanged
from src.domain.market import Mode
from src.domain.orders import Action, OrderId
from src.records.order_list import order_answers, sessions_with_orders
from tests.conftest import ROOT, Run
from tests.records.conftest import SESSIONS, OpenJournal, intent


def trade(open_journal: OpenJournal) -> None:
    """Two sessions: what the first left behind, the second settles; it still runs."""
    first = open_journal()
    first.intend([intent(1), intent(2)], [OrderId(7), OrderId(8)])
    first.record(StateChanged(f"{SESSIONS[0]}-1", 2_000_000_000, IntentState.UNKNOWN, "no answer in 5 s"))
    first.close("killed, say")
    second = open_journal(SESSIONS[1])
    second.intend([intent(1, SESSIONS[1])])
    ref = f"{SESSIONS[0]}-1"
    second.record(
        Acknowledged(ref, 3_000_000_000, OrderId(7), 99),
        Executed("0.1.01", 4_000_000_000, ref, OrderId(7), "MSFT", 1, Action.BUY, Decimal(10), Decimal("99.5")),
    )
    second.flush()


def test_json_has_each_order_with_what_became_of_it(open_journal: OpenJournal, run: Run) -> None:
    """Beside the trader, which still writes."""
    trade(open_journal)
    done = run("-m", "src", "orders", "--json", cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, third = json.loads(done.stdout)
    assert first == {
        "order_ref": f"{SESSIONS[0]}-1",
        "order_id": 7,
        "symbol": "MSFT",
        "side": "BUY",
        "quantity": 10,
        "state": "FILLED",
        "filled": 10,
        "updated": "1970-01-01T00:00:04Z",
        "mode": "paper",
    }
    assert (second["state"], second["filled"]) == ("SENDING", 0)
    assert (third["state"], third["order_id"]) == ("INTENT", None)


def test_the_table_tells_a_person_the_same(open_journal: OpenJournal, run: Run) -> None:
    """Session by session, each with its mode and how it ended."""
    trade(open_journal)
    done = run("-m", "src", "orders", cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Session {SESSIONS[0]}, PAPER" in done.stdout
    assert "killed, say" in done.stdout
    assert "not ended: it runs, or was killed" in done.stdout
    filled = next(line for line in done.stdout.splitlines() if f"{SESSIONS[0]}-1" in line)
    assert "SENDING" in done.stdout
    assert filled.split() == f"1970-01-01 00:00:04 {SESSIONS[0]}-1 7 MSFT BUY 10 FILLED 10".split()


def test_options_choose_a_session_or_a_mode(open_journal: OpenJournal, tmp_path: Path, run: Run) -> None:
    """A session that is nowhere is wrong use."""
    trade(open_journal)
    simulated = open_journal(SESSIONS[2], mode=Mode.SIMULATED)
    simulated.intend([intent(1, SESSIONS[2])])
    simulated.flush()
    state = tmp_path / "state"
    assert [len(order_answers(sessions_with_orders(state, mode=mode) or ())) for mode in Mode] == [0, 1, 3, 0]
    assert len(order_answers(sessions_with_orders(state, session=SESSIONS[0]) or ())) == 2
    done = run("-m", "src", "orders", "--session", "nowhere", cwd=ROOT)
    assert done.returncode == 2
    assert "no journal in" in done.stderr


def test_without_a_journal_it_says_so(run: Run) -> None:
    """As a sentence for a person, and an empty list for a program."""
    done = run("-m", "src", "orders", cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "")
    assert "There is no journal in" in done.stderr
    done = run("-m", "src", "orders", "--json", "--mode", "live", cwd=ROOT)
    assert json.loads(done.stdout) == []
    assert "There is no live journal in" in done.stderr
