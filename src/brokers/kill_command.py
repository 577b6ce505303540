"""`python -m src kill` and `resume`: the kill switch from outside, also when the trader hangs or is gone.

An order can be cancelled only by the client id that placed it. So the traders of the state folder are told by the file
first, and say when it is done. One that does not say so within two seconds either hangs - then its process is named,
since nobody else can use its client id while it lives - or is gone: then its place is taken, under its client id and
behind all guards, and its orders are cancelled from here.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from src.brokers import kill as switch
from src.brokers.findings import Finding, Outcome
from src.domain.errors import BrokerError, ConfigurationError
from src.runtime.worker import wait_until

if TYPE_CHECKING:
    from src.brokers.broker import Broker
    from src.settings import Settings

_ANSWER_SECONDS: Final = 2.0
_CANCEL_SECONDS: Final = 15.0
_TYPED: Final = "CANCEL EVERYTHING"


def kill(*, flatten: bool, everybody: bool) -> int:
    """Throw the switch, see it done, and say so; the exit code. ConfigurationError when it cannot be thrown."""
    from src.settings import load_settings

    settings = load_settings()
    folder = settings.state_dir
    try:
        switch.throw(folder, "python -m src kill", flatten=flatten)
    except OSError as error:
        raise ConfigurationError(
            f"the kill switch is NOT thrown: IBKR_STATE_DIR: {folder} cannot be written ({error.strerror}). Name the "
            "folder that the trader uses and free its disk; a trader that runs hears kill -USR1 <its process> as well"
        ) from None
    _say("The kill switch is thrown: no new order leaves. `python -m src resume` clears it.")
    notes = list(switch.traders(folder))
    wait_until(lambda: all(note.killed for _, note in switch.traders(folder)), _ANSWER_SECONDS)
    done = [_see_done(settings, path, flatten=flatten) for path, _ in notes]  # each of them, whatever one comes to
    if not notes:
        _say(f"No trader runs with this state folder ({folder}).")
    if everybody:
        done.append(_cancel_everything(settings))
    return 0 if all(done) else 1


def resume() -> int:
    """Clear every latch, and say what stood; the exit code."""
    from src.settings import load_settings

    reasons = switch.resume(load_settings().state_dir)
    for reason in reasons:
        _say(f"cleared: {reason}")
    _say("New orders are taken again." if reasons else "Nothing stood in the way of new orders.")
    return 0


def _see_done(settings: "Settings", path: Path, *, flatten: bool) -> bool:
    note = dict(switch.traders(path.parent)).get(path)
    if note is None:
        _say("The trader has ended in good order.")
        return True
    if not switch.is_gone(path):
        if note.killed:
            left = f"{note.working} of its orders still work" if note.working else "none of its orders works any more"
            _say(f"The trader, process {note.pid}, has heard: {left}.")
            return not note.working
        _say(
            f"The trader, process {note.pid}, does not answer, and its orders can be cancelled under its client id "
            f"{note.client_id} only: end that process (kill -9 {note.pid}), then run this again."
        )
        return False
    if note.host is None or note.port is None:
        _say(f"The trader, process {note.pid}, is gone, and its simulated market with it.")
        switch.forget(path)
        return True
    _say(f"The trader, process {note.pid}, is gone: its orders are cancelled from here, as client {note.client_id}.")
    try:
        _take_its_place(settings, note, flatten=flatten)
    except BrokerError as error:
        _say(f"That failed: {error}")
        return False
    switch.forget(path)
    return True


def _take_its_place(settings: "Settings", note: switch.TraderNote, *, flatten: bool) -> None:
    """Connect as the trader did: a guarded broker heeds the switch by itself."""
    from src.brokers.egress import Egress
    from src.brokers.guarding import guarded
    from src.brokers.tws import open_tws

    finding, egress = Finding(str(note.host), int(note.port or 0), Outcome.LISTENING), Egress()
    inner = open_tws(settings, finding, client_id=note.client_id, egress=egress)
    broker = guarded(settings, inner, egress, limits=False, lasting=True)
    try:
        done = wait_until(lambda: not _working(broker) and not (flatten and _held(broker)), _CANCEL_SECONDS)
        left = "none works any more" if done else f"{len(_working(broker))} orders work, {_held(broker)} positions held"
        _say(f"Its orders: {left}.")
    finally:
        broker.disconnect()


def _working(broker: "Broker") -> list[int]:
    from src.domain.orders import Origin

    return [trade.order_id for trade in broker.open_trades() if trade.origin is Origin.OURS]


def _held(broker: "Broker") -> int:
    return sum(1 for position in broker.positions() if position.quantity)


def _cancel_everything(settings: "Settings") -> bool:
    """TWS's own global cancel, once it is typed: it takes other programs' orders and a person's with it."""
    from src.brokers.discovery import search
    from src.brokers.findings import answering
    from src.brokers.tws import open_tws

    _say(
        "--global-cancel takes ALL orders of the account away: other programs' and those a person has typed into TWS. "
        f"To do that, type {_TYPED}:"
    )
    if sys.stdin is None or sys.stdin.readline().strip() != _TYPED:
        _say("Not typed: nobody else's order is cancelled.")
        return False
    host = None if settings.host == "auto" else settings.host
    found = answering(search(host, settings.port, settings.allowed_hosts, patience=settings.connect_timeout))
    if found is None:
        _say("No TWS answers.")
        return False
    broker = open_tws(settings, found, client_id=settings.check_client_id)
    try:
        broker.tws(lambda ib: ib.reqGlobalCancel())

        def all_cancelled() -> bool:
            broker.synchronise()  # TWS tells nobody of other clients' orders unasked
            return not broker.open_trades()

        done = wait_until(all_cancelled, _CANCEL_SECONDS)
        _say("All orders are cancelled." if done else f"{len(broker.open_trades())} orders still work.")
    finally:
        broker.disconnect()
    return done


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
