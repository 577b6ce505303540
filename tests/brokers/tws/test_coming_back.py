"""TwsBroker when TWS goes away: it notices, comes back by itself, looks before it trades, and says what is wrong."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from time import monotonic
from typing import Any

import pytest

from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.timing import Timing
from src.domain.errors import ConnectionFailedError, NotConnectedError, OrderRefusedError
from src.domain.events import ConnectionChanged, Filled, Notice
from src.domain.market import Contract
from src.domain.orders import Action, Order, OrderType
from src.gateways.tws_codec import (
    CancelOrder,
    CurrentTime,
    ExecutionDataEnd,
    NextValidId,
    PlaceOrder,
    ReqAccountUpdates,
    ReqCurrentTime,
    ReqExecutions,
    ReqIds,
    ReqMktData,
    StartApi,
)
from src.records.metrics.labels import reconnect_reason
from src.runtime.bridge import EventStream
from src.runtime.clock import NS, wall_clock
from tests.brokers.tws.scripted import PATIENCE, Client, ScriptedTws, accept, hurry, wait_until

NVDA = Contract("NVDA")
LIMIT = Order(NVDA, Action.BUY, Decimal(10), OrderType.LIMIT, Decimal("120.5"))
#: Whoever is held up by a busy machine is not taken for dead.
SHORT = Timing(heartbeat=2.0, reconcile=0.3, look=PATIENCE, longest_pause=0.1, reminder=0.2)


def patient(tws: ScriptedTws, timing: Timing = SHORT, **settings: Any) -> TwsBroker:
    """A broker whose intervals are short."""
    broker = tws.broker(timing=timing, **{"reconnect_delay": 0.02, **settings})
    broker.connect()
    return broker


@pytest.fixture
def broker(tws: ScriptedTws) -> Iterator[TwsBroker]:
    found = patient(tws)
    yield found
    found.disconnect()


def lose(tws: ScriptedTws) -> None:
    tws.say(lambda client: client.reset())


def changes(stream: EventStream, count: int) -> list[ConnectionChanged]:
    """So many of them, waited for: the broker's state changes a moment before it is told."""
    found: list[ConnectionChanged] = []
    while len(found) < count and (event := stream.next(timeout=PATIENCE)) is not None:
        if isinstance(event, ConnectionChanged):
            found.append(event)
    return found


def test_it_comes_back_by_itself_and_subscribes_once(tws: ScriptedTws, broker: TwsBroker) -> None:
    stream = broker.events(NVDA)
    wait_until(lambda: len(tws.asked(ReqMktData)) == 1)
    for times in (1, 2, 3):
        lose(tws)
        wait_until(lambda times=times: broker.health().reconnects == times)  # type: ignore[misc]
        wait_until(lambda times=times: len(tws.asked(ReqMktData)) == times + 1)  # type: ignore[misc]
    assert broker.is_connected
    assert broker.health().error is None
    assert [each.connected for each in changes(stream, 6)] == [False, True] * 3


