"""A client's order as the exchange's, and back. What the exchange cannot do is refused, never half done."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Final

from src.domain.errors import InvalidOrderError
from src.domain.market import Contract
from src.domain.orders import PRICE_DECIMALS, AccountId, Action, Order, OrderChange, OrderType, TimeInForce
from src.domain.rejections import off_tick
from src.gateways.tws_codec import PlaceOrder, WireOrder
from src.gateways.tws_server.refusals import MISMATCH, UNSUPPORTED_TYPE, RefusedError, rejected

_FLOAT_NOISE: Final = 9
_NOTHING: Final = Decimal(0)
_QUANTITY, _LIMIT, _STOP, _TIF, _ACCOUNT, _CLEARING, _ADJUSTED, _WHAT_IF = map(  # where they stand in an order
    WireOrder._fields.index,
    ("total_quantity", "lmt_price", "aux_price", "tif", "account", "clearing_intent", "adjusted_order_type", "what_if"),
)
_TYPES: Final = {
    "MKT": OrderType.MARKET,
    "LMT": OrderType.LIMIT,
    "STP": OrderType.STOP,
    "STP LMT": OrderType.STOP_LIMIT,
    "STPLMT": OrderType.STOP_LIMIT,
    "MIT": OrderType.IF_TOUCHED,
}
_ACTIONS: Final = {"BUY": Action.BUY, "SELL": Action.SELL, "SSHORT": Action.SELL}
_TIFS: Final = {"": TimeInForce.DAY, **{each.value: each for each in TimeInForce}}
#: What would change how an order trades, and is not simulated.
_NOT_SIMULATED: Final[tuple[tuple[str, Callable[[WireOrder], object]], ...]] = (
    ("algorithms", lambda order: order.algo_strategy),
    ("conditions", lambda order: order.conditions),
    ("hedges", lambda order: order.hedge_type),
    ("all or none", lambda order: order.all_or_none),
    ("discretionary amounts", lambda order: order.discretionary_amt),
    ("a minimum quantity", lambda order: order.min_qty),
    ("good after time", lambda order: order.good_after_time),
    ("scale orders", lambda order: order.scale_price_increment),
    ("adjusted orders", lambda order: order.adjusted_order_type not in ("", "None") and order.adjusted_order_type),
    ("cash quantities", lambda order: order.cash_qty and not order.total_quantity),
)
#: The fields of all these: most orders have none of them, which one look tells.
_UNUSUAL: Final = attrgetter(
    "algo_strategy", "conditions", "hedge_type", "all_or_none", "discretionary_amt", "min_qty", "good_after_time",
    "scale_price_increment", "adjusted_order_type", "cash_qty",
)  # fmt: skip


def to_order(message: PlaceOrder, contract: Contract, account: AccountId) -> Order:
    """The order that a client asks for; RefusedError."""
    asked = message.order
    kind, action, tif = _TYPES.get(asked.order_type), _ACTIONS.get(asked.action), _TIFS.get(asked.tif)
    if kind is None:
        text = f"Unsupported order type for this exchange and security type: {asked.order_type!r}"
        raise RefusedError(UNSUPPORTED_TYPE, text)
    if action is None:
        raise rejected(f"Invalid side: {asked.action!r}")
    if tif is None:
        raise rejected(f"The time in force {asked.tif!r} is not simulated: DAY, GTC, IOC or FOK")
    if any(_UNUSUAL(asked)):
        for name, is_asked in _NOT_SIMULATED:
            if is_asked(asked):
                raise rejected(f"The gateway does not simulate {name}")
    try:
        return Order(
            contract,
            action,
            asked.total_quantity or Decimal(0),
            kind,
            limit_price=_price(asked.lmt_price) if kind.has_limit else None,
            stop_price=_price(asked.aux_price) if kind.has_stop else None,
            tif=tif,
            outside_rth=asked.outside_rth,
            account=account,
            order_ref=asked.order_ref,
            oca_group="" if asked.parent_id else asked.oca_group,  # a bracket's exits are a group already
        )
    except InvalidOrderError as error:
        raise rejected(str(error)) from None


@lru_cache(maxsize=4096)
def _price(asked: Decimal | None) -> Decimal | None:
    """A price without the noise of a binary float; RefusedError 110 where it is finer than any price."""
    if asked is None or not asked.is_finite():
        return asked
    price = round(asked, _FLOAT_NOISE)
    if price != round(price, PRICE_DECIMALS):
        refused = off_tick()
        raise RefusedError(refused.code, refused.text)
    return round(price, PRICE_DECIMALS)


def check_same(order: Order, wanted: Order) -> None:
    """RefusedError 105 where `wanted` is no change of `order` but another order."""
    _check(order, wanted, ("contract", "action", "order_type", "account"))


def to_change(order: Order, wanted: Order) -> OrderChange | None:
    """What turns `order`, which works, into `wanted`; None when it already is. RefusedError 105 for what stays."""
    check_same(order, wanted)
    _check(order, wanted, ("tif", "outside_rth", "oca_group"), " A working order's quantity and prices can be changed.")
    change = OrderChange(
        quantity=_changed(order.quantity, wanted.quantity),
        limit_price=_changed(order.limit_price, wanted.limit_price),
        stop_price=_changed(order.stop_price, wanted.stop_price),
    )
    return None if change == OrderChange() else change


def _check(order: Order, wanted: Order, names: Sequence[str], more: str = "") -> None:
    if any(getattr(order, name) != getattr(wanted, name) for name in names):
        raise RefusedError(MISMATCH, f"Order being modified does not match original order.{more}")


def _changed(old: Decimal | None, new: Decimal | None) -> Decimal | None:
    return new if new != old else None


def echo(asked: WireOrder, order: Order) -> WireOrder:
    """A client's order as the gateway has it now: what was asked, with what the exchange made of it."""
    told = list(asked)
    told[_QUANTITY] = order.quantity
    told[_LIMIT] = order.limit_price or _NOTHING
    told[_STOP] = order.stop_price or _NOTHING
    told[_TIF] = asked.tif or order.tif.value
    told[_ACCOUNT] = order.account
    told[_CLEARING] = asked.clearing_intent or "IB"
    told[_ADJUSTED] = "None"
    told[_WHAT_IF] = False
    return tuple.__new__(WireOrder, told)


def foreign(order: Order) -> WireOrder:
    """An order that no client of the gateway has placed: the exchange's own, or another program's."""
    asked = WireOrder(
        action=order.action.value,
        order_type=order.order_type.value,
        oca_group=order.oca_group,
        order_ref=order.order_ref,
        outside_rth=order.outside_rth,
    )
    return echo(asked, order)
