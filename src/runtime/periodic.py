"""A call made again and again on a thread of its own, for who looks on: a screen, a page."""

import logging
import threading
from collections.abc import Callable
from typing import Final

_log: Final = logging.getLogger(__name__)
_STOP_SECONDS: Final = 2.0


class Periodic:
    """Calls `work` every `interval` seconds from `start()` to `stop()`; one that fails is told of once, and goes on."""

    def __init__(self, name: str, interval: float, work: Callable[[], None]) -> None:
        self._interval, self._work = interval, work
        self._stopping = threading.Event()
        self._failed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, with a call at once."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the call that is being made, if that ends within two seconds. Idempotent."""
        self._stopping.set()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while True:
            try:
                self._work()
            except Exception:  # noqa: BLE001  # who looks on must not end for one bad look
                if not self._failed:
                    _log.exception("%s failed; it is tried again, and not told again", self._thread.name)
                self._failed = True
            if self._stopping.wait(self._interval):
                return
