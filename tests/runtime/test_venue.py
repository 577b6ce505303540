"""A venue pumps its prices in time order, keeps its clock, and tells each listener what it asked for."""

from decimal import Decimal
from math import isnan

import pytest

from src.domain.errors import NoMarketDataError
from src.domain.events import BarClosed, Event, Filled, OrderChanged, QuoteChanged
from src.domain.market import BarSize, Contract
from src.domain.orders import AccountId, OrderChange, OrderId, OrderStatus
from src.exchange.fill_models import Liquidity, Preset, realistic
from src.exchange.prices import Instant, PriceSource
from src.exchange.sessions import Sessions
from src.runtime.clock import NS, ManualClock, ReplayClock, ScaledClock
from src.runtime.market import MarketRules, seeded_market
from src.runtime.venue import Venue
from tests.runtime.markets import AAA, ACCOUNT, BBB, T0, Written, at, bar, bars, buy, quote, venue

NEVER = Instant(at(10**7), (), ())


def slow() -> Preset:
    """Half a cent of half spread, thirty shares, fifty milliseconds."""
    return realistic({contract.con_id: Liquidity(5_000, 30) for contract in (AAA, BBB)})


def first_trade(events: tuple[Event, ...]) -> OrderId:
    assert isinstance(events[0], OrderChanged)
    return events[0].trade.order_id


# --- time -----------------------------------------------------------------------------------------------------------


def test_a_replay_stands_still_until_it_is_read() -> None:
    """Commands move no prices; each step is one instant, None at the end."""
    market = venue(bars(2))
    market.submit(ACCOUNT, buy(1))
    assert market.now() == T0
    first, second = market.step(), market.step()
    assert first is not None
    assert second is not None
    assert [each.end for each in first] == [at(60)] * 2
    assert market.now() == at(120)
    assert market.step() is None
    assert market.exchange.trade(OrderId(1)).average_fill_price == 100


def test_a_clocked_market_waits_for_nobody() -> None:
    """A command finds every instant processed whose time has come, and none other."""
    clock = ManualClock(T0)
    market = venue([*bars(3), NEVER], clock)
    clock.move_to(at(125))
    market.submit(ACCOUNT, buy(1))
    last = market.exchange.last_bar(AAA)
    assert last == bar(1, 101.0)
    assert market.now() == at(125)


def test_pump_says_how_long_until_there_is_more() -> None:
    """Until the next instant, or until an order arrives at a standing quote; never after the end."""
    clock = ManualClock(T0)
    market = venue([Instant(at(1), (quote(1, 99, 101),), ()), *bars(1)], clock, slow())
    assert market.pump() == 1.0
    clock.move_to(at(2))
    assert market.pump() == 58.0
    market.submit(ACCOUNT, buy(1))
    assert market.pump() == pytest.approx(0.05)
    clock.move_to(at(60))
    assert market.pump() is None


def test_an_order_arrives_by_time_alone_in_a_clocked_market() -> None:
    """No price comes in between: its fill is told to a reader who asks."""
    clock = ManualClock(at(1))
    market = venue([Instant(at(1), (quote(1, 99, 101),), ()), NEVER], clock, slow())
    stream = market.listen(ACCOUNT, (), None)
    market.submit(ACCOUNT, buy(1))
    clock.move_to(at(2))
    events = [stream.next(0) for _ in range(3)]
    assert [type(event) for event in events] == [OrderChanged, Filled, OrderChanged]


def test_a_scaled_market_begins_when_prices_are_wanted_of_it() -> None:
    """A look at the account moves nothing; a reader, a quote or an order does."""
    for begin in (Venue.pump, lambda market: market.quote(AAA), lambda market: market.submit(ACCOUNT, buy(1))):
        market = venue(bars(3), ScaledClock(T0, 1e9))
        market.catch_up()
        assert market.now() == T0
        begin(market)
        while market.now() <= at(180):
            pass


