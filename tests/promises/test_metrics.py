"""A session's metrics as a person meets them: where they are, how long they stay, and who has none."""

import sys
from http.client import HTTPConnection
from pathlib import Path

from tests.conftest import ROOT, Run
from tests.ops.conftest import Process, Start, start, until

__all__ = ["start"]  # a fixture, here too
TRADER = str(ROOT / "live_trader.py")


def session(start: Start, **variables: str) -> Process:
    """On the simulator, served on any free port unless told otherwise."""
    return start(
        *(sys.executable, TRADER, "--duration", "30", "--backend", "simulated"),
        **{"METRICS_PORT": "0", "METRICS_LINGER_S": "30", **variables},
    )


def scrape(address: str) -> str:
    """The metrics at an address."""
    host, _, port = address.partition(":")
    connection = HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def test_a_session_that_was_scraped_stays_for_one_more_scrape(start: Start) -> None:
    """Ctrl-C ends it in good order; it leaves when its end has been seen."""
    process = session(start)
    address = process.find(r"metrics at http://([\d.:]+)/metrics")
    until(lambda: 'ibkr_session_state{mode="simulated",state="running"} 1.0' in scrape(address), "the session")
    process.find(r"(session \w+ begins)")
    process.interrupt()
    process.find(r"(the metrics stay until they have been scraped once more, 30 s at most)")
    assert process.is_alive
    assert 'state="ended_ok"} 1.0' in scrape(address)
    assert process.wait() == 130


def test_a_second_ctrl_c_ends_it_at_once(start: Start) -> None:
    """Nobody comes for the last scrape."""
    process = session(start)
    scrape(process.find(r"metrics at http://([\d.:]+)/metrics"))
    process.find(r"(session \w+ begins)")
    process.interrupt()
    process.find(r"(the metrics stay)")
    process.interrupt()
    assert process.wait() == 130


def test_a_session_that_nobody_scraped_waits_for_nobody(start: Start) -> None:
    """Its summary is the last that it says."""
    process = session(start)
    process.find(r"(session \w+ begins)")
    process.interrupt()
    assert process.wait() == 130
    assert "the metrics stay" not in process.said


def test_a_taken_port_is_one_warning_and_the_session_trades(start: Start) -> None:
    """It names the session that has it."""
    first = session(start)
    port = first.find(r"metrics at http://127\.0\.0\.1:(\d+)/metrics")
    name = first.find(r"session (\w+) begins")
    second = session(start, METRICS_PORT=port)
    assert second.find(r"it is served by session (\w+), simulated") == name
    second.find(r"(session \w+ begins)")


def test_checks_and_replays_serve_nothing(run: Run, tmp_path: Path) -> None:
    """No port, no warning, whatever METRICS_PORT would be by default."""
    day = str(ROOT / "data" / "sample" / "MSFT_2019-02-11.csv")
    environment = {"METRICS_PORT": ""}  # the default
    for command in (
        (str(ROOT / "src" / "brokers" / "ib_gateway.py"), "--test", "connect"),
        (TRADER, "--replay", day),
    ):
        done = run(*command, IBKR_BACKEND="simulated", **environment)
        assert done.returncode == 0, done.stderr
        assert "metrics" not in done.stderr.lower()
