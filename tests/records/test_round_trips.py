"""Executions become fills with their costs, and round trips from flat to flat."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from src.domain.journal_facts import Charged, Executed
from src.domain.orders import Action, OrderId
from src.records.round_trips import booked, latest

D = Decimal


def executed(
    number: int, action: Action, shares: int, price: str, *, exec_id: str = "", symbol: str = "MSFT"
) -> Executed:
    """An execution at second `number`, of the order `s-<number>`."""
    name = exec_id or f"0.0.{number}.01"
    return Executed(name, number, f"s-{number}", OrderId(number), symbol, 1, action, D(shares), D(price))


def charged(one: Executed, dollars: str) -> Charged:
    """Its commission."""
    return Charged(one.exec_id, one.time, D(dollars), None, "USD")


def no_price(symbol: str, moment: int) -> float | None:
    """Nothing was recorded."""
    del symbol, moment
    return None


def test_a_round_trip_is_net_of_both_commissions() -> None:
    """100 bought at 10, sold at 12 in two parts, three dollars in all."""
    ones = [executed(1, Action.BUY, 100, "10"), executed(2, Action.SELL, 60, "12"), executed(3, Action.SELL, 40, "12")]
    rows, [trip] = booked(ones, {one.exec_id: charged(one, "1") for one in ones}, {}, no_price)
    assert [row.realized_pnl for row in rows] == [D(0), D("118.4"), D("78.6")]
    assert (trip.symbol, trip.opened, trip.closed, trip.shares) == ("MSFT", 1, 3, D(100))
    assert (trip.entry_price, trip.exit_price, trip.commissions, trip.pnl) == (D(10), D(12), D(3), D(197))


def test_an_execution_that_turns_the_position_ends_one_trip_and_begins_another() -> None:
    """Long 100, sold 150: the commission is shared by shares; then the short of 50 is bought back."""
    ones = [
        executed(1, Action.BUY, 100, "10"), executed(2, Action.SELL, 150, "11"), executed(3, Action.BUY, 50, "12")
    ]  # fmt: skip
    rows, trips = booked(ones, {ones[1].exec_id: charged(ones[1], "3")}, {}, no_price)
    assert [(trip.shares, trip.pnl) for trip in trips] == [(D(100), D(98)), (D(-50), D(-51))]
    assert (trips[1].entry_price, trips[1].exit_price) == (D(11), D(12))
    assert sum(row.realized_pnl for row in rows) == D(47)


def test_slippage_is_what_was_worse_than_the_price_at_the_decision() -> None:
    """Bought a cent higher, sold two cents lower; an order nobody meant has none."""
    ones = [
        executed(1, Action.BUY, 100, "10.01"),
        executed(2, Action.SELL, 100, "9.98"),
        executed(3, Action.BUY, 1, "9"),
    ]
    rows, _ = booked(ones, {}, {"s-1": 1, "s-2": 2}, lambda _, moment: 10.0 if moment else None)
    assert [None if row.slippage is None else round(row.slippage, 9) for row in rows] == [1.0, 2.0, None]
    assert [None if row.slippage_bps is None else round(row.slippage_bps, 6) for row in rows] == [10.0, 20.0, None]
    assert [row.commission for row in rows] == [None, None, None]


def test_a_correction_replaces_and_a_bust_removes() -> None:
    """The later revision counts, whatever the order in which they are told."""
    first = executed(1, Action.BUY, 100, "10", exec_id="a.b.01")
    corrected = executed(1, Action.BUY, 90, "10", exec_id="a.b.02")
    busted = executed(2, Action.BUY, 0, "10", exec_id="c.d.02")
    assert latest([corrected, first, executed(2, Action.BUY, 5, "10", exec_id="c.d.01"), busted]) == (corrected,)


steps = st.lists(
    st.tuples(st.sampled_from([Action.BUY, Action.SELL]), st.integers(1, 300), st.integers(900, 1100)), max_size=30
)


@given(steps)
def test_what_is_realized_and_what_is_held_come_to_the_cash(moves: list[tuple[Action, int, int]]) -> None:
    """Closed trips' P&L plus the value at cost of what is left is all the money that moved."""
    ones = [executed(n, action, shares, str(D(cents) / 100)) for n, (action, shares, cents) in enumerate(moves, 1)]
    closing = sum((one.shares * one.action.sign for one in ones), D(0))
    if closing:
        ones.append(executed(99, Action.SELL if closing > 0 else Action.BUY, abs(int(closing)), "10"))
    charges = {one.exec_id: charged(one, "1.25") for one in ones}
    rows, trips = booked(ones, charges, {}, no_price)
    cash = -sum((one.shares * one.action.sign * one.price for one in ones), D(0)) - D("1.25") * len(ones)
    assert abs(sum((trip.pnl for trip in trips), D(0)) - cash) < D("1e-20")
    assert abs(sum((row.realized_pnl for row in rows), D(0)) - cash) < D("1e-20")
    assert abs(sum((trip.commissions for trip in trips), D(0)) - D("1.25") * len(ones)) < D("1e-20")
