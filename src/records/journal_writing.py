"""Writing a journal's file: how it is made and checked, and what one transaction is. For one thread at a time."""

import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final

from src.domain.errors import JournalError, JournalUnavailableError
from src.domain.journal_facts import JournalFact, SessionRecord
from src.domain.market import Mode
from src.domain.orders import AccountId
from src.records.journal_file import account_hash, claim_file, identity
from src.records.journal_reading import PATIENCE, JournalReader, identify, told_of
from src.records.journal_schema import TABLES, VERSION, Table, last_place, mark_of, statements, upgrade

_log = logging.getLogger(__name__)
#: Rows in one statement. Each statement lets go of Python's lock, which costs more than the row when many wait for it.
_ROWS: Final = 32
_STATEMENTS: Final = 512
#: The write-ahead log's usual length in bytes: filled once, since a log that grows costs the disk two writes a flush.
_LOG_LENGTH: Final = 4_500_000
_COMMITS_BETWEEN_CHECKPOINTS: Final = 200
#: Of a simulated session, whose log may grow: orders on their way wait for a checkpoint, and what is written often anew
#: is put into the file once.
_THE_SAME_SIMULATED: Final = 1_000

#: A fact as it is written, but for its place.
Line = tuple[Table, list[Any]]
#: A statement and its values.
Insert = tuple[str, tuple[Any, ...]]


