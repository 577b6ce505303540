"""Where an order fills on a bar's path and on a standing quote, worked by hand."""

from decimal import Decimal
from math import nan

import pytest

from src.domain.events import Filled
from src.domain.market import Quote, Source
from src.domain.orders import Order, OrderChange, TimeInForce
from src.exchange.fill_models import Liquidity, realistic
from src.exchange.units import UNITS_PER_DOLLAR
from tests.exchange.examples import (
    at,
    at_prices,
    bar,
    buy,
    executions,
    give,
    quote,
    sell,
    send,
    statuses,
    traded,
)
from tests.exchange.markets import (
    AAA,
    ACCOUNT,
    BBB,
    CCC,
    CLOSES,
    MINUTE,
    OPENS,
    T0,
    new_exchange,
    preset_of,
    sessions_of,
)

# --- a bar's path ---------------------------------------------------------------------------------------------------


def test_a_market_order_placed_on_a_close_fills_at_the_next_open() -> None:
    """Not at the close it was decided on, and at the open's own time."""
    exchange = new_exchange()
    give(exchange, bar(0, 100, 101, 99, 100.5))
    send(exchange, buy(10), 1)
    events = give(exchange, bar(1, 102, 103, 101, 102.5))
    assert traded(events) == at_prices((10, "102"))
    assert [each.time for each in executions(events)] == [at(1)]


def test_an_order_for_another_contract_does_not_fill_in_the_minute_just_ended() -> None:
    """All bars of an instant come together: what is decided on one cannot trade in another."""
    exchange = new_exchange()
    exchange.advance(at(1), (bar(0, 100), bar(0, 50, contract=BBB)))
    send(exchange, buy(10, contract=BBB), 1)
    events = exchange.advance(at(2), (bar(1, 101), bar(1, 55, contract=BBB)))
    assert traded(events) == at_prices((10, "55"))
    assert executions(events)[0].time == at(1)


def test_bars_of_several_contracts_come_together_whichever_of_them_trades() -> None:
    """The first two bars touch no order; the third one fills: none is taken twice."""
    exchange = new_exchange()
    send(exchange, buy(5, "40.00", contract=CCC), 0)
    exchange.advance(at(1), (bar(0, 100), bar(0, 50, contract=BBB), bar(0, 45, contract=CCC)))
    events = exchange.advance(at(2), (bar(1, 100), bar(1, 50, contract=BBB), bar(1, 45, 45, 39, 41, contract=CCC)))
    assert traded(events) == at_prices((5, "40"))
    last = exchange.last_bar(AAA)
    assert last == bar(1, 100)


def test_bars_that_came_alone_and_then_come_together_meet_their_own_orders() -> None:
    """What is expected after one bar is one more of the same contract; others, several and none are seen as well."""
    exchange = new_exchange()
    send(exchange, buy(3, "90.00"), 0)
    send(exchange, buy(5, "40.00", contract=BBB), 0)
    give(exchange, bar(0, 100), bar(1, 101))
    exchange.advance(at(3), (bar(2, 102), bar(2, 50, contract=BBB)))
    exchange.advance(at(3))
    give(exchange, bar(3, 103))
    assert [exchange.last_bar(each) for each in (AAA, BBB)] == [bar(3, 103), bar(2, 50, contract=BBB)]
    assert traded(exchange.advance(at(5), (bar(4, 50, 50, 39, 45, contract=BBB),))) == at_prices((5, "40"))
    exchange.advance(at(6), (bar(5, 85, contract=CCC),))
    assert traded(exchange.advance(at(7), (bar(6, 95, 95, 89, 90),))) == at_prices((3, "90"))
    with pytest.raises(ValueError, match="time goes back"):
        exchange.advance(at(6), (bar(5, 95),))


@pytest.mark.parametrize(
    ("wanted", "price"),
    [
        (buy(1, "99.50"), "99.50"),
        (sell(1, "100.80"), "100.80"),
        (buy(1, stop="100.80"), "100.80"),
        (sell(1, stop="99.50"), "99.50"),
        (buy(1, "100.90", "100.80"), "100.80"),
        (sell(1, "99.40", "99.50"), "99.50"),
    ],
)
def test_a_level_crossed_inside_the_bar_fills_at_the_level(wanted: Order, price: str) -> None:
    """Limit, stop and stop-limit: exactly their level, never rounded in the order's favour."""
    exchange = new_exchange()
    send(exchange, wanted, 0)
    assert traded(give(exchange, bar(0, 100, 101, 99, 100))) == at_prices((wanted.action.sign, price))


