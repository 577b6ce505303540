"""A session table answers for the time it covers, and refuses the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.errors import ConfigurationError
from src.exchange.sessions import Session, Sessions

TABLE = Sessions([100, 300], [200, 350], covers=(50, 400))


def test_market_is_open_from_its_open_to_just_before_its_close() -> None:
    assert [TABLE.is_open(now) for now in (50, 99, 100, 199, 200, 299, 300, 349, 350, 400)] == [
        False, False, True, True, False, False, True, True, False, False,
    ]  # fmt: skip


def test_next_open_is_the_first_after_now_even_at_an_open() -> None:
    assert (TABLE.next_open(50), TABLE.next_open(99), TABLE.next_open(100), TABLE.next_open(250)) == (
        100,
        100,
        300,
        300,
    )


def test_close_after_is_of_the_session_in_progress_or_of_the_next() -> None:
    assert (TABLE.close_after(60), TABLE.close_after(150), TABLE.close_after(200)) == (200, 200, 350)


def test_session_of_names_open_and_close_only_while_open() -> None:
    assert TABLE.session_of(150) == Session(100, 200)
    assert TABLE.session_of(200) is None


@pytest.mark.parametrize("now", [49, 401])
def test_time_outside_the_table_is_refused(now: int) -> None:
    for ask in (TABLE.is_open, TABLE.next_open, TABLE.close_after, TABLE.session_of):
        with pytest.raises(ConfigurationError, match="session table"):
            ask(now)


def test_open_or_close_beyond_the_last_session_is_refused_not_denied() -> None:
    with pytest.raises(ConfigurationError, match="open after"):
        TABLE.next_open(300)
    with pytest.raises(ConfigurationError, match="close after"):
        TABLE.close_after(350)


def test_market_that_never_closes_is_always_open_and_has_no_close() -> None:
    always = Sessions.always()
    assert always.is_always
    assert always.is_open(-1)
    assert always.is_open(10**20)
    assert [always.next_open(5), always.close_after(5), always.session_of(5), always.covers] == [None] * 4
    assert always.between(0, 10**19) == ()


@pytest.mark.parametrize(
    ("opens", "closes"), [([], []), ([1], [1]), ([2], [1]), ([1, 2], [3, 4]), ([5, 1], [6, 2]), ([1], [2, 3])]
)
def test_table_out_of_order_is_refused(opens: list[int], closes: list[int]) -> None:
    with pytest.raises(ConfigurationError):
        Sessions(opens, closes)


def test_table_that_does_not_cover_its_own_sessions_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cover"):
        Sessions([10], [20], covers=(10, 19))


@given(st.lists(st.integers(1, 50), min_size=2, max_size=40), st.integers(0, 2100), st.integers(0, 2100))
def test_answers_agree_with_a_plain_search(lengths: list[int], first: int, second: int) -> None:
    edges = [sum(lengths[: i + 1]) for i in range(len(lengths) // 2 * 2)]
    opens, closes = edges[::2], edges[1::2]
    table = Sessions(opens, closes, covers=(0, 2100))
    pairs = list(zip(opens, closes, strict=True))
    assert table.is_open(first) == any(o <= first < c for o, c in pairs)
    start, end = sorted((first, second))
    assert list(table.between(start, end)) == [(o, c) for o, c in pairs if o < end and c > start and start < end]
    later = [o for o in opens if o > first]
    if later:
        assert table.next_open(first) == min(later)
