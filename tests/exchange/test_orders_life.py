"""An order's life: statuses, changes and cancels, worked by hand."""

from decimal import Decimal, getcontext

import pytest

from src.domain.errors import InvalidOrderError, UnknownOrderError
from src.domain.events import CommissionCharged, Filled, OrderChanged, PositionChanged
from src.domain.orders import AccountId, OrderChange, OrderId, OrderStatus, TimeInForce
from tests.exchange.examples import (
    at,
    at_prices,
    bar,
    buy,
    codes,
    executions,
    give,
    quote,
    sell,
    send,
    statuses,
    traded,
    trades_of,
)
from tests.exchange.markets import ACCOUNT, new_exchange, preset_of

GTC = TimeInForce.GTC


def change(quantity: int | None = None, limit: str | None = None, stop: str | None = None) -> OrderChange:
    return OrderChange(
        Decimal(quantity) if quantity is not None else None,
        Decimal(limit) if limit is not None else None,
        Decimal(stop) if stop is not None else None,
    )


# --- statuses -------------------------------------------------------------------------------------------------------


def test_a_market_order_is_acknowledged_and_then_filled_in_tws_order() -> None:
    """PreSubmitted at once; then execution, order status, commission, position."""
    exchange = new_exchange(fees="fixed")
    assert statuses(exchange.submit(ACCOUNT, buy(10), at(0))) == ["PreSubmitted"]
    events = give(exchange, bar(0, 100))
    assert [type(event) for event in events] == [Filled, OrderChanged, CommissionCharged, PositionChanged]
    assert statuses(events) == ["Filled"]


def test_a_resting_order_is_submitted_when_it_has_reached_its_book() -> None:
    """PreSubmitted when accepted, Submitted at the first print that it does not meet."""
    exchange = new_exchange()
    order_id = send(exchange, buy(10, "99.00"), 0)
    [trade] = trades_of(give(exchange, bar(0, 100)))
    assert (trade.order_id, trade.status, trade.time) == (order_id, OrderStatus.SUBMITTED, at(0))
    assert [trade.perm_id, trade.remaining] == [order_id, 10]


def test_an_order_that_rests_where_it_is_taken_is_told_once() -> None:
    """A quote stands and nothing takes time: Submitted at once, as TWS tells it too. With a latency it is two steps."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.98, 100.02))
    [trade] = trades_of(exchange.submit(ACCOUNT, buy(10, "99.00"), at(1)))
    assert (trade.status, trade.remaining, trade.time) == (OrderStatus.SUBMITTED, Decimal(10), at(1))
    assert statuses(exchange.submit(ACCOUNT, buy(10, "100.02"), at(1))) == ["PreSubmitted", "Filled"]
    assert statuses(exchange.submit(ACCOUNT, sell(10, stop="90.00"), at(1))) == ["PreSubmitted"]
    slow = new_exchange(preset_of("realistic"))
    slow.quote(quote(0, 99.98, 100.02))
    assert statuses(slow.submit(ACCOUNT, buy(10, "99.00"), at(1))) == ["PreSubmitted"]
    assert statuses(slow.advance(at(2))) == ["Submitted"]


def test_ids_are_counters_and_unknown_ones_are_named() -> None:
    """Orders, executions: nothing comes from chance."""
    exchange = new_exchange()
    assert [send(exchange, buy(1), 0), send(exchange, buy(1), 0)] == [1, 2]
    assert [each.exec_id for each in executions(give(exchange, bar(0, 100)))] == [
        "00000001.00000001.01.01",
        "00000002.00000002.01.01",
    ]
    with pytest.raises(UnknownOrderError, match="99"):
        exchange.trade(OrderId(99))
    with pytest.raises(InvalidOrderError, match="NOBODY"):
        exchange.submit(AccountId("NOBODY"), buy(1), at(2))


@pytest.mark.parametrize("command", ["submit", "modify", "cancel", "advance", "quote"])
def test_time_never_goes_back(command: str) -> None:
    """Also after bars that touched nothing, and for every kind of command; the caller's arithmetic stays as it was."""
    exchange, arithmetic = new_exchange(), getcontext()
    order_id = send(exchange, buy(1, "50.00"), 0)
    give(exchange, bar(0, 100), bar(1, 100), bar(2, 100))
    with pytest.raises(ValueError, match="time goes back"):
        {
            "submit": lambda: exchange.submit(ACCOUNT, buy(1), at(1)),
            "modify": lambda: exchange.modify(ACCOUNT, order_id, change(2), at(1)),
            "cancel": lambda: exchange.cancel(ACCOUNT, order_id, at(1)),
            "advance": lambda: exchange.advance(at(1)),
            "quote": lambda: exchange.quote(quote(1, 100, 101)),
        }[command]()
    assert getcontext() is arithmetic


# --- changes --------------------------------------------------------------------------------------------------------


def test_a_change_of_price_and_quantity_takes_effect() -> None:
    """The new level fills the new quantity; the change itself is told once."""
    exchange = new_exchange()
    order_id = send(exchange, buy(10, "90.00"), 0)
    give(exchange, bar(0, 100))
    [trade] = trades_of(exchange.modify(ACCOUNT, order_id, change(7, "99.50"), at(1)))
    assert [trade.status, trade.order.quantity, trade.order.limit_price] == ["Submitted", 7, Decimal("99.50")]
    assert traded(give(exchange, bar(1, 100, 100, 99, 99))) == at_prices((7, "99.50"))


