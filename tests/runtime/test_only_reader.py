"""A replay's only reader is handed the instants without a queue; whatever gets in between, it misses nothing."""

from threading import Thread

import pytest

from src.domain.events import BarClosed, Event, Filled, OrderChanged
from src.domain.market import BarSize
from src.runtime.bridge import EventStream
from src.runtime.venue import Venue
from tests.runtime.markets import AAA, ACCOUNT, BBB, at, bar, bars, buy, venue

MINUTES = 400


def reader_of(market: Venue) -> EventStream:
    return market.listen(ACCOUNT, (AAA, BBB), BarSize.MIN_1)


def ends(events: list[Event]) -> list[int]:
    return [event.bars[0].end for event in events if isinstance(event, BarClosed)]


def every_end(count: int) -> list[int]:
    return [at(60 * index + 60) for index in range(count)]


def test_what_happens_in_an_instant_is_told_before_its_bars() -> None:
    market = venue(bars(3))
    with reader_of(market) as stream:
        assert isinstance(stream.next(), BarClosed)
        market.submit(ACCOUNT, buy(1))
        kinds = [type(event) for event in iter(stream.next, None)]
    assert kinds.index(Filled) < kinds.index(BarClosed)
    assert kinds.count(BarClosed) == 2


def test_a_second_listener_gets_its_part_from_then_on() -> None:
    market = venue(bars(5))
    with reader_of(market) as stream:
        seen: list[Event] = [event for event in (stream.next(), stream.next()) if event]
        with reader_of(market) as other:
            seen += [event for event in (stream.next(), stream.next()) if event]
        assert ends(list(other.unread)) == every_end(4)[2:]
        seen += iter(stream.next, None)
    assert ends(seen) == every_end(5)


def test_a_bar_that_no_market_could_have_traded_does_not_end_the_stream() -> None:
    instants = bars(4)
    wrong = bar(1, 100.0)._replace(low=float("nan"))
    instants[1] = instants[1]._replace(bars=(wrong, instants[1].bars[1]))
    market = venue(instants)
    with reader_of(market) as stream:
        seen: list[Event] = [event for event in (stream.next(),) if event]
        with pytest.raises(ValueError, match="a bar needs finite prices"):
            stream.next()
        seen += iter(stream.next, None)
    assert ends(seen) == [at(60), at(180), at(240)]


def test_commands_come_from_other_threads_while_it_reads() -> None:
    market = venue(bars(MINUTES))

    def trade() -> None:
        for _ in range(50):
            market.submit(ACCOUNT, buy(1))

    traders = [Thread(target=trade) for _ in range(4)]
    with reader_of(market) as stream:
        for trader in traders:
            trader.start()
        seen: list[Event] = [event for _ in range(MINUTES // 2) if (event := stream.next())]
        for trader in traders:
            trader.join()
        seen += iter(stream.next, None)
    assert ends(seen) == every_end(MINUTES)
    told = [event.trade.order_id for event in seen if isinstance(event, OrderChanged)]
    assert len(set(told)) == 200
