"""By how much the machine itself was late: what a deadline may be missed by without the program's fault.

A deadline is the program's promise; that its threads are scheduled at all is the machine's. A thread that sleeps 5 ms
at a time sees how much longer it took; on Linux the kernel tells besides for how long each thread of this process was
ready to run and did not (`/proc/self/task/*/schedstat`). A thread that waits for something that never comes is not
ready, and a call that hangs is not excused by a busy machine.
"""

from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from time import sleep
from types import TracebackType
from typing import Final, Self

from src.runtime.clock import monotonic

_TASKS: Final = Path("/proc/self/task")
_PAUSE: Final = 0.005
_READ_EVERY: Final = 0.05
#: Later by so much, and it was held up.
_HELD_UP: Final = 0.05


class Ruler:
    """Measures inside `with`."""

    def __init__(self) -> None:
        self._late: deque[tuple[float, float]] = deque(maxlen=20_000)  # when, and by how much
        self._unserved: deque[tuple[float, float]] = deque(maxlen=20_000)
        self._waits: dict[str, int] = {}
        self._lock = Lock()
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)

    def late(self, since: float) -> float:
        """By how many seconds of the time since then, of `monotonic`, the machine was late."""
        self._read()
        late = max((by for at, by in tuple(self._late) if at >= since), default=0.0)
        return max(late, sum(by for at, by in tuple(self._unserved) if at >= since))

    def interruptions(self, since: float) -> int:
        """How often since then it was late by more than a moment."""
        return sum(1 for at, by in tuple(self._late) if at >= since and by > _HELD_UP)

    def _run(self) -> None:
        read_at = 0.0
        while not self._ended.is_set():
            started = monotonic()
            sleep(_PAUSE)
            now = monotonic()
            self._late.append((now, now - started - _PAUSE))
            if now >= read_at:
                read_at = now + _READ_EVERY
                self._read()

    def _read(self) -> None:
        """Add up what the kernel says, thread by thread, since it was last asked."""
        with self._lock, suppress(FileNotFoundError):  # other systems have no such folder
            waits = dict(_waits())
            by = sum(waited - self._waits.get(thread, 0) for thread, waited in waits.items()) / 1e9
            if self._waits:
                self._unserved.append((monotonic(), max(by, 0.0)))
            self._waits = waits

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()


def _waits() -> list[tuple[str, int]]:
    """By thread, for how many nanoseconds of its life it was ready and did not run."""
    found = []
    for task in _TASKS.iterdir():
        with suppress(OSError, IndexError):  # it has just ended
            found.append((task.name, int((task / "schedstat").read_bytes().split()[1])))
    return found
