"""A fact is a frozen dataclass with slots, however cheaply it is made."""

import copy
import inspect
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from threading import Barrier
from typing import Any, ClassVar

import pytest

from src.domain.facts import fact


@fact
class Point:
    """Something with a default and a check."""

    x: int
    y: int = 2
    unchecked: ClassVar["Callable[[int, int], Point]"]

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError(self.x)
        object.__setattr__(self, "y", abs(self.y))


@dataclass(frozen=True, slots=True)
class Plain:
    """The same, made the usual way."""

    x: int
    y: int = 2


@pytest.mark.parametrize("name", ["x", "new"])
def test_nothing_can_be_set_or_deleted(name: str) -> None:
    point = Point(1)
    with pytest.raises((FrozenInstanceError, TypeError)):
        setattr(point, name, 5)
    with pytest.raises((FrozenInstanceError, TypeError)):
        delattr(point, name)
    assert point == Point(1, 2)


def test_it_is_made_like_a_dataclass() -> None:
    assert (Point(1, 3), Point(x=1, y=-3), Point(1)) == (Point(1, 3), Point(1, 3), Point(1, 2))
    assert type(Point(1)) is Point
    assert [each.name for each in fields(Point)] == ["x", "y"]
    assert repr(Point(1)) == "Point(x=1, y=2)"
    assert hash(Point(1)) == hash(Plain(1))
    assert not hasattr(Point(1), "__dict__")
    with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]


def test_it_is_copied_like_a_dataclass() -> None:
    point = Point(1)
    assert replace(point, x=4) == Point(4)
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point  # noqa: S301  # our own


def test_its_check_runs_on_every_way_in() -> None:
    with pytest.raises(ValueError, match="-1"):
        Point(-1)
    with pytest.raises(ValueError, match="-1"):
        replace(Point(1), x=-1)


def test_what_is_made_unchecked_is_a_fact_like_any_other() -> None:
    point = Point.unchecked(-1, -2)
    assert (type(point), point.x, point.y) == (Point, -1, -2)
    with pytest.raises(FrozenInstanceError):
        point.x = 5  # type: ignore[misc]


def test_a_default_factory_is_refused_where_the_class_is_written() -> None:
    with pytest.raises(TypeError, match="Listed"):

        @fact
        class Listed:
            items: list[int] = field(default_factory=list)


class Word:
    """What several kinds of facts have in common."""

    __slots__ = ()


def test_it_may_have_a_base_without_fields() -> None:
    @fact
    class Told(Word):
        """Two fields."""

        name: str
        number: int = 0

    assert Told("a", 1) == Told("a", 1)
    assert isinstance(Told("a"), Word)
    with pytest.raises((FrozenInstanceError, TypeError)):
        Told("a").name = "b"  # type: ignore[misc]


def fresh() -> type[Any]:
    """A fact of which nothing has been used yet."""

    @fact
    class Fresh:
        """Two fields and no more."""

        x: int
        y: int = 2

    return Fresh


def unmade(kind: type[Any], *values: int) -> Any:  # noqa: ANN401
    """An instance as pickle and pydantic make one: past the constructor."""
    made = object.__new__(kind)
    made.__setstate__(values)
    return made


@pytest.mark.parametrize(
    "holds",
    [
        lambda kind: unmade(kind, 1, 2) == unmade(kind, 1, 2) != unmade(kind, 1, 3),
        lambda kind: hash(unmade(kind, 1, 2)) == hash((1, 2)),
        lambda kind: repr(unmade(kind, 1, 2)).endswith("Fresh(x=1, y=2)"),
        lambda kind: replace(unmade(kind, 1, 2), y=3) == kind(1, 3),
        lambda kind: asdict(unmade(kind, 1, 2)) == {"x": 1, "y": 2},
        lambda kind: is_dataclass(kind) and [each.name for each in fields(kind)] == ["x", "y"],
        lambda kind: str(inspect.signature(kind)) == "(x: int, y: int = 2) -> None",
        lambda kind: unmade(kind, 1, 2) != (1, 2),
        lambda kind: kind.__match_args__ == ("x", "y"),
    ],
)
def test_whatever_is_asked_of_a_fact_first_is_answered(holds: Callable[[Any], bool]) -> None:
    """Its methods are written when the first is looked for: any of them may be that one."""
    assert holds(fresh())


def test_threads_that_make_the_first_at_once_make_equal_ones() -> None:
    kinds, together = [fresh() for _ in range(50)], Barrier(8)

    def make(_: int) -> list[Any]:
        together.wait(30)
        return [kind(1) for kind in kinds]

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(make, range(8)))
    for kind, each in zip(kinds, zip(*made, strict=True), strict=True):
        assert {type(one) for one in each} == {kind}
        assert set(each) == {kind(1)}
