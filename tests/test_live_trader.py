"""`LiveAITrader` as a program uses it, in this process."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from live_trader import LiveAITrader, SessionOptions
from src.brokers.opening import Play
from src.domain.errors import ConfigurationError
from src.domain.market import Mode
from src.settings import load_settings

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample"


def trader(tmp_path: Path, *symbols: str, settings: Mapping[str, Any] | None = None, **more: Any) -> LiveAITrader:
    """A session on the shipped sample, without this machine's settings; on MSFT when no symbol is named."""
    given = {"backend": "simulated", "symbols": symbols or ("MSFT",), "state_dir": tmp_path, **(settings or {})}
    loaded = load_settings(environ={}, root=tmp_path, **given)
    more = {"play": Play(replay=(SAMPLE,), speed=math.inf), **more}
    return LiveAITrader(SessionOptions(settings=loaded, **more))


def test_a_session_returns_true_and_keeps_its_summary(tmp_path: Path) -> None:
    """With the cash that is left, and the client it was traded through."""
    session = trader(tmp_path)
    assert session.cash == 100_000
    assert session.text() == "There was no session."
    assert session.run_trading_session(duration_minutes=60) is True
    assert session.summary is not None
    assert session.summary.bars == 60
    assert session.summary.end == "2019-02-11T15:30:00Z"
    assert session.ib_client.mode is Mode.SIMULATED
    assert session.cash == session.ib_client.get_account_info()["available_funds"]
    assert "Prices are recorded" in session.text()


def test_a_session_without_end_trades_all_the_prices_there_are(tmp_path: Path) -> None:
    """No duration: the data are the end."""
    session = trader(tmp_path, "MSFT", "AAPL")
    assert session.run_trading_session(None) is True
    assert session.summary is not None
    assert session.summary.bars == 3896


def test_without_a_broker_it_returns_false(tmp_path: Path, quiet_address: tuple[str, int]) -> None:
    """Nothing answers, and the simulator may not stand in."""
    host, port = quiet_address
    settings = {"backend": "auto", "fallback": "never", "host": host, "port": port}
    session = trader(tmp_path, settings=settings, play=Play())
    assert session.run_trading_session() is False
    assert session.summary is None


def test_a_strategy_that_is_not_there_is_found_out_before_anything_is_opened(tmp_path: Path) -> None:
    """A wrong name costs no connection."""
    session = trader(tmp_path, settings={"strategy": "smma"})
    with pytest.raises(ConfigurationError, match="no strategy is called 'smma'"):
        session.run_trading_session()
    assert not session.ib_client.connected


def test_stopped_before_it_began_it_trades_nothing(tmp_path: Path) -> None:
    """A signal that comes while the prices load is not lost."""
    session = trader(tmp_path)
    session.stop()
    assert session.run_trading_session(None) is True
    assert session.summary is not None
    assert (session.summary.bars, session.summary.orders) == (0, 0)


def test_before_each_close_the_session_is_flat(tmp_path: Path) -> None:
    """Buy and hold, sold five minutes before each of five closes, and bought again after it."""
    session = trader(tmp_path, settings={"strategy": "hold", "sim_preset": "ideal"}, flat_before_close=5)
    session.run_trading_session(None)
    fills = session.ib_client.broker.fills()
    assert [fill.execution.side.value for fill in fills] == ["BUY", "SELL"] * 5
    sold = [fill.execution.time // 60_000_000_000 % 1440 for fill in fills[1::2]]
    assert sold == [20 * 60 + 55] * 5


def test_a_market_that_never_closes_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Flat before a close that never comes is a wish to be warned of."""
    session = trader(tmp_path, settings={"sim_market_hours": "always"}, flat_before_close=5)
    with caplog.at_level(logging.WARNING):
        session.run_trading_session(10)
    assert "this market never closes" in caplog.text


def test_a_strategy_that_never_saw_enough_is_named_in_the_summary(tmp_path: Path) -> None:
    """No order, and the reason why."""
    session = trader(tmp_path, strategy_options={"slow": "1000000"})
    assert session.run_trading_session(60) is True
    assert session.summary is not None
    assert session.summary.orders == 0
    assert session.remarks == ("MSFT: the strategy needs 1,000,000 bars before it can decide, and saw 60.",)
    assert session.text().endswith(session.remarks[0])


def test_a_session_that_may_only_look_counts_its_orders_as_rejected(tmp_path: Path) -> None:
    """It goes on, and says so."""
    session = trader(tmp_path, settings={"read_only": True, "strategy": "hold"})
    assert session.run_trading_session(60) is True
    assert session.summary is not None
    assert (session.summary.orders, session.summary.fills) == (60, 0)
    assert session.remarks == ("Orders rejected: 60.",)
