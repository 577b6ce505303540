"""Which broker a session trades through, and whether the simulator may stand in: the fallback policy (decision D8).

Nothing else in the project decides that. A replay, or the simulated backend by name, probes nothing and warns of
nothing. Otherwise the real thing is looked for first, and where the policy lets the simulator stand in, one warning
says why, what was tried and that prices are invented. Real money never falls back.

What the search finds decides what the policy may do. Nobody there, or somebody who does not let us in: the simulator
may stand in. TWS itself, however far we come with it: never, since whoever set it up means to trade on it - at another
address than the one that was set, in a version that is too old, with our client id in use, logged in to another
account, or not answering what an account's state is made of. Only where no client library is installed here to talk
to it, the simulator may stand in all the same.
"""

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from src.brokers.advice import cure, stale_address
from src.brokers.broker import Broker
from src.brokers.findings import Finding, Outcome, answering, nearest
from src.domain.errors import BrokerError, ConfigurationError, ConnectionFailedError, LiveTradingRefusedError
from src.domain.facts import fact

if TYPE_CHECKING:
    from pathlib import Path

    from src.brokers.egress import Egress
    from src.brokers.guarded import GuardedBroker
    from src.brokers.tws.broker import TwsBroker
    from src.settings import Settings

_log = logging.getLogger(__name__)
#: `Opening.fallback_reason` when TWS answers and there is no client library to talk to it; else it is an `Outcome`.
NO_LIBRARY: Final = "ib_library_missing"
_LIBRARY_PHASE: Final = "library"
_HOW_TO_FIND_OUT: Final = "To find out why: python -m src doctor"
_NEVER_MEANWHILE: Final = "Nothing is simulated while TWS is there"
#: Somebody is there: what is to be changed is a setting of TWS.
_NEEDS_A_SETTING: Final = frozenset({Outcome.CLOSED_AFTER_ACCEPT, Outcome.SILENT, Outcome.NOT_TWS})


@fact
class Play:
    """How a simulated market runs: on which files, how fast, from when, and whether its account outlives the process.

    `speed` is market seconds per real second, `math.inf` for as fast as it goes; `start` is epoch nanoseconds, None
    for now. `limits` holds its orders to the limits of a paper account; `journalled` writes down
    what it does although its account does not outlive it.
    """

    replay: "tuple[Path, ...]" = ()
    speed: float = 1.0
    start: int | None = None
    persistent: bool = False
    limits: bool = False
    journalled: bool = False


@fact
class Opening:
    """A connected broker and how it was come by.

    `found` is the TWS behind it, None for the simulator of this process; `tws` runs a function on that connection.
    `fallback_reason` is None unless the simulator stands in.
    """

    broker: "GuardedBroker"
    attempts: tuple[Finding, ...] = ()
    fallback_reason: str | None = None
    found: Finding | None = None
    tws: Callable[[Callable[[Any], Any]], Any] | None = None


class NoBrokerError(ConnectionFailedError):
    """No TWS could be connected to, and the simulator may not stand in; `attempts` is what was tried."""

    def __init__(self, cause: str, attempts: tuple[Finding, ...], *, phase: str = "connect") -> None:
        super().__init__(phase, cause)
        self.attempts = attempts


def open_broker(settings: "Settings", play: Play) -> Opening:
    """Choose a broker, connect it and put it under its guards.

    Raises NoBrokerError when there is none and falling back is not allowed, LiveTradingRefusedError and
    ConfigurationError when TWS is logged in to another account than the settings say, or they ask for what there is
    not.
    """
    from src.brokers.egress import Egress
    from src.brokers.guarding import guarded

    def simulated() -> "GuardedBroker":
        broker = _simulated(settings, play)
        kept = {"lasting": play.persistent, "journalled": play.journalled}
        return guarded(settings, broker, Egress(), limits=play.limits, **kept)

    if play.replay or settings.backend == "simulated":
        return Opening(simulated())
    egress = Egress()
    attempts = _search(settings)
    _refuse_what_must_not_be_simulated(attempts)
    if (found := answering(attempts)) is None:
        reason, why = _explain(attempts)
    elif isinstance(tws := _open_tws(settings, found, attempts, egress), str):
        reason, why = NO_LIBRARY, tws
    else:
        guard = guarded(settings, tws, egress, limits=play.limits, lasting=True)
        tws.use_order_ids_above(guard.highest_order_id)
        return Opening(guard, attempts, found=found, tws=tws.tws)
    _refuse_to_fall_back(settings, why, attempts)
    broker = simulated()
    _log.warning("%s. SIMULATED instead: prices are invented, account %s. %s", why, broker.account_id, _HOW_TO_FIND_OUT)
    return Opening(broker, attempts, reason)


def _open_tws(
    settings: "Settings", found: Finding, attempts: tuple[Finding, ...], egress: "Egress"
) -> "TwsBroker | str":
    """Connect to the TWS that was found; where no library here can talk to it, return that in words."""
    from src.brokers.tws import open_tws

    try:
        where = (lambda: _address(settings)) if settings.host == "auto" else None  # WSL's change at each start of it
        return open_tws(settings, found, egress=egress, where=where)
    except (ConfigurationError, LiveTradingRefusedError):
        raise
    except BrokerError as error:
        phase, cause = (
            (error.phase, error.cause) if isinstance(error, ConnectionFailedError) else ("connect", str(error))
        )
        if phase == _LIBRARY_PHASE:
            return f"TWS answers at {found.where}, but {cause}"
        raise NoBrokerError(f"{cause}. {_NEVER_MEANWHILE}", attempts, phase=phase) from error


def _refuse_to_fall_back(settings: "Settings", why: str, attempts: tuple[Finding, ...]) -> None:
    """Raise NoBrokerError unless the simulator may stand in."""
    if settings.account_type == "live":
        hint = "" if settings.port else " (IBKR_PORT names the port of a live TWS: 7496, IB Gateway 4001)"
        no = f"IBKR_ACCOUNT_TYPE=live: real money is never simulated{hint}"
    elif settings.backend == "tws":
        no = "IBKR_BACKEND=tws forbids the simulator"
    elif settings.fallback == "never":
        no = "IBKR_FALLBACK=never forbids the simulator"
    elif open_business := _open_business(settings):
        no = (
            f"{open_business}: that is never left alone for a simulation. Start TWS, which settles it (`python -m src "
            "orders` lists the orders); IBKR_BACKEND=simulated simulates all the same"
        )
    elif settings.fallback == "ask" and not _person_agrees(why):
        no = "IBKR_FALLBACK=ask, and nobody agreed to simulate"
    else:
        return
    raise NoBrokerError(f"{why}. {no}. {_HOW_TO_FIND_OUT}", attempts)


def _open_business(settings: "Settings") -> str:
    """What the journals of real accounts show unfinished, in words; empty when nothing is."""
    from src.records.open_business import open_business  # brings SQLite

    return open_business(settings.state_dir)


def _simulated(settings: "Settings", play: Play) -> Broker:
    from src.brokers.simulation import open_simulated  # brings numpy and calendars

    broker = open_simulated(settings, play)
    broker.connect()
    return broker


def _address(settings: "Settings") -> tuple[str, int] | None:
    """Where TWS answers now; None where it does not."""
    found = answering(_search(settings))
    return None if found is None else (found.host, found.port)


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
