"""A layout at one server version, ready to run in both directions.

Neighbouring fields of one part become a run, which converts as a whole. What goes wrong is told by field.
"""

from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from operator import attrgetter, call
from typing import Any, Protocol, get_type_hints

from src.gateways.tws_codec.fields import INT, BadValueError, Kind
from src.gateways.tws_codec.layout import (
    FRACTIONAL_SIZES,
    Const,
    Field,
    Layout,
    ListOf,
    Maybe,
    Repeat,
    When,
)

Text = Callable[[Any], str]
Value = Callable[[str], Any]


class FieldError(ValueError):
    """A fault in one field: its path, and what was found there."""

    def __init__(self, field: str, found: str) -> None:
        super().__init__(f"{field}: {found}")
        self.field, self.found = field, found


class Reader:
    """The fields of one frame, from the first to the last."""

    __slots__ = ("at", "texts")

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.at = texts, 0

    def take(self, count: int, name: str) -> Sequence[str]:
        """The next `count` fields. Raises FieldError where the frame ends before them."""
        texts = self.take_some(count)
        if len(texts) < count:
            raise self.missing(name)
        return texts

    def take_some(self, count: int) -> Sequence[str]:
        """The next `count` fields, or as many as there are."""
        start, self.at = self.at, self.at + count
        return self.texts[start : self.at]

    def missing(self, name: str) -> FieldError:
        """The fault of a frame that ends too early."""
        return FieldError(name, f"missing: the frame ends after {len(self.texts)} fields")

    def finish(self) -> None:
        """Raise FieldError if a field is left."""
        if self.at < len(self.texts):
            raise FieldError("end", f"{len(self.texts) - self.at} fields too many, from {self.texts[self.at]!r:.60}")


class Step(Protocol):
    """One node at one version. `parts` are the message and its parts by name: objects to write, dicts to fill."""

    def encode(self, parts: dict[str, Any], out: list[str]) -> None:
        """Append the texts of this step."""

    def decode(self, reader: Reader, parts: dict[str, Any]) -> None:
        """Read the values of this step."""


@dataclass(frozen=True, slots=True)
class Run:
    """Fields of one part in a row."""

    part: str
    names: tuple[str, ...]
    kinds: tuple[Kind, ...]
    writers: tuple[Text, ...]
    readers: tuple[Value, ...]
    get: Callable[[Any], tuple[Any, ...]]

    def encode(self, parts: dict[str, Any], out: list[str]) -> None:
        """Append the text of each value."""
        values = self.get(parts[self.part])
        try:
            out.extend(map(call, self.writers, values))
        except (BadValueError, TypeError):
            self._blame(self.writers, values)

    def decode(self, reader: Reader, parts: dict[str, Any]) -> None:
        """Read the value of each text."""
        texts = reader.take_some(len(self.names))
        try:
            parts[self.part].update(zip(self.names, map(call, self.readers, texts), strict=False))
        except BadValueError:
            self._blame(self.readers, texts)
        if len(texts) < len(self.names):
            raise reader.missing(self._path(self.names[len(texts)]))

    def _blame(self, converters: Sequence[Callable[[Any], Any]], values: Sequence[Any]) -> None:
        for name, convert, value in zip(self.names, converters, values, strict=False):
            try:
                convert(value)
            except (BadValueError, TypeError) as fault:
                raise FieldError(self._path(name), str(fault)) from None

    def _path(self, name: str) -> str:
        return f"{self.part}.{name}" if self.part else name


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant."""

    text: str

    def encode(self, parts: dict[str, Any], out: list[str]) -> None:  # noqa: ARG002
        """Append it."""
        out.append(self.text)

    def decode(self, reader: Reader, parts: dict[str, Any]) -> None:  # noqa: ARG002
        """Pass over it."""
        reader.take(1, "version")


@dataclass(frozen=True, slots=True)
class Branch:
    """Steps under a condition."""

    part: str
    name: str
    test: Callable[[Any], bool]
    steps: tuple[Step, ...]

    def encode(self, parts: dict[str, Any], out: list[str]) -> None:
        """Append the steps' texts if the condition holds."""
        if self.test(getattr(parts[self.part], self.name)):
            for step in self.steps:
                step.encode(parts, out)

    def decode(self, reader: Reader, parts: dict[str, Any]) -> None:
        """Read the steps' values if the condition holds."""
        if self.test(parts[self.part][self.name]):
            for step in self.steps:
                step.decode(reader, parts)


