"""Which faces a session shows: a progress bar, a live view, or none.

A terminal gets one: the bar while market time runs ahead of the day, the view while it does not. Where standard error
is no terminal, or with `--quiet`, the log is all there is.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from src.trading.observer import Observer

if TYPE_CHECKING:
    from src.brokers.broker import Broker
    from src.console.view import Lookout
    from src.settings import Settings


@contextmanager
def faces(
    settings: "Settings", *, minutes: float | None, runs_ahead: bool, quiet: bool
) -> Iterator[tuple[Observer, ...]]:
    """The observers of a session of so many market minutes; the terminal is given back at the end."""
    if quiet or not sys.stderr.isatty():
        yield ()
    elif runs_ahead:
        from src.console.progress import ProgressBar

        with ProgressBar(minutes) as bar:
            yield (bar,)
    else:
        from src.console.live_view import LiveView
        from src.trading.watch import SessionWatch

        watch = SessionWatch()
        view = LiveView(watch, lambda broker: lookout(settings, broker))
        try:
            yield (watch, view)
        finally:
            view.close()


def lookout(settings: "Settings", broker: "Broker") -> "Lookout":
    """Where to look at a session from; the market's closes are asked for where it has any."""
    from src.console.view import Lookout
    from src.trading.closes import NyseCloses

    never_closes = broker.health().host is None and settings.sim_market_hours != "nyse"
    return Lookout(broker, settings.strategy, None if never_closes else NyseCloses())
