"""Which faces a session shows: a progress bar or a live view on the terminal, and a page in the browser.

A terminal gets one: the bar while market time runs ahead of the day, the view while it does not. Where standard error
is no terminal, or with `--quiet`, the log is all there is. The page is there when it is asked for.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from src.trading.observer import Observer

if TYPE_CHECKING:
    from src.brokers.broker import Broker
    from src.console.view import Lookout, Onlooker
    from src.settings import Settings


@contextmanager
def faces(
    settings: "Settings", *, minutes: float | None, runs_ahead: bool, quiet: bool, page_port: int | None = None
) -> Iterator[tuple[Observer, ...]]:
    """The observers of a session of so many market minutes; what they hold is given back at the end.

    `page_port` serves the page there (0: on any port), None serves none.
    """
    on_terminal = not quiet and sys.stderr.isatty()
    with ExitStack() as stack:
        observers: list[Observer] = []
        if page_port is not None or (on_terminal and not runs_ahead):
            from src.console.view import Onlooker

            onlooker = Onlooker(lambda broker: lookout(settings, broker))
            observers.append(onlooker)
            if page_port is not None:
                observers.append(stack.enter_context(_page(settings, onlooker, page_port)))
            if on_terminal and not runs_ahead:
                from src.console.live_view import LiveView

                view = LiveView(onlooker)
                stack.callback(view.close)
                observers.append(view)
        if on_terminal and runs_ahead:
            from src.console.progress import ProgressBar

            observers.append(stack.enter_context(ProgressBar(minutes)))
        yield tuple(observers)


def lookout(settings: "Settings", broker: "Broker") -> "Lookout":
    """Where to look at a session from; the market's closes are asked for where it has any."""
    from src.brokers.guarded import GuardedBroker
    from src.console.view import Lookout
    from src.trading.closes import NyseCloses

    never_closes = broker.health().host is None and settings.sim_market_hours != "nyse"
    closes = None if never_closes else NyseCloses()
    if isinstance(broker, GuardedBroker):
        return Lookout(broker, settings.strategy, closes, broker.headroom, lambda: broker.stopped)
    return Lookout(broker, settings.strategy, closes)


@contextmanager
def _page(settings: "Settings", onlooker: "Onlooker", port: int) -> Iterator[Observer]:
    """Serve the page, and say where; its button throws the switch that stops every trader of the state folder."""
    from src.brokers.kill import throw
    from src.console.page.server import PageServer
    from src.trading.chart import Chart

    def kill() -> str:
        throw(settings.state_dir, "the page's kill button")
        return "The kill switch is thrown: no new order leaves. `python -m src resume` clears it."

    chart = Chart()
    server = PageServer(onlooker.look, chart, kill)
    try:
        sys.stderr.write(f"The session's page: {server.start(port)}\n")
        yield chart
    finally:
        server.stop()
