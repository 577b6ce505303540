"""Every message at every version: what is written is read as it was; the field counts are those that clients expect."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.gateways.tws_codec import (
    REPLIES,
    REQUESTS,
    CancelOrder,
    CommissionReportMessage,
    CompletedOrder,
    CompletedOrdersEnd,
    ContractData,
    ErrorMessage,
    ExecutionData,
    HistoricalBar,
    HistoricalData,
    OpenOrder,
    OpenOrderEnd,
    OrderState,
    OrderStatusMessage,
    PlaceOrder,
    PortfolioValue,
    PositionData,
    PositionEnd,
    Reply,
    Request,
    TagValue,
    TickPrice,
    TickSize,
    WireContract,
    WireError,
    WireOrder,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
)
from src.gateways.tws_codec.plan import Plan
from src.gateways.tws_codec.registry import Shape, interpret, read
from src.gateways.tws_codec.repeating import compile_reader
from tests.gateways.tws_codec_examples import ALL, ALL_REPLIES, VERSIONS, both_ways, messages, name_of

STOCK = WireContract(con_id=265598, symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
ORDER = WireOrder(action="BUY", total_quantity=Decimal(100), order_type="LMT", lmt_price=Decimal("101.5"), tif="DAY")
#: A real server writes this, which is not empty, so that eight fields follow it (four in completedOrder).
REAL = WireOrder(action="BUY", order_type="MKT", delta_neutral_order_type="None")
BAR = HistoricalBar("20261120", 1.0, 2.0, 0.5, 1.5, 100.0, 1.25, 7)


@pytest.mark.parametrize("shape", ALL, ids=name_of)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_written_is_read_as_it_was_at_every_version(shape: Shape, data: st.DataObject) -> None:
    drawn = data.draw(messages(shape))
    encode, decode = both_ways(shape)
    for version in VERSIONS:
        message = drawn.at(version)
        payload = encode(message, version)
        assert payload.endswith(b"\0")
        assert decode(payload, version) == message


@pytest.mark.parametrize("shape", [shape for shape in ALL_REPLIES if shape.hot], ids=name_of)
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), version=st.sampled_from(VERSIONS))
def test_compiled_encoders_write_what_the_interpreter_writes(shape: Shape, data: st.DataObject, version: int) -> None:
    message = data.draw(messages(shape)).at(version)
    plan = Plan(shape.cls, shape.layout, version)
    assert encode_reply(message, version) == interpret(shape.message_id, plan, message)


def test_an_order_told_again_is_written_anew_where_it_differs() -> None:
    """What was written of the last order is kept: it must not be told of another, or hide a new status."""
    version, other = 178, ORDER._replace(lmt_price=Decimal(7), tif="GTC")
    plan = Plan(OpenOrder, next(shape for shape in ALL_REPLIES if shape.cls is OpenOrder).layout, version)
    for number, order in enumerate([ORDER, ORDER, other, ORDER._replace(), ORDER]):
        for status in ("PreSubmitted", "Submitted", "Submitted"):
            message = OpenOrder(number, STOCK, order, OrderState(status), number, 1000 + number)
            assert encode_reply(message, version) == interpret(5, plan, message)


def _outcome(decode: Callable[[], object]) -> object:
    try:
        return decode()
    except WireError as error:
        return error.message, error.field, error.found, error.request_id


PLACED = next(shape for shape in ALL if shape.cls is PlaceOrder)


def _changed(data: st.DataObject, texts: list[str]) -> list[str]:
    """A frame's fields with one damaged, or one too many or too few; or none."""
    place = data.draw(st.integers(1, len(texts) - 1))
    changed = data.draw(st.sampled_from([(), (texts[place],), ("x",), ("1",), ("BAG",), ("PEG MID",)]))
    return [*texts[:place], *changed, *texts[place + data.draw(st.integers(0, 2)) :]]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), version=st.sampled_from(VERSIONS))
def test_an_order_is_read_as_the_interpreter_reads_it(data: st.DataObject, version: int) -> None:
    """Whole frames and damaged ones, one after the other: what is remembered of the last must not show in the next."""
    plan = Plan(PlaceOrder, PLACED.layout, version)
    reader = compile_reader(plan, lambda payload: read(plan, payload.decode().split("\0")[:-1]))
    texts = encode_request(data.draw(messages(PLACED)).at(version), version).decode().split("\0")[:-1]
    for _ in range(4):
        found = _changed(data, texts)
        payload = "\0".join([*found, ""]).encode()
        assert _outcome(lambda: reader(payload)) == _outcome(lambda: read(plan, found))  # noqa: B023  # called at once


