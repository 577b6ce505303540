"""A session's metrics over HTTP, as a scraper reads them: over the real simulated broker, with the library's parser."""

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from src.brokers.opening import Play, open_broker
from src.brokers.simulated import SimulatedBroker
from src.console.metrics import SessionMetrics
from src.console.metrics_server import MetricsServer
from src.console.watchers import watchers
from src.domain.account import AccountSummary
from src.domain.errors import ConfigurationError, NotConnectedError, OrderRefusedError
from src.domain.events import ConnectionChanged, Notice
from src.domain.market import Bar, Contract, Mode
from src.domain.orders import Action, Order
from src.settings import Settings, load_settings
from src.trading.portfolio import Portfolio
from src.trading.trader import Trader
from tests.trading.test_trader import Scripted, at_bar, buy, plan

Market = Callable[..., SimulatedBroker]
Script = Callable[[Bar, Portfolio], Sequence[Order]]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
PATIENCE: Final = 40.0
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104  # that is the question


def settings(**given: Any) -> Settings:
    """Those of a session on one symbol, served on any free port."""
    return load_settings(environ={}, symbols="MSFT", **{"metrics_port": 0, "metrics_linger": 0, **given})


@contextmanager
def serving(**given: Any) -> Iterator[MetricsServer]:
    """A server of a session that is to come."""
    with MetricsServer(settings(**given)) as server:
        yield server


