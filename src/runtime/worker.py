"""Calls side by side under one deadline, a worker, and the locks that others use: threads are made only in `runtime`.

A call that outlives the deadline is left behind on its daemon thread: it can hold up neither the caller nor the end
of the process, so it should bear a timeout of its own.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from src.runtime.clock import monotonic

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
#: How long, in seconds, a thread that computes may keep Python's lock from one that waits for it.
_TURN_SECONDS: Final = 0.000_05


def new_lock() -> AbstractContextManager[bool]:
    """Return a lock for `with`; the thread that holds it may take it again."""
    return threading.RLock()


def share_processor() -> None:
    """Let threads take turns a hundred times as often as Python does by itself.

    Else each hop to the connection's thread waits up to 5 ms for a thread that computes. It counts for the whole
    process: for one that is a session, not for a library in somebody else's.
    """
    sys.setswitchinterval(_TURN_SECONDS)


def call_in_parallel(calls: Sequence[Callable[[], T]], timeout: float) -> list[T | Exception]:
    """Make every call on a thread of its own; return their results in order after at most `timeout` seconds.

    An exception takes the place of its result; TimeoutError that of a call which has not answered.
    """
    from queue import Empty, SimpleQueue

    answers: SimpleQueue[tuple[int, T | Exception]] = SimpleQueue()

    def answer(index: int, call: Callable[[], T]) -> None:
        try:
            answers.put((index, call()))
        except Exception as error:  # noqa: BLE001  # the caller gets it, in the place of the result
            answers.put((index, error))

    deadline = monotonic() + timeout
    results: list[T | Exception] = [TimeoutError(f"no answer within {timeout:g} s") for _ in calls]
    for index, call in enumerate(calls):
        threading.Thread(target=answer, args=(index, call), name=f"parallel-{index}", daemon=True).start()
    for _ in calls:
        try:
            index, result = answers.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            break
        results[index] = result
    return results


class SharedCall(Generic[T]):
    """A call of which one is under way at a time, on a daemon thread: who asks meanwhile shares its answer."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call, self._lock = call, threading.Lock()
        self._under_way: tuple[Future[T], float] | None = None

    def ask(self) -> Callable[[float], T]:
        """Return what waits for the answer until so many seconds after the call was made, and raises as the call does.

        TimeoutError when there is none by then; so whoever joins a call that hangs does not wait as long again.
        """
        from concurrent.futures import Future

        with self._lock:
            if self._under_way is None:
                self._under_way = Future(), monotonic()
                threading.Thread(target=self._answer, args=self._under_way[:1], name="shared", daemon=True).start()
            answer, began = self._under_way
        return lambda seconds: answer.result(max(began + seconds - monotonic(), 0.0))

    def _answer(self, answer: "Future[T]") -> None:
        try:
            result = self._call()
        except Exception as error:  # noqa: BLE001  # who asks gets it
            self._done()
            answer.set_exception(error)
        else:
            self._done()
            answer.set_result(result)

    def _done(self) -> None:
        """Whoever asks from now on is answered anew."""
        with self._lock:
            self._under_way = None


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds, `seconds` real seconds at most; return whether it does. Looks twenty times a second.

    Signals are handled meanwhile.
    """
    deadline, pause = monotonic() + seconds, threading.Event()
    while not true():
        if monotonic() >= deadline:
            return False
        pause.wait(0.05)
    return True


class Worker:
    """A daemon thread that does `body` soon after it is nudged: `delay` seconds, so that several nudges are one."""

    def __init__(self, body: Callable[[], None], delay: float, name: str) -> None:
        self._body, self._delay = body, delay
        self._nudged, self._hurried = threading.Event(), threading.Event()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def nudge(self, *, hurry: bool = False) -> None:
        """Ask for the body to be done, without delay when it is in a hurry; returns at once."""
        if hurry:
            self._hurried.set()
        if not self._nudged.is_set():
            self._nudged.set()

    def stop(self) -> None:
        """End the thread once the body is done; idempotent. What was nudged last may be left undone."""
        self._stopped = True
        self.nudge(hurry=True)
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped:
            self._nudged.wait()
            self._hurried.wait(self._delay)
            self._nudged.clear()
            self._hurried.clear()
            if not self._stopped:
                self._body()


class Ticker:
    """A daemon thread that does `body` over and over until `stop`; `body` waits by itself, on what it reads."""

    def __init__(self, body: Callable[[], None], name: str) -> None:
        self._body, self._stopped = body, threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this thread."""
        return threading.current_thread() is self._thread

    def pause(self, seconds: float) -> None:
        """Wait, at most until `stop`."""
        self._stopped.wait(seconds)

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread once the body is done, and wait for it so many seconds; idempotent."""
        self._stopped.set()
        if not self.is_current:
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._body()
