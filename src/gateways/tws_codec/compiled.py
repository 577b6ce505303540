"""Encoders and decoders of the hot messages, compiled once per server version from the plans that are interpreted.

Each is one Python function over memo look-ups. It takes only what is certainly right (a decoder: a frame without any of
the fields that may be missing) and leaves the rest to the interpreter, which knows the exact text or the fault.
Property tests hold both against each other.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from math import isfinite
from typing import Any, Final

from src.gateways.tws_codec.fields import AVERAGE, SERIAL, SIZE, TEXT, BadValueError, Kind
from src.gateways.tws_codec.plan import Branch, Fixed, Group, Plan, Rows, Run, Step, Values

#: What is raised inside a compiled function where it is not certain.
_UNCERTAIN: Final = (TypeError, AttributeError, ValueError, ArithmeticError, LookupError)
Column = Callable[[Sequence[Any]], Iterable[str]]
_MESSAGE: Final = "message"


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


def compile_decoder(plan: Plan, interpreter: Callable[[Sequence[str]], Any]) -> Callable[[Sequence[str]], Any]:
    """A function from a frame's fields (the message id first) to its message. It asks the interpreter as well."""
    source = _Source()
    values = {
        part: {name: source.name(default, "default") for name, default in of.items()}
        for part, of in plan.blank().items()
    }
    at = 1
    for step in plan.steps:
        if isinstance(step, Branch):
            source.lines.append(f"if {source.name(step.test, 'test')}({values[step.part][step.name]}): unsure()")
        elif isinstance(step, Run):
            for kind, name in zip(step.kinds, step.names, strict=True):
                values[step.part][name] = f"{source.name(kind.read, 'read')}[texts[{at}]]"
                at += 1
        else:
            if isinstance(step, Group | Rows | Values):
                values[step.part][step.name] = "None" if isinstance(step, Group) else "()"
                source.lines.append(f"if texts[{at}] != '0': unsure()")
            at += 1
    for part, cls in plan.parts:
        values[""][part] = f"{source.name(cls, 'part')}({', '.join(values[part].values())})"
    lines = [
        f"if len(texts) != {at}: unsure()",
        *source.lines,
        f"return {source.name(plan.cls, 'message')}({', '.join(values[''].values())})",
    ]
    source.names |= {"interpreter": interpreter, "UNCERTAIN": _UNCERTAIN, "unsure": _unsure}
    body = "".join(f"        {line}\n" for line in lines)
    code = f"def decode(texts):\n    try:\n{body}    except UNCERTAIN:\n        return interpreter(texts)\n"
    exec(compile(code, f"<{plan.cls.__name__} at {plan.version}>", "exec"), source.names)  # noqa: S102  # as above
    decoder: Callable[[Sequence[str]], Any] = source.names["decode"]
    return decoder


def _unsure() -> None:
    raise LookupError


def _parts_of(step: Step) -> set[str]:
    """The parts of a message that a step writes from."""
    inner = set().union(*map(_parts_of, step.steps)) if isinstance(step, Branch) else set()
    return inner | {getattr(step, "part", "")}


def _by_parts(source: _Source, plan: Plan, head: str) -> list[str]:
    """Lines that join the texts of a message and of its parts; those of the last order, say, are kept.

    An order is told several times, with another status each: its hundred fields are written once.
    """
    lines, texts = [], [rf"{head} '\0'"]
    stretches = [(part, tuple(steps)) for part, steps in groupby(plan.steps, lambda step: getattr(step, "part", ""))]
    for part, _ in plan.parts:
        told = source.name({"": (None,)}, "told")
        lines += [
            f"{part} = {_MESSAGE}.{part}",
            f"{part}_told = {told}['']",
            f"if {part}_told[0] is not {part}:",
            f"    {part}_told = {told}[''] = ({part}, *{part}_texts({part}))",
        ]
        for _, steps in (each for each in stretches if each[0] == part):
            source.lines.append("out = []")
            _add_steps(source, steps, "")
            source.lines.append(r"texts += ('\0'.join([*out, '']),)")  # with a NUL behind each
        body = "".join(f"    {line}\n" for line in ["texts = ()", *source.lines, "return texts"])
        source.functions += f"def {part}_texts({part}):\n{body}"
        source.lines.clear()
    places = {part: iter(range(1, len(stretches) + 1)) for part, _ in plan.parts}
    for part, steps in stretches:
        own = rf"'\0'.join(({', '.join(_texts(source, steps))}, ''))"
        texts.append(f"{part}_told[{next(places[part])}]" if part else own)
    return [*lines, f"return ''.join(({', '.join(texts)})).encode()"]


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
