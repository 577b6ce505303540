"""Whether a stock's shares can be borrowed: TWS's shortable tick. On the loop's thread only; others read `latest`.

Asked for under a request of its own (generic tick 236), and only of a stock that is to be sold: what TWS may say of
such a request - that a part of it is not subscribed to (10090) - must neither end nor rename the quotes.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from src.domain.codes import Meaning, RequestKind, meaning
from src.domain.market import Contract, Shortability, ShortLevel

_log: Final = logging.getLogger(__name__)
_GENERIC: Final = "236"
_LEVEL, _SHARES = 46, 89
#: What does not end such a request: 10090 for one, since this tick needs no subscription.
_GOES_ON: Final = frozenset({Meaning.DELAYED, Meaning.INFO, Meaning.FARM_DOWN})


@dataclass(slots=True, eq=False)
class _Asked:
    """One stock's tick; `until` (the loop's time) it is waited for."""

    request: int
    con_id: int
    until: float
    level: ShortLevel | None = None
    shares: int | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)


def level_of(value: float) -> ShortLevel | None:
    """What the shortable tick's number means, by IB's release notes; None for a number that means nothing."""
    if value > 2.5:
        return ShortLevel.AVAILABLE
    if value > 1.5:
        return ShortLevel.LOCATE
    return ShortLevel.UNAVAILABLE if value > 0.5 else None


class Lending:
    """The shortable ticks of one connection. `now` is epoch ns; `send` subscribes and returns the request's id."""

    def __init__(
        self, now: Callable[[], int], send: Callable[[Contract, str], int], cancel: Callable[[int], None]
    ) -> None:
        self._now, self._send, self._cancel = now, send, cancel
        self._by_request: dict[int, _Asked] = {}
        self._by_contract: dict[int, _Asked] = {}
        #: What was told last, by con_id.
        self.latest: dict[int, Shortability] = {}

    def knows(self, request: int) -> bool:
        """Whether a request is one of these."""
        return request in self._by_request

    async def of(self, contract: Contract, patience: float) -> Shortability | None:
        """What TWS says of a stock; None when it has not said it within `patience` seconds of the first question."""
        loop = asyncio.get_running_loop()
        asked = self._by_contract.get(contract.con_id)
        if asked is None:
            asked = _Asked(self._send(contract, _GENERIC), contract.con_id, loop.time() + patience)
            self._by_contract[contract.con_id] = self._by_request[asked.request] = asked
        with suppress(TimeoutError):
            async with asyncio.timeout_at(asked.until):
                await asked.wake.wait()
        return self.latest.get(contract.con_id)

    def generic(self, request: int, tick: int, value: float) -> bool:
        """A generic tick; False when the request is not one of these."""
        asked = self._by_request.get(request)
        if asked is None:
            return False
        if tick == _LEVEL:
            asked.level = level_of(value)
            self._tell(asked)
        return True

    def size(self, request: int, tick: int, size: float) -> bool:
        """A size tick; False when the request is not one of these."""
        asked = self._by_request.get(request)
        if asked is None:
            return False
        if tick == _SHARES:
            asked.shares = int(size) if math.isfinite(size) and size >= 0 else None
            self._tell(asked)
        return True

    def _tell(self, asked: _Asked) -> None:
        if asked.level is None:
            self.latest.pop(asked.con_id, None)
            return
        self.latest[asked.con_id] = Shortability(asked.level, asked.shares, self._now())
        asked.wake.set()

    def heard(self, request: int, code: int, text: str) -> None:
        """An error message about one of these; most end it, and the next question asks anew."""
        if meaning(code, RequestKind.DATA) in _GOES_ON:
            return
        asked = self._by_request.pop(request)
        _log.info("whether it can be borrowed is not told: %s %s", code, text)
        self._by_contract.pop(asked.con_id, None)
        self.latest.pop(asked.con_id, None)
        asked.wake.set()

    def forget(self) -> None:
        """TWS has lost its data: the next question asks anew."""
        for request in self._by_request:
            self._cancel(request)
        self.lost()

    def lost(self) -> None:
        """The connection is gone, and what was known with it."""
        for asked in self._by_contract.values():
            asked.wake.set()
        self._by_request.clear()
        self._by_contract.clear()
        self.latest.clear()
