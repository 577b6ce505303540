"""Calls side by side: order kept, errors as values, one deadline for all."""

import sys
import threading
from collections.abc import Callable
from time import monotonic

from src.runtime.worker import Worker, call_in_parallel, new_lock, share_processor

PATIENCE = 40.0


def test_threads_take_turns_more_often_than_by_themselves() -> None:
    before = sys.getswitchinterval()
    try:
        share_processor()
        assert sys.getswitchinterval() < before / 10
    finally:
        sys.setswitchinterval(before)


def test_results_come_in_the_order_of_the_calls() -> None:
    """The first call answers last here, and still stands first."""
    second_done = threading.Event()

    def first() -> str:
        assert second_done.wait(PATIENCE)
        return "first"

    def second() -> str:
        second_done.set()
        return "second"

    assert call_in_parallel([first, second], PATIENCE) == ["first", "second"]


def test_calls_run_at_the_same_time() -> None:
    """Three calls meet at a barrier, which calls made one after another never would."""
    barrier = threading.Barrier(3)

    def meet() -> bool:
        barrier.wait(PATIENCE)
        return True

    assert call_in_parallel([meet] * 3, PATIENCE) == [True, True, True]


def test_an_error_takes_the_place_of_its_result_alone() -> None:
    """One failing call does not cost the others their results."""

    def fail() -> int:
        raise OSError("no route")

    results = call_in_parallel([fail, lambda: 2], PATIENCE)
    assert isinstance(results[0], OSError)
    assert results[1] == 2


def test_a_call_that_hangs_costs_the_deadline_once() -> None:
    """Four hanging calls together take one timeout, and the answered one is kept."""
    release = threading.Event()
    calls: list[Callable[[], bool]] = [lambda: release.wait(PATIENCE)] * 4 + [lambda: True]
    begun = monotonic()
    try:
        results = call_in_parallel(calls, 0.2)
    finally:
        release.set()
    assert 0.2 <= monotonic() - begun < PATIENCE / 2
    assert all(isinstance(result, TimeoutError) for result in results[:4])
    assert results[4] is True


def test_no_calls_take_no_time() -> None:
    """Nothing to do is done at once, whatever the deadline."""
    assert call_in_parallel([], PATIENCE) == []


def test_a_hanging_call_does_not_keep_the_process_alive() -> None:
    """Whatever is left behind runs on a daemon thread."""
    entered, seen = threading.Event(), []

    def hang() -> bool:
        seen.append(threading.current_thread().daemon)
        entered.set()
        return True

    call_in_parallel([hang, lambda: entered.wait(PATIENCE)], PATIENCE)
    assert seen == [True]


def test_the_lock_may_be_taken_again_by_its_holder_but_by_nobody_else() -> None:
    """A method that locks may call another that locks; another thread waits outside."""
    lock, entered = new_lock(), threading.Event()

    def enter() -> None:
        with lock:
            entered.set()

    with lock, lock:
        other = threading.Thread(target=enter)
        other.start()
        assert not entered.wait(0.05)
    other.join(PATIENCE)
    assert entered.is_set()


def test_a_worker_does_several_nudges_at_once_and_none_after_stopping() -> None:
    """Stopping twice is once; it does not keep the process alive."""
    done = threading.Event()
    threads: list[threading.Thread] = []
    worker = Worker(lambda: (threads.append(threading.current_thread()), done.set())[0], 0.02, "worker")  # type: ignore[func-returns-value]
    for _ in range(100):
        worker.nudge()
    assert done.wait(PATIENCE)
    worker.stop()
    worker.stop()
    assert [thread.daemon for thread in threads] == [True]
    worker.nudge(hurry=True)
    assert len(threads) == 1


def test_a_worker_in_a_hurry_does_not_wait() -> None:
    """However long it would."""
    done = threading.Event()
    worker = Worker(done.set, 3600, "worker")
    worker.nudge()
    assert not done.wait(0.02)
    worker.nudge(hurry=True)
    assert done.wait(PATIENCE)
    worker.stop()
