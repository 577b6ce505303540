"""A request about an order: whom it goes to, what it waits for, how its caller is told. On the loop's thread only."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from src.brokers.tws.library import Wire
from src.domain.account import OrderPreview
from src.domain.codes import Meaning, RequestKind
from src.domain.errors import ConnectionLostError, OrderOutcomeUnknownError, OrderRefusedError
from src.domain.orders import OrderId, Trade
from src.runtime.bridge import Reply


class Venue(Protocol):
    """What orders need of the connection."""

    @property
    def wire(self) -> Wire:
        """The open connection; NotConnectedError."""
        ...

    def check_can_trade(self, *, cancel: bool = False) -> None:
        """NotConnectedError or OrderRefusedError when no order can be sent now; a cancel may where an order may not."""
        ...

    def finish(self) -> None:
        """Show readers what has changed."""
        ...

    async def look(self) -> None:
        """Ask for the open and completed orders and the executions."""
        ...


@dataclass(slots=True, eq=False)
class Wait:
    """One request under way; `wake` is set by whatever is heard of it."""

    kind: RequestKind
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    claim: tuple[Meaning, int, str] | None = None
    preview: OrderPreview | None = None
    lost: bool = False
    #: Of an order whose acknowledgement is handed over as it comes; `go_on` is for all else that may come.
    reply: Reply[tuple[Trade, ...]] | None = None
    go_on: Callable[[], None] | None = None
    timer: asyncio.TimerHandle | None = None

    def hear(self) -> None:
        """Something is heard of it, other than that TWS has taken it."""
        self.wake.set()
        if self.go_on is not None:
            self.go_on()

    def leave_hand(self) -> None:
        """Its acknowledgement is handed over by itself no more."""
        if self.timer is not None:
            self.timer.cancel()
        self.reply = self.go_on = self.timer = None


async def in_time(waiting: Awaitable[None], seconds: float, what: str) -> None:
    """Wait at most so long; OrderRefusedError names what was waited for."""
    try:
        async with asyncio.timeout(max(seconds, 0.001)):  # no task of its own: the turn is taken at once
            await waiting
    except TimeoutError:
        reason = f"nothing was sent: too many requests at once for {what}"
        raise OrderRefusedError(reason, reason=reason, code=None) from None


def tell(reply: Reply[tuple[Trade, ...]], task: "asyncio.Task[tuple[Trade, ...]]") -> None:
    """Give the outcome of a task; it is cancelled when the connection's thread ends."""
    if task.cancelled():
        reply.fail(ConnectionLostError("disconnected while TWS was asked (the order)"))
    else:
        reply.give_outcome(task)


def unknown(ids: Sequence[OrderId], why: str) -> OrderOutcomeUnknownError:
    """What became of these is not known."""
    names = ", ".join(map(str, ids))
    return OrderOutcomeUnknownError(
        f"order {names}: {why}. It may be working: look at the open orders, and at TWS's screen for a question, "
        "before anything else is sent"
    )
