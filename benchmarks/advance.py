"""What `exchange.advance` takes when a bar triggers nothing: `python benchmarks/advance.py`. Run by `make bench`.

One bar a call, one limit order resting, what the loop takes taken off; the best of many rounds, because other programs
can only make a round slower. Beside it stand an empty method with the same arguments, which is the cheapest call there
is, and a function that makes the checks and nothing else, for one bar that is known to be quiet: what Python takes for
them at least. The goal is GOAL nanoseconds; machine and interpreter decide most of them, so that it says whether the
goal is reached, and exits 1 only when `advance` takes more than LIMIT empty calls.
"""

import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from src.domain.events import Event  # noqa: E402  # found only now
from src.domain.market import Bar, Contract  # noqa: E402
from src.domain.orders import AccountId, Action, Order, OrderType  # noqa: E402
from src.exchange.book import Book  # noqa: E402
from src.exchange.commission import NoFees  # noqa: E402
from src.exchange.exchange import Exchange  # noqa: E402
from src.exchange.fill_models import IDEAL  # noqa: E402
from src.exchange.sessions import Sessions  # noqa: E402
from src.exchange.terms import Listed  # noqa: E402

GOAL = 150.0
LIMIT = 10.0
BARS, ROUNDS = 1_000, 300
MINUTE = 60_000_000_000
START = 1_704_067_200_000_000_000
MSFT = Contract("MSFT", con_id=272093)
SIM = AccountId("SIM0001")

Step = tuple[int, tuple[Bar, ...]]
Advance = Callable[[int, Sequence[Bar]], tuple[Event, ...]]


class Empty:
    """A method that does nothing with the same arguments."""

    def advance(self, now: int, bars: Sequence[Bar] = ()) -> tuple[Event, ...]:  # noqa: ARG002  # that is its point
        """Return nothing."""
        return ()


def checks_alone(book: Book) -> Advance:
    """Time and prices looked at, the bar kept: no loop, no object, no way out where something is due."""
    last, wake = -1, 1 << 62

    def advance(now: int, bars: Sequence[Bar] = ()) -> tuple[Event, ...]:
        nonlocal last
        if now <= wake and now >= last:
            (bar,) = bars
            if bar[0] is book.contract and book.low_guard < bar[5] and bar[4] < book.high_guard:
                book.last = bar
                last = now
                return ()
        raise AssertionError(bars)

    return advance


def steps(first: int, count: int) -> list[Step]:
    """So many minutes and their bars, from a minute on."""
    ends = [START + MINUTE * (minute + 1) for minute in range(first, first + count)]
    return [(end, (Bar(MSFT, end - MINUTE, end, 100.0, 101.0, 99.0, 100.0, 1000.0),)) for end in ends]


def exchange() -> Exchange:
    """An exchange at its second minute, where a limit rests that no bar reaches."""
    made = Exchange([Listed(MSFT, Decimal("0.01"))], IDEAL, Sessions.always(), NoFees())
    made.open_account(SIM, Decimal(1_000_000))
    (now, bar), second = steps(0, 2)
    made.advance(now, bar)
    made.submit(SIM, Order(MSFT, Action.BUY, Decimal(100), OrderType.LIMIT, limit_price=Decimal(50)), now)
    made.advance(*second)
    return made


def timed(advance: Advance, todo: Sequence[Step]) -> int:
    """Nanoseconds of a call for each step."""
    begun = perf_counter_ns()
    for now, bars in todo:
        advance(now, bars)
    return perf_counter_ns() - begun


def timed_loop(todo: Sequence[Step]) -> int:
    """Nanoseconds of the loop alone."""
    begun = perf_counter_ns()
    for _now, _bars in todo:
        pass
    return perf_counter_ns() - begun


def book() -> Book:
    """A book that no bar of the steps reaches."""
    quiet = Book(MSFT, Listed(MSFT, Decimal("0.01")).terms(NoFees()), 0)
    quiet.set_guards()
    return quiet


def main() -> int:
    """Measure all in turn."""
    market, empty, checks = exchange(), Empty(), checks_alone(book())
    rounds = []
    for number in range(ROUNDS):
        todo = steps(2 + number * BARS, BARS)
        calls = (market.advance, checks, empty.advance)
        rounds.append((*(timed(call, todo) for call in calls), timed_loop(todo)))
    *taken, loop = (min(each) / BARS for each in zip(*rounds, strict=True))
    takes, least, floor = (each - loop for each in taken)
    reached = "reached" if takes <= GOAL else "not reached"
    print(f"exchange.advance, nothing triggered: {takes:.0f} ns, {takes / floor:.1f} empty calls of {floor:.0f} ns")
    print(f"the checks alone: {least:.0f} ns")
    print(f"CPython {sys.version.split()[0]}: the goal of {GOAL:.0f} ns is {reached} here")
    if takes > LIMIT * floor:
        print(f"more than {LIMIT:.0f} empty calls", file=sys.stderr)
    return int(takes > LIMIT * floor)


if __name__ == "__main__":
    sys.exit(main())
