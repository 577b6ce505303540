"""What metrics cost: of a call to TWS's thread, of a tick, of a bar, and what a scrape takes. `make bench-metrics`.

Each figure is the best of several rounds, with and without in turn, in processor time, so that what else the machine
does is not counted: of all threads, but for a tick's, which is that of the thread it comes on. What a scrape takes on
threads of its own is a figure by itself, by the wall. It fails when counting takes more than 5 % of a call that does
nothing else, or when a tick takes more than 50 ns longer while a session is served and scraped.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.brokers.opening import Play, open_broker
from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.market_data import MarketData
from src.console.metrics import SessionMetrics
from src.console.metrics_server import MetricsServer
from src.domain.events import Event
from src.domain.market import BarSize, Contract, Mode
from src.records.metrics.collector import Sources
from src.records.metrics.counters import SessionCounters
from src.runtime.bridge import LoopThread
from src.runtime.clock import monotonic, wall_clock
from src.runtime.worker import Ticker
from src.settings import Settings, load_settings
from src.trading.observer import Observer
from src.trading.plan import SessionPlan
from src.trading.sma import MovingAverageCross
from src.trading.trader import Trader

ROUNDS: Final = 5
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


def ticks(number: int = 500_000) -> float:
    """Processor seconds, of its own thread, a price tick through the path that TWS's ticks take."""
    events: list[Event] = []
    contract = Contract("MSFT", con_id=1)
    quotes = MarketData(wall_clock, events, lambda _: 7)
    quotes.mode = Mode.PAPER
    quotes.subscribe(contract)
    price, finish = quotes.price, quotes.finish
    began = thread_time()
    for tick in range(number):
        price(7, 1 + tick % 2, 100.0 + tick % 2 / 100, 100.0)
        finish()
        events.clear()
    return (thread_time() - began) / number


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


@contextmanager
def scraped_each_second(server: MetricsServer) -> Iterator[None]:
    """Five times as often as ops/prometheus/prometheus.yml says."""

    def once() -> None:
        scrape(server)
        scraper.pause(1.0)

    scraper = Ticker(once, "scraper")
    try:
        yield
    finally:
        scraper.stop()


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
        count = TwsBroker(settings, "127.0.0.1", 7497).count
        a_call, a_count = best(lambda: calls(thread), lambda: counting(count))
        thread.stop()
        alone, watched = best(lambda: replay(settings, ()), lambda: replay(settings, (counters(),)))
        with MetricsServer(settings) as server:
            replay(settings, (server.session,))
            a_scrape = min(scrape(server) for _ in range(ROUNDS))

            def ticks_while_scraped() -> float:
                with scraped_each_second(server):
                    return ticks()

            quiet_tick, scraped_tick = best(ticks, ticks_while_scraped)
    share = a_count / a_call
    tick = (scraped_tick - quiet_tick) * 1e9
    print(f"a call to the loop's thread   {a_call * 1e6:8.1f} us, counting it {a_count * 1e9:.0f} ns: {share:.1%}")
    print(f"a tick                        {quiet_tick * 1e9:8.0f} ns, while served and scraped {tick:+.0f} ns")
    print(f"a bar of a replay, its orders {alone * 1e6:8.2f} us, counted {watched * 1e6:.2f} us")
    print(f"a scrape                      {a_scrape * 1e3:8.1f} ms, on threads of its own")
    return int(share > MOST_OF_A_CALL or tick > MOST_NS_A_TICK)


if __name__ == "__main__":
    sys.exit(main())
