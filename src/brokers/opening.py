"""Which broker a session trades through, and whether the simulator may stand in: the fallback policy (decision D8).

Nothing else in the project decides that. A replay, or the simulated backend by name, probes nothing and warns of
nothing. Otherwise the real thing is looked for first, and where the policy lets the simulator stand in, one warning
says why, what was tried and that prices are invented. Real money never falls back.

What the search finds decides what the policy may do. Nobody there, or somebody who does not let us in: the simulator
may stand in. TWS itself, at another address than the one that was set or in a version that is too old: never, since
whoever set it up means to trade on it. There is no TWS backend in this version yet: `_open_tws` is its place.
"""

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from src.brokers.advice import cure, stale_address
from src.brokers.broker import Broker
from src.brokers.findings import Finding, Outcome, answering, nearest
from src.domain.errors import ConfigurationError, ConnectionFailedError, LiveTradingRefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from src.settings import Settings

_log = logging.getLogger(__name__)
#: `Opening.fallback_reason` when something listens that this version cannot talk to; else it is an `Outcome`.
NO_TWS_BACKEND: Final = "no_tws_backend"
_HOW_TO_FIND_OUT: Final = "To find out why: python test_ibkr_connection.py"
_NEVER_MEANWHILE: Final = "Nothing is simulated while TWS is there"
#: Somebody is there: what is to be changed is a setting of TWS.
_NEEDS_A_SETTING: Final = frozenset({Outcome.CLOSED_AFTER_ACCEPT, Outcome.SILENT, Outcome.NOT_TWS})


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
    """No TWS could be connected to, and the simulator may not stand in; `attempts` is what was tried."""

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
    _refuse_what_must_not_be_simulated(attempts)
    if (found := answering(attempts)) is not None and (broker := _open_tws(settings, found)) is not None:
        return Opening(broker, attempts)
    reason, why = _explain(attempts)
    if settings.fallback == "never":
        raise NoBrokerError(f"{why}. IBKR_FALLBACK=never forbids the simulator. {_HOW_TO_FIND_OUT}", attempts)
    if settings.fallback == "ask" and not _person_agrees(why):
        raise NoBrokerError(f"{why}. IBKR_FALLBACK=ask, and nobody agreed to simulate. {_HOW_TO_FIND_OUT}", attempts)
    broker = _simulated(settings, play)
    _log.warning("%s. SIMULATED instead: prices are invented, account %s. %s", why, broker.account_id, _HOW_TO_FIND_OUT)
    return Opening(broker, attempts, reason)


def _open_tws(settings: "Settings", found: Finding) -> Broker | None:
    """Connect to the TWS that was found: the one place where a finding becomes the TWS backend.

    None: this version has no such backend yet, and the policy goes on as if nobody had answered.
    """
    del settings, found
    return None


def _simulated(settings: "Settings", play: Play) -> Broker:
    from src.brokers.simulation import open_simulated  # brings numpy and calendars

    broker = open_simulated(settings, play)
    broker.connect()
    return broker


def _search(settings: "Settings") -> tuple[Finding, ...]:
    from src.brokers.discovery import search  # brings sockets and subprocesses

    host = None if settings.host == "auto" else settings.host
    attempts = search(host, settings.port, settings.allowed_hosts, patience=settings.connect_timeout)
    if any(each.is_named and each.outcome is Outcome.NOT_ALLOWED for each in attempts):
        raise ConfigurationError(
            f"IBKR_HOST_IP: {settings.host} is a public address, and TWS's connection is neither encrypted nor "
            "authenticated; name it in IBKR_ALLOWED_HOSTS if that is meant"
        )
    return attempts


def _refuse_what_must_not_be_simulated(attempts: tuple[Finding, ...]) -> None:
    found, named = answering(attempts), next((each for each in attempts if each.is_named), None)
    if found is not None and named is not None and not found.is_named:
        where, *_ = stale_address(named, found)
        raise NoBrokerError(f"No TWS at {named}. {where}. {_NEVER_MEANWHILE}", attempts)
    old = next((each for each in attempts if each.outcome is Outcome.TOO_OLD), None)
    if found is None and old is not None:
        what, *_ = cure(old)
        raise NoBrokerError(f"{old.where}: {old.words}. {what}. {_NEVER_MEANWHILE}", attempts)


def _explain(attempts: tuple[Finding, ...]) -> tuple[str, str]:
    """The reason for falling back, for a machine and for a person."""
    if (found := answering(attempts)) is not None:
        return NO_TWS_BACKEND, f"TWS answers at {found.where}, but this version has no TWS backend yet"
    decisive = nearest(attempts)
    why = f"No TWS answered. Tried {', '.join(map(str, attempts))}"
    if decisive.outcome in _NEEDS_A_SETTING:
        what, *_ = cure(decisive)
        why = f"{why}. What to change for {decisive.where}: {what}"
    return decisive.outcome.value, why


def _person_agrees(why: str) -> bool:
    """Ask on the terminal; without one, nobody agrees."""
    if sys.stdin is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write(f"{why}.\nTrade on the simulator instead, with invented prices? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
