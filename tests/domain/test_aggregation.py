"""Larger bars are exactly their smaller ones, on the clock's own boundaries, and nothing is held back or seen early."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.aggregation import BarAggregator, aggregate
from src.domain.market import Bar, BarSize, Contract

NS = 1_000_000_000
MINUTE = 60 * NS
MSFT = Contract("MSFT")


def at(text: str) -> int:
    """Epoch nanoseconds of a UTC time like 2019-02-11T14:30."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS


def minute(start: int, close: float = 100.0, volume: float = 10.0) -> Bar:
    """A one-minute bar that moves half a dollar around its close."""
    return Bar(MSFT, start, start + MINUTE, close - 0.25, close + 0.5, close - 0.5, close, volume)


def test_five_minutes_become_one_bar_at_the_moment_the_fifth_closes() -> None:
    """The bar is out with the minute that completes it, not with the next one."""
    aggregator, start = BarAggregator(300), at("2019-02-11T14:30")
    out = [aggregator.add(minute(start + i * MINUTE, 100.0 + i)) for i in range(5)]
    assert out[:4] == [()] * 4
    assert out[4] == (Bar(MSFT, start, start + 5 * MINUTE, 99.75, 104.5, 99.5, 104.0, 50.0),)


def test_a_gap_closes_the_bar_before_it() -> None:
    """Minutes 14:31 then 14:47: the first bar comes out early, whole bucket in its stamps."""
    aggregator = BarAggregator(300)
    assert aggregator.add(minute(at("2019-02-11T14:31"))) == ()
    (closed,) = aggregator.add(minute(at("2019-02-11T14:47")))
    assert (closed.start, closed.end) == (at("2019-02-11T14:30"), at("2019-02-11T14:35"))
    (rest,) = aggregator.flush()
    assert (rest.start, rest.end) == (at("2019-02-11T14:45"), at("2019-02-11T14:50"))


def test_a_gap_up_to_a_completing_minute_closes_two_bars_in_order() -> None:
    """The bar before the gap and the bar the minute completes come together, oldest first."""
    aggregator = BarAggregator(300)
    aggregator.add(minute(at("2019-02-11T14:30")))
    closed = aggregator.add(minute(at("2019-02-11T14:39")))
    assert [bar.start for bar in closed] == [at("2019-02-11T14:30"), at("2019-02-11T14:35")]
    assert aggregator.flush() == ()


def test_day_bars_follow_new_york_dates_not_utc() -> None:
    """After-hours minutes past midnight UTC belong to the evening's New York date."""
    times = ("2019-02-11T14:30", "2019-02-11T20:59", "2019-02-12T00:30", "2019-02-12T14:30")
    days = aggregate([minute(at(text)) for text in times], 86_400)
    assert [(bar.start, bar.end, bar.volume) for bar in days] == [
        (at("2019-02-11T14:30"), at("2019-02-12T00:31"), 30.0),
        (at("2019-02-12T14:30"), at("2019-02-12T14:31"), 10.0),
    ]


def test_the_day_the_clocks_change_is_one_day() -> None:
    """2019-03-10 has 23 hours in New York and still makes one bar."""
    hours = range(at("2019-03-10T05:00"), at("2019-03-11T04:00"), 3600 * NS)
    (day,) = aggregate([minute(start) for start in hours], 86_400)
    assert day.volume == 230.0


def test_bars_out_of_order_are_refused() -> None:
    """An older bar can not be merged into the past, in the same bucket or in another."""
    for later, earlier in (("14:33", "14:32"), ("14:50", "14:32"), ("14:34", "14:33")):
        aggregator = BarAggregator(300)
        aggregator.add(minute(at(f"2019-02-11T{later}")))
        with pytest.raises(ValueError, match="time's order"):
            aggregator.add(minute(at(f"2019-02-11T{earlier}")))


@pytest.mark.parametrize("seconds", [0, -60, 7, 86_400 * 2])
def test_a_length_that_does_not_divide_a_day_is_refused(seconds: int) -> None:
    """Buckets must meet at midnight."""
    with pytest.raises(ValueError, match="divide a day"):
        BarAggregator(seconds)


def test_a_bar_larger_than_its_bucket_is_refused() -> None:
    """Hours can not be cut into minutes."""
    start = at("2019-02-11T14:00")
    with pytest.raises(ValueError, match="beyond"):
        BarAggregator(60).add(minute(start)._replace(end=start + 60 * MINUTE))


steps = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 10_000), st.integers(0, 1000)), min_size=1, max_size=300)


@given(steps, st.sampled_from([size for size in BarSize if size is not BarSize.DAY_1]))
def test_every_larger_bar_is_the_summary_of_its_minutes(moves: list[tuple[int, int, int]], size: BarSize) -> None:
    """Against the definition: group minutes by their bucket; first, max, min, last, sum. Nothing lost, all in order."""
    start, minutes = at("2019-02-11T14:30"), []
    for gap, cents, volume in moves:
        start += gap * MINUTE
        minutes.append(minute(start, cents / 100, float(volume)))
    length = size.seconds * NS
    groups: dict[int, list[Bar]] = {}
    for bar in minutes:
        groups.setdefault(bar.start // length, []).append(bar)
    expected = tuple(
        Bar(
            MSFT,
            bucket * length,
            (bucket + 1) * length,
            group[0].open,
            max(bar.high for bar in group),
            min(bar.low for bar in group),
            group[-1].close,
            sum(bar.volume for bar in group),
        )
        for bucket, group in groups.items()
    )
    assert aggregate(minutes, size.seconds) == expected
    assert all(one.end <= two.start for one, two in pairwise(expected))
