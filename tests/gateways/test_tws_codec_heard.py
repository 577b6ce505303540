"""Proof against something not written here: what an unmodified client library hears of what is sent to it."""

import dataclasses
import logging

import pytest

from src.gateways import tws_codec as tws
from src.gateways.tws_codec import (
    ContractData,
    ErrorMessage,
    ExecutionData,
    OpenOrder,
    encode_reply,
)
from src.gateways.tws_codec.registry import Shape
from tests.gateways.tws_codec_client import (
    STOCK,
    Theirs,
    event_loop,
    heard_by,
    library,
    plain,
    same,
    versions,
)
from tests.gateways.tws_codec_examples import ALL_REPLIES, carried, full

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
VERSIONS = versions()
SHAPES: dict[type, Shape] = {shape.cls: shape for shape in ALL_REPLIES}


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Theirs:
    """The library logs what it cannot read, and goes on."""
    with event_loop():
        library()
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


#: The library's call for a reply, and the paths of its arguments where they are not simply the reply's fields in order.
HEARD: dict[str, tuple[str, str | None]] = {
    "ManagedAccounts": ("managedAccounts", None),
    "NextValidId": ("nextValidId", None),
    "CurrentTime": ("currentTime", None),
    "UserInfo": ("userInfo", None),
    "ScannerParameters": ("scannerParameters", None),
    "NewsProviders": ("newsProviders", None),
    "ContractDataEnd": ("contractDetailsEnd", None),
    "MarketDataTypeMessage": ("marketDataType", None),
    "TickReqParams": ("tickReqParams", None),
    "TickPrice": ("priceSizeTick", "req_id tick_type price size"),
    "TickSize": ("tickSize", None),
    "TickString": ("tickString", None),
    "TickGeneric": ("tickGeneric", None),
    "TickSnapshotEnd": ("tickSnapshotEnd", None),
    "MarketDepth": ("updateMktDepth", None),
    "MarketDepthL2": ("updateMktDepthL2", None),
    "MktDepthExchanges": ("mktDepthExchanges", None),
    "OrderStatusMessage": ("orderStatus", None),
    "OpenOrderEnd": ("openOrderEnd", None),
    "CompletedOrdersEnd": ("completedOrdersEnd", None),
    "ExecutionDataEnd": ("execDetailsEnd", None),
    "PositionData": ("position", None),
    "PositionEnd": ("positionEnd", None),
    "PositionMulti": ("positionMulti", "req_id account model_code contract position avg_cost"),
    "PositionMultiEnd": ("positionMultiEnd", None),
    "AcctValue": ("updateAccountValue", None),
    "PortfolioValue": ("updatePortfolio", None),
    "AcctUpdateTime": ("updateAccountTime", None),
    "AcctDownloadEnd": ("accountDownloadEnd", None),
    "AccountUpdateMulti": ("accountUpdateMulti", None),
    "AccountUpdateMultiEnd": ("accountUpdateMultiEnd", None),
    "AccountSummaryMessage": ("accountSummary", None),
    "AccountSummaryEnd": ("accountSummaryEnd", None),
    "PnL": ("pnl", None),
    "PnLSingle": ("pnlSingle", None),
    "FamilyCodes": ("familyCodes", None),
    "RealTimeBar": ("realtimeBar", None),
    "HeadTimestamp": ("headTimestamp", None),
    "TickByTickMidPoint": ("tickByTickMidPoint", None),
    "SecurityDefinitionOptionParameterEnd": ("securityDefinitionOptionParameterEnd", None),
    "MarketRule": ("marketRule", None),
}


def heard(name: str, version: int, **deciding: str) -> tuple[Theirs, str, tuple[Theirs, ...]]:
    """A full message, and the one call that the library makes of it."""
    message = full(SHAPES[getattr(tws, name)], **deciding).at(version)
    ((call, arguments),) = heard_by(encode_reply(message, version), version)
    return message, call, arguments


def agree(ours: Theirs, theirs: Theirs) -> bool:
    """Whether each field of ours that says something is the library's, by name."""
    ours, theirs = plain(ours), plain(theirs)
    if isinstance(ours, dict):
        return all(agree(ours[name], theirs[name]) for name in ours if ours[name] and name != "combolegsdescrip")
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(agree, ours, theirs))
    return bool(ours == theirs or (ours is None and not theirs))


@pytest.mark.parametrize("name", HEARD)
def test_what_is_sent_is_heard(name: str) -> None:
    expected, order = HEARD[name]
    for version in VERSIONS:
        message, call, arguments = heard(name, version)
        names = order.split() if order else [field.name for field in dataclasses.fields(message)]
        assert call == expected
        assert len(arguments) == len(names)
        for path, argument in zip(names, arguments, strict=True):
            assert agree(getattr(message, path), argument), (path, version)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_error_is_heard(version: int) -> None:
    message = ErrorMessage(41, 202, "Order Canceled - reason:", "{}")
    ((call, arguments),) = heard_by(encode_reply(message, version), version)
    assert (call, arguments) == ("error", (41, 202, "Order Canceled - reason:", "{}" if version >= 166 else ""))


