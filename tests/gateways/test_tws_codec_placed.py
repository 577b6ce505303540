"""Proof against something not written here: every field of the orders that an unmodified client library places."""

import dataclasses
import logging
from collections.abc import Callable
from decimal import Decimal
from itertools import count

import pytest

from src.gateways.tws_codec import (
    ExecutionCondition,
    MarginCondition,
    PercentChangeCondition,
    PlaceOrder,
    PriceCondition,
    TimeCondition,
    VolumeCondition,
    decode_request,
)
from tests.gateways.tws_codec_client import (
    NAME,
    Theirs,
    event_loop,
    ib_contract,
    library,
    plain,
    same,
    sent_by,
    versions,
)
from tests.gateways.tws_codec_examples import ALL_REQUESTS, carried

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
VERSIONS = versions()
PLACE_ORDER = next(shape for shape in ALL_REQUESTS if shape.cls is PlaceOrder)


@pytest.fixture(autouse=True)
def _no_complaints(caplog: pytest.LogCaptureFixture) -> Theirs:
    """The library logs what it cannot read, and goes on."""
    with event_loop():
        library()
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def _full_order(**given: Theirs) -> Theirs:
    """An order of the library whose every field has a value of its own."""
    order, numbers = library().Order(), count(11)
    for field in dataclasses.fields(order):
        number, default = next(numbers), field.default
        if isinstance(default, bool):
            setattr(order, field.name, True)
        elif isinstance(default, str):
            setattr(order, field.name, f"t{number}")
        elif isinstance(default, int):
            setattr(order, field.name, number)
        elif isinstance(default, (float, Decimal)):
            setattr(order, field.name, number + 0.25)
    for name, value in given.items():
        setattr(order, name, value)
    return order


def _differences(order: Theirs, placed: PlaceOrder, version: int) -> dict[str, tuple[Theirs, Theirs]]:
    """The single values on which the library's order and ours disagree, of those that are on the wire."""
    theirs, ours = plain(order), plain(placed.order)
    theirs["softdollartiername"], theirs["softdollartierval"] = order.softDollarTier.name, order.softDollarTier.val
    theirs["ordermiscoptions"] = "".join(f"{option.tag}={option.value};" for option in order.orderMiscOptions)
    theirs["sharesallocation"] = ""
    paths = [path for path in carried(PLACE_ORDER.layout, placed, version) if path.startswith("order.")]
    assert len(paths) > 90
    return {path: (theirs[same(path)], ours[same(path)]) for path in paths if theirs[same(path)] != ours[same(path)]}


