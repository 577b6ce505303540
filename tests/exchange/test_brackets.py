"""Brackets and OCA groups: what one order's end does to the others, worked by hand."""

from decimal import Decimal

from src.domain.orders import Bracket, OrderChange, OrderId
from src.exchange.exchange import Exchange
from tests.exchange.examples import at, at_prices, bar, buy, give, quote, sell, send, statuses, traded, trades_of
from tests.exchange.markets import ACCOUNT, BBB, new_exchange

# --- brackets -------------------------------------------------------------------------------------------------------


def bracket(quantity: int = 10, entry: str | None = None, target: str = "102.00", stop: str = "99.00") -> Bracket:
    return Bracket.around(buy(quantity, entry), Decimal(target), Decimal(stop))


def place(exchange: Exchange, wanted: Bracket, minute: float = 0) -> tuple[OrderId, OrderId, OrderId]:
    told = trades_of(exchange.submit_bracket(ACCOUNT, wanted, at(minute)))
    parent, target, stop = (trade.order_id for trade in told[:3])
    return parent, target, stop


def test_a_bracket_is_three_orders_with_consecutive_ids() -> None:
    """Parent, target and stop, each acknowledged; the exits name their parent."""
    exchange = new_exchange()
    trades = trades_of(exchange.submit_bracket(ACCOUNT, bracket(), at(0)))
    assert [trade.status for trade in trades] == ["PreSubmitted"] * 3
    assert [trade.order_id for trade in trades] == [1, 2, 3]
    assert [trade.order.parent_id for trade in trades] == [None, 1, 1]


def test_exits_can_fill_in_their_parents_own_bar() -> None:
    """In at the open, out at the target later in the same bar; the stop is cancelled."""
    exchange = new_exchange()
    parent, target, stop = place(exchange, bracket())
    assert traded(give(exchange, bar(0, 100, 103, 99.5, 103))) == at_prices((10, "100"), (-10, "102"))
    assert [exchange.trade(each).status for each in (parent, target, stop)] == ["Filled", "Filled", "Cancelled"]


def test_the_stop_comes_first_when_a_bar_reaches_both_exits() -> None:
    """Although the path goes to the nearer high first."""
    exchange = new_exchange()
    _, target, stop = place(exchange, bracket())
    give(exchange, bar(0, 100))
    assert traded(give(exchange, bar(1, 101, 102.5, 98, 98))) == at_prices((-10, "99"))
    assert [exchange.trade(each).status for each in (target, stop)] == ["Cancelled", "Filled"]


def test_a_target_that_the_open_has_passed_precedes_a_stop_of_the_same_bar() -> None:
    """The open is certain: it comes before anything else of the bar."""
    exchange = new_exchange()
    place(exchange, bracket())
    give(exchange, bar(0, 100))
    assert traded(give(exchange, bar(1, 102.5, 102.5, 98, 98))) == at_prices((-10, "102.5"))


def test_exits_do_not_act_before_their_parent_has_traded() -> None:
    """The market falls through the stop while the entry waits above... below it: nothing is sold."""
    exchange = new_exchange()
    _, target, stop = place(exchange, bracket(entry="99.50", target="102.00", stop="99.00"))
    assert traded(give(exchange, bar(0, 103, 104, 102.5, 103))) == []
    assert {exchange.trade(each).status for each in (target, stop)} == {"PreSubmitted"}


def test_exits_close_no_more_than_the_parent_has_opened() -> None:
    """Forty bought, forty sold at the target; what the parent buys later is protected by what is left."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.9, 100.1, 40))
    parent, target, stop = place(exchange, bracket(100, "101.00", "103.00", "98.00"))
    assert exchange.trade(parent).filled == 40
    events = exchange.quote(quote(1, 103.5, 103.6, 1_000))
    assert traded(events) == at_prices((-40, "103"))
    assert [exchange.trade(stop).remaining, exchange.trade(target).remaining] == [60, 60]
    assert traded(exchange.quote(quote(2, 100.9, 101.0, 1_000))) == at_prices((60, "101"))
    assert traded(exchange.quote(quote(3, 97.9, 98.0, 1_000))) == at_prices((-60, "97.9"))
    assert exchange.positions(ACCOUNT)[0].quantity == 0


def test_a_partial_exit_reduces_the_other() -> None:
    """The target sells 30 of 100: the stop protects the other 70."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.9, 100.1))
    _, target, stop = place(exchange, bracket(100, None, "103.00", "98.00"))
    exchange.quote(quote(1, 103.0, 103.1, 30))
    assert [exchange.trade(target).remaining, exchange.trade(stop).order.quantity] == [70, 70]
    assert traded(exchange.quote(quote(2, 97.5, 97.6))) == at_prices((-70, "97.5"))
    assert exchange.trade(target).status == "Cancelled"


