"""Settings as they are written, by name: the process environment, a `.env` file, a YAML file.

All values are text, as in an environment; a YAML list becomes "a,b". Empty values count as not given.
Messages name a place (file, line) and a name, never a value.
"""

import logging
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from src.domain.errors import ConfigurationError
from src.settings.names import CREDENTIALS, is_known, is_meant_among_others, is_meant_for_us, nearest

if TYPE_CHECKING:
    from yaml import Node

_log = logging.getLogger(__name__)
# A stray line may be a part of a secret: only what looks like a variable's name is ever repeated.
_ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]{0,63})\s*=")
_FIRST_WORD: Final = re.compile(r"\s*(?:export\s+)?(\w+)")
_YAML_NULL: Final = "tag:yaml.org,2002:null"


class Given(NamedTuple):
    """One setting as somebody wrote it; `place` says where, for messages."""

    name: str
    value: str
    place: str


Source = Mapping[str, Given]


def from_environment(environ: Mapping[str, str]) -> Source:
    """The settings among the variables of a process. A credential's value is not even looked at."""
    names = [name for name in environ if is_known(name) and name not in CREDENTIALS]
    for name in environ:
        if not is_known(name) and name.upper() not in CREDENTIALS and is_meant_among_others(name):
            _log.warning("the environment: %s is no setting and is ignored: %s", name, nearest(name))
    return _by_name([Given(name, environ[name], "the environment") for name in names])


def from_env_file(path: Path) -> Source:
    """The settings of a `.env` file; none when there is no such file. A line that cannot be read is an error."""
    from dotenv.parser import parse_stream

    if not path.exists():
        return {}
    facts = path.stat()
    if is_anothers(facts.st_mode, facts.st_uid):
        _log.warning("%s belongs to another user, who can change it: give it to yours (chown), %s", path.name, path)
    if is_open_to_others(facts.st_mode):
        _log.warning("%s can be read by others on this machine: chmod 600 %s", path.name, path)
    lines = []
    for binding in parse_stream(StringIO(_text_of(path))):
        written = binding.original.string
        blank = written[: len(written) - len(written.lstrip())]
        place = f"{path.name} line {binding.original.line + len(blank.splitlines())}"
        if binding.error or (binding.key is not None and binding.value is None):
            raise ConfigurationError(f"{place}{_key_of(written)} is malformed: write NAME=value and close every quote")
        if binding.key is None or binding.key.upper() in CREDENTIALS:
            continue
        if is_known(binding.key):
            lines.append(Given(binding.key, binding.value or "", place))
        elif is_meant_for_us(binding.key):
            _log.warning("%s: %s is no setting and is ignored: %s", place, binding.key, nearest(binding.key))
    _warn_of_repeats(lines)
    return _by_name(lines)


def is_open_to_others(mode: int) -> bool:
    """Whether a mode lets others read a file. A drive that knows no modes, as Windows' in WSL, shows 0777 for all."""
    return os.name == "posix" and mode & 0o777 != 0o777 and bool(mode & 0o077)


def is_anothers(mode: int, owner: int) -> bool:
    """Whether a file is some other person's: neither ours nor root's, and on a drive that knows modes and owners."""
    return sys.platform != "win32" and mode & 0o777 != 0o777 and owner not in (0, os.getuid())


def from_yaml(path: Path) -> Source:
    """The settings of a YAML file: a mapping of the same names to plain values or lists. An unknown name fails."""
    import yaml

    try:
        document = yaml.compose(_text_of(path), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(f"{path.name}{line} is not valid YAML") from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{path.name} is not valid YAML") from None
    if document is None:
        return {}
    if not isinstance(document, yaml.MappingNode):
        raise ConfigurationError(f"{path.name} must be a mapping, one NAME: value a line")
    lines = []
    for key, value in document.value:
        place = f"{path.name} line {key.start_mark.line + 1}"
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else "a name that is not text"
        if not is_known(name):
            raise ConfigurationError(f"{place}: unknown setting {name}; {nearest(name)}")
        if name not in CREDENTIALS:
            lines.append(Given(name, _plain(value, f"{name} ({place})"), place))
    _warn_of_repeats(lines)
    return _by_name(lines)


def _plain(node: "Node", label: str) -> str:
    """A node as the text a person wrote: `NO` stays NO, and `ON` is a stock."""
    from yaml import ScalarNode, SequenceNode

    if isinstance(node, ScalarNode):
        return "" if node.tag == _YAML_NULL else str(node.value)
    if isinstance(node, SequenceNode) and all(isinstance(item, ScalarNode) for item in node.value):
        return ",".join(str(item.value) for item in node.value)
    raise ConfigurationError(f"{label}: must be a plain value or a list of them")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path.name} is not UTF-8: save it as UTF-8 text") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def _key_of(written: str) -> str:
    if match := _ASSIGNMENT.match(written):
        return f" ({match[1]})"
    word = _FIRST_WORD.match(written)
    return f" ({word[1]})" if word and is_known(word[1]) else ""


def _by_name(lines: Iterable[Given]) -> Source:
    return {line.name: line for line in lines if line.value.strip()}


def _warn_of_repeats(lines: Sequence[Given]) -> None:
    places = defaultdict(list)
    for line in lines:
        places[line.name].append(line.place)
    for name, where in places.items():
        if len(where) > 1:
            _log.warning("%s is given more than once (%s): the last one counts", name, ", ".join(where))
