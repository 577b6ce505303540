"""The names that a rule uses: IB's own for requests, answers and their fields, and a few for groups and moments."""

import re
from collections.abc import Iterator
from dataclasses import is_dataclass, replace
from decimal import Decimal
from typing import Any, Final, get_args, get_type_hints

from src.gateways.tws_codec import (
    REPLIES,
    REQUESTS,
    PlaceOrder,
    Reply,
    Request,
    ServerHello,
    UnsupportedRequest,
    WireOrder,
)
from src.gateways.tws_codec.session import UNSUPPORTED

#: A socket was accepted; nothing has been said yet.
CONNECT: Final = "connect"
#: The first words of the server: its version and the time.
GREETING: Final = "serverHello"
#: The three things that placeOrder can mean.
NEW_ORDER, MODIFY_ORDER, WHAT_IF_ORDER = "newOrder", "modifyOrder", "whatIfOrder"
_PLACED: Final = (NEW_ORDER, MODIFY_ORDER, WHAT_IF_ORDER)
_REPLY_NAMES: Final = {
    "PositionData": "position",
    "AcctValue": "updateAccountValue",
    "PortfolioValue": "updatePortfolio",
    "AcctUpdateTime": "updateAccountTime",
    "AcctDownloadEnd": "accountDownloadEnd",
    "AccountSummaryMessage": "accountSummary",
    "PnL": "pnl",
    "PnLSingle": "pnlSingle",
    "ContractData": "contractDetails",
    "ContractDataEnd": "contractDetailsEnd",
    "ExecutionData": "execDetails",
    "ExecutionDataEnd": "execDetailsEnd",
    "CommissionReportMessage": "commissionReport",
    "RealTimeBar": "realtimeBar",
    "MarketDataTypeMessage": "marketDataType",
    "MarketDepth": "updateMktDepth",
    "MarketDepthL2": "updateMktDepthL2",
    "OrderStatusMessage": "orderStatus",
    "ErrorMessage": "error",
}
_REQUEST_NAMES: Final = {"ReqHeadTimestamp": "reqHeadTimeStamp", "CancelHeadTimestamp": "cancelHeadTimeStamp"}
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
#: Fields of a message that are messages' parts: a rule names what is in them directly.
_PARTS: Final = ("order", "contract", "state")


def _api_name(cls: type, special: dict[str, str]) -> str:
    return special.get(cls.__name__, cls.__name__[:1].lower() + cls.__name__[1:])


REQUEST_CLASSES: Final[dict[str, type]] = {
    _api_name(shape.cls, _REQUEST_NAMES): shape.cls for shapes in REQUESTS.values() for shape in shapes
}
ANSWER_CLASSES: Final[dict[str, type]] = {
    _api_name(shape.cls, _REPLY_NAMES): shape.cls for shapes in REPLIES.values() for shape in shapes
}
_CLASSES: Final[dict[str, type]] = {**REQUEST_CLASSES, **ANSWER_CLASSES, GREETING: ServerHello}
_NAMES: Final = {cls: name for name, cls in (REQUEST_CLASSES | ANSWER_CLASSES).items()}
#: One word for several answers, or requests.
GROUPS: Final[dict[str, frozenset[str]]] = {
    "ticks": frozenset(
        name for name in ANSWER_CLASSES if name.startswith("tick") and name not in ("tickReqParams", "tickSnapshotEnd")
    ),
    "orderRequests": frozenset({"placeOrder", "cancelOrder", "reqGlobalCancel"}),
    "requests": frozenset(REQUEST_CLASSES) | frozenset(name for name, _ in UNSUPPORTED.values()),
    "answers": frozenset(ANSWER_CLASSES),
}
REQUEST_WORDS: Final = GROUPS["requests"] | frozenset(_PLACED)


def request_names(message: Request, *, is_known_order: bool = False) -> tuple[str, ...]:
    """All names that a rule may use for a request; `is_known_order`: its client has an order of this id already."""
    if isinstance(message, UnsupportedRequest):
        return (message.name,)
    name = _NAMES[type(message)]
    if not isinstance(message, PlaceOrder):
        return (name,)
    return (name, WHAT_IF_ORDER if message.order.what_if else MODIFY_ORDER if is_known_order else NEW_ORDER)


def answer_name(message: Reply) -> str:
    """The name of an answer: its callback's."""
    return _NAMES[type(message)]


def class_of(name: str) -> type | None:
    """The message class behind a name; None for what is not decoded, and for moments."""
    return PlaceOrder if name in _PLACED else _CLASSES.get(name)


def field_names(cls: type) -> dict[str, tuple[str, type]]:
    """What a rule may name in a message: IB's name -> where it stands ("order.lmt_price"), and its type."""
    return {_camel(path.rpartition(".")[2]): (path, kind) for path, kind in reversed(list(_fields(cls)))}


def _fields(cls: type) -> Iterator[tuple[str, type]]:
    parts = []
    for name, hint in get_type_hints(cls).items():
        kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
        if is_dataclass(kinds[0]) or kinds[0] is WireOrder:
            parts += [(name, kinds[0])] if name in _PARTS else []
        elif kinds[0] in (int, str, bool, float, Decimal):
            yield name, kinds[0]
    for name, part in parts:
        if isinstance(part, type):
            for inner, kind in _fields(part):
                yield f"{name}.{inner}", kind


def value_at(message: object, path: str) -> Any:  # noqa: ANN401
    """The value of a message's field."""
    for name in path.split("."):
        message = getattr(message, name)
    return message


def with_value(message: Any, path: str, value: object) -> Any:  # noqa: ANN401
    """A copy of a message with another value in a field."""
    part, _, name = path.rpartition(".")
    if not part:
        return replace(message, **{name: value})
    old = getattr(message, part)
    new = WireOrder(**old._asdict() | {name: value}) if isinstance(old, WireOrder) else replace(old, **{name: value})
    return replace(message, **{part: new})


def _camel(name: str) -> str:
    head, *rest = name.rstrip("_").split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)
