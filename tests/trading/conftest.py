"""A simulated market on prices that a test writes down: the real broker, venue and exchange."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from src.brokers.opening import Play
from src.brokers.simulated import SimulatedBroker
from src.brokers.simulation import open_simulated
from src.settings import load_settings

MINUTE = timedelta(minutes=1)
OPEN = datetime(2019, 2, 11, 14, 30, tzinfo=UTC)
Market = Callable[..., SimulatedBroker]


def write_prices(folder: Path, symbol: str, closes: Sequence[float], start: datetime = OPEN) -> None:
    """Minute bars of a symbol, each from the close before to its own."""
    lines, before = ["time,open,high,low,close,volume"], closes[0]
    for number, close in enumerate(closes):
        stamp = (start + number * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(f"{stamp},{before},{max(before, close)},{min(before, close)},{close},100000")
        before = close
    (folder / f"{symbol}.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    """Opens a broker on closes by symbol: `market(MSFT=[...])`, with settings as keywords."""
    opened: list[SimulatedBroker] = []

    def open_market(settings: dict[str, Any] | None = None, **closes: Sequence[float]) -> SimulatedBroker:
        folder = tmp_path / f"prices{len(opened)}"
        folder.mkdir()
        for symbol, prices in closes.items():
            write_prices(folder, symbol, prices)
        given: dict[str, Any] = {"sim_preset": "ideal", "sim_fees": "commission", **(settings or {})}
        loaded = load_settings(environ={}, root=tmp_path, symbols=tuple(closes), backend="simulated", **given)
        broker = open_simulated(loaded, Play(replay=(folder,), speed=float("inf")))
        broker.connect()
        opened.append(broker)
        return broker

    yield open_market
    for broker in opened:
        broker.disconnect()
