"""IB's limits, kept before anything is sent: messages a second, and requests of historical bars.

TWS closes a connection that sends more than 50 messages a second. So at most `limit` leave in any one second, orders
before everything else; what must wait keeps its turn. Each rule is a window in time, not a bucket that may overflow
at a second's edge. Used on the loop's thread only.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

from src.domain.errors import PacingViolationError

_WINDOW: Final = 1.0
#: IB counts requests for bars: so many in ten minutes, so many of one contract in two seconds, so many at once.
_MOST_IN_TEN_MINUTES: Final = 60
_MOST_OF_ONE: Final = 5
_MOST_AT_ONCE: Final = 50
_TEN_MINUTES: Final = 600.0
_TWO_SECONDS: Final = 2.0
#: The same question twice within so many seconds is a violation: the earlier answer is given again.
IDENTICAL_SECONDS: Final = 15.0


class MessagePacer:
    """At most `limit` messages in any second; those of orders go first."""

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit, self._now = limit, now
        self._sent: deque[float] = deque(maxlen=limit)
        self._waiting: list[tuple[int, int, int, asyncio.Future[None]]] = []
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self.seconds_waited = 0.0

    async def turn(self, *, order: bool = False, messages: int = 1) -> None:
        """Return when so many messages may leave, together."""
        if self.takes(messages):
            return
        messages = min(messages, self._limit)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._number += 1
        heapq.heappush(self._waiting, (0 if order else 1, self._number, messages, turn))
        since = self._now()
        self._wake()
        try:
            await turn
        finally:
            self.seconds_waited += self._now() - since

    def takes(self, messages: int) -> bool:
        """Whether so many may leave at once; they count as sent then."""
        messages = min(messages, self._limit)
        if self._waiting or self._free() < messages:
            return False
        self._take(messages)
        return True

    def rest(self) -> None:
        """TWS says that it was too many: none in the second that follows."""
        self._sent.extend([self._now()] * self._limit)

    def _free(self) -> int:
        """How many may leave now."""
        horizon = self._now() - _WINDOW
        while self._sent and self._sent[0] <= horizon:
            self._sent.popleft()
        return self._limit - len(self._sent)

    def _take(self, messages: int) -> None:
        now = self._now()
        self._sent.extend([now] * messages)

    def _wake(self) -> None:
        """Let those go whose turn it is, and come again when the next one's is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            _, _, messages, turn = self._waiting[0]
            if turn.done():  # its caller has given up
                heapq.heappop(self._waiting)
                continue
            free = self._free()
            if free < messages:
                due = self._sent[messages - free - 1] + _WINDOW - self._now()
                self._timer = asyncio.get_running_loop().call_later(max(due, 0.001), self._wake)
                return
            heapq.heappop(self._waiting)
            self._take(messages)
            turn.set_result(None)


class HistoryPacer:
    """IB's limits on requests for bars."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._sent: deque[float] = deque()
        self._by_contract: dict[Hashable, deque[float]] = {}
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)

    async def turn(self, contract: Hashable, deadline: float) -> None:
        """Return when one request for this contract may leave; PacingViolationError if that is after `deadline`.

        The caller must `release` afterwards, whatever came of the request.
        """
        await self._slots.acquire()
        try:
            while (wait := self._wait(contract)) > 0:
                if self._now() + wait > deadline:
                    raise PacingViolationError(  # noqa: TRY301
                        f"IB takes {_MOST_IN_TEN_MINUTES} requests for bars in ten minutes: "
                        f"the next one can be sent in {wait:.0f} s"
                    )
                await asyncio.sleep(wait)
        except BaseException:
            self._slots.release()
            raise
        now = self._now()
        self._sent.append(now)
        self._by_contract.setdefault(contract, deque()).append(now)

    def release(self) -> None:
        """The request is done."""
        self._slots.release()

    def _wait(self, contract: Hashable) -> float:
        ten_minutes = _until_free(self._sent, _MOST_IN_TEN_MINUTES, _TEN_MINUTES, self._now())
        own = self._by_contract.get(contract)
        return max(ten_minutes, _until_free(own, _MOST_OF_ONE, _TWO_SECONDS, self._now()) if own else 0.0)


def _until_free(sent: deque[float], most: int, window: float, now: float) -> float:
    while sent and sent[0] <= now - window:
        sent.popleft()
    return 0.0 if len(sent) < most else sent[len(sent) - most] + window - now
