"""Currency pairs through the facade, by IB's own name of them: on the simulator, and over the socket of the gateway."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from src.brokers.ib_gateway import IBGatewayClient
from src.domain.errors import InvalidOrderError, UnknownContractError
from src.domain.market import Contract, contract_named
from src.domain.orders import OrderId
from src.settings import Settings
from tests.gateways.tws_stage import Stage


@pytest.fixture
def over_the_socket(settings: Settings) -> Iterator[IBGatewayClient]:
    """A client of the paper gateway, where EUR.USD and USD.JPY have prices."""
    with Stage(priced=("EUR.USD", "USD.JPY")) as stage:
        tws = replace(settings, backend="tws", host="127.0.0.1", port=stage.port, market_data_type=1)
        with IBGatewayClient(settings=tws) as connected:
            yield connected


@pytest.fixture(params=["client", "over_the_socket"])
def either(request: pytest.FixtureRequest) -> IBGatewayClient:
    """Both backends."""
    found: IBGatewayClient = request.getfixturevalue(request.param)
    return found


def test_a_pair_is_bought_held_and_closed_by_its_name(either: IBGatewayClient) -> None:
    """Its price is the middle: nobody prints its trades."""
    with either.stream("EUR.USD") as events:
        events.next(20)  # the first quote of a pair that nobody has asked for comes with the next second
    quote = either.get_quote("eur.usd")
    assert (quote["symbol"], quote["last"]) == ("EUR.USD", None)
    bid, ask = quote["bid"], quote["ask"]
    assert bid is not None
    assert ask == pytest.approx(bid + 0.00005)
    assert bid < either.get_current_price("EUR.USD") < bid + 0.00005
    order = either.place_market_order("EUR.USD", 20_000, "BUY", wait=20)
    assert (order["status"], order["symbol"], order["filled"]) == ("Filled", "EUR.USD", 20_000)
    assert either.get_positions()["EUR.USD"]["position"] == 20_000
    assert either.get_fills()[-1]["symbol"] == "EUR.USD"
    closed = either.close_position("EUR.USD", wait=20)
    assert (closed["status"], closed["action"]) == ("Filled", "SELL")


def test_its_orders_keep_to_its_tick(either: IBGatewayClient) -> None:
    """A twentieth of a pip, below one as well."""
    order = either.place_limit_order("EUR.USD", 20_000, 0.50005, "BUY")
    assert order["status"] in {"PreSubmitted", "Submitted"}
    assert order["order_id"] is not None
    assert either.cancel_order(order["order_id"])
    with pytest.raises(InvalidOrderError, match=r"off the tick of EUR\.USD"):
        either.place_limit_order("EUR.USD", 20_000, 0.50003, "BUY")


def test_another_quantity_leaves_its_price_as_it_is(either: IBGatewayClient) -> None:
    """What the venue says of an order has as many decimals as the order."""
    placed = either.place_limit_order("EUR.USD", 20_000, 0.50005, "BUY")["order_id"]
    assert placed is not None
    assert either.modify_order(placed, quantity=21_000)["quantity"] == 21_000
    assert either.broker.trade(OrderId(placed)).order.limit_price == Decimal("0.50005")
    assert either.cancel_order(placed)


def test_its_bars_have_no_volume(either: IBGatewayClient) -> None:
    bars = either.get_bars("EUR.USD", "1m", 5)
    assert bars["volume"] == [0.0] * 5
    assert all(low <= close <= high for low, close, high in zip(bars["low"], bars["close"], bars["high"], strict=True))


def test_one_that_is_not_quoted_in_dollars_has_prices_and_takes_no_order(either: IBGatewayClient) -> None:
    """The limits on an order count dollars: a hundred yen are not a hundred of them."""
    assert either.get_current_price("USD.JPY") > 50
    with pytest.raises(InvalidOrderError, match="quoted in JPY"):
        either.place_market_order("USD.JPY", 25_000, "BUY")


def test_a_pair_that_is_not_listed_is_unknown(either: IBGatewayClient) -> None:
    with pytest.raises(UnknownContractError):
        either.get_quote("EUR.SEK")


@pytest.mark.parametrize("stock", ["NVDA", "BRK.B", "BRK B", "EURUSD", "AB.CDE"])
def test_other_names_are_stocks(stock: str) -> None:
    assert contract_named(stock) == Contract(stock)


def test_a_pair_asked_for_as_a_stock_is_told_what_it_is(client: IBGatewayClient) -> None:
    """A list that holds the very name is no answer."""
    with pytest.raises(UnknownContractError, match=r"no STK 'EUR\.USD' .*: EUR\.USD is CASH here"):
        client.broker.qualify(Contract("EUR.USD"))
