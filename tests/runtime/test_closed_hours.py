"""Who replays prices of closed hours is told why nothing fills."""

from decimal import Decimal
from pathlib import Path

import pytest

from src.runtime.files import load
from src.runtime.market import MarketRules, recorded_market
from tests.runtime.markets import ACCOUNT

HEADER = "time,open,high,low,close,volume"
SHARED = Path(__file__).parents[3] / "shared" / "data"


def opened(folder: Path, hours: str = "nyse") -> None:
    recorded_market(MarketRules(hours=hours), load([folder]), {ACCOUNT: Decimal(1)})


def write(folder: Path, symbol: str, *times: str) -> None:
    (folder / f"{symbol}.csv").write_text("\n".join([HEADER, *(f"{time},1,1,1,1,1" for time in times)]) + "\n")


def test_a_day_whose_bars_are_all_outside_the_hours_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """New York's morning taken for UTC, and a Saturday; a Monday that reaches into its session is in order."""
    write(tmp_path, "MSFT", "2019-02-12T09:30:00Z", "2019-02-12T09:31:00Z", "2019-02-16T15:00:00Z")
    write(tmp_path, "AAPL", "2019-02-11T14:00:00Z", "2019-02-11T14:30:00Z", "2019-02-11T23:00:00Z")
    opened(tmp_path)
    [record] = caplog.records
    assert "all bars of MSFT on 2019-02-12 (and 1 more) lie outside the market's hours" in record.getMessage()


@pytest.mark.parametrize("bar", ["2019-02-11T14:29:00Z", "2019-02-11T21:00:00Z"])
def test_a_bar_that_only_touches_the_session_is_outside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bar: str
) -> None:
    """The minute before the open, and the one that begins with the close."""
    write(tmp_path, "MSFT", bar, "2019-02-12T15:00:00Z", "2019-02-12T15:01:00Z")
    write(tmp_path, "AAPL", "2019-02-08T15:00:00Z", "2019-02-11T15:00:00Z", "2019-02-11T15:01:00Z")
    opened(tmp_path)
    assert len(caplog.records) == 1


def test_a_market_that_never_closes_has_no_closed_hours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The way out that the warning names."""
    write(tmp_path, "MSFT", "2019-02-16T15:00:00Z")
    opened(tmp_path, "always")
    assert caplog.records == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not here")
@pytest.mark.parametrize("folder", ["daily", "minute", "quote_minute"])
def test_real_days_are_in_order(folder: str, caplog: pytest.LogCaptureFixture) -> None:
    """Half days, extended hours and missing minutes included."""
    opened(SHARED / folder)
    assert [record for record in caplog.records if "hours" in record.getMessage()] == []
