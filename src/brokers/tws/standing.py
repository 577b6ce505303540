"""Whether an order may leave now, and if not why, in words for a person: connection, link, and clocks."""

import logging
from typing import TYPE_CHECKING, Final

from src.brokers.tws.connection import read_only_reason
from src.brokers.tws.timing import Timing
from src.domain.errors import NotConnectedError, OrderRefusedError
from src.domain.market import Mode
from src.runtime.clock import NS

if TYPE_CHECKING:
    from src.brokers.tws.session import Session

_log: Final = logging.getLogger(__name__)
_NO_LINK: Final = "TWS has lost its connection to IB (1100); it tries again by itself"
#: Bytes that may wait in the socket's buffer: a TWS that reads nothing gets no more orders.
_MOST_WAITING: Final = 65_536


class Standing:
    """How `session` stands. `read_only` is our own setting; TWS has one as well."""

    def __init__(self, session: "Session", timing: Timing, *, read_only: bool) -> None:
        self._session, self._timing, self._read_only = session, timing, read_only
        self._skew = 0.0  # seconds by which TWS's clock is ahead of ours

    @property
    def trouble(self) -> str | None:
        """What is wrong although TWS answers, or why it does not; None when all is well, or it was never there."""
        session = self._session
        if not session.is_up:
            return session.absence
        if not session.link.is_up:
            return _NO_LINK
        return read_only_reason() if session.is_read_only else self._wrong_clock()

    def check(self, *, cancel: bool) -> None:
        """Raise NotConnectedError or OrderRefusedError when no order can be sent now, or no `cancel`."""
        session = self._session
        if not session.is_synchronised:
            why = "what has happened meanwhile is being looked up" if session.is_up else session.no_connection
            raise NotConnectedError(f"nothing was sent: {why}")
        if not session.link.is_up:
            raise NotConnectedError(f"nothing was sent: {_NO_LINK}")
        if session.wire.waiting > _MOST_WAITING:
            raise NotConnectedError("nothing was sent: TWS does not read what is sent to it")
        if self._read_only and not cancel:
            raise OrderRefusedError("IBKR_READ_ONLY=true: nothing was sent", code=None)
        if session.is_read_only:
            raise OrderRefusedError(f"nothing was sent: {read_only_reason()}", code=321)
        if not cancel and (wrong := self._wrong_clock()) is not None:
            raise OrderRefusedError(f"nothing was sent: {wrong}", code=None)

    def told_time(self, moment: int) -> None:
        """TWS's time, epoch seconds."""
        self._skew = moment - self._session.now() / NS
        if abs(self._skew) > self._timing.skew_told and self._session.mode is not Mode.SIMULATED:
            _log.warning("TWS's clock is %+.0f s off this machine's: set the clock", self._skew)

    def _wrong_clock(self) -> str | None:
        """Why a real account must not be traded by this machine's clock."""
        skew = abs(self._skew)
        if skew <= self._timing.skew_refused or self._session.mode is Mode.SIMULATED:
            return None
        return f"this machine's clock and TWS's differ by {skew:.0f} s: set the clock"
