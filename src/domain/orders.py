"""Orders and what becomes of them, in IB's words. All money is `Decimal` dollars, quantities are shares.

`Order` is what was asked; `Trade` is a snapshot of what became of it at one instant. Neither changes.
An `Order` that exists is well formed: its constructor raises `InvalidOrderError` otherwise.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import ClassVar, Final, NewType

from src.domain.errors import InvalidOrderError, shown
from src.domain.facts import fact
from src.domain.market import Contract

OrderId = NewType("OrderId", int)
AccountId = NewType("AccountId", str)
#: TWS reads and names no higher one.
HIGHEST_ORDER_ID: Final = 2**31 - 1

#: Prices have at most six decimals: real prints lie between ticks, but never finer (decision D1).
PRICE_DECIMALS: Final = 6
_MAX_REF: Final = 40
_MAX_AMOUNT: Final = Decimal(10) ** 12
_NOTHING: Final = Decimal(0)


class Action(StrEnum):
    """The side of an order."""

    BUY = "BUY"
    SELL = "SELL"

    def __init__(self, side: str) -> None:
        #: +1 for a buy, -1 for a sell.
        self.sign = 1 if side == "BUY" else -1

    @property
    def opposite(self) -> "Action":
        """The other side."""
        return Action.SELL if self is Action.BUY else Action.BUY


class OrderType(StrEnum):
    """IB's order type codes."""

    MARKET = "MKT"
    LIMIT = "LMT"
    STOP = "STP"
    STOP_LIMIT = "STP LMT"
    IF_TOUCHED = "MIT"

    def __init__(self, code: str) -> None:
        #: Whether the type carries a limit price.
        self.has_limit = "LMT" in code
        #: Whether the type carries a stop (trigger) price; a market-if-touched order's is one too.
        self.has_stop = "STP" in code or code == "MIT"


class TimeInForce(StrEnum):
    """How long an order works: the session, until cancelled, or one look at the market (FOK: all or nothing)."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


class OrderStatus(StrEnum):
    """TWS's order statuses. A rejected order is `Inactive`."""

    PENDING_SUBMIT = "PendingSubmit"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    PENDING_CANCEL = "PendingCancel"
    API_CANCELLED = "ApiCancelled"
    CANCELLED = "Cancelled"
    FILLED = "Filled"
    INACTIVE = "Inactive"

    def __init__(self, status: str) -> None:
        #: Whether nothing more is to be expected. Libraries differ on `Inactive`; we count it as done (decision D6).
        self.is_done = status in {"Filled", "Cancelled", "ApiCancelled", "Inactive"}


class Origin(StrEnum):
    """Who placed an order: this client, another API client, or a person in TWS."""

    OURS = "ours"
    OTHER = "other"
    MANUAL = "manual"


def exact(value: object, name: str) -> Decimal:
    """`value` (int, float, str or Decimal) as a finite Decimal.

    A float is read as it prints: 0.1 is 0.1. Raises InvalidOrderError, naming `name`, for anything else.
    """
    if type(value) is Decimal and value.is_finite():
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise InvalidOrderError(f"{name} must be a number, not {shown(value)}")
    try:
        number = Decimal(value if isinstance(value, (int, str, Decimal)) else str(value))
    except InvalidOperation:
        raise InvalidOrderError(f"{name} must be a number, not {shown(value)}") from None
    if not number.is_finite():
        raise InvalidOrderError(f"{name} must be finite, not {shown(value)}")
    return number


def checked_amount(value: object, name: str) -> Decimal:
    """`value` as dollars above zero and below a trillion; InvalidOrderError, naming `name`, otherwise."""
    amount = exact(value, name)
    if not 0 < amount < _MAX_AMOUNT:
        raise InvalidOrderError(f"{name} must be above zero and below {_MAX_AMOUNT:,}, not {shown(value)}")
    return amount


