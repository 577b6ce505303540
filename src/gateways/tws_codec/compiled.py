"""Encoders of the hot messages, compiled once per server version from the plans that are interpreted.

Each is one Python function over memo look-ups. It takes only what is certainly right and leaves the rest to the
interpreter, which knows the fault. Property tests hold both against each other.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from math import isfinite
from typing import Any, Final

from src.gateways.tws_codec.fields import AVERAGE, SERIAL, SIZE, TEXT, BadValueError, Kind
from src.gateways.tws_codec.plan import Branch, Fixed, Plan, Rows, Run, Step
from src.gateways.tws_codec.repeating import KEPT, LONGEST, tested

#: What is raised inside a compiled function where it is not certain.
_UNCERTAIN: Final = (TypeError, AttributeError, ValueError, ArithmeticError, LookupError)
Column = Callable[[Sequence[Any]], Iterable[str]]
_MESSAGE: Final = "message"


class Kept(dict[Any, tuple[str, ...]]):
    """Texts by the values that they are of: of so many habits, and none that is long."""

    def keep(self, key: object, texts: tuple[str, ...]) -> None:
        """Remember some; all are forgotten when there are too many."""
        if sum(map(len, texts)) <= LONGEST:
            if len(self) >= KEPT:
                self.clear()
            self[key] = texts


class _Source:
    """Lines of a function, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self.functions = ""  # that the function calls

    def name(self, thing: object, prefix: str) -> str:
        """A name for `thing` inside the function."""
        name = f"{prefix}{len(self.names)}"
        for known, other in self.names.items():
            if other is thing:
                return known
        self.names[name] = thing
        return name

    def text(self, kind: Kind, value: str) -> str:
        """The text of a value, as an expression."""
        if kind is SERIAL:
            return f"{self.name(int.__repr__, 'whole')}({value})"
        return f"{self.name(kind.write, 'texts')}[{value}]"