@pytest.mark.parametrize("version", VERSIONS)
def test_contract_details_are_heard(version: int) -> None:
    message, call, (req_id, details) = heard("ContractData", version)
    assert isinstance(message, ContractData)
    assert (call, req_id) == ("contractDetails", message.req_id)
    paths = carried(SHAPES[ContractData].layout, message, version)
    assert len(paths) >= 35
    ours, theirs = plain(message), plain(details)
    for path in paths:
        if path != "req_id":
            part = "contract" if path.startswith("contract.") else None
            found = (theirs[part] if part else theirs)[same(path)]
            assert found == (ours[part] if part else ours)[same(path)], path
    assert theirs["secidlist"] == ours["secidlist"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_name_beyond_ascii_is_heard(version: int) -> None:
    message = ContractData(1, STOCK, long_name="Nestlé \\ 東京")
    ((_, (_, details)),) = heard_by(encode_reply(message, version), version)
    assert details.longName == "Nestlé \\ 東京"


@pytest.mark.parametrize("version", VERSIONS)
def test_an_execution_is_heard(version: int) -> None:
    drawn = full(SHAPES[ExecutionData])
    drawn.values["time"] = "20261120 20:05:13 UTC" if version >= 174 else "20261120  15:05:13"
    message = drawn.at(version)
    ((call, (req_id, contract, execution)),) = heard_by(encode_reply(message, version), version)
    assert (call, req_id) == ("execDetails", message.req_id)
    assert agree(message.contract, contract)
    assert plain(execution.time) == 1795205113
    ours, theirs = plain(message), plain(execution)
    paths = [path for path in carried(SHAPES[ExecutionData].layout, message, version) if "." not in path]
    different = [path for path in paths if path not in {"req_id", "time"} and ours[same(path)] != theirs[same(path)]]
    assert different == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_commission_is_heard(version: int) -> None:
    message, call, (report,) = heard("CommissionReportMessage", version)
    assert call == "commissionReport"
    assert [report.execId, report.currency] == [message.exec_id, message.currency]
    theirs = [report.commission, report.realizedPNL, report.yield_, report.yieldRedemptionDate]
    ours = [message.commission, message.realized_pnl, message.yield_, message.yield_redemption_date]
    assert theirs == ours


@pytest.mark.parametrize("version", VERSIONS)
def test_bars_are_heard(version: int) -> None:
    message = full(SHAPES[tws.HistoricalData]).at(version)
    *bars, (end, arguments) = heard_by(encode_reply(message, version), version)
    assert (end, arguments) == ("historicalDataEnd", (message.req_id, message.start_date_str, message.end_date_str))
    assert [call for call, _ in bars] == ["historicalData"] * 2
    for ours, (_, (_, theirs)) in zip(message.bars, bars, strict=True):
        assert [theirs.date, theirs.open, theirs.high, theirs.low, theirs.close, theirs.volume, theirs.average] == [
            *ours[:7]
        ]
        assert theirs.barCount == ours.bar_count
    update, call, (_, bar) = heard("HistoricalDataUpdate", version)
    assert call == "historicalDataUpdate"
    theirs = [bar.barCount, bar.date, bar.open, bar.close, bar.high, bar.low, bar.average, bar.volume]
    assert theirs == [getattr(update, field.name) for field in dataclasses.fields(update)[1:]]


@pytest.mark.parametrize("version", VERSIONS)
def test_single_ticks_are_heard(version: int) -> None:
    for mask in range(4):
        trade = tws.TickByTickAllLast(1, 2, 1795205113, 10.25, 100.0, mask, "NYSE", "x")
        ((call, arguments),) = heard_by(encode_reply(trade, version), version)
        attributes = arguments[5]
        assert (call, arguments[:5], arguments[6:]) == (
            "tickByTickAllLast",
            (1, 2, 1795205113, 10.25, 100.0),
            ("NYSE", "x"),
        )
        assert (attributes.pastLimit, attributes.unreported) == (bool(mask & 1), bool(mask & 2))
        quote = tws.TickByTickBidAsk(1, 1795205113, 10.25, 10.5, 100.0, 200.0, mask)
        ((call, arguments),) = heard_by(encode_reply(quote, version), version)
        assert (call, arguments[:-1]) == ("tickByTickBidAsk", (1, 1795205113, 10.25, 10.5, 100.0, 200.0))
        assert (arguments[-1].bidPastLow, arguments[-1].askPastHigh) == (bool(mask & 1), bool(mask & 2))
        past = tws.HistoricalTicksBidAsk(1, (tws.HistoricalTickBidAsk(1795205113, mask, 10.25, 10.5, 1.0, 2.0),))
        ((_, (_, (tick,), done)),) = heard_by(encode_reply(past, version), version)
        assert done
        # Reversed: see tick_by_tick.py.
        assert (tick.tickAttribBidAsk.askPastHigh, tick.tickAttribBidAsk.bidPastLow) == (bool(mask & 1), bool(mask & 2))


@pytest.mark.parametrize("version", VERSIONS)
def test_ticks_of_the_past_are_heard(version: int) -> None:
    mid = tws.HistoricalTicks(1, (tws.HistoricalTick(1795205113, 10.25, 0.0),), done=False)
    ((call, (_, (tick,), done)),) = heard_by(encode_reply(mid, version), version)
    assert (call, plain(tick.time), tick.price, tick.size, done) == ("historicalTicks", 1795205113, 10.25, 0.0, False)
    trades = tws.HistoricalTicksLast(1, (tws.HistoricalTickLast(1795205113, 2, 10.25, 5.0, "NYSE", "x"),))
    ((call, (_, (tick,), done)),) = heard_by(encode_reply(trades, version), version)
    assert (call, tick.price, tick.size, tick.exchange, tick.specialConditions) == (
        "historicalTicksLast",
        10.25,
        5.0,
        "NYSE",
        "x",
    )
    assert tick.tickAttribLast.unreported
    assert done


@pytest.mark.parametrize("version", VERSIONS)
def test_symbols_and_option_chains_are_heard(version: int) -> None:
    message, call, (req_id, samples) = heard("SymbolSamples", version)
    assert (call, req_id, len(samples)) == ("symbolSamples", message.req_id, 2)
    for ours, theirs in zip(message.samples, samples, strict=True):
        contract = theirs.contract
        assert [contract.conId, contract.symbol, contract.secType] == [ours.con_id, ours.symbol, ours.sec_type]
        assert [contract.primaryExchange, contract.currency] == [ours.primary_exchange, ours.currency]
        assert tuple(theirs.derivativeSecTypes) == ours.derivative_sec_types
        assert [contract.description, contract.issuerId] == [ours.description, ours.issuer_id]
    chain, call, arguments = heard("SecurityDefinitionOptionParameter", version)
    assert call == "securityDefinitionOptionParameter"
    assert [str(value) for value in arguments[:5]] == [
        str(getattr(chain, field.name)) for field in dataclasses.fields(chain)[:5]
    ]
    assert arguments[5:] == (list(chain.expirations), list(chain.strikes))


ORDER_VARIANTS: list[dict[str, str]] = [
    {"order_type": "LMT"},
    {"order_type": "PEG BENCH"},
    {"order_type": "PEG BEST", "sec_type": "BAG", "delta_neutral_order_type": "None"},
]


@pytest.mark.parametrize("deciding", ORDER_VARIANTS, ids=lambda deciding: deciding["order_type"])
@pytest.mark.parametrize(
    ("name", "call", "least"), [("OpenOrder", "openOrder", 120), ("CompletedOrder", "completedOrder", 90)]
)
def test_every_field_of_an_order_is_heard_in_its_place(
    name: str, call: str, least: int, deciding: dict[str, str]
) -> None:
    shape = SHAPES[getattr(tws, name)]
    for version in VERSIONS:
        message, heard_call, arguments = heard(name, version, **deciding)
        assert heard_call == call
        contract, order, state = map(plain, arguments[-3:])
        order["softdollartiername"], order["softdollartierval"], order["softdollartierdisplayname"] = (
            order["softdollartier"][part] for part in ("name", "val", "displayname")
        )
        theirs = {"contract": contract, "order": order, "state": state, "": order}
        paths = [path for path in carried(shape.layout, message, version) if path != "order.shares_allocation"]
        assert len(paths) >= least
        for path in paths:
            part, _, _ = path.rpartition(".")
            found, sent = theirs[part][same(path)], plain(getattr(message, part) if part else message)[same(path)]
            assert found == sent or str(found) == str(sent), (path, version)
        for part, lists in (("contract", ["combolegs"]), ("order", ["algoparams", "ordercombolegs"])):
            for each in lists:
                assert agree(plain(getattr(message, part))[each], theirs[part][each])
        assert len(order["conditions"]) == 12
        for ours, theirs_ in zip(message.order.conditions, order["conditions"], strict=True):
            assert agree(ours, theirs_)


def test_a_dropped_sentinel_leaves_the_library_its_own_unset() -> None:
    message = OpenOrder(1, STOCK, tws.WireOrder(order_type="MKT"), tws.OrderState("Submitted"))
    ((_, (_, _, order, state)),) = heard_by(encode_reply(message, 176), 176)
    fresh = library().Order()
    assert (order.lmtPrice, order.trailStopPrice) == (fresh.lmtPrice, fresh.trailStopPrice)
    assert float(state.initMarginBefore) == float(state.commission) == fresh.trailStopPrice
