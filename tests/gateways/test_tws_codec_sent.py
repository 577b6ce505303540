"""Proof against something not written here: what an unmodified client library sends is understood."""

import dataclasses
import logging

import pytest

from src.gateways import tws_codec as tws
from src.gateways.tws_codec import (
    CancelOrder,
    ComboLeg,
    DeltaNeutralContract,
    decode_request,
)
from tests.gateways.tws_codec_client import (
    EXPIRED,
    STOCK,
    Theirs,
    event_loop,
    ib_contract,
    library,
    sent_by,
    versions,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
VERSIONS = versions()


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Theirs:
    """The library logs what it cannot read, and goes on."""
    with event_loop():
        library()
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


# --- what the client sends -----------------------------------------------------------------------------------------

CALLS: list[tuple[str, tuple[Theirs, ...], Theirs]] = [
    ("startApi", (), tws.StartApi(-1, "")),
    ("reqIds", (3,), tws.ReqIds(3)),
    ("reqCurrentTime", (), tws.ReqCurrentTime()),
    ("reqManagedAccts", (), tws.ReqManagedAccts()),
    ("setServerLogLevel", (5,), tws.SetServerLogLevel(5)),
    ("reqUserInfo", (4,), tws.ReqUserInfo(4)),
    ("reqScannerParameters", (), tws.ReqScannerParameters()),
    ("reqNewsProviders", (), tws.ReqNewsProviders()),
    ("reqPositions", (), tws.ReqPositions()),
    ("cancelPositions", (), tws.CancelPositions()),
    ("reqPositionsMulti", (4, "DU1", "m"), tws.ReqPositionsMulti(4, "DU1", "m")),
    ("cancelPositionsMulti", (4,), tws.CancelPositionsMulti(4)),
    ("reqOpenOrders", (), tws.ReqOpenOrders()),
    ("reqAllOpenOrders", (), tws.ReqAllOpenOrders()),
    ("reqAutoOpenOrders", (True,), tws.ReqAutoOpenOrders(auto_bind=True)),
    ("reqCompletedOrders", (False,), tws.ReqCompletedOrders(api_only=False)),
    ("reqAccountUpdates", (True, "DU1"), tws.ReqAccountUpdates(subscribe=True, acct_code="DU1")),
    ("reqAccountUpdatesMulti", (4, "DU1", "m", True), tws.ReqAccountUpdatesMulti(4, "DU1", "m", ledger_and_nlv=True)),
    ("cancelAccountUpdatesMulti", (4,), tws.CancelAccountUpdatesMulti(4)),
    ("reqAccountSummary", (4, "All", "A,B"), tws.ReqAccountSummary(4, "All", "A,B")),
    ("cancelAccountSummary", (4,), tws.CancelAccountSummary(4)),
    ("cancelMktData", (4,), tws.CancelMktData(4)),
    ("reqMarketDataType", (3,), tws.ReqMarketDataType(3)),
    ("cancelHistoricalData", (4,), tws.CancelHistoricalData(4)),
    ("reqGlobalCancel", (), tws.ReqGlobalCancel()),
    ("reqPnL", (4, "DU1", "m"), tws.ReqPnL(4, "DU1", "m")),
    ("cancelPnL", (4,), tws.CancelPnL(4)),
    ("reqPnLSingle", (4, "DU1", "m", 9), tws.ReqPnLSingle(4, "DU1", "m", 9)),
    ("cancelPnLSingle", (4,), tws.CancelPnLSingle(4)),
    ("cancelTickByTickData", (4,), tws.CancelTickByTickData(4)),
    ("cancelRealTimeBars", (4,), tws.CancelRealTimeBars(4)),
    ("cancelMktDepth", (4, True), tws.CancelMktDepth(4, is_smart_depth=True)),
    ("reqMatchingSymbols", (4, "AA"), tws.ReqMatchingSymbols(4, "AA")),
    ("reqSecDefOptParams", (4, "A", "CME", "STK", 9), tws.ReqSecDefOptParams(4, "A", "CME", "STK", 9)),
    ("reqMarketRule", (26,), tws.ReqMarketRule(26)),
    ("cancelHeadTimeStamp", (4,), tws.CancelHeadTimestamp(4)),
    ("reqMktDepthExchanges", (), tws.ReqMktDepthExchanges()),
    ("reqFamilyCodes", (), tws.ReqFamilyCodes()),
]


@pytest.mark.parametrize(("method", "arguments", "request_"), CALLS, ids=[call[0] for call in CALLS])
def test_what_the_client_sends_is_understood(method: str, arguments: tuple[Theirs, ...], request_: Theirs) -> None:
    for version in VERSIONS:
        assert decode_request(sent_by(method, *arguments, version=version), version) == request_


def _with_contract(contract: Theirs) -> list[tuple[str, tuple[Theirs, ...], Theirs]]:
    tags = [library().TagValue("k", "v")]
    named = dataclasses.replace(EXPIRED, sec_id_type="ISIN", sec_id="US0")
    short = ("20250101 00:00:00", "20260101 00:00:00", 7, "TRADES", True, True)
    return [
        ("reqContractDetails", (4, contract), tws.ReqContractDetails(4, named)),
        ("reqMktData", (4, contract, "233", True, True, tags), tws.ReqMktData(4, STOCK, "233", True, True, "k=v;")),
        (
            "reqHistoricalData",
            (4, contract, "now", "1 D", "1 min", "TRADES", True, 2, True, tags),
            tws.ReqHistoricalData(4, EXPIRED, "now", "1 min", "1 D", True, "TRADES", 2, True, "k=v;"),
        ),
        (
            "reqRealTimeBars",
            (4, contract, 5, "MIDPOINT", True, tags),
            tws.ReqRealTimeBars(4, STOCK, 5, "MIDPOINT", True, "k=v;"),
        ),
        ("reqMktDepth", (4, contract, 10, True, tags), tws.ReqMktDepth(4, STOCK, 10, True, "k=v;")),
        ("reqHeadTimeStamp", (4, contract, "BID", True, 2), tws.ReqHeadTimestamp(4, EXPIRED, True, "BID", 2)),
        ("reqTickByTickData", (4, contract, "BidAsk", 7, True), tws.ReqTickByTickData(4, STOCK, "BidAsk", 7, True)),
        ("reqHistoricalTicks", (4, contract, *short, tags), tws.ReqHistoricalTicks(4, EXPIRED, *short, "k=v;")),
    ]


def test_requests_about_a_contract_are_understood() -> None:
    with event_loop():
        calls = _with_contract(ib_contract(secIdType="ISIN", secId="US0"))
    for version in VERSIONS:
        for method, arguments, request in calls:
            assert decode_request(sent_by(method, *arguments, version=version), version) == request


@pytest.mark.parametrize("version", VERSIONS)
def test_other_requests_are_understood(version: int) -> None:
    with event_loop():
        lib = library()
        legs = [lib.ComboLeg(conId=9, ratio=2, action="SELL", exchange="CBOE")]
        other = lib.DeltaNeutralContract(conId=8, delta=0.5, price=7.25)
        bag = ib_contract(secType="BAG", comboLegs=legs, deltaNeutralContract=other, issuerId="e1")
        executions = lib.ExecutionFilter(3, "DU1", "20261120 10:00:00", "AAPL", "STK", "NYSE", "BUY")
    combo = dataclasses.replace(
        STOCK,
        sec_type="BAG",
        combo_legs=(ComboLeg(9, 2, "SELL", "CBOE"),),
        delta_neutral_contract=DeltaNeutralContract(8, 0.5, 7.25),
    )
    assert decode_request(
        sent_by("reqMktData", 4, bag, "", False, False, [], version=version), version
    ) == tws.ReqMktData(4, combo)
    history = decode_request(
        sent_by("reqHistoricalData", 4, bag, "", "1 D", "1 min", "BID", False, 1, False, [], version=version), version
    )
    assert isinstance(history, tws.ReqHistoricalData)
    assert history.contract.combo_legs == combo.combo_legs
    details = decode_request(sent_by("reqContractDetails", 4, bag, version=version), version)
    assert isinstance(details, tws.ReqContractDetails)
    assert details.contract.issuer_id == ("e1" if version >= 176 else "")
    assert decode_request(sent_by("reqExecutions", 4, executions, version=version), version) == tws.ReqExecutions(
        4, 3, "DU1", "20261120 10:00:00", "AAPL", "STK", "NYSE", "BUY"
    )
    cancelled = decode_request(sent_by("cancelOrder", 7, "20261120 10:00:00", version=version), version)
    assert cancelled == CancelOrder(7, "20261120 10:00:00" if version >= 169 else "")
