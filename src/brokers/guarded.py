"""GuardedBroker: the only wrapper around a broker. What it refuses was never sent, and a session counts it as rejected.

So far it knows one limit, IBKR_READ_ONLY: no order leaves and none is changed. Cancelling takes risk away, and passes.
"""

from typing import Any, Final, NoReturn, cast

from src.brokers.broker import Broker
from src.domain.errors import OrderRefusedError
from src.domain.orders import Bracket, Order, OrderChange, OrderId

_READ_ONLY: Final = "IBKR_READ_ONLY=true refuses every order; nothing was sent"


def guarded(broker: Broker, *, read_only: bool) -> Broker:
    """The broker under the limits that are set; itself when there are none."""
    return cast("Broker", GuardedBroker(broker)) if read_only else broker


class GuardedBroker:
    """A broker that may be looked at, and not traded through."""

    def __init__(self, inner: Broker) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever it does not refuse is the broker's own
        return getattr(self._inner, name)

    def place_order(self, order: Order) -> NoReturn:
        """Refuse it; OrderRefusedError."""
        raise OrderRefusedError(
            f"{_READ_ONLY}: {order.action} {order.quantity} {order.contract.symbol}", reason=_READ_ONLY
        )

    def place_bracket(self, bracket: Bracket) -> NoReturn:
        """Refuse it; OrderRefusedError."""
        self.place_order(bracket.parent)

    def modify_order(self, order_id: OrderId, change: OrderChange) -> NoReturn:
        """Refuse it; OrderRefusedError."""
        raise OrderRefusedError(f"{_READ_ONLY}: {change} of order {order_id}", reason=_READ_ONLY)
