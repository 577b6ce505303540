# mypy: disable-error-code=comparison-overlap
# A Decimal equals an int, and an empty tuple every other.
"""What became of an order, whatever TWS sends and in whatever order."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import count, permutations

import pytest

from src.brokers.tws.convert import Executed, OpenOrder, StatusReport
from src.brokers.tws.order_book import OrderBook
from src.domain.events import CommissionCharged, Event, Filled, Notice, OrderChanged
from src.domain.market import Contract
from src.domain.orders import (
    AccountId,
    Action,
    CommissionReport,
    Execution,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    Origin,
    Trade,
)

NVDA = Contract("NVDA", con_id=4815747)
OURS = AccountId("DUSIM01")
ME, ID, PERM = 1, OrderId(7), 9001
ORDER = Order(NVDA, Action.BUY, Decimal(10), OrderType.LIMIT, Decimal(100), account=OURS, order_ref="s-1")


def book() -> OrderBook:
    ticks = count(1)
    made = OrderBook(lambda: next(ticks), [])
    made.account, made.client_id = OURS, ME
    made.expect(ID, ORDER)
    made.finish()
    return made


def echo(status: str = "Submitted", order: Order = ORDER, client: int = ME, perm: int = PERM) -> OpenOrder:
    return OpenOrder(ID if client else OrderId(0), client, perm, order, OrderStatus(status))


def report(status: str, filled: int = 0, price: str | None = None) -> StatusReport:
    return StatusReport(ID, ME, PERM, OrderStatus(status), Decimal(filled), Decimal(price) if price else None)


def executed(exec_id: str, shares: int, price: str = "100", account: AccountId = OURS) -> Executed:
    amount, paid = Decimal(shares), Decimal(price)
    execution = Execution(exec_id, ID, NVDA, account, Action.BUY, amount, paid, 5, amount, paid)
    return Executed(execution, ME, PERM)


def now(found: OrderBook) -> Trade:
    found.finish()
    return found.trades[ID]


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_an_order_is_pending_until_tws_shows_it() -> None:
    found = book()
    assert now(found).status is OrderStatus.PENDING_SUBMIT
    assert found.working
    found.opened(echo("PreSubmitted"))
    assert (now(found).status, now(found).perm_id) == (OrderStatus.PRE_SUBMITTED, PERM)


def test_nothing_is_seen_before_the_end_of_a_packet() -> None:
    """The filled order, its fill and its commission come together."""
    found = book()
    found.reported(report("Filled", 10, "100"))
    found.executed(executed("a.b.01.01", 10), live=True)
    assert found.trades[ID].status is OrderStatus.PENDING_SUBMIT
    assert not found.fills
    found.finish()
    assert found.trades[ID].status is OrderStatus.FILLED
    assert found.fills
    assert not found.working


def test_an_error_message_alone_changes_nothing() -> None:
    """Whatever its code: 10349, 103, 161, 201, 202 all came for orders that lived."""
    found = book()
    found.opened(echo())
    before = now(found)
    for code in (10349, 103, 104, 110, 161, 201, 202, 399, 10148):
        found.claim(ID, code, "whatever it says")
    assert now(found) == before


@pytest.mark.parametrize("claim_first", [True, False])
def test_a_rejection_has_its_reason_whichever_comes_first(claim_first: bool) -> None:
    found = book()
    if claim_first:
        found.claim(ID, 201, "Order rejected - reason:margin")
        found.reported(report("Inactive"))
    else:
        found.reported(report("Inactive"))
        found.claim(ID, 201, "Order rejected - reason:margin")
    trade = now(found)
    assert (trade.status, trade.code, trade.reason) == (OrderStatus.INACTIVE, 201, "Order rejected - reason:margin")
    assert not found.working


@pytest.mark.parametrize(
    ("first", "later", "stays"),
    [
        ("Filled", "Submitted", "Filled"),
        ("Filled", "Cancelled", "Filled"),
        ("Cancelled", "Submitted", "Cancelled"),
        ("Cancelled", "PendingCancel", "Cancelled"),
        ("Submitted", "PendingSubmit", "Submitted"),
        ("Inactive", "Submitted", "Submitted"),
        ("Submitted", "PendingCancel", "PendingCancel"),
        ("PendingCancel", "Cancelled", "Cancelled"),
    ],
)
def test_a_status_only_gains_information(first: str, later: str, stays: str) -> None:
    found = book()
    found.reported(report(first, 10 if first == "Filled" else 0))
    found.reported(report(later))
    assert now(found).status == stays


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_order_of_messages_does_not_matter(order: tuple[int, ...]) -> None:
    """Echo, status, execution and commission, in every order: the same trade and fill."""
    found = book()
    charge = CommissionReport("a.b.01.01", Decimal(1), None)
    steps: list[Callable[[], object]] = [
        lambda: found.opened(echo("Filled")),
        lambda: found.reported(report("Filled", 10, "99.5")),
        lambda: found.executed(executed("a.b.01.01", 10, "99.5"), live=True),
        lambda: found.charged(charge, live=True),
    ]
    for index in order:
        steps[index]()
    trade = now(found)
    assert (trade.status, trade.filled, trade.remaining) == (OrderStatus.FILLED, 10, 0)
    assert (trade.average_fill_price, trade.commission, trade.perm_id) == (Decimal("99.5"), 1, PERM)
    [fill] = found.fills.values()
    assert fill.commission_report == charge
    assert kinds(found.events).count("Filled") == kinds(found.events).count("CommissionCharged") == 1


def test_executions_alone_fill_an_order() -> None:
    """IB says that a status may not come."""
    found = book()
    found.executed(executed("a.b.01.01", 4, "99"), live=True)
    assert (now(found).status, now(found).filled) == (OrderStatus.PENDING_SUBMIT, 4)
    found.executed(executed("a.b.02.01", 6, "100"), live=True)
    trade = now(found)
    assert (trade.status, trade.average_fill_price) == (OrderStatus.FILLED, Decimal("99.6"))


def test_an_execution_counts_once() -> None:
    found = book()
    moves = [found.executed(executed("a.b.01.01", 4), live=True) for _ in range(5)]
    assert moves == [4, None, None, None, None]
    assert now(found).filled == 4
    assert kinds(found.events) == ["Filled", "OrderChanged"]


def test_a_correction_replaces_and_never_adds() -> None:
    found = book()
    found.executed(executed("a.b.01.01", 4, "100"), live=True)
    found.charged(CommissionReport("a.b.01.01", Decimal(1), None), live=True)
    assert found.executed(executed("a.b.01.02", 3, "101"), live=True) == -1
    assert found.executed(executed("a.b.01.01", 4, "100"), live=True) is None
    trade = now(found)
    assert (trade.filled, trade.average_fill_price, trade.commission) == (3, 101, 0)
    assert [fill.execution.shares for fill in found.fills.values()] == [3]
    assert isinstance(found.events[-2], Notice)
    assert kinds(found.events).count("Filled") == 1


def test_a_correction_made_before_we_heard_counts_although_the_status_knows_nothing_of_it() -> None:
    """Of an execution that was annulled the status still counts the shares."""
    found = book()
    found.executed(executed("a.b.01.02", 0), live=False)
    found.executed(executed("a.b.02.01", 6), live=False)
    found.reported(report("Filled", 10))
    assert (now(found).status, now(found).filled) == (OrderStatus.FILLED, 6)


def test_a_fill_after_a_cancellation_is_booked() -> None:
    found = book()
    found.reported(report("Cancelled"))
    found.executed(executed("a.b.01.01", 4), live=True)
    assert (now(found).status, now(found).filled) == (OrderStatus.CANCELLED, 4)
    found.executed(executed("a.b.02.01", 6), live=True)
    assert now(found).status is OrderStatus.FILLED


def test_a_status_alone_says_that_an_order_is_there_until_it_is_shown_or_done() -> None:
    found = OrderBook(lambda: 1, [])
    found.account, found.client_id = OURS, ME
    found.reported(report("Submitted"))
    assert found.unshown == {PERM}
    found.opened(echo())
    assert found.unshown == set()
    other = replace(report("Submitted"), perm_id=PERM + 1, order_id=OrderId(8))
    found.reported(other)
    found.reported(replace(other, status=OrderStatus.CANCELLED))
    assert found.unshown == set()


def test_events_tell_each_change_once() -> None:
    found = book()
    for message in (echo("PreSubmitted"), echo("PreSubmitted")):
        found.opened(message)
        found.reported(report("PreSubmitted"))
    found.executed(executed("a.b.01.01", 10), live=True)
    found.opened(echo("Filled"))
    found.reported(report("Filled", 10, "100"))
    found.charged(CommissionReport("a.b.01.01", Decimal(1), None), live=True)
    found.charged(CommissionReport("a.b.01.01", Decimal(1), None), live=True)
    assert kinds(found.events) == ["OrderChanged", "Filled", "OrderChanged", "CommissionCharged"]
    changed = [event.trade for event in found.events if isinstance(event, OrderChanged)]
    assert [trade.status for trade in changed] == [OrderStatus.PRE_SUBMITTED, OrderStatus.FILLED]
    assert isinstance(found.events[1], Filled)
    assert isinstance(found.events[3], CommissionCharged)


def test_a_change_is_what_tws_shows() -> None:
    found = book()
    found.opened(echo())
    changed = Order(NVDA, Action.BUY, Decimal(7), OrderType.LIMIT, Decimal("99.5"), account=OURS)
    found.opened(echo(order=changed))
    trade = now(found)
    assert (trade.order.quantity, trade.order.limit_price, trade.remaining) == (7, Decimal("99.5"), 7)
    assert (trade.order.order_ref, trade.order.contract) == ("s-1", NVDA)


def test_an_order_that_is_held_back_is_not_rejected() -> None:
    """OpenOrder says Inactive of a bracket's parent that is not transmitted yet."""
    found = book()
    found.opened(echo("Inactive"))
    assert now(found).status is OrderStatus.PENDING_SUBMIT


