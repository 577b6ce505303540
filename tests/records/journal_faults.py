"""What can happen to a journal's file, each for as long as its context lasts: of its own tests, and of T13."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

from src.records.journal import Journal
from tests.process_limits import limited

Fault = Callable[[Journal], AbstractContextManager[None]]


@contextmanager
def locked(journal: Journal) -> Iterator[None]:
    """Another program, such as a backup, holds the file."""
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")


@contextmanager
def read_only(journal: Journal) -> Iterator[None]:
    """The file system has been remounted."""
    connection = journal._writer._connection
    journal._group.between(lambda: connection.execute("PRAGMA query_only = ON").close())
    yield
    journal._group.between(lambda: connection.execute("PRAGMA query_only = OFF").close())


@contextmanager
def too_large(journal: Journal, length: int = 4096) -> Iterator[None]:
    """The system itself refuses to write, as at the end of a disk or of a quota: no file beyond so many bytes."""
    del journal
    with limited("RLIMIT_FSIZE", length):
        yield


@contextmanager
def removed(journal: Journal) -> Iterator[None]:
    """Somebody tidied up; SQLite alone would go on writing into nowhere."""
    aside = journal.path.with_suffix(".aside")
    journal.path.rename(aside)
    yield
    aside.rename(journal.path)


@contextmanager
def replaced(journal: Journal) -> Iterator[None]:
    """Somebody restored an old copy."""
    aside = journal.path.with_suffix(".aside")
    journal.path.rename(aside)
    shutil.copy(aside, journal.path)
    yield
    aside.rename(journal.path)


@contextmanager
def log_removed(journal: Journal) -> Iterator[None]:
    """Somebody took the write-ahead log for rubbish."""
    log, aside = journal.path.with_name(f"{journal.path.name}-wal"), journal.path.with_suffix(".aside")
    log.rename(aside)
    yield
    aside.rename(log)