def test_a_cancelled_parent_takes_its_exits_along() -> None:
    """Nothing was opened, so nothing is left to protect."""
    exchange = new_exchange()
    parent, target, stop = place(exchange, bracket(entry="99.50"))
    assert statuses(exchange.cancel(ACCOUNT, parent, at(0))) == ["Cancelled"] * 3
    assert exchange.open_trades(ACCOUNT) == ()
    assert "parent 1" in exchange.trade(stop).reason
    assert exchange.trade(target).code == 202


def test_a_parent_cancelled_half_way_leaves_exits_for_what_it_has_opened() -> None:
    """Forty of a hundred: target and stop shrink to forty."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.9, 100.1, 40))
    parent, target, stop = place(exchange, bracket(100, "100.50", "103.00", "98.00"))
    exchange.cancel(ACCOUNT, parent, at(1))
    assert [exchange.trade(each).remaining for each in (target, stop)] == [40, 40]
    assert traded(exchange.quote(quote(2, 97.0, 97.1))) == at_prices((-40, "97"))
    assert exchange.open_trades(ACCOUNT) == ()


def test_exits_can_be_changed_and_cancelled_like_any_order() -> None:
    """A held stop may be moved; a cancelled target leaves the stop."""
    exchange = new_exchange()
    parent, target, stop = place(exchange, bracket())
    exchange.modify(ACCOUNT, stop, OrderChange(stop_price=Decimal("98.00")), at(0))
    exchange.cancel(ACCOUNT, target, at(0))
    assert exchange.trade(parent).status == "PreSubmitted"
    assert traded(give(exchange, bar(0, 100, 105, 98.5, 100))) == at_prices((10, "100"))
    assert traded(give(exchange, bar(1, 100, 100, 97, 97))) == at_prices((-10, "98"))


def test_a_short_bracket_is_the_mirror_image() -> None:
    """Sell at 100, stop above, target below: both reached, the stop buys."""
    exchange = new_exchange()
    exchange.submit_bracket(ACCOUNT, Bracket.around(sell(10), Decimal("98.00"), Decimal("101.00")), at(0))
    give(exchange, bar(0, 100))
    assert traded(give(exchange, bar(1, 99, 102, 97.5, 100))) == at_prices((10, "101"))


# --- OCA groups -----------------------------------------------------------------------------------------------------


def test_the_first_fill_of_a_group_cancels_the_others_also_of_other_contracts() -> None:
    """Groups belong to the exchange, not to a book."""
    exchange = new_exchange()
    first = send(exchange, buy(10, "99.00", oca_group="one"), 0)
    other = send(exchange, buy(10, "49.00", contract=BBB, oca_group="one"), 0)
    alone = send(exchange, buy(10, "49.00", contract=BBB, oca_group="two"), 0)
    exchange.advance(at(1), (bar(0, 100), bar(0, 50, contract=BBB)))
    exchange.advance(at(2), (bar(1, 98), bar(1, 50, contract=BBB)))
    assert [exchange.trade(each).status for each in (first, other, alone)] == ["Filled", "Cancelled", "Submitted"]
    assert "order 1" in exchange.trade(other).reason


def test_a_partial_fill_of_a_group_cancels_the_others_too() -> None:
    """IB's OCA type 1: cancel with block."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.9, 100.1, 4))
    resting = send(exchange, buy(10, "95.00", oca_group="one"), 0)
    events = exchange.submit(ACCOUNT, buy(10, oca_group="one"), at(1))
    assert traded(events) == at_prices((4, "100.1"))
    assert exchange.trade(resting).status == "Cancelled"


def test_two_members_of_a_group_never_both_fill_at_one_print() -> None:
    """Both levels lie inside the gap: the better one trades, the other is cancelled."""
    exchange = new_exchange()
    ids = [send(exchange, buy(10, price, oca_group="one"), 0) for price in ("98.00", "99.00")]
    give(exchange, bar(0, 100))
    assert traded(give(exchange, bar(1, 95))) == at_prices((10, "95"))
    assert [exchange.trade(each).status for each in ids] == ["Cancelled", "Filled"]
