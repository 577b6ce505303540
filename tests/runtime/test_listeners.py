"""What a venue's listeners are told when bars of several lengths are asked of it, and when its prices end."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.errors import ConfigurationError
from src.domain.events import BarClosed, Event
from src.domain.market import Bar, BarSize, Contract
from src.domain.orders import AccountId
from src.exchange.prices import Instant
from src.exchange.sessions import Sessions
from src.runtime.files import load
from src.runtime.market import Market, MarketRules, recorded_market
from tests.runtime.markets import AAA, ACCOUNT, T0, at, bars, venue

DATES = "date,open,high,low,close,volume"
TIMES = "time,open,high,low,close,volume"


def write(folder: Path, symbol: str, header: str, stamps: Sequence[str]) -> None:
    rows = [f"{stamp},{100 + n},{100 + n},{100 + n},{100 + n},1000" for n, stamp in enumerate(stamps)]
    (folder / f"{symbol}.csv").write_text("\n".join([header, *rows]) + "\n")


def market(folder: Path) -> Market:
    return recorded_market(MarketRules(preset="ideal"), load([folder]), {ACCOUNT: Decimal(100_000)})


def closed(events: Sequence[Event]) -> list[list[Bar]]:
    return [list(event.bars) for event in events if isinstance(event, BarClosed)]


def told(opened: Market, size: BarSize) -> list[list[tuple[str, int]]]:
    """Symbol and length in seconds of the bars of each event."""
    with opened.venue.listen(ACCOUNT, opened.venue.contracts, size) as stream:
        return [
            [(bar.contract.symbol, (bar.end - bar.start) // 10**9) for bar in event] for event in closed(list(stream))
        ]


def closing_after(minute: int) -> Sessions:
    """Two sessions, a week apart; the first closes so many minutes after T0."""
    week = 7 * 86_400 * 10**9
    return Sessions([T0, T0 + week], [at(60 * minute), T0 + week + 1])


def minutes(count: int, step: int = 1) -> list[str]:
    return [f"2019-02-11T14:{30 + minute}:00Z" for minute in range(0, count, step)]


@pytest.mark.parametrize("size", [BarSize.MIN_1, BarSize.MIN_5, BarSize.HOUR_1])
def test_bars_shorter_than_a_days_are_refused_for_day_bars(tmp_path: Path, size: BarSize) -> None:
    """With what to ask for instead."""
    write(tmp_path, "SPY", DATES, ["2019-02-11", "2019-02-12"])
    opened = market(tmp_path)
    with pytest.raises(ConfigurationError, match=r"^SPY is in day bars: use --timeframe 1d$"):
        opened.venue.listen(ACCOUNT, opened.venue.contracts, size)
    assert told(opened, BarSize.DAY_1) == [[("SPY", 23_400)], [("SPY", 23_400)]]


def test_each_symbol_is_joined_from_bars_of_its_own_length(tmp_path: Path) -> None:
    """Five-minute bars beside one-minute bars: both at five minutes, both at fifteen, neither at one."""
    write(tmp_path, "AAPL", TIMES, minutes(15))
    write(tmp_path, "MSFT", TIMES, minutes(15, 5))
    assert told(market(tmp_path), BarSize.MIN_5) == [[("AAPL", 300), ("MSFT", 300)]] * 3
    assert told(market(tmp_path), BarSize.MIN_15) == [[("AAPL", 900), ("MSFT", 900)]]
    opened = market(tmp_path)
    with pytest.raises(ConfigurationError, match=r"^MSFT is in 5m bars: use --timeframe 5m$"):
        opened.venue.listen(ACCOUNT, opened.venue.contracts, BarSize.MIN_1)


def test_what_is_advised_suits_every_symbol(tmp_path: Path) -> None:
    """Two minutes make no five, but thirty; beside day bars only a day will do."""
    write(tmp_path, "AAPL", TIMES, minutes(10, 2))
    opened = market(tmp_path)
    with pytest.raises(ConfigurationError, match=r"^AAPL is in 2m bars: use --timeframe 30m$"):
        opened.venue.listen(ACCOUNT, opened.venue.contracts, BarSize.MIN_5)
    write(tmp_path, "SPY", DATES, ["2019-02-11"])
    opened = market(tmp_path)
    with pytest.raises(ConfigurationError, match=r"^AAPL is in 2m bars: use --timeframe 1d$"):
        opened.venue.listen(ACCOUNT, opened.venue.contracts, BarSize.MIN_5)


def test_a_market_of_mixed_lengths_opens_and_values_each_at_its_last_close(tmp_path: Path) -> None:
    """Its history is asked for at each symbol's own length."""
    write(tmp_path, "AAPL", TIMES, minutes(15))
    write(tmp_path, "SPY", DATES, ["2019-02-11"])
    opened = market(tmp_path)
    while opened.venue.step() is not None:
        pass
    assert {each.symbol: opened.venue.quote(each).last for each in opened.venue.contracts} == {"AAPL": 114, "SPY": 100}


def test_the_last_day_is_told_when_its_session_is_over(tmp_path: Path) -> None:
    """No bar of a further day comes to close it; a day that breaks off at noon is not told."""
    day = [f"2019-02-11T{14 + m // 60}:{m % 60:02}:00Z" for m in range(30, 420)]
    half = [f"2019-02-12T{14 + m // 60}:{m % 60:02}:00Z" for m in range(30, 200)]
    write(tmp_path, "AAPL", TIMES, day)
    assert told(market(tmp_path), BarSize.DAY_1) == [[("AAPL", 23_400)]]
    write(tmp_path, "AAPL", TIMES, day + half)
    assert told(market(tmp_path), BarSize.DAY_1) == [[("AAPL", 23_400)]]


def test_a_larger_bar_that_breaks_off_while_the_market_is_open_is_not_told() -> None:
    """Seven minutes are one bar of five, and not two; where the market closes after the seventh they are."""
    for hours, expected in ((None, 1), (closing_after(7), 2)):
        where = venue(bars(7), sessions=hours)
        with where.listen(ACCOUNT, [AAA], BarSize.MIN_5) as stream:
            assert len(closed(list(stream))) == expected


def test_days_that_ended_apart_are_told_apart() -> None:
    """A listener's events are of one instant each, the earlier first."""
    *both, last = bars(3)
    where = venue([*both, Instant(last.time, (), last.bars[:1])], sessions=closing_after(3))
    with where.listen(AccountId("SIM1"), where.contracts, BarSize.DAY_1) as stream:
        ends = [[(each.contract, each.end) for each in event] for event in closed(list(stream))]
    assert ends == [[(Contract("BBB", con_id=2), at(120))], [(AAA, at(180))]]
