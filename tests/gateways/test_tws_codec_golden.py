"""Golden frames, with what they mean: requests captured from unmodified clients, replies as real servers form them.

A file in `tests/wire/golden` holds entries of three lines: `# version, what it is`, the payload with `|` for NUL, and
the message without what has its default.
"""

from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from src.gateways.tws_codec import WireOrder, decode_reply, decode_request, encode_reply, encode_request

GOLDEN = Path(__file__).resolve().parents[1] / "wire" / "golden"


class Entry(NamedTuple):
    """One frame and its meaning."""

    version: int
    what: str
    payload: bytes
    meaning: str


def entries(pattern: str) -> list[Entry]:
    """The entries of the files that fit."""
    found = []
    for path in sorted(GOLDEN.glob(pattern)):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
        for head, frame, meaning in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
            version, _, what = head.removeprefix("# ").partition(", ")
            found.append(Entry(int(version), f"{path.stem}: {what}", frame.replace("|", "\0").encode(), meaning))
    return found


def shown(thing: object) -> str:
    """A message as text, without what has its default."""
    if isinstance(thing, Decimal):
        return f"{thing:f}"
    if isinstance(thing, WireOrder):
        defaults = thing._field_defaults
    elif is_dataclass(thing):
        defaults = {field.name: field.default for field in fields(thing)}
    elif isinstance(thing, tuple):
        return f"[{', '.join(map(shown, thing))}]"
    else:
        return repr(thing)
    values = {name: getattr(thing, name) for name in defaults}
    said = [
        f"{name}={shown(values[name])}"
        for name, default in defaults.items()
        if default is MISSING or values[name] != default
    ]
    return f"{type(thing).__name__}({', '.join(said)})"


def test_there_are_golden_frames() -> None:
    assert len(entries("requests_*.txt")) >= 40
    assert len(entries("replies*.txt")) >= 30


@pytest.mark.parametrize("entry", entries("requests_*.txt"), ids=lambda entry: f"{entry.what}-{entry.version}")
def test_a_recorded_request_means_what_it_meant(entry: Entry) -> None:
    request = decode_request(entry.payload, entry.version)
    assert shown(request) == entry.meaning
    assert decode_request(encode_request(request, entry.version), entry.version) == request


@pytest.mark.parametrize("entry", entries("replies*.txt"), ids=lambda entry: f"{entry.what}-{entry.version}")
def test_a_reply_is_written_byte_for_byte(entry: Entry) -> None:
    reply = decode_reply(entry.payload, entry.version)
    assert shown(reply) == entry.meaning
    assert encode_reply(reply, entry.version) == entry.payload
