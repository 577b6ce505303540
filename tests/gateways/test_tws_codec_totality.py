"""Any bytes give a message or a WireError: nothing else, and nothing without bounds."""

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.domain.errors import BrokerError
from src.gateways.tws_codec import (
    CancelOrder,
    PlaceOrder,
    ReqMktData,
    UnsupportedRequest,
    WireContract,
    WireError,
    WireOrder,
    decode_reply,
    decode_request,
    encode_request,
)
from src.gateways.tws_codec.layout import FRACTIONAL_SIZES
from src.gateways.tws_codec.registry import Shape
from tests.gateways.tws_codec_examples import ALL, VERSIONS, both_ways, messages, name_of, outcome

VERSION = st.sampled_from(VERSIONS)
_known = st.tuples(st.integers(0, 110), st.binary(max_size=99)).map(lambda both: b"%d\0%b\0" % both)
BYTES = st.binary(max_size=200) | _known
NASTY = [
    "",
    "0",
    "-1",
    "1",
    "7",
    "99999999999",
    "1e308",
    "nan",
    "inf",
    "-",
    "1_0",
    "\u0661",
    " 1",
    "x" * 70_000,
    "\\u12",
    "�",
]
NASTY += [
    "1E999999",
    "0E999999",
    "-0",
    "1.5",
    "9" * 5_000,
    "a\\",
    "PEG BENCH",
    "BAG",
    "Infinity",
    "2147483647",
    "+5",
    "0x1",
]


@settings(max_examples=200, deadline=None)
@given(payload=BYTES, version=VERSION)
def test_random_bytes_give_a_message_or_the_error(payload: bytes, version: int) -> None:
    for decode in (decode_request, decode_reply):
        message = outcome(decode, payload, version)
        assert message is not None
        assert not isinstance(message, WireError) or (message.message and message.field and message.found)


def _mutate(data: st.DataObject, payload: bytes) -> bytes:
    """One to three faults in a good frame."""
    for _ in range(data.draw(st.integers(1, 3))):
        texts = payload.split(b"\0")
        place = data.draw(st.integers(0, len(texts) - 1))
        match data.draw(st.sampled_from(["replace", "insert", "delete", "cut", "flip"])):
            case "replace":
                texts[place] = data.draw(st.sampled_from(NASTY)).encode()
            case "insert":
                texts.insert(place, data.draw(st.sampled_from(NASTY)).encode())
            case "delete":
                del texts[place]
            case "cut":
                payload = payload[: data.draw(st.integers(0, len(payload)))]
                continue
            case "flip":
                changed = bytearray(payload)
                if changed:
                    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
                payload = bytes(changed)
                continue
        payload = b"\0".join(texts)
    return payload


@pytest.mark.parametrize("shape", ALL, ids=name_of)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), version=VERSION)
def test_faults_in_good_frames_give_a_message_or_the_error(shape: Shape, data: st.DataObject, version: int) -> None:
    encode, decode = both_ways(shape)
    payload = _mutate(data, encode(data.draw(messages(shape)).at(version), version))
    message = outcome(decode, payload, version)
    if isinstance(message, WireError):
        assert message.message
        assert message.found
    elif version >= FRACTIONAL_SIZES and not isinstance(message, UnsupportedRequest):
        # What was understood can be said again.
        assert decode(encode(message, version), version) == message


@pytest.mark.parametrize(
    ("frame", "field", "found", "request_id"),
    [
        ("4|1|x|", "order_id", "'x' is not an integer", None),
        ("4|1|7|", "manual_cancel_order_time", "missing: the frame ends after 3 fields", 7),
        ("4|1|7||9|", "end", "1 fields too many, from '9'", 7),
        ("4|1|7|", "manual_cancel_order_time", "missing", 7),
        ("25|1|99999999999999999999|", "req_id", "is not an integer", None),
        ("59|1|nan|", "market_data_type", "'nan' is not an integer", None),
        ("15|1|2|", "auto_bind", "'2' is not 0 or 1", None),
        ("x|1|", "message id", "'x' is not an integer", None),
    ],
)
def test_a_fault_names_message_field_and_finding(frame: str, field: str, found: str, request_id: int | None) -> None:
    with pytest.raises(WireError) as caught:
        decode_request(frame.replace("|", "\0").encode(), 176)
    assert field in caught.value.field
    assert found in caught.value.found
    assert caught.value.request_id == request_id
    assert isinstance(caught.value, BrokerError)
    assert caught.value.code == 320


@pytest.mark.parametrize("text", ["nan", "-Infinity1", "1e9999", "1_000", "\u0661", "abc", "1E+99", "-"])
def test_an_order_with_a_price_that_is_no_number_is_refused_under_its_id(text: str) -> None:
    order = WireOrder(action="BUY", order_type="LMT", lmt_price=Decimal("1.5"))
    payload = encode_request(PlaceOrder(42, WireContract(symbol="AAPL"), order), 176)
    broken = payload.replace(b"\0LMT\x001.5\0", f"\0LMT\0{text}\0".encode())
    with pytest.raises(WireError) as caught:
        decode_request(broken, 176)
    assert (caught.value.message, caught.value.field, caught.value.request_id) == ("PlaceOrder", "order.lmt_price", 42)


@pytest.mark.parametrize("count", ["999999999", "-1", "9223372036854775807"])
def test_a_count_beyond_the_frame_costs_nothing(count: str) -> None:
    payload = encode_request(ReqMktData(1, WireContract(symbol="X", sec_type="BAG", trading_class="HERE")), 176)
    broken = payload.replace(b"\0HERE\x000\0", f"\0HERE\0{count}\0".encode())
    with pytest.raises(WireError, match="impossible"):
        decode_request(broken, 176)


@pytest.mark.parametrize("payload", [b"", b"4", b"4\x001\x007", b"\xff", b"\0" * 10_001, b"9\0" * 10_001])
def test_frames_that_are_no_message(payload: bytes) -> None:
    with pytest.raises(WireError):
        decode_request(payload, 176)


def test_a_text_longer_than_the_limit_is_refused() -> None:
    good = encode_request(CancelOrder(7, "t" * 65_536), 176)
    assert decode_request(good, 176) == CancelOrder(7, "t" * 65_536)
    with pytest.raises(WireError, match="at most 65536"):
        decode_request(good.replace(b"ttt", b"tttt", 1), 176)


@pytest.mark.parametrize(
    ("frame", "name", "req_id"),
    [
        ("22|9|1|STK|", "reqScannerSubscription", 9),
        ("52|2|31|0|AAPL|", "reqFundamentalData", 31),
        ("19|1|1|xml|12|", "replaceFA", 12),
        ("18|1|", "requestFA", -1),
        ("83|x|a6|", "reqSmartComponents", -1),
        ("52|2|", "reqFundamentalData", -1),
        ("777|1|2|", "request 777", -1),
    ],
)
def test_a_request_that_is_not_known_says_under_which_id_to_answer(frame: str, name: str, req_id: int) -> None:
    payload = frame.replace("|", "\0").encode()
    request = decode_request(payload, 176)
    assert isinstance(request, UnsupportedRequest)
    assert (request.name, request.req_id) == (name, req_id)
    assert encode_request(request, 176) == payload


def test_a_reply_that_is_not_known_is_an_error() -> None:
    with pytest.raises(WireError, match="not known"):
        decode_reply(b"99\x001\x009\x00", 176)
