"""The settings as plain values, with their defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

#: What a person can be told of.
NOTIFY_EVENTS: Final = ("disconnected", "rejected", "refused", "kill", "summary")


def default_state_dir() -> Path:
    """The folder where this system keeps a user's state."""
    from platformdirs import user_state_path

    return user_state_path("understudy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Timeouts and delays are seconds; account ids stay out of the repr."""

    host: str = "auto"
    port: int | None = None  # None: the paper ports are tried in turn
    client_id: int = 1
    check_client_id: int = 101  # unless given, the client id + 100
    backend: Literal["auto", "tws", "simulated"] = "auto"
    library: Literal["auto", "ib_insync", "ib_async"] = "auto"
    fallback: Literal["auto", "ask", "never"] = "auto"
    account_type: Literal["paper", "live"] = "paper"
    allow_live: str = field(default="", repr=False)  # the id of the one account that may trade real money
    read_only: bool = False
    allowed_hosts: tuple[str, ...] = ()  # besides loopback and private addresses
    account_id: str = field(default="", repr=False)  # "": the only managed account
    market_data_type: int = 3
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    order_timeout: float = 5.0
    historical_data_timeout: float = 60.0
    auto_reconnect: bool = True
    max_reconnect_attempts: int = 0  # 0: never give up
    reconnect_delay: float = 5.0
    max_requests_per_second: int = 45
    symbols: tuple[str, ...] = ("NVDA", "MSFT")
    on_exit: Literal["cancel", "keep", "flatten"] = "cancel"
    state_dir: Path = field(default_factory=default_state_dir)
    strategy: str = "sma"
    initial_capital: Decimal = Decimal(100_000)
    data_source: Literal["ibkr"] = "ibkr"
    sim_seed: int = 1
    sim_preset: Literal["ideal", "realistic"] = "realistic"
    sim_market_hours: Literal["always", "nyse", "auto"] = "auto"  # auto: always, and nyse in a replay
    sim_fees: Literal["fixed", "commission", "none"] = "fixed"
    sim_hard_to_borrow: tuple[str, ...] = ()  # symbols that cannot be sold short
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = 8000  # None: off
    metrics_linger: float = 20.0  # seconds an ended session waits for its last scrape; 0: not at all
    metrics_token: str = field(default="", repr=False)  # asked of every scraper; needed off loopback
    notify_webhook: str = field(default="", repr=False)  # its address is a secret
    notify_format: Literal["auto", "discord", "slack", "ntfy"] = "auto"  # auto: by the webhook's host
    notify_command: str = field(default="", repr=False)
    notify_events: tuple[str, ...] = NOTIFY_EVENTS
    notify_disconnected_after: float = 60.0  # seconds
    notify_per_minute: int = 6
    risk: Mapping[str, str] = field(
        default_factory=lambda: MappingProxyType({}), hash=False
    )  # RISK_<LIMIT>, as written
    #: The fields that somebody has set; how they came by their values makes no settings differ.
    given: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
