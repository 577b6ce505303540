"""What every Broker does, stated once for all backends: orders, fills, events, threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from src.domain.errors import InvalidOrderError, OrderRejectedError
from src.domain.events import BarClosed, CommissionCharged, Event, Filled, OrderChanged, PositionChanged, QuoteChanged
from src.domain.market import BarSize
from src.domain.orders import AccountId, Action, Bracket, Order, OrderChange, OrderStatus, OrderType, TimeInForce
from src.runtime.bridge import EventStream
from tests.conformance.conftest import MSFT, NVDA, Stage, order

BUY, SELL = Action.BUY, Action.SELL
WORKING = {OrderStatus.PRE_SUBMITTED, OrderStatus.SUBMITTED}


def resting(stage: Stage, kind: OrderType) -> Order:
    """A buy that the market does not reach."""
    below, above = stage.price(NVDA, -20), stage.price(NVDA, 20)
    if kind is OrderType.IF_TOUCHED:
        return replace(order(BUY, 10), order_type=kind, stop_price=below)
    prices = {
        OrderType.LIMIT: (below, None),
        OrderType.STOP: (None, above),
        OrderType.STOP_LIMIT: (above + 1, above),
    }
    return order(BUY, 10, *prices[kind])


KINDS = [OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT, OrderType.IF_TOUCHED]


def test_a_market_order_fills_and_its_position_is_there(stage: Stage) -> None:
    """Acknowledged with an id and our account; filled within a minute; trade, fills and position agree."""
    trade = stage.broker.place_order(order(BUY, 10))
    assert trade.order_id > 0
    assert trade.status is not OrderStatus.PENDING_SUBMIT
    assert trade.order.account == stage.broker.account_id
    done = stage.settled(trade.order_id)
    assert (done.status, done.filled, done.remaining) == (OrderStatus.FILLED, Decimal(10), Decimal(0))
    fills = stage.broker.fills()
    assert sum(fill.execution.shares for fill in fills) == 10
    assert sum(fill.execution.shares * fill.execution.price for fill in fills) == 10 * done.average_fill_price
    [position] = stage.broker.positions()
    assert (position.contract.symbol, position.account) == ("NVDA", stage.broker.account_id)
    assert position.quantity == 10
    assert position.average_cost == done.average_fill_price + done.commission / 10


def test_fills_are_joined_with_their_commissions(stage: Stage) -> None:
    """The same execution id; a dollar at least for an order; `since` cuts by time."""
    stage.settled(stage.broker.place_order(order(BUY, 10)).order_id)
    reports = [(fill.execution, fill.commission_report) for fill in stage.broker.fills()]
    assert reports
    assert all(report is not None and report.exec_id == execution.exec_id for execution, report in reports)
    assert sum(report.commission for _, report in reports if report is not None) == Decimal(1)
    now = datetime.fromtimestamp(stage.broker.now() // 1_000_000_000 + 1, UTC)
    assert stage.broker.fills(since=now) == ()
    assert stage.broker.fills(since=datetime(2000, 1, 1, tzinfo=UTC)) == stage.broker.fills()


@pytest.mark.parametrize("kind", KINDS)
def test_every_other_type_rests_is_changed_and_cancelled(stage: Stage, kind: OrderType) -> None:
    """The trade returned by each call already says what came of it."""
    broker = stage.broker
    trade = broker.place_order(resting(stage, kind))
    stage.pass_time(2)
    assert broker.trade(trade.order_id).status in WORKING
    assert [each.order_id for each in broker.open_trades()] == [trade.order_id]
    changed = broker.modify_order(trade.order_id, OrderChange(quantity=Decimal(7)))
    assert (changed.order.quantity, changed.remaining) == (Decimal(7), Decimal(7))
    assert changed.order.order_type is kind
    assert changed.perm_id == broker.trade(trade.order_id).perm_id
    gone = broker.cancel_order(trade.order_id)
    assert (gone.status, gone.filled) == (OrderStatus.CANCELLED, Decimal(0))
    assert broker.open_trades() == ()
    assert [each.order_id for each in broker.completed_trades()] == [trade.order_id]
    assert broker.fills() == ()


def test_a_changed_price_can_make_an_order_fill(stage: Stage) -> None:
    """A limit far below the market, raised above it."""
    trade = stage.broker.place_order(resting(stage, OrderType.LIMIT))
    stage.pass_time(2)
    stage.broker.modify_order(trade.order_id, OrderChange(limit_price=stage.price(NVDA, 2)))
    assert stage.settled(trade.order_id).status is OrderStatus.FILLED


def test_an_order_that_is_done_stays_so(stage: Stage) -> None:
    """Cancelling a filled order returns it as it is; changing it is refused."""
    broker = stage.broker
    done = stage.settled(broker.place_order(order(BUY, 10)).order_id)
    assert broker.cancel_order(done.order_id) == done
    with pytest.raises(OrderRejectedError) as caught:
        broker.modify_order(done.order_id, OrderChange(quantity=Decimal(20)))
    assert caught.value.reason
    assert broker.trade(done.order_id) == done


def test_an_immediate_order_leaves_nothing_behind(stage: Stage) -> None:
    """IOC below the market: cancelled without a fill."""
    wanted = Order(NVDA, BUY, Decimal(10), OrderType.LIMIT, stage.price(NVDA, -20), tif=TimeInForce.IOC)
    assert stage.settled(stage.broker.place_order(wanted).order_id).status is OrderStatus.CANCELLED
    assert stage.broker.fills() == ()


@pytest.mark.parametrize(
    ("quantity", "limit", "code", "word"),
    [(900_000, None, 201, "margin"), (2_000_000, "10.00", 201, "size"), (10, "100.005", 110, "price")],
)
def test_a_rejection_is_raised_with_code_and_reason(
    stage: Stage, quantity: int, limit: str | None, code: int, word: str
) -> None:
    """The venue's own; the order is on record as Inactive, nothing works and nothing is held."""
    with pytest.raises(OrderRejectedError) as caught:
        stage.broker.place_order(order(BUY, quantity, Decimal(limit) if limit else None))
    assert caught.value.code == code
    assert word in caught.value.reason.lower()
    assert caught.value.order_id is not None
    [trade] = stage.broker.completed_trades()
    assert (trade.status, trade.code, trade.order_id) == (OrderStatus.INACTIVE, code, caught.value.order_id)
    assert stage.broker.open_trades() == ()
    assert stage.broker.positions() == ()


