"""Contracts, market data and history through the gateway, with unmodified ib_insync."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import isnan
from typing import Any

import pytest

from src.gateways.tws_codec import (
    MarketDataTypeMessage,
    ReqHistoricalData,
    ReqMarketDataType,
    ReqMktData,
    TickGeneric,
    TickPrice,
    TickReqParams,
    TickSize,
    TickSnapshotEnd,
    TickString,
    WireContract,
)
from src.runtime.calendars import sessions_between
from tests.gateways.tws_stage import START, Frames, Ib, Stage, ib_insync_client, until

DAY = 86_400 * 1_000_000_000
NVDA = WireContract(symbol="NVDA", sec_type="STK", exchange="SMART", currency="USD")


def stock(symbol: str = "NVDA", **more: Ib) -> Ib:
    from ib_insync import Stock

    return Stock(symbol, "SMART", "USD", **more)


# --- contracts -----------------------------------------------------------------------------------------------------


async def test_contract_details_tell_tick_hours_and_rules(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    (details,) = await ib.reqContractDetailsAsync(stock())
    contract = details.contract
    assert (contract.conId, contract.primaryExchange, contract.localSymbol) == (4815747, "NASDAQ", "NVDA")
    assert (contract.tradingClass, contract.right) == ("NMS", "")
    assert (details.minTick, details.longName, details.timeZoneId) == (0.01, "NVIDIA CORP", "US/Eastern")
    exchanges = details.validExchanges.split(",")
    assert "SMART" in exchanges
    assert details.marketRuleIds.split(",") == ["26"] * len(exchanges)
    assert details.tradingHours.startswith("20250602:0000-20250602:2359;20250603")
    (rule, *others) = await ib.reqMarketRuleAsync(26)
    assert (rule.increment, [each.increment for each in others]) == (0.0001, [0.01])


async def test_new_yorks_hours_name_closed_days() -> None:
    sessions = sessions_between(START - 15 * DAY, START + 30 * DAY)
    with Stage(sessions=sessions) as stage:
        ib = await ib_insync_client(stage)
        (details,) = await ib.reqContractDetailsAsync(stock())
        assert details.liquidHours.startswith("20250602:0930-20250602:1600;")
        assert details.tradingHours.startswith("20250602:0400-20250602:2000;")
        assert details.liquidHours.endswith(";20250607:CLOSED")
        assert len(details.liquidSessions()) == 5


ASKED = {
    "by symbol": ({"symbol": "NVDA", "exchange": "SMART", "currency": "USD"}, 1),
    "by id alone": ({"conId": 4815747}, 1),
    "by id and exchange": ({"conId": 4815747, "exchange": "SMART"}, 1),
    "by local symbol": ({"localSymbol": "NVDA", "exchange": "SMART", "currency": "USD"}, 1),
    "at ISLAND": ({"symbol": "NVDA", "exchange": "SMART", "primaryExchange": "ISLAND", "currency": "USD"}, 1),
    "at its own exchange": ({"symbol": "NVDA", "exchange": "NASDAQ", "currency": "USD"}, 1),
    "in lower case": ({"symbol": "nvda", "exchange": "SMART", "currency": "USD"}, 1),
    "unknown": ({"symbol": "NOPE", "exchange": "SMART", "currency": "USD"}, 0),
    "unknown id": ({"conId": 1}, 0),
    "id of another": ({"conId": 4815747, "symbol": "MSFT"}, 0),
    "wrong currency": ({"symbol": "NVDA", "exchange": "SMART", "currency": "EUR"}, 0),
    "wrong exchange": ({"symbol": "NVDA", "exchange": "LSE", "currency": "USD"}, 0),
    "an option": ({"symbol": "NVDA", "exchange": "SMART", "currency": "USD", "secType": "OPT"}, 0),
}


@pytest.mark.parametrize(("terms", "found"), ASKED.values(), ids=ASKED)
async def test_contracts_are_found_as_clients_name_them(stage: Stage, terms: dict[str, Any], found: int) -> None:
    from ib_insync import Contract

    ib = await ib_insync_client(stage)
    details = await ib.reqContractDetailsAsync(Contract(**{"secType": "STK", **terms}))
    assert len(details) == found


async def test_matching_symbols(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    found = await ib.reqMatchingSymbolsAsync("goo")
    assert [each.contract.symbol for each in found] == ["GOOG", "GOOGL"]
    assert [each.contract.symbol for each in await ib.reqMatchingSymbolsAsync("microsoft")] == ["MSFT"]
    assert await ib.reqMatchingSymbolsAsync("zzz") == []


# --- market data ---------------------------------------------------------------------------------------------------


async def test_a_ticker_follows_the_market(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    ticker = ib.reqMktData(stock(), "233")
    await until(ib, lambda: not isnan(ticker.open))
    assert ticker.bid < ticker.ask
    assert ticker.low <= ticker.last <= ticker.high
    assert ticker.volume > 0
    assert ticker.close > 0
    assert ticker.minTick == 0.01
    before = ticker.volume
    for _ in range(100):
        stage.pass_time(1)
    await until(ib, lambda: ticker.volume > before and ticker.rtVolume > before)
    quote = stage.gateway.call(lambda server: server.context.venue.quote(server.context.venue.contracts[0]))
    await until(ib, lambda: (ticker.bid, ticker.ask) == (quote.bid, quote.ask))
    ib.cancelMktData(stock())


@pytest.mark.parametrize(("symbol", "level", "shares"), [("NVDA", 3.0, 10_000_000), ("MSFT", 1.0, 0)])
async def test_who_asks_for_236_is_told_whether_shares_are_lent(symbol: str, level: float, shares: int) -> None:
    """After the prices; nobody else is told. MSFT is hard to borrow here."""
    with Stage(hard_to_borrow=("MSFT",)) as stage:
        client = await Frames.started(stage)
        client.send(ReqMktData(1, replace(NVDA, symbol=symbol)))
        client.send(ReqMktData(2, replace(NVDA, symbol=symbol), "233,236"))
        await client.until(TickGeneric)
        client.send(ReqMktData(3, NVDA, snapshot=True))
        await client.until(TickSnapshotEnd)
        assert [each for each in client.seen if isinstance(each, TickGeneric)] == [TickGeneric(2, 46, level)]
        told = [each for each in client.seen if isinstance(each, TickSize) and each.size_tick_type == 89]
        assert told == [TickSize(2, 89, shares)]


async def test_a_subscription_begins_with_its_type_and_tick_and_the_close_before_the_last(stage: Stage) -> None:
    client = await Frames.started(stage)
    client.send(ReqMktData(9, NVDA, snapshot=True))
    await client.until(TickSnapshotEnd)
    assert client.seen[:2] == [MarketDataTypeMessage(9, 1), TickReqParams(9, 0.01, "a60001", 3)]
    kinds = [each.tick_type for each in client.seen if isinstance(each, TickPrice)]
    assert kinds == [1, 2, 9, 4, 6, 7, 14]
    sizes = [each.size_tick_type for each in client.seen if isinstance(each, TickSize)]
    assert sizes == [0, 3, 5, 8]
    stage.pass_time(5)
    client.send(ReqMktData(10, NVDA, snapshot=True))
    await client.until(TickSnapshotEnd)
    assert {getattr(each, "req_id", None) for each in client.seen if not isinstance(each, TickSnapshotEnd)} == {9, 10}


@pytest.mark.parametrize("data_type", [3, 4])
async def test_delayed_data_come_under_their_own_numbers(stage: Stage, data_type: int) -> None:
    client = await Frames.started(stage)
    client.send(ReqMarketDataType(data_type), ReqMktData(9, NVDA, snapshot=True))
    await client.until(TickSnapshotEnd)
    assert client.seen[0] == MarketDataTypeMessage(9, data_type)
    assert {each.tick_type for each in client.seen if isinstance(each, TickPrice)} == {66, 67, 68, 72, 73, 75, 76}
    assert {each.size_tick_type for each in client.seen if isinstance(each, TickSize)} == {69, 70, 71, 74}
    assert {each.tick_type for each in client.seen if isinstance(each, TickString)} == {88}


async def test_a_delayed_ticker_is_read_as_one(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    ib.reqMarketDataType(3)
    ticker = ib.reqMktData(stock())
    await until(ib, lambda: not isnan(ticker.bid))
    assert ticker.marketDataType == 3


async def test_snapshots_of_several_contracts(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    tickers = await ib.reqTickersAsync(stock("NVDA"), stock("MSFT"))
    assert [each.contract.symbol for each in tickers] == ["NVDA", "MSFT"]
    assert all(each.bid < each.ask for each in tickers)


async def test_no_prices_is_354_and_no_contract_is_200(stage: Stage) -> None:
    """AAPL is listed here, but this market has no prices of it."""
    ib = await ib_insync_client(stage)
    errors: list[int] = []
    ib.errorEvent += lambda _, code, *__: errors.append(code)
    ib.reqMktData(stock("AAPL"))
    ib.reqMktData(stock("NOPE"))
    await until(ib, lambda: errors == [354, 200])


async def test_a_client_that_does_not_read_is_told_what_holds_when_it_reads_again(stage: Stage) -> None:
    """The others are not held up, and nothing piles up without end."""
    slow_one, ib = await Frames.started(stage, 8), await ib_insync_client(stage)
    slow_one.send(ReqMktData(9, NVDA))
    await slow_one.until(TickReqParams)
    ticker = ib.reqMktData(stock())
    await until(ib, lambda: not isnan(ticker.bid))
    stage.gateway.call(lambda server: server.context.clients[8].pause_writing())
    for _ in range(30):
        stage.pass_time(1)
    stage.gateway.call(lambda server: server.context.clients[8].resume_writing())
    stage.pass_time(1)
    await slow_one.until(TickPrice, tick_type=9)
    quote = stage.gateway.call(lambda server: server.context.venue.quote(server.context.venue.contracts[0]))
    await until(ib, lambda: ticker.bid == quote.bid)


async def test_tick_by_tick_kinds(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    tickers = {
        kind: ib.reqTickByTickData(stock("NVDA" if kind in ("Last", "BidAsk") else "MSFT"), kind)
        for kind in ("Last", "BidAsk", "AllLast", "MidPoint")
    }
    counts: dict[str, int] = {}
    for kind, ticker in tickers.items():
        ticker.updateEvent += lambda each, kind=kind: counts.update({kind: counts.get(kind, 0) + len(each.tickByTicks)})
    for _ in range(60):
        stage.pass_time(1)
    await until(ib, lambda: len(counts) == 4 and all(count > 5 for count in counts.values()))


async def test_real_time_bars_add_up_to_the_history(stage: Stage) -> None:
    """Twelve bars of five seconds have the prices and the volume of their minute."""
    ib = await ib_insync_client(stage)
    contract = stock()
    bars = ib.reqRealTimeBars(contract, 5, "TRADES", False)
    await until(ib, lambda: bars.reqId)
    for _ in range(126):
        stage.pass_time(1)
    await until(ib, lambda: len(bars) >= 24)
    (minute,) = await ib.reqHistoricalDataAsync(contract, "20250602 15:02:00 UTC", "60 S", "1 min", "TRADES", False, 2)
    within = [bar for bar in bars if minute.date <= bar.time < minute.date + timedelta(minutes=1)]
    assert len(within) == 12
    assert sum(bar.volume for bar in within) == pytest.approx(minute.volume, abs=12)
    assert (within[0].open_, within[-1].close) == (minute.open, minute.close)


async def test_real_time_bars_are_of_five_seconds(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    bars = ib.reqRealTimeBars(stock(), 5, "TRADES", False)
    for _ in range(32):
        stage.pass_time(1)
    await until(ib, lambda: len(bars) >= 5)
    assert [(later.time - bar.time).seconds for bar, later in itertools.pairwise(bars)] == [5] * (len(bars) - 1)
    assert all(bar.low <= bar.open_ <= bar.high and bar.low <= bar.close <= bar.high for bar in bars)
    assert all(bar.volume > 0 for bar in bars)


@pytest.mark.parametrize("is_smart", [False, True])
async def test_depth_has_the_quote_on_top_and_follows_it(stage: Stage, is_smart: bool) -> None:
    ib = await ib_insync_client(stage)
    ticker = ib.reqMktDepth(stock(), 5, is_smart)
    await until(ib, lambda: len(ticker.domBids) == len(ticker.domAsks) == 5)
    for _ in range(60):
        stage.pass_time(1)
    quote = stage.gateway.call(lambda server: server.context.venue.quote(server.context.venue.contracts[0]))
    await until(ib, lambda: (ticker.domBids[0].price, ticker.domAsks[0].price) == (quote.bid, quote.ask))
    prices = [level.price for level in ticker.domBids]
    assert prices == sorted(prices, reverse=True)
    assert next(each.exchange for each in await ib.reqMktDepthExchangesAsync()) == "NSDQ"


# --- history -------------------------------------------------------------------------------------------------------


ASKED_BARS = {
    "an hour of minutes": ("3600 S", "1 min", "TRADES", 60),
    "a day of hours": ("1 D", "1 hour", "TRADES", 11),
    "two days of half hours": ("2 D", "30 mins", "TRADES", 48 + 22),
    "ten days": ("10 D", "1 day", "TRADES", 10),
    "a week of days": ("1 W", "1 day", "TRADES", 7),
    "a month of days": ("1 M", "1 day", "TRADES", 31),
    "a month of weeks": ("1 M", "1W", "TRADES", 6),
    "two months of months": ("2 M", "1M", "TRADES", 3),
    "five-second bars": ("60 S", "5 secs", "TRADES", 12),
    "midpoints": ("3600 S", "5 mins", "MIDPOINT", 12),
    "bids": ("3600 S", "5 mins", "BID", 12),
    "bids and asks": ("3600 S", "5 mins", "BID_ASK", 12),
    "seconds without a unit": ("3600", "1 min", "TRADES", 60),
}


@pytest.mark.parametrize(("duration", "size", "show", "count"), ASKED_BARS.values(), ids=ASKED_BARS)
async def test_historical_bars(stage: Stage, duration: str, size: str, show: str, count: int) -> None:
    ib = await ib_insync_client(stage)
    bars = await ib.reqHistoricalDataAsync(stock(), "", duration, size, show, True)
    assert len(bars) == count
    assert [bar.date for bar in bars] == sorted({bar.date for bar in bars})
    assert all(bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high for bar in bars)
    assert all(bar.volume > 0 for bar in bars) == (show == "TRADES")


@pytest.mark.parametrize("size", ["1 week", "1 month"])
async def test_weeks_and_months_bear_the_date_of_their_last_day(stage: Stage, size: str) -> None:
    ib = await ib_insync_client(stage)
    days = await ib.reqHistoricalDataAsync(stock(), "", "2 M", "1 day", "TRADES", True)
    long = await ib.reqHistoricalDataAsync(stock(), "", "2 M", size, "TRADES", True)
    closes = {day.date: day.close for day in days}
    assert [bar.close for bar in long] == [closes[bar.date] for bar in long]
    following = [days[index + 1].date for index, day in enumerate(days[:-1]) if day.date in {bar.date for bar in long}]
    assert all(day.day == 1 if size == "1 month" else day.weekday() == 0 for day in following)


@pytest.mark.parametrize(("duration", "size"), [("7200 S", "1 hour"), ("1 D", "1 day"), ("600 S", "5 mins")])
async def test_the_bar_under_way_is_of_the_last_seconds_too(stage: Stage, duration: str, size: str) -> None:
    ib = await ib_insync_client(stage)
    stage.pass_time(157)
    fine = await ib.reqHistoricalDataAsync(stock(), "", "60 S", "5 secs", "TRADES", True)
    bars = await ib.reqHistoricalDataAsync(stock(), "", duration, size, "TRADES", True)
    assert bars[-1].close == fine[-1].close
    assert bars[-1].low <= min(bar.low for bar in fine) <= max(bar.high for bar in fine) <= bars[-1].high


async def test_a_day_round_the_clock_has_one_bar_from_its_first_hour_on(stage: Stage) -> None:
    """UTC's day begins in New York's evening."""
    ib = await ib_insync_client(stage)
    stage.pass_time(11 * 3600)
    days = await ib.reqHistoricalDataAsync(stock(), "", "5 D", "1 day", "TRADES", True)
    assert [bar.date for bar in days] == [date(2025, 5, 30) + timedelta(days=ahead) for ahead in range(5)]
    hours = await ib.reqHistoricalDataAsync(stock(), "", "7200 S", "1 hour", "TRADES", True)
    assert days[-1].open == hours[0].open
    assert days[-1].volume == sum(bar.volume for bar in hours)


async def test_history_ends_where_it_is_asked_to(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    for end in (datetime(2025, 5, 30, 18, 0, tzinfo=UTC), "20250530 14:00:00 US/Eastern", "20250530-18:00:00"):
        bars = await ib.reqHistoricalDataAsync(stock(), end, "3600 S", "10 mins", "TRADES", True, formatDate=2)
        assert bars[-1].date == datetime(2025, 5, 30, 17, 50, tzinfo=UTC)
        assert len(bars) == 6
    future = datetime(2030, 1, 1, tzinfo=UTC)
    bars = await ib.reqHistoricalDataAsync(stock(), future, "600 S", "1 min", "TRADES", True, formatDate=2)
    assert bars[-1].date < datetime(2025, 6, 2, 15, 0, tzinfo=UTC)


async def test_history_that_cannot_be_had_is_an_error(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    errors: list[int] = []
    ib.errorEvent += lambda _, code, *__: errors.append(code)
    for end, duration, size, show in (
        ("", "1 X", "1 min", "TRADES"),
        ("", "1 D", "7 mins", "TRADES"),
        ("", "1 D", "1 min", "GOSSIP"),
        ("", "40 Y", "1 min", "TRADES"),
        ("yesterday", "1 D", "1 min", "TRADES"),
    ):
        assert not await ib.reqHistoricalDataAsync(stock(), end, duration, size, show, True)
    assert errors == [321, 321, 321, 162, 321]


async def test_bars_that_are_kept_up_to_date_grow(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    bars = await ib.reqHistoricalDataAsync(stock(), "", "600 S", "1 min", "TRADES", True, keepUpToDate=True)
    count, last = len(bars), bars[-1].date
    for _ in range(130):
        stage.pass_time(1)
    stage.gateway.call(lambda server: server.history.tell())
    await until(ib, lambda: len(bars) >= count + 2)
    assert bars[-1].date > last
    assert [bar.date for bar in bars] == sorted({bar.date for bar in bars})
    ib.cancelHistoricalData(bars)


async def test_where_history_begins(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    assert (await ib.reqHeadTimeStampAsync(stock(), "TRADES", True, 2)) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("show", ["TRADES", "BID_ASK", "MIDPOINT"])
async def test_historical_ticks(stage: Stage, show: str) -> None:
    ib = await ib_insync_client(stage)
    end = datetime(2025, 6, 2, 14, 0, tzinfo=UTC)
    ticks = await ib.reqHistoricalTicksAsync(stock(), "", end, 100, show, True)
    assert len(ticks) == 100
    assert ticks[-1].time < end
    ticks = await ib.reqHistoricalTicksAsync(stock(), end, "", 100, show, True)
    assert len(ticks) == 100
    assert ticks[0].time == end


# --- accounts ------------------------------------------------------------------------------------------------------


async def test_an_account_summary_has_its_tags_and_the_ledger(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    await ib.reqAccountSummaryAsync()
    values = {(row.tag, row.currency): row.value for row in ib.wrapper.acctSummary.values()}
    assert values["NetLiquidation", "USD"] == "1000000.00"
    assert values["BuyingPower", "USD"] == "4000000.00"
    assert values["AccountType", ""] == "INDIVIDUAL"
    assert values["TotalCashBalance", "BASE"] == values["TotalCashValue", "USD"] == "1000000.00"


async def test_profit_and_loss_of_account_and_position(stage: Stage) -> None:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    (contract,) = await ib.qualifyContractsAsync(stock())
    trade = ib.placeOrder(contract, MarketOrder("BUY", 100))
    await until(ib, lambda: trade.orderStatus.status == "Filled")
    account = ib.reqPnL("DUSIM01")
    single = ib.reqPnLSingle("DUSIM01", "", contract.conId)
    await until(ib, lambda: not isnan(account.unrealizedPnL) and single.position == 100)
    before = account.unrealizedPnL, single.value
    for _ in range(60):
        stage.pass_time(1)
    stage.gateway.call(lambda server: server.profit.tell())
    await until(ib, lambda: account.unrealizedPnL != before[0] and single.value != before[1])
    assert account.unrealizedPnL == pytest.approx(single.unrealizedPnL)
    assert account.dailyPnL == pytest.approx(account.unrealizedPnL)
    ib.cancelPnL("DUSIM01")
    ib.cancelPnLSingle("DUSIM01", "", contract.conId)


async def test_current_time_is_the_markets(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    assert await ib.reqCurrentTimeAsync() == datetime(2025, 6, 2, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize("show", ["HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY", "SCHEDULE"])
async def test_history_of_what_is_not_here_has_no_data(stage: Stage, show: str) -> None:
    """162 ends the request in every client; ib_async takes 321 for a warning and would wait for ever."""
    client = await Frames.started(stage)
    client.send(ReqHistoricalData(3, NVDA, "", "1 day", "5 D", use_rth=True, what_to_show=show))
    assert (await client.error(162)).req_id == 3
