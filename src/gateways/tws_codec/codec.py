"""The four functions that translate between messages and payloads, at a negotiated server version.

Total: any bytes give a message or a WireError. A payload is a frame without its length.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from src.gateways.tws_codec import (  # noqa: F401  (each registers its messages)
    account,
    contracts,
    executions,
    history,
    market_data,
    orders,
    tick_by_tick,
)
from src.gateways.tws_codec.errors import WireError
from src.gateways.tws_codec.fields import INT, BadValueError
from src.gateways.tws_codec.registry import REPLIES, REQUESTS, Direction, Reply, Request
from src.gateways.tws_codec.repeating import compile_reader
from src.gateways.tws_codec.session import UNSUPPORTED, UnsupportedRequest

#: Far more than any request has.
MAX_REQUEST_FIELDS: Final = 10_000
#: A month of one-minute bars is 70,000 fields.
MAX_REPLY_FIELDS: Final = 1_000_000

_PLACE_ORDER: Final = b"3\0"
_REQUESTS: Final = Direction("request", REQUESTS, MAX_REQUEST_FIELDS)
_REPLIES: Final = Direction("reply", REPLIES, MAX_REPLY_FIELDS)


def decode_request(payload: bytes, server_version: int) -> Request:
    """What a client asks for. A request that is not known here comes as UnsupportedRequest. Raises WireError."""
    if payload[:2] == _PLACE_ORDER:
        placed: Request = _orders(server_version)(payload)
        return placed
    return _decode_request(payload, server_version)


@cache
def _orders(server_version: int) -> Callable[[bytes], Any]:
    """What reads placeOrder."""
    return compile_reader(
        _REQUESTS.plan(orders.PlaceOrder, server_version), lambda payload: _decode_request(payload, server_version)
    )


def _decode_request(payload: bytes, server_version: int) -> Request:
    texts = _REQUESTS.split(payload)
    request: Request | None = _REQUESTS.decode(texts, server_version)
    return _unsupported(_REQUESTS.message_id(texts), texts) if request is None else request


def encode_request(request: Request, server_version: int) -> bytes:
    """A client's payload. Raises WireError for a value that its field cannot hold."""
    if isinstance(request, UnsupportedRequest):
        return "\0".join((str(request.message_id), *request.fields, "")).encode(errors="replace")
    known = _REQUESTS.encoders.get(server_version, {})
    encoder = known.get(type(request)) or _REQUESTS.encoder(type(request), server_version)
    return encoder(request)


def decode_reply(payload: bytes, server_version: int) -> Reply:
    """What a server tells. Raises WireError."""
    texts = _REPLIES.split(payload)
    reply: Reply | None = _REPLIES.decode(texts, server_version)
    if reply is None:
        raise WireError("reply", "message id", f"{'|'.join(texts[:3])!r:.60} is not known here")
    return reply


def encode_reply(reply: Reply, server_version: int) -> bytes:
    """A server's payload. Raises WireError for a value that its field cannot hold."""
    try:
        encoder = _REPLIES.encoders[server_version][type(reply)]
    except KeyError:
        encoder = _REPLIES.encoder(type(reply), server_version)
    return encoder(reply)


def _unsupported(message_id: int, texts: list[str]) -> UnsupportedRequest:
    name, position = UNSUPPORTED.get(message_id, (f"request {message_id}", 0))
    try:
        req_id = INT.read[texts[position]] if 0 < position < len(texts) else -1
    except BadValueError:
        req_id = -1
    return UnsupportedRequest(message_id, name, req_id, tuple(texts[1:]))