def test_a_fill_of_meanwhile_is_announced_once(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(PlaceOrder, accept)
    order_id = broker.place_order(LIMIT).order_id
    stream = broker.events()

    def filled(client: Client, message: ReqExecutions) -> None:
        client.execution(order_id, "0001.01", 10, "120.5", message.req_id)
        client.send(ExecutionDataEnd(message.req_id))

    tws.on(ReqExecutions, filled)
    lose(tws)
    wait_until(lambda: broker.health().reconnects == 1)
    assert broker.trade(order_id).filled == Decimal(10)
    looks = len(tws.asked(ReqExecutions))
    wait_until(lambda: len(tws.asked(ReqExecutions)) > looks)  # the periodic look brings it again
    assert len([event for event in stream.arrived() if isinstance(event, Filled)]) == 1


def test_while_away_nothing_is_sent_and_it_says_why(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(StartApi, None)
    lose(tws)
    wait_until(lambda: not broker.is_connected)
    with pytest.raises(NotConnectedError, match="lost since"):
        broker.place_order(LIMIT)
    assert "lost since" in (broker.health().error or "")
    assert tws.asked(PlaceOrder) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [(["DUSIM02"], "another account"), (["U0000001"], "real money")],
)
def test_another_account_ends_it(tws: ScriptedTws, broker: TwsBroker, change: list[str], says: str) -> None:
    stream = broker.events()
    tws.accounts = change
    lose(tws)
    while stream.next(PATIENCE) is not None:
        pass
    assert stream.ended
    assert says in (broker.health().error or "")
    assert broker.account_id == "DUSIM01"


def test_a_client_id_that_stays_in_use_ends_it(tws: ScriptedTws, broker: TwsBroker) -> None:
    def refuse(client: Client, _: StartApi) -> None:
        client.error(-1, 326, "Unable to connect as the client id is already in use.")
        client.transport.close()

    tws.on(StartApi, refuse)
    before = len(tws.clients)
    with broker.events() as stream:
        lose(tws)
        while stream.next(PATIENCE) is not None:
            pass
    assert "in use" in (broker.health().error or "")
    assert len(tws.clients) == before + 5


def test_it_gives_up_when_told_to_and_connect_still_works(tws: ScriptedTws) -> None:
    broker = patient(tws, max_reconnect_attempts=2)
    stream = broker.events()
    answer = tws.answers[StartApi]
    tws.on(StartApi, lambda client, _: client.reset())
    lose(tws)
    while stream.next(PATIENCE) is not None:
        pass
    assert stream.ended
    assert "IBKR_MAX_RECONNECT_ATTEMPTS" in (broker.health().error or "")
    tws.on(StartApi, answer)
    broker.connect()
    assert broker.is_connected
    assert broker.health().error is None
    broker.disconnect()


def test_disconnect_ends_the_attempts(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(StartApi, None)
    lose(tws)
    wait_until(lambda: len(tws.clients) > 1)
    broker.disconnect()
    assert not broker.is_connected


@pytest.mark.parametrize("code", [504, 507])
def test_a_connection_that_is_of_no_use_is_made_anew(tws: ScriptedTws, broker: TwsBroker, code: int) -> None:
    tws.say(lambda client: client.error(-1, code, "Bad Message Length"))
    wait_until(lambda: broker.health().reconnects == 1)


def test_another_port_is_not_followed(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.say(lambda client: client.error(-1, 1300, "TWS socket port has been reset"))
    wait_until(lambda: not broker.is_connected)
    assert "IBKR_PORT" in (broker.health().error or "")
    assert "not tried again" in (broker.health().error or "")


def test_a_lost_link_is_one_change_however_often_it_is_told(tws: ScriptedTws, broker: TwsBroker) -> None:
    stream = broker.events()

    def storm(client: Client) -> None:
        for _ in range(1000):
            client.error(-1, 1100, "Connectivity between IB and TWS has been lost.")

    tws.say(storm)
    wait_until(lambda: not broker.is_connected)
    tws.say(lambda client: client.error(-1, 1102, "restored"))
    wait_until(lambda: broker.is_connected)
    assert [each.connected for each in changes(stream, 2)] == [False, True]


def test_it_does_not_trade_on_a_look_that_is_not_answered(tws: ScriptedTws) -> None:
    """1102 came, and the lists do not."""
    broker = patient(tws, replace(SHORT, look=0.2), connect_timeout=1.0)
    tws.on(ReqExecutions, None)
    tws.say(lambda client: client.error(-1, 1100, "lost"))
    looks = len(tws.asked(ReqExecutions))
    tws.say(lambda client: client.error(-1, 1102, "restored"))
    wait_until(lambda: len(tws.asked(ReqExecutions)) >= looks + 2)
    assert not broker.is_connected
    tws.on(ReqExecutions, ScriptedTws().answers[ReqExecutions])
    wait_until(lambda: broker.is_connected)
    broker.disconnect()


def test_a_lost_message_is_healed_by_the_next_look_and_told(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(PlaceOrder, accept)
    order_id = broker.place_order(LIMIT).order_id
    stream = broker.events()

    def filled(client: Client, message: ReqExecutions) -> None:
        client.execution(order_id, "0001.01", 10, "120.5", message.req_id)
        client.send(ExecutionDataEnd(message.req_id))

    tws.on(ReqExecutions, filled)
    wait_until(lambda: broker.trade(order_id).is_done)
    broker.tws(lambda _: None)  # the round of the loop that shows it tells it as well
    notices = [each for each in stream.arrived() if isinstance(each, Notice)]
    assert len([each for each in notices if "had not told" in each.text]) == 1


def test_a_link_that_is_lost_again_meanwhile_is_not_up(tws: ScriptedTws, broker: TwsBroker) -> None:
    """The lists of after the first 1102 are no answer to the second 1100."""
    waiting = list[tuple[Client, ReqExecutions]]()
    tws.on(ReqExecutions, lambda client, message: waiting.append((client, message)))
    for code in (1100, 1102):
        tws.say(lambda client, code=code: client.error(-1, code, "link"))  # type: ignore[misc]
    wait_until(lambda: bool(waiting))
    tws.say(lambda client: client.error(-1, 1100, "link"))
    tws.on(ReqExecutions, lambda client, message: client.send(ExecutionDataEnd(message.req_id)))
    tws.say(lambda client: client.send(*(ExecutionDataEnd(message.req_id) for _, message in waiting)))
    broker.tws(lambda ib: ib.reqCurrentTimeAsync())
    assert not broker.is_connected
    tws.say(lambda client: client.error(-1, 1102, "link"))
    wait_until(lambda: broker.is_connected)


def test_connect_takes_the_place_of_the_attempts_under_way(tws: ScriptedTws, broker: TwsBroker) -> None:
    """One connection in the end, and what is left of the attempt does it no harm."""
    answer = tws.answers[StartApi]
    tws.on(StartApi, None)
    lose(tws)
    wait_until(lambda: len(tws.clients) == 2 and tws.clients[1].version > 0)
    tws.on(StartApi, answer)
    broker.connect()
    assert len(tws.clients) == 3
    tws.say(lambda client: client.error(-1, 2104, "fine"))
    broker.synchronise()
    assert broker.is_connected


# --- ids, age, clocks -----------------------------------------------------------------------------------------------


def test_ids_go_on_after_tws_has_begun_anew(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(PlaceOrder, accept)
    tws.next_id = 40
    lose(tws)
    wait_until(lambda: broker.health().reconnects == 1)
    first = broker.place_order(LIMIT).order_id
    tws.next_id = 1
    lose(tws)
    wait_until(lambda: broker.health().reconnects == 2)
    assert broker.place_order(LIMIT).order_id > first >= 40


def test_an_id_that_was_used_before_is_asked_for_and_is_no_cancel(tws: ScriptedTws, broker: TwsBroker) -> None:
    def used(client: Client, asked: PlaceOrder) -> None:
        client.error(asked.order_id, 103, "Duplicate order id")

    tws.on(PlaceOrder, used)
    broker.qualify(NVDA)
    hurry(broker)
    with pytest.raises(Exception, match="not acknowledged"):
        broker.place_order(LIMIT)
    assert len(tws.asked(ReqIds)) == 1
    assert len(tws.asked(PlaceOrder)) == 1
    assert tws.asked(CancelOrder) == []


def test_an_order_that_is_too_old_is_not_sent(tws: ScriptedTws) -> None:
    broker = patient(tws, Timing(oldest_order=0.3), max_requests_per_second=5)
    broker.qualify(NVDA)
    tws.on(PlaceOrder, accept)

    def place(_: int) -> str:
        try:
            broker.place_order(LIMIT)
        except OrderRefusedError as error:
            return str(error)
        return "sent"

    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(place, range(12)))
    assert said.count("sent") == len(tws.asked(PlaceOrder)) < 12
    assert all(each == "sent" or "nothing was sent" in each for each in said)
    broker.disconnect()


def test_clocks_that_differ_too_much_stop_orders(tws: ScriptedTws) -> None:
    tws.accounts = ["DU0000001"]
    tws.on(ReqCurrentTime, lambda client, _: client.send(CurrentTime(wall_clock() // NS - 300)))
    broker = patient(tws, replace(SHORT, heartbeat=0.8, reconcile=60.0))  # it asks for the time when nothing comes
    wait_until(lambda: "clock" in (broker.health().error or ""))
    with pytest.raises(OrderRefusedError, match=r"differ by 30. s"):
        broker.place_order(LIMIT)
    tws.on(ReqCurrentTime, lambda client, _: client.send(CurrentTime(wall_clock() // NS)))
    wait_until(lambda: broker.health().error is None)
    broker.disconnect()


# --- what TWS says of no order -------------------------------------------------------------------------------------


def test_account_values_taken_by_another_program_are_asked_for_again_once(
    tws: ScriptedTws, broker: TwsBroker, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(tws.asked(ReqAccountUpdates))
    for _ in range(3):
        tws.say(lambda client: client.error(-1, 2100, "API client has been unsubscribed from account data."))
    wait_until(lambda: caplog.text.count("the account's values do not come any more") == 2)
    wait_until(lambda: len(tws.asked(ReqAccountUpdates)) == before + 1)
    assert broker.is_connected


def test_an_unknown_message_is_a_warning(tws: ScriptedTws, broker: TwsBroker, caplog: pytest.LogCaptureFixture) -> None:
    stream = broker.events()
    tws.say(lambda client: client.error(-1, 98765, "Something new."))
    tws.say(lambda client: client.error(-1, 2104, "Market data farm connection is OK:usfarm"))
    wait_until(lambda: len(broker.messages) >= 2)
    broker.tws(lambda _: None)  # the round of the loop that shows it tells it as well
    assert [each.code for each in stream.arrived() if isinstance(each, Notice)] == [98765]
    assert [record.levelname for record in caplog.records if "98765" in record.getMessage()] == ["WARNING"]


def test_too_many_messages_are_followed_by_a_pause(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(PlaceOrder, accept)
    broker.qualify(NVDA)
    tws.say(lambda client: client.error(-1, 100, "Max rate of messages per second has been exceeded"))
    wait_until(lambda: (100, "Max rate of messages per second has been exceeded") in broker.messages)
    since = monotonic()
    broker.place_order(LIMIT)
    assert monotonic() - since > 0.5


@pytest.mark.parametrize("order_id", [2**31, 2**40, -1])
def test_an_order_id_that_no_order_can_bear_is_refused_by_name(tws: ScriptedTws, order_id: int) -> None:
    tws.next_id = order_id
    broker = tws.broker()
    with pytest.raises(
        ConnectionFailedError, match=f"the next order id is {order_id}, .* `Reset API order ID"
    ) as caught:
        broker.connect()
    assert caught.value.phase == "start"
    assert not broker.is_connected


def test_an_impossible_order_id_later_ends_the_connection(tws: ScriptedTws, broker: TwsBroker) -> None:
    """No order leaves under an id that means another one to TWS."""
    stream = broker.events()
    tws.say(lambda client: client.send(NextValidId(2**31)))
    [lost] = changes(stream, 1)
    assert not lost.connected
    assert f"the next order id is {2**31}" in lost.reason


def test_a_sleep_of_the_computer_is_said_once(
    tws: ScriptedTws, broker: TwsBroker, caplog: pytest.LogCaptureFixture
) -> None:
    stream = broker.events()
    broker.tws(lambda _: broker._session.has_slept(7200.0))
    wait_until(lambda: broker.is_connected)
    told = changes(stream, 2)
    assert [event.connected for event in told] == [False, True]
    assert reconnect_reason(told[0].reason) == "sleep"
    [record] = [each for each in caplog.records if "stood still for 7200 s" in each.getMessage()]
    assert record.is_told  # type: ignore[attr-defined]  # the screen has it as an event