def get(server: MetricsServer, path: str) -> tuple[int, str]:
    """Status and text of a page."""
    assert server.port is not None
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("GET", path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def scrape(server: MetricsServer) -> Samples:
    """Every sample by its name and labels."""
    status, text = get(server, "/metrics")
    assert status == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """The one sample of a name with these labels, in the simulated mode."""
    return samples[f"ibkr_{name}", frozenset({"mode": "simulated", **labels}.items())]


class Looking(Scripted):
    """A strategy during which somebody scrapes, at the bar of a number."""

    def __init__(self, server: MetricsServer, number: int, script: Callable[..., Sequence[Order]]) -> None:
        super().__init__(script)
        self.server, self.number = server, number
        self.samples: Samples = {}
        self.ready: tuple[int, str] = (0, "")

    def on_bar(self, bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        """Look, then decide."""
        orders = super().on_bar(bar, portfolio)
        if len(self.seen) == self.number:
            self.samples, self.ready = scrape(self.server), get(self.server, "/readyz")
        return orders


def trade(
    market: Market, server: MetricsServer, number: int = 4, script: Script | None = None, **prices: Any
) -> Looking:
    """Run a session on MSFT while it is scraped once."""
    strategy = Looking(server, number, script or at_bar(2, buy))
    broker = market(**(prices or {"MSFT": [10, 11, 12, 13, 14]}))
    Trader(broker, strategy, plan("MSFT"), [server.session]).run()
    return strategy


def test_a_session_shows_its_orders_money_and_shares_while_it_runs(market: Market) -> None:
    """Bought 100 at 11, worth 13 at the third close after it; a dollar of commission."""
    with serving() as server:
        looking = trade(market, server)
        seen = looking.samples
        assert looking.ready == (200, "ok\n")
    assert value(seen, "session_state", state="running") == 1
    assert value(seen, "session_info", session="test") == 1
    assert value(seen, "orders_total", symbol="MSFT", action="BUY", order_type="MKT", status="PendingSubmit") == 1
    assert value(seen, "orders_total", symbol="MSFT", action="BUY", order_type="MKT", status="Filled") == 1
    assert value(seen, "orders_total", symbol="MSFT", action="SELL", order_type="MKT", status="Filled") == 0
    assert value(seen, "signals_total", symbol="MSFT", signal="BUY") == 1
    assert value(seen, "commission_dollars_total") == 1
    assert value(seen, "position_shares", symbol="MSFT") == 100
    assert value(seen, "position_mismatch", symbol="MSFT") == 0
    assert value(seen, "account_net_liquidation_dollars") == 100_199
    assert value(seen, "account_gross_position_dollars") == 1300
    assert value(seen, "exposure_ratio") == pytest.approx(1300 / 100_199)
    assert value(seen, "pnl_unrealized_dollars") == 199
    assert value(seen, "drawdown_ratio") == 0
    assert value(seen, "connected", backend="simulated") == 1
    assert value(seen, "market_data_source", symbol="MSFT", source="simulated") == 1
    assert value(seen, "bars_total") == 3  # the fourth is being decided on
    assert value(seen, "loop_iteration_seconds_count") == 3
    assert value(seen, "order_ack_seconds_count") == value(seen, "order_fill_seconds_count") == 1
    assert value(seen, "slippage_bps_sum") == 0  # decided at the close of 11, filled at an open of 11


def test_every_series_bears_its_mode_and_no_label_an_account_or_an_order(market: Market) -> None:
    """Real and simulated money never share a line; nothing of a session makes series without end."""
    with serving() as server:
        seen = trade(market, server).samples
    assert {dict(labels).get("mode") for _, labels in seen} == {"simulated"}
    text = str(seen)
    assert "SIM0001" not in text
    assert "test-1" not in text


def test_counters_are_there_and_gauges_unknown_before_the_session_has_begun() -> None:
    """No zero where nothing is known yet, and not ready."""
    with serving() as server:
        seen = scrape(server)
        assert get(server, "/livez") == (200, "ok: session starting, disconnected\n")
        assert get(server, "/readyz") == (503, "the session is starting\n")
        assert get(server, "/else")[0] == 404

    def before(name: str, **labels: str) -> float:
        return seen[f"ibkr_{name}", frozenset({"mode": "disconnected", **labels}.items())]

    for name in ("account_net_liquidation_dollars", "pnl_daily_dollars", "drawdown_ratio", "market_open"):
        assert math.isnan(before(name))
    assert math.isnan(before("position_shares", symbol="MSFT"))
    assert before("api_errors_total", code="1100") == before("order_rejects_total", reject_class="margin") == 0
    assert before("reconnects_total", reason="link") == before("risk_blocks_total", rule="other") == 0
    assert before("session_state", state="starting") == 1


def test_a_rejected_order_is_counted_by_its_class(market: Market) -> None:
    """A thousand dollars do not buy ten thousand shares."""
    with serving() as server:
        seen = trade(market, server, 2, at_bar(1, lambda bar: buy(bar, 900_000))).samples
    assert value(seen, "order_rejects_total", reject_class="margin") == 1
    assert value(seen, "orders_total", symbol="MSFT", action="BUY", order_type="MKT", status="Inactive") == 1
    assert value(seen, "order_fill_seconds_count") == 0


def test_what_the_guards_and_the_journal_do_is_shown(tmp_path: Path) -> None:
    """Over a guarded broker with a paper account's limits: an order that is too large, the limit of a day, a commit."""
    loaded = settings(backend="simulated", state_dir=str(tmp_path), sim_market_hours="always")
    broker = open_broker(loaded, Play(persistent=True, limits=True)).broker
    with serving() as server:
        contract = broker.qualify(Contract("MSFT"))
        trader = Trader(broker, Scripted(lambda _, __: ()), plan("MSFT"))
        trader.contracts = {"MSFT": contract}
        server.session.began(trader, 100_000.0)
        order = Order(contract, Action.BUY, Decimal(10_000))
        with pytest.raises(OrderRefusedError):
            broker.place_order(order)
        broker.place_order(replace(order, quantity=Decimal(1)))
        seen = scrape(server)
    broker.disconnect()
    assert value(seen, "risk_blocks_total", rule="order_quantity") == 1
    assert value(seen, "risk_blocks_total", rule="read_only") == 0
    assert value(seen, "daily_loss_limit_dollars") == 1000
    assert value(seen, "kill_switch") == 0
    assert value(seen, "journal_commits_total") >= 1
    assert value(seen, "journal_commit_seconds_count") == value(seen, "journal_commits_total")
    assert value(seen, "journal_failures_total") == 0


def test_messages_and_reconnections_count_by_code_and_reason() -> None:
    """A code that nobody knows is `other`."""
    with serving() as server:
        for event in (
            Notice(0, 1100, "lost"),
            Notice(0, 99_999, "new"),
            ConnectionChanged(Mode.PAPER, connected=False, reason="1100 lost"),
            ConnectionChanged(Mode.PAPER, connected=True),
            ConnectionChanged(Mode.PAPER, connected=False, reason="TWS has closed the connection"),
        ):
            server.session.heard(event)
        counters = server.session.counters
        assert (counters.api_errors["1100"], counters.api_errors["other"]) == (1, 1)
        assert counters.reconnects == {"link": 1, "socket": 0, "sleep": 0}


def test_shares_that_the_broker_does_not_know_of_are_a_mismatch(market: Market) -> None:
    """The account held 5 before; somebody sells them from under the session."""
    broker = market(MSFT=[10, 11, 12, 13])
    with serving() as server:

        def script(bar: Bar, _: Portfolio) -> Sequence[Order]:
            if bar.close == 11:
                broker.place_order(buy(bar, 5))  # behind the session's back
            return ()

        looking = Looking(server, 4, script)
        Trader(broker, looking, plan("MSFT"), [server.session]).run()
    assert value(looking.samples, "position_mismatch", symbol="MSFT") == -5


def test_drawdown_is_how_far_the_session_is_below_its_peak_now(market: Market) -> None:
    """It falls by a tenth of the shares' worth, and comes back."""
    with serving() as server:
        trade(market, server, 5, at_bar(1, buy), MSFT=[100, 100, 100, 90, 90, 110])
        assert server.session.counters.drawdown == 0
    with serving() as server:
        looking = trade(market, server, 5, at_bar(1, buy), MSFT=[100, 100, 100, 90, 90, 90])
    assert value(looking.samples, "drawdown_ratio") == pytest.approx(1000 / 100_000, rel=0.2)


def test_a_broker_that_hangs_leaves_the_rest_readable_and_is_not_asked_again(
    market: Market,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The account's values are unknown, everything else is there; the next scrape does not pile up."""
    asked: list[SimulatedBroker] = []
    release = threading.Event()

    def hang(self: SimulatedBroker) -> AccountSummary:
        if threading.current_thread() is threading.main_thread():
            return original(self)
        asked.append(self)
        release.wait(PATIENCE)
        raise NotConnectedError("too late")

    original = SimulatedBroker.account_summary
    monkeypatch.setattr(SimulatedBroker, "account_summary", hang)
    monkeypatch.setattr("src.records.metrics.readings._PATIENCE", 1.0)
    with serving() as server:
        looking = trade(market, server)
        assert math.isnan(value(looking.samples, "account_net_liquidation_dollars"))
        assert value(looking.samples, "position_shares", symbol="MSFT") == 100
        assert looking.ready[0] == 503
        assert len(asked) == 1
        release.set()


def test_a_session_that_ends_says_how_and_stays_for_its_last_scrape(market: Market) -> None:
    """The scraper comes once more; then the port is free."""
    ends: list[Samples] = []

    def look_until_gone(server: MetricsServer, ended: threading.Event) -> None:
        ended.wait(PATIENCE)
        ends.append(scrape(server))

    ended = threading.Event()
    with serving(metrics_linger=PATIENCE) as server:
        thread = threading.Thread(target=look_until_gone, args=(server, ended))
        thread.start()
        trade(market, server)
        ended.set()
    thread.join(PATIENCE)
    assert value(ends[0], "session_state", state="ended_ok") == 1
    assert value(ends[0], "session_state", state="running") == 0
    with pytest.raises(OSError, match="refused"):
        get(server, "/livez")


def test_a_session_that_fails_ends_in_error(market: Market) -> None:
    """The strategy raises."""

    def broken(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        raise LookupError("nothing found")

    with serving() as server:
        Trader(market(MSFT=[10, 11]), Scripted(broken), plan("MSFT"), [server.session]).run()
        assert value(scrape(server), "session_state", state="ended_error") == 1
        assert get(server, "/readyz") == (503, "the session is ended error\n")


def test_a_session_whose_port_is_taken_trades_on_and_the_other_one_tells_of_it(
    market: Market,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One warning with the holder's name; what is scraped shows that a session is not watched."""
    with serving() as first, caplog.at_level(logging.WARNING):
        trade(market, first)
        with serving(metrics_port=first.port) as second:
            assert second.port is None
            broker = market(MSFT=[10, 11, 12])
            summary = Trader(broker, Scripted(at_bar(1, buy)), plan("MSFT"), [second.session]).run()
            assert summary.fills == 1
            knocked = threading.Event()
            while not scrape(first)["ibkr_unwatched_sessions", frozenset({("mode", "simulated")})]:
                assert not knocked.wait(0.05)
    warnings = [record.getMessage() for record in caplog.records if "METRICS_PORT" in record.getMessage()]
    assert len(warnings) == 1
    assert "session test, simulated" in warnings[0]


@pytest.mark.parametrize(
    ("given", "real_time", "served"),
    [
        ({"metrics_port": None}, False, False),
        ({"metrics_port": "0"}, True, True),
        ({"metrics_port": "0"}, False, True),
        ({"metrics_port": "off"}, True, False),
    ],
)
def test_sessions_in_real_time_are_served_and_others_when_asked(
    given: dict[str, Any], *, real_time: bool, served: bool
) -> None:
    """A replay at full speed is over before anybody could look."""
    loaded = load_settings(environ={}, symbols="MSFT", **given)
    with watchers(loaded, real_time=real_time) as found:
        assert [type(each) for each in found] == [SessionMetrics] * served


def test_an_address_that_others_can_reach_needs_a_token() -> None:
    """And loopback does not."""
    with pytest.raises(ConfigurationError, match="METRICS_TOKEN"):
        MetricsServer(settings(metrics_host=EVERYWHERE))
    MetricsServer(settings(metrics_host=EVERYWHERE, metrics_token="sixteen characters"))
    assert "sixteen" not in repr(settings(metrics_token="sixteen characters"))
