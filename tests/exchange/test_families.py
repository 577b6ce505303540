"""An order and its exits beyond the bracket of two: any number of them, and exits that come later."""

from decimal import Decimal

from src.domain.orders import OrderId, OrderStatus
from tests.exchange.examples import at, bar, buy, give, sell, send, statuses, traded, trades_of
from tests.exchange.markets import ACCOUNT, new_exchange, preset_of


def test_three_exits_enter_together_and_the_first_to_fill_ends_the_others() -> None:
    exchange = new_exchange(preset_of("ideal"))
    exits = (sell(10, "105"), sell(10, "110"), sell(10, None, "90"))
    events = exchange.submit_family(ACCOUNT, buy(10), exits, at(0))
    assert [trade.order.parent_id for trade in trades_of(events)] == [None, 1, 1, 1]
    events = give(exchange, bar(0, 100), bar(1, 100, 106, 100, 106))
    assert traded(events) == [(10, Decimal(100)), (-10, Decimal(105))]
    assert [exchange.trade(OrderId(number)).status for number in (2, 3, 4)] == [
        OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.CANCELLED
    ]  # fmt: skip


def test_one_exit_alone_is_a_family_too() -> None:
    exchange = new_exchange(preset_of("ideal"))
    exchange.submit_family(ACCOUNT, buy(10), (sell(10, None, "95"),), at(0))
    events = give(exchange, bar(0, 100), bar(1, 100, 100, 94, 94))
    assert traded(events) == [(10, Decimal(100)), (-10, Decimal(95))]


def test_an_exit_of_a_working_order_waits_for_its_first_fill() -> None:
    exchange = new_exchange(preset_of("ideal"))
    parent = send(exchange, buy(10, "99"), 0)
    events = exchange.submit_exit(ACCOUNT, parent, sell(10, "101"), at(0))
    assert statuses(events) == ["PreSubmitted"]
    events = give(exchange, bar(0, 102), bar(1, 102, 102, 99, 102))
    assert traded(events) == [(10, Decimal(99)), (-10, Decimal(101))]


def test_exits_of_a_filled_order_enter_at_once_and_cancel_each_other() -> None:
    exchange = new_exchange(preset_of("ideal"))
    parent = send(exchange, buy(10), 0)
    give(exchange, bar(0, 100))
    exchange.submit_exit(ACCOUNT, parent, sell(10, "105"), at(1))
    exchange.submit_exit(ACCOUNT, parent, sell(10, None, "90"), at(1))
    events = give(exchange, bar(1, 100, 106, 100, 106))
    assert traded(events) == [(-10, Decimal(105))]
    assert exchange.trade(OrderId(3)).status is OrderStatus.CANCELLED


def test_an_exit_without_a_parent_is_rejected() -> None:
    exchange = new_exchange(preset_of("ideal"))
    parent = send(exchange, buy(10, "50"), 0)
    exchange.cancel(ACCOUNT, parent, at(0))
    for number in (parent, OrderId(77)):
        (trade,) = trades_of(exchange.submit_exit(ACCOUNT, number, sell(10, "101"), at(0)))
        assert trade.status is OrderStatus.INACTIVE
        assert trade.reason.endswith("is not working")


def test_an_exit_that_is_refused_refuses_the_whole_family() -> None:
    exchange = new_exchange(preset_of("ideal"))
    events = exchange.submit_family(ACCOUNT, buy(10), (sell(10, "105.005"),), at(0))
    assert {trade.status for trade in trades_of(events)} == {OrderStatus.INACTIVE}
