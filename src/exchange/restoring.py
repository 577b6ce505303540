"""From a running exchange's records to `ExchangeState`, and back."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from src.domain.orders import AccountId, Fill, OrderId
from src.exchange.ledger import Account, Holding
from src.exchange.state import AccountState, ExchangeState, HoldingState, OrderState
from src.exchange.units import UNITS_PER_DOLLAR
from src.exchange.valuation import Mark
from src.exchange.working import OcaGroup, Working


def in_our_units(state: ExchangeState) -> ExchangeState:
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


def account_state(account: Account, mark: Mark) -> AccountState:
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


def restored_account(state: AccountState) -> Account:
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


def order_state(order: Working) -> OrderState:
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


def restored_orders(states: Iterable[OrderState]) -> dict[OrderId, Working]:
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


def by_account(fills: Iterable[Fill]) -> Mapping[AccountId, list[Fill]]:
    """Fills in their order, by account."""
    found: dict[AccountId, list[Fill]] = {}
    for fill in fills:
        found.setdefault(fill.execution.account, []).append(fill)
    return found
