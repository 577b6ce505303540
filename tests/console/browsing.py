"""Headless Chromium, driven by selenium, for tests of pages; they skip where it is not installed."""

import shutil
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

_CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--window-size=1280,1600",
)  # fmt: skip


BROWSER_TESTS = pytest.mark.skipif(not (_CHROMIUM and _DRIVER), reason="chromium and chromium-driver are not installed")


def open_browser(profile: Path) -> webdriver.Chrome:
    """Chromium with a profile of its own."""
    options = webdriver.ChromeOptions()
    options.binary_location = _CHROMIUM or ""
    for argument in (*_QUIET, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=_DRIVER or ""))


def until(browser: webdriver.Chrome, script: str) -> None:
    """Wait, a minute at most, until an expression of the page is true."""
    WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(f"return {script}"))


def by_id(browser: webdriver.Chrome, name: str) -> WebElement:
    """An element of the page."""
    return browser.find_element(By.ID, name)
