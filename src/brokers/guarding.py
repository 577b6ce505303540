"""Puts a broker under its guards, as the settings say: the one place where a broker is wrapped."""

import logging
from dataclasses import replace
from functools import cache
from hashlib import sha256
from os import getpid
from pathlib import Path
from typing import TYPE_CHECKING, Final

from src.brokers.books import Books
from src.brokers.broker import Broker
from src.brokers.egress import Egress
from src.brokers.guarded import GuardedBroker, Guards
from src.brokers.kill import Latches, TraderFile, TraderNote, forget_those_gone
from src.brokers.redaction import redact_logs
from src.domain.errors import JournalInUseError
from src.domain.journal_facts import Sending, SessionFacts, SessionRecord
from src.domain.limits import limits_for
from src.domain.market import Mode
from src.domain.orders import AccountId, OrderId
from src.records.journal import Journal
from src.records.journal_file import account_hash
from src.runtime.clock import new_session_id, to_datetime, wall_clock
from src.runtime.core_dumps import leave_none

if TYPE_CHECKING:
    from src.settings import Settings

_log: Final = logging.getLogger(__name__)
_ROOT: Final = Path(__file__).resolve().parents[2]
_NEW_YORK: Final = "America/New_York"


def guarded(
    settings: "Settings", broker: Broker, egress: Egress, *, limits: bool, lasting: bool, journalled: bool = True
) -> GuardedBroker:
    """The connected broker under its guards, with what an earlier session left open settled.

    `limits` gives simulated money the limits of a paper account. `lasting` is False for play that nobody comes back
    to: it latches nothing, and has a journal only when it is `journalled`. Raises ConfigurationError and JournalError,
    with the broker left.
    """
    redact_logs()
    if broker.mode is Mode.LIVE:
        leave_none()
    in_process = broker.health().host is None
    mode, key = broker.mode, f"{broker.mode.value}-{account_hash(broker.account_id)}"

    def today() -> str:
        return _day(broker.now())

    kept = lasting or journalled
    file: list[tuple[TraderFile, TraderNote]] = []

    def begin() -> tuple[Books, str]:
        session = new_session_id()
        journal, trouble = _journal(settings, broker, session, lasting=lasting) if kept else (None, "")
        if lasting and journal is not None:
            health = broker.health()
            forget_those_gone(settings.state_dir, key)  # this session has taken over what they left
            note = TraderNote(getpid(), health.client_id, health.host, health.port, session)
            file[:] = [(TraderFile(settings.state_dir, key, note), note)]
        books = Books(journal, session, broker.now, today)
        egress.told = lambda order_ref, order_id: books.tell(Sending(order_ref, broker.now(), OrderId(order_id)))
        return books, trouble

    def told(killed: bool, working: int) -> None:  # noqa: FBT001
        for written, note in file:
            written.say(replace(note, killed=killed, working=working))

    def end() -> None:
        for written, _ in file:
            written.close()

    try:
        guards = Guards(
            limits_for(mode, settings.risk, symbols=settings.symbols, full=limits),
            Latches(settings.state_dir, key, today, lasting=lasting),
            egress,
            begin,
            read_only=settings.read_only,
            in_process=in_process,
            told=told,
            end=end,
        )
        guard = GuardedBroker(broker, guards)
        guard.begin()
    except BaseException:
        broker.disconnect()
        raise
    return guard


def _journal(settings: "Settings", broker: Broker, session: str, *, lasting: bool) -> tuple[Journal | None, str]:
    """The session's journal; None, and why no order may leave, while another process writes it.

    Play that is forgotten has a journal of its own. Its market's time may be of any year: there the day's time tells
    when a session was.
    """
    account = broker.account_id if lasting else AccountId(f"{broker.account_id}, forgotten")
    configuration = sha256(repr(settings).encode()).hexdigest()[:16]
    health, now = broker.health(), broker.now if lasting else wall_clock
    facts = SessionFacts(session, health.client_id, configuration, _code_hash(), _version())
    folder, beside = settings.state_dir, health.host is not None
    try:
        journal = Journal.open(folder, broker.mode, account, facts, now, beside=beside)
    except JournalInUseError as error:
        return None, str(error)
    _tell(broker.mode, facts, journal.last_session())
    return journal, ""


def _tell(mode: Mode, facts: SessionFacts, last: SessionRecord | None) -> None:
    """Say which code and which configuration trade; a warning where real or paper money was traded by other code."""
    version, code, configuration = facts.version, facts.code_hash, facts.configuration_hash
    _log.info("session %s: version %s, code %s, configuration %s", facts.session, version, code, configuration)
    if last is not None and last.facts.code_hash != code:
        level = logging.INFO if mode is Mode.SIMULATED else logging.WARNING
        words = "the last session of this journal ran other code (version %s, code %s) than this one (code %s)"
        _log.log(level, words, last.facts.version, last.facts.code_hash, code)


def _day(moment: int) -> str:
    """The market's day at a moment."""
    from zoneinfo import ZoneInfo

    return to_datetime(moment).astimezone(ZoneInfo(_NEW_YORK)).date().isoformat()


@cache
def _code_hash() -> str:
    """What the program is made of: two sessions of one journal with different code can be told apart."""
    digest = sha256()
    for path in sorted((_ROOT / "src").rglob("*.py")):
        digest.update(path.relative_to(_ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def _version() -> str:
    """The version that the changelog names last."""
    for line in (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            return line.removeprefix("## ").strip("[] ")
    return ""