def _checked_price(value: object, name: str) -> Decimal:
    price = checked_amount(value, name)
    exponent = price.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -PRICE_DECIMALS and price != round(price, PRICE_DECIMALS):
        raise InvalidOrderError(f"{name} {price} has more than {PRICE_DECIMALS} decimals: round it to the tick")
    return price


def checked_quantity(value: object) -> Decimal:
    """`value` as a positive whole number of shares; InvalidOrderError otherwise."""
    quantity = exact(value, "quantity")
    if quantity <= 0:
        raise InvalidOrderError(f"quantity must be above zero, not {shown(value)}: the side is in the action")
    if quantity != quantity.to_integral_value():
        raise InvalidOrderError(f"quantity must be whole shares, not {shown(value)}: the API takes no fractions")
    if quantity >= _MAX_AMOUNT:
        raise InvalidOrderError(f"quantity {shown(value)} is beyond any order")
    return quantity


def checked_action(value: object) -> Action:
    """`value` as an Action (any case); InvalidOrderError otherwise."""
    if isinstance(value, str) and value.upper() in Action.__members__:
        return Action[value.upper()]
    raise InvalidOrderError(f"action must be BUY or SELL, not {shown(value)}")


def _check_reference(ref: str) -> None:
    if not (isinstance(ref, str) and len(ref) <= _MAX_REF and ref.isascii() and ref.isprintable()):
        raise InvalidOrderError(f"order_ref must be at most {_MAX_REF} printable ASCII characters: {shown(ref)}")


@fact
class Order:
    """What was asked. `stop_price` is IB's auxPrice; `parent_id` ties a bracket's children to their parent."""

    contract: Contract
    action: Action
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    tif: TimeInForce = TimeInForce.DAY
    outside_rth: bool = False
    account: AccountId = AccountId("")
    order_ref: str = ""
    oca_group: str = ""
    parent_id: OrderId | None = None
    unchecked: ClassVar[Callable[..., "Order"]]  # made by `fact`

    def __post_init__(self) -> None:
        if type(self.contract) is not Contract:
            raise InvalidOrderError(f"contract must be a Contract, not {self.contract!r}")
        if type(self.action) is not Action or type(self.order_type) is not OrderType:
            raise InvalidOrderError(f"action and order type must be ours, not {self.action!r}, {self.order_type!r}")
        if type(self.tif) is not TimeInForce:
            raise InvalidOrderError(f"time in force must be one of {[t.value for t in TimeInForce]}, not {self.tif!r}")
        quantity = checked_quantity(self.quantity)
        if quantity is not self.quantity:
            object.__setattr__(self, "quantity", quantity)
        kind = self.order_type
        if self.limit_price is not None or kind.has_limit:
            self._check_price("limit_price", self.limit_price, wanted=kind.has_limit)
        if self.stop_price is not None or kind.has_stop:
            self._check_price("stop_price", self.stop_price, wanted=kind.has_stop)
        _check_reference(self.order_ref)
        if not isinstance(self.oca_group, str) or "\0" in self.oca_group:
            raise InvalidOrderError(f"oca_group must be a text without NUL, not {shown(self.oca_group)}")

    def addressed(self, contract: Contract, account: AccountId, order_ref: str) -> "Order":
        """The same order under a qualified contract, an account and a reference: as it leaves."""
        _check_reference(order_ref)
        return Order.unchecked(
            contract,
            self.action,
            self.quantity,
            self.order_type,
            self.limit_price,
            self.stop_price,
            self.tif,
            self.outside_rth,
            account,
            order_ref,
            self.oca_group,
            self.parent_id,
        )

    def _check_price(self, name: str, value: object, *, wanted: bool) -> None:
        if not wanted:
            raise InvalidOrderError(f"a {self.order_type} order takes no {name}")
        if value is None:
            raise InvalidOrderError(f"a {self.order_type} order needs a {name}")
        object.__setattr__(self, name, _checked_price(value, name))


