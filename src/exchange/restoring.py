"""From a running exchange to `ExchangeState`, and back."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from src.domain.orders import AccountId, Fill, OrderId, OrderStatus
from src.exchange.book import Book
from src.exchange.floor import Floor
from src.exchange.ledger import Account, Holding
from src.exchange.state import AccountState, ExchangeState, HoldingState, OrderState
from src.exchange.units import UNITS_PER_DOLLAR
from src.exchange.valuation import Mark, day_of
from src.exchange.working import OcaGroup, Working


def saved(floor: Floor, now: int) -> ExchangeState:
    """Everything needed to go on later: accounts, the orders at work, and what ended on the day of `now`."""
    today = day_of(now)
    kept = [o for o in floor.orders.values() if o.family_works or day_of(o.time) >= today]
    fills = [f for each in floor.settlement.fills.values() for f in each]
    return ExchangeState(
        now,
        floor.next_order,
        floor.settlement.next_execution,
        tuple(_account_state(account, floor.mark) for account in floor.ledger.accounts.values()),
        tuple(map(_order_state, kept)),
        tuple(f for f in fills if day_of(f.execution.time) >= today),
        UNITS_PER_DOLLAR,
    )


def restore(floor: Floor, books: Mapping[int, Book], state: ExchangeState) -> None:
    """Fill a floor of which nothing has been used with what was saved, as of the moment it was saved at."""
    state = _in_our_units(state)
    floor.next_order, floor.settlement.next_execution = state.next_order, state.next_execution
    floor.settlement.fills.update(_by_account(state.fills))
    for account in state.accounts:
        floor.ledger.accounts[account.account_id] = _restored_account(account)
        for held in account.holdings:
            books[held.contract.con_id].remembered = held.mark
    floor.orders = _restored_orders(state.orders)
    stood = {order.order_id: order.on_book for order in state.orders}
    if state.now > 0:
        floor.reach(state.now)
    for order_id, order in floor.orders.items():
        if order.is_done:
            continue
        floor.at_work.add(order)
        if order.order.oca_group and order.group is not None:
            floor.groups[order.account, order.order.oca_group] = order.group
        if stood[order_id]:
            books[order.con_id].add(order)
        elif not order.held:
            floor.enter(order, floor.first_open(order, state.now))
        if order.status is OrderStatus.PENDING_CANCEL:
            floor.send_cancel(order, state.now)


def _in_our_units(state: ExchangeState) -> ExchangeState:
    """The state with its prices in today's units; an older version had larger ones."""
    times = UNITS_PER_DOLLAR // state.units_per_dollar
    if times == 1:
        return state
    accounts = tuple(
        replace(
            account,
            holdings=tuple(replace(h, mark=None if h.mark is None else h.mark * times) for h in account.holdings),
        )
        for account in state.accounts
    )
    orders = tuple(replace(order, value=order.value * times) for order in state.orders)
    return replace(state, accounts=accounts, orders=orders, units_per_dollar=UNITS_PER_DOLLAR)


def _account_state(account: Account, mark: Mark) -> AccountState:
    """An account's money and holdings as values."""
    holdings = tuple(
        HoldingState(h.contract, h.quantity, h.basis, h.realized, h.opened_on, mark(h.contract.con_id))
        for h in account.holdings.values()
    )
    return AccountState(
        account.account_id,
        account.cash,
        account.realized,
        account.commission,
        account.day_start,
        tuple(account.day_trades),
        holdings,
    )


def _restored_account(state: AccountState) -> Account:
    """The account that a state describes."""
    holdings = {
        h.contract.con_id: Holding(h.contract, h.quantity, h.basis, h.realized, h.opened_on) for h in state.holdings
    }
    return Account(
        state.account_id,
        state.cash,
        holdings,
        state.realized,
        state.commission,
        state.day_start,
        list(state.day_trades),
    )


def _order_state(order: Working) -> OrderState:
    """An order as values."""
    return OrderState(
        order.order_id,
        order.order,
        order.status,
        order.filled,
        order.value,
        order.commission,
        order.seq,
        order.time,
        order.triggered,
        order.held,
        order.on_book,
        order.code,
        order.reason,
        tuple(child.order_id for child in order.children),
        order.group.filled if order.group is not None else 0,
    )


def _restored_orders(states: Iterable[OrderState]) -> dict[OrderId, Working]:
    """The orders that states describe, with their brackets and OCA groups tied again. None stands on a book yet."""
    known = {state.order_id: state for state in states}
    orders: dict[OrderId, Working] = {}
    groups: dict[tuple[AccountId, str], OcaGroup] = {}
    for state in known.values():
        order = orders[state.order_id] = Working(state.order, state.order_id, state.time)
        order.status = state.status
        order.traded(state.filled, state.value)
        order.commission, order.seq, order.triggered = state.commission, state.seq, state.triggered
        order.held, order.code, order.reason = state.held, state.code, state.reason
        if state.order.oca_group:
            order.group = groups.setdefault((state.order.account, state.order.oca_group), OcaGroup())
            order.group.members.append(order)
    for state in known.values():
        exits = tuple(orders[order_id] for order_id in state.exits if order_id in orders)
        if exits:
            parent, group = orders[state.order_id], OcaGroup(list(exits), reduce=True)
            group.filled = known[exits[0].order_id].group_filled
            parent.children = exits
            for leg in exits:
                leg.parent, leg.group = parent, group
    return orders


def _by_account(fills: Iterable[Fill]) -> Mapping[AccountId, list[Fill]]:
    """Fills in their order, by account."""
    found: dict[AccountId, list[Fill]] = {}
    for fill in fills:
        found.setdefault(fill.execution.account, []).append(fill)
    return found
