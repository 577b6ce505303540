# mypy: disable-error-code=comparison-overlap
# A Decimal equals an int, and an empty tuple every other.
"""Quotes and bars: what can be traded on or why there is none, asked for as IB allows."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

import pytest

from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.timing import Timing
from src.domain.errors import (
    ConnectionLostError,
    NoMarketDataError,
    RequestTimeoutError,
    UnknownContractError,
)
from src.domain.events import BarClosed, Notice, QuoteChanged
from src.domain.market import BarSize, Contract, Source
from src.gateways.tws_codec import (
    CancelMktData,
    ContractData,
    ContractDataEnd,
    HistoricalBar,
    HistoricalData,
    MarketDataTypeMessage,
    RealTimeBar,
    ReqContractDetails,
    ReqHistoricalData,
    ReqMatchingSymbols,
    ReqMktData,
    ReqRealTimeBars,
    SymbolSample,
    SymbolSamples,
    TickPrice,
    TickSize,
    WireContract,
)
from src.runtime.clock import NS, ManualClock
from tests.brokers.tws.scripted import PATIENCE, Client, ScriptedTws, hurry, wait_until

NVDA = Contract("NVDA")
MINUTE = 60
#: Ten full minutes that are past, by epoch seconds.
START = 1_760_000_040


def ticks(kind: int, *prices: tuple[int, float]) -> Callable[[Client, ReqMktData], None]:
    """An answer to a subscription: its data type, then prices by tick type."""

    def answer(client: Client, message: ReqMktData) -> None:
        client.send(
            MarketDataTypeMessage(message.req_id, kind),
            *(TickPrice(message.req_id, tick, price, 100, 0) for tick, price in prices),
        )

    return answer


MARKET = ticks(1, (1, 120.5), (2, 120.6), (4, 120.55), (9, 119.0))


def paper(tws: ScriptedTws) -> TwsBroker:
    """A broker whose account is IB's paper money, so that sources bear their own names."""
    tws.accounts = ["DU0000001"]
    made = tws.broker()
    made.connect()
    return made


