"""A broker asked by several scrapes at once, one that hangs, and prices that stop coming."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from src.domain.account import AccountPnL, AccountSummary, Position
from src.domain.market import Contract, Mode, Quote, Source
from src.records.metrics.readings import Health, Reading, Readings
from src.runtime.clock import NS, wall_clock

MSFT = Contract("MSFT", con_id=1)
PATIENCE = 40.0


@dataclass
class Venue:
    """A broker of which the positions can be made to wait."""

    mode: Mode = Mode.PAPER
    is_connected: bool = True
    quote: Quote | None = None
    asked: int = 0
    waits: bool = False
    is_asked: threading.Event = field(default_factory=threading.Event)
    answers: threading.Event = field(default_factory=threading.Event)

    def now(self) -> int:
        return wall_clock()

    def health(self) -> Health:
        raise LookupError("of no matter here")

    def account_summary(self) -> AccountSummary:
        raise LookupError("of no matter here")

    def pnl(self) -> AccountPnL:
        raise LookupError("of no matter here")

    def positions(self) -> tuple[Position, ...]:
        self.asked += 1
        self.is_asked.set()
        if self.waits:
            self.answers.wait(PATIENCE)
        return ()

    def latest_quote(self, contract: Contract) -> Quote | None:
        assert contract == MSFT
        return self.quote


@contextmanager
def taking(readings: Readings, patience: float) -> Iterator[list[Reading]]:
    """A scrape on a thread of its own; what it took is there at the end."""
    taken: list[Reading] = []
    thread = threading.Thread(target=lambda: taken.append(readings.take(patience)))
    thread.start()
    yield taken
    thread.join(PATIENCE)


def test_two_scrapes_at_once_share_one_answer() -> None:
    """The second one neither asks again nor takes the account for unknown."""
    venue = Venue(waits=True)
    readings = Readings(venue, [MSFT])
    with taking(readings, PATIENCE) as first:
        assert venue.is_asked.wait(PATIENCE)
        question, joined = readings._questions["positions"], threading.Event()
        ask = question.ask

        def told_when_asked() -> Callable[[float], object]:
            answer = ask()
            joined.set()
            return answer

        question.ask = told_when_asked  # type: ignore[method-assign]
        with taking(readings, PATIENCE) as second:
            assert joined.wait(PATIENCE)
            venue.answers.set()
    assert (first[0].positions, second[0].positions) == ((), ())
    assert venue.asked == 1


def test_of_a_broker_that_hangs_nobody_waits_a_second_time() -> None:
    """The first scrape has waited as long as it may; the next ones know at once that there is no answer."""
    venue = Venue(waits=True)
    readings = Readings(venue, [MSFT])
    assert readings.take(0.05).positions is None
    with taking(readings, 0.05) as later:
        pass
    assert later[0].positions is None
    assert venue.asked == 1
    venue.answers.set()


def test_the_age_of_a_price_goes_on_growing_when_nothing_more_comes() -> None:
    """TWS's farm is down and the quote is withdrawn: when it came is known all the same, else no alert would fire."""
    venue, seen = Venue(), wall_clock() - 5 * NS
    readings = Readings(venue, [MSFT])
    assert readings.take().tick_times == {}
    venue.quote = Quote(MSFT, seen, 10.0, 10.1, 1, 1, 10.0, Source.LIVE)
    assert readings.take().tick_times["MSFT"] == pytest.approx(seen / NS, abs=0.5)
    venue.quote = None
    later = readings.take()
    assert later.quotes == {}
    assert later.tick_times["MSFT"] == pytest.approx(seen / NS, abs=0.5)
