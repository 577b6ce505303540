"""I14: executions that are missed are booked once; a position that nothing explains is taken over, told and blocked."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from src.brokers import kill, watching
from src.brokers.guarded import GuardedBroker
from src.brokers.opening import NoBrokerError, Play, open_broker
from src.brokers.tws.broker import TwsBroker
from src.domain.account import Position
from src.domain.errors import OrderRefusedError
from src.domain.journal_facts import Adjusted, Charged, Executed
from src.domain.market import Contract
from src.domain.orders import AccountId, Action, Order, Origin
from src.gateways.tws_server import PaperGateway
from src.records.journal_file import FOLDER
from src.records.journal_reading import JournalReader
from src.runtime.market import MarketRules, seeded_market
from src.runtime.worker import wait_until
from src.settings import Settings

ACCOUNT = "DU1234567"
BY_HAND = "{at: 0, action: order, order: {symbol: NVDA, action: BUY, quantity: 7, orderType: MKT}}"


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[PaperGateway]:
    """A paper account of IB's kind; the guards look at positions all the time."""
    monkeypatch.setattr(watching, "POSITIONS_SECONDS", 0.2)
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(kill, "_FRESH", 0.01)
    rules = MarketRules(preset="ideal", hours="always", seed=3)
    with PaperGateway(seeded_market(rules, ["NVDA", "MSFT"], {AccountId(ACCOUNT): Decimal(10**6)})) as found:
        yield found


def opened(gateway: PaperGateway, folder: Path) -> GuardedBroker:
    settings = Settings(host="127.0.0.1", port=gateway.port, state_dir=folder, risk={"RISK_HOURS": "off"})
    broker = open_broker(settings, Play()).broker
    assert isinstance(broker, GuardedBroker)
    return broker


def facts(folder: Path, kind: type) -> list[object]:
    [path] = (folder / FOLDER).glob("paper-*.sqlite3")
    with JournalReader(path) as reader:
        return list(reader.facts(kind))