def test_a_quote_is_subscribed_to_once_and_then_read(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(ReqMktData, MARKET)
    quote = broker.quote(NVDA)
    assert (quote.bid, quote.ask, quote.last, quote.bid_size) == (120.5, 120.6, 120.55, 100)
    assert quote.source is Source.SIMULATED
    assert quote.time <= broker.now()
    [asked] = tws.asked(ReqMktData)
    tws.say(lambda client: client.send(TickPrice(asked.req_id, 1, 120.52, 300, 0), TickSize(asked.req_id, 3, 700)))
    wait_until(lambda: broker.quote(NVDA).bid == 120.52)
    assert (broker.quote(NVDA).bid_size, broker.quote(NVDA).ask_size) == (300, 700)
    assert len(tws.asked(ReqMktData)) == 1


@pytest.mark.parametrize(
    ("kind", "numbers", "source"),
    [
        (1, (1, 2, 4), Source.LIVE),
        (2, (1, 2, 4), Source.FROZEN),
        (3, (66, 67, 68), Source.DELAYED),
        (4, (66, 67, 68), Source.FROZEN),
    ],
)
def test_a_quote_says_where_it_comes_from(
    tws: ScriptedTws, kind: int, numbers: tuple[int, int, int], source: Source
) -> None:
    broker = paper(tws)
    tws.on(ReqMktData, ticks(kind, *zip(numbers, (120.5, 120.6, 120.55), strict=True)))
    assert broker.quote(NVDA).source is source
    assert broker.health().data_source == source
    broker.disconnect()


def test_delayed_prices_in_place_of_live_ones_say_so(tws: ScriptedTws) -> None:
    broker = paper(tws)

    def answer(client: Client, message: ReqMktData) -> None:
        client.error(message.req_id, 10167, "Requested market data is not subscribed. Displaying delayed market data.")
        client.send(*(TickPrice(message.req_id, tick, price, 1, 0) for tick, price in ((66, 120.5), (67, 120.6))))

    tws.on(ReqMktData, answer)
    quote = broker.quote(NVDA)
    assert quote.source is Source.DELAYED
    assert math.isnan(quote.last)
    broker.disconnect()


@pytest.mark.parametrize("code", [354, 10089, 10168, 10197, 10186, 101, 200])
def test_no_data_has_its_cause_at_once_and_can_be_asked_for_again(
    tws: ScriptedTws, broker: TwsBroker, code: int
) -> None:
    tws.on(ReqMktData, lambda client, message: client.error(message.req_id, code, "Not that, says TWS."))
    since = monotonic()
    for _ in range(2):
        with pytest.raises(NoMarketDataError, match="Not that") as caught:
            broker.quote(NVDA)
        assert caught.value.code == code
    assert monotonic() - since < PATIENCE / 2
    tws.on(ReqMktData, MARKET)
    assert broker.quote(NVDA).bid == 120.5


def test_prices_that_another_session_has_taken_are_asked_for_again(tws: ScriptedTws) -> None:
    """Told once, old at once, and there again when the other session has ended."""
    broker = tws.broker(timing=Timing(competing=0.2))
    broker.connect()
    tws.on(ReqMktData, MARKET)
    stream = broker.events(NVDA)
    broker.quote(NVDA)
    tws.on(ReqMktData, lambda client, message: client.error(message.req_id, 10197, "competing session"))
    [first] = tws.asked(ReqMktData)
    tws.say(lambda client: client.error(first.req_id, 10197, "competing session"))
    wait_until(lambda: len(tws.asked(ReqMktData)) >= 3)
    assert broker.latest_quote(broker.qualify(NVDA)) is None
    tws.on(ReqMktData, MARKET)
    wait_until(lambda: broker.latest_quote(broker.qualify(NVDA)) is not None)
    asked = tws.asked(ReqMktData)
    assert [each.req_id for each in tws.asked(CancelMktData)] == [each.req_id for each in asked[:-1]]
    notices = [event for event in stream.arrived() if isinstance(event, Notice)]
    assert [event.code for event in notices] == [10197]
    broker.disconnect()
    assert len(tws.asked(ReqMktData)) == len(asked)


def test_prices_taken_by_another_session_are_asked_for_after_a_lost_connection(tws: ScriptedTws) -> None:
    """Once: what waited for its minute does not wait any more."""
    broker = tws.broker(timing=Timing(competing=3600.0, longest_pause=0.1), reconnect_delay=0.02)
    broker.connect()
    tws.on(ReqMktData, lambda client, message: client.error(message.req_id, 10197, "competing session"))
    with pytest.raises(NoMarketDataError, match="logged in elsewhere"):
        broker.quote(NVDA)
    tws.on(ReqMktData, MARKET)
    tws.say(lambda client: client.reset())
    wait_until(lambda: broker.is_connected and broker.latest_quote(broker.qualify(NVDA)) is not None)
    assert len(tws.asked(ReqMktData)) == 2
    broker.disconnect()


def test_a_closed_market_has_its_last_price_and_no_sides(tws: ScriptedTws, broker: TwsBroker) -> None:
    """TWS sends -1 for what there is not; no such number goes further."""
    tws.on(ReqMktData, ticks(2, (1, -1.0), (2, -1.0), (4, 0.0), (9, 119.0)))
    quote = broker.quote(NVDA)
    assert quote.last == 119.0
    assert math.isnan(quote.bid)
    assert math.isnan(quote.ask)


def test_a_market_that_is_half_told_is_never_crossed(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(ReqMktData, MARKET)
    broker.quote(NVDA)
    [asked] = tws.asked(ReqMktData)
    tws.say(lambda client: client.send(TickPrice(asked.req_id, 1, 121.0, 100, 0)))
    broker.tws(lambda ib: ib.reqCurrentTimeAsync())
    assert broker.quote(NVDA).bid == 120.5
    tws.say(lambda client: client.send(TickPrice(asked.req_id, 2, 121.1, 100, 0)))
    wait_until(lambda: broker.quote(NVDA).bid == 121.0)


@pytest.mark.parametrize("kind", [2, 3])
def test_prices_of_before_do_not_become_live_ones(tws: ScriptedTws, kind: int) -> None:
    """TWS says that live prices come from now on: at the open, or once somebody has subscribed to them."""
    broker = paper(tws)
    prices = ((66, 120.5), (67, 120.6)) if kind == 3 else ((1, 120.5), (2, 120.6))
    tws.on(ReqMktData, ticks(kind, *prices))
    before = broker.quote(NVDA)
    assert before.source is not Source.LIVE
    [asked] = tws.asked(ReqMktData)
    tws.say(lambda client: client.send(MarketDataTypeMessage(asked.req_id, 1)))
    broker.tws(lambda ib: ib.reqCurrentTimeAsync())
    assert broker.quote(NVDA) == before
    live = TickPrice(asked.req_id, 1, 125.5, 100, 0), TickPrice(asked.req_id, 2, 125.6, 100, 0)
    tws.say(lambda client: client.send(*live))
    wait_until(lambda: broker.quote(NVDA).ask == 125.6)
    assert (broker.quote(NVDA).bid, broker.quote(NVDA).source) == (125.5, Source.LIVE)
    broker.disconnect()


def test_a_size_does_not_make_prices_new_that_are_stale(tws: ScriptedTws, broker: TwsBroker) -> None:
    """The farm is down, and a last size, or the kind of prices, still comes: a price has to."""
    tws.on(ReqMktData, MARKET)
    own = broker.quote(NVDA).contract
    [asked] = tws.asked(ReqMktData)
    late = TickSize(asked.req_id, 3, 700), MarketDataTypeMessage(asked.req_id, 1)
    tws.say(lambda client: client.error(-1, 2103, "Market data farm connection is broken:usfarm"))
    tws.say(lambda client: client.send(*late))
    broker.tws(lambda ib: ib.reqCurrentTimeAsync())
    assert broker.latest_quote(own) is None
    tws.say(lambda client: client.send(TickPrice(asked.req_id, 1, 120.52, 300, 0)))
    wait_until(lambda: broker.latest_quote(own) is not None)


def test_a_quote_that_never_comes_ends_with_the_connection(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(ReqMktData, lambda client, _: client.reset())
    since = monotonic()
    with pytest.raises(ConnectionLostError):
        broker.quote(NVDA)
    assert monotonic() - since < PATIENCE / 2


def test_quotes_are_told_when_they_change(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(ReqMktData, MARKET)
    with broker.events(NVDA) as stream:
        event = stream.next(PATIENCE)
        assert isinstance(event, QuoteChanged)
        assert event.quote == broker.quote(NVDA)
        assert stream.next(timeout=0.05) is None


# --- contracts ------------------------------------------------------------------------------------------------------


def test_a_contract_is_looked_up_once(tws: ScriptedTws, broker: TwsBroker) -> None:
    for _ in range(3):
        found = broker.qualify(NVDA)
        assert broker.qualify(found) == found
    assert len(tws.asked(ReqContractDetails)) == 1


def test_an_ambiguous_contract_names_its_candidates(tws: ScriptedTws, broker: TwsBroker) -> None:
    def both(client: Client, message: ReqContractDetails) -> None:
        for con_id, exchange, currency in ((1, "NASDAQ", "USD"), (2, "MEXI", "MXN"), (2, "MEXI", "MXN")):
            found = WireContract(con_id, "NVDA", "STK", exchange="SMART", primary_exchange=exchange, currency=currency)
            client.send(ContractData(message.req_id, found, long_name="NVIDIA"))
        client.send(ContractDataEnd(message.req_id))

    tws.on(ReqContractDetails, both)
    with pytest.raises(UnknownContractError, match="ambiguous") as caught:
        broker.qualify(NVDA)
    assert len(caught.value.candidates) == 2
    assert "MEXI MXN" in caught.value.candidates[1]


def test_an_unknown_contract_names_what_is_like_it(tws: ScriptedTws, broker: TwsBroker) -> None:
    sample = SymbolSample(4815747, "NVDA", "STK", "NASDAQ", "USD")
    tws.on(ReqMatchingSymbols, lambda client, message: client.send(SymbolSamples(message.req_id, (sample,))))
    with pytest.raises(UnknownContractError) as caught:
        broker.qualify(Contract("NVD"))
    assert caught.value.candidates == ("NVDA",)


@pytest.mark.parametrize("code", [321, 322, 504])
def test_a_lookup_that_fails_ends(tws: ScriptedTws, broker: TwsBroker, code: int) -> None:
    """ib_async waits for ever after 321."""
    tws.on(ReqContractDetails, lambda client, message: client.error(message.req_id, code, "no"))
    since = monotonic()
    with pytest.raises(RequestTimeoutError, match="no"):
        broker.qualify(NVDA)
    assert monotonic() - since < PATIENCE / 2


def test_an_unanswered_lookup_ends_at_its_deadline(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(ReqContractDetails, None)
    hurry(broker, 0.5)
    since = monotonic()
    with pytest.raises(RequestTimeoutError):
        broker.qualify(NVDA)
    assert 0.4 < monotonic() - since < PATIENCE / 2


# --- history --------------------------------------------------------------------------------------------------------


def history(count: int, step: int = MINUTE, start: int = START) -> Callable[[Client, ReqHistoricalData], None]:
    """An answer of so many bars."""

    def answer(client: Client, message: ReqHistoricalData) -> None:
        bars = tuple(
            HistoricalBar(str(start + index * step), 100.0 + index, 101.0 + index, 99.0, 100.5, 10, 100.2, 3)
            for index in range(count)
        )
        client.send(HistoricalData(message.req_id, "", "", bars))

    return answer


def test_bars_are_asked_for_by_epoch_and_in_regular_hours(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(ReqHistoricalData, history(10))
    bars = broker.bars(NVDA, BarSize.MIN_1, 3)
    assert [bar.open for bar in bars] == [107.0, 108.0, 109.0]
    assert bars[0].end - bars[0].start == MINUTE * 10**9
    assert bars[0].contract == broker.qualify(NVDA)
    [asked] = tws.asked(ReqHistoricalData)
    assert (asked.format_date, asked.use_rth, asked.what_to_show) == (2, True, "TRADES")
    assert (asked.bar_size_setting, asked.end_date_time, asked.duration_str) == ("1 min", "", "2 D")


def test_a_bar_under_way_is_left_out(tws: ScriptedTws) -> None:
    broker = tws.broker(clock=ManualClock((START + 10 * MINUTE + 1) * NS))
    broker.connect()
    tws.on(ReqHistoricalData, history(3, start=START + 8 * MINUTE))
    assert [bar.open for bar in broker.bars(NVDA, BarSize.MIN_1, 10)] == [100.0, 101.0]
    broker.disconnect()


def test_a_bar_ends_by_the_end_that_is_asked_for(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(ReqHistoricalData, history(10))
    end = datetime.fromtimestamp(START + 4 * MINUTE, UTC)
    assert [bar.open for bar in broker.bars(NVDA, BarSize.MIN_1, 2, end=end)] == [102.0, 103.0]
    [asked] = tws.asked(ReqHistoricalData)
    assert asked.end_date_time == f"{end:%Y%m%d-%H:%M:%S}"


def test_a_first_hour_of_thirty_minutes_does_not_reach_into_the_next(tws: ScriptedTws, broker: TwsBroker) -> None:
    def answer(client: Client, message: ReqHistoricalData) -> None:
        starts = (START, START + 1800, START + 5400)
        bars = tuple(HistoricalBar(str(each), 100.0, 101.0, 99.0, 100.5, 10, 100.2, 3) for each in starts)
        client.send(HistoricalData(message.req_id, "", "", bars))

    tws.on(ReqHistoricalData, answer)
    bars = broker.bars(NVDA, BarSize.HOUR_1, 3)
    assert [(bar.end - bar.start) // 10**9 for bar in bars] == [1800, 3600, 3600]


def test_daily_bars_are_regular_sessions(tws: ScriptedTws, broker: TwsBroker) -> None:
    bar = HistoricalBar("20251107", 100.0, 101.0, 99.0, 100.5, 10, 100.2, 3)
    tws.on(ReqHistoricalData, lambda client, message: client.send(HistoricalData(message.req_id, "", "", (bar,))))
    [found] = broker.bars(NVDA, BarSize.DAY_1, 5)
    assert datetime.fromtimestamp(found.start // 10**9, UTC) == datetime(2025, 11, 7, 14, 30, tzinfo=UTC)
    assert (found.end - found.start) // 10**9 == 23_400


def test_the_same_question_within_seconds_is_not_asked_twice(tws: ScriptedTws, broker: TwsBroker) -> None:
    """IB takes that for a violation."""
    tws.on(ReqHistoricalData, history(10))
    first = broker.bars(NVDA, BarSize.HOUR_1, 3)
    assert broker.bars(NVDA, BarSize.HOUR_1, 3) == first
    assert len(tws.asked(ReqHistoricalData)) == 1
    broker.bars(NVDA, BarSize.HOUR_1, 30)
    assert len(tws.asked(ReqHistoricalData)) == 2


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (162, "Historical Market Data Service error message:No market data permissions for NASDAQ STK", "permissions"),
        (354, "Requested market data is not subscribed.", "subscribed"),
    ],
)
def test_bars_that_are_refused_have_their_cause(
    tws: ScriptedTws, broker: TwsBroker, code: int, text: str, expected: str
) -> None:
    tws.on(ReqHistoricalData, lambda client, message: client.error(message.req_id, code, text))
    with pytest.raises(NoMarketDataError, match=expected):
        broker.bars(NVDA, BarSize.MIN_1, 3)


def test_no_bars_are_none_and_not_an_error(tws: ScriptedTws, broker: TwsBroker) -> None:
    text = "Historical Market Data Service error message:HMDS query returned no data: NVDA@SMART Trades"
    tws.on(ReqHistoricalData, lambda client, message: client.error(message.req_id, 162, text))
    assert broker.bars(NVDA, BarSize.MIN_1, 3) == ()
    assert broker.bars(NVDA, BarSize.MIN_1, 0) == ()


def test_unanswered_bars_end_at_their_deadline(tws: ScriptedTws) -> None:
    broker = tws.broker(historical_data_timeout=0.4)
    broker.connect()
    broker.qualify(NVDA)
    since = monotonic()
    with pytest.raises(RequestTimeoutError):
        broker.bars(NVDA, BarSize.MIN_1, 3)
    assert 0.3 < monotonic() - since < PATIENCE / 2
    broker.disconnect()


# --- live bars ------------------------------------------------------------------------------------------------------


def fives(client: Client, request: int, start: int, count: int) -> None:
    """So many five-second bars."""
    client.send(
        *(
            RealTimeBar(request, start + 5 * index, 100.0, 101.0 + index, 99.0, 100.5, 10, 100.2, 1)
            for index in range(count)
        )
    )


def test_bars_are_built_from_five_seconds(tws: ScriptedTws, broker: TwsBroker) -> None:
    with broker.events(NVDA, bars=BarSize.MIN_1) as stream:
        wait_until(lambda: len(tws.asked(ReqRealTimeBars)) == 1)
        [asked] = tws.asked(ReqRealTimeBars)
        tws.say(lambda client: fives(client, asked.req_id, START - START % MINUTE, 24))
        closed = [stream.next(PATIENCE) for _ in range(2)]
    bars = [event.bars[0] for event in closed if isinstance(event, BarClosed)]
    assert [(bar.start // 10**9, bar.high, bar.volume) for bar in bars] == [
        (START - START % MINUTE, 112.0, 120.0),
        (START - START % MINUTE + MINUTE, 124.0, 120.0),
    ]


def test_a_bar_that_had_begun_is_taken_whole_from_history(tws: ScriptedTws, broker: TwsBroker) -> None:
    begin = START - START % MINUTE
    tws.on(ReqHistoricalData, history(5, start=begin - 4 * MINUTE))
    with broker.events(NVDA, bars=BarSize.MIN_1) as stream:
        wait_until(lambda: len(tws.asked(ReqRealTimeBars)) == 1)
        [asked] = tws.asked(ReqRealTimeBars)
        tws.say(lambda client: fives(client, asked.req_id, begin + 30, 18))
        closed = [stream.next(PATIENCE) for _ in range(2)]
    starts = [(event.bars[0].start // 10**9, event.bars[0].open) for event in closed if isinstance(event, BarClosed)]
    assert starts == [(begin, 104.0), (begin + MINUTE, 100.0)]


def test_a_bar_that_was_not_seen_whole_is_left_out(tws: ScriptedTws, broker: TwsBroker) -> None:
    begin = START - START % MINUTE
    tws.on(ReqHistoricalData, lambda client, message: client.error(message.req_id, 162, "No permissions"))
    with broker.events(NVDA, bars=BarSize.MIN_1) as stream:
        wait_until(lambda: len(tws.asked(ReqRealTimeBars)) == 1)
        [asked] = tws.asked(ReqRealTimeBars)
        tws.say(lambda client: fives(client, asked.req_id, begin + 30, 18))
        event = stream.next(PATIENCE)
    assert isinstance(event, BarClosed)
    assert event.bars[0].start // 10**9 == begin + MINUTE


def test_where_five_seconds_are_refused_trades_are_subscribed_to(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(ReqRealTimeBars, lambda client, message: client.error(message.req_id, 420, "No market data permissions"))
    with broker.events(NVDA, bars=BarSize.MIN_1):
        wait_until(lambda: len(tws.asked(ReqMktData)) == 1)


@pytest.mark.parametrize("code", [10182, 10225, 317])
def test_bars_whose_stream_was_reset_are_asked_for_anew(tws: ScriptedTws, broker: TwsBroker, code: int) -> None:
    """They are not refused: nothing is built from trades."""
    with broker.events(NVDA, bars=BarSize.MIN_1) as stream:
        wait_until(lambda: len(tws.asked(ReqRealTimeBars)) == 1)
        [first] = tws.asked(ReqRealTimeBars)
        tws.say(lambda client: client.error(first.req_id, code, "resubscribe"))
        wait_until(lambda: len(tws.asked(ReqRealTimeBars)) == 2)
        second = tws.asked(ReqRealTimeBars)[1]
        tws.say(lambda client: fives(client, second.req_id, START - START % MINUTE, 12))
        assert isinstance(stream.next(timeout=5), BarClosed)
    assert tws.asked(ReqMktData) == []
