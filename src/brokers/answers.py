"""What the facade answers with: plain dicts, and how each is made from a domain fact. Pure.

Money and prices are floats, whole quantities are ints, times are ISO 8601 UTC, and every dict can be written as JSON:
what is not known is None, never NaN. A status is TWS's own, but for three: `Rejected` (by the venue), `Refused` (by a
limit of ours, nothing was sent) and `Unknown` (no answer; the order may be at the venue).
"""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final, TypedDict

from src.brokers.broker import Bars, BrokerHealth
from src.brokers.findings import Finding
from src.domain.account import AccountSummary, Position
from src.domain.account_ids import masked
from src.domain.errors import BrokerError, OrderRefusedError, OrderRejectedError
from src.domain.market import Mode, Quote
from src.domain.orders import Fill, Order, OrderStatus, Trade
from src.domain.privacy import in_one_line
from src.runtime.clock import NS, iso

REJECTED: Final = "Rejected"
REFUSED: Final = "Refused"
UNKNOWN: Final = "Unknown"


class OrderAnswer(TypedDict):
    """What became of an order. `order_id` is None when the venue gave none."""

    order_id: int | None
    status: str
    filled: int | float
    remaining: int | float
    avg_fill_price: float
    symbol: str
    action: str
    quantity: int | float
    order_type: str
    reason: str
    mode: str


class PositionAnswer(TypedDict):
    """Shares held, negative when short; `market_price` is None while flat: nothing is held to be priced."""

    position: int | float
    average_cost: float
    market_price: float | None
    market_value: float
    unrealized_pnl: float
    realized_pnl: float


class AccountAnswer(TypedDict):
    """The account in dollars, as of `as_of`."""

    account_id: str
    net_liquidation: float
    available_funds: float
    buying_power: float
    total_cash: float
    currency: str
    mode: str
    as_of: str


class QuoteAnswer(TypedDict):
    """The best bid and ask; a side that nobody quotes is None."""

    symbol: str
    bid: float | None
    ask: float | None
    bid_size: float | None
    ask_size: float | None
    last: float | None
    time: str
    age_seconds: float
    source: str
    mode: str


class BarsAnswer(TypedDict):
    """Closed bars as columns, oldest first; `time` is each bar's start."""

    time: list[str]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]


class FillAnswer(TypedDict):
    """One execution; commission and realized P&L are None until the venue has reported them."""

    exec_id: str
    order_id: int
    symbol: str
    action: str
    quantity: int | float
    price: float
    time: str
    commission: float | None
    realized_pnl: float | None
    mode: str


class AttemptAnswer(TypedDict):
    """One address that was tried for TWS."""

    host: str
    port: int
    outcome: str


class HealthAnswer(TypedDict):
    """How the connection is, how it was come by, and what last went wrong with it."""

    mode: str
    connected: bool
    host: str | None
    port: int | None
    client_id: int
    library: str | None
    server_version: int | None
    accounts: list[str]
    data_source: str | None
    last_message_age_seconds: float | None
    open_orders: int
    reconnects: int
    attempts: list[AttemptAnswer]
    fallback_reason: str | None
    error: str | None


def count_of(quantity: Decimal) -> int | float:
    """Shares as an int when whole."""
    whole = int(quantity)
    return whole if whole == quantity else float(quantity)


def money(amount: Decimal) -> float:
    """Dollars as a float, without a negative zero."""
    return float(amount) + 0.0


def order_answer(trade: Trade, mode: Mode) -> OrderAnswer:
    """An order that the venue knows. `Inactive` is how TWS says that it rejected one."""
    order = trade.order
    return OrderAnswer(
        order_id=trade.order_id,
        status=REJECTED if trade.status is OrderStatus.INACTIVE else trade.status.value,
        filled=count_of(trade.filled),
        remaining=count_of(trade.remaining),
        avg_fill_price=money(trade.average_fill_price),
        symbol=order.contract.local_symbol,
        action=order.action.value,
        quantity=count_of(order.quantity),
        order_type=order.order_type.value,
        reason=reason_shown(trade.reason),
        mode=mode.value,
    )


def reason_shown(text: str) -> str:
    """The venue's text in one line; nothing where it breaks off before its reason, as at a plain cancel."""
    line = in_one_line(text) if text else ""
    return "" if line.endswith(" - reason:") else line


def unplaced_answer(order: Order, error: BrokerError, mode: Mode) -> OrderAnswer:
    """An order that came back as an error: rejected, refused, or unanswered."""
    status, reason = verdict(error)
    return OrderAnswer(
        order_id=error.order_id if isinstance(error, OrderRejectedError) else None,
        status=status,
        filled=0,
        remaining=count_of(order.quantity),
        avg_fill_price=0.0,
        symbol=order.contract.local_symbol,
        action=order.action.value,
        quantity=count_of(order.quantity),
        order_type=order.order_type.value,
        reason=reason,
        mode=mode.value,
    )


def verdict(error: BrokerError) -> tuple[str, str]:
    """Return the status and reason of an order, or of a change to it, that came back as an error."""
    if isinstance(error, OrderRejectedError):
        return (REFUSED if isinstance(error, OrderRefusedError) else REJECTED), error.reason
    return UNKNOWN, str(error)


def positions_answer(symbols: Iterable[str], positions: Iterable[Position]) -> dict[str, PositionAnswer]:
    """An entry for each of `symbols`, flat or not, and for whatever else is held."""
    held = {position.contract.local_symbol: position for position in positions}
    answers = {symbol: _flat() for symbol in symbols}
    answers.update({symbol: _position(position) for symbol, position in held.items()})
    return answers


