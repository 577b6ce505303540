"""What each setting may be. Imported by `load_settings` alone, since pydantic is heavy."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic asks for this one below Python 3.12

from src.domain.errors import ConfigurationError
from src.settings.model import NOTIFY_EVENTS

_MAX_PORT = 65_535
_DAY = 86_400


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def _word(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _port_or(word: str, lowest: int) -> Callable[[object], int | None]:
    def parsed(value: object) -> int | None:
        text = "" if isinstance(value, bool) else str(value).lower()
        if text == word:
            return None
        if re.fullmatch("[0-9]{1,5}", text) and lowest <= int(text) <= _MAX_PORT:
            return int(text)
        raise ValueError(f"should be {word} or a port from {lowest} to {_MAX_PORT}")

    return parsed


def _address(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if text.lower() == "auto":
        return "auto"
    if text.isdecimal() or not re.fullmatch(r"[\w.:%-]+", text) or text.count(":") == 1:
        raise ValueError("should be auto, a host name or an address; the port is a setting of its own")
    return text


def _several(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = re.split(r"[\s,;]+", value)
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError("should be names, separated by commas or blanks")
    return tuple(dict.fromkeys(item.strip() for item in value if item.strip()))


def _tickers(value: object) -> tuple[str, ...]:
    symbols = tuple(dict.fromkeys(item.upper() for item in _several(value)))
    if not symbols or not all(re.fullmatch(r"[A-Z0-9][A-Z0-9./ -]{0,19}", symbol) for symbol in symbols):
        raise ValueError("should be at least one symbol, separated by commas or blanks: NVDA,MSFT")
    return symbols


def _web_address(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", text.strip()):
        raise ValueError("should be an address that begins with https://")
    return text.strip()


def _notified(value: object) -> tuple[str, ...]:
    events = tuple(item.lower() for item in _several(value))
    if events == ("none",):
        return ()
    if not set(events) <= set(NOTIFY_EVENTS):
        raise ValueError(f"should be some of {', '.join(NOTIFY_EVENTS)}, or none")
    return events


Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=0, le=2**31 - 1)]
Seconds = Annotated[float, BeforeValidator(_number), Field(gt=0, le=_DAY, allow_inf_nan=False)]
Word = BeforeValidator(_word)


class _Values(TypedDict, total=False):
    __pydantic_config__ = ConfigDict(str_strip_whitespace=True, hide_input_in_errors=True)  # type: ignore[misc]

    host: Annotated[str, PlainValidator(_address)]
    port: Annotated[int | None, PlainValidator(_port_or("auto", 1))]
    client_id: Count
    check_client_id: Count
    backend: Annotated[Literal["auto", "tws", "simulated"], Word]
    library: Annotated[Literal["auto", "ib_insync", "ib_async"], Word]
    fallback: Annotated[Literal["auto", "ask", "never"], Word]
    account_type: Annotated[Literal["paper", "live"], Word]
    allow_live: str
    read_only: bool
    allowed_hosts: Annotated[tuple[str, ...], PlainValidator(_several)]
    account_id: str
    market_data_type: Annotated[int, BeforeValidator(_number), Field(ge=1, le=4)]
    connect_timeout: Seconds
    read_timeout: Seconds
    order_timeout: Seconds
    historical_data_timeout: Seconds
    auto_reconnect: bool
    max_reconnect_attempts: Count
    reconnect_delay: Seconds
    max_requests_per_second: Annotated[int, BeforeValidator(_number), Field(ge=1, le=1000)]
    symbols: Annotated[tuple[str, ...], PlainValidator(_tickers)]
    on_exit: Annotated[Literal["cancel", "keep", "flatten"], Word]
    state_dir: Path
    strategy: Text
    initial_capital: Annotated[Decimal, BeforeValidator(_number), Field(gt=0, lt=10**12)]
    data_source: Annotated[Literal["ibkr"], Word]
    sim_seed: Annotated[int, BeforeValidator(_number), Field(ge=0, lt=2**63)]
    sim_preset: Annotated[Literal["ideal", "realistic"], Word]
    sim_market_hours: Annotated[Literal["always", "nyse", "auto"], Word]
    sim_fees: Annotated[Literal["fixed", "commission", "none"], Word]
    sim_hard_to_borrow: Annotated[tuple[str, ...], PlainValidator(_tickers)]
    metrics_host: Text
    metrics_port: Annotated[int | None, PlainValidator(_port_or("off", 0))]
    metrics_linger: Annotated[float, BeforeValidator(_number), Field(ge=0, le=_DAY, allow_inf_nan=False)]
    metrics_token: Annotated[str, Field(min_length=16)]
    notify_webhook: Annotated[str, PlainValidator(_web_address)]
    notify_format: Annotated[Literal["auto", "discord", "slack", "ntfy"], Word]
    notify_command: Text
    notify_events: Annotated[tuple[str, ...], PlainValidator(_notified)]
    notify_disconnected_after: Seconds
    notify_per_minute: Annotated[int, BeforeValidator(_number), Field(ge=1, le=60)]


FIELDS = frozenset(_Values.__annotations__)
_ADAPTER = TypeAdapter(_Values)


def validated(values: Mapping[str, object], labels: Mapping[str, str]) -> dict[str, Any]:
    """The values in their types. ConfigurationError names each wrong one by its label, and never shows its value."""
    try:
        return dict(_ADAPTER.validate_python(dict(values)))
    except ValidationError as error:
        wrong = [
            f"{labels[str(detail['loc'][0])]} {_message(detail['msg'])}"
            for detail in error.errors(include_url=False, include_input=False, include_context=False)
        ]
    raise ConfigurationError("; ".join(wrong))


def _message(text: str) -> str:
    """Pydantic's sentence as the end of ours."""
    return text.removeprefix("Value error, ").removeprefix("Input ").replace("should", "must", 1)
