"""What a TWS has and the gateway has not: news, scanners, fundamentals, option calculations. Never silence.

What has an id gets an error under it. Scanner parameters and news providers are asked for without one: an error would
never reach who waits, so they are told that there are none.
"""

from typing import Final

from src.gateways.tws_codec import (
    NewsProviders,
    ReqNewsProviders,
    ReqScannerParameters,
    Request,
    ScannerParameters,
    UnsupportedRequest,
)
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Handlers

#: Nothing can be scanned here: what clients read of it is empty.
_NO_SCANS: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ScanParameterResponse><InstrumentList/><LocationTree/>'
    "<ScanTypeList/><FilterList/></ScanParameterResponse>\n"
)
#: Answers that say that there is nothing.
NOTHING_THERE: Final[Handlers] = {
    ReqNewsProviders: lambda client, _: client.send(NewsProviders()),
    ReqScannerParameters: lambda client, _: client.send(ScannerParameters(_NO_SCANS)),
}
#: IB's codes of requests that fail; 321 otherwise, which ib_async takes for a warning and waits on.
_CODES: Final = {
    "reqFundamentalData": 430,
    "reqScannerSubscription": 162,
    "reqSmartComponents": 354,
    "calculateImpliedVolatility": 10091,
    "calculateOptionPrice": 10091,
    "reqNewsArticle": 10172,
    "reqHistogramData": 10188,
    "reqHistoricalNews": 10276,
    "reqWshMetaData": 10279,
    "reqWshEventData": 10283,
}


def not_here(connection: Connection, message: Request) -> None:
    """Never silence: clients wait for an answer under their request's id."""
    if isinstance(message, UnsupportedRequest):
        name, request_id = message.name, message.req_id
    else:
        name, request_id = type(message).__name__, getattr(message, "req_id", -1)
    if not name.lower().startswith("cancel"):
        code = _CODES.get(name, 321)
        text = f"Error validating request.-'b0' : cause - {name} is not available on this gateway"
        connection.error(request_id, code, text)
