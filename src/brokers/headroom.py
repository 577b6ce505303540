"""How much of each limit a session has used, for who looks on. Pure: nothing is decided by it."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from src.domain.limits import RiskLimits
from src.domain.market import Contract
from src.domain.orders import Origin, Trade

_DASH: Final = "-"


@dataclass(frozen=True, slots=True)
class Headroom:
    """One limit: its name for a person, and both sides in words."""

    rule: str
    used: str
    limit: str


@dataclass(frozen=True, slots=True)
class Use:
    """What is used of the limits now. Dollars and shares; None is what is not known."""

    open_trades: Sequence[Trade] | None = None
    sent_last_minute: int = 0
    round_trips: int = 0
    positions: Sequence[tuple[Contract, Decimal]] | None = None
    net_liquidation: Decimal | None = None
    peak: Decimal | None = None
    daily: Decimal | None = None


def headroom(limits: RiskLimits, use: Use) -> tuple[Headroom, ...]:
    """The limits that are set, each with what is used of it; those whose use is not known show a dash."""
    rows: list[Headroom] = []
    if limits.max_open_orders is not None:
        trades = use.open_trades
        own = _DASH if trades is None else str(sum(trade.origin is Origin.OURS for trade in trades))
        rows.append(Headroom("open orders", own, str(limits.max_open_orders[0])))
    if limits.orders_per_minute is not None:
        rows.append(Headroom("orders a minute", str(use.sent_last_minute), str(limits.orders_per_minute[0])))
    if limits.round_trips_per_day is not None:
        rows.append(Headroom("round trips", str(use.round_trips), str(limits.round_trips_per_day)))
    if limits.max_position is not None:
        held = use.positions
        largest = _DASH if held is None else f"{max((abs(shares) for _, shares in held), default=Decimal(0)):,f}"
        rows.append(Headroom("largest position", largest, f"{limits.max_position:,f}"))
    net = use.net_liquidation
    if limits.max_daily_loss is not None:
        lost = None if use.daily is None else max(-use.daily, Decimal(0))
        # As the guards count it: of what the account had this morning.
        cap = None if net is None else limits.max_daily_loss.of(net + (lost or 0))
        rows.append(Headroom("day's loss", _dollars(lost), _dollars(cap)))
    if limits.max_drawdown is not None:
        fall = None if net is None or not use.peak else max((use.peak - net) / use.peak, Decimal(0))
        rows.append(Headroom("drawdown", _DASH if fall is None else f"{fall:.2%}", f"{limits.max_drawdown:.0%}"))
    return tuple(rows)


def _dollars(amount: Decimal | None) -> str:
    return _DASH if amount is None else f"${amount:,.0f}"