def test_a_change_can_make_an_order_marketable_at_once_on_a_quote() -> None:
    """The market stands: the raised limit trades in the answer to the change."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.9, 100.1))
    order_id = send(exchange, buy(10, "99.00"), 0)
    assert traded(exchange.modify(ACCOUNT, order_id, change(limit="100.50"), at(1))) == at_prices((10, "100.1"))


def test_a_stop_can_be_moved_until_it_has_triggered() -> None:
    """The old level does nothing any more."""
    exchange = new_exchange()
    order_id = send(exchange, sell(10, stop="99.00"), 0)
    give(exchange, bar(0, 100))
    exchange.modify(ACCOUNT, order_id, change(stop="97.00"), at(1))
    assert traded(give(exchange, bar(1, 100, 100, 98, 98))) == []
    assert traded(give(exchange, bar(2, 98, 98, 96, 96))) == at_prices((-10, "97"))


def test_a_change_takes_the_latency_and_may_come_too_late() -> None:
    """The order fills on its old terms meanwhile; the change is refused when it lands."""
    exchange = new_exchange(preset_of("realistic"))
    exchange.quote(quote(0, 99.9, 100.1))
    order_id = send(exchange, buy(10, "99.00"), 0)
    exchange.advance(at(1))
    assert trades_of(exchange.modify(ACCOUNT, order_id, change(limit="98.00"), at(2))) == []
    assert exchange.trade(order_id).order.limit_price == Decimal("99.00")
    falls = quote(2, 98.9, 98.95)._replace(time=at(2) + 10_000_000)
    assert traded(exchange.quote(falls)) == at_prices((10, "99"))
    assert codes(exchange.advance(at(3))) == [10148]
    assert exchange.trade(order_id).status == "Filled"


def test_open_trades_stay_in_the_order_they_came_when_one_is_changed() -> None:
    """A change of an order does not move it in lists."""
    exchange = new_exchange()
    ids = [send(exchange, buy(1, price), 0) for price in ("90.00", "91.00", "92.00")]
    give(exchange, bar(0, 100))
    exchange.modify(ACCOUNT, ids[0], change(5), at(1))
    assert [trade.order_id for trade in exchange.open_trades(ACCOUNT)] == ids


# --- cancels --------------------------------------------------------------------------------------------------------


def test_a_cancel_without_latency_is_confirmed_at_once() -> None:
    """Cancelled, code 202, and it never fills."""
    exchange = new_exchange()
    order_id = send(exchange, buy(10, "99.00"), 0)
    give(exchange, bar(0, 100))
    [trade] = trades_of(exchange.cancel(ACCOUNT, order_id, at(1)))
    assert [trade.status, trade.code, trade.remaining] == ["Cancelled", 202, 10]
    assert give(exchange, bar(1, 90)) == ()
    assert exchange.open_trades(ACCOUNT) == ()


def test_a_cancel_under_latency_may_lose_the_race() -> None:
    """PendingCancel, then a partial fill that leaves it pending, then Cancelled; asking twice changes nothing."""
    exchange = new_exchange(preset_of("realistic"))
    exchange.quote(quote(0, 99.9, 100.1))
    order_id = send(exchange, buy(10, "99.00"), 0)
    exchange.advance(at(1))
    assert statuses(exchange.cancel(ACCOUNT, order_id, at(2))) == ["PendingCancel"]
    assert exchange.cancel(ACCOUNT, order_id, at(2)) == ()
    events = exchange.quote(quote(2, 98.9, 98.95, 4)._replace(time=at(2) + 10_000_000))
    assert traded(events) == at_prices((4, "99"))
    assert statuses(events) == ["PendingCancel"]
    [trade] = trades_of(exchange.advance(at(3)))
    assert [trade.status, trade.filled, trade.remaining] == ["Cancelled", 4, 6]
    assert trade.time == at(2) + 50_000_000


def test_a_cancel_that_crosses_a_fill_leaves_the_order_filled() -> None:
    """The whole order fills while the cancel is on its way."""
    exchange = new_exchange(preset_of("realistic"))
    exchange.quote(quote(0, 99.9, 100.1))
    order_id = send(exchange, buy(10, "99.00"), 0)
    exchange.advance(at(1))
    exchange.cancel(ACCOUNT, order_id, at(2))
    exchange.quote(quote(2, 98.9, 98.95)._replace(time=at(2) + 10_000_000))
    assert exchange.advance(at(3)) == ()
    assert exchange.trade(order_id).status == "Filled"


def test_a_good_till_cancelled_order_rests_for_ever_where_the_market_never_closes() -> None:
    """And so does a DAY order there: no close, no expiry."""
    exchange = new_exchange()
    ids = [send(exchange, buy(1, "90.00", tif=tif), 0) for tif in (GTC, TimeInForce.DAY)]
    exchange.advance(at(60 * 24 * 30))
    assert [exchange.trade(each).is_done for each in ids] == [False, False]


def test_a_stop_is_presubmitted_until_it_is_elected() -> None:
    """As TWS shows it: it rests, and only a print at its level makes it Submitted."""
    exchange = new_exchange(preset_of("ideal"))
    give(exchange, bar(0, 100))
    stop = send(exchange, buy(1, stop="105.00"), 1)
    limited = send(exchange, buy(1, "104.00", stop="105.00"), 1)
    give(exchange, bar(1, 100))
    assert exchange.trade(stop).status == exchange.trade(limited).status == "PreSubmitted"
    give(exchange, bar(2, 106))
    assert exchange.trade(stop).status == "Filled"
    assert exchange.trade(limited).status == "Submitted"