@fact
class Bracket:
    """An entry with a profit target and a protective stop, which cancel each other and enter when the parent fills."""

    parent: Order
    take_profit: Order
    stop_loss: Order

    def __post_init__(self) -> None:
        exits = (self.take_profit, self.stop_loss)
        if any(
            e.action is not self.parent.action.opposite
            or e.quantity != self.parent.quantity
            or e.contract != self.parent.contract
            for e in exits
        ):
            raise InvalidOrderError("a bracket's exits must close exactly what its parent opens")
        if self.take_profit.limit_price is None or self.stop_loss.stop_price is None:
            raise InvalidOrderError("a bracket's target needs a limit price and its stop a stop price")
        gap = (self.take_profit.limit_price - self.stop_loss.stop_price) * self.parent.action.sign
        entry = self.parent.limit_price
        inside = entry is None or (
            min(self.take_profit.limit_price, self.stop_loss.stop_price)
            < entry
            < max(self.take_profit.limit_price, self.stop_loss.stop_price)
        )
        if gap <= 0 or not inside:
            raise InvalidOrderError(
                "a bracket needs its entry between stop and target, the target on the winning side: "
                f"entry {entry or 'market'}, target {self.take_profit.limit_price}, stop {self.stop_loss.stop_price}"
            )

    @staticmethod
    def around(entry: Order, take_profit: Decimal, stop_loss: Decimal) -> "Bracket":
        """The bracket of `entry` with its two exits at these prices (dollars); the exits stay until cancelled."""
        from dataclasses import replace

        leg = replace(
            entry,
            action=entry.action.opposite,
            order_type=OrderType.LIMIT,
            limit_price=take_profit,
            stop_price=None,
            tif=TimeInForce.GTC,
        )
        stop = replace(leg, order_type=OrderType.STOP, limit_price=None, stop_price=stop_loss)
        return Bracket(entry, leg, stop)


@fact
class OrderChange:
    """What a modification replaces; None leaves a field as it is. `quantity` is the new total, filled part included."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None

    def applied_to(self, order: Order) -> Order:
        """`order` with the change made; InvalidOrderError when the result would be malformed."""
        from dataclasses import replace

        given: Mapping[str, Decimal | None] = {
            "quantity": self.quantity,
            "limit_price": self.limit_price,
            "stop_price": self.stop_price,
        }
        changes = {name: value for name, value in given.items() if value is not None}
        if not changes:
            raise InvalidOrderError("nothing to modify: give a quantity, a price or a stop price")
        return replace(order, **changes)  # type: ignore[arg-type]  # the names above are Order's own fields


@fact
class Execution:
    """One fill as the exchange reports it. `cumulative` and `average_price` are of the whole order so far."""

    exec_id: str
    order_id: OrderId
    contract: Contract
    account: AccountId
    side: Action
    shares: Decimal
    price: Decimal
    time: int
    cumulative: Decimal
    average_price: Decimal
    order_ref: str = ""
    liquidation: bool = False


@fact
class CommissionReport:
    """What one execution cost, regulatory fees included, and what it realized net of all commission (dollars)."""

    exec_id: str
    commission: Decimal
    realized_pnl: Decimal | None
    currency: str = "USD"


@fact
class Fill:
    """An execution with its commission report, which may come later."""

    execution: Execution
    commission_report: CommissionReport | None = None


@fact
class Trade:
    """What became of an order at one instant.

    `code` and `reason` are the venue's last word on it; `commission` is charged so far, in dollars.
    """

    order_id: OrderId
    order: Order
    status: OrderStatus
    filled: Decimal
    remaining: Decimal
    average_fill_price: Decimal
    time: int
    perm_id: int = 0
    client_id: int = 0
    origin: Origin = Origin.OURS
    code: int | None = None
    reason: str = ""
    commission: Decimal = _NOTHING

    @property
    def is_done(self) -> bool:
        """Whether the order can no longer act."""
        return self.status.is_done
