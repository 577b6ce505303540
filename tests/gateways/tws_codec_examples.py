"""Messages of every kind, drawn from the codec's own layouts: one drawing gives a message at each server version."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from operator import attrgetter
from typing import Any

from hypothesis import strategies as st

from src.gateways.tws_codec import (
    REPLIES,
    REQUESTS,
    TickByTickAllLast,
    WireError,
    decode_reply,
    decode_request,
    encode_reply,
    encode_request,
    fields,
)
from src.gateways.tws_codec.fields import Kind
from src.gateways.tws_codec.layout import FRACTIONAL_SIZES, Const, Field, Layout, ListOf, Maybe, Repeat, When
from src.gateways.tws_codec.plan import Plan
from src.gateways.tws_codec.registry import Shape

#: The versions at which some field comes or goes, and their neighbours.
VERSIONS = (157, 159, 160, 162, 163, 164, 165, 166, 169, 170, 173, 174, 176, 177, 178)

ALL_REQUESTS = [shape for shapes in REQUESTS.values() for shape in shapes]
ALL_REPLIES = [shape for shapes in REPLIES.values() for shape in shapes]
ALL = ALL_REQUESTS + ALL_REPLIES

_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
_whole = st.integers(-(2**31) + 2, 2**31 - 2)
_float = st.floats(-1e14, 1e14, allow_nan=False)
_decimal = st.integers(-(10**18), 10**18).map(lambda units: Decimal(units).scaleb(-6))

KINDS: Mapping[Kind, st.SearchStrategy[Any]] = {
    fields.TEXT: _text,
    fields.ESCAPED: _text,
    fields.INT: _whole,
    fields.SERIAL: st.integers(-(2**62), 2**62),
    fields.OPT_INT: st.none() | _whole,
    fields.UNSET_INT: st.none() | _whole,
    fields.UNSET_LONG: st.none() | st.integers(0, 2**62),
    fields.FLAG: st.booleans(),
    fields.OPT_FLAG: st.none() | st.booleans(),
    fields.PRICE: _float,
    fields.AVERAGE: _float,
    fields.NUMBER: _float,
    fields.SIZE: _float | st.integers(0, 10**9).map(float),
    fields.AMOUNT: _decimal,
    fields.OPT_AMOUNT: st.none() | _decimal,
    fields.UNSET_AMOUNT: st.none() | _decimal,
    fields.QUANTITY: _decimal | st.integers(-(10**9), 10**9).map(Decimal),
    fields.WHOLE_QUANTITY: _decimal,
    fields.OPT_QUANTITY: st.none() | _decimal,
    fields.OFFSET: st.none() | _decimal | st.just(Decimal("Infinity")),
}
_order_types = ["MKT", "LMT", "PEG BENCH", "PEGBENCH", "PEG BEST", "PEGBEST", "PEG MID", "PEGMID"]
#: What decides whether other fields are there.
DECIDING: Mapping[str, st.SearchStrategy[Any]] = {
    "contract.sec_type": st.sampled_from(["STK", "BAG"]),
    "contract.exchange": st.sampled_from(["SMART", "IBKRATS"]),
    "order.order_type": st.sampled_from(_order_types),
}
Values = dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """The values of all fields of one object, whatever the version."""

    cls: type
    layout: Layout = field(repr=False)
    values: Values

    def at(self, version: int) -> Any:  # noqa: ANN401
        """The object as a message at `version` can carry it: what is not there has its default."""
        plan = Plan(self.cls, self.layout, version)
        parts = plan.blank()
        _build(self.layout, self.values, version, parts)
        return plan.build(parts)


def _build(layout: Layout, values: Values, version: int, parts: dict[str, Values]) -> None:
    for node in layout:
        if isinstance(node, Const) or not node.span.since <= version <= node.span.until:
            continue
        part, _, name = node.path.rpartition(".")
        value = values[node.path]
        if isinstance(node, When):
            if node.test(value):
                _build(node.nodes, values, version, parts)
        elif isinstance(node, Maybe):
            parts[part][name] = None if value is None else value.at(version)
        elif isinstance(node, Repeat):
            parts[part][name] = tuple(item.at(version) for item in value)
        elif isinstance(node, Field) and node.kind.whole and version < FRACTIONAL_SIZES:
            parts[part][name] = type(value)(int(value))
        else:
            parts[part][name] = value


def _draw(draw: st.DrawFn, layout: Layout, values: Values) -> None:
    for node in layout:
        if isinstance(node, Field):
            if node.path not in values:
                values[node.path] = draw(DECIDING[node.path] if node.path in DECIDING else KINDS[node.kind])
        elif isinstance(node, When):
            _draw(draw, node.nodes, values)
        elif isinstance(node, Maybe):
            values[node.path] = draw(st.none() | objects(node.item, node.nodes))
        elif isinstance(node, ListOf):
            values[node.path] = tuple(draw(st.lists(KINDS[node.kind], max_size=3)))
        elif isinstance(node, Repeat):
            numbers = draw(st.lists(st.sampled_from(sorted(node.items)), max_size=3))
            values[node.path] = [draw(objects(*node.items[number])) for number in numbers]


def objects(cls: type, layout: Layout) -> st.SearchStrategy[Drawn]:
    """An object of a class with its layout."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Drawn:
        values: Values = {}
        _draw(draw, layout, values)
        if cls is TickByTickAllLast:
            values["tick_type"] = draw(st.sampled_from([1, 2]))
        return Drawn(cls, layout, values)

    return drawn()


