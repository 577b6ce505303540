"""Cancels while TWS is away: kept, over a restart too, and sent once or not at all; the gateway is the judge."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.brokers import kill, watching
from src.brokers.egress import Egress
from src.brokers.findings import Finding, Outcome
from src.brokers.guarded import GuardedBroker
from src.brokers.guarding import guarded
from src.brokers.order_desk import OrderDesk
from src.brokers.tws import open_tws
from src.domain.errors import CancelKeptError, NotConnectedError, OrderOutcomeUnknownError
from src.domain.intents import CancelStep
from src.domain.journal_facts import CancelNoted
from src.domain.market import Contract
from src.domain.orders import AccountId, Action, Order, OrderStatus, OrderType, Trade
from src.gateways.tws_server import PaperGateway
from src.records.journal_reading import JournalReader
from src.records.order_list import order_text, sessions_with_orders
from src.runtime.market import MarketRules, seeded_market
from src.runtime.worker import wait_until
from src.settings import Settings
from tests.brokers.tws.scripted import hurry

NVDA = Contract("NVDA")
LINK_LOST, LINK_BACK = "- {at: 0, code: 1100}", "- {at: 0, code: 1102}"


class Desk:
    """One gateway, and the sessions that trade on it one after the other."""

    def __init__(self, gateway: PaperGateway, folder: Path) -> None:
        self.gateway, self.folder = gateway, folder
        self.brokers: list[GuardedBroker] = []

    def open(self, **fields: Any) -> GuardedBroker:
        """A session's broker under its guards."""
        settings = Settings(
            connect_timeout=20.0, order_timeout=20.0, reconnect_delay=0.05, state_dir=self.folder, client_id=1, **fields
        )
        egress = Egress()
        finding = Finding("127.0.0.1", self.gateway.port, Outcome.LISTENING)
        broker = guarded(settings, open_tws(settings, finding, egress=egress), egress, limits=True, lasting=True)
        self.brokers.append(broker)
        return broker

    def place(self, broker: GuardedBroker) -> Trade:
        """An order that works, below the market."""
        quote = broker.quote(NVDA)
        limit = (Decimal(str(quote.bid)) * 98 / 100).quantize(Decimal("0.01"))
        return broker.place_order(Order(NVDA, Action.BUY, Decimal(10), OrderType.LIMIT, limit))

    def lose_link(self, broker: GuardedBroker) -> None:
        """TWS loses IB."""
        self.gateway.play(LINK_LOST)
        assert wait_until(lambda: not broker.is_connected, 60)

    def cancels(self) -> int:
        """How many cancels the gateway has heard."""
        return len(self.gateway.truth().named("cancelOrder"))

    def steps(self, broker: GuardedBroker) -> list[CancelStep]:
        """What the journal says of cancels."""
        journal = broker._admission.books.journal
        assert journal is not None
        with JournalReader(journal.path) as reader:
            return [each.step for each in reader.facts(CancelNoted) if isinstance(each, CancelNoted)]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Sessions whose looks follow each other quickly."""
    monkeypatch.setattr(watching, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(kill, "_FRESH", 0.01)
    market = seeded_market(
        MarketRules(preset="ideal", hours="always", seed=3), ["NVDA"], {AccountId("DUSIM01"): Decimal(10**6)}
    )
    with PaperGateway(market) as gateway:
        found = Desk(gateway, tmp_path)
        yield found
        for each in found.brokers:
            each.disconnect()


def test_a_cancel_while_the_link_is_down_is_kept_and_sent_once_it_is_back(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    broker = desk.open()
    trade = desk.place(broker)
    desk.lose_link(broker)
    for _ in range(3):
        with pytest.raises(CancelKeptError, match="kept, and sent once TWS is there again"):
            broker.cancel_order(trade.order_id)
    assert desk.cancels() == 0
    desk.gateway.play(LINK_BACK)
    assert wait_until(lambda: broker.trade(trade.order_id).status is OrderStatus.CANCELLED, 60)
    assert wait_until(lambda: "after its kept cancel it is Cancelled" in caplog.text, 60)
    assert desk.cancels() == 1
    assert "the cancel that was kept while TWS was away is sent now" in caplog.text
    broker.disconnect()
    assert desk.steps(broker) == [*[CancelStep.ASKED, CancelStep.KEPT] * 3, CancelStep.SENT]


def test_a_cancel_while_tws_is_gone_is_kept_by_the_order_s_id(desk: Desk) -> None:
    broker = desk.open()
    trade = desk.place(broker)
    desk.gateway.play("- {at: 0, action: restart, seconds: 3600}")
    assert wait_until(lambda: not broker.is_connected, 60)
    with pytest.raises(CancelKeptError):
        broker.cancel_order(trade.order_id)
    with pytest.raises(NotConnectedError) as caught:
        broker.cancel_order(type(trade.order_id)(9999))
    assert not isinstance(caught.value, CancelKeptError)  # nobody knows that one
    desk.gateway.call(lambda server: server.restart(0))
    assert wait_until(lambda: broker.is_connected, 60)
    assert wait_until(lambda: broker.trade(trade.order_id).status is OrderStatus.CANCELLED, 60)
    assert desk.cancels() == 1


def test_one_whose_order_ended_meanwhile_is_not_sent(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    broker = desk.open()
    trade = desk.place(broker)
    desk.lose_link(broker)
    with pytest.raises(CancelKeptError):
        broker.cancel_order(trade.order_id)
    desk.gateway.play("- {at: 0, action: cancel}")
    assert wait_until(lambda: broker.trade(trade.order_id).is_done, 60)
    desk.gateway.play(LINK_BACK)
    assert wait_until(lambda: "is not sent: it is not needed: the order is Cancelled" in caplog.text, 60)
    assert desk.cancels() == 0
    broker.disconnect()
    assert desk.steps(broker)[-1] is CancelStep.DROPPED


def test_one_that_was_kept_to_the_end_is_sent_by_the_next_session(desk: Desk) -> None:
    broker = desk.open()
    trade = desk.place(broker)
    desk.lose_link(broker)
    with pytest.raises(CancelKeptError):
        broker.cancel_order(trade.order_id)
    broker.disconnect()
    shown = sessions_with_orders(desk.folder)
    assert shown is not None
    assert "its cancel is kept" in order_text(shown)
    desk.gateway.behave()
    again = desk.open()
    assert wait_until(lambda: again.trade(trade.order_id).status is OrderStatus.CANCELLED, 60)
    assert desk.cancels() == 1
    again.disconnect()
    assert desk.open().is_connected
    assert desk.cancels() == 1


def test_one_that_left_and_was_not_answered_is_never_repeated(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    broker = desk.open()
    trade = desk.place(broker)
    desk.gateway.play("- {on: cancelOrder, action: drop}")
    hurry(broker._inner)
    with pytest.raises(OrderOutcomeUnknownError):
        broker.cancel_order(trade.order_id)
    broker.disconnect()
    desk.gateway.behave()
    again = desk.open()
    assert f"order {trade.order_id} is ACKED, although a cancel was asked for" in caplog.text
    assert not again.trade(trade.order_id).is_done
    assert desk.cancels() == 1


def test_all_of_ours_are_kept_when_all_are_to_be_cancelled(desk: Desk) -> None:
    broker = desk.open(risk={"RISK_DUPLICATE_SECONDS": "off"})
    trades = [desk.place(broker) for _ in range(2)]
    desk.lose_link(broker)
    OrderDesk(broker, None, 1.0).cancel_all()  # type: ignore[arg-type]  # no contract is looked up
    desk.gateway.play(LINK_BACK)
    assert wait_until(lambda: all(broker.trade(each.order_id).is_done for each in trades), 60)
    assert desk.cancels() == 2
