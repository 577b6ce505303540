"""An event loop on a thread of its own, and calls into it."""

import asyncio
from concurrent.futures import CancelledError

import pytest

from src.runtime.bridge import LoopThread


async def soon(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def never() -> None:
    await asyncio.Event().wait()


def test_a_call_returns_what_the_coroutine_does() -> None:
    thread = LoopThread()
    assert thread.call(soon(7), 10) == 7
    thread.stop()


def test_a_call_that_takes_too_long_is_cancelled() -> None:
    thread = LoopThread()
    cancelled: list[bool] = []

    async def wait() -> None:
        try:
            await never()
        finally:
            cancelled.append(True)

    with pytest.raises(TimeoutError):
        thread.call(wait(), 0.01)
    assert thread.call(soon(1), 10) == 1
    assert cancelled == [True]
    thread.stop()


def test_stopping_ends_what_still_runs_and_is_idempotent() -> None:
    thread = LoopThread()

    async def leave_behind() -> "asyncio.Task[None]":
        return asyncio.get_running_loop().create_task(never())

    task = thread.call(leave_behind(), 10)
    thread.stop()
    thread.stop()
    assert task.cancelled()
    with pytest.raises(RuntimeError, match="stopped"):
        thread.call(soon(1))


def test_a_call_that_waits_while_the_loop_stops_is_cancelled() -> None:
    thread = LoopThread()

    async def stop() -> None:
        thread.stop()
        await never()

    with pytest.raises(CancelledError):
        thread.call(stop(), 10)


def test_a_call_from_the_loops_own_thread_is_refused() -> None:
    thread = LoopThread()

    async def call_itself() -> None:
        thread.call(soon(1))

    with pytest.raises(RuntimeError, match="wait for itself"):
        thread.call(call_itself(), 10)
    assert not thread.is_current
    thread.stop()
