"""An exchange's state as plain frozen values, so that a simulated account can outlive its process.

Kept: accounts, orders that still work, what ended and traded lately, and the counters. Not kept: prices. While nobody
watches, the simulated market stands still for the orders; what falls due by time (a DAY order's end) is caught up on.
"""

from dataclasses import dataclass
from decimal import Decimal

from src.domain.market import Contract
from src.domain.orders import AccountId, Fill, Order, OrderId, OrderStatus


@dataclass(frozen=True, slots=True)
class HoldingState:
    """One contract's shares and signed cost basis (dollars)."""

    contract: Contract
    quantity: int
    basis: Decimal
    realized: Decimal
    opened_on: int
    mark: int | None  # the last price, units


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account's money (dollars)."""

    account_id: AccountId
    cash: Decimal
    realized: Decimal
    commission: Decimal
    day_start: Decimal | None
    day_trades: tuple[int, ...]
    holdings: tuple[HoldingState, ...]


@dataclass(frozen=True, slots=True)
class OrderState:
    """One order. `exits` are the ids of a bracket's children; `held` says that its parent has not traded."""

    order_id: OrderId
    order: Order
    status: OrderStatus
    filled: int
    value: int
    commission: Decimal
    seq: int
    time: int
    triggered: bool
    held: bool
    on_book: bool
    code: int | None
    reason: str
    exits: tuple[OrderId, ...]
    group_filled: int


@dataclass(frozen=True, slots=True)
class ExchangeState:
    """Everything needed to go on. `now` is the last moment that was processed (epoch ns)."""

    now: int
    next_order: int
    next_execution: int
    accounts: tuple[AccountState, ...]
    orders: tuple[OrderState, ...]
    fills: tuple[Fill, ...]
    units_per_dollar: int = 10_000  # of `mark` and `value`; before pairs were listed a unit was 0.0001 dollar
