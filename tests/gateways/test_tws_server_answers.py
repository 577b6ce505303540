"""Every request is answered, at every server version; one that is not known here by an error, never silence."""

from decimal import Decimal

import pytest

from src.gateways import tws_codec as tws
from src.gateways.tws_codec import (
    REQUESTS,
    CurrentTime,
    ErrorMessage,
    Reply,
    ReqCurrentTime,
    Request,
    StartApi,
    UnsupportedRequest,
)
from src.gateways.tws_codec.session import UNSUPPORTED
from tests.gateways.test_tws_server_lives import NVDA, after, order
from tests.gateways.tws_codec_examples import VERSIONS
from tests.gateways.tws_stage import ACCOUNT, Frames, Stage

#: What is asked, and the last answer that it gets; None: it is heard in silence, as by a real TWS.
ASKED: list[tuple[Request, type[Reply] | None]] = [
    (tws.ReqIds(), tws.NextValidId),
    (tws.ReqManagedAccts(), tws.ManagedAccounts),
    (tws.SetServerLogLevel(3), None),
    (tws.ReqUserInfo(10), tws.UserInfo),
    (tws.ReqScannerParameters(), tws.ScannerParameters),
    (tws.ReqNewsProviders(), tws.NewsProviders),
    (tws.ReqPositions(), tws.PositionEnd),
    (tws.CancelPositions(), None),
    (tws.ReqPositionsMulti(11, ACCOUNT, ""), tws.PositionMultiEnd),
    (tws.CancelPositionsMulti(11), None),
    (tws.ReqAccountUpdates(True, ACCOUNT), tws.AcctDownloadEnd),
    (tws.ReqAccountUpdatesMulti(12, ACCOUNT, "", False), tws.AccountUpdateMultiEnd),
    (tws.CancelAccountUpdatesMulti(12), None),
    (tws.ReqAccountSummary(13, "All", "NetLiquidation,$LEDGER"), tws.AccountSummaryEnd),
    (tws.CancelAccountSummary(13), None),
    (tws.ReqFamilyCodes(), tws.FamilyCodes),
    (tws.ReqPnL(14, ACCOUNT, ""), tws.PnL),
    (tws.CancelPnL(14), None),
    (tws.ReqPnLSingle(15, ACCOUNT, "", NVDA.con_id), tws.PnLSingle),
    (tws.CancelPnLSingle(15), None),
    (tws.ReqOpenOrders(), tws.OpenOrderEnd),
    (tws.ReqAllOpenOrders(), tws.OpenOrderEnd),
    (tws.ReqAutoOpenOrders(False), tws.ErrorMessage),
    (tws.ReqCompletedOrders(False), tws.CompletedOrdersEnd),
    (tws.ReqExecutions(16), tws.ExecutionDataEnd),
    (tws.ReqContractDetails(17, NVDA), tws.ContractDataEnd),
    (tws.ReqMatchingSymbols(18, "NV"), tws.SymbolSamples),
    (tws.ReqMarketRule(26), tws.MarketRule),
    (tws.ReqSecDefOptParams(19, "NVDA", "", "STK", NVDA.con_id), tws.SecurityDefinitionOptionParameterEnd),
    (tws.ReqMarketDataType(3), None),
    (tws.ReqMktData(20, NVDA, "233,221"), tws.TickString),
    (tws.CancelMktData(20), None),
    (tws.ReqMktData(21, NVDA, snapshot=True), tws.TickSnapshotEnd),
    (tws.ReqMktDepthExchanges(), tws.MktDepthExchanges),
    (tws.ReqMktDepth(22, NVDA, 5), tws.MarketDepth),
    (tws.CancelMktDepth(22), None),
    (tws.ReqMktDepth(23, NVDA, 5, True), tws.MarketDepthL2),
    (tws.ReqTickByTickData(24, NVDA, "BidAsk", 3, False), tws.TickByTickBidAsk),
    (tws.CancelTickByTickData(24), None),
    (tws.ReqHistoricalData(25, NVDA, "", "1 min", "1800 S", True, "TRADES"), tws.HistoricalData),
    (tws.CancelHistoricalData(25), None),
    (tws.ReqHeadTimestamp(26, NVDA, True, "TRADES"), tws.HeadTimestamp),
    (tws.CancelHeadTimestamp(26), None),
    (
        tws.ReqHistoricalTicks(27, NVDA, "", "20250602 11:00:00", 5, "TRADES"),
        tws.HistoricalTicksLast,
    ),
    (tws.ReqRealTimeBars(28, NVDA, 5, "TRADES", True), None),
    (tws.CancelRealTimeBars(28), None),
    (tws.PlaceOrder(2, NVDA, order()._replace(what_if=True)), tws.OpenOrder),
    (tws.PlaceOrder(3, NVDA, order("LMT", lmt_price=Decimal(90))), tws.OrderStatusMessage),
    (tws.CancelOrder(3), tws.ErrorMessage),
    (tws.CancelOrder(3), tws.ErrorMessage),
    (tws.ReqGlobalCancel(), None),
]


