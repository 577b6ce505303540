"""A session afterwards: what ran, what it did, what it cost. Gathered from the journal and from the recording.

Nothing here is a page or a table yet: `console/report/` writes it as HTML, CSV or JSON.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from src.domain.errors import ConfigurationError
from src.domain.intents import CancelStep, Intent, IntentState
from src.domain.journal_facts import (
    Adjusted,
    CancelNoted,
    Charged,
    ConnectionNoted,
    Executed,
    JournalFact,
    KillNoted,
    Refused,
    SessionRecord,
    StateChanged,
)
from src.records.journal_file import FOLDER, SUFFIX
from src.records.journal_reading import JournalReader
from src.records.recording import Columns, Recorded, read_recording
from src.records.round_trips import FillRow, PriceBefore, RoundTrip, booked
from src.records.session_notes import read_notes
from src.records.statistics import Statistics, statistics_of

_UNTOLD: Final = frozenset({IntentState.REJECTED, IntentState.UNKNOWN, IntentState.NOT_SENT})


@dataclass(frozen=True, slots=True)
class RefusedOrder:
    """An order that came to nothing: by whom, and why."""

    time: int
    order_ref: str
    words: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something of the connection, the kill switch or a position that nothing explains."""

    time: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class SessionReport:
    """Everything of one session. Times are epoch ns, on the market's clock; `equity` is dollars at bar closes."""

    session: SessionRecord
    notes: Mapping[str, Any]
    times: Sequence[int]
    equity: Sequence[float]
    bars: Mapping[str, Columns]
    fills: tuple[FillRow, ...]
    trips: tuple[RoundTrip, ...]
    refused: tuple[RefusedOrder, ...]
    remarks: tuple[Remark, ...]
    statistics: Statistics


def report_of(state_dir: Path, session: str | None = None) -> SessionReport:
    """The report of a session, of the last one when none is named. ConfigurationError when there is none."""
    reader, record = _found(state_dir, session)
    with reader:
        facts = reader.facts(session=record.facts.session)
    name = record.facts.session
    seen = read_recording(state_dir, name)
    times, equity = _curve(seen)
    intents = {each.order_ref: each for each in facts if isinstance(each, Intent)}
    own = [each for each in facts if isinstance(each, Executed) and each.order_ref in intents]
    charges = {each.exec_id: each for each in facts if isinstance(each, Charged)}
    decided = {reference: intent.time for reference, intent in intents.items()}
    fills, trips = booked(own, charges, decided, _prices(seen))
    return SessionReport(
        session=record,
        notes=read_notes(state_dir, name),
        times=times,
        equity=equity,
        bars=seen.bars if seen is not None else {},
        fills=fills,
        trips=trips,
        refused=_refused(facts, intents),
        remarks=_remarks(facts),
        statistics=statistics_of(times, equity, fills, trips),
    )


def _found(state_dir: Path, session: str | None) -> tuple[JournalReader, SessionRecord]:
    """The journal that has the session, open, and the session."""
    best: tuple[JournalReader, SessionRecord] | None = None
    for path in sorted((state_dir / FOLDER).glob(f"*{SUFFIX}")):
        reader = JournalReader(path)
        matching = [each for each in reader.sessions() if session in (None, each.facts.session)]
        last = max(matching, key=lambda each: each.started, default=None)
        if last is None or (best is not None and best[1].started >= last.started):
            reader.close()
            continue
        if best is not None:
            best[0].close()
        best = reader, last
    if best is None:
        where = state_dir / FOLDER
        if session is not None:
            raise ConfigurationError(
                f"--session {session}: no journal in {where} has it; `python -m src orders` lists them"
            )
        raise ConfigurationError(f"there is no session to report on in {where}: run one with live_trader.py")
    return best


def _curve(seen: Recorded | None) -> tuple[list[int], list[float]]:
    if seen is None:
        return [], []
    return [int(each) for each in seen.equity["time"]], [float(each) for each in seen.equity["equity"]]


def _prices(seen: Recorded | None) -> PriceBefore:
    """The close of the last bar that had ended."""
    columns = {
        symbol: (bars["time"].tolist(), bars["close"].tolist()) for symbol, bars in (seen.bars if seen else {}).items()
    }

    def before(symbol: str, moment: int) -> float | None:
        ends, closes = columns.get(symbol, ((), ()))
        place = bisect_right(ends, moment)
        return float(closes[place - 1]) if place else None

    return before


def _refused(facts: Sequence[JournalFact], intents: Mapping[str, Intent]) -> tuple[RefusedOrder, ...]:
    rows = []
    for each in facts:
        if isinstance(each, Refused):
            reason = f"{each.rule}: {each.value}, and the limit is {each.limit}"
            rows.append(RefusedOrder(each.time, each.order_ref, _words(intents.get(each.order_ref)), "a limit", reason))
        elif isinstance(each, StateChanged) and each.state in _UNTOLD:
            by = "the venue" if each.state is IntentState.REJECTED else each.state.lower().replace("_", " ")
            rows.append(RefusedOrder(each.time, each.order_ref, _words(intents.get(each.order_ref)), by, each.reason))
    return tuple(rows)


def _words(intent: Intent | None) -> str:
    return (
        ""
        if intent is None
        else f"{intent.action} {intent.quantity:f} {intent.contract.local_symbol} {intent.order_type}"
    )


def _remarks(facts: Sequence[JournalFact]) -> tuple[Remark, ...]:
    rows = []
    for each in facts:
        if isinstance(each, ConnectionNoted):
            state = "is there" if each.connected else "is lost"
            rows.append(Remark(each.time, "connection", f"{state}{f': {each.reason}' if each.reason else ''}"))
        elif isinstance(each, KillNoted):
            rows.append(Remark(each.time, "kill switch", f"{'thrown' if each.engaged else 'released'}: {each.reason}"))
        elif isinstance(each, CancelNoted) and each.step is not CancelStep.ASKED:
            why = f": {each.reason}" if each.reason else ""
            rows.append(Remark(each.time, "cancel", f"of {each.order_ref}, {each.step.lower()}{why}"))
        elif isinstance(each, Adjusted):
            rows.append(Remark(each.time, "adjustment", f"{each.symbol} moved by {each.shares:f}: {each.reason}"))
    return tuple(rows)
