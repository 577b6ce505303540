"""A scenario from YAML, strictly: an unknown word is an error that names the line and what was expected.

Values are taken as the text that stands there: `on` is a key and no truth value, and 10:30 a time of day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from src.domain.codes import Meaning, RequestKind, meaning
from src.domain.errors import ConfigurationError
from src.domain.orders import Action as Side
from src.domain.orders import OrderType
from src.gateways.scenario.keys import Keys, unknown
from src.gateways.scenario.rules import Action, ByHand, Matching, Rule, Scenario, allowed_on
from src.gateways.scenario.texts import text_of
from src.gateways.scenario.words import ANSWER_CLASSES, CONNECT, GREETING, GROUPS, REQUEST_WORDS, class_of, field_names

if TYPE_CHECKING:
    from yaml import Node

#: Codes that TWS tells of something that goes on all the same.
_WARNINGS: Final = frozenset(
    {
        Meaning.INFO, Meaning.ORDER_INFO, Meaning.HELD, Meaning.DELAYED, Meaning.ACCOUNT_DATA, Meaning.FARM_DOWN,
        Meaning.LINK_LOST, Meaning.LINK_BACK, Meaning.LINK_BACK_DATA_LOST, Meaning.PORT_CHANGED,
    }
)  # fmt: skip
_EVERY_WORD: Final = {CONNECT, GREETING, *GROUPS, *REQUEST_WORDS, *ANSWER_CLASSES}
#: Which actions take which keys beyond those that all take.
_OWN_KEYS: Final[dict[str, frozenset[Action]]] = {
    "code": frozenset({Action.REFUSE, Action.WARN}),
    "text": frozenset({Action.REFUSE, Action.WARN}),
    "seconds": frozenset({Action.DELAY, Action.HANG, Action.RESTART}),
    "times": frozenset({Action.DUPLICATE}),
    "until": frozenset({Action.REORDER}),
    "set": frozenset({Action.CHANGE}),
    "shares": frozenset({Action.PARTIAL, Action.CORRECT}),
    "price": frozenset({Action.CORRECT}),
    "order": frozenset({Action.ORDER}),
    "symbol": frozenset({Action.LIQUIDATE}),
}
_NEEDED: Final[dict[Action, tuple[str, ...]]] = {
    Action.REFUSE: ("code",),
    Action.WARN: ("code",),
    Action.DELAY: ("seconds",),
    Action.RESTART: ("seconds",),
    Action.CHANGE: ("set",),
    Action.PARTIAL: ("shares",),
    Action.ORDER: ("order",),
    Action.LIQUIDATE: ("symbol",),
}
_KEYS: Final = ("on", "where", "client", "action", *_OWN_KEYS, "at", "after", "probability", "count")
_ORDER_KEYS: Final = (
    "symbol", "action", "quantity", "orderType", "lmtPrice", "auxPrice", "account", "clientId"
)  # fmt: skip
_TYPES: Final = {each.value: each for each in OrderType}
_DAY: Final = 86_400


def read_scenario(path: Path) -> Scenario:
    """The scenario of a file. ConfigurationError names file, line and what was expected."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path.name} is not UTF-8: save it as UTF-8 text") from None
    return scenario_of(text, path.name)


def scenario_of(text: str, name: str = "scenario") -> Scenario:
    """The scenario of a text; `name` stands for the file in messages."""
    import yaml

    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(f"{name}{line} is not valid YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{name} is not valid YAML") from None
    if document is None:
        return Scenario()
    if not isinstance(document, yaml.SequenceNode):
        raise ConfigurationError(f"{name} must be a list of rules, each `- on: ...` or `- at: ...`")
    return Scenario(tuple(_Reader(name, node).rule() for node in document.value))