@dataclass(frozen=True, slots=True)
class Group:
    """An object of its own after a flag: None or one."""

    part: str
    name: str
    plan: "Plan"

    def encode(self, parts: dict[str, Any], out: list[str]) -> None:
        """Append the flag, and the object's fields."""
        item = getattr(parts[self.part], self.name)
        out.append("0" if item is None else "1")
        if item is not None:
            self.plan.encode(item, out)

    def decode(self, reader: Reader, parts: dict[str, Any]) -> None:
        """Read the flag, and the object."""
        (flag,) = reader.take(1, self.name)
        if flag not in {"", "0", "1"}:
            raise FieldError(self.name, f"{flag!r:.60} is not 0 or 1")
        parts[self.part][self.name] = self.plan.decode(reader) if flag == "1" else None


@dataclass(frozen=True, slots=True)
class Rows:
    """A count and objects; with several plans, each object behind its number."""

    part: str
    name: str
    plans: dict[int, "Plan"]
    numbers: dict[type, int]
    tagged: bool

    def encode(self, parts: dict[str, Any], out: list[str]) -> None:
        """Append the count and each object's fields."""
        items = getattr(parts[self.part], self.name)
        out.append(str(len(items)))
        for item in items:
            number = self.numbers.get(type(item))
            if number is None:
                raise FieldError(self.name, f"{type(item).__name__} does not belong here")
            if self.tagged:
                out.append(str(number))
            self.plans[number].encode(item, out)

    def decode(self, reader: Reader, parts: dict[str, Any]) -> None:
        """Read the count and the objects."""
        parts[self.part][self.name] = tuple(self._item(reader) for _ in range(_count(reader, self.name)))

    def _item(self, reader: Reader) -> object:
        if not self.tagged:
            return self.plans[0].decode(reader)
        (text,) = reader.take(1, self.name)
        if text.isdecimal() and text.isascii() and len(text) == 1 and int(text) in self.plans:
            return self.plans[int(text)].decode(reader)
        raise FieldError(self.name, f"{text!r:.60} is not one of {sorted(self.plans)}")


@dataclass(frozen=True, slots=True)
class Values:
    """A count and single values."""

    part: str
    name: str
    kind: Kind

    def encode(self, parts: dict[str, Any], out: list[str]) -> None:
        """Append the count and each value."""
        values = getattr(parts[self.part], self.name)
        out.append(str(len(values)))
        try:
            out.extend(map(self.kind.write.__getitem__, values))
        except (BadValueError, TypeError) as fault:
            raise FieldError(self.name, str(fault)) from None

    def decode(self, reader: Reader, parts: dict[str, Any]) -> None:
        """Read the count and the values."""
        texts = reader.take(_count(reader, self.name), self.name)
        try:
            parts[self.part][self.name] = tuple(map(self.kind.read.__getitem__, texts))
        except BadValueError as fault:
            raise FieldError(self.name, str(fault)) from None


def _count(reader: Reader, name: str) -> int:
    try:
        count: int = INT.read[reader.take(1, f"count of {name}")[0]]
    except BadValueError as fault:
        raise FieldError(f"count of {name}", str(fault)) from None
    # Each item has a field at least, so that a large count ends the reading before it costs anything.
    if not 0 <= count <= len(reader.texts):
        raise FieldError(f"count of {name}", f"{count} is impossible in a frame of {len(reader.texts)} fields")
    return count


