"""Pre-trade checks: an order, a bracket or a change against the limits. Pure; nothing is looked up here.

The answer is a `Refusal`, which names the rule, its limit and the value, or None. An order that only takes risk away
passes where a limit is about more risk; one that could turn the position round does not.
"""

from dataclasses import replace
from decimal import Decimal

from src.brokers.exposure import Exposure
from src.brokers.risk_rules import (
    ALWAYS,
    CHANGED,
    EXIT,
    GROWN,
    MOVED,
    NEW_RISK,
    SLIPS,
    Asked,
    Refusal,
    first,
    refusal_of,
)
from src.domain.limits import RiskLimits
from src.domain.orders import Bracket, Order, Trade


def check(order: Order, exposure: Exposure, limits: RiskLimits) -> Refusal | None:
    """Why a new order may not leave; None when it may."""
    reduces = exposure.reduces(order)
    asked = Asked(order, exposure, limits, reduces)
    return first(ALWAYS if reduces else NEW_RISK, asked)


def check_slips(order: Order, exposure: Exposure, limits: RiskLimits) -> Refusal | None:
    """Why a new order may not leave where limits are plain, and nothing halts."""
    return first(SLIPS, Asked(order, exposure, limits, reduces=False))


def check_bracket(bracket: Bracket, exposure: Exposure, limits: RiskLimits) -> Refusal | None:
    """Why an entry with its exits may not leave. The exits take away what the entry brings: only they are priced."""
    refusal = check(bracket.parent, exposure, limits)
    for leg in (bracket.take_profit, bracket.stop_loss):
        refusal = refusal or first(EXIT, Asked(leg, exposure, limits, reduces=True))
    return refusal


def check_change(trade: Trade, changed: Order, exposure: Exposure, limits: RiskLimits) -> Refusal | None:
    """Why a working order may not become `changed`: what it brings more is held to the same limits as a new order."""
    left = changed.quantity - trade.filled
    if left <= 0:
        return None  # no risk: the venue says what is wrong with it
    others = exposure.without(trade.order_id)
    wanted = replace(changed, quantity=left)
    reduces = others.reduces(wanted)
    asked = Asked(wanted, others, limits, reduces)
    grows = changed.quantity > trade.order.quantity
    moved = (changed.limit_price, changed.stop_price) != (trade.order.limit_price, trade.order.stop_price)
    rules = (
        *(GROWN if grows else ()),
        *(MOVED if moved else ()),
        *(CHANGED if (grows or moved) and not reduces else ()),
    )
    return first(rules, asked)


def lost_too_much(
    daily: Decimal | None, peak: Decimal | None, net_liquidation: Decimal | None, limits: RiskLimits
) -> Refusal | None:
    """Why no new risk may be taken today: the day's profit and loss, and the account's value against its peak."""
    if net_liquidation is None:
        return None
    if limits.max_daily_loss is not None and daily is not None:
        # What the account had this morning: a loss must not lower its own limit.
        most = limits.max_daily_loss.of(max(net_liquidation - daily, net_liquidation))
        if -daily >= most:
            return refusal_of("daily_loss", f"${most:,.2f}", f"${-daily:,.2f}", "lost today")
    if limits.max_drawdown is not None and peak is not None and peak > 0:
        drawdown = (peak - net_liquidation) / peak
        if drawdown >= limits.max_drawdown:
            return refusal_of(
                "drawdown", f"{limits.max_drawdown:.2%}", f"{drawdown:.2%}", "below the day's highest value"
            )
    return None
