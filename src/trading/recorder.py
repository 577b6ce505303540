"""Writes a session's recording and its notes while it goes, for the report afterwards."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from src.domain.errors import BrokerError
from src.domain.market import Bar, Mode, Quote
from src.records.recording import SessionRecording
from src.records.session_notes import write_notes
from src.trading.observer import Observer, Watched
from src.trading.summary import Prices

_log: Final = logging.getLogger(__name__)


class Recorder(Observer):
    """Records bars, quotes and the equity at each bar, in the state folder; `notes` say what it was told to do.

    What cannot be written is given up with one warning: a recording never holds up trading.
    """

    def __init__(self, state_dir: Path, notes: Mapping[str, Any]) -> None:
        self._state_dir, self._notes = state_dir, notes
        self._recording: SessionRecording | None = None
        #: The session that is recorded, once it has begun.
        self.session: str | None = None

    def began(self, session: Watched, equity: float) -> None:
        """Begin with what the account is worth."""
        try:
            self._recording = SessionRecording(self._state_dir, session.session)
            write_notes(self._state_dir, session.session, {**self._notes, "prices": self._prices(session)})
        except (BrokerError, OSError) as error:
            self._recording = None
            _log.warning("this session is not recorded: %s", error)
            return
        self.session = session.session
        self._recording.equity(session.started_at, equity)

    def _prices(self, session: Watched) -> str:
        """What the prices' origin means for the result; empty for a market's own."""
        if session.broker.mode is not Mode.SIMULATED:
            return Prices.MARKET.value
        return Prices.RECORDED.value if self._notes.get("replay") else Prices.SEEDED.value

    def bars(self, bars: Sequence[Bar], equity: float) -> None:
        """Record them, and the equity at their close."""
        if self._recording is not None:
            self._recording.bars(bars)
            self._recording.equity(bars[0].end, equity)

    def quoted(self, quote: Quote) -> None:
        """Record it."""
        if self._recording is not None:
            self._recording.quote(quote)

    def ended(self, failure: BaseException | None) -> None:
        """Finish the file."""
        del failure
        if self._recording is not None:
            self._recording.close()
