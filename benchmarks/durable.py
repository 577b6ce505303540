"""What it costs to write an intent down before it is sent. `python -m benchmarks.durable`; POSIX, on the disk it is on.

One caller's `intend` beside the least that anything durable costs, one append and one fdatasync, by turns, so that a
busy machine is as unkind to both; then sixteen callers at once beside one. Exits 1 when sixteen are not 3.5 times as
fast as one.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, time_ns

from src.domain.intents import Intent
from src.domain.journal_facts import Acknowledged, SessionFacts
from src.domain.market import Contract, Mode
from src.domain.orders import AccountId, Action, Order, OrderId
from src.records.journal import Journal

WANTED = 3.5
CALLERS = 16
_SESSION = "aaaaaaaaaa"
_ROUNDS, _TURN = 9, 100
_OUT = Path(__file__).resolve().parent / "out"


@contextmanager
def journal() -> Iterator[Journal]:
    """A journal as on paper, on the disk of this repository."""
    _OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_OUT) as folder:
        session = SessionFacts(_SESSION, 1, "", "", "")
        opened = Journal.open(Path(folder), Mode.PAPER, AccountId("DU0000000"), session, time_ns)
        try:
            yield opened
        finally:
            opened.close("measured")


def place(journal: Journal, name: str) -> None:
    """What one order costs the journal: its intent, waited for, and its acknowledgement, not waited for."""
    order = Order(Contract("MSFT"), Action.BUY, Decimal(100), order_ref=f"{_SESSION}-{name}")
    journal.intend([Intent.of(order, _SESSION, time_ns())])
    journal.record(Acknowledged(order.order_ref, time_ns(), OrderId(1), 1))


def append(descriptor: int) -> None:
    """The least that anything durable costs: as many bytes as an intent has, and one flush."""
    os.write(descriptor, b"x" * 200)
    os.fdatasync(descriptor)


def seconds(action: Callable[[], None]) -> float:
    """How long a call takes."""
    begun = perf_counter()
    action()
    return perf_counter() - begun


def together(journal: Journal, turn: int) -> float:
    """Orders a second with all callers at once."""

    def caller(number: int) -> None:
        for order in range(_TURN):
            place(journal, f"{turn}x{number}x{order}")

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(CALLERS)]
    begun = perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return CALLERS * _TURN / (perf_counter() - begun)


def main() -> int:
    """Measure and report."""
    ours: list[float] = []
    least: list[float] = []
    alone: list[float] = []
    all_at_once: list[float] = []
    with journal() as opened, tempfile.TemporaryFile(dir=_OUT, buffering=0) as file:
        for turn in range(_ROUNDS):
            for number in range(_TURN):
                least.append(seconds(lambda: append(file.fileno())))
                ours.append(seconds(partial(place, opened, f"{turn}y{number}")))
            alone.append(_TURN / sum(ours[-_TURN:]))
            all_at_once.append(together(opened, turn))
    ratio = median(all_at_once) / median(alone)
    for name, taken in (("append and fdatasync", least), ("intend", ours)):
        late = sorted(taken)[len(taken) * 99 // 100]
        print(f"{name:<22}{median(taken) * 1e6:>8,.0f} us, 99 % within {late * 1e6:>8,.0f} us")
    print(f"{'one caller':<22}{median(alone):>8,.0f} orders a second")
    print(f"{CALLERS} {'callers':<19}{median(all_at_once):>8,.0f} orders a second, {ratio:.1f} times as many")
    if ratio < WANTED:
        print(f"FAILED: {WANTED} times is wanted", file=sys.stderr)
    return int(ratio < WANTED)


if __name__ == "__main__":
    sys.exit(main())