def test_a_commission_that_was_never_told_is_asked_for(
    gateway: PaperGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second look that misses it: one that is a moment late brings no question about the whole day."""
    monkeypatch.setattr(watching, "SETTLE_SECONDS", 0.1)
    broker = opened(gateway, tmp_path)
    gateway.play("- {on: [commissionReport], action: drop, count: 1}")
    broker.place_order(Order(broker.qualify(Contract("NVDA")), Action.BUY, Decimal(5)))
    assert wait_until(lambda: len(facts(tmp_path, Charged)) == 1, 60)
    broker.disconnect()


def test_an_order_by_hand_is_counted_and_left_alone(gateway: PaperGateway, tmp_path: Path) -> None:
    broker = opened(gateway, tmp_path)
    gateway.play(f"- {BY_HAND}")
    assert wait_until(lambda: any(each.quantity == 7 for each in broker.positions()), 60)
    assert wait_until(lambda: len(facts(tmp_path, Executed)) == 1, 60)
    gateway.play(f"- {BY_HAND.replace('MKT', 'LMT, lmtPrice: 100')}")

    def by_hand_works() -> bool:
        broker.synchronise()
        return any(trade.origin is Origin.MANUAL for trade in broker.open_trades())

    assert wait_until(by_hand_works, 60)
    broker.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(1)))
    broker.disconnect()
    assert facts(tmp_path, Adjusted) == []
    assert [order.status for order in gateway.truth().orders].count("Submitted") == 1


def test_what_nothing_explains_is_taken_over_told_and_blocked_until_a_person_says_so(
    gateway: PaperGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = opened(gateway, tmp_path)
    gateway.play(f"- {{on: execDetails, action: drop}}\n- {BY_HAND}")
    assert wait_until(lambda: "no execution explains it" in caplog.text, 60)
    with pytest.raises(OrderRefusedError, match="moved by 7, and no execution explains it"):
        broker.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(1)))
    gateway.behave()
    broker.place_order(Order(Contract("MSFT"), Action.BUY, Decimal(1)))
    broker.disconnect()
    [adjusted] = facts(tmp_path, Adjusted)
    assert isinstance(adjusted, Adjusted)
    assert (adjusted.symbol, adjusted.shares) == ("NVDA", Decimal(7))
    again = opened(gateway, tmp_path)
    with pytest.raises(OrderRefusedError, match="python -m src resume"):
        again.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(1)))
    again.disconnect()
    assert len(kill.resume(tmp_path)) >= 1


def test_a_position_that_moves_while_it_is_looked_at_brings_no_question_and_no_alarm(
    gateway: PaperGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Between a position and its execution lies a moment: only a difference that two looks find is one."""
    monkeypatch.setattr(watching, "SETTLE_SECONDS", 0.1)
    broker = opened(gateway, tmp_path)
    looks: list[Decimal] = []
    questions: list[object] = []

    def moving(_: TwsBroker) -> tuple[Position, ...]:
        looks.append(Decimal(len(looks) + 1))
        return (Position(Contract("NVDA", con_id=7), AccountId(ACCOUNT), looks[-1], *[Decimal(0)] * 5),)

    monkeypatch.setattr(TwsBroker, "synchronise", questions.append)
    monkeypatch.setattr(TwsBroker, "positions", moving)
    assert wait_until(lambda: len(looks) > 30, 60)
    broker.disconnect()
    assert questions == []
    assert "error of its own" not in caplog.text
    assert "no execution explains it" not in caplog.text


def test_a_position_that_is_no_longer_listed_is_told_by_its_symbol(
    gateway: PaperGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As after an execution that TWS annuls while its word of that is still on its way."""
    broker = opened(gateway, tmp_path)
    broker.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(7)))
    assert wait_until(lambda: len(facts(tmp_path, Executed)) == 1, 60)
    monkeypatch.setattr(TwsBroker, "positions", lambda _: ())
    assert wait_until(lambda: "the position in NVDA moved by -7, and no execution explains it" in caplog.text, 60)
    broker.disconnect()
    [adjusted] = facts(tmp_path, Adjusted)
    assert isinstance(adjusted, Adjusted)
    assert (adjusted.symbol, adjusted.shares) == ("NVDA", Decimal(-7))


def test_what_has_moved_while_the_connection_was_gone_is_blocked_within_seconds(
    gateway: PaperGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the return the positions are looked at, and soon once more: not only when it is time again."""
    monkeypatch.setattr(watching, "POSITIONS_SECONDS", 3600.0)
    monkeypatch.setattr(watching, "SETTLE_SECONDS", 0.2)
    broker = opened(gateway, tmp_path)
    gateway.play(f"- {{on: execDetails, action: drop}}\n- {BY_HAND}\n- {{at: 0.2, action: reset}}")
    assert wait_until(lambda: "no execution explains it" in caplog.text, 60)
    broker.disconnect()


def test_what_was_held_before_the_journal_began_is_no_alarm(
    gateway: PaperGateway, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with_position = opened(gateway, tmp_path / "one")
    with_position.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(3)))
    with_position.disconnect()
    gateway.play("- {on: execDetails, action: drop}")  # as if it had been days ago
    other = opened(gateway, tmp_path / "two")
    other.disconnect()
    [adjusted] = facts(tmp_path / "two", Adjusted)
    assert isinstance(adjusted, Adjusted)
    assert adjusted.reason == "held when this journal began"
    assert "no execution explains it" not in caplog.text


def test_with_a_position_of_ours_nothing_is_simulated_in_its_place(gateway: PaperGateway, tmp_path: Path) -> None:
    """D8: TWS is gone, and the journal knows what is held."""
    broker = opened(gateway, tmp_path)
    broker.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(3)))
    assert wait_until(lambda: len(facts(tmp_path, Executed)) == 1, 60)
    broker.disconnect()
    port = gateway.port
    gateway.stop()
    settings = Settings(host="127.0.0.1", port=port, state_dir=tmp_path, connect_timeout=2.0)
    with pytest.raises(NoBrokerError, match="positions of ours: 3 NVDA: that is never left alone for a simulation"):
        open_broker(settings, Play())
    elsewhere = Settings(host="127.0.0.1", port=port, state_dir=tmp_path / "other", connect_timeout=2.0)
    open_broker(elsewhere, Play()).broker.disconnect()


def test_no_share_is_bought_where_tws_counts_no_day_trade_left(gateway: PaperGateway, tmp_path: Path) -> None:
    """And what is held may be sold."""
    broker = opened(gateway, tmp_path)
    nvda = broker.qualify(Contract("NVDA"))
    broker.place_order(Order(nvda, Action.BUY, Decimal(5)))
    assert wait_until(lambda: any(each.quantity == 5 for each in broker.positions()), 60)
    broker.disconnect()
    gateway.play("- {on: updateAccountValue, where: {key: DayTradesRemaining}, action: change, set: {value: '0'}}")
    gateway.play("- {on: accountSummary, where: {tag: DayTradesRemaining}, action: change, set: {value: '0'}}")
    again = opened(gateway, tmp_path)
    with pytest.raises(OrderRefusedError, match="day_trades: 1 day trade"):
        again.place_order(Order(nvda, Action.BUY, Decimal(1)))
    again.place_order(Order(nvda, Action.SELL, Decimal(5)))
    assert again.refusals == {"day_trades": 1}
    again.disconnect()
