"""The journal: what a session means to do and what became of it, on disk before its first byte leaves (decision D10).

One SQLite file for a mode and an account, append-only, written by one process at a time. On paper and live an intent
is on the disk when `intend` returns, at the price of one flush that all who wait at that moment share; facts after the
event follow within a twentieth of a second, on a thread of their own. Simulated sessions write in batches: at most
twenty commits a second, so that a replay at full speed does not wait for a disk; a process that is killed loses what
has gathered since the last. Those over a socket (`beside`) leave to such a thread what nobody waits for.

A journal that cannot write says so in `failed`, and lets no intent through: no new orders (I25). What may pass by
itself, as a lock or a full disk, is tried again; after any other failure nobody knows what the disk has, and the
journal stays failed.
"""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from src.domain.errors import ConfigurationError, JournalError, JournalInUseError, JournalUnavailableError
from src.domain.intents import Intent, IntentRecord
from src.domain.journal_facts import (
    Executed,
    JournalFact,
    Sending,
    SessionBegan,
    SessionEnded,
    SessionFacts,
    SessionRecord,
)
from src.domain.market import Mode
from src.domain.orders import AccountId, OrderId
from src.records.journal_file import SUFFIX, journal_name, prepare_folder
from src.records.journal_reading import JournalReader
from src.records.journal_writing import JournalWriter, Line
from src.records.metrics.journal_counts import JournalCounts
from src.runtime.clock import monotonic
from src.runtime.file_lock import FileLock
from src.runtime.group_commit import GroupCommit
from src.runtime.worker import Worker

_log = logging.getLogger(__name__)
#: How long facts wait for company before they are committed, in seconds.
_GATHERING: Final = 0.05
_COMMITS_A_SECOND: Final = 20
#: Facts that may wait while the journal cannot write; what comes on top is lost, and the journal stays failed.
_MOST_WAITING: Final = 100_000
#: No place of a file: what waited before is done with, wherever the file ends.
_WRITTEN: Final = -1
_PASSING: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL")


