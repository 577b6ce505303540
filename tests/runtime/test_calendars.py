"""New York's sessions: holidays, half days, clock changes, and the days after the last."""

from datetime import UTC, date, datetime

import pytest

from src.domain.errors import ConfigurationError
from src.runtime.calendars import nyse_sessions, sessions_between


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(("year", "month", "day"), [(2015, 12, 24), (2026, 11, 27), (2026, 12, 24), (2027, 11, 26)])
def test_half_day_closes_at_one(year: int, month: int, day: int) -> None:
    sessions = nyse_sessions(date(year, month, day), date(year, month, day))
    session = sessions.session_of(at(year, month, day, 15))
    assert session == (at(year, month, day, 14, 30), at(year, month, day, 18))


@pytest.mark.parametrize("day", [date(2026, 11, 26), date(2026, 12, 25), date(2026, 7, 3), date(2018, 12, 5)])
def test_market_is_closed_on_a_holiday(day: date) -> None:
    sessions = nyse_sessions(date(day.year, day.month, 1), date(day.year, day.month, 28))
    assert not any(sessions.is_open(at(day.year, day.month, day.day, hour)) for hour in range(24))
    with pytest.raises(ConfigurationError, match="closed"):
        nyse_sessions(day, day)


def test_open_follows_new_yorks_clock() -> None:
    sessions = nyse_sessions(date(2026, 3, 6), date(2026, 3, 9))
    assert [session.open for session in sessions.between(0, 2**62)] == [at(2026, 3, 6, 14, 30), at(2026, 3, 9, 13, 30)]


def test_whole_days_are_covered_and_not_one_more() -> None:
    sessions = nyse_sessions(date(2026, 11, 2), date(2026, 11, 6))
    assert len(sessions.between(0, 2**62)) == 5
    assert not sessions.is_open(at(2026, 11, 2, 9))
    assert not sessions.is_open(at(2026, 11, 7, 1))
    with pytest.raises(ConfigurationError):
        sessions.is_open(at(2026, 11, 9, 15))


def test_order_after_the_last_close_finds_its_next_open() -> None:
    sessions = sessions_between(at(2026, 11, 23, 15), at(2026, 11, 25, 22))
    assert sessions.next_open(at(2026, 11, 25, 22)) == at(2026, 11, 27, 14, 30)
    assert sessions.close_after(at(2026, 11, 25, 22)) == at(2026, 11, 27, 18)


@pytest.mark.parametrize(
    ("start", "end"),
    [(date(2026, 1, 2), date(2026, 1, 1)), (date(1969, 1, 1), date(2026, 1, 1)), (date(2026, 1, 1), date(2101, 1, 1))],
)
def test_unknown_years_are_refused(start: date, end: date) -> None:
    with pytest.raises(ConfigurationError):
        nyse_sessions(start, end)
