"""What an account holds, has working and has on its way, at the instant in which an order is looked at. Pure.

Working orders count as if all of them filled: of orders that cancel each other the largest, of exits whose entry has
not filled only as much as it has.
"""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from src.domain.account import Position
from src.domain.market import Contract, Quote, Shortability
from src.domain.orders import Action, Order, OrderId, Trade

_ZERO: Final = Decimal(0)


def same_contract(one: Contract, other: Contract) -> bool:
    """Whether two name the same thing: by con_id where both have one, since the exchange in it may differ."""
    return one.con_id == other.con_id if one.con_id and other.con_id else one == other


@dataclass(frozen=True, slots=True)
class Commitment:
    """An order of the account that may still fill: one that works, or one that is on its way."""

    order: Order
    remaining: Decimal
    ours: bool = True
    order_id: OrderId | None = None  # None: on its way
    filled: Decimal = _ZERO
    price: Decimal | None = None  # the market's, when it was sent: for what names none

    @staticmethod
    def of(trade: Trade, *, ours: bool) -> "Commitment":
        """A working trade."""
        return Commitment(trade.order, trade.remaining, ours, trade.order_id, trade.filled)


@dataclass(frozen=True, slots=True)
class Exposure:
    """What an order is held against, at `now` (the session's clock, epoch ns).

    `sessions` are the contract's regular hours, None where it has none: it trades always. `available_funds` are the
    account's last, less what has been bought since. `halt` is why no new risk is taken at present, `suspect` why the
    contract's prices are not trusted; "" when nothing is in the way.
    """

    now: int = 0
    positions: tuple[Position, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    quote: Quote | None = None
    tick: Decimal | None = None
    sessions: tuple[tuple[int, int], ...] | None = None
    net_liquidation: Decimal | None = None
    available_funds: Decimal | None = None
    sent: tuple[tuple[int, Order], ...] = ()  # of the last minute, with their times
    round_trips: int = 0
    halt: str = ""
    suspect: str = ""
    day_trades_remaining: int = -1  # as TWS counts them; -1: without limit, or not told
    shortability: Shortability | None = None  # None: not told, or not asked for

    def held(self, contract: Contract) -> Decimal:
        """Shares of a contract, negative when short."""
        return sum((each.quantity for each in self.positions if same_contract(each.contract, contract)), _ZERO)

    def committed(self, contract: Contract, action: Action) -> Decimal:
        """Shares that working orders may still buy, or sell."""
        parents = {each.order_id: each.filled for each in self.commitments if each.order_id is not None}
        groups: dict[object, Decimal] = {}
        for number, each in enumerate(self.commitments):
            order = each.order
            if order.action is action and same_contract(order.contract, contract):
                shares = each.remaining
                if order.parent_id in parents:
                    shares = min(shares, parents[order.parent_id])
                group = order.oca_group or (order.parent_id and f"exits of {order.parent_id}") or number
                groups[group] = max(groups.get(group, _ZERO), shares)
        return sum(groups.values(), _ZERO)

    def would_hold(self, order: Order) -> Decimal:
        """Shares held if this order and all that work on its side were filled."""
        return self.held(order.contract) + order.action.sign * (
            self.committed(order.contract, order.action) + order.quantity
        )

    def reduces(self, order: Order) -> bool:
        """Whether an order can do nothing but bring a position nearer to zero."""
        held = self.held(order.contract)
        return held * order.action.sign < 0 and held * self.would_hold(order) >= 0

    def without(self, order_id: OrderId) -> "Exposure":
        """The same without one working order."""
        return replace(self, commitments=tuple(each for each in self.commitments if each.order_id != order_id))
