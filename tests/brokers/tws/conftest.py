"""What the tests of the TWS backend share."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from src.brokers.tws.broker import TwsBroker
from src.domain.market import Contract
from src.domain.orders import Action, Order, OrderType, Trade
from src.gateways.tws_codec import PlaceOrder
from tests.brokers.tws.scripted import ScriptedTws, accept


@pytest.fixture
def tws() -> Iterator[ScriptedTws]:
    """A TWS with an empty account."""
    with ScriptedTws() as found:
        yield found


@pytest.fixture
def broker(tws: ScriptedTws) -> Iterator[TwsBroker]:
    """A broker connected to it."""
    made = tws.broker()
    made.connect()
    yield made
    made.disconnect()


@pytest.fixture
def placed(tws: ScriptedTws, broker: TwsBroker) -> Trade:
    """A limit order that works."""
    tws.on(PlaceOrder, accept)
    return broker.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(10), OrderType.LIMIT, Decimal("120.5")))
