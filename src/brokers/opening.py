"""Which broker a session trades through, and whether the simulator may stand in: the fallback policy (decision D8).

Nothing else in the project decides that. A replay, or the simulated backend by name, probes nothing and warns of
nothing. Otherwise the real thing is looked for first, and where the policy lets the simulator stand in, one warning
says why, what was tried and that prices are invented. Real money never falls back.

There is no TWS backend in this version: what answers a probe is named, and is not talked to.
"""

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from src.brokers.broker import Broker
from src.brokers.findings import Finding, Outcome
from src.domain.errors import ConfigurationError, ConnectionFailedError, LiveTradingRefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from src.settings import Settings

_log = logging.getLogger(__name__)
#: `Opening.fallback_reason` when something listens that this version cannot talk to; else it is an `Outcome`.
NO_TWS_BACKEND: Final = "no_tws_backend"
_HOW_TO_FIND_OUT: Final = "To find out why: python test_ibkr_connection.py"
#: What decides when addresses differ: the outcome nearest to a connection.
_NEAREST_FIRST: Final = (Outcome.FILTERED, Outcome.NOT_LISTENING, Outcome.UNREACHABLE, Outcome.UNRESOLVED)


@dataclass(frozen=True, slots=True)
class Play:
    """How a simulated market runs: on which files, how fast, from when, and whether its account outlives the process.

    `speed` is market seconds per real second, `math.inf` for as fast as it goes; `start` is epoch nanoseconds, None
    for now.
    """

    replay: "tuple[Path, ...]" = ()
    speed: float = 1.0
    start: int | None = None
    persistent: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """A connected broker and how it was come by; `fallback_reason` is None unless the simulator stands in."""

    broker: Broker
    attempts: tuple[Finding, ...] = ()
    fallback_reason: str | None = None


class NoBrokerError(ConnectionFailedError):
    """Nothing could be connected to, and the simulator may not stand in; `attempts` is what was tried."""

    def __init__(self, cause: str, attempts: tuple[Finding, ...]) -> None:
        super().__init__("connect", cause)
        self.attempts = attempts


def open_broker(settings: "Settings", play: Play) -> Opening:
    """Choose a broker and connect it.

    Raises NoBrokerError when nothing is reachable and falling back is not allowed, LiveTradingRefusedError rather than
    simulate real money, ConfigurationError when the settings ask for what there is not.
    """
    if play.replay or settings.backend == "simulated":
        return Opening(_simulated(settings, play))
    if settings.backend == "tws":
        raise ConfigurationError(
            "IBKR_BACKEND=tws: the TWS backend is not part of this version yet; use IBKR_BACKEND=auto or simulated"
        )
    if settings.account_type == "live":
        raise LiveTradingRefusedError(
            "IBKR_ACCOUNT_TYPE=live: real money needs TWS, this version has no TWS backend yet, and a live account is "
            "never simulated instead; use IBKR_ACCOUNT_TYPE=paper, or IBKR_BACKEND=simulated"
        )
    attempts = _search(settings)
    reason, why = _explain(attempts)
    if settings.fallback == "never":
        raise NoBrokerError(f"{why}. IBKR_FALLBACK=never forbids the simulator. {_HOW_TO_FIND_OUT}", attempts)
    if settings.fallback == "ask" and not _person_agrees(why):
        raise NoBrokerError(f"{why}. IBKR_FALLBACK=ask, and nobody agreed to simulate. {_HOW_TO_FIND_OUT}", attempts)
    broker = _simulated(settings, play)
    _log.warning("%s. SIMULATED instead: prices are invented, account %s. %s", why, broker.account_id, _HOW_TO_FIND_OUT)
    return Opening(broker, attempts, reason)


def _simulated(settings: "Settings", play: Play) -> Broker:
    from src.brokers.simulation import open_simulated  # brings numpy and calendars

    broker = open_simulated(settings, play)
    broker.connect()
    return broker


def _search(settings: "Settings") -> tuple[Finding, ...]:
    from src.brokers.discovery import search  # brings sockets and subprocesses

    host = None if settings.host == "auto" else settings.host
    attempts = search(host, settings.port, settings.allowed_hosts)
    if any(each.outcome is Outcome.NOT_ALLOWED for each in attempts):
        raise ConfigurationError(
            f"IBKR_HOST_IP: {settings.host} is a public address, and TWS's connection is neither encrypted nor "
            "authenticated; name it in IBKR_ALLOWED_HOSTS if that is meant"
        )
    return attempts


def _explain(attempts: tuple[Finding, ...]) -> tuple[str, str]:
    """The reason for falling back, for a machine and for a person."""
    for each in attempts:
        if each.outcome is Outcome.LISTENING:
            return NO_TWS_BACKEND, (
                f"Something answers at {each.host}:{each.port}, but this version has no TWS backend yet"
            )
    found = {each.outcome for each in attempts}
    reason = next(outcome for outcome in _NEAREST_FIRST if outcome in found)
    return reason.value, f"No TWS answered. Tried {', '.join(map(str, attempts))}"


def _person_agrees(why: str) -> bool:
    """Ask on the terminal; without one, nobody agrees."""
    if sys.stdin is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write(f"{why}.\nTrade on the simulator instead, with invented prices? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
