"""Keeps a connection: a heartbeat while it is there, attempts to have it back while it is not. On the loop.

A session that was connected once is never given up silently, and never continued elsewhere: the address is looked up
anew where nobody has named it, the account must be the one from before (see `Session.open`), and what was subscribed to
is asked for exactly once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from random import Random
from typing import Any, Final

from src.brokers.tws.heartbeat import Heartbeat, Patient
from src.brokers.tws.reconnecting import Reconnecting
from src.brokers.tws.timing import Timing
from src.runtime.clock import iso
from src.settings import Settings

_log: Final = logging.getLogger(__name__)


class Keeper:
    """Keeps the connection of `patient`. `connect` makes an attempt; `gone` hears that there will be no further one."""

    def __init__(
        self,
        patient: Patient,
        connect: Callable[[], Awaitable[None]],
        gone: Callable[[], None],
        settings: Settings,
        timing: Timing,
        now: Callable[[], int],
        chance: Random,
    ) -> None:
        self._connect, self._gone, self._settings, self._timing = connect, gone, settings, timing
        self._now, self._chance = now, chance
        self._heartbeat = Heartbeat(patient, timing, now)
        self._task: asyncio.Task[None] | None = None
        self._away: Reconnecting | None = None
        self._lost_at, self._why, self._given_up = 0, "", ""

    @property
    def absence(self) -> str | None:
        """Why TWS is not there although it was, for a person; None while it is."""
        if self._given_up:
            return f"the connection to TWS is lost, and not tried again: {self._given_up}"
        if not self._why:
            return None
        tried = f"; tried again {self._away.attempts} times so far" if self._away is not None else ""
        return f"the connection to TWS is lost since {iso(self._lost_at)}: {self._why}{tried}"

    def opened(self) -> None:
        """It is there."""
        self._why = self._given_up = ""
        self._away = None
        self._start(self._heartbeat.run())

    def note_loss(self, why: str) -> None:
        """It is gone: who asks is told so from now on. `lost` follows."""
        self._lost_at, self._why = self._now(), why

    def lost(self, *, for_good: bool = False) -> None:
        """What is to be done about it. `for_good`: no repetition would change that."""
        why = self._why
        if for_good or not self._settings.auto_reconnect:
            self.stop()
            self._give_up(why)
            return
        settings = self._settings
        self._away = Reconnecting(
            self._connect, settings.reconnect_delay, settings.max_reconnect_attempts, self._timing, self._chance
        )
        self._start(self._return(self._away))

    async def pause(self) -> bool:
        """Make no attempt for now; whether there would have been any."""
        task = self._task
        if self._away is None or task is None or task.done():
            return False
        self.stop()
        await asyncio.gather(task, return_exceptions=True)
        return True

    def resume(self) -> None:
        """Go on with the attempts."""
        if self._away is not None:
            self._start(self._return(self._away))

    def stop(self) -> None:
        """Neither look nor try any more."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _return(self, away: Reconnecting) -> None:
        why = await away.run()
        if why is not None:
            self._give_up(why)

    def _give_up(self, why: str) -> None:
        self._given_up = why
        _log.error("%s", self.absence)
        self._gone()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self.stop()
        self._task = asyncio.ensure_future(work)
