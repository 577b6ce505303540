"""Questions to the connection's thread from another: how long they took, and what it means when none answers."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from src.domain.errors import ConnectionLostError, NotConnectedError, RequestTimeoutError
from src.records.metrics.histogram import SECONDS, Histogram
from src.records.metrics.labels import REQUESTS
from src.runtime.bridge import UnaskedError
from src.runtime.clock import monotonic
from src.runtime.worker import new_lock

_T = TypeVar("_T")
#: Seconds beyond a request's own deadline that its answer may take to come back to the caller's thread.
_MARGIN: Final = 0.2
#: What is asked for, in the broker's words, and how it is counted; the rest is not.
_COUNTED: Final = {
    "the order": "order",
    "the contract": "contract",
    "a quote": "quote",
    "bars": "bars",
    "the account's values": "account",
    "the profit and loss": "pnl",
    "the subscription": "subscribe",
    "orders, executions and positions": "synchronise",
}


class RequestCounts:
    """How long requests took, by kind. Safe on any thread."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self.seconds = {name: Histogram(SECONDS) for name in REQUESTS}

    def count(self, what: str, began: float) -> None:
        """Count a request; one that got no answer counts with the time that it was waited for."""
        if (name := _COUNTED.get(what.partition(" of ")[0])) is not None:
            seconds = monotonic() - began
            with self._lock:  # a count that is lost between two threads would go down again
                self.seconds[name].observe(seconds)


async def unless_stopped(request: Coroutine[Any, Any, _T], stopped: Callable[[], bool], what: str) -> _T:
    """The answer to a request; ConnectionLostError when the connection's thread has `stopped` meanwhile."""
    try:
        return await request
    except asyncio.CancelledError:
        if not stopped():  # the caller's deadline has passed
            raise
        raise ConnectionLostError(f"disconnected while TWS was asked ({what})") from None


def answered(ask: Callable[[float], _T], timeout: float, what: str) -> _T:
    """What is answered within `timeout` seconds, which `ask` is given with the margin."""
    try:
        return ask(timeout + _MARGIN)
    except TimeoutError:
        raise RequestTimeoutError(f"TWS has not answered within {timeout:g} s ({what})") from None
    except ConnectionError:
        raise ConnectionLostError(f"the connection to TWS ended while it was asked ({what})") from None
    except UnaskedError as error:
        raise NotConnectedError(f"the connection cannot be asked: {error}") from error
