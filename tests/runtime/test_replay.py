"""Recorded prices come back merged by time: every bar once, at its end, quotes before it, in order."""

from collections.abc import Sequence
from datetime import date
from math import isnan, nan
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.domain.errors import NoMarketDataError, UnknownContractError
from src.domain.events import BarClosed
from src.domain.market import Bar, Contract, Quote, Source
from src.exchange.prices import Instant, PriceSource
from src.runtime.calendars import nyse_sessions
from src.runtime.files import load
from src.runtime.replay import ReplaySource

SECOND = 10**9
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
START = 1_549_895_400 * SECOND  # 2019-02-11T14:30:00Z
HEADER = "time,open,high,low,close,volume"
QUOTES = "time,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size"
ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
needs_shared_data = pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not here")


def write(folder: Path, name: str, header: str, rows: Sequence[str]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def minute_file(folder: Path, symbol: str, minutes: Sequence[int]) -> Path:
    """Trade bars at these minutes after the start, each with prices of its own."""
    rows = [f"{START + m * MINUTE},{100 + m},{102 + m},{99 + m},{101 + m},{10 + m}" for m in minutes]
    return write(folder, f"{symbol}.csv", HEADER, rows)


def replay(*paths: Path) -> ReplaySource:
    return ReplaySource(load(paths), Contract)


def walk(prices: PriceSource) -> list[Instant]:
    """Go to the end, checking that instants come in time's order and nothing in them before its time."""
    instants: list[Instant] = []
    before = 0
    for instant in prices.instants():
        assert instant.time > before
        assert all(bar.end == instant.time for bar in instant.bars)
        times = [quote.time for quote in instant.quotes]
        assert times == sorted(times)
        assert all(before <= time < instant.time for time in times)
        before = instant.time
        instants.append(instant)
    return instants


def bars_of(instants: list[Instant]) -> list[Bar]:
    return [bar for instant in instants for bar in instant.bars]


def test_bars_that_end_together_come_together_in_the_order_of_the_symbols(tmp_path: Path) -> None:
    minute_file(tmp_path, "MSFT", [0, 1, 3])
    minute_file(tmp_path, "AAPL", [1, 2, 3])
    prices = replay(tmp_path)
    assert [contract.symbol for contract in prices.contracts] == ["AAPL", "MSFT"]
    instants = walk(prices)
    assert [[bar.contract.symbol for bar in instant.bars] for instant in instants] == [
        ["MSFT"], ["AAPL", "MSFT"], ["AAPL"], ["AAPL", "MSFT"],
    ]  # fmt: skip
    assert instants[0].bars[0] == Bar(Contract("MSFT"), START, START + MINUTE, 100, 102, 99, 101, 10)
    assert all(instant.quotes == () for instant in instants)


def test_bars_alone_are_those_of_the_instants_and_no_source_of_quotes_has_them(tmp_path: Path) -> None:
    """The grid breaks in the middle, far beyond one chunk: pieces of one length and of many."""
    minute_file(tmp_path, "MSFT", range(1400))
    minute_file(tmp_path, "AAPL", [*range(700), *range(701, 1400)])
    prices = replay(tmp_path)
    closes = prices.closes()
    assert closes is not None
    assert list(closes) == [BarClosed(tuple(instant.bars)) for instant in walk(prices)]
    rows = [f"{START},10,10,10,10,100,11,11,11,11,100"]
    assert replay(write(tmp_path / "quoted", "MSFT.csv", QUOTES, rows)).closes() is None


minutes = st.lists(st.integers(0, 900), min_size=2, max_size=400, unique=True).map(lambda m: sorted({*m, 901, 902}))


@given(st.lists(minutes, min_size=1, max_size=3))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_bar_comes_once_at_its_end_however_the_grids_differ(tmp_path: Path, grids: list[list[int]]) -> None:
    paths = [minute_file(tmp_path, symbol, grid) for symbol, grid in zip("ABC", grids, strict=False)]
    bars = bars_of(walk(replay(*paths)))
    expected = sorted(
        (START + (m + 1) * MINUTE, symbol) for symbol, grid in zip("ABC", grids, strict=False) for m in grid
    )
    assert [(bar.end, bar.contract.symbol) for bar in bars] == expected
    for bar in bars:
        m = (bar.start - START) // MINUTE
        assert bar[1:] == (START + m * MINUTE, START + (m + 1) * MINUTE, 100 + m, 102 + m, 99 + m, 101 + m, 10 + m)


def test_bars_on_one_grid_come_whole_across_the_chunks(tmp_path: Path) -> None:
    for symbol in ("MSFT", "AAPL"):
        minute_file(tmp_path, symbol, range(1000))
    instants = walk(replay(tmp_path))
    assert len(instants) == 1000
    assert all([bar.contract.symbol for bar in instant.bars] == ["AAPL", "MSFT"] for instant in instants)


def test_bars_of_different_lengths_meet_at_their_ends(tmp_path: Path) -> None:
    minute_file(tmp_path, "MSFT", range(10))
    minute_file(tmp_path, "AAPL", [0, 5])
    instants = walk(replay(tmp_path))
    assert [len(instant.bars) for instant in instants] == [1, 1, 1, 1, 2, 1, 1, 1, 1, 2]
    assert instants[4].bars[0].start == START


def quote(time: int, bid: float, ask: float, last: float = nan, size: float = 100) -> Quote:
    return Quote(
        Contract("MSFT"), time, float(bid), float(ask), float(size), float(size), float(last), Source.SIMULATED
    )


def same(seen: Sequence[Quote], expected: Sequence[Quote]) -> bool:
    """Equal but for NaN, which equals nothing."""
    return repr(list(seen)) == repr(list(expected))


def test_a_quote_bar_is_four_quotes_nearer_extreme_first_and_a_bar_of_mids(tmp_path: Path) -> None:
    rows = [f"{START},10,13,9,12,100,11,14,10,13,100", f"{START + MINUTE},12,12.5,8,9,100,13,13.5,9,10,100"]
    first, second = walk(replay(write(tmp_path, "MSFT.csv", QUOTES, rows)))
    third = MINUTE // 3
    assert same(first.quotes, [
        quote(START, 10, 11), quote(START + third, 9, 10), quote(START + 2 * third, 13, 14),
        quote(START + MINUTE - 1, 12, 13),
    ])  # fmt: skip
    start = START + MINUTE
    assert same(second.quotes, [
        quote(start, 12, 13), quote(start + third, 12.5, 13.5), quote(start + 2 * third, 8, 9),
        quote(start + MINUTE - 1, 9, 10),
    ])  # fmt: skip
    assert first.bars == (Bar(Contract("MSFT"), START, START + MINUTE, 10.5, 13.5, 9.5, 12.5, 0),)


def test_one_sided_quotes_load_crossed_points_and_empty_bars_are_left_out(tmp_path: Path) -> None:
    rows = [
        f"{START},10,10,10,10,100,,,,,",
        f"{START + MINUTE},,,,,,,,,,",
        f"{START + 2 * MINUTE},12,12,10.5,10.5,100,11,11,11,11,100",
        f"{START + 3 * MINUTE},10,10,10,10,100,11,11,11,11,100",
        f"{START + 4 * MINUTE},0,10,0,10,100,11,11,11,11,100",
    ]
    instants = walk(replay(write(tmp_path, "MSFT.csv", QUOTES, rows)))
    assert [(i.time - START) // MINUTE for i in instants] == [1, 3, 4, 5]
    assert [(q.bid, isnan(q.ask), isnan(q.ask_size)) for q in instants[0].quotes] == [(10, True, True)] * 4
    assert [(q.bid, q.ask) for q in instants[1].quotes] == [(10.5, 11)] * 2
    assert [len(i.bars) for i in instants] == [0, 1, 1, 0]
    assert all(isnan(q.bid) and q.ask == 11 for q in instants[3].quotes)


def test_a_locked_quote_is_a_market_and_has_a_mid(tmp_path: Path) -> None:
    """Bid and ask alike at the open: whoever buys then pays just that, not the quote twenty seconds later."""
    rows = [f"{START},10,10,9.5,9.5,100,10,10.5,10,10.5,100", f"{START + MINUTE},11,11,11,11,100,11,11,11,11,100"]
    first, second = walk(replay(write(tmp_path, "MSFT.csv", QUOTES, rows)))
    assert (first.quotes[0].time, first.quotes[0].bid, first.quotes[0].ask) == (START, 10, 10)
    assert [(bar.open, bar.close) for bar in (*first.bars, *second.bars)] == [(10, 10), (11, 11)]
    assert len(second.quotes) == 4


def test_a_mid_is_never_told_as_a_print(tmp_path: Path) -> None:
    """Quotes alone say nothing of trades: `last` stays NaN to the end."""
    rows = [f"{START + m * MINUTE},10,10,10,10,100,11,11,11,11,100" for m in range(3)]
    quotes = [q for instant in walk(replay(write(tmp_path, "MSFT.csv", QUOTES, rows))) for q in instant.quotes]
    assert len(quotes) == 12
    assert all(isnan(q.last) for q in quotes)


def test_a_recording_begins_and_ends_with_its_first_and_last_price(tmp_path: Path) -> None:
    """Be they quotes or trades."""
    rows = [f"{START + m * MINUTE},10,10,10,10,100,11,11,11,11,100" for m in (0, 1, 8, 9)]
    write(tmp_path, "quote_minute/MSFT.csv", QUOTES, rows)
    minute_file(tmp_path / "minute", "MSFT", [2, 3])
    recording = load([tmp_path])
    assert (recording.start, recording.end) == (START, START + 10 * MINUTE)
    assert load([tmp_path / "minute"]).end == START + 4 * MINUTE


def test_trade_bars_beside_quote_bars_are_the_bars_and_give_the_last_print(tmp_path: Path) -> None:
    rows = [f"{START + m * MINUTE},10,10,10,10,100,11,11,11,11,100" for m in range(4)]
    write(tmp_path, "quote_minute/MSFT.csv", QUOTES, rows)
    minute_file(tmp_path / "minute", "MSFT", [0, 2, 3])
    instants = walk(replay(tmp_path / "minute", tmp_path / "quote_minute"))
    assert [len(i.bars) for i in instants] == [1, 0, 1, 1]
    assert [len(i.quotes) for i in instants] == [4, 4, 4, 4]
    assert [i.quotes[0].last for i in instants[1:]] == [101, 101, 103]
    assert all(isnan(q.last) for q in instants[0].quotes)


def test_long_quote_bars_do_not_come_after_shorter_bars(tmp_path: Path) -> None:
    minute_file(tmp_path, "AAPL", range(10))
    rows = [f"{START + m * MINUTE},10,10,10,10,100,11,11,11,11,100" for m in (0, 5)]
    write(tmp_path, "MSFT.csv", QUOTES, rows)
    instants = walk(replay(tmp_path))
    assert [len(i.quotes) for i in instants] == [1, 1, 0, 1, 1, 1, 1, 0, 1, 1]


def test_history_is_the_files_own_bars_or_made_of_them_and_never_of_the_future(tmp_path: Path) -> None:
    prices = replay(minute_file(tmp_path, "MSFT", range(30)))
    bars = bars_of(walk(prices))
    contract = Contract("MSFT")
    assert prices.history(contract, 60, 5, START + 10 * MINUTE) == bars[5:10]
    assert prices.history(contract, 60, 99, START + 10 * MINUTE + MINUTE // 2) == bars[:10]
    assert prices.history(contract, 60, 5, START) == []
    assert prices.history(contract, 60, 0, START + DAY) == []
    fives = prices.history(contract, 300, 2, START + 14 * MINUTE)
    assert [(bar.start, bar.end) for bar in fives] == [
        (START, START + 5 * MINUTE),
        (START + 5 * MINUTE, START + 10 * MINUTE),
    ]
    assert fives[1][3:] == (105, 111, 104, 110, sum(range(15, 20)))


def test_a_day_is_complete_when_new_yorks_is_over(tmp_path: Path) -> None:
    prices = replay(minute_file(tmp_path, "MSFT", [0, 1, 389, 389 + 1440]))
    contract = Contract("MSFT")
    assert prices.history(contract, 86_400, 5, START + 400 * MINUTE) == []
    (day,) = prices.history(contract, 86_400, 5, START + DAY)
    assert day == Bar(contract, START, START + 390 * MINUTE, 100, 491, 99, 490, 10 + 11 + 399)


def test_history_of_what_the_files_do_not_hold_is_refused(tmp_path: Path) -> None:
    prices = replay(minute_file(tmp_path, "MSFT", range(3)))
    with pytest.raises(UnknownContractError):
        prices.history(Contract("NVDA"), 60, 1, START)
    with pytest.raises(NoMarketDataError, match="60 s"):
        prices.history(Contract("MSFT"), 30, 1, START)


def test_contracts_are_those_the_caller_names(tmp_path: Path) -> None:
    path = minute_file(tmp_path, "MSFT", range(3))
    prices = ReplaySource(load([path]), lambda symbol: Contract(symbol, con_id=272093))
    assert {bar.contract.con_id for bar in bars_of(walk(prices))} == {272093}
    assert prices.history(Contract("MSFT"), 60, 1, START + DAY)[0].contract.con_id == 272093


def test_a_days_bar_ends_with_its_session_on_a_half_day(tmp_path: Path) -> None:
    rows = ["2015-12-23,1,1,1,1,1", "2015-12-24,1,1,1,1,1"]
    recording = load([write(tmp_path, "GOOG.csv", HEADER.replace("time", "date"), rows)])
    sessions = nyse_sessions(date(2015, 12, 23), date(2015, 12, 24))
    bars = bars_of(walk(ReplaySource(recording, Contract, sessions)))
    assert [(bar.end - bar.start) // MINUTE for bar in bars] == [390, 210]
    assert [bar.end for bar in bars] == [session.close for session in sessions.between(0, 2**62)]


def test_the_shipped_sample_is_five_sessions_of_two_symbols() -> None:
    instants = walk(replay(ROOT / "data" / "sample"))
    assert {len(instant.bars) for instant in instants} == {2}
    assert len(instants) == 4 * 390 + 388
    first = instants[0].bars[1]
    assert (first.contract.symbol, first.start, first.open, first.volume) == ("MSFT", START, 106.075, 469145)


@needs_shared_data
def test_the_real_trades_and_quotes_replay_in_order() -> None:
    instants = walk(replay(SHARED / "minute", SHARED / "quote_minute"))
    quotes = [q for instant in instants for q in instant.quotes]
    assert len(bars_of(instants)) == 10_709
    assert len(quotes) > 27_000
    assert not any(q.bid > q.ask for q in quotes)
    assert sum(q.bid == q.ask for q in quotes) > 50
    spy = [q.ask - q.bid for q in quotes if q.contract.symbol == "SPY"]
    assert sorted(spy)[len(spy) // 2] == pytest.approx(0.01)


@needs_shared_data
def test_a_stub_bid_of_one_dollar_makes_no_mid() -> None:
    bars = bars_of(walk(replay(SHARED / "quote_minute" / "AAPL_2014-06-06.csv")))
    assert min(bar.low for bar in bars) > 600