@pytest.mark.parametrize(
    ("wanted", "opening", "price"),
    [
        (buy(1, "99.50"), 98.1234, "98.1234"),
        (sell(1, "100.50"), 102.0, "102"),
        (buy(1, stop="100.80"), 103.0, "103"),
        (sell(1, stop="99.50"), 97.0, "97"),
    ],
)
def test_a_gap_through_the_level_fills_at_the_open(wanted: Order, opening: float, price: str) -> None:
    """A limit gains by the jump and a stop loses by it; the print is not rounded to the tick."""
    exchange = new_exchange()
    send(exchange, wanted, 0)
    give(exchange, bar(0, 100))
    assert traded(give(exchange, bar(1, opening))) == at_prices((wanted.action.sign, price))


def test_a_limit_that_is_not_reached_does_not_fill() -> None:
    """A hundredth of a cent is enough to miss it, and a touch is enough to fill it."""
    exchange = new_exchange()
    send(exchange, buy(1, "99.00"), 0)
    assert traded(give(exchange, bar(0, 100, 100, 99.0001, 100))) == []
    assert traded(give(exchange, bar(1, 100, 100, 99, 100))) == at_prices((1, "99"))


def test_the_path_goes_to_the_nearer_extreme_first() -> None:
    """Open 100, high 101 and low 98: the high comes first, so the sale precedes the purchase."""
    exchange = new_exchange()
    send(exchange, buy(1, "98.50"), 0)
    send(exchange, sell(1, "100.50"), 0)
    events = give(exchange, bar(0, 100, 101, 98, 99))
    assert traded(events) == at_prices((-1, "100.50"), (1, "98.50"))
    first, second = executions(events)
    assert at(0) < first.time < at(0) + MINUTE // 3 < second.time < at(0) + 2 * MINUTE // 3


def test_a_stop_limit_that_gaps_beyond_its_limit_waits_for_it() -> None:
    """Triggered at the open, filled when the price comes back to the limit."""
    exchange = new_exchange()
    order_id = send(exchange, buy(1, "100.50", "100.20"), 0)
    give(exchange, bar(0, 100))
    assert traded(give(exchange, bar(1, 102, 103, 101, 102))) == []
    assert traded(give(exchange, bar(2, 102, 102, 100, 100))) == at_prices((1, "100.50"))
    assert exchange.trade(order_id).is_done


def test_a_stop_limit_with_its_limit_before_the_stop_waits_for_the_way_back() -> None:
    """Triggered inside the bar at 101, it buys at 100.5 when the price falls again, be it in the same bar."""
    exchange = new_exchange()
    send(exchange, buy(1, "100.50", "101.00"), 0)
    assert traded(give(exchange, bar(0, 100, 102, 99.8, 101.9))) == []
    assert traded(give(exchange, bar(1, 101, 101, 100, 100))) == at_prices((1, "100.50"))
    send(exchange, buy(1, "100.50", "101.00"), 2)
    assert traded(give(exchange, bar(2, 100, 102, 99.8, 100))) == at_prices((1, "100.50"))


def test_an_immediate_stop_limit_that_cannot_trade_when_triggered_is_cancelled() -> None:
    """IOC is one look at the market: the limit lies behind, nothing rests."""
    exchange = new_exchange()
    order_id = send(exchange, buy(1, "100.50", "101.00", tif=TimeInForce.IOC), 0)
    give(exchange, bar(0, 100, 102, 99.8, 100))
    assert exchange.trade(order_id).status == "Cancelled"


@pytest.mark.parametrize(("wanted", "price"), [(buy(1), "100.000002"), (sell(1), "100.000001")])
def test_an_order_that_arrives_inside_a_bar_meets_the_line_between_its_prints(wanted: Order, price: str) -> None:
    """Half of the way from the open to the high: the price there is 100.0000015, rounded against the order."""
    exchange = new_exchange()
    give(exchange, bar(0, 100))
    send(exchange, wanted, 1 + 1 / 6)
    events = give(exchange, bar(1, 100, 100.000003, 90, 90))
    assert traded(events) == at_prices((wanted.action.sign, price))
    assert executions(events)[0].time == at(1 + 1 / 6)


