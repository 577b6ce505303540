"""What the journals of paper and live accounts show as unfinished: a reason never to simulate instead (decision D8)."""

from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from src.domain.errors import JournalError
from src.domain.journal_facts import Adjusted
from src.domain.market import Mode
from src.records.journal_file import FOLDER, SUFFIX
from src.records.journal_reading import JournalReader


def open_business(state_dir: Path) -> str:
    """Own positions, orders that may work, or a session that did not end, in words; empty when there is none."""
    folder = state_dir / FOLDER
    for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else ():
        if path.name.startswith(Mode.SIMULATED.value):
            continue
        try:
            with JournalReader(path) as reader:
                found = _found(reader)
        except JournalError as error:
            return f"what was left open cannot be read ({error})"
        if found:
            return f"the journal of a {reader.mode} account shows {found}"
    return ""


def _found(reader: JournalReader) -> str:
    outcomes, sessions = reader.outcomes(), reader.sessions()
    if working := outcomes.unsettled:
        return f"{len(working)} orders that may be working ({working[-1].order_ref})"
    refs = {record.order_ref for record in outcomes.records}
    ours: defaultdict[str, Decimal] = defaultdict(Decimal)
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in outcomes.executions.values():
        signed = each.shares * each.action.sign
        held[each.symbol] += signed
        if each.order_ref in refs:
            ours[each.symbol] += signed
    for fact in reader.facts(Adjusted):
        if isinstance(fact, Adjusted):
            held[fact.symbol] += fact.shares
    # What we have bought and somebody else has sold is no position any more.
    if positions := {symbol: shares for symbol, shares in ours.items() if shares and held[symbol]}:
        return "positions of ours: " + ", ".join(f"{shares} {symbol}" for symbol, shares in positions.items())
    if sessions and not sessions[-1].ended_cleanly:
        return "a session that did not end in good order"
    return ""