def test_a_day_order_expires_on_the_clock_though_no_price_comes() -> None:
    """The close is an hour ago, the next price is tomorrow's: whoever asks hears of it."""
    clock = ManualClock(T0)
    sessions = Sessions([T0, at(86_400)], [at(3_600), at(90_000)], covers=(T0, at(10**8)))
    market = venue([*bars(1), NEVER], clock, sessions=sessions)
    order_id = first_trade(market.submit(ACCOUNT, buy(1, "50.00")))
    clock.move_to(at(7_200))
    market.pump()
    assert market.exchange.trade(order_id).status is OrderStatus.CANCELLED


def test_the_answer_to_a_command_begins_with_its_own_event() -> None:
    """What fell due before it, another order's expiry, is published and no part of the answer; prices have ended."""
    clock = ManualClock(T0)
    sessions = Sessions([T0, at(86_400)], [at(3_600), at(90_000)], covers=(T0, at(10**8)))
    market = venue(bars(1), clock, sessions=sessions)
    old = first_trade(market.submit(ACCOUNT, buy(1, "50.00")))
    stream = market.listen(ACCOUNT, (), None)
    clock.move_to(at(7_200))
    events = market.submit(ACCOUNT, buy(1, "51.00"))
    assert first_trade(events) == old + 1
    heard = [stream.next(0) for _ in range(3)]
    trades = [event.trade for event in heard if isinstance(event, OrderChanged)]
    assert [(each.order_id, each.status.value) for each in trades] == [
        (old, "Submitted"),
        (old, "Cancelled"),
        (old + 1, "PreSubmitted"),
    ]


def test_a_command_between_a_quote_and_its_instant_does_no_harm() -> None:
    """Recorded quotes come with the bar that ends after them: time does not go back, the quote counts as of now."""
    clock = ManualClock(T0)
    market = venue([Instant(at(60), (quote(10, 99, 101), quote(50, 98, 100)), (bar(0, 100),)), NEVER], clock)
    clock.move_to(at(30))
    market.submit(ACCOUNT, buy(1))
    clock.move_to(at(60))
    market.pump()
    assert market.exchange.trade(OrderId(1)).average_fill_price == 101


def test_a_cancel_in_a_replay_may_pass_the_next_quote() -> None:
    """Its latency is longer than the distance between two quotes."""
    quotes = [Instant(at(index / 100), (quote(index / 100, 99, 101),), ()) for index in range(20)]
    market = venue(quotes, preset=slow())
    market.step()
    order_id = first_trade(market.submit(ACCOUNT, buy(1, "50.00")))
    market.step()
    market.cancel(ACCOUNT, order_id)
    assert market.settle(50_000_000)
    assert market.exchange.trade(order_id).status is OrderStatus.CANCELLED
    for _ in range(18):
        assert market.step() is not None
    assert market.now() == at(0.19)


def test_settling_does_nothing_in_a_clocked_market() -> None:
    """Time is the clock's."""
    market = venue([NEVER], ManualClock(T0), slow())
    assert not market.settle(50_000_000)
    assert market.now() == T0


def test_what_is_on_its_way_arrives_after_the_last_price() -> None:
    """The replay is over; a cancel is still confirmed."""
    market = venue(bars(1), preset=slow())
    order_id = first_trade(market.submit(ACCOUNT, buy(1, "50.00")))
    market.step()
    market.cancel(ACCOUNT, order_id)
    assert market.pump() is None
    assert market.exchange.trade(order_id).status is OrderStatus.CANCELLED


def test_an_order_held_until_an_open_does_not_take_a_replay_beyond_its_prices() -> None:
    """Placed after the close beside a quote: the session ends with the data, not with tomorrow's open."""
    week = 7 * 86_400 * NS
    sessions = Sessions([T0, T0 + week], [at(60), T0 + week + NS])
    market = venue([Instant(at(60), (quote(59, 99, 100),), ())], preset=slow(), sessions=sessions)
    market.step()
    order_id = first_trade(market.submit(ACCOUNT, buy(1)))
    assert market.pump() is None
    assert market.now() <= at(60) + 50_000_000
    assert market.exchange.trade(order_id).status is OrderStatus.PRE_SUBMITTED


