"""T13: the journal cannot be written, in every way a file can fail: nothing new leaves, and cancels pass."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from src.domain.errors import BrokerError
from src.domain.orders import OrderStatus
from src.records.journal import Journal
from tests.faults.harness import CALM, PATIENT, FaultStage, pause, wait_for
from tests.faults.results import Result, chance_of
from tests.records.journal_faults import Fault, locked, log_removed, read_only, removed, too_large


@contextmanager
def full(journal: Journal) -> Iterator[None]:
    """No row more fits on the disk, as SQLite tells it."""
    with _failing(journal, ("INSERT",), "SQLITE_FULL", "database or disk is full"):
        yield


@contextmanager
def unflushed(journal: Journal) -> Iterator[None]:
    """The disk takes the bytes and fails to keep them: fsync answers EIO. What it has then, nobody knows."""
    with _failing(journal, ("COMMIT", "INSERT"), "SQLITE_IOERR_FSYNC", "disk I/O error"):  # one alone commits itself
        yield


FAULTS: Final[tuple[Fault, ...]] = (locked, full, read_only, too_large, unflushed, removed, log_removed)
#: What passes by itself. After any other nobody knows what the disk has, and the next session finds out.
_PASSING: Final = (locked, full)


class _Failing:
    """A connection on which statements that begin with one of some words fail, as SQLite tells it."""

    def __init__(self, connection: sqlite3.Connection, words: tuple[str, ...], error: sqlite3.OperationalError) -> None:
        self.connection, self._words, self._error = connection, words, error

    def execute(self, words: str, *values: Any) -> sqlite3.Cursor:
        if words.startswith(self._words):
            raise self._error
        return self.connection.execute(words, *values)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self.connection, name)


@contextmanager
def _failing(journal: Journal, words: tuple[str, ...], name: str, sentence: str) -> Iterator[None]:
    error = sqlite3.OperationalError(sentence)
    error.sqlite_errorname = name
    writer = journal._writer
    own = writer._connection

    def use(connection: Any) -> None:  # noqa: ANN401
        writer._connection = connection

    journal._group.between(lambda: use(_Failing(own, words, error)))
    yield
    journal._group.between(lambda: use(own))


def fail_the_journal(folder: Path, seed: int, *, rounds: int = 7) -> Result:
    """T13: at a moment of an order's life the journal cannot be written any more; a cancel still passes."""
    chance, result = chance_of("T13", seed), Result()
    with FaultStage(folder, seed=seed, timing=CALM, settings=PATIENT) as stage:
        stage.open()
        for number in range(rounds):
            stage.attempt(stage.order("BUY", 20, ref=f"held-{number}"))
            working = stage.attempt(stage.order("BUY", 1, away=1.0, ref=f"works-{number}")).trade
            found = stage.settled()
            fault = FAULTS[(seed + number) % len(FAULTS)]
            journal = stage.broker._admission.books.journal
            assert journal is not None
            with fault(journal):
                pause(chance.choice([0.0, 0.0, 0.05, 0.1]))  # it may be noticed before the order, or by it
                before = stage.proxy.order_bytes
                found += [
                    f"I25: an order left although the journal is {fault.__name__}: {answer.error!r}"
                    for answer in (stage.attempt(stage.order("BUY", 3, ref=f"new-{number}-{each}")) for each in "ab")
                    if answer.trade is not None
                ]
                if stage.proxy.order_bytes != before:
                    found.append(f"I25: bytes of an order left although the journal is {fault.__name__}")
                found += _cancels(stage, working.order_id if working is not None else None)
            if fault not in _PASSING:
                stage.restart()
            elif not wait_for(lambda: stage.broker._admission.books.unavailable is None, 40.0):
                found.append(f"I25: the journal stays failed after it was {fault.__name__}")
            found += stage.settled()
            result.count(found, f"T13 seed {seed}, round {number}: {fault.__name__}")
            if found:
                break
    return result


def _cancels(stage: FaultStage, order_id: Any) -> list[str]:  # noqa: ANN401
    """I25: what works can be cancelled."""
    if order_id is None:
        return []
    try:
        status = stage.broker.cancel_order(order_id).status
    except BrokerError as error:
        return [f"I25: no cancel while the journal fails: {error!r}"]
    return [] if status is OrderStatus.CANCELLED else [f"I25: a cancel while the journal fails is answered by {status}"]