def test_a_changed_order_acts_on_no_earlier_print_of_the_bar() -> None:
    """The bar dips to 95 early; a limit raised to 96 half-way through it buys only when the price comes again."""
    exchange = new_exchange()
    order_id = send(exchange, buy(1, "90.00"), 0)
    give(exchange, bar(0, 100))
    exchange.modify(ACCOUNT, order_id, OrderChange(limit_price=Decimal("96.00")), at(1.5))
    assert traded(give(exchange, bar(1, 97, 110, 95, 110))) == []
    assert traded(give(exchange, bar(2, 97, 97, 95.5, 97))) == at_prices((1, "96"))


# --- spread and size ------------------------------------------------------------------------------------------------


def test_a_market_order_pays_half_the_spread_and_takes_what_is_displayed() -> None:
    """120 shares at each point of the path (AAA's half spread is half a cent), a tenth of a thin bar's volume."""
    exchange = new_exchange(preset_of("realistic"))
    order_id = send(exchange, buy(300), 0)
    events = give(exchange, bar(1, 100, 101, 99.5, 100.5))
    assert traded(events) == at_prices((120, "100.005"), (120, "99.505"), (60, "101.005"))
    assert statuses(events, order_id) == ["Submitted", "Submitted", "Filled"]
    send(exchange, sell(3), 2)
    assert traded(give(exchange, bar(3, 100, volume=25)))[:2] == at_prices((-2, "99.995"), (-1, "99.995"))


def test_a_resting_limit_fills_only_when_traded_through_by_half_the_spread() -> None:
    """Queue position is taken as last: a touch of the limit is not enough."""
    exchange = new_exchange(preset_of("realistic"))
    send(exchange, buy(1, "99.00"), 0)
    assert traded(give(exchange, bar(1, 100, 100, 98.9951, 100))) == []
    assert traded(give(exchange, bar(2, 100, 100, 98.995, 100))) == at_prices((1, "99"))


def test_a_marketable_limit_goes_on_at_the_market_not_at_its_own_far_price() -> None:
    """A buy at up to 105 with the market at 100: each piece pays a price that was traded."""
    exchange = new_exchange(preset_of("realistic"))
    give(exchange, bar(0, 100))
    send(exchange, buy(400, "105.00"), 1)
    events = give(exchange, bar(2, 100), bar(3, 100))
    assert traded(events) == at_prices((120, "100.005"), (120, "100.005"), (120, "100.005"), (40, "100.005"))


def test_a_limit_passed_by_the_market_trades_the_rest_at_its_own_price() -> None:
    """The market comes through the bid at 99: what is left of it trades there too, not lower."""
    exchange = new_exchange(preset_of("realistic"))
    send(exchange, buy(200, "99.00"), 0)
    give(exchange, bar(1, 100))
    assert traded(give(exchange, bar(2, 100, 100, 97, 97.5))) == at_prices((120, "99"), (80, "99"))


def test_an_order_reaches_the_exchange_after_the_latency() -> None:
    """An order sent at the open misses the open's print: it meets the price fifty milliseconds later."""
    exchange = new_exchange(preset_of("realistic"))
    send(exchange, buy(1), 0)
    [execution] = executions(give(exchange, bar(0, 100, 110, 80, 110)))
    assert execution.time == T0 + 50_000_000
    assert execution.price == Decimal("100.03")  # a 400th of the first third of the minute, and half a cent


def test_a_latency_of_zero_may_be_asked_for() -> None:
    """The preset's own parameter."""
    exchange = new_exchange(realistic({1: Liquidity(10_000, 10)}, latency=0))
    send(exchange, buy(1), 0)
    assert executions(give(exchange, bar(0, 100)))[0].time == T0


# --- quotes ---------------------------------------------------------------------------------------------------------


def test_a_market_order_fills_at_once_at_the_standing_side() -> None:
    """A buy at the ask, a sale at the bid, in the answer to the command itself."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.98, 100.02))
    assert traded(exchange.submit(ACCOUNT, buy(10), at(0.5))) == at_prices((10, "100.02"))
    assert traded(exchange.submit(ACCOUNT, sell(10), at(0.5))) == at_prices((-10, "99.98"))


def test_displayed_size_is_consumed_until_the_next_quote() -> None:
    """Two orders share the 100 shares on offer; what is left over waits for the next quote and pays its price."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.98, 100.02, 100))
    assert traded(exchange.submit(ACCOUNT, buy(60), at(0.1))) == at_prices((60, "100.02"))
    assert traded(exchange.submit(ACCOUNT, buy(60), at(0.2))) == at_prices((40, "100.02"))
    assert traded(exchange.submit(ACCOUNT, sell(30), at(0.3))) == at_prices((-30, "99.98"))
    assert traded(exchange.quote(quote(1, 100.08, 100.12, 100))) == at_prices((20, "100.12"))


