"""Ctrl-C, SIGTERM and SIGUSR1 at the command line of a session."""

import os
import signal
from collections.abc import Callable
from typing import Any


class Signals:
    """Ctrl-C and SIGTERM: the first stops the session in good order, the second ends the process at once.

    SIGUSR1, where the system has it, throws the kill switch; a session that has not begun ends.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.stop: Callable[[], None] | None = None
        self.kill: Callable[[], None] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handle)
        if (kill := getattr(signal, "SIGUSR1", None)) is not None:
            self._before[kill] = signal.signal(kill, self._handle_kill)

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

    def _handle_kill(self, number: int, _frame: object) -> None:
        if self.kill is None:
            self._handle(number, None)
            return
        os.write(2, b"The kill switch is thrown: no new order leaves. `python -m src resume` clears it.\n")
        self.kill()