def messages(shape: Shape) -> st.SearchStrategy[Drawn]:
    """A message of one shape."""
    return objects(shape.cls, shape.layout)


def both_ways(shape: Shape) -> tuple[Callable[[Any, int], bytes], Callable[[bytes, int], Any]]:
    """How messages of this shape are written and read."""
    return (encode_request, decode_request) if shape in ALL_REQUESTS else (encode_reply, decode_reply)


def outcome(decode: Callable[[bytes, int], Any], payload: bytes, version: int) -> Any:  # noqa: ANN401
    """What decoding gives: a message, or its WireError as a value."""
    try:
        return decode(payload, version)
    except WireError as fault:
        return fault


def name_of(shape: Shape) -> str:
    """A shape's name in a test's id."""
    return shape.cls.__name__


def full(shape: Shape, **deciding: str) -> Drawn:
    """A message whose every field has a value of its own, so that none can stand in another's place unseen.

    `deciding` sets what other fields depend on, by the last name of their paths.
    """
    return _full(shape.cls, shape.layout, count(11), deciding)


def _full(cls: type, layout: Layout, numbers: "count[int]", deciding: Mapping[str, str]) -> Drawn:
    values: Values = {}
    _fill(layout, values, numbers, deciding)
    return Drawn(cls, layout, values)


def _fill(layout: Layout, values: Values, numbers: "count[int]", deciding: Mapping[str, str]) -> None:
    for node in layout:
        if isinstance(node, Field):
            if node.path not in values:
                name = node.path.rpartition(".")[2]
                values[node.path] = deciding.get(name) or _value(node.kind, next(numbers))
        elif isinstance(node, When):
            _fill(node.nodes, values, numbers, deciding)
        elif isinstance(node, Maybe):
            values[node.path] = _full(node.item, node.nodes, numbers, deciding)
        elif isinstance(node, ListOf):
            values[node.path] = tuple(_value(node.kind, next(numbers)) for _ in range(2))
        elif isinstance(node, Repeat):
            values[node.path] = [
                _full(cls, nodes, numbers, deciding) for cls, nodes in node.items.values() for _ in "ab"
            ]


def _value(kind: Kind, number: int) -> str | float | Decimal:
    if kind in {fields.TEXT, fields.ESCAPED}:
        return f"t{number}"
    if kind in {fields.FLAG, fields.OPT_FLAG}:
        return True
    if kind in {fields.SIZE, fields.NUMBER, fields.PRICE, fields.AVERAGE}:
        return number + (0.25 if kind in {fields.PRICE, fields.AVERAGE} else 0.0)
    if kind in {fields.AMOUNT, fields.OPT_AMOUNT, fields.UNSET_AMOUNT, fields.OFFSET}:
        return number + Decimal("0.25")
    return number if "integer" in kind.name or kind is fields.SERIAL else Decimal(number)


def carried(layout: Layout, message: Any, version: int) -> list[str]:  # noqa: ANN401
    """The paths of the single values that a message carries at a version."""
    paths: list[str] = []
    for node in layout:
        if isinstance(node, Const) or not node.span.since <= version <= node.span.until:
            continue
        if isinstance(node, When):
            paths += carried(node.nodes, message, version) if node.test(attrgetter(node.path)(message)) else []
        elif isinstance(node, Field):
            paths.append(node.path)
    return paths