def test_a_refused_change_leaves_the_order(stage: Stage) -> None:
    """Off the tick, and more than the account can carry."""
    broker = stage.broker
    trade = broker.place_order(resting(stage, OrderType.LIMIT))
    stage.pass_time(2)
    before = broker.trade(trade.order_id)
    for change in (OrderChange(limit_price=Decimal("100.005")), OrderChange(quantity=Decimal(900_000))):
        with pytest.raises(OrderRejectedError):
            broker.modify_order(trade.order_id, change)
        assert broker.trade(trade.order_id) == before
    with pytest.raises(InvalidOrderError):
        broker.modify_order(trade.order_id, OrderChange())
    assert broker.trade(trade.order_id) == before


def test_an_order_for_another_account_is_not_sent(stage: Stage) -> None:
    """A slip that must not reach any venue."""
    stranger = Order(NVDA, BUY, Decimal(1), account=AccountId("U7654321"))
    with pytest.raises(InvalidOrderError, match="not this broker"):
        stage.broker.place_order(stranger)
    assert stage.broker.open_trades() == stage.broker.completed_trades() == ()


def test_a_bracket_protects_what_its_parent_opens(stage: Stage) -> None:
    """Three trades in order; after the entry both exits work; the end of one is the end of the other."""
    broker = stage.broker
    wanted = Bracket.around(order(BUY, 10), stage.price(NVDA, 20), stage.price(NVDA, -20))
    parent, target, stop = broker.place_bracket(wanted)
    assert [parent.order.parent_id, target.order.parent_id, stop.order.parent_id] == [None, *[parent.order_id] * 2]
    assert (target.order.order_type, stop.order.order_type) == (OrderType.LIMIT, OrderType.STOP)
    stage.settled(parent.order_id)
    stage.pass_time(2)
    assert {broker.trade(each.order_id).status for each in (target, stop)} <= WORKING
    broker.modify_order(stop.order_id, OrderChange(stop_price=stage.price(NVDA, 2)))
    assert stage.settled(stop.order_id).status is OrderStatus.FILLED
    assert stage.settled(target.order_id).status is OrderStatus.CANCELLED
    assert [position.quantity for position in broker.positions()] == [0]


def test_a_cancelled_bracket_is_gone_whole(stage: Stage) -> None:
    """Its exits go with the parent that never traded."""
    entry = stage.price(NVDA, -20)
    wanted = Bracket.around(order(BUY, 10, entry), stage.price(NVDA, 20), stage.price(NVDA, -30))
    parent, *_ = stage.broker.place_bracket(wanted)
    stage.pass_time(2)
    stage.broker.cancel_order(parent.order_id)
    stage.pass_time(2)
    assert {trade.status for trade in stage.broker.completed_trades()} == {OrderStatus.CANCELLED}
    assert len(stage.broker.completed_trades()) == 3


def test_a_preview_sends_nothing(stage: Stage) -> None:
    """Margin and commission it would take; a warning where it would be refused."""
    preview = stage.broker.preview_order(order(BUY, 100))
    assert preview.init_margin_after > preview.init_margin_before == 0
    assert preview.commission == Decimal(1)
    assert not preview.warning
    assert stage.broker.preview_order(order(BUY, 900_000)).warning
    stage.pass_time(5)
    assert stage.broker.open_trades() == stage.broker.completed_trades() == ()
    assert stage.broker.positions() == ()


# --- events ---------------------------------------------------------------------------------------------------------


