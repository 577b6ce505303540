"""The states of an intent: what is known moves forward, claims give way to facts, and nothing is counted twice."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.intents import FOLLOWS, Intent, IntentRecord, IntentState, next_state
from src.domain.journal_facts import (
    Acknowledged,
    Amended,
    Executed,
    JournalFact,
    Refused,
    Sending,
    StateChanged,
)
from src.domain.market import Contract
from src.domain.orders import AccountId, Action, Order, OrderId, OrderType
from src.domain.outcomes import Outcomes, execution_family

S = IntentState
REF = "aaaaaaaaaa-1"
ORDER = Order(
    Contract("MSFT", con_id=272093), Action.SELL, Decimal(10), OrderType.LIMIT, Decimal("99.5"),
    account=AccountId("DU1"), order_ref=REF, oca_group="g",
)  # fmt: skip
INTENT = Intent.of(ORDER, "aaaaaaaaaa", 1, strategy="sma", parent_ref="aaaaaaaaaa-0")


def executed(exec_id: str, shares: int, time: int = 5, ref: str = REF) -> Executed:
    return Executed(exec_id, time, ref, OrderId(7), "MSFT", 272093, Action.SELL, Decimal(shares), Decimal("99.5"))


def changed(state: IntentState, reason: str = "") -> StateChanged:
    return StateChanged(REF, 4, state, reason)


def after(*facts: JournalFact) -> IntentRecord:
    (record,) = Outcomes([INTENT, *facts]).records
    return record


ACKED = Acknowledged(REF, 3, OrderId(7), 99)


def test_an_intent_has_all_of_its_order_but_the_account() -> None:
    """So that it can be told at the venue, and given away."""
    assert (INTENT.order_ref, INTENT.contract, INTENT.action) == (REF, ORDER.contract, ORDER.action)
    assert (INTENT.limit_price, INTENT.oca_group, INTENT.parent_ref) == (ORDER.limit_price, "g", "aaaaaaaaaa-0")
    assert "DU1" not in repr(INTENT)


def test_an_order_goes_its_way() -> None:
    """Written down, sent, acknowledged, filled in parts."""
    facts = (Sending(REF, 2, OrderId(7)), ACKED, executed("0.1.01", 4), executed("0.2.01", 6))
    states = [after(*facts[:count]).state for count in range(5)]
    assert states == [S.INTENT, S.SENDING, S.ACKED, S.PARTIAL, S.FILLED]
    record = after(*facts)
    assert (record.order_id, record.perm_id, record.filled) == (7, 99, Decimal(10))


@pytest.mark.parametrize("state", [S.CANCELLED, S.REJECTED, S.NOT_SENT, S.UNKNOWN, S.REFUSED])
def test_an_execution_after_any_claim_counts(state: IntentState) -> None:
    """Fifteen orders shown as cancelled have been filled before."""
    record = after(changed(state), executed("0.1.01", 10))
    assert (record.state, record.filled) == (S.FILLED, Decimal(10))


def test_a_part_after_cancelled_is_open_again_and_a_part_of_the_unknown_stays_unknown() -> None:
    """Both are for the reconciliation to settle."""
    assert after(changed(S.CANCELLED), executed("0.1.01", 4)).state is S.PARTIAL
    assert after(changed(S.UNKNOWN), executed("0.1.01", 4)).state is S.UNKNOWN


def test_stale_news_changes_nothing() -> None:
    """An acknowledgement after the end, a cancel after the fill."""
    filled = after(ACKED, executed("0.1.01", 10))
    assert after(ACKED, executed("0.1.01", 10), ACKED, changed(S.CANCELLED), changed(S.UNKNOWN)) == filled
    assert after(ACKED, changed(S.CANCELLED), ACKED).state is S.CANCELLED


def test_doubt_reopens_a_claim() -> None:
    """Reported cancelled, found working: said by whoever reconciles."""
    assert after(ACKED, changed(S.CANCELLED), changed(S.UNKNOWN), ACKED).state is S.ACKED


def test_a_correction_replaces_and_a_duplicate_adds_nothing() -> None:
    """By the last part of the execution's id; an older revision that comes late is none."""
    record = after(executed("0.1.01", 4), executed("0.1.01", 4), executed("0.1.02", 6), executed("0.1.01", 4))
    assert record.filled == 6
    assert after(executed("0.1.01", 4), executed("0.1.02", 0)).filled == 0


def test_a_correction_does_not_open_again_what_has_ended() -> None:
    """It says of what terms an execution was, and nothing of whether the order works; of all shares, it has filled."""
    ended = (executed("0.1.01", 8), changed(S.CANCELLED))
    assert after(ACKED, *ended, executed("0.1.02", 2)).state is S.CANCELLED
    assert after(ACKED, *ended, executed("0.1.02", 10)).state is S.FILLED
    assert after(ACKED, *ended, executed("0.2.01", 1)).state is S.PARTIAL  # another execution: it may work still


