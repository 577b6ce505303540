"""Seeded prices: the same however they are cut, correlated, clustered, U shaped, and without drift."""

from datetime import UTC, date, datetime
from itertools import takewhile
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from src.domain.errors import ConfigurationError, NoMarketDataError, UnknownContractError
from src.domain.market import Bar, Contract, Quote, Source
from src.exchange.listings import Listing, listings
from src.exchange.prices import Instant, PriceSource, SeededSource
from src.exchange.prices.intraday import SessionPrices
from src.exchange.prices.paths import Block, Paths
from src.exchange.sessions import Sessions

SECOND = 10**9
DAY = 86_400 * SECOND
KNOWN = {known.symbol: known for known in listings()}
NVDA, MSFT, AAPL, SPY = (KNOWN[symbol] for symbol in ("NVDA", "MSFT", "AAPL", "SPY"))


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[misc, arg-type]


def weekdays(first: date, count: int, seconds: int) -> Sessions:
    """Sessions of `seconds` from 14:30 UTC on each weekday."""
    days = (date.fromordinal(first.toordinal() + i) for i in range(count))
    opens = [at(day.year, day.month, day.day, 14, 30) for day in days if day.weekday() < 5]
    covers = (opens[0] - DAY, opens[-1] + DAY)
    return Sessions(opens, [start + seconds * SECOND for start in opens], covers=covers)


SHORT = weekdays(date(2026, 11, 2), 14, 600)
OPEN = at(2026, 11, 3, 14, 30)


def source(
    *known: Listing, seed: int = 1, sessions: Sessions = SHORT, start: int = OPEN, **options: int
) -> SeededSource:
    return SeededSource(known or (NVDA, MSFT), seed, sessions, start, **options)


def walk(prices: PriceSource, until: int) -> list[Instant]:
    """The instants until `until`."""
    return list(takewhile(lambda instant: instant.time <= until, prices.instants()))


def quotes_of(instants: list[Instant]) -> dict[tuple[str, int], Quote]:
    return {(quote.contract.symbol, quote.time): quote for instant in instants for quote in instant.quotes}


def bars_of(instants: list[Instant]) -> list[Bar]:
    return [bar for instant in instants for bar in instant.bars]


def daily_bars(known: Listing, seed: int, sessions: Sessions, size: int = 86_400) -> list[Bar]:
    covers = sessions.covers
    assert covers is not None
    return source(known, seed=seed, sessions=sessions, start=covers[1]).history(known.contract, size, 10**6, covers[1])


def relative(after: list[float], before: list[float]) -> "NDArray[np.float64]":
    ratios: NDArray[np.float64] = np.array(after) / np.array(before)
    return ratios - 1


