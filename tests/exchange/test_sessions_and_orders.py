"""Orders and the trading day: expiry at the close, nights, holds until the open, extended hours."""

from decimal import Decimal

import pytest

from src.domain.market import Bar, Quote, Source
from src.domain.orders import Bracket, OrderChange, TimeInForce
from src.exchange.exchange import Exchange
from src.exchange.sessions import Sessions
from tests.exchange.examples import (
    at,
    at_prices,
    bar,
    buy,
    codes,
    executions,
    give,
    sell,
    send,
    statuses,
    traded,
    trades_of,
)
from tests.exchange.markets import AAA, ACCOUNT, CLOSES, HOUR, MINUTE, OPENS, T0, new_exchange, preset_of, sessions_of

DAY, GTC = TimeInForce.DAY, TimeInForce.GTC


@pytest.fixture
def exchange() -> Exchange:
    """Half an hour of trading a day."""
    return new_exchange(sessions=sessions_of("table"))


def bar_at(start: int, *prices: float) -> Bar:
    return bar(0, *prices)._replace(start=start, end=start + MINUTE)


def quote_at(time: int, bid: float, ask: float) -> Quote:
    return Quote(AAA, time, bid, ask, 1_000, 1_000, (bid + ask) / 2, Source.SIMULATED)


def test_a_day_order_expires_at_the_close(exchange: Exchange) -> None:
    """At the close's own time, with 202 and the reason; a GTC order stays."""
    day = send(exchange, buy(1, "90.00"), 0)
    kept = send(exchange, buy(1, "91.00", tif=GTC), 0)
    give(exchange, *(bar(minute, 100) for minute in range(29)))
    [trade] = trades_of(give(exchange, bar(29, 100)))
    assert (trade.order_id, trade.status, trade.code, trade.time) == (day, "Cancelled", 202, CLOSES[0])
    assert "expired" in trade.reason
    assert not exchange.trade(kept).is_done


def test_the_last_bar_of_the_day_still_fills_a_day_order(exchange: Exchange) -> None:
    """A bar that ends at the close was traded before it."""
    send(exchange, buy(1, "90.00"), 0)
    give(exchange, *(bar(minute, 100) for minute in range(29)))
    assert traded(give(exchange, bar(29, 100, 100, 89, 95))) == at_prices((1, "90"))


def test_time_alone_expires_a_day_order(exchange: Exchange) -> None:
    """No bar is needed, and no order placed at the same moment."""
    order_id = send(exchange, buy(1, "90.00"), 0)
    give(exchange, bar(0, 100))
    assert exchange.advance(CLOSES[0] - 1) == ()
    [trade] = trades_of(exchange.advance(CLOSES[0] + HOUR))
    assert (trade.order_id, trade.status, trade.time) == (order_id, "Cancelled", CLOSES[0])


def test_half_days_end_early() -> None:
    """The table's own close counts, whatever the usual hour."""
    half = Sessions([T0, T0 + 24 * HOUR], [T0 + 10 * MINUTE, T0 + 25 * HOUR])
    exchange = new_exchange(sessions=half)
    order_id = send(exchange, buy(1, "90.00"), 0)
    give(exchange, *(bar(minute, 100) for minute in range(9)))
    assert exchange.trade(order_id).status == "Submitted"
    give(exchange, bar(9, 100))
    assert exchange.trade(order_id).status == "Cancelled"


def test_a_gtc_order_works_on_the_next_day_and_not_in_between(exchange: Exchange) -> None:
    """Trades of the extended hours go past it; at the next open it is there, at its old place."""
    first = send(exchange, buy(1, "95.00", tif=GTC), 0)
    second = send(exchange, buy(1, "95.00", tif=GTC), 0)
    give(exchange, *(bar(minute, 100) for minute in range(30)))
    assert exchange.advance(CLOSES[0] + MINUTE, (bar_at(CLOSES[0], 90),)) == ()
    events = exchange.advance(OPENS[1] + MINUTE, (bar_at(OPENS[1], 96, 96, 94, 95),))
    assert [each.order_id for each in executions(events)] == [first, second]
    assert all(each.time > OPENS[1] for each in executions(events))


