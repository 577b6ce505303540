"""Frozen dataclasses that are cheap to make.

A frozen dataclass's constructor goes around its own lock for every field, at a dozen times the cost of an assignment,
and one order makes a hundred fields. The constructor made here assigns while the object is an instance of an open twin
with the same slots, and locks it once, at the end. All else is `dataclass(frozen=True, slots=True)`.
"""

from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def fact(cls: type[_T]) -> type[_T]:
    """A frozen dataclass with slots, for what is made often. Worth it from two fields on; without `default_factory`.

    With a `__post_init__`, `unchecked` is the constructor without it: for what is made of checked parts, all given.
    """
    frozen: Any = dataclass(frozen=True, slots=True)(cls)
    if any(field.default_factory is not MISSING for field in fields(frozen)):
        raise TypeError(f"the default of a fact is a value: {cls.__name__}")
    names = [field.name for field in fields(frozen)]
    lines = [
        f"def __init__(self, {', '.join(names)}):",
        "    set_attribute(self, '__class__', open_twin)",
        *(f"    self.{name} = {name}" for name in names),
        "    self.__class__ = frozen",
    ]
    if hasattr(frozen, "__post_init__"):
        lines += [
            "    self.__post_init__()",
            f"def unchecked({', '.join(names)}):",
            "    self = new(open_twin)",
            *(f"    self.{name} = {name}" for name in names),
            "    self.__class__ = frozen",
            "    return self",
        ]
    names_within = {
        "new": object.__new__,
        "set_attribute": object.__setattr__,
        "open_twin": type(cls.__name__, frozen.__bases__, {"__slots__": names}),
        "frozen": frozen,
    }
    exec("\n".join(lines), names_within)  # noqa: S102  # as `dataclass` does it: nothing but names of fields enters
    constructor: Any = names_within["__init__"]
    constructor.__defaults__ = frozen.__init__.__defaults__
    constructor.__annotations__ = frozen.__init__.__annotations__
    constructor.__qualname__ = frozen.__init__.__qualname__
    frozen.__init__ = constructor
    if "unchecked" in names_within:
        frozen.unchecked = staticmethod(names_within["unchecked"])
    return frozen  # type: ignore[no-any-return]
