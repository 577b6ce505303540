"""Whatever the prices are made of, a session's profit is what its account has more in the end."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from src.brokers.opening import Play
from src.brokers.simulated import SimulatedBroker
from src.brokers.simulation import open_simulated
from src.domain.market import BarSize, Contract
from src.runtime.clock import NS, iso
from src.runtime.files import find, load
from src.settings import load_settings
from src.trading.hold import BuyAndHold
from src.trading.plan import SessionPlan
from src.trading.sma import MovingAverageCross
from src.trading.strategy import Strategy
from src.trading.summary import SessionSummary
from src.trading.trader import Trader

SHARED = Path(__file__).parents[3] / "shared" / "data"
CAPITAL = 1_000_000


def opened(folder: Path, preset: str) -> SimulatedBroker:
    """A broker on every price file of a folder."""
    settings = load_settings(
        environ={},
        root=folder,
        backend="simulated",
        symbols=tuple(find([folder])),
        sim_preset=preset,
        sim_fees="commission",
        sim_market_hours="nyse",
        initial_capital=CAPITAL,
    )
    broker = open_simulated(settings, Play(replay=(folder,), speed=float("inf")))
    broker.connect()
    return broker


def session(folder: Path, strategy: Strategy, preset: str, size: BarSize) -> SessionSummary:
    """A session on every symbol of a folder."""
    contracts = tuple(map(Contract, find([folder])))
    return Trader(opened(folder, preset), strategy, SessionPlan("test", contracts, timeframe=size)).run()


def quote_file(folder: Path, day: str, sides: Sequence[tuple[float, float]]) -> None:
    """Quote bars of a day's first minutes, bid and ask unchanged within each."""
    rows = [f"{day}T14:3{n}:00Z,{b},{b},{b},{b},500,{a},{a},{a},{a},500" for n, (b, a) in enumerate(sides)]
    columns = [f"{side}_{what}" for side in ("bid", "ask") for what in ("open", "high", "low", "close", "size")]
    (folder / f"MSFT_{day}_quotes.csv").write_text("\n".join([",".join(["time", *columns]), *rows]) + "\n")


@pytest.mark.parametrize("quoted", ["2019-02-11", "2019-02-12"])
def test_a_session_trades_on_days_with_quotes_and_on_days_without(tmp_path: Path, quoted: str) -> None:
    """Whichever comes first: prices go up and down on both days, and the strategy with them."""
    quote_file(tmp_path, quoted, [(10 + n % 2, 10.1 + n % 2) for n in range(10)])
    for day in ("2019-02-11", "2019-02-12"):
        rows = [f"{day}T14:3{n}:00Z,{p},{p},{p},{p},1000" for n, p in enumerate((10, 11) * 5)]
        (tmp_path / f"MSFT_{day}.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]) + "\n")
    broker = opened(tmp_path, "ideal")
    Trader(broker, MovingAverageCross(1, 2), SessionPlan("test", (Contract("MSFT"),))).run()
    days = Counter(iso(fill.execution.time)[:10] for fill in broker.fills())
    assert days["2019-02-11"] >= 8
    assert days["2019-02-12"] >= 8


def test_unrealized_profit_is_marked_as_the_account_is_where_the_last_quote_is_no_bar(tmp_path: Path) -> None:
    """Bought at 11 and for 1; the last quote is so wide that no bar shows its mid, 15, the account's mark."""
    quote_file(tmp_path, "2019-02-11", [(10, 11), (10, 11), (10, 20)])
    summary = session(tmp_path, BuyAndHold(), "ideal", BarSize.MIN_1)
    assert (summary.bars, summary.fills, summary.final_equity) == (2, 1, 1_000_399.0)
    assert summary.unrealized_pnl == 399.0


@pytest.mark.skipif(not SHARED.is_dir(), reason="the folder ../shared/data is not here")
@pytest.mark.parametrize("preset", ["ideal", "realistic"])
@pytest.mark.parametrize("strategy", [BuyAndHold, MovingAverageCross])
@pytest.mark.parametrize(
    ("folder", "size"),
    [(".", BarSize.MIN_1), ("minute", BarSize.MIN_1), ("quote_minute", BarSize.MIN_5), ("daily", BarSize.DAY_1)],
)
def test_what_was_gained_is_what_the_account_has_more(
    folder: str, size: BarSize, strategy: type[BuyAndHold] | type[MovingAverageCross], preset: str
) -> None:
    """Realized and unrealized are marked as the final equity is: on trades, on quotes, and on days with either."""
    summary = session(SHARED / folder, strategy(), preset, size)
    assert summary.fills >= len(summary.symbols)
    gained = summary.realized_pnl + summary.unrealized_pnl
    assert gained == pytest.approx(summary.final_equity - CAPITAL, abs=1e-5)
    assert summary.end <= iso(load([SHARED / folder]).end + NS)
