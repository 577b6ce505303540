"""Reading a journal, also beside the process that writes it. Nothing is written, and no lock is held for long."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from decimal import InvalidOperation
from heapq import merge
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from src.domain.errors import JournalError
from src.domain.intents import Intent, IntentRecord
from src.domain.journal_facts import (
    Acknowledged,
    Amended,
    CancelNoted,
    Executed,
    JournalFact,
    Refused,
    Sending,
    SessionBegan,
    SessionEnded,
    SessionFacts,
    SessionRecord,
    StateChanged,
)
from src.domain.market import Mode
from src.domain.orders import OrderId
from src.domain.outcomes import Outcomes
from src.records.journal_schema import APPLICATION_ID, TABLES, VERSION, check

_OF_INTENTS: Final = (Intent, Sending, Acknowledged, StateChanged, Amended, CancelNoted, Executed, Refused)
PATIENCE: Final = 2.0
_ANEW: Final = "to begin a new journal, move it away with the files that begin with its name"


class JournalReader:
    """One journal, read-only. JournalError names the file and what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with told_of(path):
            # A name of ours, but a folder of the user's: percent signs and question marks are none of SQLite's.
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=PATIENCE, isolation_level=None
            )
            try:
                self.mode, self.account_hash = identify(self._connection, path)
                tables = self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
                self._names = frozenset(name for (name,) in tables)  # an older version has fewer
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def facts(self, *kinds: type, session: str | None = None) -> tuple[JournalFact, ...]:
        """What was written of these kinds (all when none is named), in its order; `session` is the one that wrote."""
        return tuple(self._facts(kinds or tuple(TABLES), session))

    def outcomes(self) -> Outcomes:
        """What became of the intents, in their own session and in later ones."""
        return Outcomes(self._facts(_OF_INTENTS, None))

    def intents(self) -> tuple[IntentRecord, ...]:
        """Every intent and what became of it, oldest first."""
        return self.outcomes().records

    def executions(self) -> Mapping[str, Executed]:
        """Every execution that was written down, by its id; corrections and what they correct alike."""
        found = self._facts((Executed,), None)
        return {each.exec_id: each for each in found if isinstance(each, Executed)}

    def sessions(self) -> tuple[SessionRecord, ...]:
        """Every session, oldest first."""
        found: dict[str, SessionRecord] = {}
        for each in self._facts((SessionBegan, SessionEnded), None):
            if isinstance(each, SessionBegan):
                facts = SessionFacts(
                    each.session, each.client_id, each.configuration_hash, each.code_hash, each.version
                )
                found[each.session] = SessionRecord(facts, self.mode, each.time)
            elif isinstance(each, SessionEnded):
                found[each.session] = replace(found[each.session], ended=each.time, how=each.reason)
        return tuple(found.values())

    def verify(self) -> None:
        """Read every row; JournalError when one is not what was written."""
        with told_of(self.path):
            if (verdict := self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(verdict)
            for table in (each for each in TABLES.values() if each.name in self._names):
                for row in self._connection.execute(f"SELECT * FROM {table.name}"):  # noqa: S608  # a name of our own
                    check(row, table.name)

    def highest_order_id(self, client_id: int) -> int:
        """The highest order id that was ever used under `client_id`; 0 when none was."""
        with told_of(self.path):
            found = self._connection.execute(
                "SELECT max(order_id) FROM"
                " (SELECT session, order_id FROM sends UNION ALL SELECT session, order_id FROM acknowledgements)"
                " JOIN sessions USING (session) WHERE client_id = ?",
                (client_id,),
            ).fetchone()[0]
        return OrderId(found or 0)

    def _facts(self, kinds: Iterable[type], session: str | None) -> Iterator[JournalFact]:
        with told_of(self.path):
            self._connection.execute("BEGIN")  # one instant for all tables
            try:
                streams = [self._rows(kind, session) for kind in kinds]
                for _, found in merge(*streams, key=lambda entry: entry[0]):
                    yield found
            finally:
                self._connection.execute("ROLLBACK")

    def _rows(self, kind: type, session: str | None) -> Iterator[tuple[int, JournalFact]]:
        table = TABLES[kind]
        if table.name not in self._names:
            return
        only = "" if session is None else " WHERE session = ?"
        rows = self._connection.execute(
            f"SELECT * FROM {table.name}{only} ORDER BY seq",  # noqa: S608  # a name of our own
            () if session is None else (session,),
        )
        for row in rows:
            yield row[0], table.fact(row)


def identify(connection: sqlite3.Connection, path: Path) -> tuple[Mode, str]:
    """The mode and the account's hash of the journal in `path`; JournalError when it is none, or a newer one's."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != APPLICATION_ID:
        raise JournalError(f"{path} is not a journal: {_ANEW}")
    if not 1 <= version <= VERSION:
        raise JournalError(
            f"the journal {path} has version {version}, and this program reads {VERSION}: use the newer program, or "
            f"{_ANEW}"
        )
    mode, account = connection.execute("SELECT mode, account_hash FROM journal").fetchone()
    return Mode(mode), str(account)


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """Tell what SQLite cannot do with the file in `path`, and what to do, as JournalError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise JournalError(f"the journal {path} is locked by another program: end it, and try again") from None
        if name.startswith(("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_READONLY", "SQLITE_FULL", "SQLITE_IOERR")):
            raise JournalError(
                f"the journal {path} cannot be used: {error}; see the disk and who owns the file"
            ) from None
        raise JournalError(f"the journal {path} is damaged ({error}), and is left as it is: {_ANEW}") from None
    except (ValueError, TypeError, KeyError, InvalidOperation) as error:
        raise JournalError(f"the journal {path} is damaged ({error}), and is left as it is: {_ANEW}") from None
