"""What a broker tells its listeners, in the order in which it happened. Frozen; times in epoch nanoseconds, UTC."""

from typing import Final, NamedTuple

from src.domain.account import Position
from src.domain.facts import fact
from src.domain.market import Bar, Mode, Quote
from src.domain.orders import AccountId, CommissionReport, Fill, OrderId, Trade

#: What marks a line of the log (`extra`) whose words are an event as well: a screen that shows both shows it once.
TOLD: Final = {"is_told": True}
#: How `ConnectionChanged.reason` begins after a sleep of the computer.
STOOD_STILL: Final = "this computer stood still"


@fact
class OrderChanged:
    """An order's status, price or quantity changed; `trade` is its state now."""

    trade: Trade


@fact
class Filled:
    """A part or all of an order was executed."""

    fill: Fill


@fact
class CommissionCharged:
    """The commission of one execution is known."""

    account: AccountId
    order_id: OrderId
    report: CommissionReport


@fact
class PositionChanged:
    """A position grew, shrank or turned."""

    position: Position


@fact
class QuoteChanged:
    """The best bid or ask changed. Conflated per contract when the reader is slow."""

    quote: Quote


class BarClosed(NamedTuple):
    """All bars that end at one instant, together: no strategy sees one before the exchange has seen all.

    A tuple, as the bars in it: a replay makes one for every instant.
    """

    bars: tuple[Bar, ...]


@fact
class BarsMissed:
    """All bars that ended at one instant while the connection was away: told after it, in order, once.

    What they would have led to then is past: nobody should act on them as on a bar that has just closed.
    """

    bars: tuple[Bar, ...]


@fact
class ConnectionChanged:
    """The connection came, went or is in doubt."""

    mode: Mode
    connected: bool
    reason: str = ""


@fact
class Notice:
    """A venue's message about an order or about itself, with its TWS code."""

    time: int
    code: int
    text: str
    account: AccountId = AccountId("")
    order_id: OrderId | None = None


Event = (
    OrderChanged
    | Filled
    | CommissionCharged
    | PositionChanged
    | QuoteChanged
    | BarClosed
    | BarsMissed
    | ConnectionChanged
    | Notice
)
