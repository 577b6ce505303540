"""The orders that are accepted and not done: all of them in the order they came, and those of an account by contract.

An order is checked against its own account's only, however many others rest.
"""

from collections.abc import Collection, Iterator, Mapping

from src.domain.orders import AccountId, OrderId
from src.exchange.working import Working

ByContract = Mapping[int, Mapping[OrderId, Working]]
_NOTHING: ByContract = {}


class AtWork:
    """Orders at work. Iterating gives them oldest first."""

    def __init__(self) -> None:
        self._all: dict[OrderId, Working] = {}
        self._of_account: dict[AccountId, dict[int, dict[OrderId, Working]]] = {}

    def __iter__(self) -> Iterator[Working]:
        return iter(self._all.values())

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, order: Working) -> None:
        """An order was accepted."""
        self._all[order.order_id] = order
        of_account = self._of_account.setdefault(order.account, {})
        of_account.setdefault(order.con_id, {})[order.order_id] = order

    def remove(self, order: Working) -> None:
        """An order is done; nothing where it was never accepted."""
        if self._all.pop(order.order_id, None) is not None:
            of_account = self._of_account[order.account]
            of_contract = of_account[order.con_id]
            del of_contract[order.order_id]
            if not of_contract:
                del of_account[order.con_id]

    def by_contract(self, account: AccountId) -> ByContract:
        """An account's orders by con_id and id, oldest first; no contract without any."""
        return self._of_account.get(account, _NOTHING)

    def of(self, account: AccountId, con_id: int) -> Collection[Working]:
        """An account's orders of one contract, oldest first."""
        orders = self.by_contract(account).get(con_id)
        return () if orders is None else orders.values()
