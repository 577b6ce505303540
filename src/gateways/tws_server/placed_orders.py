"""Every order of every client, found by its client's id, by the exchange's, or by what has happened to it."""

from collections.abc import Iterator
from typing import Final

from src.domain.events import Event, Filled, OrderChanged
from src.domain.orders import OrderId, Trade
from src.gateways.tws_server.order_news import Placed
from src.gateways.tws_server.placing import foreign

#: IB's permanent ids have ten digits and fit into 31 bits.
_LOWEST_PERM_ID: Final = 1_000_000_000


class PlacedOrders:
    """The orders, and the numbers that new ones get. The permanent ids begin at `first_number`."""

    def __init__(self, first_number: int) -> None:
        self._orders: dict[tuple[int, int], Placed] = {}
        self._by_exchange_id: dict[OrderId, Placed] = {}
        self._next_id: dict[int, int] = {}
        self._next_perm_id = _LOWEST_PERM_ID + first_number % _LOWEST_PERM_ID
        self._binds = False  # client 0 wants the orders made by hand for its own

    # --- numbers ---------------------------------------------------------------------------------------------------

    def next_id(self, client_id: int) -> int:
        """The first order id that a client may use."""
        return self._next_id.get(client_id, 1)

    def keep(self, placed: Placed) -> None:
        """Take a client's new order, and give it its permanent id."""
        placed.perm_id = self._new_perm_id()
        self._orders[placed.client_id, placed.order_id] = placed
        self._next_id[placed.client_id] = max(self.next_id(placed.client_id), placed.order_id + 1)

    def at_exchange(self, placed: Placed, exchange_id: OrderId) -> None:
        """The exchange has an order under this id."""
        placed.exchange_id = exchange_id
        self._by_exchange_id[exchange_id] = placed

    def _new_perm_id(self) -> int:
        self._next_perm_id += 1
        return self._next_perm_id - 1

    # --- by hand ---------------------------------------------------------------------------------------------------

    def bind(self, *, wanted: bool) -> None:
        """Whether orders made by hand get ids of client 0, by which it can change and cancel them."""
        self._binds = wanted
        for placed in tuple(self._by_exchange_id.values()) if wanted else ():
            if placed.is_by_hand and not placed.order_id and not placed.is_done:
                self._bind(placed)

    def _bind(self, placed: Placed) -> None:
        """TWS's ids of bound orders are negative."""
        placed.order_id = -1 - sum(order_id < 0 for _, order_id in self._orders)
        self._orders[0, placed.order_id] = placed

    # --- finding ---------------------------------------------------------------------------------------------------

    def knows(self, client_id: int, order_id: int) -> bool:
        """Whether a client has an order of this id already."""
        return (client_id, order_id) in self._orders

    def of_client(self, client_id: int, order_id: int) -> Placed | None:
        """A client's order."""
        return self._orders.get((client_id, order_id))

    def numbered(self, order_id: int) -> list[Placed]:
        """The orders of this id, of all clients."""
        return [placed for (_, own_id), placed in self._orders.items() if own_id == order_id]

    def of_exchange(self, order_id: OrderId) -> Placed | None:
        """The order that the exchange has under an id."""
        return self._by_exchange_id.get(order_id)

    def of_trade(self, trade: Trade) -> Placed:
        """The order of a trade; one that no client has placed belongs to client 0, and bears no order id."""
        placed = self._by_exchange_id.get(trade.order_id)
        if placed is None:
            placed = Placed(0, 0, self._new_perm_id(), foreign(trade.order), trade.order)
            self.at_exchange(placed, trade.order_id)
            if self._binds:
                self._bind(placed)
        return placed

    def of_event(self, event: Event) -> Placed | None:
        """The order that an event is about; None for other events."""
        if isinstance(event, OrderChanged):
            return self._by_exchange_id.get(event.trade.order_id)
        return self._by_exchange_id.get(event.fill.execution.order_id) if isinstance(event, Filled) else None

    def all(self) -> list[Placed]:
        """Every order, in the order in which they came."""
        found = {placed.perm_id: placed for placed in (*self._orders.values(), *self._by_exchange_id.values())}
        return [found[perm_id] for perm_id in sorted(found)]

    def at_work(self) -> Iterator[Placed]:
        """Those that are not done; those at the exchange first."""
        for placed in (*self._by_exchange_id.values(), *self._orders.values()):
            if not placed.is_done:
                yield placed
