"""An unmodified TWS client library without its socket: what it sends, and what it makes of what we send."""

import asyncio
import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any

from src.gateways.tws_codec import WireContract
from tests.gateways.tws_codec_examples import VERSIONS

#: An object of the library, which has no types.
Theirs = Any
#: The one that is installed: ib_insync, or ib_async. Both would clash.
NAME = "ib_insync" if importlib.util.find_spec("ib_insync") else "ib_async"


def library() -> ModuleType:
    """The library. It wants an event loop when it is imported."""
    return importlib.import_module(NAME)


def versions() -> list[int]:
    """The server versions that the library knows."""
    return [version for version in VERSIONS if version <= (176 if NAME == "ib_insync" else 178)]


class _Wire:
    """In place of a socket."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def sendMsg(self, data: bytes) -> None:  # noqa: N802
        self.sent.append(data)


@contextmanager
def event_loop() -> Iterator[None]:
    """An event loop that never runs."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def sent_by(method: str, *arguments: Theirs, version: int) -> bytes:
    """The one payload that the library's client sends for a call, at a server version."""
    with event_loop():
        client = importlib.import_module(f"{NAME}.client").Client(object())
        client.MaxRequests = 0
        client.conn = wire = _Wire()
        client.connState = client.CONNECTED
        client._serverVersion = version
        getattr(client, method)(*arguments)
    (data,) = wire.sent
    assert int.from_bytes(data[:4]) == len(data) - 4
    return data[4:]


class _Recorder:
    """A wrapper that notes every call of the library's decoder."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.ib = self
        self.TimezoneTWS = "US/Eastern"
        self.defaultTimezone = UTC

    def __getattr__(self, name: str) -> Theirs:
        return lambda *arguments: self.calls.append((name, arguments))


def heard_by(payload: bytes, version: int) -> list[tuple[str, tuple[Any, ...]]]:
    """The calls that the library's decoder makes for a payload: names and arguments."""
    with event_loop():
        decoder = importlib.import_module(f"{NAME}.decoder")
        recorder = _Recorder()
        texts = payload.decode().split("\0")
        texts.pop()
        decoder.Decoder(recorder, version).interpret(texts)
    return recorder.calls


def plain(value: Theirs) -> Theirs:
    """A value of either side in one form: numbers by value, unset as None, objects as their fields."""
    if is_dataclass(value):
        return {_flat(field.name): plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "_asdict"):
        return {_flat(name): plain(part) for name, part in value._asdict().items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return Decimal(int(value.timestamp()))
    return _number(value) if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else value


def _number(value: float | Decimal) -> Decimal | None:
    number = Decimal(str(value))
    unset = number == 2**31 - 1 or (number.is_finite() and number > Decimal("1E300"))
    return None if unset else number


def _flat(name: str) -> str:
    """A field's name without case and underscores, so that `con_id` meets `conId`."""
    return name.replace("_", "").lower()


def same(path: str) -> str:
    """A path's last name, as `plain` spells it."""
    return _flat(path.rpartition(".")[2])


STOCK = WireContract(265598, "AAPL", "STK", "20261218", 150.0, "C", "100", "SMART", "NASDAQ", "USD", "AAPL", "NMS")
EXPIRED = replace(STOCK, include_expired=True)


def ib_contract(**more: Theirs) -> Theirs:
    """The same contract in the library's words."""
    names = {same(field.name): field.name for field in fields(library().Contract)}
    ours = {names[same(field.name)]: getattr(STOCK, field.name) for field in fields(STOCK)[:12]}
    return library().Contract(**{**ours, "includeExpired": True, **more})