VARIANTS: dict[str, Callable[[Theirs], tuple[dict[str, Theirs], dict[str, Theirs]]]] = {
    "limit": lambda _: ({"orderType": "LMT"}, {}),
    "volatility": lambda _: ({"orderType": "VOL"}, {}),
    "plain": lambda _: ({"deltaNeutralOrderType": "", "hedgeType": "", "algoStrategy": ""}, {}),
    "no scale": lambda lib: ({"scalePriceIncrement": lib.Order().scalePriceIncrement}, {}),
    "peg bench": lambda _: ({"orderType": "PEG BENCH"}, {}),
    "peg mid": lambda _: ({"orderType": "PEG MID"}, {}),
    "peg best": lambda _: ({"orderType": "PEG BEST"}, {}),
    "peg best up to mid": lambda _: ({"orderType": "PEG BEST", "competeAgainstBestOffset": float("inf")}, {}),
    "ats": lambda _: ({}, {"exchange": "IBKRATS"}),
    "tags": lambda lib: (
        {
            "algoStrategy": "Adaptive",
            "algoParams": [lib.TagValue("adaptivePriority", "Normal"), lib.TagValue("b", "2")],
            "orderMiscOptions": [lib.TagValue("k", "v")],
            "softDollarTier": lib.SoftDollarTier("tier", "val", "shown"),
        },
        {},
    ),
    "combo": lambda lib: (
        {
            "orderComboLegs": [lib.OrderComboLeg(1.25), lib.OrderComboLeg()],
            "smartComboRoutingParams": [lib.TagValue("NonGuaranteed", "1")],
        },
        {
            "secType": "BAG",
            "comboLegs": [lib.ComboLeg(1, 2, "BUY", "CBOE", 1, 2, "here", 3), lib.ComboLeg(4, 5, "SELL", "ISE")],
            "deltaNeutralContract": lib.DeltaNeutralContract(8, 0.5, 7.25),
        },
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_field_of_an_order_arrives_in_its_place(variant: str) -> None:
    for version in VERSIONS:
        with event_loop():
            on_order, on_contract = VARIANTS[variant](library())
            order, contract = _full_order(**on_order), ib_contract(secIdType="ISIN", secId="US0", **on_contract)
        if NAME == "ib_async" and not order.orderType.startswith("VOL"):
            order.volatility = library().Order().volatility  # sent for volatility orders only
        placed = decode_request(sent_by("placeOrder", 42, contract, order, version=version), version)
        assert isinstance(placed, PlaceOrder)
        assert placed.order_id == 42
        assert _differences(order, placed, version) == {}
        ours, theirs = plain(placed.contract), plain(contract)
        del theirs["includeexpired"], ours["includeexpired"]
        assert {name: ours[name] for name in ours if ours[name]} == {
            name: theirs[name] for name in ours if theirs[name]
        }
        assert plain(placed.order)["algoparams"] == plain(order.algoParams)
        assert plain(placed.order)["ordercombolegs"] == plain(order.orderComboLegs)
        assert plain(placed.order)["smartcomboroutingparams"] == plain(order.smartComboRoutingParams)


def test_all_conditions_arrive() -> None:
    with event_loop():
        lib = library()
        conditions = [
            lib.PriceCondition(1, "a", True, 99.5, 7, "SMART", 2),
            lib.TimeCondition(3, "o", False, "20261120 10:00:00"),
            lib.MarginCondition(4, "a", True, 30),
            lib.ExecutionCondition(5, "o", "STK", "SMART", "AAPL"),
            lib.VolumeCondition(6, "a", False, 1000, 7, "SMART"),
            lib.PercentChangeCondition(7, "a", True, 1.5, 7, "SMART"),
        ]
        order = lib.LimitOrder("BUY", 1, 10.0, conditions=conditions, conditionsIgnoreRth=True)
    for version in VERSIONS:
        placed = decode_request(sent_by("placeOrder", 1, ib_contract(), order, version=version), version)
        assert isinstance(placed, PlaceOrder)
        assert placed.order.conditions == (
            PriceCondition("a", True, Decimal("99.5"), 7, "SMART", 2),
            TimeCondition("o", False, "20261120 10:00:00"),
            MarginCondition("a", True, 30),
            ExecutionCondition("o", "STK", "SMART", "AAPL"),
            VolumeCondition("a", False, 1000, 7, "SMART"),
            PercentChangeCondition("a", True, Decimal("1.5"), 7, "SMART"),
        )
        assert placed.order.conditions_ignore_rth
        assert not placed.order.conditions_cancel_order


def test_the_usual_orders_arrive() -> None:
    with event_loop():
        lib = library()
        orders = [
            lib.MarketOrder("SELL", 100),
            lib.LimitOrder("BUY", 100.0, 101.25, tif="GTC", orderRef="é"),
            lib.StopOrder("SELL", 1, 99),
            lib.StopLimitOrder("SELL", 1, 98.5, 99, ocaGroup="oca", ocaType=1),
            lib.Order(action="SELL", totalQuantity=0.5, orderType="TRAIL", trailingPercent=1.5, whatIf=True),
        ]
    found = []
    for order in orders:
        placed = decode_request(sent_by("placeOrder", 1, ib_contract(), order, version=176), 176)
        assert isinstance(placed, PlaceOrder)
        found.append(placed.order)
    market, limit, stop, stop_limit, trail = found
    assert (market.action, market.order_type, market.total_quantity) == ("SELL", "MKT", Decimal(100))
    assert (market.lmt_price, market.aux_price, market.transmit) == (None, None, True)
    assert (limit.lmt_price, limit.tif, limit.order_ref, limit.total_quantity) == (
        Decimal("101.25"),
        "GTC",
        "é",
        Decimal(100),
    )
    assert (stop.order_type, stop.aux_price, stop.lmt_price) == ("STP", Decimal(99), None)
    assert (stop_limit.order_type, stop_limit.lmt_price, stop_limit.aux_price) == (
        "STP LMT",
        Decimal("98.5"),
        Decimal(99),
    )
    assert (stop_limit.oca_group, stop_limit.oca_type) == ("oca", 1)
    assert (trail.trailing_percent, trail.what_if, trail.total_quantity) == (Decimal("1.5"), True, Decimal("0.5"))


def test_a_bracket_arrives_with_its_parent_and_is_released_by_its_last() -> None:
    with event_loop():
        ib = library().IB()
        ib.client._apiReady, ib.client._reqIdSeq = True, 7
        bracket = ib.bracketOrder("BUY", 100, 10.0, 12.0, 9.0)
    placed = [
        decode_request(sent_by("placeOrder", order.orderId, ib_contract(), order, version=176), 176)
        for order in bracket
    ]
    found = [(p.order_id, p.order.parent_id, p.order.transmit) for p in placed if isinstance(p, PlaceOrder)]
    assert found == [(7, 0, False), (8, 7, False), (9, 7, True)]