def test_whose_order_it_is() -> None:
    found = book()
    found.opened(echo(client=2, perm=1))
    found.opened(echo(client=0, perm=2))
    found.finish()
    assert {trade.origin for trade in found.working.values()} == set(Origin)
    assert list(found.trades) == [ID]
    assert found.trades[ID].origin is Origin.OURS


def test_anothers_order_that_is_listed_no_more_works_no_more() -> None:
    found = book()
    found.opened(echo(client=2, perm=1))
    found.opened(echo(client=2, perm=1))
    found.forget_others_but(set())
    found.finish()
    assert [trade.origin for trade in found.working.values()] == [Origin.OURS]


def test_other_accounts_are_not_ours() -> None:
    found = book()
    found.opened(echo(order=Order(NVDA, Action.BUY, Decimal(1), account=AccountId("DU9")), client=3, perm=5))
    assert found.executed(executed("z.z.01.01", 1, account=AccountId("DU9")), live=True) is None
    found.finish()
    assert len(found.working) == 1
    assert not found.fills


def test_what_was_done_before_we_came_is_quiet() -> None:
    """Completed orders have no id; their executions bring it."""
    made = OrderBook(lambda: 1, [])
    made.account, made.client_id = OURS, ME
    made.completed(OpenOrder(OrderId(0), 0, PERM, ORDER, OrderStatus.FILLED))
    made.executed(executed("a.b.01.01", 10), live=False)
    made.charged(CommissionReport("a.b.01.01", Decimal(1), Decimal(5)), live=False)
    made.finish()
    trade = made.trades[ID]
    assert (trade.status, trade.filled, trade.commission, trade.origin) == (OrderStatus.FILLED, 10, 1, Origin.OURS)
    assert list(made.done.values()) == [trade]
    assert kinds(made.events) in ([], ["OrderChanged"])


