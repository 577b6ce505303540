"""Orders are much alike: what a placeOrder has in common with those before it is read once.

Two of them differ in their contract and the first fields of the order at most; the eighty fields behind are a client's
habits. They are looked up as one text, which the plan's own steps have read the first time.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from operator import getitem
from typing import Any, Final

from src.gateways.tws_codec.plan import Branch, Plan, Reader, Run, Step

#: So many habits are remembered, of frames no longer than this many bytes.
KEPT: Final = 256
LONGEST: Final = 4_096


def compile_reader(plan: Plan, interpreter: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A function from a payload to its message. Where it is not certain it asks the interpreter.

    The plan begins with runs of the message itself and of its two parts; the second part is a tuple, and its run is its
    first fields. What follows is the rest.
    """
    (_, first), (_, second) = plan.parts
    own, of_first, of_second = runs = [step for step in plan.steps[:3] if isinstance(step, Run)]
    rest = plan.steps[3:]
    if [run.part for run in runs] != ["", of_first.part, of_second.part] or not _begins_with(second, of_second.names):
        raise AssertionError(f"the steps of {plan.cls.__name__} are not those of an order")
    paths = [(run.part, name) for run in runs for name in run.names]
    #: The fields before the rest that decide what is in it, and where each stands in the frame.
    deciding = [(path, 1 + paths.index(path)) for path in dict.fromkeys(tested(rest)) if path in paths]
    places = tuple(place for _, place in deciding)
    begin, middle = 1 + len(own.names), 1 + len(own.names) + len(of_first.names)
    end = len(paths) + 1
    own_memos, first_memos, second_memos = ([kind.read for kind in run.kinds] for run in runs)

    @lru_cache(KEPT)
    def first_of(texts: Sequence[str]) -> Any:  # noqa: ANN401
        values = dict(zip(of_first.names, map(getitem, first_memos, texts), strict=True))
        return first(*(plan.blank()[of_first.part] | values).values())

    @lru_cache(KEPT)
    def rest_of(text: str, *decided: str) -> tuple[Any, ...]:
        parts = plan.blank()
        for ((part, name), _), value in zip(deciding, decided, strict=True):
            parts[part][name] = value  # a text is its own value
        untouched = parts[of_first.part].copy()
        reader = Reader(text.removesuffix("\0").split("\0"))
        for step in rest:
            step.decode(reader, parts)
        reader.finish()
        if any(parts[of_first.part][name] is not value for name, value in untouched.items()):
            raise LookupError("the rest is about the first part too")
        return tuple(parts[of_second.part].values())[len(of_second.names) :]

    make, order_of = plan.cls, partial(tuple.__new__, second)

    def read(payload: bytes) -> Any:  # noqa: ANN401
        if len(payload) > LONGEST or payload[-1]:
            return interpreter(payload)
        try:
            texts = payload.decode().split("\0", end)
            behind = rest_of(texts[end], *[texts[place] for place in places])
            ahead = tuple(map(getitem, second_memos, texts[middle:end]))
            both: tuple[Any, Any] = first_of(tuple(texts[begin:middle])), order_of(ahead + behind)
            return make(*map(getitem, own_memos, texts[1:begin]), *both)
        except (ValueError, LookupError):
            return interpreter(payload)

    return read


def _begins_with(cls: type, names: tuple[str, ...]) -> bool:
    found: tuple[str, ...] = getattr(cls, "_fields", ())
    return found[: len(names)] == names


def tested(steps: Sequence[Step]) -> Iterator[tuple[str, str]]:
    """The fields that conditions among these steps look at."""
    for step in steps:
        if isinstance(step, Branch):
            yield step.part, step.name
            yield from tested(step.steps)
