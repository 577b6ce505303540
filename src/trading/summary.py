"""What a session came to: the facts with their fixed names, and the text a person reads."""

import logging
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from src.domain.errors import BrokerError
from src.runtime.clock import iso
from src.trading.equity import Equity
from src.trading.observer import Watched

_log: Final = logging.getLogger(__name__)


class Prices(StrEnum):
    """Where a session's prices came from, and what that means for its result; the value is the text that says so."""

    MARKET = ""
    GATEWAY = "Fills are simulated, on a paper gateway, whose prices may be invented."
    RECORDED = "Prices are recorded, fills are simulated."
    SEEDED = "Prices are invented (seeded): the P&L says nothing about the strategy."


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session's result. Times are ISO 8601 UTC, money is dollars, P&L is the session's own.

    `realized_pnl` is net of commission; `max_drawdown` is a ratio, measured at bar closes; `final_equity` is what the
    whole account is worth. `seconds` and `bars_per_second` alone differ between equal runs.
    """

    mode: str
    symbols: tuple[str, ...]
    start: str
    end: str
    bars: int
    orders: int
    fills: int
    commissions: float
    realized_pnl: float
    unrealized_pnl: float
    final_equity: float
    max_drawdown: float
    seconds: float
    bars_per_second: float

    def as_json(self) -> dict[str, Any]:
        """The facts under their names, fit for json."""
        return {**asdict(self), "symbols": list(self.symbols)}


def conclude(session: Watched, equity: Equity, bars: int, seconds: float) -> SessionSummary:
    """Sum a session up at its end. Where the broker does not tell the account's worth any more, it is the session's."""
    totals, portfolio, broker = session.portfolio.totals, session.portfolio, session.broker
    prices = dict(equity.prices)
    try:
        final = float(broker.account_summary().net_liquidation)
        prices |= {held.contract.symbol: float(held.market_price) for held in broker.positions()}  # it marks so
    except BrokerError as error:
        _log.warning("the final equity is the session's own, the broker does not tell: %s", error)
        final = equity.value
    return SessionSummary(
        mode=broker.mode.value,
        symbols=tuple(session.contracts),
        start=iso(session.started_at),
        end=iso(broker.now()),
        bars=bars,
        orders=totals.orders,
        fills=totals.fills,
        commissions=round(float(totals.commissions), 6),
        realized_pnl=round(float(portfolio.realized_pnl()), 6),
        unrealized_pnl=round(float(portfolio.unrealized_pnl(prices)), 6),
        final_equity=round(final, 6),
        max_drawdown=round(equity.max_drawdown, 9),
        seconds=round(seconds, 3),
        bars_per_second=round(bars / seconds, 1) if seconds > 0 else 0.0,
    )


def text(summary: SessionSummary, prices: Prices, remarks: tuple[str, ...] = ()) -> str:
    """The summary for a person; `remarks` are further lines."""
    rows = (
        ("Mode", summary.mode),
        ("Symbols", " ".join(summary.symbols)),
        ("Period", f"{_moment(summary.start)} to {_moment(summary.end)} UTC"),
        ("Bars", f"{summary.bars:,} in {summary.seconds:.2f} s ({summary.bars_per_second:,.0f} bars per second)"),
        ("Orders", f"{summary.orders:,}"),
        ("Fills", f"{summary.fills:,}"),
        ("Commissions", _dollars(summary.commissions)),
        ("Realized P&L", f"{_dollars(summary.realized_pnl)} net of commissions"),
        ("Unrealized P&L", _dollars(summary.unrealized_pnl)),
        ("Final equity", _dollars(summary.final_equity)),
        ("Maximum drawdown", f"{summary.max_drawdown:.2%}"),
    )
    lines = [f"{name:<17} {value}" for name, value in rows]
    notes = [line for line in (prices.value, *remarks) if line]
    return "\n".join(["Session summary", *(f"  {line}" for line in lines), *notes])


def _dollars(amount: float) -> str:
    shown = f"{abs(amount):,.2f}"
    return f"-${shown}" if amount < 0 and shown.strip("0.,") else f"${shown}"


def _moment(stamp: str) -> str:
    return stamp.replace("T", " ").rstrip("Z")