class Journal:
    """The journal of one session. Every method may be called from any thread."""

    def __init__(  # all that `open` has found
        self, writer: JournalWriter, lock: FileLock, now: Callable[[], int], *, waits: bool, beside: bool
    ) -> None:
        """Use `open`."""
        self.path, self._writer, self._lock, self._now, self._waits = writer.path, writer, lock, now, waits
        self._session = ""
        self._waiting: deque[Line] = deque()
        self._last: tuple[int, Sequence[Line]] = (0, ())  # before the last commit: the file's place, and what waited
        self._failed: str | None = None
        self.counts = JournalCounts()
        self._lasting = self._closed = False
        self._previous = next(reversed(writer.sessions), None)
        self._allowance, self._counted_at = float(_COMMITS_A_SECOND), monotonic()
        # What a caller waits for; None stands for the facts that nobody waits for.
        self._group: GroupCommit[Sequence[Line] | None] = GroupCommit(self._commit)
        self._worker = Worker(self._settle, _GATHERING, "journal") if beside else None

    @classmethod
    def open(
        cls,
        folder: Path,
        mode: Mode,
        account: AccountId,
        session: SessionFacts,
        now: Callable[[], int],
        *,
        beside: bool = False,
    ) -> "Journal":
        """Open the journal of `account` below the state folder, made when missing, and begin `session` in it.

        A simulated session writes `beside` its callers only when asked to, any other always.
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
        waits = mode is not Mode.SIMULATED
        beside = beside or waits
        try:
            writer = JournalWriter(path, mode, account, tidied=beside)
        except BaseException:
            lock.release()
            raise
        journal = cls(writer, lock, now, waits=waits, beside=beside)
        try:
            journal._begin(session)
        except BaseException:
            journal._release()
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
        ids = [Sending(intent.order_ref, intent.time, order_id) for intent, order_id in zip(intents, order_ids)]  # noqa: B905
        self.commit(*intents, *ids)

    def sending(self, order_ref: str, order_id: OrderId) -> None:
        """Note the id that an intent leaves under; not waited for. An intent without one may have left as well."""
        self.record(Sending(order_ref, self._now(), order_id))

    def commit(self, *facts: JournalFact) -> None:
        """Write facts down; durable on return, in a simulated session as soon as the batch is.

        Raises JournalUnavailableError, and then nothing of them is written.
        """
        self._check_usable()
        lines = [self._writer.line(each) for each in facts]
        if self._waits or (self._worker is not None and self._may_commit()):
            self._submit(lines)
            return
        self._waiting.extend(lines)
        if self._worker is not None:
            self._worker.nudge()
        elif self._may_commit():
            self._submit(None)

    def record(self, *facts: JournalFact) -> None:
        """Write facts down soon; returns at once and never raises. A failure shows in `failed`."""
        if self._closed:
            _log.error("the journal is closed: %d facts came too late", len(facts))
            return
        if len(self._waiting) >= _MOST_WAITING:
            self._fail(f"the journal {self.path} could not be written for so long that facts are lost", lasting=True)
            return
        try:
            self._waiting.extend([self._writer.line(each) for each in facts])
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a fact, trading goes on to its end
            self._fail(f"the journal {self.path} does not take {facts!r} ({error!r})", lasting=True)
            return
        if self._worker is not None:
            self._worker.nudge()
        elif self._may_commit():
            self._settle()

    def flush(self) -> None:
        """Write down what waits. Raises JournalUnavailableError."""
        if (self._waiting or self._failed) and not self._closed:
            self._submit(None)

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
        self._stop()
        self._waiting.append(self._writer.line(SessionEnded(self._session, self._now(), how)))
        try:
            self._group.submit(None)
        except (JournalError, InterruptedError) as error:
            _log.error("the journal %s does not have the session's end: %s", self.path, error)
        finally:
            self._release()

    def _begin(self, session: SessionFacts) -> None:
        self._session = session.session
        self._writer.begin(session.session)
        hashes = session.configuration_hash, session.code_hash
        began = SessionBegan(session.session, self._now(), session.client_id, *hashes, session.version)
        self._submit([self._writer.line(began)])

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.stop()

    def _release(self) -> None:
        self._stop()
        self._closed = True
        self._group.between(self._writer.close)
        self._lock.release()

    def _check_usable(self) -> None:
        if self._closed:
            raise JournalUnavailableError(f"the journal {self.path} is closed: nothing can be sent")
        if self._lasting:
            raise JournalUnavailableError(self._failed or "")

    def _submit(self, lines: Sequence[Line] | None) -> None:
        try:
            self._group.submit(lines)
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
        """Commit what waits, and keep the log short; a failure shows in `failed`, and is logged there."""
        with suppress(JournalUnavailableError):
            self.flush()
        if self._worker is not None and self._writer.wants_checkpoint:
            with suppress(sqlite3.OperationalError):  # another reads or puts it in: next time
                self._writer.checkpoint_beside()
                self._group.between(self._writer.checkpoint)

    def _commit(
        self, groups: Sequence[Sequence[Line] | None], prepared: Callable[[], None]
    ) -> Sequence[Exception | None]:
        """One transaction for all groups; an error for each group that was left out."""
        self._check_usable()
        if not self._writer.is_in_place:
            sentence = self._fail(f"the journal {self.path} was removed or replaced while in use", lasting=True)
            raise JournalUnavailableError(sentence)
        began = monotonic()
        try:
            self._take_off()
            waiting = list(self._waiting) if None in groups else []
            self._last = self._writer.place, waiting
            errors = self._writer.write(waiting, [group or () for group in groups], prepared)
            self._last = _WRITTEN, waiting
            self._take_off()
        except sqlite3.Error as error:
            passing = getattr(error, "sqlite_errorname", "").startswith(_PASSING)
            sentence = self._fail(f"the journal {self.path} cannot be written ({error})", lasting=not passing)
            raise JournalUnavailableError(sentence) from error
        self._failed = None
        self.counts.commits += 1
        self.counts.seconds.observe(monotonic() - began)
        return errors

    def _take_off(self) -> None:
        """Let go of what no longer waits, since the last commit has written it; Ctrl-C may have come at any point."""
        place, waiting = self._last
        if self._writer.place != place:
            for line in waiting:
                if self._waiting and self._waiting[0] is line:
                    self._waiting.popleft()
            self._last = self._writer.place, ()

    def _fail(self, cause: str, *, lasting: bool) -> str:
        self._lasting = self._lasting or lasting
        self.counts.failures += 1
        what = "restart once the cause is gone" if self._lasting else "it is tried again"
        sentence = f"{cause}: no new orders; {what}"
        if self._failed is None:
            _log.error("%s", sentence)
        self._failed = sentence
        if self._worker is not None and not self._lasting:
            self._worker.nudge()
        return sentence

    def _reader(self) -> JournalReader:
        self.flush()
        return JournalReader(self.path)


def _locked(path: Path) -> FileLock | None:
    lock = FileLock(path.with_suffix(".lock"))
    try:
        return lock if lock.acquire() else None
    except OSError as error:
        raise ConfigurationError(f"IBKR_STATE_DIR: {path.parent} cannot be used: {error.strerror}") from None
