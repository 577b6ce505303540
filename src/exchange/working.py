"""An order inside the exchange: the mutable record behind the frozen `Trade` snapshots."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from src.domain.market import Contract
from src.domain.orders import AccountId, Action, Order, OrderId, OrderStatus, OrderType, Origin, TimeInForce, Trade
from src.exchange.units import UNITS_PER_DOLLAR, exact_units

_ZERO: Final = Decimal(0)
#: The reference of orders that the exchange places by itself.
LIQUIDATION: Final = "LIQUIDATION"
#: Members bound once: to look one up in its enum takes eight times as long, and every order asks ten times.
_BUY: Final = Action.BUY
_PRE_SUBMITTED, _FILLED = OrderStatus.PRE_SUBMITTED, OrderStatus.FILLED
_IF_TOUCHED: Final = OrderType.IF_TOUCHED
_OURS: Final = Origin.OURS
_IMMEDIATE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})


@dataclass(slots=True)
class OcaGroup:
    """Orders of which one cancels the others. `reduce`: a partial fill only reduces them (a bracket's exits)."""

    members: "list[Working]" = field(default_factory=list)
    reduce: bool = False
    filled: int = 0


class Working:
    """One order's state. Prices are integer units, quantities whole shares, times epoch nanoseconds."""

    __slots__ = (
        "account",
        "action",
        "average_price",
        "children",
        "code",
        "commission",
        "con_id",
        "dearest",
        "filled",
        "group",
        "held",
        "is_buy",
        "limit",
        "on_book",
        "order",
        "order_id",
        "parent",
        "quantity",
        "reason",
        "seq",
        "sign",
        "status",
        "stop",
        "time",
        "touch",
        "triggered",
        "value",
    )

    def __init__(self, order: Order, order_id: OrderId, now: int) -> None:
        self.order = order
        self.order_id = order_id
        self.account: AccountId = order.account
        self.con_id = order.contract.con_id
        self.action: Action = order.action
        self.is_buy = order.action is _BUY
        self.sign = 1 if self.is_buy else -1
        self.quantity = int(order.quantity)
        self.filled = 0
        self.value = 0  # shares times price units, over all fills
        self.average_price = _ZERO  # dollars a share over all fills
        self.commission = _ZERO
        self.status = _PRE_SUBMITTED
        self.time = now
        self.code: int | None = None
        self.reason = ""
        self.seq = int(order_id)
        self.on_book = False  # it stands in a ladder or in the queue of market orders
        self.held = False  # a bracket's child whose parent has not traded
        self.triggered = not order.order_type.has_stop
        self.touch = order.order_type is _IF_TOUCHED  # its stop price is met from the side of a limit
        self.parent: Working | None = None
        self.children: tuple[Working, ...] = ()
        self.group: OcaGroup | None = None
        self.limit: int | None = None
        self.stop: int | None = None
        self.dearest = 0  # the dearest price that it may trade at by its own levels; 0 where they do not say
        self.take_prices()

    def take_prices(self) -> None:
        """Read limit and stop from the order as it is now."""
        order = self.order
        self.limit = exact_units(order.limit_price) if order.limit_price is not None else None
        self.stop = exact_units(order.stop_price) if order.stop_price is not None else None
        self.dearest = self.limit if self.is_buy and self.limit is not None else 0
        if self.stop is not None and self.stop > self.dearest:
            self.dearest = self.stop

    @property
    def remaining(self) -> int:
        """Shares not traded yet."""
        return self.quantity - self.filled

    @property
    def fillable(self) -> int:
        """Shares that may trade now: a bracket's exit closes no more than its parent has opened."""
        if self.parent is None or self.group is None:
            return self.quantity - self.filled
        return min(self.quantity - self.filled, self.parent.filled - self.group.filled)

    @property
    def is_done(self) -> bool:
        """Whether the order can no longer act."""
        return self.status.is_done

    @property
    def family_works(self) -> bool:
        """Whether this order, or one of its bracket, can still act: they must be remembered together."""
        exits = self.children or (self.parent.children if self.parent is not None else ())
        return not self.is_done or any(not leg.is_done for leg in exits)

    @property
    def is_immediate(self) -> bool:
        """Whether what does not trade at once is cancelled."""
        return self.order.tif in _IMMEDIATE

    @property
    def is_whole(self) -> bool:
        """Whether it trades all it has left in one trade or not at all."""
        return self.order.tif is TimeInForce.FOK

    @property
    def works_all_hours(self) -> bool:
        """Whether it works outside regular hours: limits with `outside_rth` do, and what the exchange liquidates."""
        order = self.order
        return order.outside_rth and (order.order_type.has_limit or order.order_ref == LIQUIDATION)

    @property
    def trades_at_market(self) -> bool:
        """Whether it takes any price: a market order, or a stop or touch that has been triggered."""
        return self.limit is None and self.triggered

    @property
    def takes_profit(self) -> bool:
        """Whether its level is one that the market comes to in its favour: a limit, or a touch that is waited for."""
        return (self.touch and not self.triggered) or (self.triggered and self.limit is not None)

    @property
    def is_protective_stop(self) -> bool:
        """Whether it is a stop that waits for its trigger."""
        return not self.triggered and self.order.order_type in (OrderType.STOP, OrderType.STOP_LIMIT)

    def snapshot(self) -> Trade:
        """The order's state as a frozen fact."""
        filled, status = self.filled, self.status
        return Trade(
            self.order_id,
            self.order,
            status,
            Decimal(filled),
            _ZERO if status is _FILLED else Decimal(self.quantity - filled),
            self.average_price,
            self.time,
            int(self.order_id),
            0,
            _OURS,
            self.code,
            self.reason,
            self.commission,
        )

    def traded(self, shares: int, value: int) -> None:
        """Count shares that traded for `value` (shares times price units)."""
        self.filled += shares
        self.value += value
        if self.filled:
            self.average_price = Decimal(self.value) / (self.filled * UNITS_PER_DOLLAR)


def closing(contract: Contract, quantity: int) -> Order:
    """The exchange's own order that closes a position of `quantity` shares (below zero: a short one)."""
    return Order(
        contract,
        Action.SELL if quantity > 0 else Action.BUY,
        Decimal(abs(quantity)),
        OrderType.MARKET,
        tif=TimeInForce.GTC,
        outside_rth=True,
        order_ref=LIQUIDATION,
    )
