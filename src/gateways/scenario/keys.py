"""The keys of one mapping of a scenario's file, and its values as numbers, words and fields; errors name the line."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from src.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from yaml import Node


class Keys:
    """A mapping whose keys are all known and given once; ConfigurationError otherwise. `what` it is, for messages."""

    def __init__(self, name: str, node: "Node", what: str, known: tuple[str, ...] = ()) -> None:
        import yaml

        self.name, self.line = name, node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            self.fail_at(self.line, f"{what} is a mapping, like {{name: value}}")
        self.given: dict[str, Node] = {}
        for key, value in node.value:
            word, line = self.plain(key), key.start_mark.line + 1
            if known and word not in known:
                self.fail_at(line, unknown(word, known, "no such key"))
            if word in self.given:
                self.fail_at(line, f"`{word}` is given twice")
            self.given[word] = value

    def __contains__(self, key: str) -> bool:
        return key in self.given

    def plain(self, node: "Node") -> str:
        """The text that stands there."""
        import yaml

        if not isinstance(node, yaml.ScalarNode):
            self.fail_at(node.start_mark.line + 1, "expected a plain word or number")
        return str(node.value)

    def words(self, key: str) -> list[tuple[str, int]]:
        """One word or a list of them, each with its line."""
        import yaml

        node = self.given[key]
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not nodes:
            self.fail(key, "names at least one message")
        return [(self.plain(each), each.start_mark.line + 1) for each in nodes]

    def text(self, key: str) -> str | None:
        """The text of a key; None where it is not given."""
        return self.plain(self.given[key]) if key in self.given else None

    def one_of(self, key: str, words: Mapping[str, Any]) -> Any:  # noqa: ANN401
        """What a word stands for."""
        word = self.text(key) or ""
        if word not in words:
            self.fail(key, unknown(word, words))
        return words[word]

    def number(self, key: str, kind: Callable[[str], Any], least: Any) -> Any:  # noqa: ANN401
        """A finite number from `least` on; None where it is not given."""
        text = self.text(key)
        if text is None:
            return None
        try:
            number = kind(text)
            is_right = number >= least and number != Decimal("Infinity")
        except (ValueError, ArithmeticError):
            is_right = False
        if not is_right:
            what = "a whole number" if kind is int else "a number"
            self.fail(key, f"expected {what} from {least} on, not {text!r}")
        return number

    def value(self, node: "Node", kind: type) -> object:
        """A field's value, as the field's type has it; NaN and infinities are what some faults are made of."""
        text = self.plain(node)
        try:
            if kind is bool:
                return {"true": True, "false": False, "1": True, "0": False}[text.lower()]
            return text if kind is str else kind(text.lower().replace(".nan", "nan").replace(".inf", "inf"))
        except (KeyError, ValueError, ArithmeticError):
            self.fail_at(node.start_mark.line + 1, f"expected {kind.__name__.lower()}, not {text!r}")

    def fail(self, key: str, what: str) -> NoReturn:
        """Raise the error of a key; "" for the mapping itself."""
        line = self.given[key].start_mark.line + 1 if key in self.given else self.line
        self.fail_at(line, f"`{key}`: {what}" if key else what)

    def fail_at(self, line: int, what: str) -> NoReturn:
        """Raise the error of a line."""
        raise ConfigurationError(f"{self.name} line {line}: {what}")


def unknown(word: str, known: Iterable[str], what: str = "unknown word") -> str:
    """What to say of a word that is none of these."""
    words = list(known)
    near = get_close_matches(word, words, n=1)
    more = " ..." if len(words) > 12 else ""
    return f"{what} {word!r}: " + (f"did you mean {near[0]}?" if near else f"expected {', '.join(words[:12])}{more}")
