"""A connection that is lost comes back by itself, or says why not; nothing is sent, doubled or pretended meanwhile."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from random import Random
from threading import Event
from typing import Any

import pytest

from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.reconnecting import pauses
from src.brokers.tws.timing import Timing
from src.domain.errors import NotConnectedError, OrderRefusedError
from src.domain.events import ConnectionChanged, Notice
from src.domain.market import Contract, Mode
from src.domain.orders import Action, Order, OrderType
from src.gateways.tws_codec import (
    CurrentTime,
    ErrorMessage,
    ExecutionDataEnd,
    PlaceOrder,
    ReqCurrentTime,
    ReqExecutions,
    ReqMktData,
    StartApi,
    TickPrice,
)
from src.runtime.bridge import EventStream
from src.runtime.clock import NS, monotonic, wall_clock
from tests.brokers.tws.scripted import PATIENCE, Client, ScriptedTws, accept, wait_until

#: Everything within moments; but whoever is held up by a busy machine is not taken for dead.
FAST = Timing(heartbeat=2.0, reconcile=0.2, look=PATIENCE, confirm=0.05, values=0.05, longest_pause=0.2)
NVDA = Contract("NVDA")
LIMIT = Order(NVDA, Action.BUY, Decimal(10), OrderType.LIMIT, Decimal("120.5"))
Open = Callable[..., TwsBroker]


@pytest.fixture
def connected(tws: ScriptedTws) -> Iterator[Open]:
    """Connects a broker that is quick to come back; keywords are settings."""
    made: list[TwsBroker] = []

    def connect(timing: Timing = FAST, clock: "Day | None" = None, **settings: Any) -> TwsBroker:
        broker = tws.broker(timing=timing, clock=clock, **{"reconnect_delay": 0.05, **settings})
        broker.connect()
        made.append(broker)
        return broker

    yield connect
    for broker in made:
        broker.disconnect()


def changes(stream: EventStream, count: int) -> list[bool]:
    """The next changes of the connection, as whether it is there."""
    found: list[bool] = []
    while len(found) < count:
        event = stream.next(PATIENCE)
        assert event is not None, found
        if isinstance(event, ConnectionChanged):
            found.append(event.connected)
    return found


def ends(stream: EventStream) -> bool:
    """Whether the stream ends by itself, with a word of why."""
    told = []
    while (event := stream.next(PATIENCE)) is not None:
        told.append(event)
    return stream.ended and isinstance(told[-1], Notice) and "not tried again" in told[-1].text


# --- coming back ----------------------------------------------------------------------------------------------------


def test_a_lost_connection_comes_back_and_everything_is_subscribed_to_once(tws: ScriptedTws, connected: Open) -> None:
    """Streams go on, the mode is the same, and what happened is asked for before anything is sent."""
    broker = connected()
    stream = broker.events(NVDA)
    wait_until(lambda: len(tws.asked(ReqMktData)) == 1)
    tws.say(lambda client: client.reset())
    assert changes(stream, 2) == [False, True]
    wait_until(lambda: broker.is_connected and len(tws.asked(ReqMktData)) == 2)
    broker.qualify(NVDA)
    assert len(tws.asked(ReqMktData)) == 2
    assert (broker.mode, broker.health().reconnects, broker.health().error) == (Mode.SIMULATED, 1, None)
    assert len(tws.asked(ReqExecutions)) == 2


def test_while_it_is_away_nothing_is_sent_and_the_health_says_why(tws: ScriptedTws, connected: Open) -> None:
    """And the calls say that it is tried again, rather than to call connect()."""
    broker = connected(reconnect_delay=60.0, timing=Timing())
    tws.on(StartApi, lambda client, _: client.reset())
    tws.say(lambda client: client.reset())
    wait_until(lambda: not broker.is_connected)
    with pytest.raises(NotConnectedError, match="is lost since"):
        broker.place_order(LIMIT)
    assert "is lost since" in (broker.health().error or "")
    assert broker.health().mode is Mode.DISCONNECTED
    assert tws.asked(PlaceOrder) == []


def test_without_auto_reconnect_it_stays_away_and_readers_are_told(tws: ScriptedTws, connected: Open) -> None:
    """Nobody waits for news that will not come; connect() is the way back."""
    broker = connected(auto_reconnect=False)
    stream = broker.events()
    tws.say(lambda client: client.reset())
    assert changes(stream, 1) == [False]
    assert ends(stream)
    assert len(tws.clients) == 1
    broker.connect()
    assert broker.is_connected


def test_attempts_end_at_their_number(tws: ScriptedTws, connected: Open) -> None:
    """The health says so, and streams end."""
    broker = connected(max_reconnect_attempts=3)
    stream = broker.events()
    tws.on(StartApi, lambda client, _: client.reset())
    tws.say(lambda client: client.reset())
    assert changes(stream, 1) == [False]
    assert ends(stream)
    assert len(tws.clients) == 4
    assert "given up after 3 attempts" in (broker.health().error or "")


@pytest.mark.parametrize(
    ("accounts", "words"),
    [(["DU999"], "another account"), (["U1234567"], "real money"), (["DUSIM01", "DU2"], "several accounts")],
)
def test_another_account_ends_the_attempts_and_nothing_is_sent(
    tws: ScriptedTws, connected: Open, accounts: list[str], words: str
) -> None:
    """Who comes back under another account has not come back (D9, at every reconnect)."""
    broker = connected()
    stream = broker.events()
    tws.accounts = accounts
    tws.say(lambda client: client.reset())
    assert changes(stream, 1) == [False]
    assert ends(stream)
    assert words in (broker.health().error or "")
    assert len(tws.clients) == 2
    with pytest.raises(NotConnectedError):
        broker.place_order(LIMIT)
    assert tws.asked(PlaceOrder) == []


def test_a_client_id_that_our_dead_connection_holds_is_tried_five_times(tws: ScriptedTws, connected: Open) -> None:
    """With the same id: another one would not see our orders."""
    broker = connected()
    stream = broker.events()
    tws.on(StartApi, lambda client, _: client.error(-1, 326, "client id in use"))
    tws.say(lambda client: client.reset())
    assert changes(stream, 1) == [False]
    assert ends(stream)
    assert {start.client_id for start in tws.asked(StartApi)} == {1}
    assert len(tws.asked(StartApi)) == 6
    assert "client id 1 is in use" in (broker.health().error or "")


def test_leaving_ends_the_attempts(tws: ScriptedTws, connected: Open) -> None:
    """No socket is opened for one who has left."""
    broker = connected(reconnect_delay=0.1)
    tws.say(lambda client: client.reset())
    wait_until(lambda: not broker.is_connected)
    broker.disconnect()
    tws.settle()
    made = len(tws.clients)
    Event().wait(0.3)  # time enough for an attempt
    tws.settle()
    assert len(tws.clients) == made
    with pytest.raises(NotConnectedError):
        broker.positions()


def test_pauses_double_up_to_the_longest_and_differ_by_chance() -> None:
    """Five seconds, ten, twenty, forty, sixty from then on: a fifth more or less."""
    found = list(islice(pauses(5.0, 60.0, Random(1)), 7))  # noqa: S311  # of pauses
    bases = (5, 10, 20, 40, 60, 60, 60)
    assert all(0.8 * base <= pause <= 1.2 * base for base, pause in zip(bases, found, strict=True))
    assert len(set(found)) == 7


def test_order_ids_stay_above_all_that_were_used_whatever_tws_says(tws: ScriptedTws, connected: Open) -> None:
    """The user has reset TWS's sequence; an id that comes twice would change an old order."""
    tws.on(PlaceOrder, accept)
    tws.next_id = 40
    broker = connected()
    broker.use_order_ids_above(70)
    first = broker.place_order(LIMIT)
    tws.next_id = 1
    stream = broker.events()
    tws.say(lambda client: client.reset())
    assert changes(stream, 2) == [False, True]
    wait_until(lambda: broker.is_connected)
    assert broker.place_order(LIMIT).order_id > first.order_id > 70


