"""Market if touched: it waits on the side of a limit and then takes any price, worked by hand."""

from decimal import Decimal

import pytest

from src.domain.orders import Action, Order, OrderStatus, OrderType
from src.exchange.exchange import Exchange
from src.exchange.fill_models import Liquidity, realistic
from tests.exchange.examples import at, at_prices, bar, buy, give, quote, sell, send, statuses, traded, trades_of
from tests.exchange.markets import AAA, ACCOUNT, new_exchange


def touch(action: Action, quantity: int, level: str) -> Order:
    return Order(AAA, action, Decimal(quantity), OrderType.IF_TOUCHED, stop_price=Decimal(level))


def held(quantity: int = 10) -> Exchange:
    """An exchange in which the account holds what it bought at 100."""
    exchange = new_exchange()
    send(exchange, buy(quantity), 0)
    give(exchange, bar(0, 100))
    return exchange


def test_it_waits_presubmitted_and_fills_at_its_level_when_the_bar_comes_there() -> None:
    exchange = new_exchange()
    order_id = send(exchange, touch(Action.BUY, 10, "99.00"), 0)
    assert traded(give(exchange, bar(0, 100), bar(1, 100, 101, 99.01, 100))) == []
    assert exchange.trade(order_id).status is OrderStatus.PRE_SUBMITTED
    events = give(exchange, bar(2, 100, 100, 98.5, 99))
    assert traded(events) == at_prices((10, "99.00"))
    assert statuses(events) == ["Filled"]


def test_a_sale_waits_above_the_market() -> None:
    exchange = held()
    send(exchange, touch(Action.SELL, 10, "101.00"), 1)
    assert traded(give(exchange, bar(1, 100, 100.99, 90, 95))) == []
    assert traded(give(exchange, bar(2, 100, 102, 100, 102))) == at_prices((-10, "101.00"))


def test_at_a_jump_it_fills_at_the_print_for_better_or_after_the_touch_for_worse() -> None:
    exchange = new_exchange()
    send(exchange, touch(Action.BUY, 10, "99.00"), 0)
    assert traded(give(exchange, bar(0, 100), bar(1, 97, 98, 96, 97))) == at_prices((10, "97.00"))


def test_what_is_left_after_the_touch_takes_any_price() -> None:
    """Unlike a limit: five are displayed at the touch, the rest follows the market up."""
    exchange = new_exchange()
    send(exchange, touch(Action.BUY, 8, "99.00"), 0)
    exchange.quote(quote(0, 99.99, 100.01, 5))
    assert traded(exchange.quote(quote(1, 98.97, 98.99, 5))) == at_prices((5, "98.99"))
    assert traded(exchange.quote(quote(2, 101.00, 101.02, 5))) == at_prices((3, "101.02"))


def test_one_that_is_touched_already_trades_at_once() -> None:
    exchange = new_exchange()
    exchange.quote(quote(0, 99.99, 100.01))
    assert traded(exchange.submit(ACCOUNT, touch(Action.BUY, 10, "105.00"), at(1))) == at_prices((10, "100.01"))


def test_with_a_spread_the_ask_must_come_to_it() -> None:
    exchange = new_exchange(realistic({AAA.con_id: Liquidity(20_000, 100)}, latency=0))
    send(exchange, touch(Action.BUY, 10, "99.00"), 0)
    assert traded(give(exchange, bar(0, 100), bar(1, 100, 100, 98.99, 100))) == []
    assert traded(give(exchange, bar(2, 100, 100, 98.9, 100))) == at_prices((10, "99.00"))


@pytest.mark.parametrize(("low", "price"), [(97, "98.00"), (99, "102.00")])
def test_as_a_brackets_target_it_yields_to_the_stop_that_the_bar_can_reach_too(low: float, price: str) -> None:
    exchange = new_exchange()
    exits = [touch(Action.SELL, 10, "102.00"), sell(10, stop="98.00")]
    exchange.submit_family(ACCOUNT, buy(10), exits, at(0))
    give(exchange, bar(0, 100))
    events = give(exchange, bar(1, 101, 103, low, 102.5))
    assert traded(events) == at_prices((-10, price))
    assert sorted(statuses(events)) == ["Cancelled", "Filled"]


def test_it_is_changed_and_cancelled_like_any_other() -> None:
    from src.domain.orders import OrderChange

    exchange = new_exchange()
    order_id = send(exchange, touch(Action.BUY, 10, "90.00"), 0)
    give(exchange, bar(0, 100))
    exchange.modify(ACCOUNT, order_id, OrderChange(stop_price=Decimal("99.50")), at(1))
    assert traded(give(exchange, bar(1, 100, 100, 99.5, 100))) == at_prices((10, "99.50"))
    other = send(exchange, touch(Action.BUY, 10, "90.00"), 2)
    assert trades_of(exchange.cancel(ACCOUNT, other, at(2)))[-1].status is OrderStatus.CANCELLED
    assert traded(give(exchange, bar(2, 100, 100, 80, 90))) == []
