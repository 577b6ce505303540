"""What a strategy is, and how one is found by name.

A strategy is pure: a bar and its own portfolio in, orders out. It never sees the account, the broker or the clock, and
"long" and "flat" are of the shares it bought itself. Its constructor's keyword arguments are its options.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from importlib import import_module
from traceback import extract_tb
from types import NoneType, UnionType
from typing import Any, Final, Protocol, Union, get_args, get_origin

from src.domain.errors import BrokerError, ConfigurationError
from src.domain.market import Bar
from src.domain.orders import Order
from src.trading.portfolio import Portfolio

#: The strategies that come with the project.
SHIPPED: Final[Mapping[str, str]] = {
    "sma": "src.trading.sma:MovingAverageCross",
    "hold": "src.trading.hold:BuyAndHold",
}
_TRUTH: Final = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}

_NEEDS: Final = (
    "strategy {} needs `warm_up` (bars of history it wants, 0 for none) and `explain()` beside on_bar(bar, portfolio)"
)


class Strategy(Protocol):
    """Decides at each bar's close. All bars of an instant have been seen by the exchange before the first is given."""

    @property
    def warm_up(self) -> int:
        """Bars of each contract that it must have seen before the first one on which it can decide."""
        ...

    def on_bar(self, bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        """Take a closed bar; return what to send now."""
        ...

    def explain(self) -> str:
        """What it saw at the last bar, what it decided, and why. Asked rarely: nothing is prepared for it."""
        ...


def load_strategy(name: str, options: Mapping[str, str] | None = None) -> Strategy:
    """The strategy called `name`, shipped or `package.module:ClassName`; ConfigurationError says what is wrong."""
    kind = _find(name)
    arguments = _arguments(name, kind, options or {})
    try:
        strategy = kind(**arguments)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"strategy {name} cannot be made: {_described(error)}") from error
    if not callable(getattr(strategy, "explain", None)):
        raise ConfigurationError(_NEEDS.format(name))
    _check_warm_up(name, strategy)
    return strategy  # type: ignore[no-any-return]  # its members have just been looked at


def _check_warm_up(name: str, strategy: Strategy) -> None:
    wrong = f"strategy {name}: warm_up must be a whole number of bars, 0 for none"
    try:
        bars: object = strategy.warm_up
    except AttributeError:
        raise ConfigurationError(_NEEDS.format(name)) from None
    except Exception as error:
        raise ConfigurationError(f"{wrong}: {_described(error)}") from error
    if type(bars) is not int or bars < 0:
        raise ConfigurationError(f"{wrong}, not {bars!r}")


def parse_options(pairs: Iterable[str]) -> dict[str, str]:
    """Options written as `name=value`."""
    options: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"a strategy option is written name=value, not {pair!r}")
        options[name.strip()] = value.strip()
    return options


def _find(name: str) -> Callable[..., Any]:
    module_name, colon, class_name = SHIPPED.get(name, name).partition(":")
    if not (colon and module_name and class_name):
        known = ", ".join(SHIPPED)
        raise ConfigurationError(
            f"no strategy is called {name!r}: use {known}, or your own as package.module:ClassName"
        )
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ConfigurationError(
                f"strategy {name}: {module_name} imports {error.name}, which is missing"
            ) from error
        raise ConfigurationError(
            f"strategy {name}: there is no module {error.name}: put it beside live_trader.py or on PYTHONPATH"
        ) from None
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"strategy {name}: importing {module_name} failed: {_described(error)}") from error
    kind = getattr(module, class_name, None)
    if not isinstance(kind, type):
        classes = [key for key, value in vars(module).items() if hasattr(value, "on_bar") and isinstance(value, type)]
        found = f"it has {', '.join(classes)}" if classes else "it has no class with on_bar()"
        raise ConfigurationError(f"strategy {name}: {module_name} has no class {class_name}: {found}")
    if not callable(getattr(kind, "on_bar", None)):
        raise ConfigurationError(f"strategy {name}: {class_name} has no method on_bar(bar, portfolio)")
    return kind


def _arguments(name: str, kind: Callable[..., Any], options: Mapping[str, str]) -> dict[str, object]:
    try:
        signature = inspect.signature(kind, eval_str=True)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigurationError(f"strategy {name}: its constructor cannot be read: {_described(error)}") from error
    takes = {
        key: one
        for key, one in signature.parameters.items()
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    for key in options:
        if key not in takes:
            known = f"it has {', '.join(takes)}" if takes else "it has none"
            raise ConfigurationError(f"strategy {name} has no option {key}: {known}")
    for key, parameter in takes.items():
        if parameter.default is parameter.empty and key not in options:
            raise ConfigurationError(f"strategy {name} needs its option {key}: --strategy-option {key}=...")
    return {key: _converted(f"strategy {name}, option {key}", text, takes[key]) for key, text in options.items()}


def _converted(what: str, text: str, parameter: inspect.Parameter) -> object:
    kind = parameter.annotation
    if kind is parameter.empty:
        kind = str if parameter.default in (parameter.empty, None) else type(parameter.default)
    if get_origin(kind) in (Union, UnionType):
        choices = get_args(kind)
        if NoneType in choices and text.lower() == "none":
            return None
        kind = next(choice for choice in choices if choice is not NoneType)
    try:
        if kind is bool:
            return _TRUTH[text.lower()]
        if kind in (int, float, Decimal, str):
            return kind(text)
    except (KeyError, ValueError, InvalidOperation):
        raise ConfigurationError(f"{what}: expected {_WORDS[kind]}, not {text!r}") from None
    raise ConfigurationError(f"{what} is a {getattr(kind, '__name__', kind)}, which cannot be written as text")


_WORDS: Final = {bool: "true or false", int: "a whole number", float: "a number", Decimal: "a number", str: "text"}


def _described(error: BaseException) -> str:
    """An error in one line, with the line of code that raised it where it is not one of ours, which say it all."""
    if isinstance(error, BrokerError):
        return str(error)
    frames = extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        place = f" ({error.filename}, line {error.lineno})"
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}{place}"
