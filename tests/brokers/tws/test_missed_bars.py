"""Bars that end while TWS is away: fetched once it is back, told in order, once, and as what they are."""

from collections.abc import Iterator

import pytest

from src.brokers.tws import live_bars
from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.timing import Timing
from src.domain.events import BarClosed, BarsMissed
from src.domain.market import BarSize, Contract
from src.gateways.tws_codec import HistoricalBar, HistoricalData, RealTimeBar, ReqHistoricalData, ReqRealTimeBars
from src.runtime.bridge import EventStream
from src.runtime.clock import NS, ManualClock
from tests.brokers.tws.scripted import Client, ScriptedTws, wait_until

NVDA = Contract("NVDA")
MINUTE = 60
#: A full minute that is past, by epoch seconds.
START = 1_760_000_040 // MINUTE * MINUTE


class Stage:
    """A broker whose clock a test moves, and a reader of its bars."""

    def __init__(self, tws: ScriptedTws) -> None:
        self.tws, self.clock = tws, ManualClock(START * NS)
        never = Timing(slept=10.0**9, longest_pause=0.05)
        self.broker: TwsBroker = tws.broker(timing=never, clock=self.clock, reconnect_delay=0.02)
        self.broker.connect()
        self.stream: EventStream = self.broker.events(NVDA, bars=BarSize.MIN_1)
        self._subscribed()

    def _subscribed(self, times: int = 1) -> None:
        wait_until(lambda: len(self.tws.asked(ReqRealTimeBars)) == times)

    def fives(self, first: int, last: int) -> None:
        """Five-second bars from second to second after the start, and the clock at their end."""
        self.clock.move_to((START + last) * NS)
        request = self.tws.asked(ReqRealTimeBars)[-1].req_id
        bars = [
            RealTimeBar(request, START + second, 1.0, 2.0, 0.5, 1.5, 10, 1.0, 1) for second in range(first, last, 5)
        ]
        self.tws.say(lambda client: client.send(*bars))

    def lose(self, until: int, *, times: int) -> None:
        """The connection is lost, and back when the clock stands so many seconds after the start."""
        self.clock.move_to((START + until) * NS)
        self.tws.say(lambda client: client.reset())
        wait_until(lambda: self.broker.health().reconnects == times)
        self._subscribed(times + 1)

    def told(self, count: int) -> list[tuple[type, int]]:
        """The next bars: what kind of event, and how many seconds after the start each ends."""
        found = list[tuple[type, int]]()
        while len(found) < count:
            event = self.stream.next(timeout=60)
            assert event is not None
            if isinstance(event, BarClosed | BarsMissed):
                [bar] = event.bars
                found.append((type(event), bar.end // NS - START))
        return found

    def nothing_more(self) -> bool:
        """Whether no further bar was told."""
        return not any(isinstance(event, BarClosed | BarsMissed) for event in self.stream.arrived())


def has(client: Client, message: ReqHistoricalData) -> None:
    """History has every minute of an hour."""
    bars = tuple(HistoricalBar(str(START + MINUTE * each), 1.0, 3.0, 0.5, 1.5, 10, 1.0, 3) for each in range(60))
    client.send(HistoricalData(message.req_id, "", "", bars))


@pytest.fixture
def stage(tws: ScriptedTws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(live_bars, "_PATIENCE", 2.0)  # with a market that says nothing more
    monkeypatch.setattr(live_bars, "_CHECK_SECONDS", 0.2)
    tws.on(ReqHistoricalData, has)
    found = Stage(tws)
    yield found
    found.broker.disconnect()


def test_what_ended_meanwhile_is_told_before_what_ends_next(stage: Stage) -> None:
    """Lost in the second minute, back in the sixth: the rest of the second, the third to fifth, and the sixth whole."""
    stage.fives(0, 75)
    assert stage.told(1) == [(BarClosed, 60)]
    stage.lose(330, times=1)
    assert stage.told(4) == [(BarsMissed, 120), (BarsMissed, 180), (BarsMissed, 240), (BarsMissed, 300)]
    stage.fives(330, 420)
    assert stage.told(2) == [(BarClosed, 360), (BarClosed, 420)]
    assert stage.nothing_more()


def test_a_bar_that_ends_before_the_first_seconds_come_is_not_lost_either(stage: Stage) -> None:
    stage.fives(0, 60)
    assert stage.told(1) == [(BarClosed, 60)]
    stage.lose(175, times=1)
    stage.fives(180, 240)
    assert stage.told(3) == [(BarsMissed, 120), (BarsMissed, 180), (BarClosed, 240)]
    assert stage.nothing_more()


def test_lost_again_while_it_is_asked_each_bar_is_told_once(stage: Stage) -> None:
    stage.fives(0, 60)
    assert stage.told(1) == [(BarClosed, 60)]
    stage.tws.on(ReqHistoricalData, None)
    stage.lose(190, times=1)
    wait_until(lambda: len(stage.tws.asked(ReqHistoricalData)) == 1)
    stage.tws.on(ReqHistoricalData, has)
    stage.lose(250, times=2)
    assert stage.told(3) == [(BarsMissed, 120), (BarsMissed, 180), (BarsMissed, 240)]
    stage.fives(250, 300)
    assert stage.told(1) == [(BarClosed, 300)]
    assert stage.nothing_more()


def test_what_history_does_not_have_is_left_out_with_a_word(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.fives(0, 60)
    assert stage.told(1) == [(BarClosed, 60)]
    stage.tws.on(ReqHistoricalData, lambda client, message: client.error(message.req_id, 162, "No permissions"))
    stage.lose(180, times=1)
    stage.fives(180, 240)
    assert stage.told(1) == [(BarClosed, 240)]
    assert "bars of NVDA that were not seen are left out (2)" in caplog.text


def test_a_link_that_was_lost_leaves_no_hole(stage: Stage) -> None:
    """1100 and 1102: the subscription goes on, the bars of meanwhile never came."""
    stage.fives(0, 75)
    assert stage.told(1) == [(BarClosed, 60)]
    stage.tws.say(lambda client: client.error(-1, 1100, "lost"))
    wait_until(lambda: not stage.broker.is_connected)
    stage.clock.move_to((START + 190) * NS)
    stage.tws.say(lambda client: client.error(-1, 1102, "restored"))
    assert stage.told(2) == [(BarsMissed, 120), (BarsMissed, 180)]
    stage.fives(190, 240)
    assert stage.told(1) == [(BarClosed, 240)]
    assert stage.nothing_more()


def test_before_anything_was_told_the_time_of_listening_counts(stage: Stage) -> None:
    stage.fives(0, 15)
    stage.lose(130, times=1)
    assert stage.told(2) == [(BarsMissed, 60), (BarsMissed, 120)]
