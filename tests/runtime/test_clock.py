"""The clocks that sessions run by, and what turns times into other forms."""

import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from src.runtime.clock import (
    NS,
    ManualClock,
    ReplayClock,
    ScaledClock,
    SystemClock,
    iso,
    monotonic,
    new_session_id,
    to_datetime,
    to_nanoseconds,
    wall_clock,
)

START = 1_748_876_400 * NS


def test_the_system_clock_is_the_time_of_day() -> None:
    """In nanoseconds since 1970."""
    before = wall_clock()
    now = SystemClock().now()
    assert before <= now <= wall_clock()
    assert abs(datetime.now(UTC).timestamp() * NS - now) < 60 * NS
    assert 0 < SystemClock().seconds_until(wall_clock() + 60 * NS) <= 60
    assert SystemClock().seconds_until(before) <= 0


def test_a_scaled_clock_runs_faster_than_the_day() -> None:
    """At a thousand times a market minute is 60 ms."""
    clock = ScaledClock(START, 1_000)
    clock.begin()
    first = clock.now()
    assert first >= START
    assert clock.seconds_until(first + 60 * NS) <= 0.06
    assert clock.seconds_until(first) <= 0
    while clock.now() < first + 10 * NS:  # ten milliseconds
        pass


def test_a_scaled_clock_stands_still_until_its_market_begins() -> None:
    """However long making the market takes; beginning twice changes nothing."""
    clock = ScaledClock(START, 1e9)
    assert {clock.now() for _ in range(100)} == {START}
    assert clock.seconds_until(START + 60 * NS) == 60e-9
    assert clock.seconds_until(START + 17 * 3600 * NS) > 0
    assert clock.now() == START
    clock.begin()
    while (first := clock.now()) == START:
        pass
    clock.begin()
    assert clock.now() >= first


def test_a_scaled_clock_skips_closed_hours_and_not_five_minutes() -> None:
    """A night of seventeen hours takes a market second."""
    clock = ScaledClock(START, 1.0)
    clock.begin()
    assert clock.seconds_until(START + 299 * NS) > 200
    night = START + 17 * 3600 * NS
    assert clock.seconds_until(night) <= 1
    assert night - 2 * NS <= clock.now() < night + 100 * NS


def test_a_replays_next_moment_has_always_come() -> None:
    """However far it is."""
    clock = ReplayClock(START)
    assert clock.now() == START
    assert clock.seconds_until(START + 10**18) == 0


def test_a_manual_clock_moves_only_by_hand() -> None:
    """The distance is in market seconds."""
    clock = ManualClock(START)
    assert (clock.now(), clock.seconds_until(START + 5 * NS)) == (START, 5.0)
    clock.move_to(START + 7 * NS)
    assert (clock.now(), clock.seconds_until(START + 5 * NS)) == (START + 7 * NS, -2.0)


def test_durations_come_from_a_clock_that_never_goes_back() -> None:
    """Many readings, none before the one before."""
    readings = [monotonic() for _ in range(1_000)]
    assert readings == sorted(readings)


def test_session_ids_are_unique_and_fit_for_an_order_reference() -> None:
    """Ten characters of base32."""
    ids = {new_session_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(re.fullmatch("[a-z2-7]{10}", each) for each in ids)


@given(st.integers(0, 4_102_444_800 * 1_000_000))
def test_a_datetime_and_its_nanoseconds_are_one_moment(microseconds: int) -> None:
    """To the microsecond, through 2099."""
    moment = microseconds * 1_000
    assert to_datetime(moment) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert to_nanoseconds(to_datetime(moment)) == moment


def test_zones_are_understood_and_a_naive_time_is_utc() -> None:
    """Noon in New York's summer is 16:00 UTC."""
    noon = datetime(2025, 6, 2, 12, tzinfo=timezone(timedelta(hours=-4)))
    assert to_nanoseconds(noon) == to_nanoseconds(datetime(2025, 6, 2, 16, tzinfo=UTC))
    assert to_nanoseconds(noon.astimezone(UTC).replace(tzinfo=None)) == to_nanoseconds(noon)
    assert iso(to_nanoseconds(noon) + 999_999_999) == "2025-06-02T16:00:00Z"
