"""The facade on the simulator, at moments that a test names."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from src.brokers.ib_gateway import IBGatewayClient
from src.brokers.opening import Play
from src.runtime import market
from src.runtime.clock import ManualClock, to_nanoseconds
from src.settings import Settings

THURSDAY = to_nanoseconds(datetime(2025, 1, 2, 15, 0, tzinfo=UTC))
SATURDAY = to_nanoseconds(datetime(2025, 1, 4, 15, 0, tzinfo=UTC))


def nothing_was_sent(client: IBGatewayClient) -> bool:
    """Whether the venue has heard of no order."""
    return not client.broker.open_trades() and not client.broker.completed_trades()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The simulator by name, without spread or latency."""
    return Settings(backend="simulated", sim_preset="ideal", state_dir=tmp_path)


@pytest.fixture
def client(settings: Settings) -> Iterator[IBGatewayClient]:
    """A connected client on a Thursday in 2025, at the market's own pace."""
    with IBGatewayClient(settings=settings, play=Play(start=THURSDAY)) as connected:
        yield connected


@pytest.fixture
def on_saturday(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[IBGatewayClient]:
    """A client in New York's hours on a Saturday that does not end."""
    monkeypatch.setattr(market, "SystemClock", lambda: ManualClock(SATURDAY))
    monkeypatch.setattr(market, "wall_clock", lambda: SATURDAY)
    closed = Settings(backend="simulated", sim_market_hours="nyse", state_dir=settings.state_dir)
    with IBGatewayClient(settings=closed) as connected:
        yield connected