class PositionAnswers:
    """`positions_answer`, worked out once while the positions are the same tuple; who asks gets dicts of his own."""

    def __init__(self) -> None:
        self._last: tuple[tuple[Position, ...], Sequence[str], dict[str, PositionAnswer]] = ((), [], {})

    def __call__(self, symbols: Sequence[str], positions: tuple[Position, ...]) -> dict[str, PositionAnswer]:
        """As `positions_answer`. Safe on any thread."""
        known, asked, answers = self._last
        if known is not positions or asked != symbols:
            answers = positions_answer(symbols, positions)
            self._last = positions, list(symbols), answers
        return {symbol: answer.copy() for symbol, answer in answers.items()}


def _flat() -> PositionAnswer:
    return PositionAnswer(
        position=0, average_cost=0.0, market_price=None, market_value=0.0, unrealized_pnl=0.0, realized_pnl=0.0
    )


def _position(position: Position) -> PositionAnswer:
    return PositionAnswer(
        position=count_of(position.quantity),
        average_cost=money(position.average_cost),
        market_price=money(position.market_price) if position.quantity else None,
        market_value=money(position.market_value),
        unrealized_pnl=money(position.unrealized_pnl),
        realized_pnl=money(position.realized_pnl),
    )


def account_answer(summary: AccountSummary, mode: Mode) -> AccountAnswer:
    """The account's values that document 004 names, and their time."""
    return AccountAnswer(
        account_id=summary.account_id,
        net_liquidation=money(summary.net_liquidation),
        available_funds=money(summary.available_funds),
        buying_power=money(summary.buying_power),
        total_cash=money(summary.total_cash_value),
        currency=summary.currency,
        mode=mode.value,
        as_of=iso(summary.as_of),
    )


def is_price(value: float) -> bool:
    """Whether a float is a price: neither NaN nor infinite, nor the 0 or -1 that wires send for "none"."""
    return math.isfinite(value) and value > 0


def quote_answer(quote: Quote, now: int, mode: Mode) -> QuoteAnswer:
    """A quote, with its age at market time `now`."""
    bid, ask, last = (price if is_price(price) else None for price in (quote.bid, quote.ask, quote.last))
    bid_size, ask_size = (
        size if math.isfinite(size) and size >= 0 else None for size in (quote.bid_size, quote.ask_size)
    )
    return QuoteAnswer(
        symbol=quote.contract.local_symbol,
        bid=bid,
        ask=ask,
        bid_size=bid_size,
        ask_size=ask_size,
        last=last,
        time=iso(quote.time),
        age_seconds=max(0, now - quote.time) / NS,
        source=quote.source.value,
        mode=mode.value,
    )


def current_price(quote: Quote) -> float | None:
    """Last when it lies inside the spread, else the middle; without a spread, last; None when there is neither."""
    bid, ask, last = quote.bid, quote.ask, quote.last
    if 0 < bid <= ask < math.inf:
        return last if bid <= last <= ask else round((bid + ask) / 2, 6)
    return last if is_price(last) else None


def bars_answer(bars: Bars) -> BarsAnswer:
    """Bars as columns."""
    return BarsAnswer(
        time=[iso(bar.start) for bar in bars],
        open=[bar.open for bar in bars],
        high=[bar.high for bar in bars],
        low=[bar.low for bar in bars],
        close=[bar.close for bar in bars],
        volume=[bar.volume for bar in bars],
    )


def fill_answer(fill: Fill, mode: Mode) -> FillAnswer:
    """An execution with its commission, when that is known."""
    execution, report = fill.execution, fill.commission_report
    realized = None if report is None else report.realized_pnl
    return FillAnswer(
        exec_id=execution.exec_id,
        order_id=execution.order_id,
        symbol=execution.contract.local_symbol,
        action=execution.side.value,
        quantity=count_of(execution.shares),
        price=money(execution.price),
        time=iso(execution.time),
        commission=None if report is None else money(report.commission),
        realized_pnl=None if realized is None else money(realized),
        mode=mode.value,
    )


def attempt_answers(attempts: Iterable[Finding]) -> list[AttemptAnswer]:
    """What was tried for TWS, in order."""
    return [AttemptAnswer(host=each.host, port=each.port, outcome=each.outcome.value) for each in attempts]


def health_answer(
    health: BrokerHealth, client_id: int, opening: tuple[Iterable[Finding], str | None], error: str | None
) -> HealthAnswer:
    """How the connection is; `opening` is how it was come by: what was tried, and why the simulator stands in."""
    attempts, fallback_reason = opening
    return HealthAnswer(
        mode=health.mode.value,
        connected=health.connected,
        host=health.host,
        port=health.port,
        client_id=client_id,
        library=health.library,
        server_version=health.server_version,
        accounts=[masked(each) for each in health.accounts],
        data_source=health.data_source,
        last_message_age_seconds=health.last_message_age,
        open_orders=health.open_orders,
        reconnects=health.reconnects,
        attempts=attempt_answers(attempts),
        fallback_reason=fallback_reason,
        error=error or health.error,
    )


def no_health_answer(address: tuple[str, int, int], attempts: Iterable[Finding], error: str | None) -> HealthAnswer:
    """Health before there is a broker: `address` is the host, port and client id that are meant."""
    host, port, client_id = address
    return HealthAnswer(
        mode=Mode.DISCONNECTED.value,
        connected=False,
        host=host,
        port=port,
        client_id=client_id,
        library=None,
        server_version=None,
        accounts=[],
        data_source=None,
        last_message_age_seconds=None,
        open_orders=0,
        reconnects=0,
        attempts=attempt_answers(attempts),
        fallback_reason=None,
        error=error,
    )