class Plan:
    """How objects of one class are written and read at one version."""

    __slots__ = ("_blanks", "cls", "parts", "steps", "version")

    def __init__(self, cls: type, layout: Layout, version: int) -> None:
        self.cls, self.version = cls, version
        self.steps = steps(layout, version)
        names = sorted({_split(node.path)[0] for node in layout if not isinstance(node, Const)} - {""})
        hints = get_type_hints(cls) if names else {}
        self.parts: tuple[tuple[str, type], ...] = tuple((name, hints[name]) for name in names)
        self._blanks = {"": _defaults(cls), **{name: _defaults(part) for name, part in self.parts}}

    def encode(self, item: Any, out: list[str]) -> None:  # noqa: ANN401
        """Append the texts of `item`'s fields."""
        parts = {"": item}
        for name, _ in self.parts:
            parts[name] = getattr(item, name)
        for step in self.steps:
            step.encode(parts, out)

    def blank(self) -> dict[str, dict[str, Any]]:
        """The values of an object and its parts before anything is read: their defaults, None without one."""
        return {name: values.copy() for name, values in self._blanks.items()}

    def decode(self, reader: Reader, blank: dict[str, dict[str, Any]] | None = None) -> Any:  # noqa: ANN401
        """Read one object. `blank` is filled as far as a fault allows."""
        parts = self.blank() if blank is None else blank
        for step in self.steps:
            step.decode(reader, parts)
        return self.build(parts)

    def build(self, parts: dict[str, dict[str, Any]]) -> Any:  # noqa: ANN401
        """Make the object of these values. They stand in the order of its parameters: many names are slow to match."""
        for name, cls in self.parts:
            parts[""][name] = cls(*parts[name].values())
        return self.cls(*parts[""].values())


def _defaults(cls: Any) -> dict[str, Any]:  # noqa: ANN401
    if is_dataclass(cls):
        return {
            field.name: field.default_factory()
            if field.default_factory is not MISSING
            else None
            if field.default is MISSING
            else field.default
            for field in fields(cls)
        }
    return {name: cls._field_defaults.get(name) for name in cls._fields}


def steps(layout: Layout, version: int) -> tuple[Step, ...]:
    """The steps of the nodes that are there at `version`."""
    made: list[Step] = []
    run: list[Field] = []
    for node in layout:
        if not node.span.since <= version <= node.span.until:
            continue
        if run and not (isinstance(node, Field) and _split(node.path)[0] == _split(run[0].path)[0]):
            made.append(_run(run, version))
            run = []
        if isinstance(node, Field):
            run.append(node)
        else:
            made.append(_step(node, version))
    if run:
        made.append(_run(run, version))
    return tuple(made)


def _split(path: str) -> tuple[str, str]:
    part, _, name = path.rpartition(".")
    return part, name


def _run(nodes: Sequence[Field], version: int) -> Run:
    names = tuple(_split(node.path)[1] for node in nodes)
    kinds = tuple(_at(node.kind, version) for node in nodes)
    one = attrgetter(names[0])
    return Run(
        part=_split(nodes[0].path)[0],
        names=names,
        kinds=kinds,
        writers=tuple(kind.write.__getitem__ for kind in kinds),
        readers=tuple(kind.read.__getitem__ for kind in kinds),
        get=attrgetter(*names) if len(names) > 1 else lambda source: (one(source),),
    )


def _at(kind: Kind, version: int) -> Kind:
    return kind.whole if kind.whole is not None and version < FRACTIONAL_SIZES else kind


def _step(node: Const | When | Maybe | Repeat | ListOf, version: int) -> Step:
    if isinstance(node, Const):
        return Fixed(node.text)
    part, name = _split(node.path)
    match node:
        case When():
            return Branch(part, name, node.test, steps(node.nodes, version))
        case Maybe():
            return Group(part, name, Plan(node.item, node.nodes, version))
        case ListOf():
            return Values(part, name, _at(node.kind, version))
        case Repeat():
            plans = {number: Plan(cls, nodes, version) for number, (cls, nodes) in node.items.items()}
            return Rows(part, name, plans, {plan.cls: number for number, plan in plans.items()}, node.tagged)
