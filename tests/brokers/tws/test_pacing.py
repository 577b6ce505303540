"""IB's limits, on a clock that the test moves."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from src.brokers.tws.history import duration
from src.brokers.tws.pacing import HistoryPacer, MessagePacer
from src.domain.errors import PacingViolationError
from src.domain.market import BarSize

T = TypeVar("T")


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer when there is nothing to do: nobody waits, and nothing is late."""

    seconds = 0.0

    def time(self) -> float:
        return self.seconds

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]  # asyncio's own
            self.seconds = max(self.seconds, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def run_on_jumping_time(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(work)


class Clock:
    """Seconds that pass when they are asked to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_no_second_sees_more_than_the_limit() -> None:
    """Any second, not only those that begin with the first message."""

    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        pacer, sent = MessagePacer(10, loop.time), list[float]()

        async def send() -> None:
            await pacer.turn()
            sent.append(loop.time())

        await asyncio.gather(*(send() for _ in range(25)))
        return sent

    sent = run_on_jumping_time(run())
    assert all(later - earlier >= 1.0 for earlier, later in zip(sent, sent[10:], strict=False))
    assert sent[-1] - sent[0] == pytest.approx(2.0)


def test_what_is_free_is_taken_at_once_unless_somebody_waits() -> None:
    async def run() -> None:
        clock = Clock()
        pacer = MessagePacer(3, clock)
        assert pacer.takes(2)
        assert not pacer.takes(2)
        waiting = asyncio.ensure_future(pacer.turn(order=True, messages=2))
        await asyncio.sleep(0)
        assert not pacer.takes(1)
        waiting.cancel()

    asyncio.run(run())


def test_whoever_gives_up_takes_no_turn() -> None:
    async def run() -> float:
        loop = asyncio.get_running_loop()
        pacer = MessagePacer(2, loop.time)
        await pacer.turn(messages=2)
        waiting = [asyncio.ensure_future(pacer.turn()) for _ in range(5)]
        await asyncio.sleep(0)
        for each in waiting:
            each.cancel()
        since = loop.time()
        await pacer.turn(order=True, messages=2)
        return loop.time() - since

    assert run_on_jumping_time(run()) == pytest.approx(1.0)


def test_what_belongs_together_leaves_together() -> None:
    """A bracket is three messages; more than the limit at once can never leave and is cut to it."""

    async def run() -> list[float]:
        loop = asyncio.get_running_loop()
        pacer, sent = MessagePacer(3, loop.time), list[float]()
        await pacer.turn(messages=1)
        for messages in (3, 99):
            await pacer.turn(order=True, messages=messages)
            sent.append(loop.time())
        return sent

    assert run_on_jumping_time(run()) == pytest.approx([1.0, 2.0])


def test_sixty_requests_for_bars_in_ten_minutes() -> None:
    """The sixty-first is refused with the time to wait, when it could not be answered in time anyway."""

    async def run() -> None:
        clock = Clock()
        pacer = HistoryPacer(clock)
        for number in range(60):
            await pacer.turn(number, clock() + 60)
            pacer.release()
        with pytest.raises(PacingViolationError, match="600 s"):
            await pacer.turn(61, clock() + 60)
        clock.seconds += 600
        await pacer.turn(61, clock() + 60)

    asyncio.run(run())


def test_fewer_than_six_of_one_contract_in_two_seconds() -> None:
    async def run() -> None:
        clock = Clock()
        pacer = HistoryPacer(clock)
        for _ in range(5):
            await pacer.turn("NVDA", clock() + 60)
        with pytest.raises(PacingViolationError):
            await pacer.turn("NVDA", clock() + 1)
        await pacer.turn("MSFT", clock() + 1)

    asyncio.run(run())


def test_fifty_at_once() -> None:
    async def run() -> None:
        clock = Clock()
        pacer = HistoryPacer(clock)
        for number in range(50):
            await pacer.turn(number, clock() + 60)
        waiting = asyncio.ensure_future(pacer.turn("more", clock() + 60))
        await asyncio.sleep(0)
        assert not waiting.done()
        pacer.release()
        await waiting

    asyncio.run(run())


@pytest.mark.parametrize(
    ("size", "count", "expected"),
    [
        (BarSize.MIN_1, 1, "2 D"),
        (BarSize.MIN_1, 390, "2 D"),
        (BarSize.MIN_1, 391, "3 D"),
        (BarSize.HOUR_1, 60, "11 D"),
        (BarSize.DAY_1, 200, "201 D"),
        (BarSize.DAY_1, 500, "3 Y"),
    ],
)
def test_bars_are_asked_for_by_whole_days(size: BarSize, count: int, expected: str) -> None:
    assert duration(size, count) == expected