def test_a_gtc_order_sent_just_before_the_close_does_not_trade_after_hours(exchange: Exchange) -> None:
    """It has met no print yet when the market closes: it waits for the open like any other."""
    give(exchange, *(bar(minute, 100) for minute in range(30 - 1)))
    exchange.submit(ACCOUNT, buy(1, tif=GTC), CLOSES[0] - 1)
    assert exchange.advance(CLOSES[0] + 2 * MINUTE, (bar_at(CLOSES[0] + MINUTE, 90),)) == ()
    assert traded(exchange.advance(OPENS[1] + MINUTE, (bar_at(OPENS[1], 96),))) == at_prices((1, "96"))


@pytest.mark.parametrize("moment", [OPENS[0] - 5 * MINUTE, CLOSES[0], CLOSES[0] + HOUR])
@pytest.mark.parametrize("tif", [DAY, GTC])
def test_an_order_placed_while_closed_is_held_until_the_open(exchange: Exchange, moment: int, tif: TimeInForce) -> None:
    """399 with the order's id; it fills at the open's print, and lives through that day."""
    exchange.advance(OPENS[0] - 6 * MINUTE)
    events = exchange.submit(ACCOUNT, buy(1, tif=tif), moment)
    assert statuses(events) == ["PreSubmitted"]
    assert codes(events) == [399]
    opening = next(each for each in OPENS if each > moment)
    assert exchange.advance(opening) == ()
    assert traded(exchange.advance(opening + MINUTE, (bar_at(opening, 101),))) == at_prices((1, "101"))


def test_a_held_order_can_be_changed_and_cancelled(exchange: Exchange) -> None:
    """Before the open, at once."""
    changed = trades_of(exchange.submit(ACCOUNT, buy(1, "90.00"), OPENS[0] - MINUTE))[0].order_id
    gone = trades_of(exchange.submit(ACCOUNT, buy(1), OPENS[0] - MINUTE))[0].order_id
    exchange.modify(ACCOUNT, changed, OrderChange(limit_price=Decimal("100.00")), OPENS[0] - MINUTE)
    assert statuses(exchange.cancel(ACCOUNT, gone, OPENS[0] - MINUTE)) == ["Cancelled"]
    assert traded(exchange.advance(OPENS[0] + MINUTE, (bar_at(OPENS[0], 99),))) == at_prices((1, "99"))


def test_an_order_held_over_night_does_not_meet_yesterdays_quote(exchange: Exchange) -> None:
    """Time alone reaches the open before the first quote of the day: the order waits for that one."""
    exchange.quote(quote_at(CLOSES[0] - MINUTE, 99.9, 100.1))
    exchange.submit(ACCOUNT, buy(1), CLOSES[0] + MINUTE)
    assert traded(exchange.advance(OPENS[1])) == []
    assert traded(exchange.quote(quote_at(OPENS[1] + 1, 119.9, 120.1))) == at_prices((1, "120.1"))


def test_an_order_that_would_arrive_after_the_close_is_held_until_the_open() -> None:
    """Latency carries it over the close: it is for the next day, whatever its time in force."""
    exchange = new_exchange(preset_of("realistic"), sessions_of("table"))
    exchange.quote(quote_at(CLOSES[0] - MINUTE, 99.9, 100.1))
    events = exchange.submit(ACCOUNT, buy(1, "110.00"), CLOSES[0] - 10_000_000)
    assert codes(events) == [399]
    assert exchange.advance(CLOSES[0] + HOUR) == ()
    assert traded(exchange.quote(quote_at(OPENS[1] + 1, 104.9, 105.1))) == at_prices((1, "105.1"))


