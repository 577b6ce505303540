"""What metrics cost: of a call to TWS's thread, of a tick, of a bar, and what a scrape takes. `make bench-metrics`.

Each figure is the best of several rounds, with and without in turn, in processor time, so that what else the machine
does is not counted. What a tick takes more is told by the median of many pairs, in processor time of the thread that
ticks come on, with the interval that holds it 95 times in 100: of a session that counts, and of one that is being
scraped, by the share of the time that scrapes take at one a second, five times as often as ops/prometheus asks. What a
scrape takes on threads of its own is a figure by itself, by the wall. It fails when counting takes more than 5 % of a
call that does nothing else, or when a tick takes more than 50 ns longer beyond the machine's noise.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from math import inf
from pathlib import Path
from statistics import median
from time import perf_counter, process_time, thread_time
from typing import Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.brokers.broker import Broker
from src.brokers.opening import Play, open_broker
from src.brokers.tws.asking import RequestCounts
from src.brokers.tws.market_data import MarketData
from src.console.metrics import SessionMetrics
from src.console.metrics_server import MetricsServer
from src.domain.events import Event
from src.domain.market import BarSize, Contract, Mode
from src.records.metrics.collector import Sources
from src.records.metrics.counters import SessionCounters
from src.runtime.bridge import EventStream, LoopThread
from src.runtime.clock import monotonic, wall_clock
from src.runtime.worker import Ticker
from src.settings import Settings, load_settings
from src.trading.observer import Observer
from src.trading.plan import SessionPlan
from src.trading.sma import MovingAverageCross
from src.trading.trader import Trader

ROUNDS: Final = 5
TICKS: Final = 4_000
PAIRS: Final = 1_000
MOST_OF_A_CALL: Final = 0.05
MOST_NS_A_TICK: Final = 50.0
SAMPLE: Final = Path(__file__).resolve().parents[1] / "data" / "sample"


def best(*measured: Callable[[], float]) -> list[float]:
    """The least seconds that each took, in turn."""
    rounds = [[measure() for measure in measured] for _ in range(ROUNDS)]
    return [min(column) for column in zip(*rounds, strict=True)]


def calls(thread: LoopThread, number: int = 5_000) -> float:
    """Processor seconds a call that does nothing on a loop's thread: what any call to TWS costs at least."""

    async def nothing() -> None:
        pass

    began = process_time()
    for _ in range(number):
        thread.call(nothing(), 5.0)
    return (process_time() - began) / number


def counting(count: Callable[[str, float], None], number: int = 100_000) -> float:
    """Processor seconds that counting one call takes: the clock read before it, and all that is done after it."""
    began = process_time()
    for _ in range(number):
        count("the order", monotonic())
    return (process_time() - began) / number


