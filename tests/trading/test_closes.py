"""New York's closes as a session asks for them."""

from datetime import UTC, datetime

import pytest

from src.trading.closes import NyseCloses


def at(text: str) -> int:
    """Epoch nanoseconds of a UTC time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("moment", "close"),
    [
        ("2019-02-11T15:00", "2019-02-11T21:00"),
        ("2019-02-11T21:00", "2019-02-12T21:00"),
        ("2018-12-24T10:00", "2018-12-24T18:00"),  # a half day
        ("2018-12-24T18:00", "2018-12-26T21:00"),  # Christmas
        ("2019-03-08T21:00", "2019-03-11T20:00"),  # the clocks change over the weekend
    ],
)
def test_the_next_close_is_the_calendars(moment: str, close: str) -> None:
    """Regular days, half days, holidays, and both sides of a change of clocks."""
    assert NyseCloses()(at(moment)) == at(close)


def test_it_goes_on_for_years() -> None:
    """A long replay walks from close to close without an end of the table."""
    closes, moment, count = NyseCloses(), at("2017-06-01T12:00"), 0
    while (following := closes(moment)) is not None and following < at("2019-06-01T12:00"):
        assert following > moment
        moment, count = following, count + 1
    assert count == 503
