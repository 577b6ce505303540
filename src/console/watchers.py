"""Who watches a session besides its faces: metrics and notifications. Each is imported only when it is wanted."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from src.settings import Settings
    from src.trading.observer import Observer


@contextmanager
def watchers(settings: "Settings", *, real_time: bool) -> "Iterator[tuple[Observer, ...]]":
    """The observers of a session. Leave when all is said: the session's end is scraped, and the last words are sent.

    A session that outruns the day is over before anybody could look: it is watched only where METRICS_PORT is named.
    """
    found: list[Observer] = []
    with ExitStack() as until_the_end:
        if settings.metrics_port is not None and (real_time or "metrics_port" in settings.given):
            from src.console.metrics_server import MetricsServer

            found.append(until_the_end.enter_context(MetricsServer(settings, real_time=real_time)).session)
        if real_time and (settings.notify_webhook or settings.notify_command):
            from src.console.notify import notifier

            if (told := notifier(settings)) is not None:
                found.append(until_the_end.enter_context(told))
        yield tuple(found)
