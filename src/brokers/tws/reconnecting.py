"""Attempts to connect again, one after the other, until TWS is there or no further one makes sense. On the loop.

Pauses begin with the setting's and double up to the longest, each shortened or lengthened by chance, so that several
programs do not come all at once. Nothing is given up because it takes long: the nightly restart takes minutes, a
weekly one waits for a person. What ends the attempts is their number, where one is set, or an answer that no
repetition can change: another account, real money that is not allowed, a client id that stays taken.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Final

from src.brokers.tws.timing import Timing
from src.domain.errors import (
    BrokerError,
    ClientIdInUseError,
    ConfigurationError,
    ConnectionFailedError,
    LiveTradingRefusedError,
)
from src.runtime.clock import monotonic

_log: Final = logging.getLogger(__name__)
#: A client id that our own dead connection still holds is free after a few attempts.
_STALE_ID_TRIES: Final = 5
_SPREAD: Final = 0.2
_LIBRARY: Final = "library"


def pauses(first: float, longest: float, chance: Random) -> Iterator[float]:
    """The seconds before each attempt: doubling from `first` to `longest`, a fifth more or less by chance."""
    pause = min(first, longest)
    while True:
        yield pause * chance.uniform(1 - _SPREAD, 1 + _SPREAD)
        pause = min(2 * pause, longest)


class Reconnecting:
    """The attempts after a connection was lost. `connect` makes one; `most` of 0 is no limit."""

    def __init__(
        self, connect: Callable[[], Awaitable[None]], first_pause: float, most: int, timing: Timing, chance: Random
    ) -> None:
        self._connect, self._most, self._timing = connect, most, timing
        self._pauses = pauses(first_pause, timing.longest_pause, chance)
        self.attempts = 0

    async def run(self) -> str | None:  # noqa: C901  # one branch for each way in which an attempt ends
        """Return None once it is there again, else why there will be no further attempt."""
        lost_at = told_at = monotonic()
        taken = 0
        while True:
            await asyncio.sleep(next(self._pauses))
            self.attempts += 1
            try:
                await self._connect()
            except ClientIdInUseError as error:
                taken += 1
                why = str(error)
                if taken >= _STALE_ID_TRIES:
                    return why
            except (ConfigurationError, LiveTradingRefusedError) as error:
                return str(error)
            except BrokerError as error:
                why = str(error)
                if isinstance(error, ConnectionFailedError) and error.phase == _LIBRARY:
                    return why
            except Exception as error:  # noqa: BLE001  # whatever it is, the attempts do not end with it
                _log.exception("an attempt to reach TWS has failed in itself")
                why = f"an error of our own: {type(error).__name__}"
            else:
                return None
            _log.debug("attempt %d to reach TWS again: %s", self.attempts, why)
            if self._most and self.attempts >= self._most:
                return f"given up after {self.attempts} attempts (IBKR_MAX_RECONNECT_ATTEMPTS): {why}"
            if monotonic() - told_at >= self._timing.reminder:
                told_at = monotonic()
                minutes = (told_at - lost_at) / 60
                _log.error("TWS has been away for %.0f minutes, %d attempts so far: %s", minutes, self.attempts, why)
