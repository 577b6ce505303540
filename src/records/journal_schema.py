"""The journal's tables: one for each kind of fact, made from the fact's own fields. Append-only.

Money and quantities are text, exact to the last digit. Every row has its place (`seq`) among all rows of the journal,
the session that wrote it, and a checksum (`mark`), since SQLite has none of its own: a bit that flips is found. A
change to a fact is a change to the file: raise `VERSION` with it, and teach `upgrade` how an older file becomes one.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any, Final, get_args, get_type_hints
from zlib import crc32

from src.domain.intents import Intent
from src.domain.journal_facts import (
    Acknowledged,
    Adjusted,
    Amended,
    CancelNoted,
    Charged,
    ConnectionNoted,
    EquityMarked,
    Executed,
    JournalFact,
    KillNoted,
    Refused,
    Sending,
    SessionBegan,
    SessionEnded,
    StateChanged,
)
from src.domain.market import Mode

VERSION: Final = 2
_WITH_CANCELS: Final = 2
#: "Undy" in ASCII: a file with another number is not a journal.
APPLICATION_ID: Final = 0x556E6479

_NAMES: Final[dict[type, str]] = {
    SessionBegan: "sessions",
    SessionEnded: "session_ends",
    Intent: "intents",
    Sending: "sends",
    Acknowledged: "acknowledgements",
    StateChanged: "state_changes",
    Amended: "amendments",
    CancelNoted: "cancels",
    Executed: "executions",
    Charged: "commissions",
    Adjusted: "adjustments",
    Refused: "refusals",
    ConnectionNoted: "connections",
    KillNoted: "kill_switch",
    EquityMarked: "equity",
}
_FREE_TEXTS: Final = ("reason", "value", "limit")

Row = tuple[Any, ...]
_Values = Callable[[Any, Callable[[str], str]], list[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The table of one kind of fact: how its rows are made and read."""

    name: str
    width: int
    definition: str
    insertion: str
    conflict: str
    values: _Values
    fact: Callable[[Row], JournalFact]

    @cache  # noqa: B019  # there are a dozen tables, for as long as the process lives
    def insert(self, rows: int) -> str:
        """The statement that inserts so many rows at once."""
        row = f"({', '.join('?' * self.width)})"
        return f"{self.insertion} {', '.join([row] * rows)}{self.conflict}"


def mark_of(row: Sequence[Any]) -> int:
    """The checksum of a row: its place, its session, its values."""
    return crc32(repr(tuple(row)).encode())


def check(row: Row, name: str) -> None:
    """ValueError when a row, its mark included, is not what was written."""
    if row[-1] != mark_of(row[:-1]):
        raise ValueError(f"row {row[0]} of {name} is not what was written")


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


def _values_of(columns: Sequence[_Column]) -> _Values:
    look_up = attrgetter(*(column.name for column in columns))
    exact = [index for index, column in enumerate(columns) if column.kind is Decimal]
    words = [index for index, column in enumerate(columns) if issubclass(column.kind, StrEnum)]
    flags = [index for index, column in enumerate(columns) if column.kind is bool]
    free = [index for index, column in enumerate(columns) if column.is_free]

    def values_of(fact: Any, cleaned: Callable[[str], str]) -> list[Any]:  # noqa: ANN401
        values = list(look_up(fact))
        for index in exact:
            if values[index] is not None:
                values[index] = str(values[index])
        for index in words:
            values[index] = values[index].value
        for index in flags:
            values[index] = int(values[index])
        for index in free:
            if values[index]:
                values[index] = cleaned(values[index])
        return values

    return values_of


def _fact_of(kind: Any, columns: Sequence[_Column]) -> Callable[[Row], JournalFact]:  # noqa: ANN401
    place = next((index for index, field in enumerate(fields(kind)) if field.name == "session"), None)
    converted = [(index, each.kind) for index, each in enumerate(columns) if each.kind not in (str, int)]

    def fact(row: Row) -> JournalFact:
        check(row, kind.__name__)
        _, session, *values, _ = row
        for index, reader in converted:
            if values[index] is not None:
                values[index] = reader(values[index])
        if place is not None:
            values.insert(place, session)
        return kind(*values)  # type: ignore[no-any-return]

    return fact


def _table(kind: type, name: str) -> Table:
    columns = tuple(_columns(kind))
    targets = ", ".join(f'"{column}"' for column in ("seq", "session", *(column.name for column in columns), "mark"))
    return Table(
        name,
        len(columns) + 3,
        f"CREATE TABLE {name} (seq INTEGER PRIMARY KEY, session TEXT NOT NULL, "
        f"{', '.join(column.definition for column in columns)}, mark INTEGER NOT NULL) STRICT",
        f"INSERT INTO {name} ({targets}) VALUES",  # names of our own
        " ON CONFLICT DO NOTHING" if kind is Executed else "",  # an execution that is told twice is one
        _values_of(columns),
        _fact_of(kind, columns),
    )


TABLES: Final = {kind: _table(kind, name) for kind, name in _NAMES.items()}


def statements(mode: Mode) -> Iterator[str]:
    """The statements that make an empty journal of `mode`."""
    modes = "'simulated', 'paper', 'live'"
    yield f"CREATE TABLE journal (mode TEXT NOT NULL CHECK (mode IN ({modes})), account_hash TEXT NOT NULL) STRICT"
    for table in TABLES.values():
        yield table.definition
    yield "CREATE UNIQUE INDEX session_once ON sessions (session)"
    yield "CREATE UNIQUE INDEX intent_once ON intents (order_ref)"
    # A simulated exchange counts its executions anew with every new account.
    scope = "exec_id, order_ref" if mode is Mode.SIMULATED else "exec_id"
    yield f"CREATE UNIQUE INDEX execution_once ON executions ({scope})"
    for name in ("journal", *_NAMES.values()):
        yield from _kept_as_written(name)
    yield f"PRAGMA user_version = {VERSION}"
    yield f"PRAGMA application_id = {APPLICATION_ID}"


def upgrade(version: int) -> Iterator[str]:
    """The statements that make a journal of an earlier `version` one of this."""
    if version < _WITH_CANCELS:
        yield TABLES[CancelNoted].definition
        yield from _kept_as_written(TABLES[CancelNoted].name)
    yield f"PRAGMA user_version = {VERSION}"


def _kept_as_written(name: str) -> Iterator[str]:
    """A table's rows are never changed, and never removed."""
    for deed in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER {name}_no_{deed.lower()} BEFORE {deed} ON {name} "
            "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        )


def last_place(connection: sqlite3.Connection) -> int:
    """The highest `seq` of all tables."""
    highest = " UNION ALL ".join(f"SELECT max(seq) AS seq FROM {name}" for name in _NAMES.values())  # noqa: S608
    found = connection.execute(f"SELECT max(seq) FROM ({highest})").fetchone()[0]  # noqa: S608
    return int(found or 0)