class JournalWriter:
    """The file in `path`, made when it is missing; JournalError when it is no journal of this account and mode.

    Where it is `tidied` by its owner (`checkpoint`), no commit stops to do that.
    """

    def __init__(self, path: Path, mode: Mode, account: AccountId, *, tidied: bool) -> None:
        claim_file(path)
        self.path, self._account = path, account
        self._log_path = path.with_name(f"{path.name}-wal")
        self.sessions: tuple[SessionRecord, ...] = ()
        self._session, self._seq, self._commits = "", 0, 0
        self._most_commits = _THE_SAME_SIMULATED if mode is Mode.SIMULATED else _COMMITS_BETWEEN_CHECKPOINTS
        self._in_doubt = False  # Ctrl-C may have broken a transaction off, and be told although the disk has it
        self._connection = self._connected()
        try:
            with told_of(path):
                self._prepare(mode, account, tidied=tidied)
        except BaseException:
            self._connection.close()
            raise
        self._own = self._identities()

    @property
    def place(self) -> int:
        """The place of the last row that was written; looked up where Ctrl-C has left it in doubt."""
        if self._in_doubt:
            self._find_place()
        return self._seq

    def _find_place(self) -> None:
        """What is written is in the file, and what was begun is taken back."""
        self._take_back(self._seq)
        self._seq = last_place(self._connection)
        self._in_doubt = False

    @property
    def is_in_place(self) -> bool:
        """Whether the file still bears its name: one that was removed takes writes that nobody will read."""
        return self._identities() == self._own

    def begin(self, session: str) -> None:
        """Write for this session from now on."""
        self._session = session

    def line(self, news: JournalFact) -> Line:
        """`news` as it will be written: texts of others in one line, without the account's id."""
        table = TABLES[type(news)]
        return table, table.values(news, self._cleaned)

    def write(
        self, waiting: Sequence[Line], groups: Sequence[Sequence[Line]], prepared: Callable[[], None] = lambda: None
    ) -> Sequence[Exception | None]:
        """One transaction. An error for each group that was left out since it was there before; else sqlite3.Error.

        `prepared` is called when SQLite alone is left to work.
        """
        seq, connection = self.place, self._connection
        self._in_doubt = True
        try:
            inserts = self._inserts([*waiting, *chain.from_iterable(groups)])
            prepared()
            try:
                errors = self._all(inserts, len(groups))
            except sqlite3.IntegrityError:
                self._take_back(seq)
                connection.execute("BEGIN IMMEDIATE")
                for each in waiting:
                    self._insert_alone([each])
                errors = [self._insert_alone(group) for group in groups]
                connection.execute("COMMIT")
        except BaseException as error:
            if isinstance(error, sqlite3.Error):
                self._take_back(seq)
                self._in_doubt = False
            else:  # Ctrl-C is told once SQLite is done, and all may be written
                self._find_place()
            raise
        self._in_doubt = False
        self._commits += 1
        return errors

    def _all(self, inserts: Sequence[Insert], groups: int) -> Sequence[Exception | None]:
        """All or nothing. One statement is a transaction of its own: two calls less that wait for Python's lock."""
        execute = self._connection.execute
        if len(inserts) == 1:
            execute(*inserts[0])
        else:
            execute("BEGIN IMMEDIATE")
            for each in inserts:
                execute(*each)
            execute("COMMIT")
        return [None] * groups

    def _take_back(self, seq: int) -> None:
        self._seq = seq
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @property
    def wants_checkpoint(self) -> bool:
        """Whether the write-ahead log has grown enough to be put into the file."""
        return self._commits >= self._most_commits

    def checkpoint_beside(self) -> None:
        """Put most of the log into the file, from any thread, while others write."""
        beside = self._connected()
        try:
            beside.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            beside.close()

    def checkpoint(self) -> None:
        """Put the rest of the log into the file, so that the log begins anew."""
        self._commits = 0
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path,
            timeout=PATIENCE,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS,
        )

    def _prepare(self, mode: Mode, account: AccountId, *, tidied: bool) -> None:
        connection = self._connection
        if tidied:
            connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if mode is Mode.SIMULATED else 'FULL'}")
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements(mode):
                connection.execute(statement)
            connection.execute("INSERT INTO journal VALUES (?, ?)", (mode.value, account_hash(account)))
            connection.execute("COMMIT")
        if identify(connection, self.path) != (mode, account_hash(account)):
            raise JournalError(
                f"the journal {self.path} is another account's, or another mode's: give it its name back"
            )
        with JournalReader(self.path) as reader:  # before anything is written: a damaged file is left as it is
            reader.verify()
            self.sessions = reader.sessions()
        if (version := connection.execute("PRAGMA user_version").fetchone()[0]) < VERSION:
            connection.execute("BEGIN IMMEDIATE")
            for statement in upgrade(version):
                connection.execute(statement)
            connection.execute("COMMIT")
        self._seq = last_place(connection)
        if mode is not Mode.SIMULATED:
            self._lengthen_log()

    def _lengthen_log(self) -> None:
        """Fill the log with a transaction that is taken back: later ones go over it in place."""
        execute = self._connection.execute
        execute("PRAGMA cache_size = 16")
        execute("BEGIN IMMEDIATE")
        execute("CREATE TABLE room (room)")
        execute("INSERT INTO room VALUES (zeroblob(?))", (_LOG_LENGTH,))
        execute("ROLLBACK")
        execute("PRAGMA cache_size = -2000")

    def _insert_alone(self, lines: Sequence[Line]) -> Exception | None:
        """Insert lines all or none; the error when one of them cannot be, as an intent that was there before."""
        seq = self._seq
        execute = self._connection.execute
        execute("SAVEPOINT alone")
        try:
            for each in self._inserts(lines):
                execute(*each)
        except sqlite3.IntegrityError as error:
            execute("ROLLBACK TO alone")
            self._seq = seq
            names = ", ".join(table.name for table, _ in lines)
            _log.error("the journal does not take %s: %s", names, error)  # it is all in the words
            return JournalUnavailableError(f"written down before, and an intent is sent once ({error})")
        finally:
            execute("RELEASE alone")
        return None

    def _inserts(self, lines: Iterable[Line]) -> list[Insert]:
        """Number the lines in their order, and put those of each table together."""
        rows: defaultdict[Table, list[tuple[Any, ...]]] = defaultdict(list)
        for table, values in lines:
            self._seq += 1
            row = (self._seq, self._session, *values)
            rows[table].append((*row, mark_of(row)))
        found: list[Insert] = []
        for table, several in rows.items():
            for first in range(0, len(several), _ROWS):
                some = several[first : first + _ROWS]
                found.append((table.insert(len(some)), tuple(chain.from_iterable(some))))
        return found

    def _cleaned(self, text: str) -> str:
        return "".join(sign if sign.isprintable() else " " for sign in text.replace(self._account, "***"))

    def _identities(self) -> tuple[object, object]:
        return identity(self.path), identity(self._log_path)