class Ticking:
    """A session's broker of ticks: each goes the way of TWS's. `seconds` of processor time is what they all took."""

    def __init__(self, inner: Broker) -> None:
        self._inner, self.seconds = inner, 0.0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all else is the broker's own
        return getattr(self._inner, name)

    def events(self, *contracts: Contract, bars: BarSize | None = None) -> EventStream:
        """So many quotes, then the end; each is heard by the session before the next one is made."""
        events: list[Event] = []
        quotes = MarketData(wall_clock, events, lambda _: 7, lambda _: None, inf)
        quotes.mode = Mode.PAPER
        quotes.subscribe(contracts[0])
        price, finish, take = quotes.price, quotes.finish, events.pop
        stream = self._inner.events(*contracts, bars=bars)
        tick, began = 0, 0.0

        def next_event(timeout: float | None = None) -> Event | None:
            del timeout
            nonlocal tick, began
            if tick == 0:
                began = thread_time()
            elif tick >= TICKS:
                self.seconds = thread_time() - began
                stream.ended = True
                return None
            while not events:  # the first of all gives one side only, which is no quote yet
                tick += 1
                side = 1 + tick % 2
                price(7, side, 100.0 + side / 100 + tick // 2 % 2 / 100, 100.0)
                finish()
            return take()

        stream.next = next_event  # type: ignore[method-assign]
        return stream


def ticks(inner: Broker, *observers: Observer) -> float:
    """Processor seconds, of its own thread, a tick from TWS's callback through a session and those who watch it."""
    broker = Ticking(inner)
    trader = Trader(broker, MovingAverageCross(), SessionPlan("bench", (Contract("MSFT"),), BarSize.MIN_1), observers)
    trader.run()
    if trader.failure is not None:
        raise trader.failure
    return broker.seconds / TICKS


class Difference(NamedTuple):
    """What is added to a tick, ns: the median of pairs in turn, and between what it lies, 95 times in 100."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:+.0f} ns ({self.low:+.0f} to {self.high:+.0f})"

    def __mul__(self, share: float) -> "Difference":  # type: ignore[override]  # no other product is meant
        return Difference(*(share * each for each in self))


def difference(without: Callable[[], float], with_it: Callable[[], float]) -> Difference:
    """Both in turn, the second first in every other pair; the interval is the sign test's."""
    found = []
    for number in range(PAIRS):
        if number % 2:
            more, less = with_it(), without()
        else:
            less, more = without(), with_it()
        found.append((more - less) * 1e9)
    found.sort()
    beyond = int(PAIRS / 2 - 0.98 * PAIRS**0.5)
    return Difference(median(found), found[beyond], found[-1 - beyond])


def replay(settings: Settings, observers: Sequence[Observer]) -> float:
    """Processor seconds a bar of a replay of the sample, with all its orders."""
    broker = open_broker(settings, Play(replay=(SAMPLE,), speed=float("inf"))).broker
    plan = SessionPlan("bench", (Contract("MSFT"), Contract("AAPL")), BarSize.MIN_1)
    began = process_time()
    summary = Trader(broker, MovingAverageCross(), plan, observers).run()
    seconds = process_time() - began
    broker.disconnect()
    return seconds / summary.bars


def scrape(server: MetricsServer) -> float:
    """Seconds that a scrape takes, over the socket."""
    began = perf_counter()
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/metrics")
    connection.getresponse().read()
    connection.close()
    return perf_counter() - began


class Scraper:
    """Scrapes without a pause while used as a context, and counts what a scrape took while ticks came."""

    def __init__(self, server: MetricsServer) -> None:
        self._server, self._scrapes, self._seconds = server, 0, 0.0

    def __enter__(self) -> None:
        self._ticker, self._began = Ticker(self._once, "scraper"), perf_counter()

    def __exit__(self, *_: object) -> None:
        self._ticker.stop()
        self._seconds += perf_counter() - self._began

    def _once(self) -> None:
        scrape(self._server)
        self._scrapes += 1

    @property
    def share(self) -> float:
        """Of the time, how much of it a scrape is under way where one comes each second."""
        return self._seconds / self._scrapes


def counters() -> SessionMetrics:
    """A session's, served to nobody."""
    return SessionMetrics(Sources(SessionCounters(("MSFT", "AAPL"))))


def main() -> int:
    """Measure, print, and return 1 when a limit is broken."""
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            environ={}, backend="simulated", symbols="MSFT,AAPL", state_dir=folder, metrics_port=0, metrics_linger=0
        )
        thread = LoopThread("bench")
        count = RequestCounts().count
        a_call, a_count = best(lambda: calls(thread), lambda: counting(count))
        thread.stop()
        alone, watched = best(lambda: replay(settings, ()), lambda: replay(settings, (counters(),)))
        inner = open_broker(settings, Play(replay=(SAMPLE,), speed=float("inf"))).broker
        quiet_tick = min(ticks(inner) for _ in range(ROUNDS))
        watching = counters()
        watched_tick = difference(lambda: ticks(inner), lambda: ticks(inner, watching))
        with MetricsServer(settings) as server:
            replay(settings, (server.session,))
            a_scrape = min(scrape(server) for _ in range(ROUNDS))
            scraper = Scraper(server)

            def ticks_while_scraped() -> float:
                with scraper:
                    return ticks(inner)

            scraped_tick = difference(lambda: ticks(inner), ticks_while_scraped)
        inner.disconnect()
    share = a_count / a_call
    scraped = scraped_tick * scraper.share
    tick = Difference(*(sum(each) for each in zip(watched_tick, scraped, strict=True)))
    print(f"a call to the loop's thread   {a_call * 1e6:8.1f} us, counting it {a_count * 1e9:.0f} ns: {share:.1%}")
    print(f"a tick, through a session     {quiet_tick * 1e9:8.0f} ns, with metrics {watched_tick}")
    print(f"  while a scrape is under way: {scraped_tick}; at one a second, {scraper.share:.1%} of the time: {scraped}")
    print(f"  in all: {tick}")
    print(f"a bar of a replay, its orders {alone * 1e6:8.2f} us, counted {watched * 1e6:.2f} us")
    print(f"a scrape                      {a_scrape * 1e3:8.1f} ms, on threads of its own")
    return int(share > MOST_OF_A_CALL or tick.low > MOST_NS_A_TICK)


if __name__ == "__main__":
    sys.exit(main())