def test_the_quote_of_a_day_without_quotes_is_around_its_last_close() -> None:
    """Yesterday's bid and ask stand no more."""
    tomorrow = 24 * 60
    market = venue(
        [Instant(at(60), (quote(59, 99, 100),), ()), Instant(at(60 * tomorrow + 60), (), (bar(tomorrow, 50.0),))]
    )
    market.step()
    assert market.quote(AAA).bid == 99
    market.step()
    assert (market.quote(AAA).bid, market.quote(AAA).last) == (50, 50)


def test_changes_reach_the_exchange() -> None:
    """At the venue's time."""
    market = venue(bars(3))
    order_id = first_trade(market.submit(ACCOUNT, buy(1, "50.00")))
    market.step()
    market.modify(ACCOUNT, order_id, OrderChange(limit_price=Decimal("120.00")))
    market.step()
    assert market.exchange.trade(order_id).average_fill_price == 101


# --- prices ---------------------------------------------------------------------------------------------------------


def test_the_quote_after_a_bar_is_its_close_within_the_spread() -> None:
    """In the preset's size; a real quote replaces it."""
    market = venue([*bars(1), Instant(at(70), (quote(70, 99.5, 99.6),), ())], preset=slow())
    market.step()
    after = market.quote(AAA)
    assert (after.bid, after.ask, after.last, after.bid_size, after.time) == (99.995, 100.005, 100.0, 30, at(60))
    market.step()
    assert market.quote(AAA) == quote(70, 99.5, 99.6)._replace(last=market.quote(AAA).last)
    assert market.quote(BBB).bid == 99.995


def test_before_the_first_price_the_last_close_is_all_there_is() -> None:
    """Without bid and ask; without a history it is an error that says so."""
    market = venue(bars(3), ReplayClock(at(60)))
    quiet = market.quote(AAA)
    assert (quiet.last, quiet.time) == (100.0, at(60))
    assert isnan(quiet.bid + quiet.ask)
    with pytest.raises(NoMarketDataError, match="AAA"):
        venue(bars(3)).quote(AAA)


def test_history_never_shows_what_is_to_come() -> None:
    """Not even when it is asked for."""
    market = venue(bars(5))
    market.step()
    market.step()
    for end in (None, at(10_000)):
        assert [each.end for each in market.history(AAA, BarSize.MIN_1, 10, end)] == [at(60), at(120)]
    assert [each.end for each in market.history(AAA, BarSize.MIN_1, 10, at(60))] == [at(60)]


def test_a_contract_without_prices_is_refused_in_a_replay() -> None:
    """By name, with what there is."""
    market = venue(bars(1, AAA), contracts=(AAA,))
    for ask in (lambda: market.submit(ACCOUNT, buy(1, contract=BBB)), lambda: market.quote(BBB)):
        with pytest.raises(NoMarketDataError, match=r"BBB.*AAA"):
            ask()
    assert market.exchange.trades(ACCOUNT) == ()


def test_an_invented_market_grows_by_what_is_wanted() -> None:
    """From now on, once; the others go on."""
    asked: list[tuple[Contract, int]] = []

    def grow(contract: Contract, moment: int) -> tuple[PriceSource, None]:
        asked.append((contract, moment))
        return Written([instant for instant in bars(4) if instant.time > moment]), None

    market = venue(bars(4, AAA), contracts=(AAA,), grow=grow)
    market.step()
    market.submit(ACCOUNT, buy(1, contract=BBB))
    market.submit(ACCOUNT, buy(1, contract=BBB))
    assert asked == [(BBB, at(60))]
    assert market.contracts == (AAA, BBB)
    stepped = market.step()
    assert stepped is not None
    assert [each.contract for each in stepped] == [AAA, BBB]
    assert market.exchange.trade(OrderId(1)).filled == 1


