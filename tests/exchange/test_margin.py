"""Liquidation: what an account can no longer carry is closed, at once and without being asked."""

from decimal import Decimal

import pytest

from src.domain.events import Event
from src.domain.market import Quote, Source
from src.domain.orders import AccountId
from src.exchange.exchange import Exchange
from src.exchange.units import UNITS_PER_DOLLAR
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
from tests.exchange.markets import AAA, ACCOUNT, BBB, CLOSES, MINUTE, new_exchange, preset_of, sessions_of


def carrying(quantity: int, cash: int = 100_000, *, quotes: bool = False) -> Exchange:
    """An account with one position bought (or sold) at 100."""
    exchange = new_exchange(cash=cash)
    wanted = buy(quantity) if quantity > 0 else sell(-quantity)
    if quotes:
        exchange.quote(quote(0, 100, 100, 1_000_000))
        exchange.submit(ACCOUNT, wanted, at(0))
    else:
        send(exchange, wanted, 0)
        give(exchange, bar(0, 100))
    return exchange


@pytest.mark.parametrize(
    ("quantity", "enough", "too_far"), [(3_000, 88.8889, 88.8888), (-2_000, 115.3846, 115.3847), (4_000, 100, 99.9999)]
)
@pytest.mark.parametrize("quotes", [False, True])
def test_a_position_is_liquidated_as_soon_as_excess_liquidity_is_negative(
    quantity: int, enough: float, too_far: float, quotes: bool
) -> None:
    """3,000 at 100 with $100,000 hold to 88.8889; 2,000 short to 115.3846: to a hundredth of a cent."""
    exchange = carrying(quantity, quotes=quotes)

    def price(minute: int, level: float) -> tuple[Event, ...]:
        if quotes:
            return exchange.quote(quote(minute, level, level, 1_000_000))
        return give(exchange, bar(minute, level))

    assert price(1, enough) == ()
    events = price(2, too_far) + exchange.advance(at(3))
    assert codes(events) == [2100]
    assert statuses(events)[0] == "PreSubmitted"
    if not quotes:
        events += give(exchange, bar(3, too_far))
    assert traded(events) == at_prices((-quantity, f"{too_far}"))
    assert all(each.liquidation for each in executions(events))
    assert exchange.positions(ACCOUNT)[0].quantity == 0


def test_margin_is_watched_after_an_order_that_filled_at_once() -> None:
    """Bought on a standing quote in the answer to the command: the next quote already finds the guard."""
    exchange = carrying(3_999, quotes=True)
    assert codes(exchange.quote(quote(1, 80, 80))) == [2100]


def test_an_intrabar_low_does_not_liquidate_when_the_close_has_come_back() -> None:
    """The account is valued at marks: a bar's close."""
    exchange = carrying(3_000)
    assert give(exchange, bar(1, 100, 100, 80, 95)) == ()


def test_a_strange_last_price_does_not_liquidate() -> None:
    """A print outside the spread values nothing."""
    exchange = carrying(3_000, quotes=True)
    assert exchange.quote(quote(1, 100, 100.02, last=50.0)) == ()
    assert exchange.account_summary(ACCOUNT, at(1)).excess_liquidity > 0


def test_crossing_the_two_thousand_dollars_is_a_margin_call_of_its_own() -> None:
    """$2,500 carry $5,000 at a quarter; at 89.99 less than $2,000 are left, nothing may be borrowed any more."""
    exchange = carrying(50, cash=2_500)
    assert codes(give(exchange, bar(1, 90.0))) == []
    assert codes(give(exchange, bar(2, 89.99))) == [2100]


def test_the_largest_position_goes_first_and_the_rest_only_if_needed() -> None:
    """Two positions; after the larger one is closed the account carries the other."""
    exchange = new_exchange()
    for order in (buy(2_500), buy(1_000, contract=BBB)):
        exchange.submit(ACCOUNT, order, at(0))
    exchange.advance(at(1), (bar(0, 100), bar(0, 100, contract=BBB)))
    events = exchange.advance(at(2), (bar(1, 85), bar(1, 100, contract=BBB)))
    assert codes(events) == [2100]
    events = exchange.advance(at(3), (bar(2, 85), bar(2, 100, contract=BBB)))
    assert traded(events) == at_prices((-2_500, "85"))
    assert {p.contract.symbol: p.quantity for p in exchange.positions(ACCOUNT)} == {"AAA": 0, "BBB": 1_000}


