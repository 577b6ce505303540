"""A broker to look at."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from src.brokers.opening import Play
from src.brokers.simulation import open_simulated
from src.console.view import Lookout
from src.settings import load_settings
from tests.trading.conftest import market

__all__ = ["market"]  # a fixture, here too


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Callable[[], Lookout]]:
    """A lookout at a simulated broker on invented prices."""
    settings = load_settings(environ={}, root=tmp_path, backend="simulated", state_dir=tmp_path)
    broker = open_simulated(settings, Play())
    broker.connect()
    yield lambda: Lookout(broker, "sma")
    broker.disconnect()
