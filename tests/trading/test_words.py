"""Prices and orders as a person reads them."""

from decimal import Decimal

from src.domain.market import Contract
from src.domain.orders import Action, Order, OrderType
from src.trading.words import order_in_words, price_shown


def test_a_price_shows_its_cents_and_what_lies_between_them() -> None:
    """Price improvement is seen, trailing zeros are not."""
    assert [price_shown(Decimal(p)) for p in ("11", "106.075", "106.4625", "12345.6")] == [
        "11.00",
        "106.075",
        "106.4625",
        "12,345.60",
    ]


def test_an_order_is_one_line_with_the_prices_its_type_has() -> None:
    """Stop before limit, and no more zeros than there are cents."""
    msft = Contract("MSFT")
    stop_limit = Order(msft, Action.SELL, Decimal(1500), OrderType.STOP_LIMIT, Decimal("99.5"), Decimal(100))
    assert order_in_words(Order(msft, Action.BUY, Decimal(100))) == "BUY 100 MSFT MKT"
    assert order_in_words(stop_limit) == "SELL 1,500 MSFT STP LMT at 100.00 / 99.50"
