"""FOK: all at once or not at all."""

from src.domain.orders import OrderStatus, TimeInForce
from tests.exchange.examples import at, at_prices, bar, buy, give, quote, send, traded
from tests.exchange.markets import ACCOUNT, new_exchange

FOK = TimeInForce.FOK


def test_it_takes_the_whole_size_shown_or_nothing() -> None:
    exchange = new_exchange()
    exchange.quote(quote(0, 99.99, 100.01, 50))
    assert traded(exchange.submit(ACCOUNT, buy(50, tif=FOK), at(0))) == at_prices((50, "100.01"))
    exchange.quote(quote(1, 99.99, 100.01, 50))
    order_id = send(exchange, buy(51, tif=FOK), 1)
    assert exchange.trade(order_id).status is OrderStatus.CANCELLED
    assert not exchange.trade(order_id).filled


def test_a_limit_that_the_market_does_not_meet_is_cancelled() -> None:
    exchange = new_exchange()
    exchange.quote(quote(0, 99.99, 100.01, 50))
    order_id = send(exchange, buy(10, "99.00", tif=FOK), 0)
    assert exchange.trade(order_id).status is OrderStatus.CANCELLED


def test_around_bars_it_looks_at_the_next_open() -> None:
    exchange = new_exchange()
    send(exchange, buy(10, "99.00", tif=FOK), 0)
    assert traded(give(exchange, bar(0, 100, 100, 98, 98))) == []
    send(exchange, buy(10, "99.00", tif=FOK), 1)
    assert traded(give(exchange, bar(1, 98))) == at_prices((10, "98.00"))
