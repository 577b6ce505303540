"""A process to be killed: writes intents from four threads, and prints each reference once it is on the disk.

`python tests/records/journal_writer.py STATE_DIR SESSION`
"""

import sys
import threading
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from src.domain.intents import Intent
from src.domain.journal_facts import SessionFacts
from src.domain.market import Contract, Mode
from src.domain.orders import AccountId, Action, Order
from src.records.journal import Journal
from src.runtime.clock import wall_clock


def main(state_dir: str, session: str) -> None:
    """Open, say so, and write until killed."""
    facts = SessionFacts(session, 1, "", "", "")
    journal = Journal.open(Path(state_dir), Mode.PAPER, AccountId("DU7654321"), facts, wall_clock)
    printing = threading.Lock()

    def write(name: int) -> None:
        for number in range(100_000):
            order = Order(Contract("MSFT"), Action.BUY, Decimal(1), order_ref=f"{session}-{name}x{number}")
            journal.intend([Intent.of(order, session, wall_clock())])
            with printing:
                print(order.order_ref, flush=True)

    print("open", flush=True)
    for name in range(4):
        threading.Thread(target=write, args=(name,)).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