@pytest.mark.parametrize(
    ("bid", "ask"),
    [(nan, 100.0), (100.0, nan), (0.0, 100.0), (100.0, 0.0), (-1.0, 100.0), (100.0, -1.0), (101.0, 100.0)],
)
def test_one_sided_and_crossed_quotes_trade_nothing(bid: float, ask: float) -> None:
    """Neither side trades, whatever is missing; the next sane quote fills both, and bars fill nothing any more."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.98, 100.02))
    send(exchange, buy(1, "90.00"), 0)
    assert traded(exchange.quote(quote(1, bid, ask))) == []
    assert traded(exchange.submit(ACCOUNT, buy(1), at(1.1))) == []
    assert traded(exchange.submit(ACCOUNT, sell(2), at(1.1))) == []
    assert traded(give(exchange, bar(1, 100))) == []
    assert exchange.mark(AAA.con_id) == 100 * UNITS_PER_DOLLAR
    assert traded(exchange.quote(quote(3, 99.9, 100.1))) == at_prices((1, "100.1"), (-2, "99.9"))


def test_a_resting_limit_that_the_quote_passes_trades_at_its_own_price() -> None:
    """The bid stood at 99.50 when sellers came: it gives no better price."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.98, 100.02))
    send(exchange, buy(10, "99.50"), 0)
    send(exchange, sell(10, stop="99.00"), 0)
    assert traded(exchange.quote(quote(1, 99.6, 99.7))) == []
    assert traded(exchange.quote(quote(2, 98.7, 98.8))) == at_prices((10, "99.50"), (-10, "98.7"))


def test_the_first_quote_of_a_session_is_a_jump() -> None:
    """Over the night nobody traded at the limit: it fills at the opening quote."""
    exchange = new_exchange(sessions=sessions_of("table"))
    exchange.quote(quote(0, 99.98, 100.02))
    send(exchange, buy(10, "99.50", tif=TimeInForce.GTC), 0)
    opening = Quote(AAA, OPENS[1], 95.0, 95.1, 500, 500, nan, Source.SIMULATED)
    assert traded(exchange.quote(opening)) == at_prices((10, "95.1"))


def test_an_immediate_order_takes_what_stands_and_no_more() -> None:
    """IOC on a quote: 40 of 100, the rest is cancelled."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.98, 100.02, 40))
    events = exchange.submit(ACCOUNT, buy(100, "100.02", tif=TimeInForce.IOC), at(1))
    assert traded(events) == at_prices((40, "100.02"))
    assert statuses(events) == ["PreSubmitted", "Submitted", "Cancelled"]


def test_an_immediate_order_looks_once_at_the_next_bar() -> None:
    """On bars it meets the open; a limit that is not met there is cancelled, even if the bar comes to it later."""
    exchange = new_exchange()
    met = send(exchange, buy(1, "100.00", tif=TimeInForce.IOC), 0)
    missed = send(exchange, buy(1, "99.00", tif=TimeInForce.IOC), 0)
    events = give(exchange, bar(0, 99.9, 100, 98, 100))
    assert traded(events) == at_prices((1, "99.9"))
    assert [exchange.trade(each).status for each in (met, missed)] == ["Filled", "Cancelled"]


def test_market_data_that_no_market_could_make_is_refused() -> None:
    """NaN, zero, a low above the open, a bar that does not end: the caller hears of it, nothing trades."""
    exchange = new_exchange()
    send(exchange, buy(1), 0)
    for bad in (bar(0, nan), bar(0, 0.0), bar(0, 100, 101, 100.5, 101), bar(0, 100)._replace(end=at(0))):
        with pytest.raises(ValueError, match="bar"):
            exchange.advance(at(1), (bad,))
    assert not any(isinstance(event, Filled) for event in exchange.advance(at(1)))
    assert exchange.trade(exchange.trades(ACCOUNT)[0].order_id).filled == 0


# --- days with quotes and days without -------------------------------------------------------------------------------


def test_bars_make_the_market_of_a_day_without_quotes() -> None:
    """Quoted on the first day only: on the second, orders fill in bars and the mark follows them."""
    exchange = new_exchange(sessions=sessions_of("table"))
    exchange.quote(quote(0, 99.98, 100.02))
    exchange.submit(ACCOUNT, buy(10), at(1))
    kept = send(exchange, buy(1, "97.00", tif=TimeInForce.GTC), 1)
    tomorrow = bar(0, 98, 99, 97.5, 98.5)._replace(start=OPENS[1], end=OPENS[1] + MINUTE)
    assert traded(exchange.submit(ACCOUNT, sell(6), OPENS[1])) == []
    assert traded(exchange.advance(tomorrow.end, (tomorrow,))) == at_prices((-6, "98"))
    assert exchange.mark(AAA.con_id) == 98.5 * UNITS_PER_DOLLAR
    falling = bar(0, 98, 98, 96, 96)._replace(start=tomorrow.end, end=tomorrow.end + MINUTE)
    assert traded(exchange.advance(falling.end, (falling,))) == at_prices((1, "97"))
    assert exchange.trade(kept).is_done


def test_quotes_lapse_over_the_night_where_the_market_never_closes() -> None:
    """At midnight in New York; until then bars only inform, as before."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.98, 100.02, 0))
    send(exchange, buy(1), 0)
    assert traded(give(exchange, bar(1, 99))) == []
    assert exchange.mark(AAA.con_id) == 100 * UNITS_PER_DOLLAR
    night = 15 * 60  # T0 is 14:30 UTC
    assert traded(give(exchange, bar(night, 98))) == at_prices((1, "98"))
    assert exchange.mark(AAA.con_id) == 98 * UNITS_PER_DOLLAR
    assert traded(exchange.quote(quote(night + 2, 97.0, 97.1))) == []
    assert traded(exchange.submit(ACCOUNT, sell(1), at(night + 3))) == at_prices((-1, "97"))


