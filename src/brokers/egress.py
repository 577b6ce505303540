"""The count of orders that leave against those that were let go: kept at the socket's writer, apart from all else.

Whatever may go wrong above it - a strategy, a library's queue, code of ours, a caller who goes around the guards - an
order without a durable intent behind it does not leave. One attempt stops everything: what is permitted and what is
sent have come apart, and nobody knows why. A new session begins with a new count.
"""

import logging
from collections.abc import Callable
from typing import Final

from src.domain.errors import OrderRefusedError
from src.runtime.worker import new_lock

_log: Final = logging.getLogger(__name__)
_STOPPED: Final = (
    "nothing was sent: an order tried to leave that no intent stands behind. No order leaves this session any more; "
    "look at the journal and the open orders, then start a new one"
)


class Egress:
    """Counts frames that carry an order: new ones, changes and previews. Safe on any thread."""

    def __init__(self) -> None:
        self._lock = new_lock()
        self._permitted = self._left = 0
        self._breached = False
        #: Hears which order has left under which id, before its answer can be read; quick, and never raises. What ends
        #: between the two leaves an intent without an id, which may have left as well.
        self.told: Callable[[str, int], None] = lambda order_ref, order_id: None  # noqa: ARG005

    @property
    def breached(self) -> bool:
        """Whether more tried to leave than was permitted; true for good."""
        return self._breached

    @property
    def left(self) -> int:
        """How many have left."""
        return self._left

    def permit(self, count: int = 1) -> None:
        """Let so many more leave: their intents are durable. OrderRefusedError once breached."""
        with self._lock:
            self._refuse_if_breached()
            self._permitted += count

    def revoke(self, count: int = 1) -> None:
        """Take back what was permitted and, as the broker says, did not leave."""
        with self._lock:
            self._permitted = max(self._permitted - count, self._left)

    def leaving(self) -> None:
        """One order is about to be written. OrderRefusedError when it may not be: not a byte of it may go out."""
        with self._lock:
            if not self._breached and self._left >= self._permitted:
                self._breached = True
                _log.critical("%s", _STOPPED)
            self._refuse_if_breached()
            self._left += 1

    def _refuse_if_breached(self) -> None:
        if self._breached:
            raise OrderRefusedError(_STOPPED, reason=_STOPPED, code=None)
