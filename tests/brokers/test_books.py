"""The books of a session: every execution once, corrections replace, late ones count; what the lists say."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.brokers.books import Books
from src.brokers.reconciling import ENDED_UNSEEN, NEVER_ARRIVED, is_listed, reconcile
from src.domain.events import Filled
from src.domain.intents import Intent, IntentRecord, IntentState
from src.domain.journal_facts import SessionFacts, StateChanged
from src.domain.market import Contract, Mode
from src.domain.orders import AccountId, Action, Execution, Fill, Order, OrderId, OrderStatus, OrderType, Trade
from src.domain.outcomes import Outcomes
from src.records.journal import Journal

NVDA = Contract("NVDA", con_id=1)
ORDER = Order(NVDA, Action.BUY, Decimal(10), OrderType.LIMIT, Decimal(100), order_ref="s-1")


def execution(
    number: int = 1, revision: int = 1, shares: int = 10, ref: str = "s-1", side: Action = Action.BUY
) -> Execution:
    amount = Decimal(shares)
    exec_id = f"0001.{number:04}.01.{revision:02}"
    return Execution(
        exec_id, OrderId(1), NVDA, AccountId("U1"), side, amount, Decimal(100), 5, amount, Decimal(100), ref
    )


def trade(status: OrderStatus, perm_id: int = 9) -> Trade:
    return Trade(OrderId(1), ORDER, status, Decimal(0), Decimal(10), Decimal(0), 5, perm_id)


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    """Books with a journal, and one intent in them."""
    journal = Journal.open(tmp_path, Mode.PAPER, AccountId("DU0000001"), SessionFacts("s", 1, "", "", ""), lambda: 5)
    found = Books(journal, "s", lambda: 5, lambda: "today")
    found.open(Mode.PAPER)
    found.intend([ORDER])
    yield found
    found.close("done")


def state(books: Books) -> IntentState | None:
    record = books.outcomes.of("s-1")
    return None if record is None else record.state


def test_an_execution_counts_once_however_often_it_is_told(books: Books) -> None:
    for _ in range(5):
        books.hear(Filled(Fill(execution(shares=4))))
    assert books.catch_up([Fill(execution(shares=4))], announce=True) == 0
    assert (books.positions, state(books)) == ({1: Decimal(4)}, IntentState.PARTIAL)


def test_a_correction_replaces_and_an_old_revision_is_not_news(books: Books) -> None:
    assert books.book(execution(shares=10))
    assert books.book(execution(revision=2, shares=6))
    assert not books.book(execution(revision=1, shares=10))
    assert books.positions == {1: Decimal(6)}


def test_a_fill_after_a_cancel_is_booked_and_said_aloud(books: Books, caplog: pytest.LogCaptureFixture) -> None:
    books.state("s-1", IntentState.CANCELLED)
    assert books.book(execution())
    assert state(books) is IntentState.FILLED
    [record] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert "was CANCELLED, and 10 NVDA have filled" in record.getMessage()


@pytest.mark.parametrize(
    ("revision", "shares", "says"),
    [
        (1, 4, "filled while this session did not watch: BUY 4 NVDA at 100, order s-1"),
        (2, 6, "corrected by the venue to BUY 6 NVDA at 100, order s-1"),
        (2, 0, "annulled by the venue (a bust): execution 0001.0001.01.02 of NVDA, order s-1"),
    ],
)
def test_what_was_missed_is_called_what_it_is(
    books: Books, caplog: pytest.LogCaptureFixture, revision: int, shares: int, says: str
) -> None:
    if revision > 1:
        books.book(execution(shares=10))
    books.catch_up([Fill(execution(revision=revision, shares=shares))], announce=True)
    assert [record.getMessage() for record in caplog.records] == [says]


def test_executions_of_others_move_the_position_and_no_intent(books: Books) -> None:
    books.book(execution(2, ref="", shares=3))
    books.book(execution(3, ref="theirs", shares=2))
    assert books.positions == {1: Decimal(5)}
    assert state(books) is IntentState.INTENT


def test_a_restart_knows_what_was_booked(books: Books) -> None:
    books.book(execution())
    books.flush()
    again = Books(books.journal, "s", lambda: 5, lambda: "today")
    assert again.open(Mode.PAPER) == ()
    assert again.positions == {1: Decimal(10)}
    assert not again.book(execution())


def test_round_trips_are_counted_by_the_day(books: Books) -> None:
    for number, side in enumerate([Action.BUY, Action.SELL, Action.SELL, Action.BUY]):
        books.book(execution(number, side=side))
    assert books.round_trips == 2
    books.today = lambda: "tomorrow"
    assert books.round_trips == 0


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(0, 9)), max_size=20))
def test_in_whatever_order_they_come_the_latest_revision_of_each_counts(told: list[tuple[int, int, int]]) -> None:
    books = Books(None, "s", lambda: 5, lambda: "today")
    latest: dict[int, tuple[int, int]] = {}
    for number, revision, shares in told:
        books.book(execution(number, revision, shares))
        if number not in latest or latest[number][0] < revision:
            latest[number] = revision, shares
    assert books.positions.get(1, 0) == sum(shares for _, shares in latest.values())


def record_in(known: IntentState) -> IntentRecord:
    return replace(IntentRecord.begin(Intent.of(ORDER, "s", 1)), state=known)


@pytest.mark.parametrize(
    ("known", "listed", "executed", "renewed", "becomes"),
    [
        (IntentState.UNKNOWN, OrderStatus.SUBMITTED, 0, False, IntentState.ACKED),
        (IntentState.UNKNOWN, OrderStatus.CANCELLED, 0, True, IntentState.CANCELLED),
        (IntentState.UNKNOWN, OrderStatus.INACTIVE, 0, False, IntentState.REJECTED),
        (IntentState.UNKNOWN, OrderStatus.FILLED, 0, False, IntentState.FILLED),
        (IntentState.UNKNOWN, None, 10, False, IntentState.FILLED),
        (IntentState.UNKNOWN, None, 0, False, IntentState.UNKNOWN),
        (IntentState.UNKNOWN, None, 0, True, IntentState.NOT_SENT),
        (IntentState.INTENT, None, 0, True, IntentState.NOT_SENT),
        (IntentState.ACKED, None, 0, True, IntentState.CANCELLED),
        (IntentState.ACKED, None, 0, False, IntentState.ACKED),
        (IntentState.UNKNOWN, None, 4, False, IntentState.UNKNOWN),
        (IntentState.UNKNOWN, None, 4, True, IntentState.CANCELLED),
    ],
)
def test_an_outcome_is_what_the_lists_say_and_silence_counts_over_a_new_connection_only(
    known: IntentState, listed: OrderStatus | None, executed: int, renewed: bool, becomes: IntentState
) -> None:
    trades = {} if listed is None else {"s-1": trade(listed)}
    facts = reconcile([record_in(known)], trades, {"s-1": Decimal(executed)}, frozenset(["s-1"] if renewed else []), 7)
    outcomes = Outcomes([Intent.of(ORDER, "s", 1), StateChanged("s-1", 2, known), *facts])
    found = outcomes.of("s-1")
    assert found is not None
    assert found.state is becomes
    assert found.reason in ("", NEVER_ARRIVED, ENDED_UNSEEN) or found.reason.startswith("by ")


def test_what_only_we_have_written_down_is_not_listed() -> None:
    assert not is_listed(trade(OrderStatus.PENDING_SUBMIT, perm_id=0))
    assert is_listed(trade(OrderStatus.PENDING_SUBMIT))
    assert is_listed(trade(OrderStatus.SUBMITTED, perm_id=0))