@given(
    st.integers(0, 1200),
    st.sampled_from([1, 2, 5, 60]),
    st.sampled_from(["sessions", "always"]),
    st.sampled_from([5, 60]),
)
@settings(max_examples=25, deadline=None)
def test_path_does_not_depend_on_start_or_step(late: int, step: int, hours: str, bar: int) -> None:
    sessions = SHORT if hours == "sessions" else Sessions.always()
    until = OPEN + 700 * SECOND
    whole = walk(source(sessions=sessions, bar_seconds=bar), until)
    part = walk(source(sessions=sessions, bar_seconds=bar, step_seconds=step, start=OPEN + late * SECOND // 3), until)
    every, some = quotes_of(whole), quotes_of(part)
    assert len(some) >= 2 * ((600 - late // 3) // 60 - 1) >= 4
    assert all(every[key] == quote for key, quote in some.items())
    assert bars_of(part) == [b for b in bars_of(whole) if b.end >= OPEN + late * SECOND / 3]


def test_path_crosses_days_alike_from_any_start() -> None:
    until = at(2026, 11, 5, 15)
    late = at(2026, 11, 5, 14, 33)
    whole, part = walk(source(step_seconds=60), until), walk(source(step_seconds=60, start=late), until)
    assert [instant for instant in whole if instant.time >= late] == part
    assert len(part) == 8


def test_symbol_moves_alike_alone_and_in_company() -> None:
    alone = quotes_of(walk(source(MSFT), OPEN + 300 * SECOND))
    together = quotes_of(walk(source(NVDA, AAPL, MSFT), OPEN + 300 * SECOND))
    assert len(alone) == 301
    assert all(together[key] == quote for key, quote in alone.items())


def test_seeds_differ() -> None:
    one, other = (walk(source(seed=seed), OPEN + 60 * SECOND) for seed in (1, 2))
    assert one[-1].quotes != other[-1].quotes


def test_an_instant_each_second_with_every_contract_and_bars_at_their_ends() -> None:
    instants = walk(source(), OPEN + 600 * SECOND)
    assert [instant.time for instant in instants] == [OPEN + i * SECOND for i in range(601)]
    for i, instant in enumerate(instants[:-1]):
        assert [quote.contract.symbol for quote in instant.quotes] == ["NVDA", "MSFT"]
        assert all(quote.time == instant.time for quote in instant.quotes)
        assert len(instant.bars) == (2 if i and i % 60 == 0 else 0)
    assert instants[-1].quotes == ()
    assert [bar.end for bar in instants[-1].bars] == [OPEN + 600 * SECOND] * 2


def test_bars_are_the_prints_they_cover() -> None:
    instants = walk(source(), OPEN + 600 * SECOND)
    prints = {key: quote.last for key, quote in quotes_of(instants).items()}
    bars = bars_of(instants)
    assert len(bars) == 20
    for bar in bars:
        seen = [prints[bar.contract.symbol, time] for time in range(bar.start, bar.end, SECOND)]
        assert (bar.open, bar.high, bar.low, bar.close) == (seen[0], max(seen), min(seen), seen[-1])
        assert bar.volume >= 1
        assert bar.volume == int(bar.volume)


def test_quotes_are_whole_cents_around_the_print_and_as_wide_as_the_listing_says() -> None:
    quotes = list(quotes_of(walk(source(), OPEN + 600 * SECOND)).values())
    widths = {round((quote.ask - quote.bid) * 100, 6) for quote in quotes}
    assert widths == {1.0, 2.0}
    for quote in quotes:
        assert quote.bid <= quote.last <= quote.ask
        assert all(price == round(price, 2) for price in (quote.bid, quote.ask, quote.last))
        assert quote.bid_size > 0 < quote.ask_size
        assert quote.source is Source.SIMULATED
    assert len({quote.bid_size for quote in quotes}) > 3


def test_round_the_clock_prices_go_on_through_midnight() -> None:
    midnight = at(2026, 11, 4)
    prices = source(NVDA, sessions=Sessions.always(), start=midnight - 300 * SECOND)
    instants = walk(prices, midnight + 300 * SECOND)
    assert [instant.time for instant in instants] == [midnight + i * SECOND for i in range(-300, 301)]
    assert all(len(instant.quotes) == 1 for instant in instants)
    assert [bar.end for bar in bars_of(instants)] == [midnight + i * 60 * SECOND for i in range(-5, 6)]
    prints = {instant.time: instant.quotes[0].last for instant in instants}
    assert all(bar.open == prints[bar.start] for bar in bars_of(instants)[1:])
    last = np.array(list(prints.values()))
    assert np.abs(np.diff(last)).max() < 0.002 * last[0]


def test_start_at_midnight_has_the_bar_that_just_ended() -> None:
    midnight = at(2026, 11, 4)
    first = next(source(NVDA, sessions=Sessions.always(), start=midnight).instants())
    assert first is not None
    assert (first.time, len(first.quotes), [bar.end for bar in first.bars]) == (midnight, 1, [midnight])


def test_history_is_what_stepping_showed_across_days_and_sizes() -> None:
    end = at(2026, 11, 5, 14, 35)
    stepped = [bar for bar in bars_of(walk(source(step_seconds=60), end)) if bar.contract == MSFT.contract]
    asked = source(start=end).history(MSFT.contract, 60, len(stepped), end)
    assert asked == stepped
    assert len(stepped) == 25
    five = source(start=end).history(MSFT.contract, 300, 1, end)
    last = stepped[-5:]
    assert five == [
        Bar(MSFT.contract, last[0].start, end, last[0].open, max(b.high for b in last), min(b.low for b in last),
            last[-1].close, sum(b.volume for b in last))
    ]  # fmt: skip


def test_history_never_shows_a_bar_that_has_not_ended() -> None:
    bars = source().history(NVDA.contract, 60, 10, OPEN + 119 * SECOND)
    assert bars[-1].end == OPEN + 60 * SECOND
    assert bars[-2].end == OPEN - DAY + 600 * SECOND


def test_the_days_of_before_are_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred sessions take seconds."""
    prices = source()
    first = prices.history(MSFT.contract, 86_400, 3, OPEN + 6 * DAY)
    asked: list[Block] = []
    work_out = Paths.session

    def session(self: Paths, listing: Listing, block: Block) -> SessionPrices:
        asked.append(block)
        return work_out(self, listing, block)

    monkeypatch.setattr(Paths, "session", session)
    grown = prices.grown((MSFT, NVDA, AAPL), OPEN + 6 * DAY)
    assert grown.history(MSFT.contract, 86_400, 3, OPEN + 6 * DAY) == first
    assert asked == []
    assert grown.history(MSFT.contract, 86_400, 4, OPEN + 6 * DAY)[1:] == first
    assert len(asked) == 1


@pytest.mark.parametrize("step", [1, 5])
def test_the_standing_quote_is_the_last_one_that_stepping_showed(step: int) -> None:
    now = OPEN + 103 * SECOND + 7
    shown = [quote for instant in walk(source(step_seconds=step), now) for quote in instant.quotes]
    last = [quote for quote in shown if quote.contract == MSFT.contract][-1]
    assert source(step_seconds=step).standing(MSFT.contract, now) == last._replace(time=now)


@pytest.mark.parametrize("now", [OPEN - 1, OPEN + 600 * SECOND, OPEN + DAY - 1])
def test_no_quote_stands_while_the_market_is_closed(now: int) -> None:
    assert source().standing(MSFT.contract, now) is None


@pytest.mark.parametrize("year", [2000, 2016, 2024, 2025, 2060, 2100])
def test_any_date_of_the_century_has_prices(year: int) -> None:
    sessions = weekdays(date(year, 12, 27), 5, 600)
    instants = walk(
        source(NVDA, sessions=sessions, start=sessions.between(0, 2**62)[0].open), sessions.between(0, 2**62)[0].close
    )
    last = [quote.last for instant in instants for quote in instant.quotes]
    assert len(last) == 600
    assert 0.5 < last[0] < 10_000
    assert len(set(last)) > 1


def test_first_session_after_the_real_close_opens_near_it() -> None:
    sessions = weekdays(date(2025, 1, 1), 2, 600)
    for known in listings():
        bar = daily_bars(known, 5, sessions)[0]
        assert bar.open == pytest.approx(known.last_close, rel=8 * known.annual_volatility / sqrt(252))
        assert bar.open != known.last_close


WILD = Listing("WILD", 1, "very volatile by itself", "NYSE", 1e7, 0.005, 100, 3.0, 2.0, 10**6)
TOSSED = Listing("TOSSED", 2, "very volatile with the market", "NYSE", 1e7, 0.005, 100, 3.0, 20.0, 10**6)


@pytest.mark.parametrize("wild", [WILD, TOSSED], ids=lambda known: known.symbol)
def test_prices_have_no_drift(wild: Listing) -> None:
    """Mean returns within halves of a session, and overnight, lie within four standard errors of zero.

    The stock is so volatile that over all of them a missing correction of half the variance is seven errors wide.
    """
    sessions = weekdays(date(2025, 1, 1), 365, 600)
    first, second, night = [], [], []
    for seed in range(24):
        halves = daily_bars(wild, seed, sessions, 300)
        morning, afternoon = halves[::2], halves[1::2]
        first.append(relative([b.close for b in morning], [b.open for b in morning]))
        second.append(relative([b.close for b in afternoon], [b.open for b in afternoon]))
        night.append(relative([b.open for b in morning[1:]], [b.close for b in afternoon[:-1]]))
    for returns in map(np.concatenate, (first, second, night, first + second + night)):
        assert len(returns) > 6000
        assert 0.03 < returns.std() < 0.3
        assert abs(returns.mean()) < 4 * returns.std() / sqrt(len(returns))


def test_mean_over_seeds_of_a_later_price_is_the_price_now() -> None:
    """From the real close on, over months: the mean of price over close is one, and the paths do move."""
    sessions = weekdays(date(2025, 1, 1), 90, 60)
    ratios = np.array([daily_bars(NVDA, seed, sessions)[-1].close for seed in range(120)]) / NVDA.last_close
    assert 0.1 < ratios.std() < 0.6
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / sqrt(len(ratios))


def test_yearly_volatility_is_the_listings() -> None:
    sessions = weekdays(date(2025, 1, 1), 3 * 365, 60)
    for known in (NVDA, SPY):
        closes = [bar.close for seed in (1, 2, 3) for bar in daily_bars(known, seed, sessions)]
        returns = np.diff(np.log(np.array(closes).reshape(3, -1)), axis=1)
        assert returns.std() * sqrt(261) == pytest.approx(known.annual_volatility, rel=0.15)


def test_symbols_move_together_through_the_market() -> None:
    sessions = weekdays(date(2025, 1, 1), 3 * 365, 60)
    moves = [
        np.diff(np.log([bar.close for bar in daily_bars(known, 3, sessions)])) for known in (MSFT, AAPL, NVDA, SPY)
    ]
    correlation = np.corrcoef(moves)
    assert ((correlation > 0.25) & ((correlation < 0.995) | np.eye(4, dtype=bool))).all()
    assert correlation[0, 3] > 0.6


def test_daily_volatility_clusters_and_returns_do_not() -> None:
    sessions = weekdays(date(2025, 1, 1), 8 * 365, 60)
    bars = daily_bars(MSFT, 11, sessions)
    returns = np.diff(np.log([bar.close for bar in bars]))

    def echo(series: "NDArray[np.float64]", days: int) -> float:
        return float(np.corrcoef(series[days:], series[:-days])[0, 1])

    error = 1 / sqrt(len(returns))
    assert all(echo(np.abs(returns), days) > 4 * error for days in (1, 2, 5))
    assert abs(echo(returns, 1)) < 4 * error


def test_sessions_are_busier_at_open_and_close_than_at_noon() -> None:
    sessions = weekdays(date(2026, 1, 1), 42, 23_400)
    bars = daily_bars(SPY, 1, sessions, 60)
    by_minute = np.array([(abs(bar.close / bar.open - 1), bar.volume) for bar in bars]).reshape(-1, 390, 2).mean(axis=0)
    opening, noon, closing = by_minute[:15].mean(axis=0), by_minute[150:240].mean(axis=0), by_minute[-15:].mean(axis=0)
    assert (opening > 1.3 * noon).all()
    assert (closing > 1.15 * noon).all()
    minutes = np.array([bar.high - bar.low for bar in bars]).reshape(-1, 390)[:, 100:300]
    rest = minutes / minutes.mean(axis=0) / minutes.mean(axis=1, keepdims=True)
    assert np.corrcoef(rest[:, 1:].ravel(), rest[:, :-1].ravel())[0, 1] > 0.2


def test_volume_of_a_session_is_the_listings_on_average() -> None:
    bars = daily_bars(SPY, 1, weekdays(date(2026, 1, 1), 28, 23_400))
    assert np.mean([bar.volume for bar in bars]) == pytest.approx(SPY.daily_volume, rel=0.2)


def test_source_ends_at_its_end() -> None:
    assert walk(source(end=OPEN + 90 * SECOND), 2**62)[-1].time == OPEN + 90 * SECOND
    assert walk(source(sessions=Sessions.always(), end=OPEN + 90 * SECOND), 2**62)[-1].time == OPEN + 90 * SECOND


def test_source_refuses_to_go_beyond_the_session_table() -> None:
    instants = source(start=at(2026, 11, 13, 14, 39), step_seconds=60).instants()
    times = [next(instants).time for _ in range(2)]
    assert times == [at(2026, 11, 13, 14, 39), at(2026, 11, 13, 14, 40)]
    with pytest.raises(ConfigurationError, match="session table"):
        next(instants)


@pytest.mark.parametrize("options", [{"step_seconds": 0}, {"bar_seconds": 7}, {"seed": -1}, {"start": at(2020, 1, 1)}])
def test_senseless_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError):
        source(**options)  # type: ignore[arg-type]


def test_unknown_contract_and_odd_bar_length_are_refused() -> None:
    with pytest.raises(UnknownContractError):
        source().history(Contract("ZZZZ"), 60, 1, OPEN)
    with pytest.raises(NoMarketDataError):
        source().history(NVDA.contract, 7, 1, OPEN)
