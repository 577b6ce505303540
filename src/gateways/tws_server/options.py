"""How a gateway is set up, and what it refuses: addresses and ports that could be taken for the real thing."""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from src.domain.errors import ConfigurationError
from src.gateways.scenario import NOTHING, Scenario
from src.gateways.tws_codec import NEWEST, OLDEST

DEFAULT_PORT: Final = 7597
DEFAULT_ACCOUNT: Final = "DUSIM01"
_LIVE_PORTS: Final = {7496: "TWS", 4001: "IB Gateway"}
_ACCOUNT: Final = re.compile(r"[A-Z][A-Z0-9]{3,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """Where the gateway listens and how it answers. `latency` is seconds before each answer; port 0 takes a free one.

    `master_client_id` sees and may cancel every client's orders. `two_step_what_if` answers a what-if as TWS does, an
    empty frame first; `allow_remote` lets it listen beyond this machine, for anybody who can reach it.
    `scenario` makes it misbehave, by chances drawn from `seed`; `log` is a file for the log of truth. Executions and
    permanent ids are numbered from `first_number` on: a program that has seen another run must take none for its own.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    latency: float = 0.020
    max_server_version: int = NEWEST
    master_client_id: int | None = None
    two_step_what_if: bool = False
    allow_remote: bool = False
    scenario: Scenario = NOTHING
    seed: int = 1
    log: Path | None = None
    first_number: int = 1

    def __post_init__(self) -> None:
        if self.port in _LIVE_PORTS:
            raise ConfigurationError(
                f"port {self.port} is where a live {_LIVE_PORTS[self.port]} listens: a simulation must not be there"
            )
        if not 0 <= self.port <= 65_535:
            raise ConfigurationError(f"a port is 0 to 65535, not {self.port}")
        if not (self.allow_remote or _is_loopback(self.host)):
            raise ConfigurationError(
                f"{self.host} can be reached by others, who could trade here unasked: use 127.0.0.1, "
                "or add --allow-remote if that is wanted"
            )
        if not OLDEST <= self.max_server_version <= NEWEST or self.max_server_version == OLDEST + 1:
            raise ConfigurationError(
                f"the server version is {OLDEST}, or {OLDEST + 2} to {NEWEST}, not {self.max_server_version}"
            )
        if not 0 <= self.latency <= 10:
            raise ConfigurationError(f"the latency is 0 to 10 seconds, not {self.latency:g}")


def checked_account(account_id: str) -> str:
    """`account_id` if it could be an account's; ConfigurationError."""
    if not _ACCOUNT.fullmatch(account_id):
        raise ConfigurationError(f"an account id is 4 to 16 capital letters and digits, not {account_id!r}")
    return account_id


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