def read(stream: EventStream, until: type[Event]) -> list[Event]:
    """Events up to the first of a kind."""
    events: list[Event] = []
    while not events or not isinstance(events[-1], until):
        event = stream.next(timeout=60)
        assert event is not None
        events.append(event)
    return events


def test_events_tell_an_orders_life_in_order(stage: Stage) -> None:
    """Acknowledged, executed, filled, charged, position: nothing of other kinds without being asked for."""
    with stage.broker.events() as stream:
        trade = stage.broker.place_order(order(BUY, 1))
        events = read(stream, PositionChanged)
    kinds = [type(event) for event in events]
    assert kinds[0] is OrderChanged
    assert kinds[-4:] == [Filled, OrderChanged, CommissionCharged, PositionChanged]
    assert set(kinds) <= {OrderChanged, Filled, CommissionCharged, PositionChanged}
    changed = [event.trade for event in events if isinstance(event, OrderChanged)]
    assert {each.order_id for each in changed} == {trade.order_id}
    assert changed[-1].status is OrderStatus.FILLED
    assert [each.time for each in changed] == sorted(each.time for each in changed)


def test_quotes_are_conflated_for_a_slow_reader_and_orders_never_are(stage: Stage) -> None:
    """Two minutes away from the stream: one quote of each contract, the newest, and every fill."""
    broker = stage.broker
    with broker.events(NVDA, MSFT) as stream:
        placed = []
        for _ in range(10):
            placed.append(broker.place_order(order(BUY, 1)).order_id)
            stage.pass_time(12)
        newest = {contract.symbol: broker.quote(contract) for contract in (NVDA, MSFT)}
        events: list[Event] = []
        while sum(isinstance(event, PositionChanged) for event in events) < 10:
            event = stream.next(timeout=60)
            assert event is not None
            events.append(event)
    quotes = {event.quote.contract.symbol: event.quote for event in events if isinstance(event, QuoteChanged)}
    assert sum(isinstance(event, QuoteChanged) for event in events) == 2
    assert quotes == newest
    assert [event.fill.execution.order_id for event in events if isinstance(event, Filled)] == placed


def test_closed_bars_come_together_and_in_time(stage: Stage) -> None:
    """Both contracts' bars of one minute in one event, none missing, none twice."""
    with stage.broker.events(NVDA, MSFT, bars=BarSize.MIN_1) as stream:
        closed = [read(stream, BarClosed)[-1] for _ in range(5)]
    minutes = [event.bars for event in closed if isinstance(event, BarClosed)]
    assert all({bar.contract.symbol for bar in bars} == {"NVDA", "MSFT"} for bars in minutes)
    ends = [bar.end for bars in minutes for bar in bars if bar.contract.symbol == "NVDA"]
    assert [later - earlier for earlier, later in pairwise(ends)] == [60_000_000_000] * 4


def test_larger_bars_can_be_asked_for(stage: Stage) -> None:
    """Five minutes, of one contract only; the first one is whole, as history has it.

    But for the volume, which TWS counts differently in its real-time bars.
    """
    with stage.broker.events(NVDA, bars=BarSize.MIN_5) as stream:
        event = read(stream, BarClosed)[-1]
    assert isinstance(event, BarClosed)
    [bar] = event.bars
    assert (bar.contract.symbol, bar.end - bar.start) == ("NVDA", 300_000_000_000)
    [past] = stage.broker.bars(NVDA, BarSize.MIN_5, 1)
    assert past._replace(volume=bar.volume) == bar


def test_a_stream_ends_when_the_broker_disconnects(stage: Stage) -> None:
    """A loop over it ends; later questions get nothing."""
    stream = stage.broker.events(NVDA)
    assert stream.next(timeout=60) is not None
    stage.broker.disconnect()
    assert stream.next(timeout=60) is None
    assert list(stream) == []


# --- threads --------------------------------------------------------------------------------------------------------


def test_eight_threads_at_once(stage: Stage) -> None:
    """Orders, cancels and questions side by side: ids are unique, the position is the sum, no call fails."""
    broker = stage.broker
    price = stage.price(NVDA, -20)

    def session(_: int) -> list[int]:
        ids = []
        for index in range(6):
            ids.append(int(broker.place_order(order(BUY, 1)).order_id))
            rests = broker.place_order(order(BUY, 1, price, contract=NVDA))
            assert broker.cancel_order(rests.order_id).is_done
            ids.append(int(rests.order_id))
            assert broker.quote((NVDA, MSFT)[index % 2]).bid > 0
            assert broker.account_summary().net_liquidation > 0
            assert broker.health().connected
            assert broker.trade(rests.order_id).order.quantity == 1
            assert {fill.execution.side for fill in broker.fills()} <= {BUY}
        return ids

    with ThreadPoolExecutor(8) as pool:
        ids = [each for found in pool.map(session, range(8)) for each in found]
    assert len(set(ids)) == len(ids) == 96
    stage.pass_time(30)
    assert sum(position.quantity for position in broker.positions()) == 48
    assert broker.open_trades() == ()
    assert len(broker.completed_trades()) == 96