def test_a_plain_order_is_read_without_the_interpreter() -> None:
    """At every version: it is what pipelined orders are made of."""

    def interpreter(payload: bytes) -> object:
        raise AssertionError(payload)

    for version in VERSIONS:
        reader = compile_reader(Plan(PlaceOrder, PLACED.layout, version), interpreter)
        for number in range(2):
            asked = PlaceOrder(number, STOCK, ORDER._replace(lmt_price=Decimal(number) + Decimal("0.25")))
            assert reader(encode_request(asked, version)) == asked


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), version=st.sampled_from(VERSIONS))
def test_orders_that_differ_little_are_each_written_whole(data: st.DataObject, version: int) -> None:
    """One after the other, each with another value somewhere: what is kept of one must not be told of the next."""
    plan = Plan(OpenOrder, next(shape for shape in ALL_REPLIES if shape.cls is OpenOrder).layout, version)
    shape = next(shape for shape in ALL_REPLIES if shape.cls is OpenOrder)
    one, other = (data.draw(messages(shape)).at(version) for _ in range(2))
    for name in data.draw(st.lists(st.sampled_from(WireOrder._fields), max_size=5)):
        one = replace(one, order=one.order._replace(**{name: getattr(other.order, name)}))
        assert _outcome(lambda: encode_reply(one, version)) == _outcome(lambda: interpret(5, plan, one))  # noqa: B023


def test_all_of_both_tiers_is_there() -> None:
    requests = [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        14,
        15,
        16,
        17,
        20,
        24,
        25,
        49,
        50,
        51,
        58,
        59,
        61,
        62,
        63,
        64,
        71,
        74,
    ]
    requests += [75, 76, 77, 78, 80, 81, 82, 85, 87, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 104]
    replies = [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        15,
        17,
        19,
        45,
        46,
        49,
        50,
        52,
        53,
        54,
        55,
        57,
        58,
        59,
        61,
        62,
        63,
    ]
    replies += [64, 71, 72, 73, 74, 75, 76, 78, 79, 80, 81, 85, 88, 90, 93, 94, 95, 96, 97, 98, 99, 101, 102, 107]
    assert sorted(REQUESTS) == requests
    assert sorted(REPLIES) == replies
    assert len(REPLIES[99]) == 3


OPEN = OpenOrder(1, STOCK, REAL, OrderState("Submitted"), 1, 7)
DONE = CompletedOrder(STOCK, REAL, OrderState("Filled"))
DETAILS = ContractData(1, STOCK, sec_id_list=(TagValue("ISIN", "US0378331005"),))
ONE = Decimal(1)
PORTFOLIO = PortfolioValue(STOCK, ONE, ONE, ONE, ONE, ONE, ONE, "DU1")
FILL = ExecutionData(-1, 1, STOCK, "0001.01", "20261120  20:05:13", "DU1", "NYSE", "BOT", Decimal(1), Decimal(2))


