"""What became of each intent, told by a journal's facts in their order. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from src.domain.intents import Intent, IntentRecord, IntentState
from src.domain.journal_facts import (
    Acknowledged,
    Amended,
    CancelNoted,
    Executed,
    JournalFact,
    Refused,
    Sending,
    StateChanged,
)

_OfAnOrder = Sending | Acknowledged | StateChanged | Amended | CancelNoted | Refused


def execution_family(exec_id: str) -> tuple[str, int]:
    """An execution's id without its revision, and the revision: a correction bears the same id with a higher one.

    Ids of fewer than three parts have no revision.
    """
    stem, dot, revision = exec_id.rpartition(".")
    return (stem, int(revision)) if dot and "." in stem and revision.isdecimal() else (exec_id, 0)


class Outcomes:
    """Every intent and what became of it; facts are taken in the order in which they were written."""

    def __init__(self, facts: Iterable[JournalFact] = ()) -> None:
        self._records: dict[str, IntentRecord] = {}
        # By family and order: a simulated exchange counts its executions anew with every new account.
        self._revisions: dict[tuple[str, str], tuple[int, Executed]] = {}
        for each in facts:
            self.take(each)

    @property
    def records(self) -> tuple[IntentRecord, ...]:
        """All of them, oldest first."""
        return tuple(self._records.values())

    def of(self, order_ref: str) -> IntentRecord | None:
        """What became of one intent; None when there is none of that name."""
        return self._records.get(order_ref)

    @property
    def unsettled(self) -> tuple[IntentRecord, ...]:
        """Those of which the venue may still know something that we do not."""
        known = tuple(self._records.values())  # at once: another thread may take a fact in meanwhile
        return tuple(record for record in known if not record.state.is_settled)

    @property
    def executions(self) -> Mapping[tuple[str, str], Executed]:
        """What counts of the executions, by family and order: the latest revision of each."""
        return {key: execution for key, (_, execution) in tuple(self._revisions.items())}

    def take(self, news: JournalFact) -> None:
        """Take one fact in. What concerns no intent of this journal, and what is told twice, changes nothing."""
        if isinstance(news, Intent):
            self._records.setdefault(news.order_ref, IntentRecord.begin(news))
        elif isinstance(news, Executed):
            self._execute(news)
        elif isinstance(news, _OfAnOrder):
            record = self._records.get(news.order_ref)
            if record is not None:
                self._records[news.order_ref] = _told(record, news)

    def _execute(self, execution: Executed) -> None:
        family, revision = execution_family(execution.exec_id)
        known = self._revisions.get((family, execution.order_ref))
        if known is not None and known[0] >= revision:
            return
        self._revisions[family, execution.order_ref] = revision, execution
        record = self._records.get(execution.order_ref)
        if record is not None:
            filled = record.filled + execution.shares - (Decimal(0) if known is None else known[1].shares)
            self._records[execution.order_ref] = record.executed(filled, execution.time, corrected=known is not None)


def _told(record: IntentRecord, news: _OfAnOrder) -> IntentRecord:
    match news:
        case Sending():
            return record.numbered(news.order_id).told(IntentState.SENDING, news.time)
        case Acknowledged():
            state = IntentState.PARTIAL if record.filled > 0 else IntentState.ACKED
            return record.numbered(news.order_id, news.perm_id).told(state, news.time)
        case StateChanged():
            return record.told(news.state, news.time, news.reason)
        case CancelNoted():
            return replace(record, cancel=news.step, updated=news.time)
        case Amended():
            return replace(record, quantity=news.quantity, updated=news.time)
        case Refused():
            return record.told(IntentState.REFUSED, news.time, f"{news.rule}: limit {news.limit}, value {news.value}")
