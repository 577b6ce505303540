"""The orders of every journal in the state folder, and what became of them: for a person and as JSON.

It reads beside a running trader, and after one that was killed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from src.domain.errors import ConfigurationError
from src.domain.intents import IntentRecord
from src.domain.journal_facts import SessionRecord
from src.domain.market import Mode
from src.records.journal_file import FOLDER, SUFFIX
from src.records.journal_reading import JournalReader
from src.runtime.clock import iso

_HEADER: Final = ("Updated (UTC)", "Order", "Id", "Symbol", "Side", "Quantity", "State", "Filled", "Reason")


@dataclass(frozen=True, slots=True)
class SessionOrders:
    """A session and its intents, oldest first."""

    session: SessionRecord
    records: tuple[IntentRecord, ...]


def sessions_with_orders(
    state_dir: Path, *, mode: Mode | None = None, session: str | None = None
) -> tuple[SessionOrders, ...] | None:
    """Every session (of a mode, or the one of that id) with its orders, oldest first; None when there is no journal.

    Raises JournalError for a file that is damaged, ConfigurationError for a session that is in no journal.
    """
    paths = sorted((state_dir / FOLDER).glob(f"{mode.value if mode else '*'}-*{SUFFIX}"))
    if not paths:
        return None
    found = tuple(sorted(_all_in(paths, session), key=lambda each: each.session.started))
    if session is not None and not found:
        raise ConfigurationError(f"--session {session}: no journal in {state_dir / FOLDER} has it")
    return found


def order_answers(sessions: Sequence[SessionOrders]) -> list[Mapping[str, object]]:
    """The orders as `--json` shows them; quantities are numbers, `updated` is ISO 8601 UTC."""
    return [
        {
            "order_ref": record.order_ref,
            "order_id": record.order_id,
            "symbol": record.intent.contract.local_symbol,
            "side": record.intent.action.value,
            "quantity": _number(record.quantity),
            "state": record.state.value,
            "filled": _number(record.filled),
            "updated": iso(record.updated),
            "mode": each.session.mode.value,
        }
        for each in sessions
        for record in each.records
    ]


def order_text(sessions: Sequence[SessionOrders]) -> str:
    """The orders as a table, session by session."""
    lines: list[str] = []
    for each in sessions:
        lines += [_title(each.session), *_table(each.records), ""]
    return "\n".join(lines[:-1]) if lines else "No session has been journalled yet."


def _all_in(paths: Sequence[Path], session: str | None) -> Iterator[SessionOrders]:
    for path in paths:
        with JournalReader(path) as reader:
            by_session: dict[str, list[IntentRecord]] = {}
            for record in reader.intents():
                by_session.setdefault(record.intent.session, []).append(record)
            for each in reader.sessions():
                if session in (None, each.facts.session):
                    yield SessionOrders(each, tuple(by_session.get(each.facts.session, ())))


def _title(session: SessionRecord) -> str:
    end = (
        f"to {iso(session.ended)}: {session.how}"
        if session.ended is not None
        else "and not ended: it runs, or was killed"
    )
    return f"Session {session.facts.session}, {session.mode.upper()}, from {iso(session.started)} {end}"


def _table(records: Sequence[IntentRecord]) -> Iterator[str]:
    if not records:
        yield "  no orders"
        return
    rows = [_HEADER, *map(_row, records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(record: IntentRecord) -> tuple[str, ...]:
    return (
        iso(record.updated)[:-1].replace("T", " "),
        record.order_ref,
        "" if record.order_id is None else str(record.order_id),
        record.intent.contract.local_symbol,
        record.intent.action,
        f"{_number(record.quantity):,}",
        record.state,
        f"{_number(record.filled):,}",
        record.reason or _cancel_shown(record),
    )


def _cancel_shown(record: IntentRecord) -> str:
    """What is on its way to an order that works still."""
    return "" if record.cancel is None or record.state.is_settled else f"its cancel is {record.cancel.lower()}"


def _number(quantity: Decimal) -> int | float:
    return int(quantity) if quantity == quantity.to_integral_value() else float(quantity)
