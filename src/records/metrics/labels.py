"""The values that labels may have. Every set is closed, so that no session can fill a Prometheus with series."""

from collections.abc import Iterable
from typing import Final

from src.domain.events import STOOD_STILL
from src.domain.orders import Action, OrderStatus, OrderType
from src.domain.rejections import RejectClass

OTHER: Final = "other"
#: Symbols that have series of their own; a session that trades more has the rest under "other".
MOST_SYMBOLS: Final = 50

ACTIONS: Final = tuple(action.value for action in Action)
ORDER_TYPES: Final = tuple(kind.value for kind in OrderType)
#: IB's statuses; an order that a limit of ours stopped, one that could not be sent, and one of which nobody knows what
#: became of it.
REFUSED: Final = "Refused"
NOT_SENT: Final = "NotSent"
UNKNOWN: Final = "Unknown"
STATUSES: Final = (*(status.value for status in OrderStatus), REFUSED, NOT_SENT, UNKNOWN)
REJECT_CLASSES: Final = tuple(each.value for each in RejectClass)

#: TWS's codes that have series of their own: those that an operator acts on.
ERROR_CODES: Final = tuple(
    str(code)
    for code in (
        *(100, 101, 103, 104, 105, 110, 135, 161, 162, 200, 201, 202, 321, 326, 354, 366, 399, 404, 420, 434),
        *(502, 504, 1100, 1101, 1102, 1300, 2103, 2104, 2105, 2106, 2107, 2108, 2110, 2157, 2158),
        *(10089, 10090, 10147, 10148, 10167, 10168, 10182, 10186, 10197),
    )
)
#: The limits of ours that may refuse an order, as the guards name them.
RISK_RULES: Final = (
    *("buying_power", "daily_loss", "day_trades", "drawdown", "duplicate", "gross", "halt", "hours", "journal"),
    *("open_orders", "order_quantity", "order_value", "orders_per_minute", "position", "price_collar", "quote"),
    *("read_only", "round_trips", "self_cross", "senseless_quote", "short_sale", "spread", "symbol"),
    *("symbol_orders_per_minute", "tick", "unexplained_position", "unknown_outcome", "unsynchronised"),
)
#: What TWS is asked for, and waited for.
REQUESTS: Final = ("order", "contract", "quote", "bars", "account", "pnl", "subscribe", "synchronise")
#: Why a connection was lost and came back: IB's servers behind TWS, the socket to TWS, or a sleep of this computer.
LINK: Final = "link"
SOCKET: Final = "socket"
SLEEP: Final = "sleep"
RECONNECT_REASONS: Final = (LINK, SOCKET, SLEEP)


def symbols_of(symbols: Iterable[str]) -> tuple[str, ...]:
    """The symbols that have series of their own, with "other"."""
    return (*tuple(dict.fromkeys(symbols))[:MOST_SYMBOLS], OTHER)


def reconnect_reason(text: str) -> str:
    """What was lost, by the words of the loss: those of IB's servers begin with TWS's code."""
    if text.startswith(STOOD_STILL):
        return SLEEP
    return LINK if text.partition(" ")[0].isdecimal() else SOCKET
