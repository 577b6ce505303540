# mypy: disable-error-code=comparison-overlap
# A Decimal equals an int, and an empty tuple every other.
"""Orders against a TWS that behaves as the real one does on a bad day: claims are not facts, silence is not a no."""

from decimal import Decimal
from time import monotonic
from typing import Any

import pytest

from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.timing import Timing
from src.domain.errors import (
    NotConnectedError,
    OrderOutcomeUnknownError,
    OrderRejectedError,
)
from src.domain.events import Notice
from src.domain.market import Contract
from src.domain.orders import Action, Bracket, Order, OrderId, OrderStatus, OrderType, TimeInForce, Trade
from src.gateways.tws_codec import (
    CancelOrder,
    OpenOrder,
    OpenOrderEnd,
    OrderState,
    PlaceOrder,
    ReqOpenOrders,
)
from tests.brokers.tws.scripted import ACCOUNT, NVDA, PATIENCE, Client, ScriptedTws, accept, hurry, wait_until

STOCK = Contract("NVDA")
LIMIT = Order(STOCK, Action.BUY, Decimal(10), OrderType.LIMIT, Decimal("120.5"))


# --- what leaves ----------------------------------------------------------------------------------------------------

KINDS = [
    (Order(STOCK, Action.BUY, Decimal(3)), ("MKT", None, None, "DAY")),
    (LIMIT, ("LMT", Decimal("120.5"), None, "DAY")),
    (
        Order(STOCK, Action.SELL, Decimal(3), OrderType.STOP, None, Decimal(99), TimeInForce.GTC),
        ("STP", None, Decimal(99), "GTC"),
    ),
    (
        Order(STOCK, Action.SELL, Decimal(3), OrderType.STOP_LIMIT, Decimal("98.5"), Decimal(99), TimeInForce.IOC),
        ("STP LMT", Decimal("98.5"), Decimal(99), "IOC"),
    ),
]


@pytest.mark.parametrize(("order", "expected"), KINDS, ids=[kind[1][0] for kind in KINDS])
def test_each_type_leaves_whole(tws: ScriptedTws, broker: TwsBroker, order: Order, expected: tuple[Any, ...]) -> None:
    """Account, time in force and reference are always said: nothing is left to TWS's presets."""
    tws.on(PlaceOrder, accept)
    trade = broker.place_order(order)
    [asked] = tws.asked(PlaceOrder)
    sent = asked.order
    assert (sent.order_type, sent.lmt_price, sent.aux_price, sent.tif) == expected
    assert (sent.account, sent.action, sent.total_quantity, sent.transmit) == (
        ACCOUNT, order.action, order.quantity, True,
    )  # fmt: skip
    assert sent.order_ref
    assert sent.order_ref == trade.order.order_ref
    assert (asked.contract.con_id, asked.contract.exchange) == (4815747, "SMART")
    assert (trade.status, trade.perm_id, trade.client_id) == (OrderStatus.SUBMITTED, 9000 + trade.order_id, 1)


