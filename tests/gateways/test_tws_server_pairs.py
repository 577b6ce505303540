"""Currency pairs through the gateway, with unmodified ib_insync: as public examples ask for them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from math import isnan

import pytest

from tests.gateways.tws_stage import ACCOUNT, Ib, Stage, ib_insync_client, slow, until

PAIRS = ("EURUSD", "GBPUSD", "AUDUSD", "NZDUSD", "USDJPY", "USDCHF", "USDCAD")


@pytest.fixture
def pair_stage() -> Iterator[Stage]:
    """EUR.USD and USD.JPY have prices."""
    with Stage(priced=("EUR.USD", "USD.JPY")) as stage:
        yield stage


@pytest.fixture
def wide_stage() -> Iterator[Stage]:
    """EUR.USD has a spread in its past as well."""
    with Stage(slow(), priced=("EUR.USD",)) as stage:
        yield stage


def forex(pair: str = "EURUSD") -> Ib:
    from ib_insync import Forex

    return Forex(pair)


async def qualified(ib: Ib, pair: str = "EURUSD") -> Ib:
    (contract,) = await ib.qualifyContractsAsync(forex(pair))
    return contract


async def filled(ib: Ib, contract: Ib, order: Ib) -> Ib:
    """The trade of an order, once filled and paid for."""
    trade = ib.placeOrder(contract, order)
    await until(ib, trade.isDone)
    assert trade.orderStatus.status == "Filled", trade.log
    await until(ib, lambda: all(fill.commissionReport.execId for fill in trade.fills))
    return trade


# --- contracts ------------------------------------------------------------------------------------------------------


async def test_every_pair_is_qualified_as_ib_does_it(pair_stage: Stage) -> None:
    """By pair, by id alone, and by local symbol alone."""
    ib = await ib_insync_client(pair_stage)
    from ib_insync import Contract

    contracts = await ib.qualifyContractsAsync(*map(forex, PAIRS))
    assert [each.pair() for each in contracts] == list(PAIRS)
    first = contracts[0]
    assert (first.conId, first.exchange, first.primaryExchange) == (12087792, "IDEALPRO", "")
    assert (first.localSymbol, first.tradingClass) == ("EUR.USD", "EUR.USD")
    by_id, by_name = Contract(conId=12087792), Contract(localSymbol="EUR.USD", secType="CASH", exchange="IDEALPRO")
    assert await ib.qualifyContractsAsync(by_id, by_name) == [by_id, by_name]
    assert by_id == by_name == first


@pytest.mark.parametrize(
    "wrong", [{"exchange": "SMART"}, {"currency": "SEK"}, {"secType": "STK"}, {"localSymbol": "GBP.USD"}]
)
async def test_what_ib_does_not_find_is_not_found(pair_stage: Stage, wrong: dict[str, str]) -> None:
    """A pair trades on IDEALPRO, and its symbol alone is no stock."""
    ib = await ib_insync_client(pair_stage)
    contract = forex()
    for name, value in wrong.items():
        setattr(contract, name, value)
    assert await ib.reqContractDetailsAsync(contract) == []


@pytest.mark.parametrize(("pair", "tick"), [("EURUSD", 0.00005), ("USDJPY", 0.005)])
async def test_its_details_tell_its_tick_and_whole_units(pair_stage: Stage, pair: str, tick: float) -> None:
    ib = await ib_insync_client(pair_stage)
    (details,) = await ib.reqContractDetailsAsync(forex(pair))
    assert (details.minTick, details.validExchanges, details.stockType) == (tick, "IDEALPRO", "")
    assert (details.minSize, details.sizeIncrement) == (1, 1)
    (rule,) = await ib.reqMarketRuleAsync(int(details.marketRuleIds))
    assert (rule.lowEdge, rule.increment) == (0, tick)


# --- prices ---------------------------------------------------------------------------------------------------------


async def test_its_ticks_are_bids_and_asks_without_a_last_or_volume(pair_stage: Stage) -> None:
    ib = await ib_insync_client(pair_stage)
    ticker = ib.reqMktData(await qualified(ib), "233")
    await until(ib, ticker.hasBidAsk)
    seen: set[int] = set()
    ib.pendingTickersEvent += lambda tickers: seen.update(tick.tickType for each in tickers for tick in each.ticks)
    before = (ticker.bid, ticker.bidSize, ticker.askSize)
    pair_stage.pass_time(120)
    await until(ib, lambda: (ticker.bid, ticker.bidSize, ticker.askSize) != before)
    assert round(ticker.ask - ticker.bid, 6) == 0.00005
    assert round(ticker.bid / 0.00005, 6).is_integer()
    assert isnan(ticker.last)
    assert isnan(ticker.volume)
    assert ticker.marketPrice() == pytest.approx((ticker.bid + ticker.ask) / 2)
    assert ticker.low <= ticker.high
    assert ticker.close > 0
    assert not seen & {4, 5, 8, 45, 48}


async def test_its_history_is_of_the_middle_the_bids_and_the_asks(wide_stage: Stage) -> None:
    """An ask is a tick above a bid, the middle between; nothing traded, so volume and the rest are -1."""
    ib = await ib_insync_client(wide_stage)
    contract = await qualified(ib)
    terms = {"endDateTime": "", "durationStr": "3600 S", "barSizeSetting": "1 min", "useRTH": True}
    middle, bid, ask = [
        await ib.reqHistoricalDataAsync(contract, whatToShow=show, **terms) for show in ("MIDPOINT", "BID", "ASK")
    ]
    assert len(middle) == len(bid) == len(ask) > 50
    for at, below, above in zip(middle, bid, ask, strict=True):
        assert round(above.close - below.close, 7) == 0.00005
        assert below.low <= at.low <= above.low
        assert round(below.close / 0.00005, 5).is_integer()
    assert {(each.volume, each.average, each.barCount) for each in (*middle, *bid, *ask)} == {(-1, -1, -1)}


async def test_trades_that_nobody_prints_are_refused_by_name(pair_stage: Stage) -> None:
    """IB's codes: 162 for history, 420 and 10189 for what would come live."""
    ib = await ib_insync_client(pair_stage)
    contract = await qualified(ib)
    codes: list[int] = []
    ib.errorEvent += lambda _, code, *__: codes.append(code)
    terms = {"durationStr": "1 D", "barSizeSetting": "1 hour", "useRTH": True}
    assert not await ib.reqHistoricalDataAsync(contract, "", whatToShow="TRADES", **terms)
    assert not await ib.reqHistoricalTicksAsync(contract, "", datetime.now(UTC), 10, "TRADES", useRth=False)
    ib.reqRealTimeBars(contract, 5, "TRADES", False)
    ib.reqTickByTickData(contract, "AllLast")
    await until(ib, lambda: codes == [162, 162, 420, 10189])


