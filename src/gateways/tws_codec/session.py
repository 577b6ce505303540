"""Messages of the session itself: start, ids, time, errors; and requests that this codec does not know."""

from dataclasses import dataclass
from typing import Annotated, Final

from src.gateways.tws_codec.fields import ESCAPED, Escaped
from src.gateways.tws_codec.layout import Span
from src.gateways.tws_codec.registry import Reply, Request, reply, request


@request(71, version="2")
@dataclass(frozen=True, slots=True)
class StartApi(Request):
    """The first message of a client; nothing may be sent before it."""

    client_id: int
    optional_capabilities: str = ""


@request(8, version="1")
@dataclass(frozen=True, slots=True)
class ReqIds(Request):
    """Asks for NextValidId."""

    num_ids: int = 1


@request(49, version="1")
@dataclass(frozen=True, slots=True)
class ReqCurrentTime(Request):
    """Asks for CurrentTime: the only sign of life that clients have."""


@request(17, version="1")
@dataclass(frozen=True, slots=True)
class ReqManagedAccts(Request):
    """Asks for ManagedAccounts."""


@request(14, version="1")
@dataclass(frozen=True, slots=True)
class SetServerLogLevel(Request):
    """Sets the server's log level; no answer."""

    log_level: int


@request(104)
@dataclass(frozen=True, slots=True)
class ReqUserInfo(Request):
    """Asks for UserInfo."""

    req_id: int


@request(24, version="1")
@dataclass(frozen=True, slots=True)
class ReqScannerParameters(Request):
    """Asks for ScannerParameters. It has no id, so that an error would never reach who waits."""


@request(85)
@dataclass(frozen=True, slots=True)
class ReqNewsProviders(Request):
    """Asks for NewsProviders. It has no id, so that an error would never reach who waits."""


@dataclass(frozen=True, slots=True)
class NewsProvider:
    """Who sends news."""

    code: str
    name: str


@reply(19, version="1")
@dataclass(frozen=True, slots=True)
class ScannerParameters(Reply):
    """What can be scanned, as XML."""

    xml: str


@reply(85)
@dataclass(frozen=True, slots=True)
class NewsProviders(Reply):
    """Who sends news to this user."""

    providers: tuple[NewsProvider, ...] = ()


@reply(15, version="1")
@dataclass(frozen=True, slots=True)
class ManagedAccounts(Reply):
    """The accounts, joined by commas."""

    accounts_list: Escaped


@reply(9, version="1")
@dataclass(frozen=True, slots=True)
class NextValidId(Reply):
    """The first id that a client may use, for requests and orders alike."""

    order_id: int


@reply(49, version="1")
@dataclass(frozen=True, slots=True)
class CurrentTime(Reply):
    """The server's time, epoch seconds."""

    time: int


@reply(4, version="2")
@dataclass(frozen=True, slots=True)
class ErrorMessage(Reply):
    """An error, warning or notice; `req_id` is the request's or the order's, -1 for the connection."""

    req_id: int
    error_code: int
    error_string: Escaped
    advanced_order_reject_json: Annotated[str, ESCAPED, Span(since=166)] = ""


@reply(107)
@dataclass(frozen=True, slots=True)
class UserInfo(Reply):
    """The white branding id of a user; empty for IB's own."""

    req_id: int
    white_branding_id: str = ""


@dataclass(frozen=True, slots=True)
class UnsupportedRequest(Request):
    """A request that is not decoded: to be answered by an error under `req_id` (-1: it has none), never by silence."""

    message_id: int
    name: str
    req_id: int
    fields: tuple[str, ...]


#: Requests of IB's that are not decoded: name, and where the request id stands (0: there is none).
UNSUPPORTED: Final[dict[int, tuple[str, int]]] = {
    12: ("reqNewsBulletins", 0),
    13: ("cancelNewsBulletins", 0),
    18: ("requestFA", 0),
    19: ("replaceFA", 4),
    21: ("exerciseOptions", 2),
    22: ("reqScannerSubscription", 1),
    23: ("cancelScannerSubscription", 2),
    52: ("reqFundamentalData", 2),
    53: ("cancelFundamentalData", 2),
    54: ("calculateImpliedVolatility", 2),
    55: ("calculateOptionPrice", 2),
    56: ("cancelCalculateImpliedVolatility", 2),
    57: ("cancelCalculateOptionPrice", 2),
    65: ("verifyRequest", 0),
    66: ("verifyMessage", 0),
    67: ("queryDisplayGroups", 2),
    68: ("subscribeToGroupEvents", 2),
    69: ("updateDisplayGroup", 2),
    70: ("unsubscribeFromGroupEvents", 2),
    72: ("verifyAndAuthRequest", 0),
    73: ("verifyAndAuthMessage", 0),
    79: ("reqSoftDollarTiers", 1),
    83: ("reqSmartComponents", 1),
    84: ("reqNewsArticle", 1),
    86: ("reqHistoricalNews", 1),
    88: ("reqHistogramData", 1),
    89: ("cancelHistogramData", 1),
    100: ("reqWshMetaData", 1),
    101: ("cancelWshMetaData", 1),
    102: ("reqWshEventData", 1),
    103: ("cancelWshEventData", 1),
}
