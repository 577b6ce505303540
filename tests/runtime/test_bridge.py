"""The queue between a market and its one reader: order, conflation, waiting, the end."""

import threading

import pytest

from src.domain.events import ConnectionChanged, Event, QuoteChanged
from src.domain.market import Contract, Mode, Quote, Source
from src.runtime.bridge import EventStream
from src.runtime.clock import monotonic

PATIENCE = 40.0


def fact(number: int) -> ConnectionChanged:
    """Some event that is never conflated."""
    return ConnectionChanged(Mode.SIMULATED, connected=True, reason=str(number))


def quoted(con_id: int, bid: float) -> QuoteChanged:
    return QuoteChanged(Quote(Contract("X", con_id=con_id), 0, bid, bid + 1, 1, 1, bid, Source.SIMULATED))


def stream_that_waits(seconds: float | None = PATIENCE) -> EventStream:
    """A stream whose source has nothing by itself, and says when to ask again."""
    return EventStream(lambda: seconds, lambda _: None)


def test_events_come_in_order() -> None:
    """First in, first out."""
    stream = stream_that_waits(None)
    for number in range(100):
        stream.publish(fact(number))
    assert list(stream) == [fact(number) for number in range(100)]
    assert stream.ended


def test_quotes_are_conflated_per_contract_where_the_first_of_them_stood() -> None:
    """The newest one takes the place of those before; other contracts and other events stay."""
    stream = stream_that_waits(None)
    events: list[Event] = [quoted(1, 10), fact(1), quoted(2, 20), quoted(1, 11), fact(2), quoted(2, 21), quoted(1, 12)]
    for event in events:
        stream.publish(event)
    assert list(stream) == [quoted(1, 12), fact(1), quoted(2, 21), fact(2)]


def test_a_quote_after_one_that_was_read_is_a_new_event() -> None:
    """Conflation is for a reader who was away."""
    stream = stream_that_waits(0.0)
    for bid in (1, 2):
        stream.publish(quoted(1, bid))
        assert stream.next(0) == quoted(1, bid)


def test_the_pump_is_asked_only_when_nothing_is_left() -> None:
    """A replay's market waits for its reader."""
    asked: list[int] = []

    def pump() -> float | None:
        asked.append(len(asked))
        if len(asked) > 3:
            return None
        stream.publish(fact(len(asked)))
        stream.publish(fact(-len(asked)))
        return 0.0

    stream = EventStream(pump, lambda _: None)
    assert stream.next() == fact(1)
    assert asked == [0]
    assert stream.next() == fact(-1)
    assert asked == [0]
    assert list(stream) == [fact(2), fact(-2), fact(3), fact(-3)]


def test_what_the_last_pump_brought_is_not_lost() -> None:
    """The source ends with an event still in the queue."""

    def pump() -> float | None:
        if not stream.ended and not seen:
            stream.publish(fact(1))
        return None

    seen: list[Event] = []
    stream = EventStream(pump, lambda _: None)
    first = stream.next()
    assert first == fact(1)
    seen.append(first)
    assert stream.next() is None
    assert stream.ended


@pytest.mark.parametrize("timeout", [0, 0.02])
def test_a_timeout_gives_none_and_does_not_end_the_stream(timeout: float) -> None:
    """Zero is a question without waiting."""
    stream = stream_that_waits()
    begun = monotonic()
    assert stream.next(timeout) is None
    assert timeout <= monotonic() - begun < PATIENCE / 2
    assert not stream.ended
    stream.publish(fact(1))
    assert stream.next(0) == fact(1)


def test_an_event_from_another_thread_wakes_the_reader() -> None:
    """Long before the source would have been asked again."""
    stream = stream_that_waits()
    found: list[Event | None] = []
    reader = threading.Thread(target=lambda: found.append(stream.next()))
    reader.start()
    stream.publish(fact(1))
    reader.join(PATIENCE / 2)
    assert found == [fact(1)]


def test_closing_wakes_the_reader_who_then_gets_nothing() -> None:
    """Also when events are left: the session is over."""
    closed: list[EventStream] = []
    stream = EventStream(lambda: PATIENCE, closed.append)
    found: list[Event | None] = [fact(0)]
    reader = threading.Thread(target=lambda: found.append(stream.next()))
    reader.start()
    stream.close()
    reader.join(PATIENCE / 2)
    assert found == [fact(0), None]
    assert closed == [stream]
    stream.publish(fact(1))
    assert stream.next() is None


def test_a_with_block_closes_the_stream() -> None:
    """And tells its source."""
    closed: list[EventStream] = []
    with EventStream(lambda: None, closed.append) as stream:
        assert closed == []
    assert closed == [stream]


def test_nothing_is_lost_or_doubled_between_eight_writers_and_one_reader() -> None:
    """Every event once, each writer's in its order."""
    stream = stream_that_waits(0.001)

    def write(writer: int) -> None:
        for index in range(500):
            stream.publish(fact(writer * 1000 + index))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    found: list[int] = []
    while len(found) < 4_000:
        event = stream.next(PATIENCE)
        assert isinstance(event, ConnectionChanged)
        found.append(int(event.reason))
    for writer in writers:
        writer.join(PATIENCE)
    assert not stream.unread
    for number in range(8):
        assert [each for each in found if each // 1000 == number] == [number * 1000 + index for index in range(500)]
