"""An event loop on a thread of its own, and calls into it."""

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from src.runtime.bridge import LoopThread, Reply, UnaskedError


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


def test_a_reply_is_given_once_and_by_whatever_runs_on_the_loop() -> None:
    thread = LoopThread()

    def begin(reply: Reply[int]) -> None:
        thread.loop.call_soon(reply.give, 1)
        thread.loop.call_soon(reply.give, 2)
        thread.loop.call_soon(reply.fail, ValueError("too late"))

    assert thread.ask(begin, 10) == 1
    thread.stop()


def test_a_reply_that_fails_is_raised() -> None:
    thread = LoopThread()
    with pytest.raises(KeyError, match="gone"):
        thread.ask(lambda reply: reply.fail(KeyError("gone")), 10)
    thread.stop()


def test_what_has_not_begun_when_its_caller_gives_up_can_see_it() -> None:
    """And what has is ended by the reply's own means, once."""
    thread, held, ended = LoopThread(), threading.Event(), list[str]()
    seen: list[bool] = []
    thread.loop.call_soon_threadsafe(held.wait, 10)

    def begin(reply: Reply[int]) -> None:
        seen.append(reply.is_abandoned)
        reply.on_abandon = lambda: ended.append("late")

    with pytest.raises(TimeoutError):
        thread.ask(begin, 0.01)
    held.set()
    assert thread.call(soon(1), 10) == 1
    assert (seen, ended) == ([True], ["late"])
    thread.stop()


def test_an_answer_after_its_caller_has_given_up_goes_nowhere() -> None:
    thread, replies = LoopThread(), list[Reply[int]]()
    with pytest.raises(TimeoutError):
        thread.ask(replies.append, 0.01)
    thread.loop.call_soon_threadsafe(replies[0].give, 1)
    assert thread.call(soon(2), 10) == 2
    thread.stop()


def test_a_loop_that_has_stopped_begins_nothing() -> None:
    thread, begun = LoopThread(), list[Reply[int]]()
    thread.stop()
    with pytest.raises(UnaskedError, match="stopped"):
        thread.ask(begun.append)
    assert not begun
