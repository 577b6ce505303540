"""Calls side by side under one deadline, and the locks that other packages use: threads are made only in `runtime`.

A call that outlives the deadline is left behind on its daemon thread: it can hold up neither the caller nor the end
of the process, so it should bear a timeout of its own.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import TypeVar

from src.runtime.clock import monotonic

T = TypeVar("T")


def new_lock() -> AbstractContextManager[bool]:
    """Return a lock for `with`; the thread that holds it may take it again."""
    return threading.RLock()


def call_in_parallel(calls: Sequence[Callable[[], T]], timeout: float) -> list[T | Exception]:
    """Make every call on a thread of its own; return their results in order after at most `timeout` seconds.

    An exception takes the place of its result; TimeoutError that of a call which has not answered.
    """
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
