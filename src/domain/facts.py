"""Frozen dataclasses that are cheap to declare and cheap to make.

To whoever reads, to the type checker, `dataclasses.replace`, pickle and pydantic a fact is a
`dataclass(frozen=True, slots=True)`. Two things are done otherwise:

- A program declares a hundred facts and uses ten before it is busy, and writing one's methods takes a millisecond:
  here they are written when one of them is first looked for, and `dataclasses`, which brings half of the standard
  library, is imported when somebody asks for the fields.
- A frozen dataclass's constructor goes around its own lock for every field, at a dozen times the cost of an
  assignment, and one order makes a hundred fields: the constructor here assigns while the object is an instance of an
  open twin with the same slots, and locks it once, at the end.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Final, TypeVar, dataclass_transform, get_origin

_T = TypeVar("_T")


class _Fact:
    """What the facts have in common; each has it of its own, so that its bases are those it was declared with."""

    __match_args__: ClassVar[tuple[str, ...]]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__qualname__}({values})"

    def __setattr__(self, name: str, value: object) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __getstate__(self) -> list[object]:
        return [getattr(self, name) for name in self.__match_args__]

    def __setstate__(self, state: list[object]) -> None:
        for name, value in zip(self.__match_args__, state, strict=True):
            object.__setattr__(self, name, value)


_SHARED: Final = {name: value for name, value in vars(_Fact).items() if callable(value)}


@dataclass_transform(frozen_default=True)
def fact(cls: type[_T]) -> type[_T]:
    """A frozen dataclass with slots. Its defaults are plain values, and its bases have no fields.

    With a `__post_init__`, `unchecked` is the constructor without it: for what is made of checked parts, all given.
    """
    own = {name: value for name, value in vars(cls).items() if name not in {"__dict__", "__weakref__"}}
    of_the_class: Any = ClassVar
    names = tuple(name for name, kind in cls.__annotations__.items() if get_origin(kind) is not of_the_class)
    defaults = {name: own.pop(name) for name in names if name in own}
    if any(hasattr(value, "default_factory") for value in defaults.values()):
        raise TypeError(f"the default of a fact is a value: {cls.__name__}")
    late = {name: _Late(partial(_methods, names, defaults)) for name in ("__init__", "__eq__", "__hash__")}
    if "__post_init__" in own:
        late["unchecked"] = _Late(partial(_methods, names, defaults))
    late["__dataclass_fields__"] = _Late(partial(_fields, cls))
    told = {"__slots__": names, "__match_args__": names, "__qualname__": cls.__qualname__}
    frozen: type[_T] = type(cls.__name__, cls.__bases__, {**_SHARED, **late, **own, **told})
    return frozen


class _Late:
    """Attributes of a class that are made when the first of them is looked for: each is one of these until then."""

    def __init__(self, make: Callable[[Any], dict[str, Any]]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._owner, self._name = owner, name

    def __get__(self, instance: object, owner: object = None) -> object:
        for name, value in self._make(self._owner).items():
            setattr(self._owner, name, value)
        return getattr(self._owner if instance is None else instance, self._name)


def _fields(declared: type, _: type) -> dict[str, Any]:
    from dataclasses import dataclass

    described: Any = dataclass(init=False, repr=False, eq=False)(declared)
    return {"__dataclass_fields__": described.__dataclass_fields__}


def _methods(names: Sequence[str], defaults: dict[str, Any], frozen: Any) -> dict[str, Any]:  # noqa: ANN401
    checked = hasattr(frozen, "__post_init__")
    given = "".join(f", {name}=_defaults[{name!r}]" if name in defaults else f", {name}" for name in names)
    mine, theirs = ("".join(f"{whose}.{name}, " for name in names) for whose in ("self", "other"))
    assigned = "".join(f"    self.{name} = {name}\n" for name in names) + "    self.__class__ = _frozen\n"
    source = (
        f"def __init__(self{given}):\n"
        "    _set_attribute(self, '__class__', _open_twin)\n"
        f"{assigned}"
        f"{'    self.__post_init__()' if checked else ''}\n"
        "def __eq__(self, other):\n"
        f"    return ({mine}) == ({theirs}) if other.__class__ is self.__class__ else NotImplemented\n"
        "def __hash__(self):\n"
        f"    return hash(({mine}))\n"
        f"def unchecked({', '.join(names)}):\n"
        "    self = _new(_open_twin)\n"
        f"{assigned}"
        "    return self\n"
    )
    within = {
        "_defaults": defaults,
        "_frozen": frozen,
        "_new": object.__new__,
        "_open_twin": type(frozen.__name__, frozen.__bases__, {"__slots__": names}),
        "_set_attribute": object.__setattr__,
    }
    written: dict[str, Any] = {}
    exec(source, within, written)  # noqa: S102  # as `dataclass` does it: nothing but names of fields enters
    for name, function in written.items():
        function.__qualname__ = f"{frozen.__qualname__}.{name}"
    written["__init__"].__annotations__ = {name: frozen.__annotations__[name] for name in names} | {"return": None}
    unchecked = staticmethod(written.pop("unchecked"))
    return written | {"unchecked": unchecked} if checked else written
