"""A session's statistics, each with its definition. Pure; ratios are plain numbers, dollars are dollars.

What cannot be computed is None: a standard deviation of one return, a ratio to nothing. Annual figures are the
session's own, scaled by the number of its bars a year; those of a few days say little, and the report says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Final

from src.records.round_trips import FillRow, RoundTrip

_DAYS_A_YEAR: Final = 252
_DAY_NS: Final = 86_400_000_000_000
#: What each statistic is, in words for a reader.
DEFINITIONS: Final = {
    "total_return": "last equity divided by the first, less one",
    "volatility": "standard deviation of the returns from bar to bar, times the root of the bars in a year",
    "sharpe": "mean of those returns divided by their standard deviation, times that root; no interest taken off",
    "sortino": "the same with the root mean square of the negative returns below the line",
    "max_drawdown": "deepest fall of the equity from a peak before it, at bar closes",
    "trades": "round trips from flat to flat that ended in the session",
    "win_rate": "share of those that made money, net of all commissions",
    "profit_factor": "what the winning ones made, divided by what the losing ones lost",
    "average_trade": "mean net result of a round trip, in dollars",
    "exposure": "share of the bars at whose close the session held shares of its own",
    "turnover": "value of all fills divided by the mean equity",
    "commissions": "all commissions and fees, in dollars",
    "slippage": "what fills were worse than the last price before their order was meant, in dollars",
    "cost_share": "commissions and slippage in relation to the value of all fills, in basis points",
}


@dataclass(frozen=True, slots=True)
class Statistics:
    """See `DEFINITIONS` for each; None where it cannot be computed."""

    total_return: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    trades: int
    win_rate: float | None
    profit_factor: float | None
    average_trade: float | None
    exposure: float | None
    turnover: float | None
    commissions: float
    slippage: float
    cost_share: float | None

    def as_json(self) -> dict[str, float | int | None]:
        """By name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def statistics_of(
    times: Sequence[int], equity: Sequence[float], fills: Sequence[FillRow], trips: Sequence[RoundTrip]
) -> Statistics:
    """The statistics of a curve (epoch ns, dollars at bar closes) and what was traded on the way."""
    returns = [later / before - 1 for before, later in pairwise(equity) if before > 0]
    scale = math.sqrt(_bars_a_year(times)) if times else 0.0
    mean, spread = (fmean(returns), pstdev(returns)) if len(returns) > 1 else (0.0, 0.0)
    below = math.sqrt(fmean(min(each, 0.0) ** 2 for each in returns)) if returns else 0.0
    results = [float(trip.pnl) for trip in trips]
    won, lost = sum(each for each in results if each > 0), -sum(each for each in results if each < 0)
    value = sum(float(row.shares * row.price) for row in fills)
    commissions = sum(float(row.commission) for row in fills if row.commission is not None)
    slippage = sum(row.slippage for row in fills if row.slippage is not None)
    return Statistics(
        total_return=equity[-1] / equity[0] - 1 if equity and equity[0] > 0 else None,
        volatility=spread * scale if spread else None,
        sharpe=mean / spread * scale if spread else None,
        sortino=mean / below * scale if below else None,
        max_drawdown=-min(drawdown(equity), default=0.0),
        trades=len(trips),
        win_rate=sum(each > 0 for each in results) / len(results) if results else None,
        profit_factor=won / lost if lost else None,
        average_trade=fmean(results) if results else None,
        exposure=_exposure(times, fills),
        turnover=value / fmean(equity) if equity and fmean(equity) > 0 else None,
        commissions=commissions,
        slippage=slippage,
        cost_share=(commissions + slippage) / value * 10_000 if value else None,
    )


def drawdown(equity: Sequence[float]) -> list[float]:
    """At each point the fall from the highest one until then: ratios from zero down."""
    peak, falls = -math.inf, []
    for value in equity:
        peak = max(peak, value)
        falls.append((value - peak) / peak if peak > 0 else 0.0)
    return falls


def _bars_a_year(times: Sequence[int]) -> float:
    days = len({time // _DAY_NS for time in times})
    return len(times) / days * _DAYS_A_YEAR


def _exposure(times: Sequence[int], fills: Sequence[FillRow]) -> float | None:
    if not times:
        return None
    held: dict[str, float] = {}
    exposed, upcoming = 0, 0
    for time in times:
        while upcoming < len(fills) and fills[upcoming].time <= time:
            row = fills[upcoming]
            held[row.symbol] = held.get(row.symbol, 0.0) + float(row.shares) * row.action.sign
            upcoming += 1
        exposed += any(abs(shares) > 1e-9 for shares in held.values())
    return exposed / len(times)