def test_a_change_on_its_way_at_the_close_does_not_save_a_day_order() -> None:
    """The day is over for the order, whatever is still on the wire."""
    exchange = new_exchange(preset_of("realistic"), sessions_of("table"))
    order_id = send(exchange, buy(1, "90.00"), 0)
    give(exchange, bar(0, 100))
    change = OrderChange(limit_price=Decimal("91.00"))
    exchange.modify(ACCOUNT, order_id, change, CLOSES[0] - 10_000_000)
    exchange.advance(CLOSES[0] + HOUR)
    assert exchange.trade(order_id).status == "Cancelled"


def test_outside_rth_orders_trade_in_extended_hours(exchange: Exchange) -> None:
    """Before the open and after the close; no 399."""
    events = exchange.submit(ACCOUNT, buy(1, "100.00", outside_rth=True), OPENS[0] - 5 * MINUTE)
    assert codes(events) == []
    early = bar_at(OPENS[0] - 5 * MINUTE, 99)
    assert traded(exchange.advance(early.end, (early,))) == at_prices((1, "99"))
    give(exchange, *(bar(minute, 100) for minute in range(30)))
    exchange.submit(ACCOUNT, sell(1, "100.00", outside_rth=True), CLOSES[0])
    late = bar_at(CLOSES[0], 101)
    assert traded(exchange.advance(late.end, (late,))) == at_prices((-1, "101"))


@pytest.mark.parametrize("begun", [OPENS[0], CLOSES[0] + HOUR])
def test_an_outside_rth_day_order_expires_four_hours_after_the_close(exchange: Exchange, begun: int) -> None:
    """Also when the exchange began after that close."""
    exchange.submit(ACCOUNT, buy(1, "90.00", outside_rth=True), begun)
    end = CLOSES[0] + 4 * HOUR
    assert "Cancelled" not in statuses(exchange.advance(end - 1))
    [trade] = trades_of(exchange.advance(end))
    assert (trade.status, trade.time) == ("Cancelled", end)


def test_a_bracket_over_night_keeps_its_exits(exchange: Exchange) -> None:
    """The parent filled today, the exits are GTC: tomorrow the stop sells and cancels the target."""
    exchange.submit_bracket(ACCOUNT, Bracket.around(buy(1), Decimal("110.00"), Decimal("95.00")), at(0))
    give(exchange, *(bar(minute, 100) for minute in range(30)))
    assert traded(exchange.advance(OPENS[1] + MINUTE, (bar_at(OPENS[1], 94),))) == at_prices((-1, "94"))
    assert exchange.open_trades(ACCOUNT) == ()


def test_the_end_of_a_session_can_be_commanded() -> None:
    """Where no table closes the day, a caller may: DAY orders of both kinds end, GTC orders stay."""
    exchange = new_exchange()
    orders = (buy(1, "90.00"), buy(1, "90.00", outside_rth=True), buy(1, "90.00", tif=GTC))
    ids = [send(exchange, order, 0) for order in orders]
    give(exchange, bar(0, 100))
    exchange.close_session(at(2))
    assert [exchange.trade(each).status for each in ids] == ["Cancelled", "Cancelled", "Submitted"]


def test_only_limits_work_outside_regular_hours(exchange: Exchange) -> None:
    """A market order waits for the open with 399 whatever its `outside_rth` says; a limit trades at once."""
    evening = CLOSES[0] + HOUR
    give(exchange, *(bar(minute, 100) for minute in range(30)))
    market = exchange.submit(ACCOUNT, buy(1, outside_rth=True), evening)
    limit = exchange.submit(ACCOUNT, buy(2, "101.00", outside_rth=True), evening)
    assert 399 in codes(market)
    assert 399 not in codes(limit)
    assert traded(exchange.advance(evening + MINUTE, (bar_at(evening, 100.5),))) == at_prices((2, "100.5"))
    assert traded(exchange.advance(OPENS[1] + MINUTE, (bar_at(OPENS[1], 102),))) == at_prices((1, "102"))
