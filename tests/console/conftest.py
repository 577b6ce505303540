"""A broker to look at, and a browser to look with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from src.brokers.opening import Play
from src.brokers.simulation import open_simulated
from src.console.view import Lookout
from src.settings import load_settings
from tests.console.browsing import open_browser
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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Headless Chromium, once for a module."""
    driver = open_browser(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()