def test_groups_references_and_hours_are_passed_on(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(PlaceOrder, accept)
    wanted = Order(
        STOCK, Action.BUY, Decimal(1), OrderType.LIMIT, Decimal(9), outside_rth=True, order_ref="mine-7", oca_group="g"
    )
    broker.place_order(wanted)
    [asked] = tws.asked(PlaceOrder)
    assert (asked.order.outside_rth, asked.order.order_ref, asked.order.oca_group) == (True, "mine-7", "g")
    assert asked.order.oca_type == 1


def test_references_are_unique(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(PlaceOrder, accept)
    references = {broker.place_order(LIMIT).order.order_ref for _ in range(20)}
    assert len(references) == 20
    assert all(len(reference) <= 40 for reference in references)


def test_a_bracket_leaves_as_one(tws: ScriptedTws, broker: TwsBroker) -> None:
    """The last leg transmits all three; the children name their parent."""
    tws.on(PlaceOrder, accept)
    parent, target, stop = broker.place_bracket(Bracket.around(LIMIT, Decimal(130), Decimal(110)))
    sent = tws.asked(PlaceOrder)
    assert [each.order.transmit for each in sent] == [False, False, True]
    assert [each.order.parent_id for each in sent] == [0, parent.order_id, parent.order_id]
    assert [each.order_id for each in sent] == [parent.order_id, target.order_id, stop.order_id]
    assert len({each.order.order_ref for each in sent}) == 3
    assert [trade.order.parent_id for trade in (parent, target, stop)] == [None, parent.order_id, parent.order_id]


def test_a_leg_that_is_refused_takes_the_bracket_with_it(tws: ScriptedTws, broker: TwsBroker) -> None:
    """No entry without its stop."""

    def refuse_the_stop(client: Client, asked: PlaceOrder) -> None:
        if asked.order.order_type == "STP":
            client.error(asked.order_id, 110, "The price does not conform to the minimum price variation.")
            client.status(asked.order_id, "Inactive")
        else:
            client.echo(asked, "PreSubmitted")
            client.status(asked.order_id, "PreSubmitted")

    tws.on(PlaceOrder, refuse_the_stop)
    tws.on(CancelOrder, lambda client, message: client.status(message.order_id, "Cancelled"))
    with pytest.raises(OrderRejectedError) as caught:
        broker.place_bracket(Bracket.around(LIMIT, Decimal(130), Decimal(110)))
    assert caught.value.code == 110
    wait_until(lambda: broker.open_trades() == ())
    assert len(tws.asked(CancelOrder)) == 2


# --- claims and facts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [10349, 399, 404, 2109, 2137, 2161, 10311, 2148])
def test_a_word_about_an_order_does_not_end_it(tws: ScriptedTws, broker: TwsBroker, code: int) -> None:
    """Fifteen orders shown as cancelled after 10349 were all filled: the best known case."""

    def answer(client: Client, asked: PlaceOrder) -> None:
        client.error(asked.order_id, code, "Order TIF was set to DAY based on order preset.")
        accept(client, asked)

    tws.on(PlaceOrder, answer)
    stream = broker.events()
    trade = broker.place_order(LIMIT)
    assert trade.status is OrderStatus.SUBMITTED
    assert broker.open_trades() == (trade,)
    event = stream.next(PATIENCE)
    assert isinstance(event, Notice)
    assert (event.code, event.order_id) == (code, trade.order_id)


@pytest.mark.parametrize("code", [103, 104, 135, 161, 201, 202, 320, 321, 10147, 10148, 12345])
def test_an_error_on_a_live_order_is_looked_up(tws: ScriptedTws, broker: TwsBroker, placed: Trade, code: int) -> None:
    """Both libraries mark it as cancelled. It lives, and so it stays."""
    tws.say(lambda client: client.error(placed.order_id, code, "something"))
    broker.tws(lambda ib: ib.reqCurrentTimeAsync())
    assert broker.trade(placed.order_id) == placed
    assert broker.open_trades() == (placed,)


@pytest.mark.parametrize("code", [110, 201, 203, 321, 387])
@pytest.mark.parametrize("status_comes", ["before", "after", "never"])
def test_a_rejection(tws: ScriptedTws, broker: TwsBroker, code: int, status_comes: str) -> None:
    """With its code and text, whichever way it is told; without a status only after a look at TWS's own list."""

    def reject(client: Client, asked: PlaceOrder) -> None:
        if status_comes == "before":
            client.status(asked.order_id, "Inactive")
        client.error(asked.order_id, code, "Order rejected - reason:no")
        if status_comes == "after":
            client.status(asked.order_id, "Inactive")

    tws.on(PlaceOrder, reject)
    looks = len(tws.asked(ReqOpenOrders))
    with pytest.raises(OrderRejectedError) as caught:
        broker.place_order(LIMIT)
    assert (caught.value.code, caught.value.reason) == (code, "Order rejected - reason:no")
    assert len(tws.asked(ReqOpenOrders)) == looks + (status_comes == "never")
    [trade] = broker.completed_trades()
    assert (trade.status, trade.code, trade.order_id) == (OrderStatus.INACTIVE, code, caught.value.order_id)
    assert broker.open_trades() == ()


def test_a_rejection_of_an_order_that_works_is_none(tws: ScriptedTws, broker: TwsBroker) -> None:
    """201 comes, and yet TWS lists the order as open."""

    def claim(client: Client, asked: PlaceOrder) -> None:
        def listed(client: Client, _: object) -> None:
            client.send(OpenOrder(asked.order_id, NVDA, asked.order, OrderState("Submitted"), 1, 77), OpenOrderEnd())

        tws.on(ReqOpenOrders, listed)
        client.error(asked.order_id, 201, "Order rejected - reason:not really")

    tws.on(PlaceOrder, claim)
    assert broker.place_order(LIMIT).status is OrderStatus.SUBMITTED


def test_silence_is_an_unknown_outcome(tws: ScriptedTws, broker: TwsBroker) -> None:
    """Within the order's deadline; the late acknowledgement is taken."""
    tws.on(PlaceOrder, None)
    broker.qualify(STOCK)
    hurry(broker, 0.5)
    since = monotonic()
    with pytest.raises(OrderOutcomeUnknownError, match="screen"):
        broker.place_order(LIMIT)
    assert 0.4 < monotonic() - since < PATIENCE / 2
    [asked] = tws.asked(PlaceOrder)
    assert broker.trade(OrderId(asked.order_id)).status is OrderStatus.PENDING_SUBMIT
    tws.say(lambda client: accept(client, asked))
    wait_until(lambda: broker.trade(OrderId(asked.order_id)).status is OrderStatus.SUBMITTED)


def test_another_order_under_the_id_of_ours_acknowledges_nothing(tws: ScriptedTws, broker: TwsBroker) -> None:
    """TWS's numbers began anew: what it shows under the id bears another reference. It is nobody's answer."""
    tws.on(PlaceOrder, lambda client, asked: client.echo(asked, order_ref="another-1"))
    broker.qualify(STOCK)
    hurry(broker, 0.5)
    with pytest.raises(OrderOutcomeUnknownError):
        broker.place_order(LIMIT)
    [asked] = tws.asked(PlaceOrder)
    assert broker.trade(OrderId(asked.order_id)).status is OrderStatus.PENDING_SUBMIT
    assert [each.order.order_ref for each in broker.open_trades() if each.perm_id] == ["another-1"]


def test_a_connection_lost_before_the_acknowledgement_is_an_unknown_outcome(
    tws: ScriptedTws, broker: TwsBroker
) -> None:
    """At once; and after connecting again the order is found, not sent again."""
    tws.on(PlaceOrder, lambda client, _: client.reset())
    since = monotonic()
    with pytest.raises(OrderOutcomeUnknownError):
        broker.place_order(LIMIT)
    assert monotonic() - since < PATIENCE / 2
    [asked] = tws.asked(PlaceOrder)
    found = OpenOrder(asked.order_id, NVDA, asked.order, OrderState("Submitted"), 1, 77)
    tws.on(ReqOpenOrders, lambda client, _: client.send(found, OpenOrderEnd()))
    broker.connect()
    assert broker.trade(OrderId(asked.order_id)).status is OrderStatus.SUBMITTED
    assert len(tws.asked(PlaceOrder)) == 1


def test_no_order_is_sent_over_a_lost_connection(tws: ScriptedTws, broker: TwsBroker) -> None:
    broker.qualify(STOCK)
    tws.say(lambda client: client.reset())
    wait_until(lambda: not broker.is_connected)
    with pytest.raises(NotConnectedError):
        broker.place_order(LIMIT)
    assert tws.asked(PlaceOrder) == []


def test_an_execution_acknowledges_by_itself(tws: ScriptedTws, broker: TwsBroker) -> None:
    """IB says that the status of a market order may never come."""

    def fill(client: Client, asked: PlaceOrder) -> None:
        client.execution(asked.order_id, "0000a.0001.01.01", 10, "120.5")

    tws.on(PlaceOrder, fill)
    trade = broker.place_order(LIMIT)
    assert (trade.status, trade.average_fill_price) == (OrderStatus.FILLED, Decimal("120.5"))
    [position] = broker.positions()
    assert position.quantity == 10


def test_an_order_whose_caller_gives_up_before_its_turn_never_leaves(tws: ScriptedTws) -> None:
    """As at Ctrl-C, while IB's limit of messages holds it back."""
    tws.on(PlaceOrder, accept)
    broker = tws.broker(timing=Timing(oldest_order=30.0), max_requests_per_second=1, order_timeout=10.0)
    broker.connect()
    first = broker.place_order(LIMIT)
    thread, orders, contract = broker._thread, broker._session.orders, first.order.contract
    assert thread is not None
    second = Order(contract, Action.BUY, Decimal(1), account=first.order.account, order_ref="never-1")
    with pytest.raises(TimeoutError):
        thread.ask(lambda reply: orders.place(second, monotonic(), reply), 0.05)
    third = broker.place_order(LIMIT)  # whose turn comes after the second's would have
    assert [asked.order_id for asked in tws.asked(PlaceOrder)] == [first.order_id, third.order_id]
    broker.disconnect()
