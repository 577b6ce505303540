# mypy: disable-error-code=comparison-overlap
# A Decimal equals an int, and an empty tuple every other.
"""TwsBroker over a socket to the paper gateway: several clients, coming back, and a gateway that goes.

What one client does is in tests/conformance/.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from threading import Thread
from time import monotonic
from typing import Any

import pytest

from src.brokers.tws.broker import TwsBroker
from src.domain.errors import (
    BrokerError,
    ClientIdInUseError,
    ConnectionFailedError,
    OrderRejectedError,
    UnknownOrderError,
)
from src.domain.events import Filled, OrderChanged, QuoteChanged
from src.domain.market import BarSize, Contract, Mode, Source
from src.domain.orders import AccountId, Action, Bracket, Order, OrderChange, OrderStatus, OrderType, Origin
from src.gateways.tws_server import GatewayOptions, PaperGateway
from src.runtime.market import Market, MarketRules, seeded_market
from src.settings import Settings
from tests.brokers.tws.scripted import PATIENCE, wait_until

NVDA = Contract("NVDA")
BELOW = Order(NVDA, Action.BUY, Decimal(10), OrderType.LIMIT, Decimal("1.50"))
SETTINGS = Settings(connect_timeout=PATIENCE, order_timeout=PATIENCE)


def market() -> Market:
    rules = MarketRules(preset="ideal", hours="always", seed=3)
    return seeded_market(rules, ["NVDA", "MSFT"], {AccountId("DUSIM01"): Decimal(1_000_000)})


@pytest.fixture
def gateway() -> Iterator[PaperGateway]:
    """A gateway that answers at once."""
    with PaperGateway(market()) as found:
        yield found


def connected(gateway: PaperGateway, client_id: int = 1, settings: Settings = SETTINGS) -> TwsBroker:
    """A broker of that client id."""
    broker = TwsBroker(settings, "127.0.0.1", gateway.port, client_id=client_id)
    broker.connect()
    return broker


@pytest.fixture
def broker(gateway: PaperGateway) -> Iterator[TwsBroker]:
    """Client 1."""
    found = connected(gateway)
    yield found
    found.disconnect()


@pytest.mark.parametrize("version", [157, 163, 173, 176, 178])
def test_it_trades_at_every_server_version(version: int) -> None:
    options = GatewayOptions(port=0, latency=0.0, max_server_version=version, two_step_what_if=True)
    with PaperGateway(market(), options) as gateway:
        broker = connected(gateway)
        assert broker.health().server_version in (version, 176)
        assert broker.mode is Mode.SIMULATED
        quote = broker.quote(NVDA)
        assert quote.source is Source.SIMULATED
        assert broker.preview_order(BELOW).init_margin_after > 0
        trade = broker.place_order(Order(NVDA, Action.BUY, Decimal(5)))
        wait_until(lambda: broker.trade(trade.order_id).is_done)
        [fill] = broker.fills()
        assert fill.commission_report is not None
        assert (fill.execution.shares, fill.commission_report.commission) == (5, 1)
        assert broker.positions()[0].quantity == 5
        assert len(broker.bars(NVDA, BarSize.MIN_1, 3)) == 3
        broker.disconnect()


def test_a_second_client_sees_the_firsts_order_and_does_not_touch_it(gateway: PaperGateway, broker: TwsBroker) -> None:
    mine = broker.place_order(BELOW)
    other = connected(gateway, 2)
    [seen] = other.open_trades()
    assert (seen.origin, seen.client_id, seen.perm_id) == (Origin.OTHER, 1, mine.perm_id)
    with pytest.raises(UnknownOrderError):
        other.cancel_order(mine.order_id)
    theirs = other.place_order(replace(BELOW, quantity=Decimal(3)))
    assert theirs.origin is Origin.OURS
    assert [trade.order_id for trade in broker.open_trades()] == [mine.order_id]
    other.disconnect()
    assert broker.trade(mine.order_id).status is OrderStatus.SUBMITTED
    broker.cancel_order(mine.order_id)
    other.connect()
    assert [trade.order_id for trade in other.open_trades()] == [theirs.order_id]
    other.disconnect()


def test_one_account_has_one_position_for_both_clients(gateway: PaperGateway, broker: TwsBroker) -> None:
    other = connected(gateway, 2)
    for each in (broker, other):
        trade = each.place_order(Order(NVDA, Action.BUY, Decimal(5)))
        wait_until(lambda each=each, trade=trade: each.trade(trade.order_id).is_done)  # type: ignore[misc]
    for each in (broker, other):
        wait_until(lambda each=each: [p.quantity for p in each.positions()] == [10])  # type: ignore[misc]
    other.disconnect()


def test_a_client_id_is_taken_once(gateway: PaperGateway, broker: TwsBroker) -> None:
    since = monotonic()
    with pytest.raises(ClientIdInUseError):
        connected(gateway)
    assert monotonic() - since < PATIENCE / 2
    assert broker.is_connected


def test_who_comes_back_finds_orders_fills_and_positions(gateway: PaperGateway, broker: TwsBroker) -> None:
    """With the same broker, and with a new one in another process."""
    rests = broker.place_order(BELOW)
    done = broker.place_order(Order(NVDA, Action.BUY, Decimal(5)))
    wait_until(lambda: broker.trade(done.order_id).is_done)
    fills = broker.fills()
    broker.disconnect()
    for again in (broker, TwsBroker(SETTINGS, "127.0.0.1", gateway.port)):
        again.connect()
        [working] = again.open_trades()
        assert (working.order_id, working.perm_id, working.origin) == (rests.order_id, rests.perm_id, Origin.OURS)
        assert working.order.order_ref == rests.order.order_ref
        assert [fill.execution.exec_id for fill in again.fills()] == [fill.execution.exec_id for fill in fills]
        assert [position.quantity for position in again.positions()] == [5]
        assert OrderStatus.FILLED in {trade.status for trade in again.completed_trades()}
        again.disconnect()
    last = connected(gateway)
    assert last.cancel_order(rests.order_id).status is OrderStatus.CANCELLED
    assert last.place_order(BELOW).order_id > done.order_id
    last.disconnect()


KINDS: list[tuple[OrderType, dict[str, Any]]] = [
    (OrderType.LIMIT, {"limit_price": Decimal("1.50")}),
    (OrderType.STOP, {"stop_price": Decimal(9000)}),
    (OrderType.STOP_LIMIT, {"limit_price": Decimal(9001), "stop_price": Decimal(9000)}),
]


@pytest.mark.parametrize(("kind", "prices"), KINDS)
def test_an_order_of_each_type_is_placed_changed_and_cancelled(
    broker: TwsBroker, kind: OrderType, prices: dict[str, Any]
) -> None:
    trade = broker.place_order(Order(NVDA, Action.BUY, Decimal(10), kind, **prices))
    assert not trade.is_done
    changed = broker.modify_order(trade.order_id, OrderChange(quantity=Decimal(4)))
    assert (changed.order.quantity, changed.order.order_type, changed.perm_id) == (4, kind, trade.perm_id)
    assert broker.cancel_order(trade.order_id).status is OrderStatus.CANCELLED


def test_a_bracket_is_placed_and_goes_with_its_parent(broker: TwsBroker) -> None:
    parent, target, stop = broker.place_bracket(Bracket.around(BELOW, Decimal(2), Decimal(1)))
    assert [each.order.parent_id for each in (parent, target, stop)] == [None, parent.order_id, parent.order_id]
    broker.cancel_order(parent.order_id)
    wait_until(lambda: broker.open_trades() == ())
    assert {trade.status for trade in broker.completed_trades()} == {OrderStatus.CANCELLED}


def test_a_rejection_has_the_gateways_words(broker: TwsBroker) -> None:
    with pytest.raises(OrderRejectedError, match="margin"):
        broker.place_order(Order(NVDA, Action.BUY, Decimal(900_000)))


def test_events_come_as_they_happen(broker: TwsBroker) -> None:
    with broker.events(NVDA) as stream:
        trade = broker.place_order(Order(NVDA, Action.BUY, Decimal(5)))
        kinds = set[type]()
        while not {QuoteChanged, OrderChanged, Filled} <= kinds:
            event = stream.next(PATIENCE)
            assert event is not None
            kinds.add(type(event))
    assert broker.trade(trade.order_id).status is OrderStatus.FILLED


def test_a_gateway_that_stops_leaves_nobody_waiting(gateway: PaperGateway, broker: TwsBroker) -> None:
    """Calls under way end with a typed error; what comes after is told at once, and it can be tried again."""
    stream = broker.events(NVDA)
    outcomes: list[object] = []

    def ask() -> None:
        try:
            while True:
                broker.cancel_order(broker.place_order(BELOW).order_id)
        except BrokerError as error:
            outcomes.append(error)

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(broker.completed_trades()) > 20)
    gateway.stop()
    for thread in threads:
        thread.join(PATIENCE / 2)
    assert len(outcomes) == 4
    wait_until(lambda: not broker.is_connected)
    while (event := stream.next(timeout=0.2)) is not None:
        assert event
    with pytest.raises(ConnectionFailedError):
        broker.connect()


def test_a_look_at_the_lists_makes_no_trades_of_theirs_anew(gateway: PaperGateway, broker: TwsBroker) -> None:
    """The library would make one of each order of the day, twenty objects each, at every look; who asks it gets them.

    An order that it does not know, as one of before this connection, is made and kept by it.
    """
    for _ in range(3):
        broker.cancel_order(broker.place_order(BELOW).order_id)
    made: list[object] = []

    def watched(ib: Any) -> None:  # noqa: ANN401
        wrapper = next(each for each in type(ib.wrapper).__mro__ if each.__name__ == "Wrapper")
        module: Any = sys.modules[wrapper.__module__]
        plain = module.Trade

        def trade(*parts: object) -> object:
            made.append(found := plain(*parts))
            return found

        module.Trade = trade
        restore.append(lambda: setattr(module, "Trade", plain))

    restore: list[Callable[[], None]] = []
    broker.tws(watched)
    try:
        broker.synchronise()
        assert made == []
        assert len(broker.tws(lambda ib: ib.reqCompletedOrdersAsync(False))) == len(made) == 3
        other = connected(gateway, client_id=2)
        other.synchronise()
        assert len(made) == 6
        assert len(other.tws(lambda ib: ib.trades())) == 3
        other.disconnect()
    finally:
        restore[0]()
