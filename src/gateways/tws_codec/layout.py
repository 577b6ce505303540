"""The description of a message: which fields, in which order, at which versions, under which condition.

A layout is a tuple of nodes. `src.gateways.tws_codec.plan` interprets it in both directions. Most messages need none
of their own: their dataclass's annotations, in wire order, say all (`layout_of`). A path names a field of the message
("req_id") or of one of its parts ("order.tif").
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, get_args, get_origin, get_type_hints

from src.gateways.tws_codec.fields import FLAG, INT, TEXT, Kind

#: The versions that this codec speaks. 158 is a hole between what libraries send and what they read: never negotiated.
OLDEST: Final = 157
NEWEST: Final = 178
VERSIONS: Final = frozenset({OLDEST, *range(159, NEWEST + 1)})
#: Before it clients know whole market data sizes only.
FRACTIONAL_SIZES: Final = 163


@dataclass(frozen=True, slots=True)
class Span:
    """The server versions, both included, at which a field is there."""

    since: int = OLDEST
    until: int = NEWEST


ALWAYS: Final = Span()


@dataclass(frozen=True, slots=True)
class Field:
    """One value."""

    path: str
    kind: Kind
    span: Span = ALWAYS


@dataclass(frozen=True, slots=True)
class Const:
    """A text that says nothing: a message's own version. Written as it is here, ignored when read."""

    text: str
    span: Span = ALWAYS


@dataclass(frozen=True, slots=True)
class When:
    """Fields that are there only if the value at `path`, which comes before them, passes `test`."""

    path: str
    test: Callable[[Any], bool]
    nodes: tuple["Node", ...]
    span: Span = ALWAYS


@dataclass(frozen=True, slots=True)
class Maybe:
    """A flag; if it is set, the fields of one `item`. None otherwise."""

    path: str
    item: type
    nodes: tuple["Node", ...]
    span: Span = ALWAYS


@dataclass(frozen=True, slots=True)
class Repeat:
    """A count, then as many times the fields of one `item`; or of one of several, chosen by a number before each."""

    path: str
    items: Mapping[int, tuple[type, tuple["Node", ...]]]
    tagged: bool = False
    span: Span = ALWAYS


@dataclass(frozen=True, slots=True)
class ListOf:
    """A count, then as many single values."""

    path: str
    kind: Kind
    span: Span = ALWAYS


Node = Field | Const | When | Maybe | Repeat | ListOf
Layout = tuple[Node, ...]


def fields(prefix: str, kinds: Iterable[tuple[Kind, str]], span: Span = ALWAYS) -> Layout:
    """Fields in wire order, as pairs of a kind and the names of that kind, separated by blanks."""
    return tuple(Field(prefix + name, kind, span) for kind, names in kinds for name in names.split())


def rows(path: str, item: type, nodes: Layout | None = None) -> Repeat:
    """A counted list of `item`s."""
    return Repeat(path, {0: (item, layout_of(item) if nodes is None else nodes)})


def under(part: str, nodes: Layout) -> Layout:
    """The same nodes for a part of the message."""
    return tuple(_under(part, node) for node in nodes)


def _under(part: str, node: Node) -> Node:
    if isinstance(node, Const):
        return node
    moved = replace(node, path=f"{part}.{node.path}")
    return (
        replace(moved, nodes=under(part, node.nodes)) if isinstance(node, When) and isinstance(moved, When) else moved
    )


def layout_of(cls: type) -> Layout:
    """The layout that the annotations of a dataclass or NamedTuple say, in their order."""
    nodes: list[Node] = []
    for name, hint in get_type_hints(cls, include_extras=True).items():
        nodes += _nodes(name, hint)
    return tuple(nodes)


_PLAIN: Final[Mapping[Any, Kind]] = {int: INT, str: TEXT, bool: FLAG}


def _nodes(name: str, hint: Any) -> Iterable[Node]:  # noqa: ANN401
    metadata: tuple[Any, ...] = getattr(hint, "__metadata__", ())
    span = next((note for note in metadata if isinstance(note, Span)), ALWAYS)
    kind = next((note for note in metadata if isinstance(note, Kind)), None)
    part = next((note for note in metadata if isinstance(note, tuple)), None)
    plain = get_args(hint)[0] if metadata else hint
    if part is not None:
        return under(name, part)
    if get_origin(plain) is not tuple:
        return (Field(name, kind or _PLAIN[plain], span),)
    item = get_args(plain)[0]
    if hasattr(item, "__metadata__") or item in _PLAIN:
        (only,) = _nodes(name, item)
        return (ListOf(name, only.kind, span),) if isinstance(only, Field) else ()
    return (replace(rows(name, item), span=span),)