def test_the_table_has_every_request() -> None:
    known = {shape.cls for shapes in REQUESTS.values() for shape in shapes}
    assert {type(request) for request, _ in ASKED} | {StartApi, ReqCurrentTime} == known


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_request_is_answered_at_every_version(stage: Stage, version: int) -> None:
    client = await Frames.started(stage, newest=version)
    await after(stage, client, tws.PlaceOrder(1, NVDA, order()))
    for request, expected in ASKED:
        client.seen.clear()
        client.send(request, ReqCurrentTime())
        await client.until(CurrentTime)
        told = client.seen[:-1]
        if expected is None:
            assert not [each for each in told if isinstance(each, ErrorMessage) and each.error_code == 321], request
            continue
        assert expected in map(type, told), (request, told)
        asked_under = getattr(request, "req_id", None)
        if asked_under is not None:
            ids = {getattr(each, "req_id", asked_under) for each in told if type(each) is expected}
            assert ids == {asked_under}, request


@pytest.mark.parametrize("version", [157, 178])
async def test_what_is_not_known_is_an_error_under_its_id(stage: Stage, version: int) -> None:
    """Tier 3, and ids that no version has; cancels of them need no answer."""
    client = await Frames.started(stage, newest=version)
    names = {**UNSUPPORTED, 4711: ("request 4711", 0)}
    for message_id, (name, position) in names.items():
        texts = ["1"] * 8
        if position:
            texts[position - 1] = "77"
        client.seen.clear()
        client.send(UnsupportedRequest(message_id, name, 77, tuple(texts)), ReqCurrentTime())
        await client.until(CurrentTime)
        errors = [each.req_id for each in client.seen if isinstance(each, ErrorMessage)]
        assert errors == ([] if name.startswith("cancel") else [77 if position else -1]), name


LIMITS = {
    "fields": b"49\0" + b"1\0" * 10_001,
    "a text": b"81\0" + b"5\0" + b"x" * 65_537 + b"\0",
    "a number": b"91\0" + b"9" * 5_000 + b"\0",
}


@pytest.mark.parametrize("payload", LIMITS.values(), ids=LIMITS)
async def test_beyond_a_limit_is_320_and_the_connection_goes_on(
    stage: Stage, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = await Frames.started(stage)
    client.writer.write(tws.frame(payload))
    await client.error(320)
    client.send(ReqCurrentTime())
    await client.until(CurrentTime)


async def test_a_frame_of_the_greatest_length_is_read(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """16 MB pass, and are refused for their content; one byte more is the end of the connection."""
    client = await Frames.started(stage)
    client.writer.write(tws.frame(b"x" * (tws.MAX_FRAME - 1) + b"\0"))
    await client.error(320)
    client.writer.write((tws.MAX_FRAME + 1).to_bytes(4))
    await client.error(507)
    assert await client.is_ended()