@pytest.mark.parametrize(
    ("reply", "counts"),
    [
        (OPEN, {157: 128, 164: 131, 170: 136, 173: 136, 176: 136, 177: 135, 178: 135}),
        (DONE, {157: 96, 169: 96, 170: 101, 176: 101, 177: 100, 178: 100}),
        (DETAILS, {157: 41, 162: 41, 163: 42, 164: 42, 176: 42, 178: 42}),
        (FILL, {157: 31, 174: 31, 177: 31, 178: 32}),
        (OrderStatusMessage(1, "Filled", Decimal(1), Decimal(0)), dict.fromkeys(VERSIONS, 12)),
        (TickPrice(1, 4, 10.0, 100.0), dict.fromkeys(VERSIONS, 7)),
        (TickSize(1, 5, 100.0), dict.fromkeys(VERSIONS, 5)),
        (ErrorMessage(-1, 2104, "OK"), {157: 5, 165: 5, 166: 6, 178: 6}),
        (PositionData("DU1", STOCK, Decimal(1), Decimal(2)), dict.fromkeys(VERSIONS, 16)),
        (PORTFOLIO, dict.fromkeys(VERSIONS, 20)),
        (CommissionReportMessage("1", Decimal(1), "USD"), dict.fromkeys(VERSIONS, 8)),
        (HistoricalData(1, "", "", (BAR, BAR)), dict.fromkeys(VERSIONS, 5 + 2 * 8)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Reply) else "counts",
)
def test_replies_have_exactly_the_fields_that_clients_count(reply: Reply, counts: dict[int, int]) -> None:
    assert {version: encode_reply(reply, version).count(b"\0") for version in counts} == counts


def test_ends_of_lists_have_a_version_field_or_not() -> None:
    assert [encode_reply(end, 176) for end in (OpenOrderEnd(), PositionEnd(), CompletedOrdersEnd())] == [
        b"53\x001\0",
        b"62\x001\0",
        b"102\0",
    ]


@pytest.mark.parametrize(
    ("version", "frame"),
    [(157, b"4|1|7|"), (166, b"4|1|7|"), (169, b"4|1|7|20261120 10:00|"), (178, b"4|1|7|20261120 10:00|")],
)
def test_a_cancel_carries_its_time_from_169(version: int, frame: bytes) -> None:
    assert encode_request(CancelOrder(7, "20261120 10:00"), version) == frame.replace(b"|", b"\0")


def test_whole_sizes_have_no_decimal_point_and_prices_have_one() -> None:
    assert encode_reply(TickPrice(1, 4, 10.0, 100.0), 176) == b"1\x006\x001\x004\x0010.0\x00100\x000\0"
    assert encode_reply(TickSize(1, 5, 0.5), 176) == b"2\x006\x001\x005\x000.5\0"
    status = OrderStatusMessage(1, "Filled", Decimal("100.0"), Decimal(0), Decimal("10.50"))
    assert encode_reply(status, 176) == b"3\x001\0Filled\x00100\x000\x0010.5\x000\x000\x000.0\x000\0\x000.0\0"


@pytest.mark.parametrize("version", [157, 160, 162])
def test_clients_that_know_whole_sizes_only_get_whole_sizes(version: int) -> None:
    assert encode_reply(TickSize(1, 5, 100.9), version) == b"2\x006\x001\x005\x00100\0"
    bars = HistoricalData(1, "", "", (BAR._replace(volume=99.5),))
    assert b"\x0099\x00" in encode_reply(bars, version)


def test_no_realized_profit_is_the_largest_number() -> None:
    assert b"\x001.7976931348623157E308\0" in encode_reply(CommissionReportMessage("1", Decimal(1), "USD"), 176)


@pytest.mark.parametrize(
    "spelling", ["", "1.7976931348623157E308", "1.7976931348623157e+308", "Infinity", "2147483647"]
)
def test_every_spelling_of_unset_is_none(spelling: str) -> None:
    payload = encode_request(PlaceOrder(1, STOCK, ORDER), 176).replace(b"\x00101.5\0", f"\0{spelling}\0".encode())
    request = decode_request(payload, 176)
    assert isinstance(request, PlaceOrder)
    assert request.order.lmt_price is None


def test_error_text_is_printable_ascii_and_comes_back() -> None:
    text = "Köln \\ 東京 \n 😀"
    payload = encode_reply(ErrorMessage(1, 201, text), 176)
    assert payload.isascii()
    assert b"K\\u00f6ln \\\\ \\u6771\\u4eac \\u000a \\U0001f600" in payload
    decoded = decode_reply(payload, 176)
    assert isinstance(decoded, ErrorMessage)
    assert decoded.error_string == text


def test_an_order_reference_is_sent_back_as_it_came() -> None:
    order = WireOrder(order_ref="é\\u00e9")
    assert "é\\u00e9".encode() in encode_reply(OpenOrder(1, STOCK, order), 176)


@pytest.mark.parametrize(
    ("message", "field", "found"),
    [
        (TickPrice(1, 4, float("nan")), "price", "nan is not a finite number"),
        (TickPrice(1, 4, float("inf")), "price", "inf is not a finite number"),
        (TickPrice(1, 4, 1.0, float("nan")), "size", "nan is not a finite number"),
        (OrderStatusMessage(1, "Fil\0led", Decimal(1), Decimal(0)), "status", "is not a text without NUL"),
        (OrderStatusMessage(1, "Filled", Decimal("NaN"), Decimal(0)), "filled", "is not a finite number"),
        (OrderStatusMessage(1, "Filled", Decimal("1E+999999"), Decimal(0)), "filled", "of reasonable size"),
        (HistoricalData(1, "", "", (BAR._replace(date="2026\x001120"),)), "date", "is not a text without NUL"),
        (HistoricalData(1, "", "", (BAR._replace(wap=float("nan")),)), "wap", "nan is not a finite number"),
        (HistoricalData(1, "", "", (BAR._replace(volume=float("inf")),)), "volume", "inf is not a finite number"),
        (OpenOrder(1, STOCK, WireOrder(tif="\ud800")), "order.tif", "is not a text of Unicode characters"),
    ],
)
def test_what_a_field_cannot_hold_is_not_written(message: Reply, field: str, found: str) -> None:
    with pytest.raises(WireError, match=field) as caught:
        encode_reply(message, 176)
    assert (caught.value.message, caught.value.field) == (type(message).__name__, field)
    assert found in caught.value.found


def test_each_direction_refuses_the_other() -> None:
    with pytest.raises(WireError, match="TickSize is not one"):
        encode_request(TickSize(1, 5, 1.0), 176)  # type: ignore[arg-type]
    with pytest.raises(WireError, match="CancelOrder is not one"):
        encode_reply(CancelOrder(1), 176)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [0, 156, 158, 179, 201])
def test_other_versions_are_refused(version: int) -> None:
    request: Request = CancelOrder(1)
    with pytest.raises(WireError, match="server version"):
        encode_request(request, version)
    with pytest.raises(WireError, match="server version"):
        decode_request(b"4\x001\x001\0", version)
