"""Every message by its id and by its class, and the four functions that translate.

From version 201 frames begin with a raw 4-byte id and some carry a binary (protobuf) form instead of text: that form
would stand beside `Direction.split` and `_joined`, which alone know that a message is text between NULs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from src.gateways.tws_codec.compiled import compile_encoder
from src.gateways.tws_codec.errors import WireError
from src.gateways.tws_codec.fields import INT, BadValueError
from src.gateways.tws_codec.layout import ALWAYS, VERSIONS, Const, Layout, Span, layout_of
from src.gateways.tws_codec.plan import FieldError, Plan, Reader

C = TypeVar("C", bound=type)
Encoder = Callable[[Any], bytes]


class Request:
    """What a client asks for."""

    __slots__ = ()


class Reply:
    """What a server tells."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """A message: its id, its class, its layout behind the id. Several share an id where a field tells them apart."""

    message_id: int
    cls: type
    layout: Layout = field(repr=False)
    chosen: Callable[[Sequence[str]], bool] | None = None
    hot: bool = False


REQUESTS: Final[dict[int, tuple[Shape, ...]]] = {}
REPLIES: Final[dict[int, tuple[Shape, ...]]] = {}


def request(
    message_id: int, *, version: str = "", span: Span = ALWAYS, layout: Layout | None = None
) -> Callable[[C], C]:
    """Declare a dataclass as the client's message `message_id`, with its message version if it has one."""
    return _declared(REQUESTS, message_id, version, span, layout)


def reply(
    message_id: int,
    *,
    version: str = "",
    span: Span = ALWAYS,
    layout: Layout | None = None,
    chosen: Callable[[Sequence[str]], bool] | None = None,
    hot: bool = False,
) -> Callable[[C], C]:
    """Declare a dataclass as the server's message `message_id`.

    `chosen` tells it from others of the same id; a `hot` one is written by a compiled function.
    """
    return _declared(REPLIES, message_id, version, span, layout, chosen, hot=hot)


def _declared(
    table: dict[int, tuple[Shape, ...]],
    message_id: int,
    version: str,
    span: Span,
    layout: Layout | None,
    chosen: Callable[[Sequence[str]], bool] | None = None,
    *,
    hot: bool = False,
) -> Callable[[C], C]:
    def declare(cls: C) -> C:
        head = (Const(version, span),) if version else ()
        shape = Shape(message_id, cls, (*head, *(layout_of(cls) if layout is None else layout)), chosen, hot)
        table[message_id] = (*table.get(message_id, ()), shape)
        return cls

    return declare


class Direction:
    """One direction of the wire: its messages, with plans made once per class and version."""

    def __init__(self, name: str, table: Mapping[int, tuple[Shape, ...]], max_fields: int) -> None:
        self._name, self._table, self._max_fields = name, table, max_fields
        self._plans: dict[tuple[type, int], Plan] = {}
        self._shapes: dict[type, Shape] = {}
        self.encoders: dict[int, dict[type, Encoder]] = {}

    def shape(self, cls: type) -> Shape:
        """The shape of a message class. Raises WireError for a class of the other direction."""
        if cls not in self._shapes:
            self._shapes.update((shape.cls, shape) for shapes in self._table.values() for shape in shapes)
        try:
            return self._shapes[cls]
        except KeyError:
            raise WireError(self._name, "message", f"{cls.__name__} is not one") from None

    def plan(self, cls: type, version: int) -> Plan:
        """The plan of a message class at a server version."""
        try:
            return self._plans[cls, version]
        except KeyError:
            plan = self._plans[cls, version] = Plan(cls, self.shape(cls).layout, _known(version))
            return plan

    def encoder(self, cls: type, version: int) -> Encoder:
        """Make the encoder of a message class at a server version; from then on it is found in `encoders`."""
        plan, shape = self.plan(cls, version), self.shape(cls)
        encoder: Encoder = partial(interpret, shape.message_id, plan)
        if shape.hot:
            encoder = compile_encoder(shape.message_id, plan, encoder)
        self.encoders.setdefault(version, {})[cls] = encoder
        return encoder

    def split(self, payload: bytes) -> list[str]:
        """The fields of a payload, the message id first. Raises WireError for what is not text between NULs."""
        if not payload.endswith(b"\0"):
            raise WireError(self._name, "frame", "does not end in NUL" if payload else "is empty")
        if payload.count(b"\0") > self._max_fields:
            raise WireError(self._name, "frame", f"has more than {self._max_fields} fields")
        texts = payload.decode(errors="replace").split("\0")
        texts.pop()
        return texts

    def decode(self, texts: Sequence[str], version: int) -> Any:  # noqa: ANN401
        """The message in these fields, or None for an id that is not in the table. Raises WireError."""
        shapes = self._table.get(self.message_id(texts), ())
        shape = next((shape for shape in shapes if shape.chosen is None or shape.chosen(texts)), None)
        if shape is None:
            return None
        return read(self.plan(shape.cls, version), texts)

    def message_id(self, texts: Sequence[str]) -> int:
        """The message id at the head of a frame's fields. Raises WireError."""
        try:
            number: int = INT.read[texts[0]]
        except BadValueError as fault:
            raise WireError(self._name, "message id", str(fault)) from None
        return number


def interpret(message_id: int, plan: Plan, message: object) -> bytes:
    """The payload of `message`, field by field. Raises WireError for the field at fault."""
    out = [str(message_id)]
    try:
        plan.encode(message, out)
    except FieldError as fault:
        raise WireError(plan.cls.__name__, fault.field, fault.found) from None
    return _joined(out)


def read(plan: Plan, texts: Sequence[str]) -> Any:  # noqa: ANN401
    """The message of a frame's fields, field by field. Raises WireError for the field at fault."""
    reader, values = Reader(texts), plan.blank()
    reader.take(1, "message id")
    try:
        message = plan.decode(reader, values)
        reader.finish()
    except FieldError as fault:
        request_id = values[""].get("req_id", values[""].get("order_id"))
        raise WireError(plan.cls.__name__, fault.field, fault.found, request_id=request_id) from None
    return message


def _known(version: int) -> int:
    if version not in VERSIONS:
        raise WireError("frame", "server version", f"{version} is not spoken here")
    return version


def _joined(texts: list[str]) -> bytes:
    texts.append("")
    return "\0".join(texts).encode()
