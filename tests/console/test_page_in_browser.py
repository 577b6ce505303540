"""The page in a real browser: headless Chromium, driven by selenium, against a session on the simulated exchange."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from src.brokers.opening import Play
from src.brokers.simulation import open_simulated
from src.console.page.server import PageServer
from src.console.view import Lookout, Onlooker
from src.domain.market import Contract
from src.settings import load_settings
from src.trading.chart import Chart
from src.trading.plan import SessionPlan
from src.trading.sma import MovingAverageCross
from src.trading.trader import Trader
from tests.conftest import ROOT
from tests.console.browsing import BROWSER_TESTS, by_id, until

pytestmark = BROWSER_TESTS


class Served:
    """A day of recorded prices, traded to its end, on its page."""

    def __init__(self, folder: Path) -> None:
        settings = load_settings(
            environ={}, root=folder, backend="simulated", symbols=("MSFT", "AAPL"), sim_preset="ideal"
        )
        play = Play(replay=tuple((ROOT / "data" / "sample").glob("*_2019-02-11.csv")), speed=float("inf"))
        self.broker = open_simulated(settings, play)
        self.broker.connect()
        self.stopped = ""
        self.chart = Chart()
        onlooker = Onlooker(lambda broker: Lookout(broker, "sma", stopped=lambda: self.stopped))
        plan = SessionPlan("test", (Contract("MSFT"), Contract("AAPL")))
        self.summary = Trader(self.broker, MovingAverageCross(), plan, [onlooker, self.chart]).run()
        self.server = PageServer(onlooker.look, self.chart, self._kill)
        self.address = self.server.start()

    def _kill(self) -> str:
        self.stopped = "the kill switch is thrown"
        return "It is stopped."

    def close(self) -> None:
        """Leave."""
        self.server.stop()
        self.broker.disconnect()


@pytest.fixture
def served(tmp_path: Path, browser: webdriver.Chrome) -> Iterator[Served]:
    """The page, open in the browser, with its first figures on it."""
    made = Served(tmp_path)
    browser.get(made.address)
    until(browser, "document.querySelectorAll('#positions tbody tr').length === 2")
    yield made
    browser.get("about:blank")
    made.close()


def test_the_page_shows_the_session_and_nothing_fails_in_the_console(served: Served, browser: webdriver.Chrome) -> None:
    """Its figures are the summary's, its mode is seen first, and no request leaves for anywhere else."""
    assert by_id(browser, "mode").text == "SIMULATED - not real money"
    figures = by_id(browser, "figures").text
    assert f"{served.summary.orders} / {served.summary.fills}" in figures
    assert f"${served.summary.commissions:,.2f}" in figures
    assert f"${served.summary.final_equity:,.2f}" in figures
    console, network = (browser.get_log(kind) for kind in ("browser", "performance"))  # type: ignore[no-untyped-call]
    assert [entry for entry in console if entry["level"] == "SEVERE"] == []
    asked = [json.loads(entry["message"])["message"] for entry in network]
    urls = [each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"]
    home = served.address.split("#")[0]
    assert [url for url in urls if not url.startswith((home, "data:", "about:", "chrome:"))] == []
    assert any(url == f"{home}events" for url in urls)


def test_the_fills_stand_on_the_bars_they_happened_in(served: Served, browser: webdriver.Chrome) -> None:
    """Each own fill of the symbol on the chart, within the bar that it is drawn at, and within that bar's prices."""
    rows = browser.execute_script(
        "return markers.markers().map((mark) => {"
        " const bar = candleSeries.data().find((each) => each.time === mark.time);"
        " return [mark.time, mark.position, mark.text, bar.low, bar.high]; })"
    )
    own = [mark for mark in served.chart.marks if mark.symbol == "MSFT"]
    assert len(rows) == len(own) >= 4
    for (time_drawn, position, text, low, high), mark in zip(rows, own, strict=True):
        assert time_drawn <= mark.time < time_drawn + 60
        assert position == ("belowBar" if mark.side == "BUY" else "aboveBar")
        assert low <= mark.price <= high
        assert (text[0], float(text[2:].replace(",", ""))) == (mark.side[0], mark.price)
    curve = browser.execute_script("return equitySeries.data().length")
    assert curve == len(served.chart.curve) == 390


def test_the_keyboard_changes_the_symbol_and_reaches_everything(served: Served, browser: webdriver.Chrome) -> None:
    """The arrow moves along the symbols; what can scroll or be pressed can be reached by the tab key."""
    browser.find_element(By.CSS_SELECTOR, "[role=tab][aria-selected=true]").send_keys(Keys.ARROW_RIGHT)
    chosen = browser.find_element(By.CSS_SELECTOR, "[role=tab][aria-selected=true]")
    assert chosen.text == "AAPL"
    assert browser.switch_to.active_element == chosen
    reached = set()
    for _ in range(12):
        reached.add(browser.switch_to.active_element.get_attribute("id"))
        browser.switch_to.active_element.send_keys(Keys.TAB)
    assert {"price", "kill", "events"} <= reached
    assert len(served.chart.candles) == 780


def test_the_kill_button_wants_a_second_press_and_then_says_what_it_did(
    served: Served, browser: webdriver.Chrome
) -> None:
    """One press alone stops nothing; afterwards the page shows that all is stopped."""
    button = by_id(browser, "kill")
    button.send_keys(Keys.ENTER)
    assert "Press again" in button.text
    assert not served.stopped
    button.send_keys(Keys.ENTER)
    until(browser, "document.getElementById('killed').textContent === 'It is stopped.'")
    assert served.stopped
    until(browser, "!document.getElementById('trouble').hidden && document.getElementById('kill').disabled")


def test_a_session_that_hangs_or_is_gone_is_told_from_one_that_goes_on(
    served: Served, browser: webdriver.Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes any more, with the stream open or not: the page says so, and the button that it stopped nothing."""
    trouble = "document.getElementById('trouble').textContent"
    monkeypatch.setattr(served.server, "_look", lambda: None)
    until(browser, f"{trouble} === 'The session does not answer: what stands here is old.'")
    served.server.stop()
    button = by_id(browser, "kill")
    button.send_keys(Keys.ENTER)
    button.send_keys(Keys.ENTER)
    until(browser, "document.getElementById('killed').textContent.startsWith('NOT STOPPED')")
    assert not served.stopped


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 900)])
def test_it_is_readable_on_small_and_large_screens_in_light_and_dark(
    served: Served, browser: webdriver.Chrome, width: int, height: int, scheme: str
) -> None:
    """Nothing is wider than the screen, and letters stand out from what is behind them (WCAG's 4.5 to 1)."""
    screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    scheme_set = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme_set)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    colours = browser.execute_script(
        "const of = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();"
        "return ['--ink', '--dim', '--good', '--bad', '--warn'].map((name) => [of(name), of('--card')])"
    )
    assert len(colours) == 5
    for ink, card in colours:
        assert contrast(ink, card) >= 4.5, (ink, card)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert served.summary.fills > 0


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours, #rgb or #rrggbb."""

    def luminance(colour: str) -> float:
        digits = colour.lstrip("#")
        digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_session_that_is_gone_leaves_old_figures_that_say_so(served: Served, browser: webdriver.Chrome) -> None:
    """What stands on the page is never taken for fresh."""
    served.server.stop()
    until(browser, "document.getElementById('trouble').textContent.includes('does not answer')")