def test_working_orders_of_a_liquidated_contract_are_cancelled_first() -> None:
    """They could open again what is being closed; orders of other contracts stay."""
    exchange = carrying(3_000)
    own = send(exchange, sell(100, "150.00"), 1)
    other = send(exchange, buy(1, "10.00", contract=BBB), 1)
    exchange.advance(at(2), (bar(1, 100), bar(1, 50, contract=BBB)))
    exchange.advance(at(3), (bar(2, 80), bar(2, 50, contract=BBB)))
    assert exchange.trade(own).status == "Cancelled"
    assert "liquidated" in exchange.trade(own).reason
    assert exchange.trade(other).status == "Submitted"


def test_a_liquidation_under_way_is_not_doubled() -> None:
    """Displayed size is small: it takes several bars, by one order."""
    exchange = new_exchange(preset_of("realistic"), cash=3_000)
    send(exchange, buy(100), 0)
    give(exchange, bar(0, 100), bar(1, 90, volume=20), bar(2, 90, volume=20), bar(3, 90, volume=20))
    liquidations = [trade for trade in exchange.trades(ACCOUNT) if trade.order.order_ref == "LIQUIDATION"]
    assert len(liquidations) == 1
    assert 0 < liquidations[0].filled < 100


def test_a_gap_may_leave_a_debt_and_the_account_goes_on() -> None:
    """Nothing is left to sell: the account is negative, the market goes on, what it could open is refused."""
    exchange = carrying(4_000)
    give(exchange, bar(1, 50), bar(2, 40), bar(3, 40))
    assert exchange.account_summary(ACCOUNT, at(4)).net_liquidation == -140_000
    assert exchange.positions(ACCOUNT)[0].quantity == 0
    assert statuses(exchange.submit(ACCOUNT, buy(1), at(4))) == ["Inactive"]
    assert give(exchange, bar(4, 40)) == ()


def test_one_accounts_liquidation_does_not_hold_up_anothers() -> None:
    """Both hold the same contract on margin and fall together."""
    exchange = new_exchange()
    second = AccountId("SIM2")
    exchange.open_account(second, Decimal(100_000))
    for account in (ACCOUNT, second):
        exchange.submit(account, buy(3_000), at(0))
    give(exchange, bar(0, 100))
    events = give(exchange, bar(1, 80), bar(2, 80))
    assert sorted(each.account for each in executions(events)) == [ACCOUNT, second]


def test_ten_minutes_before_the_close_reg_t_asks_for_half() -> None:
    """$300,000 on $100,000 are fine during the day and not over the night."""
    exchange = new_exchange(sessions=sessions_of("table"))
    send(exchange, buy(3_000), 0)
    give(exchange, *(bar(minute, 100) for minute in range(19)))
    assert exchange.positions(ACCOUNT)[0].quantity == 3_000
    events = give(exchange, bar(19, 100), bar(20, 100))
    assert CLOSES[0] - at(20) == 10 * MINUTE
    assert codes(events) == [2100]
    assert traded(events) == at_prices((-3_000, "100"))


def test_half_is_enough_for_the_night() -> None:
    """$200,000 on $100,000."""
    exchange = new_exchange(sessions=sessions_of("table"))
    send(exchange, buy(2_000), 0)
    assert codes(give(exchange, *(bar(minute, 100) for minute in range(30)))) == []


def test_a_liquidation_that_finds_no_market_waits_for_one() -> None:
    """The last bar of the day breaks the account: the order is still there in the morning."""
    exchange = new_exchange(sessions=sessions_of("table"))
    send(exchange, buy(1_900), 0)
    give(exchange, *(bar(minute, 100) for minute in range(29)), bar(29, 60))
    [order] = exchange.open_trades(ACCOUNT)
    assert order.order.order_ref == "LIQUIDATION"
    morning = CLOSES[0] + 23 * 60 * MINUTE + 30 * MINUTE
    assert exchange.advance(morning) == ()
    assert exchange.open_trades(ACCOUNT) == (order,)
    opening = Quote(order.order.contract, morning, 59.0, 59.0, 5_000, 5_000, 59.0, Source.SIMULATED)
    assert traded(exchange.quote(opening)) == at_prices((-1_900, "59"))


def test_trades_tell_a_liquidation_by_its_reference() -> None:
    """The order is the exchange's own, under a reference that says so."""
    exchange = carrying(3_000)
    [trade] = trades_of(give(exchange, bar(1, 80)))
    assert [trade.order.order_ref, trade.order.order_type, trade.order.quantity] == ["LIQUIDATION", "MKT", 3_000]


def test_a_quote_that_lapses_at_midnight_leaves_the_mark_where_it_was() -> None:
    """Bars that came beside the quotes gave no price then, and give none afterwards."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.99, 100.01))
    give(exchange, bar(0, 90))
    before = exchange.mark(AAA.con_id)
    exchange.advance(at(24 * 60))
    assert exchange.standing_quote(AAA) is None
    assert exchange.mark(AAA.con_id) == before == 100 * UNITS_PER_DOLLAR
