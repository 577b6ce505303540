"""A strategy's own shares: what the fills of its orders made of them, and the orders that still work. Pure.

Shares that were in the account before are not here. Commission is part of the cost basis, as IB states it: the average
cost includes what opening cost, realized P&L is net of the commission of both ends. Every execution and every
commission counts once, in whatever order they are told. Contracts are told apart by symbol.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal, localcontext
from typing import Final

from src.domain.market import Contract
from src.domain.orders import CommissionReport, Execution, Fill, Order, Trade

#: Shares an order has when the session names no other number for its symbol.
DEFAULT_QUANTITY: Final = Decimal(100)
_ZERO: Final = Decimal(0)
_EXACT: Final = Context(prec=34)


@dataclass(slots=True)
class _Holding:
    """Shares (negative when short), their signed cost basis with commission, and what was realized (dollars)."""

    quantity: Decimal = _ZERO
    basis: Decimal = _ZERO
    realized: Decimal = _ZERO

    def trade(self, signed: Decimal, price: Decimal) -> Decimal:
        """Book `signed` shares at `price`; return the fraction of them that closed shares held."""
        before, value = self.quantity, signed * price
        self.quantity = before + signed
        if before * signed >= 0:
            self.basis += value
            return _ZERO
        closed = min(abs(signed), abs(before))
        cost = self.basis if closed == abs(before) else self.basis * closed / abs(before)
        closing = value if closed == abs(signed) else value * closed / abs(signed)
        self.realized -= cost + closing
        self.basis += value - closing - cost
        return closed / abs(signed)

    def charge(self, commission: Decimal, closed: Decimal) -> None:
        """Book the commission of a trade of which the fraction `closed` closed shares."""
        realized = commission * closed if self.quantity else commission
        self.realized -= realized
        self.basis += commission - realized


@dataclass(slots=True)
class _Working:
    """An order under way: its shares with their sign, those filled so far, and those that will be once it is done."""

    signed: Decimal
    filled: Decimal = _ZERO
    ends_at: Decimal | None = None

    @property
    def is_over(self) -> bool:
        """Whether it is done and every one of its fills has been told."""
        return self.ends_at is not None and self.filled >= self.ends_at

    @property
    def left(self) -> Decimal:
        """Shares it may still buy (+) or sell (-)."""
        total = abs(self.signed) if self.ends_at is None else self.ends_at
        return (total - self.filled).copy_sign(self.signed)


@dataclass(slots=True)
class Totals:
    """Counts and dollars of the session so far."""

    orders: int = 0
    fills: int = 0
    commissions: Decimal = _ZERO
    cash_flow: Decimal = field(default=_ZERO)


class Portfolio:
    """What a strategy may ask about itself, and what its session tells it. Quantities are shares, money is dollars."""

    def __init__(self, quantities: Mapping[str, Decimal] | None = None) -> None:
        """`quantities` are the shares to trade of each symbol, 100 where none is named."""
        self._quantities = dict(quantities or {})
        #: Own shares by symbol, without those that are flat. To look at, not to change.
        self.held: dict[str, Decimal] = {}
        self._holdings: dict[str, _Holding] = {}
        self._working: dict[str, dict[str, _Working]] = {}
        self._executions: dict[str, tuple[str, Decimal]] = {}
        self._early: dict[str, CommissionReport] = {}
        self._charged: set[str] = set()
        self.totals = Totals()

    # What a strategy asks.

    def quantity(self, contract: Contract) -> Decimal:
        """Shares the session was told to trade of it at a time."""
        return self._quantities.get(contract.symbol, DEFAULT_QUANTITY)

    def position(self, contract: Contract) -> Decimal:
        """Own shares held; negative when short."""
        return self.held.get(contract.symbol, _ZERO)

    def is_working(self, contract: Contract) -> bool:
        """Whether an own order is still under way."""
        return bool(self._working.get(contract.symbol))

    def pending(self, contract: Contract) -> Decimal:
        """Shares that own working orders may still buy (+) or sell (-), netted."""
        return sum((order.left for order in self._working.get(contract.symbol, {}).values()), _ZERO)

    def average_cost(self, contract: Contract) -> Decimal:
        """Dollars a share, commission included; 0 when flat."""
        holding = self._holdings.get(contract.symbol)
        if holding is None or not holding.quantity:
            return _ZERO
        with localcontext(_EXACT):
            return holding.basis / holding.quantity

    def realized_pnl(self, contract: Contract | None = None) -> Decimal:
        """Dollars realized net of commission, of one contract or of all."""
        if contract is not None:
            holding = self._holdings.get(contract.symbol)
            return holding.realized if holding else _ZERO
        with localcontext(_EXACT):
            return sum((holding.realized for holding in self._holdings.values()), _ZERO)

    def unrealized_pnl(self, prices: Mapping[str, float]) -> Decimal:
        """Dollars that the own shares would realize at these prices by symbol, before the commission of selling."""
        with localcontext(_EXACT):
            return sum(
                (
                    holding.quantity * Decimal(str(prices[symbol])) - holding.basis
                    for symbol, holding in self._holdings.items()
                    if holding.quantity
                ),
                _ZERO,
            )

    @property
    def positions(self) -> Mapping[str, Decimal]:
        """A copy of `held`."""
        return dict(self.held)

    @property
    def working(self) -> tuple[str, ...]:
        """The references of the own orders that still work, oldest first."""
        return tuple(reference for orders in self._working.values() for reference in orders)

    # What its session tells.

    def sent(self, order: Order) -> None:
        """An own order leaves; its reference is new."""
        self.totals.orders += 1
        working = self._working.setdefault(order.contract.symbol, {})
        working[order.order_ref] = _Working(order.quantity * order.action.sign)

    def refused(self, order: Order) -> None:
        """The order that left was not accepted: it never worked."""
        self._working[order.contract.symbol].pop(order.order_ref, None)

    def changed(self, trade: Trade) -> bool:
        """An own order's state: of interest when it is modified or done; False when it did not work any more."""
        working = self._working.get(trade.order.contract.symbol, {})
        order = working.get(trade.order.order_ref)
        if order is None:
            return False
        order.signed = trade.order.quantity * trade.order.action.sign
        if trade.is_done:
            order.ends_at = trade.filled
            if order.is_over:
                del working[trade.order.order_ref]
        return True

    def own_part(self, fill: Fill, prefix: str) -> Fill | None:
        """The fill of an own order, whose reference begins so, or as much of a liquidation as closes own shares."""
        execution = fill.execution
        if execution.order_ref.startswith(prefix):
            return fill
        held = self.position(execution.contract) if execution.liquidation else _ZERO
        if held * execution.side.sign >= 0:
            return None
        return replace(fill, execution=replace(execution, shares=min(execution.shares, abs(held))))

    def filled(self, fill: Fill) -> bool:
        """An own order was executed; False when this execution has been told before."""
        execution, symbol = fill.execution, fill.execution.contract.symbol
        if execution.exec_id in self._executions:
            return False
        with localcontext(_EXACT):
            signed = execution.shares * execution.side.sign
            holding = self._holdings.get(symbol)
            if holding is None:
                holding = self._holdings[symbol] = _Holding()
            self._executions[execution.exec_id] = symbol, holding.trade(signed, execution.price)
            self.totals.fills += 1
            self.totals.cash_flow -= signed * execution.price
            report = fill.commission_report or self._early.pop(execution.exec_id, None)
            if report is not None and report.exec_id not in self._charged:
                self._charge(report)
        if holding.quantity:
            self.held[symbol] = holding.quantity
        else:
            self.held.pop(symbol, None)
        self._count_down(execution)
        return True

    def charged(self, report: CommissionReport) -> bool:
        """The commission of an execution is known, before or after the execution itself; False when told before."""
        if report.exec_id in self._charged:
            return False
        if report.exec_id not in self._executions:
            self._early[report.exec_id] = report
            return True
        with localcontext(_EXACT):
            self._charge(report)
        return True

    def _charge(self, report: CommissionReport) -> None:
        symbol, closed = self._executions[report.exec_id]
        self._charged.add(report.exec_id)
        self._holdings[symbol].charge(report.commission, closed)
        self.totals.commissions += report.commission
        self.totals.cash_flow -= report.commission

    def _count_down(self, execution: Execution) -> None:
        working = self._working.get(execution.contract.symbol, {})
        order = working.get(execution.order_ref)
        if order is None:
            return
        order.filled += execution.shares
        if order.is_over or order.filled >= abs(order.signed):
            del working[execution.order_ref]
