"""The journal: what a session means to do and what became of it, on disk before its first byte leaves (decision D10).

One SQLite file for a mode and an account, append-only, written by one process at a time. On paper and live an intent
is on the disk when `intend` returns, at the price of one flush that all who wait at that moment share; facts after the
event follow within a twentieth of a second, and with the next intent at the latest. Simulated sessions write in
batches: at most fifty commits a second, so that a replay at full speed does not wait for a disk; a process that is
killed loses what has gathered since the last.

A journal that cannot write says so in `failed`, and lets no intent through: no new orders (I25).
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Final

from src.domain.errors import ConfigurationError, JournalError, JournalInUseError, JournalUnavailableError
from src.domain.intents import Intent, IntentRecord
from src.domain.journal_facts import Executed, JournalFact, Sending, SessionFacts, SessionRecord
from src.domain.market import Mode
from src.domain.orders import AccountId, OrderId
from src.records.journal_file import SUFFIX, account_hash, claim_file, identity, journal_name, prepare_folder
from src.records.journal_reading import JournalReader, identify, told_of
from src.records.journal_schema import TABLES, last_place, statements
from src.runtime.clock import monotonic
from src.runtime.file_lock import FileLock
from src.runtime.worker import GroupCommit, Worker

_log = logging.getLogger(__name__)
_PATIENCE: Final = 2.0
#: How long facts wait for company before they are committed, in seconds.
_GATHERING: Final = 0.05
_COMMITS_A_SECOND: Final = 50
#: Facts that may wait while the journal cannot write; what comes on top is lost, and the journal stays failed.
_MOST_WAITING: Final = 100_000
#: What may pass by itself. After any other failure nobody knows what the disk has: the journal stays failed.
_PASSING: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL")


class Journal:
    """The journal of one session. Every method may be called from any thread."""

    def __init__(self, path: Path, lock: FileLock, session: SessionFacts, now: Callable[[], int]) -> None:
        """Use `open`."""
        self.path, self.session, self._lock, self._now = path, session, lock, now
        self._log_path = path.with_name(f"{path.name}-wal")
        self._own: tuple[object, object] = (None, None)
        self._account = AccountId("")
        claim_file(path)
        self._facts: deque[JournalFact] = deque()
        self._failed: str | None = None
        self._lasting = False
        self._closed = False
        self._previous: SessionRecord | None = None
        self._seq = 0
        self._group: GroupCommit[Sequence[JournalFact]] = GroupCommit(self._commit)
        self._worker: Worker | None = None
        self._allowance, self._counted_at = float(_COMMITS_A_SECOND), monotonic()
        self._connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)

    @classmethod
    def open(
        cls, folder: Path, mode: Mode, account: AccountId, session: SessionFacts, now: Callable[[], int]
    ) -> "Journal":
        """Open the journal of `account` below the state folder, made when missing, and begin `session` in it.

        Raises JournalInUseError when another process writes it (a second simulated session gets a file of its own
        instead), JournalError when the file is not usable, ConfigurationError when the folder is not.
        """
        folder = prepare_folder(folder)
        path = folder / journal_name(mode, account)
        lock = _locked(path)
        if lock is None and mode is Mode.SIMULATED:
            path = path.with_name(f"{path.stem}-{session.session}{SUFFIX}")
            lock = _locked(path)
        if lock is None:
            raise JournalInUseError(
                f"another process trades on this {mode} account and writes {path}: stop it first, or trade on another"
            )
        try:
            journal = cls(path, lock, session, now)
            try:
                journal._begin(mode, account)
            except BaseException:
                journal._connection.close()
                raise
        except BaseException:
            lock.release()
            raise
        return journal

    @property
    def failed(self) -> str | None:
        """Why no new order may be accepted, for a person; None while the journal writes."""
        return self._failed

    def intend(self, intents: Sequence[Intent], order_ids: Sequence[OrderId] = ()) -> None:
        """Write intents down, with the order ids they will leave under where those are known; durable on return.

        Raises JournalUnavailableError: nothing of this may be sent.
        """
        facts: list[JournalFact] = [*intents]
        facts += [Sending(intent.order_ref, intent.time, order_id) for intent, order_id in zip(intents, order_ids)]  # noqa: B905
        self.commit(*facts)

    def sending(self, order_ref: str, order_id: OrderId) -> None:
        """Note the id that an intent leaves under; not waited for. An intent without one may have left as well."""
        self.record(Sending(order_ref, self._now(), order_id))

    def commit(self, *facts: JournalFact) -> None:
        """Write facts down; durable on return, in a simulated session as soon as the batch is.

        Raises JournalUnavailableError, and then nothing of them is written.
        """
        if self._closed or self._lasting:
            raise JournalUnavailableError(self._failed or f"the journal {self.path} is closed: nothing can be sent")
        if self._worker is None:
            self._gather(facts)
        else:
            self._submit(facts)

    def record(self, *facts: JournalFact) -> None:
        """Write facts down soon; returns at once and never raises. A failure shows in `failed`."""
        if self._closed:
            _log.error("the journal is closed: %d facts came too late", len(facts))
        elif len(self._facts) > _MOST_WAITING:
            self._fail(f"the journal {self.path} could not be written for so long that facts are lost", lasting=True)
        else:
            self._facts.extend(facts)
            if self._worker is not None:
                self._worker.nudge()
            elif self._may_commit():
                self._settle()

    def flush(self) -> None:
        """Write down what waits. Raises JournalUnavailableError."""
        if (self._facts or self._failed) and not self._closed:
            self._submit(())

    def intents(self) -> tuple[IntentRecord, ...]:
        """Every intent and what became of it, oldest first."""
        with self._reader() as reader:
            return reader.intents()

    def unsettled(self) -> tuple[IntentRecord, ...]:
        """The intents of which the venue may know more than we do, oldest first."""
        with self._reader() as reader:
            return reader.outcomes().unsettled

    def known_executions(self) -> Mapping[str, Executed]:
        """Every execution in the journal by its id, for booking each exactly once over restarts."""
        with self._reader() as reader:
            return reader.executions()

    def last_session(self) -> SessionRecord | None:
        """The session before this one."""
        return self._previous

    def highest_order_id(self, client_id: int) -> int:
        """The highest order id that was ever used under `client_id`; 0 when none was."""
        with self._reader() as reader:
            return reader.highest_order_id(client_id)

    def close(self, how: str) -> None:
        """Write down what waits and how the session ended, and let another process have the journal; idempotent."""
        if self._closed:
            return
        if self._worker is not None:
            self._worker.stop()
        self._group.between(lambda: self._end(how))

    def _begin(self, mode: Mode, account: AccountId) -> None:
        with told_of(self.path):
            connection = self._connection
            connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode is Mode.SIMULATED else 'FULL'}")
            if (
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
                and not self.path.stat().st_size
            ):
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("BEGIN IMMEDIATE")
                for statement in statements(mode):
                    connection.execute(statement)
                connection.execute("INSERT INTO journal VALUES (?, ?)", (mode.value, account_hash(account)))
                connection.execute("COMMIT")
            found = identify(connection, self.path)
            if found != (mode, account_hash(account)):
                raise JournalError(
                    f"the journal {self.path} is of another account or mode: move it back to its own name"
                )
            if (verdict := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(verdict)
            self._account = account
            self._seq = last_place(connection)
            with JournalReader(self.path) as reader:
                self._previous = next(reversed(reader.sessions()), None)
            facts = self.session
            self._seq += 1
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._seq, facts.session, mode.value, self._now(), facts.client_id, facts.configuration_hash,
                    facts.code_hash, facts.version,
                ),
            )  # fmt: skip
        self._own = self._identities()
        if mode is not Mode.SIMULATED:
            self._worker = Worker(self._settle, _GATHERING, "journal")

    def _end(self, how: str) -> None:
        try:
            self._commit([])
            self._connection.execute(
                "INSERT INTO session_ends VALUES (?, ?, ?, ?)",
                (self._seq + 1, self.session.session, self._now(), self._cleaned(how)),
            )
        except (sqlite3.Error, JournalError) as error:
            _log.error("the journal %s could not be closed in good order: %s", self.path, error)
        finally:
            self._closed = True
            self._connection.close()
            self._lock.release()

    def _gather(self, facts: Sequence[JournalFact]) -> None:
        self._facts.extend(facts)
        if self._may_commit():
            self._submit(())

    def _submit(self, facts: Sequence[JournalFact]) -> None:
        try:
            self._group.submit(facts)
        except InterruptedError as error:
            raise JournalUnavailableError(f"the journal {self.path}: {error}; nothing was sent") from error

    def _may_commit(self) -> bool:
        """Whether a simulated session may commit now: what it writes now and then is written at once."""
        now = monotonic()
        allowance = self._allowance + (now - self._counted_at) * _COMMITS_A_SECOND
        self._counted_at = now
        self._allowance = allowance if allowance < _COMMITS_A_SECOND else float(_COMMITS_A_SECOND)
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _settle(self) -> None:
        """Commit the facts that wait; a failure shows in `failed`, and is logged there."""
        with suppress(JournalUnavailableError):
            self.flush()

    def _commit(self, groups: Sequence[Sequence[JournalFact]]) -> Sequence[Exception | None]:
        """One transaction for the facts that wait and for every group; an error for each group that was left out."""
        if self._lasting or self._closed:
            raise JournalUnavailableError(self._failed or f"the journal {self.path} is closed: nothing can be sent")
        if self._identities() != self._own:
            sentence = self._fail(f"the journal {self.path} was removed or replaced while in use", lasting=True)
            raise JournalUnavailableError(sentence)
        waiting = [self._facts.popleft() for _ in range(len(self._facts))]
        try:
            errors = self._write(waiting, groups)
        except BaseException as error:
            self._facts.extendleft(reversed(waiting))
            if not isinstance(error, sqlite3.Error):
                raise
            passing = getattr(error, "sqlite_errorname", "").startswith(_PASSING)
            sentence = self._fail(f"the journal {self.path} cannot be written ({error})", lasting=not passing)
            raise JournalUnavailableError(sentence) from error
        self._failed = None
        return errors

    def _write(
        self, waiting: Sequence[JournalFact], groups: Sequence[Sequence[JournalFact]]
    ) -> Sequence[Exception | None]:
        seq = self._seq
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._insert([*waiting, *chain.from_iterable(groups)])
                errors: Sequence[Exception | None] = [None] * len(groups)
            except sqlite3.IntegrityError:
                self._connection.execute("ROLLBACK")
                self._seq = seq
                self._connection.execute("BEGIN IMMEDIATE")
                for each in waiting:
                    self._insert_alone([each])
                errors = [self._insert_alone(group) for group in groups]
            self._connection.execute("COMMIT")
        except BaseException:
            self._seq = seq
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return errors

    def _insert_alone(self, facts: Sequence[JournalFact]) -> Exception | None:
        """Insert facts all or none; the error when one of them cannot be, as an intent that was there before."""
        seq = self._seq
        self._connection.execute("SAVEPOINT alone")
        try:
            self._insert(facts)
        except sqlite3.IntegrityError as error:
            self._connection.execute("ROLLBACK TO alone")
            self._seq = seq
            _log.error("the journal does not take %s: %s", facts, error)  # the cause is in the words
            return JournalUnavailableError(f"written down before, and an intent is sent once ({error})")
        finally:
            self._connection.execute("RELEASE alone")
        return None

    def _insert(self, facts: Iterable[JournalFact]) -> None:
        execute, session, cleaned = self._connection.execute, self.session.session, self._cleaned
        for each in facts:
            table = TABLES[type(each)]
            self._seq += 1
            execute(table.insert, (self._seq, session, *table.row(each, cleaned)))

    def _cleaned(self, text: str) -> str:
        """A text of somebody else's, in one line and without the account's id."""
        return "".join(sign if sign.isprintable() else " " for sign in text.replace(self._account, "***"))

    def _fail(self, cause: str, *, lasting: bool) -> str:
        self._lasting = self._lasting or lasting
        what = "restart once the cause is gone" if self._lasting else "it is tried again"
        if self._failed is None:
            _log.error("%s: no new orders; %s", cause, what)
        self._failed = f"{cause}: no new orders; {what}"
        if self._worker is not None and not self._lasting:
            self._worker.nudge()
        return self._failed

    def _identities(self) -> tuple[object, object]:
        return identity(self.path), identity(self._log_path)

    def _reader(self) -> JournalReader:
        self.flush()
        return JournalReader(self.path)


def _locked(path: Path) -> FileLock | None:
    lock = FileLock(path.with_suffix(".lock"))
    try:
        return lock if lock.acquire() else None
    except OSError as error:
        raise ConfigurationError(f"IBKR_STATE_DIR: {path.parent} cannot be used: {error.strerror}") from None