def test_a_bust_of_a_filled_order_does_not_make_it_work_again() -> None:
    """The order is done at the venue, whatever of it counts."""
    record = after(executed("0.1.01", 10), executed("0.1.02", 4))
    assert (record.state, record.filled) == (S.FILLED, Decimal(4))


def test_an_amended_quantity_is_what_filled_means() -> None:
    """Ten of twenty are a part."""
    assert after(ACKED, Amended(REF, 4, Decimal(20)), executed("0.1.01", 10)).state is S.PARTIAL
    assert after(ACKED, Amended(REF, 4, Decimal(5)), executed("0.1.01", 5)).state is S.FILLED


def test_a_refusal_names_rule_limit_and_value() -> None:
    """And nothing was sent."""
    record = after(Refused(REF, 2, "RISK_MAX_ORDER_QTY", "500", "501"))
    assert (record.state, record.reason) == (S.REFUSED, "RISK_MAX_ORDER_QTY: limit 500, value 501")


def test_what_is_not_ours_changes_no_intent() -> None:
    """An order of another program, or of a person, has executions too."""
    outcomes = Outcomes([INTENT, executed("0.9.01", 3, ref=""), executed("0.8.01", 3, ref="theirs-1")])
    assert outcomes.records == (IntentRecord.begin(INTENT),)
    assert len(outcomes.executions) == 2


@pytest.mark.parametrize(
    ("exec_id", "expected"),
    [
        ("0000e0d5.67fe667b.01.01", ("0000e0d5.67fe667b.01", 1)),
        ("0000e0d5.67fe667b.01.02", ("0000e0d5.67fe667b.01", 2)),
        ("17.01", ("17.01", 0)),
        ("plain", ("plain", 0)),
        ("a.b.c", ("a.b.c", 0)),
    ],
)
def test_a_correction_is_of_the_same_family(exec_id: str, expected: tuple[str, int]) -> None:
    """TWS's ids have four parts, ours two and no revision."""
    assert execution_family(exec_id) == expected


@pytest.mark.parametrize(("state", "news"), list(product(S, S)))
def test_the_table_is_whole(state: IntentState, news: IntentState) -> None:
    """Every state has its row; news moves or is ignored, and filled is the last word."""
    moved = next_state(state, news)
    assert moved in {state, news}
    assert (moved is news) == (news in FOLLOWS[state] or state is news)
    assert S.INTENT not in FOLLOWS[state]
    assert state is not S.FILLED or moved is S.FILLED
    assert state in {S.FILLED, S.REFUSED} or S.UNKNOWN in FOLLOWS[state] or state is S.UNKNOWN


_exec_ids = st.tuples(st.integers(1, 3), st.integers(1, 3)).map(lambda ids: f"0.{ids[0]}.0{ids[1]}")
_news = st.one_of(
    st.builds(changed, st.sampled_from(sorted(set(S) - {S.INTENT, S.PARTIAL, S.FILLED}))),
    st.just(ACKED),
    st.just(Sending(REF, 2, OrderId(7))),
    st.builds(executed, _exec_ids, st.integers(0, 4)),
)


@given(st.lists(_news, max_size=30))
def test_executed_is_the_sum_of_the_latest_revisions_whatever_happens(facts: list[JournalFact]) -> None:
    """Duplicates, corrections, late and early news in any order; who has it all is filled, and stays so."""
    outcomes = Outcomes([INTENT])
    latest: dict[str, tuple[int, Decimal]] = {}
    was_filled = False
    for each in facts:
        outcomes.take(each)
        if isinstance(each, Executed):
            family, revision = execution_family(each.exec_id)
            if revision > latest.get(family, (0, Decimal(0)))[0]:
                latest[family] = revision, each.shares
        (record,) = outcomes.records
        assert record.filled == sum((shares for _, shares in latest.values()), Decimal(0))
        assert not was_filled or record.state is S.FILLED
        was_filled = was_filled or (isinstance(each, Executed) and record.filled >= 10)
        assert record.state.is_settled == (record not in outcomes.unsettled)


@given(st.lists(_news, max_size=20))
def test_telling_everything_twice_changes_nothing(facts: list[JournalFact]) -> None:
    """As after a restart, when the venue repeats the executions."""
    executions = [each for each in facts if isinstance(each, Executed)]
    once, twice = Outcomes([INTENT, *facts]), Outcomes([INTENT, *facts, *executions])
    assert twice.records == once.records
    assert twice.executions == once.executions


def test_what_is_open_is_told_while_another_thread_takes_facts_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guards' watch asks while an order is being written down."""
    outcomes = Outcomes([INTENT])

    class Meanwhile:
        """The state of an intent; while it is looked at, another intent comes."""

        @property
        def is_settled(self) -> bool:
            outcomes.take(replace(INTENT, order_ref="aaaaaaaaaa-2"))
            return False

    monkeypatch.setattr(IntentRecord, "state", Meanwhile())
    assert [record.order_ref for record in outcomes.unsettled] == [REF]
    assert len(outcomes.records) == 2
