"""The journal's tables: one for each kind of fact, made from the fact's own fields. Append-only.

Money and quantities are text, exact to the last digit; every row has its place (`seq`) among all rows of the journal
and the session that wrote it. A change to a fact is a change to the file: raise `VERSION` with it.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, get_args, get_type_hints

from src.domain.intents import Intent
from src.domain.journal_facts import (
    Acknowledged,
    Adjusted,
    Amended,
    Charged,
    ConnectionNoted,
    EquityMarked,
    Executed,
    JournalFact,
    KillNoted,
    Refused,
    Sending,
    StateChanged,
)
from src.domain.market import Mode

VERSION: Final = 1
#: "Undy" in ASCII: a file with another number is not a journal.
APPLICATION_ID: Final = 0x556E6479

_NAMES: Final[dict[type, str]] = {
    Intent: "intents",
    Sending: "sends",
    Acknowledged: "acknowledgements",
    StateChanged: "state_changes",
    Amended: "amendments",
    Executed: "executions",
    Charged: "commissions",
    Adjusted: "adjustments",
    Refused: "refusals",
    ConnectionNoted: "connections",
    KillNoted: "kill_switch",
    EquityMarked: "equity",
}
_SESSIONS: Final = (
    "CREATE TABLE journal (mode TEXT NOT NULL, account_hash TEXT NOT NULL) STRICT",
    """CREATE TABLE sessions (seq INTEGER PRIMARY KEY, session TEXT NOT NULL UNIQUE,
        mode TEXT NOT NULL CHECK (mode = {mode}), started INTEGER NOT NULL, client_id INTEGER NOT NULL,
        configuration_hash TEXT NOT NULL, code_hash TEXT NOT NULL, version TEXT NOT NULL) STRICT""",
    """CREATE TABLE session_ends (seq INTEGER PRIMARY KEY, session TEXT NOT NULL UNIQUE, ended INTEGER NOT NULL,
        how TEXT NOT NULL) STRICT""",
)
_FREE_TEXTS: Final = ("reason", "value", "limit")

Row = tuple[Any, ...]
_MakeRow = Callable[[Any, Callable[[str], str]], list[Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """The table of one kind of fact: how its rows are made and read."""

    name: str
    definition: str
    insert: str
    row: _MakeRow
    fact: Callable[[Row], JournalFact]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    kind: type
    optional: bool

    @property
    def definition(self) -> str:
        return (
            f'"{self.name}" {"INTEGER" if issubclass(self.kind, int) else "TEXT"}{"" if self.optional else " NOT NULL"}'
        )

    @property
    def is_free(self) -> bool:
        return self.name in _FREE_TEXTS


def _columns(kind: Any) -> Iterator[_Column]:  # noqa: ANN401  # any dataclass of the union
    hints = get_type_hints(kind)
    for field in fields(kind):
        if field.name != "session":  # every table has that one
            types = get_args(hints[field.name]) or (hints[field.name],)
            plain = next(each for each in types if each is not type(None))
            yield _Column(field.name, getattr(plain, "__supertype__", plain), type(None) in types)  # OrderId is an int


def _row_of(columns: Sequence[_Column]) -> _MakeRow:
    names = [column.name for column in columns]
    exact = [index for index, column in enumerate(columns) if column.kind is Decimal]
    words = [index for index, column in enumerate(columns) if issubclass(column.kind, StrEnum)]
    free = [index for index, column in enumerate(columns) if column.is_free]

    def row(fact: Any, cleaned: Callable[[str], str]) -> list[Any]:  # noqa: ANN401
        values = [getattr(fact, name) for name in names]
        for index in exact:
            if values[index] is not None:
                values[index] = str(values[index])
        for index in words:
            values[index] = values[index].value
        for index in free:
            if values[index]:
                values[index] = cleaned(values[index])
        return values

    return row


def _fact_of(kind: Any, columns: Sequence[_Column]) -> Callable[[Row], JournalFact]:  # noqa: ANN401
    converted = [(index, each.kind) for index, each in enumerate(columns) if each.kind not in (str, int)]

    def fact(row: Row) -> JournalFact:
        _, session, *values = row
        for index, reader in converted:
            if values[index] is not None:
                values[index] = reader(values[index])
        if kind is Intent:
            return Intent(values[0], session, *values[1:])
        return kind(*values)  # type: ignore[no-any-return]

    return fact


def _table(kind: type, name: str) -> Table:
    columns = tuple(_columns(kind))
    targets = ", ".join(f'"{column}"' for column in ("seq", "session", *(column.name for column in columns)))
    marks = ", ".join("?" * (2 + len(columns)))
    # An execution that is told twice is one.
    told_twice = " ON CONFLICT DO NOTHING" if kind is Executed else ""
    return Table(
        name,
        f"CREATE TABLE {name} (seq INTEGER PRIMARY KEY, session TEXT NOT NULL, "
        f"{', '.join(column.definition for column in columns)}) STRICT",
        f"INSERT INTO {name} ({targets}) VALUES ({marks}){told_twice}",  # noqa: S608  # names of our own
        _row_of(columns),
        _fact_of(kind, columns),
    )


TABLES: Final = {kind: _table(kind, name) for kind, name in _NAMES.items()}
_ALL: Final = ("journal", "sessions", "session_ends", *_NAMES.values())


def statements(mode: Mode) -> Iterator[str]:
    """The statements that make an empty journal of `mode`."""
    for statement in _SESSIONS:
        yield statement.format(mode=f"'{mode.value}'")
    for table in TABLES.values():
        yield table.definition
    yield "CREATE UNIQUE INDEX intent_once ON intents (order_ref)"
    # A simulated exchange counts its executions anew in every session that begins with a new account.
    scope = "session, exec_id" if mode is Mode.SIMULATED else "exec_id"
    yield f"CREATE UNIQUE INDEX execution_once ON executions ({scope})"
    for table_name in _ALL:
        for deed in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table_name}_no_{deed.lower()} BEFORE {deed} ON {table_name} "
                "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
            )
    yield f"PRAGMA user_version = {VERSION}"
    yield f"PRAGMA application_id = {APPLICATION_ID}"


def last_place(connection: sqlite3.Connection) -> int:
    """The highest `seq` of all tables."""
    highest = " UNION ALL ".join(f"SELECT max(seq) AS seq FROM {name}" for name in _ALL if name != "journal")  # noqa: S608
    found = connection.execute(f"SELECT max(seq) FROM ({highest})").fetchone()[0]  # noqa: S608
    return int(found or 0)
