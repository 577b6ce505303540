# ruff: noqa: ANN401, N802
"""What is compiled of the library reads and writes as the library itself does."""

import importlib
from dataclasses import fields
from decimal import Decimal
from typing import Any

import pytest

from src.brokers.tws import convert, library
from src.brokers.tws.compiled import FieldParser, OrderWriter, read_moments_once, updated, values_of
from src.domain.market import Contract
from src.domain.orders import AccountId, Action, Order, OrderId, OrderType, TimeInForce

NAME = library.choose("auto")
MODULE: Any = importlib.import_module(NAME)
CLIENT: Any = importlib.import_module(f"{NAME}.client").Client
DECODER: Any = importlib.import_module(f"{NAME}.decoder").Decoder
UTIL: Any = importlib.import_module(f"{NAME}.util")

NVDA = Contract("NVDA", primary_exchange="NASDAQ", con_id=4815747)
ODD = Contract("50%s\N{LATIN SMALL LETTER E WITH ACUTE}", currency="EUR", con_id=1)
KINDS = [
    Order(NVDA, Action.BUY, Decimal(10), account=AccountId("DU1"), order_ref="a-1"),
    Order(NVDA, Action.SELL, Decimal(1), OrderType.LIMIT, Decimal("120.55"), tif=TimeInForce.GTC),
    Order(NVDA, Action.SELL, Decimal(7), OrderType.STOP, None, Decimal("99.99"), oca_group="g%d", parent_id=OrderId(3)),
    Order(NVDA, Action.BUY, Decimal(7), OrderType.STOP_LIMIT, Decimal("130.01"), Decimal(130), TimeInForce.IOC, True),
    Order(ODD, Action.BUY, Decimal(999_999_999_999), OrderType.IF_TOUCHED, None, Decimal("0.0001"), order_ref="50%(s"),
]


class Own(CLIENT):  # type: ignore[misc]  # untyped
    """The library's client, which keeps what it would send."""

    def __init__(self, version: int) -> None:
        self.version, self.written = version, ""

    def isConnected(self) -> bool:
        return True

    def serverVersion(self) -> int:
        return self.version

    def sendMsg(self, msg: str) -> None:
        self.written = msg


@pytest.mark.parametrize("version", [157, 158, 160, 162, 166, 169, 170, 176, 178])
@pytest.mark.parametrize("order", KINDS, ids=lambda order: order.order_type.value)
def test_an_order_is_written_as_the_library_writes_it(version: int, order: Order) -> None:
    own, writer = Own(version), OrderWriter(MODULE, CLIENT, version)
    for transmit, what_if in ((True, False), (False, False), (True, True)):
        made = convert.order_to(MODULE, order, transmit=transmit)
        made.whatIf = what_if
        own.placeOrder(7, convert.contract_to(MODULE, order.contract), made)
        assert writer.text(7, order, transmit=transmit, what_if=what_if) == own.written


def test_orders_of_one_contract_share_their_form_and_nothing_else() -> None:
    writer = OrderWriter(MODULE, CLIENT, 178)
    first = writer.text(1, KINDS[0], transmit=True, what_if=False)
    writer.text(2, KINDS[2], transmit=False, what_if=True)
    assert writer.text(1, KINDS[0], transmit=True, what_if=False) == first
    assert writer.text(3, KINDS[4], transmit=True, what_if=False).split("\0")[3] == ODD.symbol


def test_a_library_that_writes_orders_otherwise_is_noticed() -> None:
    class Other(CLIENT):  # type: ignore[misc]  # untyped
        def placeOrder(self, orderId: int, contract: Any, order: Any) -> None:  # noqa: N803
            self.send(3, orderId, contract, order.action)

    with pytest.raises(TypeError, match="does not write an order as it is expected to"):
        OrderWriter(MODULE, Other, 178).text(1, KINDS[0], transmit=True, what_if=False)


@pytest.mark.parametrize("kind", ["Order", "OrderState", "Contract", "Execution", "ContractDetails", "ComboLeg"])
@pytest.mark.parametrize("text", ["", "1", "0", "-7"])
def test_fields_are_read_as_the_library_reads_them(kind: str, text: str) -> None:
    ours, theirs = getattr(MODULE, kind)(), getattr(MODULE, kind)()
    for found in (ours, theirs):
        for field in fields(found):
            if type(field.default) in (int, float, bool):
                setattr(found, field.name, text)
    DECODER(None, 178).parse(theirs)
    parse = FieldParser()
    parse(ours)
    for field in fields(ours):
        own, their = getattr(ours, field.name), getattr(theirs, field.name)
        assert (type(own), repr(own)) == (type(their), repr(their)), field.name


def test_what_is_no_number_is_refused_as_by_the_library() -> None:
    for parse in (FieldParser(), DECODER(None, 178).parse):
        found = MODULE.Execution()
        found.shares = "many"
        with pytest.raises(ValueError, match="many"):
            parse(found)


@pytest.mark.parametrize("kind", ["Contract", "OrderStatus", "CommissionReport"])
def test_objects_are_copied_as_the_library_copies_them(kind: str) -> None:
    first, second = getattr(MODULE, kind)(), getattr(MODULE, kind)()
    for place, field in enumerate(fields(first)):
        setattr(first, field.name, place)
    copy = values_of(first)
    assert copy == UTIL.dataclassAsDict(first)
    assert updated(second, first, **{fields(first)[0].name: "last"}) is second
    assert values_of(second) == copy | {fields(first)[0].name: "last"}
    assert values_of(first) == copy


def executions(ib: Any, moments: list[str]) -> list[Any]:
    """What the decoder of `ib` makes of executions at these moments."""
    heard: list[Any] = []
    ib.wrapper.execDetails = lambda _, contract, execution: heard.append((contract, execution))
    ib.client.decoder.serverVersion = 176
    for number, moment in enumerate(moments):
        contract = ["265598", "NVDA", "STK", "", "0", "", "", "SMART", "USD", "NVDA", "NMS"]
        told = [
            "0000a.01",
            moment,
            "DU1",
            "NASDAQ",
            "BOT",
            "10",
            "120.5",
            "77",
            "1",
            "0",
            "10",
            "120.5",
            "s-1",
            "",
            "0",
        ]
        ib.client.decoder.interpret(["11", "-1", str(number), *contract, *told, "", "2"])
    return heard


def test_the_moments_of_executions_are_read_as_the_library_reads_them() -> None:
    moments = [
        "20251103  09:30:00",
        "20251103 09:30:00 US/Eastern",
        "20251103-14:30:00",
        "20251103 09:30:01 US/Eastern",
    ]
    ours, theirs = MODULE.IB(), MODULE.IB()
    read_moments_once(ours.client.decoder)
    found = executions(ours, moments * 2)
    assert found == executions(theirs, moments * 2)
    assert len({execution.time for _, execution in found}) > 1
