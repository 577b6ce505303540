"""A session over the paper gateway in trouble: what its person is told, what its metrics say, what its page stops."""

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from src.domain.orders import AccountId, OrderStatus
from src.gateways.tws_server import GatewayOptions, PaperGateway
from src.runtime.market import MarketRules, seeded_market
from src.runtime.worker import wait_until
from tests.conftest import ROOT, Run
from tests.console.test_notify import SECRET, Receiver, receiver
from tests.ops.conftest import Process, Start, start, until

__all__ = ["receiver", "start"]  # fixtures, here too
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
#: One order that the scenario rejects, one that is far too large, and one that rests.
STRATEGY = """
from decimal import Decimal
from src.domain.orders import Action, Order, OrderType

class Troubled:
    warm_up = 0
    bars = 0
    def on_bar(self, bar, portfolio):
        self.bars += 1
        low = Decimal(str(round(bar.close / 2, 2)))
        return {
            1: [Order(bar.contract, Action.BUY, Decimal(1))],
            2: [Order(bar.contract, Action.BUY, Decimal(100_000))],
            3: [Order(bar.contract, Action.BUY, Decimal(1), OrderType.LIMIT, low)],
        }.get(self.bars, [])
    def explain(self):
        return "in trouble"
"""
REJECTED = '- {on: newOrder, code: 201, text: "Order rejected - reason:too late", count: 1}'
LINK_LOST, LINK_BACK = "- {at: 0, code: 1100}", "- {at: 0, code: 1102}"
AWAY = "- {at: 0, action: restart, seconds: 3600}"  # until the test has seen what there is to see


@pytest.fixture
def gateway() -> Iterator[PaperGateway]:
    """A minute a second or so, and the first order is rejected."""
    rules = MarketRules(preset="ideal", hours="always", seed=3)
    market = seeded_market(rules, ["NVDA"], {AccountId("DUSIM01"): Decimal(10**6)}, speed=60)
    with PaperGateway(market, GatewayOptions(port=0, latency=0)) as found:
        found.play(REJECTED)
        yield found


@pytest.fixture
def session(start: Start, gateway: PaperGateway, receiver: Receiver, tmp_path: Path) -> Process:
    """Of the strategy above, held to a paper account's limits; told of, scraped and looked at."""
    (tmp_path / "mine.py").write_text(STRATEGY)
    return start(
        *(sys.executable, str(ROOT / "live_trader.py"), "--strategy", "mine:Troubled", "--symbols", "NVDA"),
        *("--limits", "--dashboard", "0", "--require", "tws", "--duration", "600"),
        PYTHONPATH=str(tmp_path),
        IBKR_PORT=str(gateway.port),
        IBKR_RECONNECT_DELAY="0.2",
        RISK_PRICE_COLLAR="off",
        METRICS_PORT="0",
        METRICS_LINGER_S="0",
        NOTIFY_WEBHOOK=receiver.address,
        NOTIFY_COMMAND="false",
        NOTIFY_DISCONNECTED_AFTER_S="1",
    )


class Watched:
    """The session as those see it who look on."""

    def __init__(self, process: Process, receiver: Receiver) -> None:
        self.process, self.receiver = process, receiver
        self.metrics = process.find(r"metrics at http://([\d.:]+)/metrics")
        self.page, self.token = process.find(r"page: http://([\d.:]+)/#"), process.find(r"page: http://[\d.:]+/#(\S+)")

    def get(self, path: str) -> tuple[int, str]:
        """A page beside the metrics."""
        connection = HTTPConnection(self.metrics, timeout=60)
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def value(self, name: str, **labels: str) -> float:
        """A series of the simulated mode."""
        wanted = {"mode": "simulated", **labels}
        families = text_string_to_metric_families(self.get("/metrics")[1])
        samples = (sample for family in families for sample in family.samples)
        [value] = [one.value for one in samples if one.name == f"ibkr_{name}" and one.labels == wanted]
        return value

    def await_value(self, expected: float, name: str, **labels: str) -> None:
        """Until a series has a value."""
        until(lambda: self.value(name, **labels) == expected, f"{name} {labels} == {expected}")

    def told(self, event: str, words: str) -> str:
        """A message about an event, once it has come."""
        title = f"Understudy: {event}"

        def found() -> list[str]:
            return [text for head, text in self.receiver.requests if head.get("Title") == title and words in text]

        until(lambda: bool(found()), f"{event}: {words}")
        return found()[0]

    def view(self) -> dict[str, object]:
        """What the page's stream shows now."""
        connection = HTTPConnection(self.page, timeout=60)
        connection.request("GET", "/events")
        with connection.getresponse() as stream:
            line = next(line for line in iter(stream.readline, b"") if line.startswith(b"data: "))
        connection.close()
        view: dict[str, object] = json.loads(line[6:])["view"]
        return view

    def kill(self) -> tuple[int, str]:
        """Press the page's button, as the page does."""
        connection = HTTPConnection(self.page, timeout=60)
        connection.request("POST", "/kill", headers={"X-Understudy-Token": self.token})
        response = connection.getresponse()
        words = json.loads(response.read())["words"]
        connection.close()
        return response.status, words


