"""Whether TWS is still there: a word is asked for when nothing comes. On the loop's thread only.

A peer that is gone without a word (a half-open connection, a machine that lost its network) is noticed within twice the
heartbeat. A loop that was itself held up judges nobody: it asks again first. When this machine has slept, all that was
known is old, whatever the socket says.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from src.brokers.tws.timing import Timing
from src.runtime.clock import NS, monotonic

#: Parts of a heartbeat: between two looks, before TWS is asked, and before it counts as dead.
_LOOK: Final = 0.15
_ASK: Final = 0.75
_DEAD: Final = 1.75


class Patient(Protocol):
    """The connection that is looked after."""

    @property
    def last_message(self) -> float | None:
        """When it last said something, by `monotonic`."""
        ...

    def ask_time(self) -> None:
        """Ask it for the time: whatever it answers is a sign of life."""
        ...

    def is_dead(self, seconds: float) -> None:
        """It has said nothing for so long although it was asked."""
        ...

    def has_slept(self, seconds: float) -> None:
        """This machine, or this process, stood still for so long."""
        ...

    def look_again(self) -> None:
        """It is time to look at the lists."""
        ...


class Heartbeat:
    """Looks after a connection while its task runs. `now` is the day's time, epoch ns."""

    def __init__(self, patient: Patient, timing: Timing, now: Callable[[], int]) -> None:
        self._patient, self._timing, self._now = patient, timing, now

    async def run(self) -> None:
        """Until it is cancelled, or the connection is dead."""
        timing, patient = self._timing, self._patient
        pause = timing.heartbeat * _LOOK
        asked: float | None = None
        at, day = monotonic(), self._now()
        look_at = at + timing.reconcile
        while True:
            await asyncio.sleep(pause)
            before, day_before = at, day
            at, day = monotonic(), self._now()
            stood_still = at - before - pause
            gap = max(stood_still, (day - day_before) / NS - (at - before))
            if gap > timing.slept:
                asked = None
                patient.has_slept(gap)
                continue
            if stood_still > pause:  # held up ourselves: what came meanwhile has not been read yet
                asked = None
                continue
            if at >= look_at:
                look_at = at + timing.reconcile
                patient.look_again()
            heard = patient.last_message or before
            quiet = at - heard
            if quiet < timing.heartbeat * _ASK:
                asked = None
            elif asked is None:
                asked = at
                patient.ask_time()
            elif quiet > timing.heartbeat * _DEAD and at - asked > timing.heartbeat * (_DEAD - _ASK - _LOOK):
                patient.is_dead(quiet)
                return
