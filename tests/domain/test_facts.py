"""A fact is a frozen dataclass with slots, however cheaply it is made."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import ClassVar

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
