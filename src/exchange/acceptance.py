"""What the exchange refuses before it accepts, with IB's codes and texts. Pure.

Margin: an order is taken only when the account could carry it together with everything else that works: the worse of
all working buys and all working sells trading, at the larger of the mark and their own limits. Members of one OCA
group count once. Orders that only reduce a position always pass.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from src.domain.rejections import Rejection, insufficient_funds, not_shortable, off_tick, price_too_far, too_large
from src.exchange.at_work import ByContract
from src.exchange.ledger import Account
from src.exchange.margin import MINIMUM_EQUITY, WHOLE, Rates, rates_of
from src.exchange.terms import Terms
from src.exchange.units import dollars
from src.exchange.valuation import Mark, equity_of, mark_of
from src.exchange.working import Working

#: Orders that may work at once for one contract, side and account: IB's limit.
MOST_ACTIVE: Final = 20
#: A limit or stop this far through the market is taken for a slip of the finger.
MAX_THROUGH_PERCENT: Final = 50


def rejection(order: Working, terms: Terms, price: int | None, *, covered: bool) -> Rejection | None:
    """Why the order alone cannot be taken; None when it can. `price` is the mark, `covered` that it may be sold."""
    tick = terms.tick_at(order.limit or order.stop)
    if (order.limit or 0) % tick or (order.stop or 0) % tick:
        return off_tick()
    if order.quantity > terms.max_size:
        return too_large(terms.max_size)
    if price is not None and order.limit is not None and order.triggered:
        through = (order.limit - price) * order.sign
        if through * 100 > price * MAX_THROUGH_PERCENT:
            return price_too_far(MAX_THROUGH_PERCENT)
    if not covered:
        return not_shortable(order.order.contract.symbol)
    return None


def shares_at_work(orders: Iterable[Working]) -> tuple[int, int]:
    """The most shares that these working orders of one contract could still buy and sell."""
    buys = sells = 0
    groups: dict[tuple[int, bool], int] = {}
    for order in orders:
        if order.status.is_done:
            continue
        left = order.quantity - order.filled
        if order.group is not None:
            key = (id(order.group), order.is_buy)
            left, groups[key] = max(left - groups.get(key, 0), 0), max(left, groups.get(key, 0))
        if order.is_buy:
            buys += left
        else:
            sells += left
    return buys, sells


def only_reduces(account: Account, order: Working, at_work: Sequence[Working]) -> bool:
    """Whether the order, with those of its contract and side that work already, only takes from a position."""
    holding = account.holdings.get(order.con_id)
    if holding is None or holding.quantity * order.sign >= 0:
        return False
    same_way = [w.remaining for w in at_work if w.sign == order.sign and w.group is None]
    return order.quantity + sum(same_way) <= abs(holding.quantity)


def margin_rejection(
    account: Account, order: Working, at_work: dict[int, list[Working]], mark: Mark, commission: Decimal
) -> Rejection | None:
    """Why the account cannot carry the order with all that works already (`at_work`, by con_id); None when it can."""
    con_id, own_market = order.con_id, mark(order.con_id)
    price = _price(order, own_market)
    if price is None:
        return None
    total = in_full = 0
    for other_id in at_work.keys() | account.holdings.keys() | {con_id}:
        orders = at_work.get(other_id, [])
        owned = account.holdings[other_id].quantity if other_id in account.holdings else 0
        if other_id == con_id:
            orders, market = [*orders, order], own_market
        elif not (owned or orders):
            continue
        else:
            market = mark_of(account.holdings[other_id], mark) if owned else mark(other_id)
        buys, sells = shares_at_work(orders)
        at = _dearest(orders, market)
        total += _rates(account, other_id, orders).worst_requirement(owned, buys, sells, at)
        in_full += max(abs(owned + buys), abs(owned - sells)) * at
    needed = dollars(total) / WHOLE
    equity = equity_of(account, mark) - commission
    if equity < MINIMUM_EQUITY:  # nothing can be borrowed: everything must be paid in full
        needed = max(needed, dollars(in_full))
    if needed <= equity:
        return None
    return insufficient_funds(f"{needed:.2f}", f"{equity:.2f}")


def pays_in_full(
    account: Account, order: Working, at_work: ByContract, own_market: int | None, mark: Mark, commission: Decimal
) -> bool:
    """Whether cash alone covers a purchase and all that works, which are purchases with a limit, and nothing is short.

    Then nothing is borrowed, whatever trades: no margin need be looked at. `own_market` is the mark of the order's own.
    """
    for holding in account.holdings.values():
        if holding.quantity < 0:
            return False
    con_id = order.con_id
    price, shares, amount = _price(order, own_market), order.quantity, 0
    if price is None:
        return False
    for other_id, others in at_work.items():
        at, buys = (price, shares) if other_id == con_id else (mark(other_id) or 0, 0)
        for other in others.values():
            if other.limit is None or not other.is_buy:
                return False
            buys += other.quantity
            if other.dearest > at:
                at = other.dearest
        if other_id == con_id:
            price, shares = at, buys
        else:
            amount += buys * at
    return dollars(amount + shares * price) + commission <= account.cash


def _price(order: Working, market: int | None) -> int | None:
    """The dearest price (units) at which the order could trade, as far as it and the market say."""
    dearest = order.dearest
    if market and market > dearest:
        return market
    return dearest or order.limit


def _dearest(orders: Sequence[Working], market: int | None) -> int:
    """The dearest price (units) at which one of these orders of a contract could trade."""
    if market:
        return max([market, *[each.dearest for each in orders]])
    return max([_price(each, market) or 0 for each in orders], default=0)


def initial_margin(account: Account, order: Working, mark: Mark) -> Decimal:
    """The account's initial margin (dollars) if the whole order traded at the mark."""
    total = 0
    for con_id in account.holdings.keys() | {order.con_id}:
        owned = account.holdings[con_id].quantity if con_id in account.holdings else 0
        shares = owned + (order.sign * order.quantity if con_id == order.con_id else 0)
        price = mark(con_id) or (_price(order, None) if con_id == order.con_id else None) or 0
        total += _rates(account, con_id, (order,)).requirement(shares, price)
    return dollars(total) / WHOLE


def _rates(account: Account, con_id: int, orders: Sequence[Working]) -> Rates:
    """The margin rates of a contract that the account holds, or that these orders are of."""
    holding = account.holdings.get(con_id)
    return holding.rates if holding is not None else rates_of(orders[0].order.contract)
