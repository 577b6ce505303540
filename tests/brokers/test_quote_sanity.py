"""A quote that makes no sense, and the three after it that do."""

from math import inf, nan

import pytest

from src.brokers.quote_sanity import QuoteSanity, senseless
from src.domain.market import Contract, Quote, Source

NVDA, MSFT = Contract("NVDA", con_id=1), Contract("MSFT", con_id=2)


def quote(time: int, bid: float = 99.0, ask: float = 101.0, last: float = 100.0) -> Quote:
    """A live quote that came at `time`."""
    return Quote(NVDA, time, bid, ask, 100, 100, last, Source.LIVE)


@pytest.mark.parametrize(
    ("bid", "ask", "last", "word"),
    [
        (99.0, 101.0, 100.0, ""),
        (99.0, 101.0, 129.9, ""),
        (99.0, 101.0, 130.0, "30% from 100"),
        (99.0, 101.0, 70.0, "30% from 100"),
        (99.0, 101.0, nan, ""),
        (99.0, 101.0, -1.0, ""),
        (101.0, 99.0, 100.0, "crossed"),
        (100.0, 100.0, 100.0, "locked"),
        (99.0, 1e308, 100.0, "100% from"),
        (nan, 101.0, 500.0, ""),
        (99.0, inf, 500.0, ""),
        (0.0, 0.0, 500.0, ""),
    ],
)
def test_what_makes_a_quote_senseless(bid: float, ask: float, last: float, word: str) -> None:
    why = senseless(quote(1, bid, ask, last), had_spread=True)
    assert word in why
    assert bool(why) is bool(word)


def test_a_symbol_is_traded_again_after_three_quotes_that_make_sense() -> None:
    sanity = QuoteSanity()
    assert sanity.take(NVDA, quote(1)) == ""
    assert "3 that make sense" in sanity.take(NVDA, quote(2, last=900.0))
    assert sanity.suspects == (NVDA,)
    assert "2 that make sense" in sanity.take(NVDA, quote(3))
    assert "1 that make" in sanity.take(NVDA, quote(4))
    assert sanity.take(NVDA, quote(5)) == ""
    assert not sanity.suspects


def test_another_that_makes_none_begins_the_count_anew() -> None:
    sanity = QuoteSanity()
    for time, last in enumerate((900.0, 100.0, 100.0, 900.0, 100.0, 100.0)):
        assert sanity.take(NVDA, quote(time, last=last))
    assert sanity.take(NVDA, quote(6)) == ""


def test_a_quote_counts_once_and_only_with_two_sides() -> None:
    """Who asks often hastens nothing, and what is not said shows nothing."""
    sanity = QuoteSanity()
    sanity.take(NVDA, quote(1, bid=102.0))
    for each in (quote(2), quote(2), quote(1), quote(3, bid=nan), quote(4, ask=nan)):
        assert "2 that make sense" in sanity.take(NVDA, each)


def test_one_symbols_quotes_are_not_held_against_another() -> None:
    sanity = QuoteSanity()
    sanity.take(NVDA, quote(1, bid=102.0))
    assert sanity.take(MSFT, quote(1)._replace(contract=MSFT)) == ""
    assert sanity.contracts == (NVDA, MSFT)


def test_a_market_that_has_never_had_a_spread_may_be_locked() -> None:
    """A replay of bars has the last price for both sides; where there was a spread, one price for both is wrong."""
    sanity = QuoteSanity()
    assert sanity.take(NVDA, quote(1, bid=100.0, ask=100.0)) == ""
    assert sanity.take(NVDA, quote(2)) == ""
    assert "locked" in sanity.take(NVDA, quote(3, bid=100.0, ask=100.0))
