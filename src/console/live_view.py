"""Keeps a session's screen on the terminal while it goes; the log's lines are among its events."""

import logging
from typing import Final

from src.console.screen import screen_of
from src.console.view import Onlooker
from src.runtime.periodic import Periodic
from src.trading.observer import Observer, Watched
from src.trading.watch import SessionWatch, Tone

_REFRESH_SECONDS: Final = 0.5


class LiveView(Observer):
    """Keeps a session on the terminal (standard error) while it goes; the log's lines are among its events.

    It is drawn on a thread of its own: a session that waits for its venue is still seen. `close()` gives the terminal
    back, whatever happened.
    """

    def __init__(self, onlooker: Onlooker) -> None:
        from rich.console import Console
        from rich.live import Live

        self._look = onlooker.look
        self._console = Console(stderr=True)
        self._live = Live(console=self._console, screen=True, auto_refresh=False, redirect_stderr=False)
        self._log = _ToEvents(onlooker)
        self._others: list[logging.Handler] = []
        self._periodic: Periodic | None = None

    def began(self, session: Watched, equity: float) -> None:
        """Take the terminal."""
        del session, equity
        root = logging.getLogger()
        self._others, root.handlers = root.handlers, [self._log]
        self._live.start()
        self._periodic = Periodic("live view", _REFRESH_SECONDS, self._draw)
        self._periodic.start()

    def _draw(self) -> None:
        view = self._look()
        if view is not None:
            width, height = self._console.size
            self._live.update(screen_of(view, width, height), refresh=True)

    def ended(self, failure: BaseException | None) -> None:
        """Give the terminal back."""
        del failure
        self.close()

    def close(self) -> None:
        """Give the terminal back. Idempotent."""
        periodic, self._periodic = self._periodic, None
        if periodic is not None:
            periodic.stop()
            self._live.stop()
            logging.getLogger().handlers = self._others


class _ToEvents(logging.Handler):
    """Warnings and worse become lines among the session's events, unless they are there already."""

    def __init__(self, watch: SessionWatch) -> None:
        super().__init__(logging.WARNING)
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        """Note it."""
        if getattr(record, "is_told", False):
            return
        tone = Tone.ERROR if record.levelno >= logging.ERROR else Tone.WARNING
        self._watch.note(tone, " ".join(record.getMessage().split()))