async def test_its_single_ticks_past_and_present_are_quotes(wide_stage: Stage) -> None:
    ib = await ib_insync_client(wide_stage)
    contract = await qualified(ib)
    end = datetime.fromtimestamp(wide_stage.clock.now() // 10**9, UTC)
    ticks = await ib.reqHistoricalTicksAsync(contract, "", end, 100, "BID_ASK", useRth=False)
    assert len(ticks) == 100
    assert {round(each.priceAsk - each.priceBid, 7) for each in ticks} == {0.00005}
    ticker = ib.reqTickByTickData(contract, "MidPoint")
    await until(ib, lambda: ticker.tickByTicks)
    assert round(ticker.tickByTicks[-1].midPoint / 0.000025, 5) % 2 == 1


async def test_its_short_bars_and_depth_come_as_the_market_moves(pair_stage: Stage) -> None:
    ib = await ib_insync_client(pair_stage)
    contract = await qualified(ib)
    bars = ib.reqRealTimeBars(contract, 5, "MIDPOINT", False)
    depth = ib.reqMktDepth(contract)
    await until(ib, lambda: len(depth.domBids) >= 5 and len(depth.domAsks) >= 5)
    assert round(depth.domAsks[0].price - depth.domBids[0].price, 7) == 0.00005
    assert round(depth.domBids[0].price - depth.domBids[1].price, 7) == 0.00005
    pair_stage.pass_time(30)
    await until(ib, lambda: len(bars) >= 3)
    assert {(each.volume, each.wap, each.count) for each in bars} == {(-1, -1, -1)}
    places = await ib.reqMktDepthExchangesAsync()
    assert [each.exchange for each in places if each.secType == "CASH"] == ["IDEALPRO"]


# --- orders ---------------------------------------------------------------------------------------------------------


async def test_a_market_order_makes_a_position_and_a_balance(pair_stage: Stage) -> None:
    """Twenty thousand euros: a position without an exchange, as IB names it, and cash in two currencies."""
    ib = await ib_insync_client(pair_stage)
    from ib_insync import MarketOrder

    contract = await qualified(ib)
    trade = await filled(ib, contract, MarketOrder("BUY", 20_000))
    (fill,) = trade.fills
    assert (fill.execution.exchange, fill.execution.shares) == ("IDEALPRO", 20_000)
    assert (fill.commissionReport.commission, fill.commissionReport.currency) == (2, "USD")
    (position,) = await ib.reqPositionsAsync()
    assert (position.contract.localSymbol, position.contract.exchange, position.position) == ("EUR.USD", "", 20_000)
    assert position.avgCost == pytest.approx(fill.execution.price + 2 / 20_000)

    def value(tag: str, currency: str) -> float:
        found = [row.value for row in ib.accountValues(ACCOUNT) if (row.tag, row.currency) == (tag, currency)]
        return float(found[-1]) if found else 0.0

    await until(ib, lambda: value("CashBalance", "EUR") == 20_000)
    price = fill.execution.price
    assert value("CashBalance", "USD") == pytest.approx(1_000_000 - 20_000 * price - 2, abs=0.01)
    assert value("TotalCashBalance", "BASE") == pytest.approx(value("NetLiquidation", "USD"), abs=0.01)
    assert value("StockMarketValue", "BASE") == value("GrossPositionValue", "USD") == 0
    await until(ib, lambda: any(item.contract.localSymbol == "EUR.USD" for item in ib.portfolio()))


async def test_a_balance_that_is_sold_is_told_to_be_nothing(pair_stage: Stage) -> None:
    """Or clients would count for ever with the euros that they heard of last."""
    ib = await ib_insync_client(pair_stage)
    from ib_insync import MarketOrder

    def balances() -> dict[str, float]:
        tags = ("CashBalance", "TotalCashBalance", "NetLiquidationByCurrency")
        return {
            row.tag: float(row.value) for row in ib.accountValues(ACCOUNT) if row.currency == "EUR" and row.tag in tags
        }

    contract = await qualified(ib)
    await filled(ib, contract, MarketOrder("BUY", 20_000))
    await until(ib, lambda: balances().get("CashBalance") == 20_000)
    await filled(ib, contract, MarketOrder("SELL", 20_000))
    await until(ib, lambda: set(balances().values()) == {0})


async def test_a_limit_order_is_changed_and_cancelled_to_the_twentieth_of_a_pip(pair_stage: Stage) -> None:
    ib = await ib_insync_client(pair_stage)
    from ib_insync import LimitOrder

    contract, order = await qualified(ib), LimitOrder("BUY", 20_000, 0.05)
    trade = ib.placeOrder(contract, order)
    await until(ib, lambda: trade.orderStatus.status == "Submitted")
    order.lmtPrice = 0.10005
    ib.placeOrder(contract, order)
    await until(ib, lambda: any(entry.message == "Modified" for entry in trade.log))
    (listed,) = await ib.reqAllOpenOrdersAsync()
    assert listed.order.lmtPrice == 0.10005
    ib.cancelOrder(order)
    await until(ib, lambda: trade.orderStatus.status == "Cancelled")


async def test_an_odd_lot_is_told_so_and_fills(pair_stage: Stage) -> None:
    """399 is a warning."""
    ib = await ib_insync_client(pair_stage)
    from ib_insync import MarketOrder

    told: list[tuple[int, str]] = []
    ib.errorEvent += lambda _, code, text, *__: told.append((code, text))
    await filled(ib, await qualified(ib), MarketOrder("BUY", 100))
    assert [code for code, _ in told] == [399]
    assert "BUY 100 EUR.USD Forex" in told[0][1]


async def test_what_if_tells_a_fortieth_and_the_commission(pair_stage: Stage) -> None:
    ib = await ib_insync_client(pair_stage)
    from ib_insync import MarketOrder

    contract = await qualified(ib)
    state = await ib.whatIfOrderAsync(contract, MarketOrder("SELL", 1_000_000))
    (ticker,) = await ib.reqTickersAsync(contract)
    assert float(state.initMarginAfter) == pytest.approx(1_000_000 * ticker.marketPrice() / 40, rel=1e-3)
    assert state.commission == pytest.approx(1_000_000 * ticker.marketPrice() * 0.00002, rel=1e-3)


async def test_an_order_in_yen_is_refused_with_the_reason(pair_stage: Stage) -> None:
    ib = await ib_insync_client(pair_stage)
    from ib_insync import MarketOrder

    trade = ib.placeOrder(await qualified(ib, "USDJPY"), MarketOrder("BUY", 25_000))
    await until(ib, lambda: trade.orderStatus.status == "Inactive")
    assert any("quoted in USD" in entry.message for entry in trade.log)


# --- what examples ask for besides ----------------------------------------------------------------------------------


async def test_what_is_asked_for_without_an_id_is_answered(pair_stage: Stage) -> None:
    """An error would not reach who waits for scanner parameters or news providers."""
    ib = await ib_insync_client(pair_stage)
    from xml.etree import ElementTree as ET

    xml = ET.fromstring(await ib.reqScannerParametersAsync())  # noqa: S314  # our own
    assert (xml.tag, xml.findall(".//scanCode")) == ("ScanParameterResponse", [])
    assert await ib.reqNewsProvidersAsync() == []