@pytest.fixture
def watched(session: Process, receiver: Receiver, gateway: PaperGateway) -> Watched:
    """A session of which the third order rests at the gateway."""
    found = Watched(session, receiver)
    until(lambda: working(gateway) == 1, "the order that rests")
    return found


def working(gateway: PaperGateway) -> int:
    """How many orders work at the gateway."""
    return sum(not OrderStatus(order.status).is_done for order in gateway.truth().orders)


def test_a_session_in_trouble_tells_its_person_and_its_metrics(watched: Watched, gateway: PaperGateway) -> None:
    """A rejection, a refusal, IB's link, TWS itself, the end: each once, without the account, and not where to."""
    receiver = watched.receiver
    assert "BUY 1 NVDA MKT rejected: " in watched.told("rejected", "too late")
    assert "BUY 100000 NVDA MKT refused: " in watched.told("refused", "RISK_MAX_ORDER")
    assert watched.value("order_rejects_total", reject_class="other") == 1
    assert watched.value("risk_blocks_total", rule="order_quantity") == 1
    assert watched.value("orders_total", symbol="NVDA", action="BUY", order_type="MKT", status="Refused") == 1
    assert watched.value("orders_total", symbol="NVDA", action="BUY", order_type="MKT", status="PendingSubmit") == 1
    assert watched.get("/readyz") == (200, "ok\n")

    gateway.play(LINK_LOST)
    watched.told("disconnected", "no connection for 1 s: 1100")
    assert watched.value("connected", backend="tws") == 0
    gateway.play(LINK_BACK)
    watched.told("disconnected", "the connection is back after")
    watched.await_value(1, "reconnects_total", reason="link")

    before = watched.value("last_tick_timestamp_seconds", symbol="NVDA")
    gateway.play(AWAY)
    watched.told("disconnected", "no connection for 1 s: Peer closed connection")
    status, reason = watched.get("/readyz")
    assert status == 503
    assert "the connection to TWS is lost since" in reason
    assert watched.value("last_tick_timestamp_seconds", symbol="NVDA") >= before  # known all the same
    view = watched.view()
    assert (view["connected"], view["positions_known"], view["working"]) == (False, False, None)
    assert "lost since" in str(view["trouble"])
    gateway.call(lambda server: server.restart(0))
    watched.await_value(1, "connected", backend="tws")
    watched.await_value(1, "reconnects_total", reason="socket")
    assert watched.get("/readyz") == (200, "ok\n")
    assert watched.view()["connected"]

    watched.process.interrupt()
    assert watched.process.wait() == 130
    assert "the session is over\n3 orders, 0 fills" in watched.told("summary", "holds nothing")
    texts = [text for _, text in receiver.requests]
    assert all(text.startswith("[SIMULATED] session ") for text in texts)
    assert "DUSIM01" not in "".join(texts)
    said = watched.process.said
    assert "NOTIFY_COMMAND ended with 1" in said  # the other way out failed, and held nothing up
    assert SECRET not in said


def test_the_page_s_kill_button_cancels_what_works_at_once(
    watched: Watched, gateway: PaperGateway, run: Run, tmp_path: Path
) -> None:
    """From the press to the order's end at the gateway; then nothing leaves, and everybody is told."""
    assert watched.get("/readyz") == (200, "ok\n")
    status, words = watched.kill()
    assert (status, "The kill switch is thrown" in words) == (200, True)
    assert wait_until(lambda: working(gateway) == 0, 60)
    watched.told("kill", "the page's kill button")
    watched.await_value(1, "kill_switch")
    assert watched.get("/readyz") == (503, "the kill switch is on\n")
    view = watched.view()
    assert "the page's kill button" in str(view["stopped"])
    assert view["working"] == []
    resumed = run("-m", "src", "resume", cwd=ROOT)
    assert resumed.returncode == 0, resumed.stderr
    watched.await_value(0, "kill_switch")
    assert watched.get("/readyz") == (200, "ok\n")


def test_a_page_s_port_that_is_taken_is_one_line_and_nothing_is_traded(run: Run, gateway: PaperGateway) -> None:
    """Wrong use, before anything is connected."""
    taken = str(gateway.port)
    done = run(str(ROOT / "live_trader.py"), "--dashboard", taken, IBKR_PORT=taken)
    [line] = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--dashboard: port {taken} cannot be had: Address already in use" in line