def test_what_is_wanted_anew_has_the_market_that_stands() -> None:
    """Its prices did not begin with the question: whoever asks gets a bid and an ask at once."""
    rules = MarketRules(seed=7, hours="always")
    market = seeded_market(rules, ["NVDA"], {ACCOUNT: Decimal(10_000)}, start=T0, speed=2.0)
    wanted = next(each.contract for each in market.listings if each.symbol == "TSLA")
    quote = market.venue.quote(wanted)
    assert quote.bid < quote.ask


def test_an_invented_market_with_hours_has_years_of_history() -> None:
    """A strategy on daily bars warms up with hundreds of them."""
    market = seeded_market(MarketRules(hours="nyse"), ["NVDA"], {ACCOUNT: Decimal(10_000)}, start=T0, speed=2.0)
    days = market.venue.bars(market.venue.contracts[0], 86_400, 300, None)
    assert len(days) == 300
    assert [day.start for day in days] == sorted({day.start for day in days})


# --- listeners ------------------------------------------------------------------------------------------------------


def told(market: Venue, *wanted: Contract, size: BarSize | None = None) -> list[Event]:
    """Everything until the end."""
    with market.listen(ACCOUNT, wanted, size) as stream:
        return list(stream)


def test_bars_of_one_instant_come_as_one_event() -> None:
    """In the order of the source; the exchange has seen all of them."""
    events = told(venue(bars(3)), AAA, BBB, size=BarSize.MIN_1)
    assert events == [BarClosed(instant.bars) for instant in bars(3)]  # type: ignore[arg-type]  # they are tuples


def test_a_listener_gets_only_the_contracts_it_asked_for() -> None:
    """Bars, and quotes."""
    assert told(venue(bars(2)), BBB, size=BarSize.MIN_1) == [
        BarClosed((bar(0, 100.0, BBB),)),
        BarClosed((bar(1, 101.0, BBB),)),
    ]
    quoted = [Instant(at(1), (quote(1, 99, 101), quote(1, 49, 51, BBB)), ())]
    assert told(venue(quoted), BBB) == [QuoteChanged(quoted[0].quotes[1])]


def test_larger_bars_are_joined_from_the_sources_own() -> None:
    """Five minutes; what began before the listener came is part of the first one."""
    market = venue(bars(10))
    market.step()
    events = told(market, AAA, size=BarSize.MIN_5)
    assert [(event.bars[0].open, event.bars[0].close) for event in events if isinstance(event, BarClosed)] == [
        (100.0, 104.0),
        (105.0, 109.0),
    ]


def test_events_of_another_account_are_not_told() -> None:
    """Two accounts at one venue."""
    other = AccountId("SIM2")
    built = venue(bars(2))
    built.exchange.open_account(other, Decimal(1_000))
    market = Venue(built.exchange, Written(bars(2)), ReplayClock(T0), slow().fill_model)
    with market.listen(other, (), None) as stream:
        market.submit(ACCOUNT, buy(1))
        market.submit(other, buy(1))
        market.step()
        events = [event for event in stream if isinstance(event, OrderChanged)]
    assert {event.trade.order.account for event in events} == {other}
    assert len(events) == 2


def test_one_sided_quotes_are_not_told() -> None:
    """A reader never sees NaN for a price."""
    quoted = [Instant(at(1), (quote(1, 99, float("nan")),), ()), Instant(at(2), (quote(2, 99, 101),), ())]
    assert told(venue(quoted), AAA) == [QuoteChanged(quoted[1].quotes[0])]


def test_closing_ends_every_stream() -> None:
    """And a closed stream is forgotten: nothing is kept for it."""
    market = venue(bars(2))
    streams = [market.listen(ACCOUNT, (AAA,), BarSize.MIN_1) for _ in range(2)]
    market.close()
    assert [stream.next() for stream in streams] == [None, None]
    market.step()
    assert not any(stream.unread for stream in streams)


def test_the_state_can_be_taken_at_any_time() -> None:
    """As it is now."""
    market = venue(bars(1))
    market.submit(ACCOUNT, buy(1))
    market.step()
    state = market.save()
    assert state.now == at(60)
    assert [(each.quantity, each.contract) for each in state.accounts[0].holdings] == [(1, AAA)]
    assert NS == 10**9