def test_an_order_that_was_not_sent_is_forgotten() -> None:
    found = book()
    found.forget(ID)
    assert not found.trades
    assert not found.working


# --- another order under an id of ours ------------------------------------------------------------------------------

#: What TWS may have under our client id and order id when its numbers began anew: somebody else's, by its reference.
ANOTHERS = Order(NVDA, Action.SELL, Decimal(3), OrderType.LIMIT, Decimal(150), account=OURS, order_ref="other-1")


def test_an_echo_of_another_reference_acknowledges_nothing() -> None:
    """It is another order: shown as such, and ours still waits for its own."""
    found = book()
    found.opened(echo(order=ANOTHERS, perm=77))
    assert (now(found).status, now(found).order, now(found).perm_id) == (OrderStatus.PENDING_SUBMIT, ORDER, 0)
    [another] = [each for each in found.working.values() if each.perm_id == 77]
    assert (another.order, another.origin, another.status) == (ANOTHERS, Origin.OTHER, OrderStatus.SUBMITTED)
    found.opened(echo("PreSubmitted"))
    assert (now(found).status, now(found).perm_id) == (OrderStatus.PRE_SUBMITTED, PERM)
    found.opened(echo(order=ANOTHERS, perm=77))
    assert len(found.working) == 2


def test_one_that_has_no_permanent_id_yet_acknowledges_nothing_either() -> None:
    found = book()
    found.opened(echo(order=ANOTHERS, perm=0))
    assert now(found).status is OrderStatus.PENDING_SUBMIT
    assert len(found.working) == 1


def test_what_is_told_of_the_other_order_is_not_ours() -> None:
    """Its status, known by its permanent id; its executions, by their reference too."""
    found = book()
    found.opened(echo(order=ANOTHERS, perm=77))
    found.reported(replace(report("Filled", 3, "150"), perm_id=77))
    stranger = executed("a.b.01.01", 3)
    stranger = replace(stranger, perm_id=77, execution=replace(stranger.execution, order_ref="other-1"))
    assert found.executed(stranger, live=True) == 3
    assert (now(found).status, now(found).filled) == (OrderStatus.PENDING_SUBMIT, 0)
    assert [(each.perm_id, each.filled) for each in found.done.values()] == [(77, 3)]


def test_an_execution_of_another_reference_fills_none_of_ours_though_its_order_was_never_shown() -> None:
    found = book()
    stranger = executed("a.b.01.01", 3)
    stranger = replace(stranger, perm_id=77, execution=replace(stranger.execution, order_ref="other-1"))
    assert found.executed(stranger, live=True) == 3  # it moves the account's position all the same
    assert (now(found).status, now(found).filled) == (OrderStatus.PENDING_SUBMIT, 0)
    assert [fill.execution.order_ref for fill in found.fills.values()] == ["other-1"]


def test_an_order_whose_reference_a_person_edits_in_tws_stays_ours() -> None:
    """Its permanent id is known: it is the same order. And an echo without a reference is no other order's."""
    found = book()
    found.opened(echo(order=replace(ORDER, order_ref="")))
    assert now(found).status is OrderStatus.SUBMITTED
    found.opened(echo("PendingCancel", order=replace(ORDER, order_ref="by hand")))
    assert (now(found).status, now(found).order.order_ref) == (OrderStatus.PENDING_CANCEL, "s-1")
    assert len(found.working) == 1
