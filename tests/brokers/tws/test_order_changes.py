# mypy: disable-error-code=comparison-overlap
# A Decimal equals an int, and an empty tuple every other.
"""Changes, cancels, executions and previews against a TWS on a bad day."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Thread
from time import monotonic

import pytest

from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.timing import Timing
from src.domain.errors import (
    InvalidOrderError,
    OrderOutcomeUnknownError,
    OrderRejectedError,
    UnknownOrderError,
)
from src.domain.events import ConnectionChanged, Event, Filled, Notice
from src.domain.market import BarSize, Contract
from src.domain.orders import Action, Order, OrderChange, OrderId, OrderStatus, OrderType, Trade
from src.gateways.tws_codec import (
    CancelOrder,
    CommissionReportMessage,
    ExecutionDataEnd,
    HistoricalData,
    OpenOrder,
    OrderState,
    PlaceOrder,
    PositionData,
    PositionEnd,
    ReqExecutions,
    ReqHistoricalData,
    ReqPositions,
)
from tests.brokers.tws.scripted import ACCOUNT, NVDA, PATIENCE, Client, ScriptedTws, accept, hurry, wait_until

STOCK = Contract("NVDA")
LIMIT = Order(STOCK, Action.BUY, Decimal(10), OrderType.LIMIT, Decimal("120.5"))


# --- changes and cancels --------------------------------------------------------------------------------------------


def test_a_change_is_made_when_tws_shows_it(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    changed = broker.modify_order(placed.order_id, OrderChange(Decimal(7), Decimal("119.5")))
    assert (changed.order.quantity, changed.order.limit_price, changed.remaining) == (7, Decimal("119.5"), 7)
    first, second = tws.asked(PlaceOrder)
    assert first.order_id == second.order_id
    assert second.order.order_ref == first.order.order_ref
    assert second.order.transmit


@pytest.mark.parametrize("code", [104, 105, 110, 201, 321, 2102, 329])
def test_a_refused_change_leaves_the_order_alone(tws: ScriptedTws, broker: TwsBroker, placed: Trade, code: int) -> None:
    """Whatever a library makes of it."""
    tws.on(PlaceOrder, lambda client, asked: client.error(asked.order_id, code, "not that"))
    with pytest.raises(OrderRejectedError) as caught:
        broker.modify_order(placed.order_id, OrderChange(limit_price=Decimal(1)))
    assert (caught.value.code, caught.value.reason) == (code, "not that")
    assert broker.trade(placed.order_id) == placed


def test_an_unanswered_change_is_an_unknown_outcome(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    tws.on(PlaceOrder, None)
    hurry(broker)
    with pytest.raises(OrderOutcomeUnknownError, match="modify"):
        broker.modify_order(placed.order_id, OrderChange(limit_price=Decimal(1)))
    assert broker.trade(placed.order_id) == placed


def test_a_cancel_is_confirmed_by_the_status(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    def cancel(client: Client, message: CancelOrder) -> None:
        client.status(message.order_id, "PendingCancel")
        client.status(message.order_id, "Cancelled")
        client.error(message.order_id, 202, "Order Canceled - reason:")

    tws.on(CancelOrder, cancel)
    trade = broker.cancel_order(placed.order_id)
    assert trade.status is OrderStatus.CANCELLED
    assert broker.open_trades() == ()
    assert broker.cancel_order(placed.order_id).status is OrderStatus.CANCELLED
    assert len(tws.asked(CancelOrder)) == 1


@pytest.mark.parametrize("code", [161, 10147, 10148, 135])
def test_a_refused_cancel_shows_what_is_true(tws: ScriptedTws, broker: TwsBroker, placed: Trade, code: int) -> None:
    """The order had filled, and nobody had said so: a look at the executions finds it."""

    def too_late(client: Client, message: CancelOrder) -> None:
        def tell(client: Client, request: ReqExecutions) -> None:
            client.execution(message.order_id, "0000a.0001.01.01", 10, "120.4", request.req_id)
            client.send(ExecutionDataEnd(request.req_id))

        tws.on(ReqExecutions, tell)
        client.error(message.order_id, code, "Order cannot be cancelled, state: Filled.")

    tws.on(CancelOrder, too_late)
    trade = broker.cancel_order(placed.order_id)
    assert (trade.status, trade.filled) == (OrderStatus.FILLED, 10)


def test_a_refused_cancel_of_a_live_order_leaves_it(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    tws.on(CancelOrder, lambda client, message: client.error(message.order_id, 10148, "cannot be cancelled"))
    assert broker.cancel_order(placed.order_id).status is OrderStatus.SUBMITTED


def test_a_cancel_that_waits_for_the_exchange_says_so(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    tws.on(CancelOrder, lambda client, message: client.status(message.order_id, "PendingCancel"))
    hurry(broker, 1.0)
    assert broker.cancel_order(placed.order_id).status is OrderStatus.PENDING_CANCEL


def test_an_unanswered_cancel_is_an_unknown_outcome(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    tws.on(CancelOrder, None)
    hurry(broker)
    with pytest.raises(OrderOutcomeUnknownError, match="cancel"):
        broker.cancel_order(placed.order_id)


def test_orders_of_others_are_neither_known_nor_cancelled(tws: ScriptedTws, broker: TwsBroker) -> None:
    for ask in (broker.trade, broker.cancel_order):
        with pytest.raises(UnknownOrderError, match="4711"):
            ask(OrderId(4711))
    assert tws.asked(CancelOrder) == []


@pytest.mark.parametrize("quantity", [Decimal(0), Decimal(-1), Decimal("0.5"), Decimal("NaN")])
def test_a_malformed_order_leaves_nothing(tws: ScriptedTws, broker: TwsBroker, quantity: Decimal) -> None:
    with pytest.raises(InvalidOrderError):
        broker.place_order(Order(STOCK, Action.BUY, quantity))
    assert tws.asked(PlaceOrder) == []


# --- executions -----------------------------------------------------------------------------------------------------


def test_a_position_that_tws_does_not_confirm_is_asked_for(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    """The execution moves it at once; what TWS lists counts in the end."""

    def listed(client: Client, _: ReqPositions) -> None:
        client.send(PositionData(ACCOUNT, NVDA, Decimal(12), Decimal(120)), PositionEnd())

    tws.on(ReqPositions, listed)
    tws.say(lambda client: client.execution(placed.order_id, "0000a.0001.01.01", 10, "120.5"))
    wait_until(lambda: len(broker.positions()) == 1)
    assert broker.positions()[0].quantity == 10
    wait_until(lambda: broker.positions()[0].quantity == 12)


def test_repeated_and_corrected_executions_count_once(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    def tell(client: Client) -> None:
        for _ in range(5):
            client.execution(placed.order_id, "0000a.0001.01.01", 4, "120")
            client.send(CommissionReportMessage("0000a.0001.01.01", Decimal(1), "USD"))
        client.execution(placed.order_id, "0000a.0001.01.02", 3, "121")

    tws.say(tell)
    wait_until(lambda: broker.trade(placed.order_id).average_fill_price == 121)
    assert broker.trade(placed.order_id).filled == 3
    assert [fill.execution.shares for fill in broker.fills()] == [3]
    assert [position.quantity for position in broker.positions()] == [3]


def test_fills_while_we_were_away_are_told_once(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    """Libraries raise no event for them."""

    def tell(client: Client, request: ReqExecutions) -> None:
        client.execution(placed.order_id, "0000a.0001.01.01", 10, "120.4", request.req_id)
        client.send(CommissionReportMessage("0000a.0001.01.01", Decimal(1), "USD"))
        client.send(ExecutionDataEnd(request.req_id))

    tws.on(ReqExecutions, tell)
    stream, events = broker.events(), list[Event]()
    for _ in range(2):
        tws.say(lambda client: client.reset())
        wait_until(lambda: not broker.is_connected)
        broker.connect()
        while not (events and isinstance(events[-1], ConnectionChanged) and events[-1].connected):
            event = stream.next(PATIENCE)
            assert event is not None
            events.append(event)
        events.append(Notice(0, 0, "again"))
    assert sum(isinstance(event, Filled) for event in events) == 1
    assert placed.order_id > 0


def test_a_manual_order_that_filled_is_in_the_fills(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.say(lambda client: client.execution(2**31 - 1, "0000b.0001.01.01", 5, "99"))
    wait_until(lambda: len(broker.fills()) == 1)
    assert broker.fills()[0].execution.order_id == 0
    assert broker.positions()[0].quantity == 5


# --- previews -------------------------------------------------------------------------------------------------------


def margins(warning: str = "", value: str | None = None) -> OrderState:
    number = Decimal(value) if value else None
    return OrderState(
        "PreSubmitted", init_margin_before=number, init_margin_after=number, init_margin_change=number,
        maint_margin_after=number, equity_with_loan_after=number, commission=Decimal(1) if value else None,
        warning_text=warning,
    )  # fmt: skip


def test_a_preview_waits_for_the_frame_with_values(tws: ScriptedTws, broker: TwsBroker) -> None:
    """A real TWS sends an empty one first, on which ib_insync ends its own."""

    def preview(client: Client, asked: PlaceOrder) -> None:
        assert asked.order.what_if
        for state in (margins("a warning"), margins("", "3014.25")):
            client.send(OpenOrder(asked.order_id, NVDA, asked.order, state, 1, 0))

    tws.on(PlaceOrder, preview)
    found = broker.preview_order(LIMIT)
    assert (found.init_margin_after, found.commission) == (Decimal("3014.25"), 1)
    assert broker.open_trades() == broker.completed_trades() == ()


def test_a_preview_that_is_refused(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(PlaceOrder, lambda client, asked: client.error(asked.order_id, 201, "Order rejected - reason:margin"))
    with pytest.raises(OrderRejectedError, match="margin"):
        broker.preview_order(LIMIT)
    assert broker.completed_trades() == ()


# --- threads --------------------------------------------------------------------------------------------------------


def test_thirty_two_threads_lose_no_order(tws: ScriptedTws, broker: TwsBroker) -> None:
    """The libraries' own throttle strands calls from foreign threads; ids on the wire are unique and rise."""
    tws.on(PlaceOrder, accept)
    broker.qualify(STOCK)
    trades: list[Trade] = []
    errors: list[BaseException] = []

    def session() -> None:
        try:
            trades.append(broker.place_order(LIMIT))
        except BaseException as error:  # noqa: BLE001  # the test shows it
            errors.append(error)

    threads = [Thread(target=session) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    ids = [asked.order_id for asked in tws.asked(PlaceOrder)]
    assert ids == sorted(set(ids))
    assert sorted(trade.order_id for trade in trades) == ids


def test_orders_go_before_everything_else(tws: ScriptedTws) -> None:
    """And no more messages leave in a second than are allowed."""
    broker = tws.broker(timing=Timing(oldest_order=PATIENCE), max_requests_per_second=5)
    broker.connect()
    broker.qualify(STOCK)
    tws.on(PlaceOrder, accept)
    tws.on(ReqHistoricalData, lambda client, message: client.send(HistoricalData(message.req_id, "", "")))
    since, waiting = monotonic(), broker._session._pacer._waiting
    with ThreadPoolExecutor(19) as pool:
        calls = [pool.submit(broker.place_order, LIMIT) for _ in range(12)]
        wait_until(lambda: bool(waiting))
        bars = pool.submit(broker.bars, STOCK, BarSize.MIN_1, 1)
        wait_until(lambda: any(not_an_order for not_an_order, *_ in waiting))
        calls += [pool.submit(broker.place_order, LIMIT) for _ in range(6)]  # two seconds before its turn would come
        assert bars.result() == ()
    assert all(call.result().order_id for call in calls)
    assert monotonic() - since > 2.7
    kinds = [type(request) for request in tws.received if type(request) in (PlaceOrder, ReqHistoricalData)]
    assert kinds == [PlaceOrder] * 18 + [ReqHistoricalData]
    broker.disconnect()
