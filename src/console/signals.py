"""Ctrl-C and SIGTERM at the command line of a session."""

import os
import signal
from collections.abc import Callable
from typing import Any


class Signals:
    """Ctrl-C and SIGTERM: the first stops the session in good order, the second ends the process at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        self.stop: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: object) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        if self.stop is None:
            raise KeyboardInterrupt
        os.write(2, b"The session ends in good order; once more ends it at once.\n")  # safe wherever the signal struck
        self.stop()
