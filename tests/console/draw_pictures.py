"""Draws the pictures of the documents anew: `make pictures`. Not a test: it needs Chromium, and somebody who looks.

The sample's first day is traded on the simulated exchange; in its middle the terminal's screen and the page are taken,
after its end the report.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from selenium import webdriver

from live_trader import LiveAITrader, SessionOptions
from src.brokers.opening import Play
from src.console.faces import lookout
from src.console.page.server import PageServer
from src.console.report.command import write_report
from src.console.screen import screen_of
from src.console.view import Onlooker, SessionView
from src.domain.market import Bar
from src.settings import load_settings
from src.trading.chart import Chart
from src.trading.observer import Observer
from src.trading.recorder import Recorder
from tests.conftest import ROOT
from tests.console.browsing import open_browser, until

_PICTURES: Final = ROOT / "docs" / "pictures"
_INSTANTS: Final = 187


class _Camera(Observer):
    """Looks once, in the middle of the day, while the session stands still."""

    def __init__(self, onlooker: Onlooker, chart: Chart, browser: webdriver.Chrome) -> None:
        self._onlooker, self._chart, self._browser = onlooker, chart, browser
        self._instants = 0

    def bars(self, bars: Sequence[Bar], equity: float) -> None:
        """Count to the moment."""
        del bars, equity
        self._instants += 1
        if self._instants == _INSTANTS:
            self._shoot()

    def _shoot(self) -> None:
        view = self._onlooker.look()
        if view is None:
            raise RuntimeError("the session has not begun")
        server = PageServer(lambda: view, self._chart, str)
        try:
            _page(self._browser, server.start(), "page.png", 1280, 1180, "document.querySelector('#positions td')")
        finally:
            server.stop()
        _terminal(self._browser, view)


def _page(browser: webdriver.Chrome, address: str, name: str, width: int, height: int, ready: str) -> None:
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(address)
    until(browser, f"{ready} !== null && document.querySelectorAll('canvas').length > 4")
    browser.execute_async_script("setTimeout(arguments[0], 1500)")  # the charts draw when they like
    browser.save_screenshot(str(_PICTURES / name))


def _terminal(browser: webdriver.Chrome, view: SessionView) -> None:
    with Path("/dev/null").open("w") as nowhere:
        console = Console(record=True, width=80, height=24, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(screen_of(view, 80, 24))
    picture = _PICTURES / "terminal.svg"
    picture.write_text(console.export_svg(title="python live_trader.py"), encoding="utf-8")
    screen = {"width": 1000, "height": 660, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(picture.as_uri())
    browser.save_screenshot(str(_PICTURES / "terminal.png"))
    picture.unlink()


def main() -> int:
    """Draw them all."""
    _PICTURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        settings = load_settings(
            environ={}, root=Path(folder), backend="simulated", symbols=("MSFT", "AAPL"), state_dir=Path(folder)
        )
        play = Play(
            replay=tuple((ROOT / "data" / "sample").glob("*_2019-02-11.csv")), speed=float("inf"), journalled=True
        )
        browser = open_browser(Path(folder) / "profile")
        try:
            onlooker, chart = Onlooker(lambda broker: lookout(settings, broker)), Chart()
            notes = {"strategy": "sma", "symbols": ["MSFT", "AAPL"], "timeframe": "1m", "replay": ["sample"]}
            recorder = Recorder(settings.state_dir, notes)
            observers = (onlooker, chart, recorder, _Camera(onlooker, chart, browser))
            options = {"fast": "4", "slow": "12"}
            trader = LiveAITrader(
                SessionOptions(settings=settings, play=play, strategy_options=options, observers=observers)
            )
            trader.run_trading_session(None)
            trader.ib_client.disconnect()
            report = write_report(settings.state_dir, recorder.session or "")
            _page(browser, report.as_uri(), "report.png", 1280, 1500, "document.querySelector('#fills td')")
        finally:
            browser.quit()
    return 0


if __name__ == "__main__":
    sys.exit(main())