def compile_encoder(message_id: int, plan: Plan, interpreter: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """A function from a message to its payload. Where it is not certain it asks the interpreter."""
    source = _Source()
    head = repr(str(message_id))
    if all(isinstance(step, Fixed | Run) and not getattr(step, "part", "") for step in plan.steps):
        lines = [f"return '\\0'.join(({', '.join([head, *_texts(source, plan.steps)])}, '')).encode()"]
    elif plan.parts and all(len(_parts_of(step)) <= 1 for step in plan.steps):
        lines = _by_parts(source, plan, head)
    else:
        source.lines = [f"{part} = {_MESSAGE}.{part}" for part, _ in plan.parts]
        source.lines.append(f"out = [{head}]")
        _add_steps(source, plan.steps, "")
        lines = [*source.lines, "out.append('')", r"return '\0'.join(out).encode()"]
    source.names |= {"interpreter": interpreter, "UNCERTAIN": _UNCERTAIN}
    body = "".join(f"        {line}\n" for line in lines)
    code = f"{source.functions}def encode({_MESSAGE}):\n    try:\n{body}"
    code += f"    except UNCERTAIN:\n        return interpreter({_MESSAGE})\n"
    # As dataclasses do: the text is made of this package's own layouts, and holds nothing from outside.
    exec(compile(code, f"<{plan.cls.__name__} at {plan.version}>", "exec"), source.names)  # noqa: S102
    encoder: Callable[[Any], bytes] = source.names["encode"]
    return encoder


def _parts_of(step: Step) -> set[str]:
    """The parts of a message that a step writes from."""
    inner = set().union(*map(_parts_of, step.steps)) if isinstance(step, Branch) else set()
    return inner | {getattr(step, "part", "")}


def _by_parts(source: _Source, plan: Plan, head: str) -> list[str]:
    """Lines that join the texts of a message and of its parts; those of the last order, say, are kept.

    An order is told several times, with another status each: its hundred fields are written once. It is a tuple, and
    what stands behind its first stretch is much the same from one order to the next: these texts are kept by values.
    """
    lines, texts = [], [rf"{head} '\0'"]
    stretches = [(part, tuple(steps)) for part, steps in groupby(plan.steps, lambda step: getattr(step, "part", ""))]
    for part, cls in plan.parts:
        told = source.name({"": (None,), "rest": (None, ())}, "told")
        lines += [
            f"{part} = {_MESSAGE}.{part}",
            f"{part}_told = {told}['']",
            f"if {part}_told[0] is not {part}:",
            f"    {part}_told = {told}[''] = ({part}, *{part}_texts({part}))",
        ]
        pieces = [steps for of, steps in stretches if of == part]
        known = getattr(cls, "_fields", ())
        first = sum(len(step.names) for step in pieces[0] if isinstance(step, Run))
        if known and _names(pieces[0]) == known[:first]:
            decide = {name for steps in pieces for _, name in tested(steps)}
            decides = "".join(f"{part}.{name}, " for name in sorted(decide & set(known[:first])))
            _add_function(source, f"{part}_rest", part, pieces[1:])
            kept = source.name(Kept(), "kept")
            behind = [
                f"key = {decides}{part}[{first}:]",
                f"last, rest = {told}['rest']",
                "if key != last:",  # most orders are as the one before: to compare takes a third of hashing
                f"    rest = {kept}.get(key)",
                "    if rest is None:",
                f"        rest = {part}_rest({part})",
                f"        {kept}.keep(key, rest)",
                f"    {told}['rest'] = key, rest",
            ]
            _add_function(source, f"{part}_texts", part, pieces[:1], behind, "texts + rest")
        else:
            _add_function(source, f"{part}_texts", part, pieces)
    places = {part: iter(range(1, len(stretches) + 1)) for part, _ in plan.parts}
    for part, steps in stretches:
        own = rf"'\0'.join(({', '.join(_texts(source, steps))}, ''))"
        texts.append(f"{part}_told[{next(places[part])}]" if part else own)
    return [*lines, f"return ''.join(({', '.join(texts)})).encode()"]


def _add_function(
    source: _Source,
    name: str,
    part: str,
    stretches: Sequence[tuple[Step, ...]],
    behind: Sequence[str] = (),
    result: str = "texts",
) -> None:
    """A function from a part to the text of each stretch, with a NUL behind each field."""
    for steps in stretches:
        source.lines.append("out = []")
        _add_steps(source, steps, "")
        source.lines.append(r"texts += ('\0'.join([*out, '']),)")
    body = "".join(f"    {line}\n" for line in ["texts = ()", *source.lines, *behind, f"return {result}"])
    source.functions += f"def {name}({part}):\n{body}"
    source.lines.clear()


def _names(steps: Sequence[Step]) -> tuple[str, ...]:
    """The fields of these steps, where they are runs alone."""
    return tuple(name for step in steps for name in (step.names if isinstance(step, Run) else ("",)))


def _add_steps(source: _Source, steps: tuple[Step, ...], indent: str) -> None:
    texts: list[str] = []
    for step in steps:
        if isinstance(step, Fixed | Run):
            texts += _texts(source, (step,))
        else:
            _flush(source, texts, indent)
            _add_step(source, step, indent)
    _flush(source, texts, indent)


def _texts(source: _Source, steps: tuple[Step, ...]) -> list[str]:
    """The texts of plain fields, as expressions."""
    texts: list[str] = []
    for step in steps:
        if isinstance(step, Fixed):
            texts.append(repr(step.text))
        elif isinstance(step, Run):
            part = step.part or _MESSAGE
            texts += [source.text(kind, f"{part}.{name}") for kind, name in zip(step.kinds, step.names, strict=True)]
    return texts


def _flush(source: _Source, texts: list[str], indent: str) -> None:
    if texts:
        source.lines.append(f"{indent}out += ({', '.join(texts)},)")
        texts.clear()


def _add_step(source: _Source, step: Step, indent: str) -> None:
    if isinstance(step, Branch):
        source.lines.append(f"{indent}if {source.name(step.test, 'test')}({step.part or _MESSAGE}.{step.name}):")
        _add_steps(source, step.steps, indent + "    ")
    elif isinstance(step, Rows) and not step.tagged and _is_flat_tuple(step.plans[0]):
        _add_rows(source, step, indent)
    else:
        part = getattr(step, "part", "")
        source.lines.append(f"{indent}{source.name(step, 'step')}.encode({{{part!r}: {part or _MESSAGE}}}, out)")


def _is_flat_tuple(plan: Plan) -> bool:
    """Whether each item is a tuple of exactly the fields on the wire, in their order."""
    names = tuple(name for step in plan.steps if isinstance(step, Run) for name in step.names)
    return len(plan.steps) == 1 and names == getattr(plan.cls, "_fields", None)


def _add_rows(source: _Source, step: Rows, indent: str) -> None:
    run = next(inner for inner in step.plans[0].steps if isinstance(inner, Run))
    rows = source.name(_rows_writer([_column_writer(kind) for kind in run.kinds]), "rows")
    source.lines += [
        f"{indent}items = {step.part or _MESSAGE}.{step.name}",
        f"{indent}out.append(str(len(items)))",
        f"{indent}if items:",
        f"{indent}    out.extend({rows}(items))",
    ]


def _rows_writer(writers: list[Column]) -> Callable[[Sequence[Any]], Iterable[str]]:
    """Write tuples column by column, at C speed; each gives one text, with NULs between its fields."""

    def write(rows: Sequence[Any]) -> Iterable[str]:
        columns = zip(*rows, strict=True)
        texts = [writer(column) for writer, column in zip(writers, columns, strict=True)]
        return map("\0".join, zip(*texts, strict=True))

    return write


def _column_writer(kind: Kind) -> Column:
    """Write a column of one kind: what seldom repeats without its memo."""
    if kind is TEXT:
        return _write_texts
    if kind is AVERAGE:
        return _write_averages
    if kind is SIZE:
        return _write_sizes
    if kind is SIZE.whole:
        return lambda values: map(repr, map(int, values))
    return partial(map, kind.write.__getitem__)


def _write_texts(values: Sequence[Any]) -> Iterable[str]:
    if "\0".join(values).count("\0") != len(values) - 1:
        raise BadValueError("a text with NUL")
    return values


def _write_averages(values: Sequence[Any]) -> Iterable[str]:
    usual = set(map(type, values)) == {float} and min(values) > 0 and isfinite(sum(values))
    return map(repr if usual else AVERAGE.write.__getitem__, values)


def _write_sizes(values: Sequence[Any]) -> Iterable[str]:
    whole = tuple(map(int, values))
    return map(repr, whole) if whole == values else map(SIZE.write.__getitem__, values)