def test_a_quote_of_midnight_itself_is_the_new_days_first() -> None:
    """It is a jump, it stands, and it lapses a day later."""
    exchange = new_exchange()
    midnight = 14.5 * 60  # 05:00 UTC
    exchange.quote(quote(0, 99.98, 100.02))
    send(exchange, buy(1, "99.00"), 0)
    assert traded(exchange.quote(quote(midnight, 97.0, 97.1))) == at_prices((1, "97.1"))
    assert traded(exchange.submit(ACCOUNT, sell(1), at(midnight + 1))) == at_prices((-1, "97"))
    exchange.advance(at(midnight + 24 * 60))
    assert traded(exchange.submit(ACCOUNT, buy(1), at(midnight + 24 * 60 + 1))) == []
    assert traded(give(exchange, bar(int(midnight) + 24 * 60 + 1, 96))) == at_prices((1, "96"))


def test_a_resting_limit_does_not_fill_at_its_own_price_across_the_night() -> None:
    """The price fell to a seventh while nobody traded: the order pays the morning's ask."""
    exchange = new_exchange(sessions=sessions_of("table"))
    exchange.quote(quote(0, 645.5, 645.6))
    send(exchange, buy(10, "645.00", tif=TimeInForce.GTC, outside_rth=True), 0)
    evening = Quote(AAA, CLOSES[0] + 60 * MINUTE, 645.5, 645.6, 500, 500, nan, Source.SIMULATED)
    assert traded(exchange.quote(evening)) == []
    morning = Quote(AAA, OPENS[1] - 60 * MINUTE, 92.42, 92.5, 500, 500, nan, Source.SIMULATED)
    assert traded(exchange.quote(morning)) == at_prices((10, "92.5"))


def test_a_resting_limit_does_not_fill_at_its_own_price_across_the_night_of_a_market_that_never_closes() -> None:
    """The same jump, where no session tells of the night."""
    exchange = new_exchange()
    exchange.quote(quote(0, 645.5, 645.6))
    send(exchange, buy(10, "645.00", tif=TimeInForce.GTC), 0)
    assert traded(exchange.quote(quote(24 * 60, 92.42, 92.5))) == at_prices((10, "92.5"))


def test_the_mark_stands_over_the_night_until_the_first_price_of_the_day() -> None:
    """A print that is older than the last quote is no better than it."""
    exchange = new_exchange()
    give(exchange, bar(0, 90))
    exchange.quote(quote(5, 99.0, 101.0))
    exchange.advance(at(24 * 60))
    assert exchange.mark(AAA.con_id) == 100 * UNITS_PER_DOLLAR
    give(exchange, bar(24 * 60, 103))
    assert exchange.mark(AAA.con_id) == 103 * UNITS_PER_DOLLAR