class _Reader:
    """One rule's keys, made into a rule."""

    def __init__(self, name: str, node: "Node") -> None:
        self._keys = Keys(name, node, "a rule", _KEYS)

    def rule(self) -> Rule:
        """The rule that they make."""
        on = self._matching("on", "where") if "on" in self._keys.given else None
        if on is None and "where" in self._keys.given:
            self._keys.fail("where", "needs `on`: whose fields?")
        action, code = self._action(on)
        self._check_keys(action, on)
        moment, time_of_day = self._at()
        rule = Rule(
            action=action,
            on=on,
            client=self._keys.number("client", int, 0),
            code=code,
            text=self._keys.text("text") or (text_of(code) if code is not None else ""),
            changes=self._changes(on),
            until=self._until(),
            seconds=self._keys.number("seconds", float, 0.0),
            times=self._keys.number("times", int, 2) or 2,
            shares=self._keys.number("shares", Decimal, Decimal(0)),
            price=self._keys.number("price", Decimal, Decimal(0)),
            order=self._order(),
            symbol=self._keys.text("symbol") or "",
            at=moment,
            at_time=time_of_day,
            after=self._keys.number("after", int, 0) or 0,
            count=self._keys.number("count", int, 1),
            place=f"{self._keys.name} line {self._keys.line}",
        )
        probability = self._keys.number("probability", float, 0.0)
        if probability is None:
            return rule
        if not 0 < probability <= 1:
            self._keys.fail("probability", "is above 0 and at most 1")
        return replace(rule, probability=probability)

    def _fields(self, node: "Node", what: str) -> "Iterable[tuple[str, Node]]":
        return Keys(self._keys.name, node, what).given.items()

    # --- the parts of a rule ---------------------------------------------------------------------------------------

    def _action(self, on: Matching | None) -> tuple[Action, int | None]:
        code = self._keys.number("code", int, 0)
        word = self._keys.text("action")
        if word:
            allowed = allowed_on("").copy() if on is None else frozenset.intersection(*map(allowed_on, on.names))
            if word not in set(Action):
                self._keys.fail("action", unknown(word, sorted(allowed)))
            action = Action(word)
            if action not in allowed:
                what = "a rule without `on`" if on is None else "/".join(sorted(on.names)[:3])
                self._keys.fail("action", f"{word} cannot be done by {what}: {', '.join(sorted(allowed))}")
            return action, code
        if code is None:
            self._keys.fail("", "a rule needs an `action`, or a `code`")
        if on is None:
            return Action.WARN, code
        is_warning = meaning(code, RequestKind.NEW) in _WARNINGS and meaning(code, RequestKind.DATA) in _WARNINGS
        action = Action.WARN if is_warning else Action.REFUSE
        if not all(action in allowed_on(name) for name in on.names):
            self._keys.fail("code", "there is no request to answer yet: reset, close, hang or restart")
        return action, code

    def _check_keys(self, action: Action, on: Matching | None) -> None:
        for key, actions in _OWN_KEYS.items():
            if key in self._keys.given and action not in actions:
                self._keys.fail(key, f"belongs to {', '.join(sorted(actions))}, not to {action}")
        for key in _NEEDED.get(action, ()):
            if key not in self._keys.given:
                self._keys.fail("", f"{action} needs `{key}`")
        if on is None:
            if "at" not in self._keys.given:
                self._keys.fail("", "a rule needs `on` (which message) or `at` (when)")
            for key in ("after", "client"):
                if key in self._keys.given:
                    self._keys.fail(key, "needs `on`: after which matches?" if key == "after" else "needs `on`")
        if action is Action.CORRECT and not {"shares", "price"} & self._keys.given.keys():
            self._keys.fail("", "correct needs `price`, `shares` or both")

    def _matching(self, key: str, where: str) -> Matching:
        return self._named(self._keys.words(key), self._keys.given.get(where))

    def _named(self, words: Iterable[tuple[str, int]], where: "Node | None") -> Matching:
        names: set[str] = set()
        for word, line in words:
            if word not in _EVERY_WORD:
                self._keys.fail_at(line, f"{unknown(word, sorted(_EVERY_WORD))}")
            names |= GROUPS.get(word, frozenset({word}))
        classes = {cls for cls in map(class_of, names) if cls is not None}
        wanted: dict[str, object] = {}
        paths: dict[type, dict[str, str]] = {cls: {} for cls in classes}
        for name, node in self._fields(where, "where") if where is not None else ():
            kinds = set()
            for cls in classes:
                found = field_names(cls).get(name)
                if found is not None:
                    paths[cls][name], kind = found
                    kinds.add(kind)
            if not kinds:
                known = sorted({each for cls in classes for each in field_names(cls)})
                self._keys.fail_at(node.start_mark.line + 1, unknown(name, known, "no such field"))
            wanted[name] = self._keys.value(node, next(iter(kinds)) if len(kinds) == 1 else str)
        return Matching(frozenset(names), wanted, paths)

    def _until(self) -> Matching | None:
        import yaml

        node = self._keys.given.get("until")
        if node is None:
            return None
        if isinstance(node, yaml.MappingNode):
            ((key, where),) = node.value if len(node.value) == 1 else (self._keys.fail("until", "names one answer"),)
            found = self._named([(self._keys.plain(key), key.start_mark.line + 1)], where)
        else:
            found = self._matching("until", "")
        if not found.is_answer:
            self._keys.fail("until", "names an answer")
        return found

    def _changes(self, on: Matching | None) -> Mapping[str, Any]:
        node = self._keys.given.get("set")
        if node is None or on is None:
            return {}
        if len(on.names) != 1 and len({class_of(name) for name in on.names}) != 1:
            self._keys.fail("set", "changes the fields of one kind of answer: name one in `on`")
        cls = class_of(next(iter(on.names)))
        known = field_names(cls) if cls is not None else {}
        changes = {}
        for name, value in self._fields(node, "set"):
            if name not in known:
                self._keys.fail_at(value.start_mark.line + 1, unknown(name, sorted(known), "no such field"))
            path, kind = known[name]
            changes[path] = self._keys.value(value, kind)
        return changes

    def _at(self) -> tuple[float, int | None]:
        text = self._keys.text("at")
        if text is None:
            return 0.0, None
        if ":" not in text:
            return self._keys.number("at", float, 0.0) or 0.0, None
        parts = text.split(":")
        if len(parts) not in (2, 3) or not all(part.isdecimal() and len(part) == 2 for part in parts):
            self._keys.fail("at", f"{text!r} is neither seconds nor a time of day like 10:30")
        hours, minutes, seconds = (*map(int, parts), 0)[:3]
        if hours > 23 or minutes > 59 or seconds > 59:
            self._keys.fail("at", f"{text!r} is no time of day")
        return 0.0, hours * 3600 + minutes * 60 + seconds

    def _order(self) -> ByHand | None:
        node = self._keys.given.get("order")
        if node is None:
            return None
        keys = Keys(self._keys.name, node, "order", _ORDER_KEYS)
        for key in ("symbol", "action", "quantity"):
            if key not in keys:
                keys.fail("", f"an order needs `{key}`")
        return ByHand(
            symbol=keys.text("symbol") or "",
            side=keys.one_of("action", {each.value: each for each in Side}),
            quantity=keys.number("quantity", Decimal, Decimal(1)),
            order_type=keys.one_of("orderType", _TYPES) if "orderType" in keys else OrderType.MARKET,
            limit_price=keys.number("lmtPrice", Decimal, Decimal(0)),
            stop_price=keys.number("auxPrice", Decimal, Decimal(0)),
            account=keys.text("account") or "",
            client_id=keys.number("clientId", int, 0) or 0,
        )