# --- signs of life --------------------------------------------------------------------------------------------------


def test_a_peer_that_falls_silent_is_noticed_within_two_heartbeats(tws: ScriptedTws, connected: Open) -> None:
    """It neither closes nor answers; it is left, and tried again."""
    broker = connected(timing=replace(FAST, heartbeat=0.4, reconcile=60.0))
    stream = broker.events()
    tws.on(ReqCurrentTime, lambda *_: None)
    began = monotonic()
    assert changes(stream, 1) == [False]
    assert monotonic() - began < PATIENCE / 2  # to the tenth of a second it is measured in tests/faults (T10)
    tws.on(ReqCurrentTime, lambda client, _: client.send(CurrentTime(1)))
    assert changes(stream, 1) == [True]
    wait_until(lambda: broker.is_connected)


def test_a_quiet_market_is_no_dead_peer(tws: ScriptedTws, connected: Open) -> None:
    """Asked for the time, TWS answers, and that is enough."""
    broker = connected(timing=replace(FAST, heartbeat=0.8, reconcile=60.0))
    wait_until(lambda: len(tws.asked(ReqCurrentTime)) >= 4)
    assert broker.is_connected
    assert broker.health().reconnects == 0


@pytest.mark.parametrize(("seconds", "refused"), [(0, False), (35, True), (-35, True)])
def test_a_clock_that_is_wrong_by_half_a_minute_sends_no_order_of_real_accounts(
    tws: ScriptedTws, connected: Open, caplog: pytest.LogCaptureFixture, seconds: int, refused: bool
) -> None:
    """Two seconds are told, thirty are refused; a market that is replayed has any time it likes."""
    tws.accounts = ["DU1234567"]
    tws.on(PlaceOrder, accept)
    tws.on(ReqCurrentTime, lambda client, _: client.send(CurrentTime(wall_clock() // NS + seconds)))
    with caplog.at_level(logging.WARNING):
        broker = connected()
        wait_until(lambda: bool(tws.asked(ReqCurrentTime)))
        broker.qualify(NVDA)  # its answer comes after the time's
    if not refused:
        assert broker.place_order(LIMIT).order_id
        return
    with pytest.raises(OrderRefusedError, match="clock"):
        broker.place_order(LIMIT)
    assert tws.asked(PlaceOrder) == []
    assert "set the clock" in caplog.text
    assert "set the clock" in (broker.health().error or "")


class Day:
    """The day's time, which a test can move on at once."""

    def __init__(self) -> None:
        self.ahead = 0

    def begin(self) -> None:
        """Nothing: it runs."""

    def now(self) -> int:
        """The time of day."""
        return wall_clock() + self.ahead

    def seconds_until(self, moment: int) -> float:
        """Real seconds."""
        return (moment - self.now()) / NS


def test_after_a_sleep_of_the_computer_everything_is_old_until_it_was_asked_for(
    tws: ScriptedTws, connected: Open
) -> None:
    """Two hours passed in the lid: quotes are gone, the lists are read and the prices subscribed to anew."""
    day = Day()
    broker = connected(clock=day)
    stream = broker.events(NVDA)
    wait_until(lambda: len(tws.asked(ReqMktData)) == 1)
    looks = len(tws.asked(ReqExecutions))
    day.ahead = 7_200 * NS
    assert changes(stream, 2) == [False, True]
    assert len(tws.asked(ReqExecutions)) == looks + 1
    wait_until(lambda: len(tws.asked(ReqMktData)) > 1)  # it has left, and may still be on its way
    broker.qualify(NVDA)
    assert len(tws.asked(ReqMktData)) == 2
    assert broker.health().reconnects == 0


def test_lists_are_looked_at_again_while_orders_of_ours_work(tws: ScriptedTws, connected: Open) -> None:
    """What one lost frame hid is found; without orders nobody is asked."""
    tws.on(PlaceOrder, accept)
    broker = connected()
    looks = len(tws.asked(ReqExecutions))
    placed = broker.place_order(LIMIT)

    def executed(client: Client, message: ReqExecutions) -> None:
        client.execution(placed.order_id, "a.b.01", 10, "120.5", message.req_id)
        client.send(ExecutionDataEnd(message.req_id))

    tws.on(ReqExecutions, executed)
    wait_until(lambda: broker.trade(placed.order_id).is_done)
    assert len(tws.asked(ReqExecutions)) > looks
    assert [fill.execution.shares for fill in broker.fills()] == [10]


# --- the link to IB -------------------------------------------------------------------------------------------------


def test_quotes_are_old_at_once_when_ib_is_lost_and_until_their_next_tick(tws: ScriptedTws, connected: Open) -> None:
    """1100 and 1102: the subscription is kept, and what it brought before is not shown as if it were new."""
    broker = connected()
    tws.on(ReqMktData, lambda client, message: client.send(*_market(message.req_id, 120.0)))
    quote = broker.quote(NVDA)
    tws.say(lambda client: client.error(-1, 1100, "Connectivity between IB and TWS has been lost."))
    wait_until(lambda: broker.latest_quote(quote.contract) is None)
    tws.say(lambda client: client.error(-1, 1102, "Connectivity has been restored - data maintained."))
    wait_until(lambda: broker.is_connected)
    assert broker.latest_quote(quote.contract) is None
    request = tws.asked(ReqMktData)[-1].req_id
    tws.say(lambda client: client.send(*_market(request, 121.0)))
    wait_until(lambda: broker.latest_quote(quote.contract) is not None)
    assert len(tws.asked(ReqMktData)) == 1


def _market(request: int, price: float) -> tuple[TickPrice, ...]:
    return TickPrice(request, 1, price, 100.0, 0), TickPrice(request, 2, price + 0.01, 100.0, 0)


def test_a_storm_of_lost_links_is_one_change_and_one_line(
    tws: ScriptedTws, connected: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """A thousand times 1100."""
    broker = connected()
    stream = broker.events()
    with caplog.at_level(logging.WARNING):
        tws.say(lambda client: client.send(*[ErrorMessage(-1, 1100, "lost")] * 1000))
        wait_until(lambda: not broker.is_connected)
        tws.say(lambda client: client.error(-1, 1102, "back"))
        assert changes(stream, 2) == [False, True]
    assert sum("1100" in record.getMessage() for record in caplog.records) == 1


def test_a_new_port_of_tws_is_not_followed(tws: ScriptedTws, connected: Open) -> None:
    """1300: somebody has changed the settings; the session ends, and says what to set."""
    broker = connected()
    stream = broker.events()
    tws.say(lambda client: client.error(-1, 1300, "TWS socket port has been reset to 7499"))
    assert changes(stream, 1) == [False]
    assert ends(stream)
    assert "IBKR_PORT" in (broker.health().error or "")
    assert len(tws.clients) == 1


def test_messages_that_cannot_be_understood_end_the_connection_and_it_is_made_anew(
    tws: ScriptedTws, connected: Open
) -> None:
    """507: what follows cannot be trusted."""
    broker = connected()
    stream = broker.events()
    tws.say(lambda client: client.error(-1, 507, "Bad Message Length"))
    assert changes(stream, 2) == [False, True]
    assert len(tws.clients) == 2


# --- orders ---------------------------------------------------------------------------------------------------------


def test_an_order_that_waited_too_long_to_be_written_is_not_sent(tws: ScriptedTws, connected: Open) -> None:
    """The market has gone on; nobody is asked to fill a wish of before."""
    tws.on(PlaceOrder, accept)
    broker = connected(timing=Timing(oldest_order=0.0))
    with pytest.raises(OrderRefusedError, match="has waited"):
        broker.place_order(LIMIT)
    assert tws.asked(PlaceOrder) == []
