"""The real Prometheus scrapes a real session over the real paper gateway: what it has, and what it raises."""

import math
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from types import ModuleType

import pytest

from tests.conftest import ROOT, Run
from tests.ops.conftest import Process, Start, promtool, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def session(start: Start, gateway: Process) -> Process:
    """A session over the gateway, served on any free port."""
    return start(
        *(sys.executable, str(ROOT / "live_trader.py"), "--duration", "30"),
        IBKR_BACKEND="tws",
        IBKR_HOST_IP="127.0.0.1",
        IBKR_PORT=gateway.find(r"listening on 127\.0\.0\.1:(\d+)"),
        IBKR_RECONNECT_DELAY="0.5",
        METRICS_PORT="0",
        METRICS_LINGER_S="20",
    )


@pytest.fixture
def target(session: Process) -> str:
    """Where it serves."""
    return session.find(r"metrics at http://([\d.:]+)/metrics")


class Watcher:
    """Asks a Prometheus."""

    def __init__(self, monitor: ModuleType, address: str) -> None:
        self.api, self.address = monitor.Prometheus(address), address

    def value(self, expression: str) -> float | None:
        """The one value of an expression; None while there is none, or no Prometheus yet."""
        try:
            found = self.api.query(expression)
        except OSError:
            return None
        return float(found[0]["value"][1]) if found else None

    def alerts(self) -> dict[str, str]:
        """Every alert that is pending or firing."""
        return {one["labels"]["alertname"]: one["state"] for one in self.api.get("alerts")["alerts"]}

    def await_alert(self, name: str, state: str | None) -> None:
        """Until an alert is in a state, None for neither pending nor firing."""
        until(lambda: self.alerts().get(name) == state, f"the alert {name}: {state}")

    def await_value(self, expression: str, expected: float) -> None:
        """Until an expression has a value."""
        until(lambda: self.value(expression) == expected, f"{expression} == {expected}")


@pytest.fixture
def watcher(monitor: ModuleType, prometheus: Callable[[str], str], target: str) -> Watcher:
    """A Prometheus that has seen the session run, and has evaluated its rules since."""
    found = Watcher(monitor, prometheus(target))
    found.await_value('ibkr_session_state{state="running"}', 1)
    found.await_value("count_over_time(ibkr_bars_total[1m]) >= bool 3", 1)
    found.await_value("count(instance_mode:ibkr_excess_liquidity:ratio) > bool 0", 1)
    return found


def get(address: str, path: str) -> tuple[int, str]:
    """A page of the session."""
    host, _, port = address.partition(":")
    connection = HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_every_panel_and_variable_has_data_and_the_monitor_says_so(
    monitor: ModuleType, watcher: Watcher, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the gateway's account to Grafana's queries, nothing of it ours but the two ends."""
    assert monitor.without_data(watcher.api) == []
    assert watcher.value("ibkr_account_net_liquidation_dollars") == pytest.approx(100_000, rel=0.01)
    assert watcher.value('ibkr_connected{backend="tws"}') == watcher.value("ibkr_market_open") == 1
    price = watcher.value('ibkr_last_price_dollars{symbol="NVDA"}')
    assert price is not None
    assert not math.isnan(price)
    age = watcher.value('time() - ibkr_last_tick_timestamp_seconds{symbol="NVDA"}')
    assert age is not None
    assert -1 < age < 30
    assert watcher.alerts() == {}
    assert monitor.main(["--prometheus", watcher.address, "--no-start", "--panels"]) == 0
    assert f"{target} is up: session" in capsys.readouterr().out
    assert get(target, "/readyz") == (200, "ok\n")


def test_promtool_finds_no_fault_in_the_names_and_units(target: str) -> None:
    """Of the text that a session serves."""
    status, text = get(target, "/metrics")
    assert status == 200
    done = promtool("check", "metrics", given=text)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_session_that_ends_raises_no_alert_and_the_monitor_names_the_cure(
    monitor: ModuleType, watcher: Watcher, session: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    """It waits until its end has been scraped, then it leaves."""
    session.interrupt()
    assert session.wait() == 130
    watcher.await_value("up", 0)
    assert watcher.value('last_over_time(ibkr_session_state{state="ended_ok"}[1m])') == 1
    watcher.await_value("count_over_time(up[1m]) - count_over_time((up == 1)[1m:1s]) >= bool 3", 1)
    assert watcher.alerts() == {}
    assert monitor.main(["--prometheus", watcher.address, "--no-start"]) == 1
    assert "nothing serves at" in capsys.readouterr().err


def test_a_gateway_that_goes_is_told_of_until_it_is_back(
    monitor: ModuleType,
    watcher: Watcher,
    gateway: Process,
    start: Start,
    target: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The alert fires, with the reason beside it; the session comes back by itself, and the alert clears."""
    port = gateway.find(r"listening on 127\.0\.0\.1:(\d+)")
    gateway.kill()
    watcher.await_alert("Disconnected", "firing")
    status, reason = get(target, "/readyz")
    assert status == 503
    assert "the connection to TWS is lost since" in reason
    assert watcher.value('ibkr_connected{backend="tws"}') == 0
    assert math.isnan(watcher.value("ibkr_account_net_liquidation_dollars") or 0)
    age = watcher.value('time() - ibkr_last_tick_timestamp_seconds{symbol="NVDA"}')
    assert age is not None
    assert age > 0  # known while nothing comes, and growing
    assert monitor.main(["--prometheus", watcher.address, "--no-start"]) == 0
    assert "alert Disconnected is firing (simulated)" in capsys.readouterr().out

    back = start(sys.executable, "-m", "src", "serve-tws", "--port", port, "--market-hours", "always")
    back.find(r"(listening on)")
    watcher.await_value('ibkr_connected{backend="tws"}', 1)
    watcher.await_alert("Disconnected", None)
    assert watcher.value('ibkr_reconnects_total{reason="socket"}') == 1
    assert get(target, "/readyz") == (200, "ok\n")


def test_a_session_that_vanishes_is_told_of(watcher: Watcher, session: Process) -> None:
    """It has never said that it ended."""
    session.kill()
    watcher.await_alert("SessionVanished", "firing")


def test_a_kill_switch_is_told_of_until_it_is_cleared(watcher: Watcher, target: str, run: Run) -> None:
    """Thrown and cleared by the commands that a person has."""
    assert run("-m", "src", "kill", cwd=ROOT).returncode == 0
    watcher.await_alert("KillSwitchOn", "firing")
    assert get(target, "/readyz") == (503, "the kill switch is on\n")
    assert run("-m", "src", "resume", cwd=ROOT).returncode == 0
    watcher.await_alert("KillSwitchOn", None)
    assert get(target, "/readyz") == (200, "ok\n")
