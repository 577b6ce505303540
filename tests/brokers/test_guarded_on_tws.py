"""The guards over a socket: what is refused never leaves, what is unclear is found out; the gateway is the judge."""

import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.brokers import guarding, kill, watching
from src.brokers.egress import Egress
from src.brokers.findings import Finding, Outcome
from src.brokers.guarded import GuardedBroker
from src.brokers.guarding import guarded
from src.brokers.tws import open_tws
from src.domain.errors import JournalInUseError, OrderOutcomeUnknownError, OrderRefusedError, OrderRejectedError
from src.domain.intents import IntentState
from src.domain.journal_facts import SessionFacts, SessionRecord
from src.domain.market import Contract, Mode
from src.domain.orders import AccountId, Action, Bracket, Order, OrderChange, OrderStatus, OrderType
from src.gateways.tws_server import PaperGateway
from src.records.journal import Journal
from src.runtime.market import MarketRules, seeded_market
from src.runtime.worker import wait_until
from src.settings import Settings
from tests.brokers.tws.scripted import PATIENCE, hurry

NVDA, MSFT = Contract("NVDA"), Contract("MSFT")
BUY, SELL = Action.BUY, Action.SELL
Open = Callable[..., GuardedBroker]


@pytest.fixture
def gateway() -> Iterator[PaperGateway]:
    """A paper gateway that answers at once."""
    market = seeded_market(
        MarketRules(preset="ideal", hours="always", seed=3, hard_to_borrow=("MSFT",)),
        ["NVDA", "MSFT"],
        {AccountId("DUSIM01"): Decimal(10**6)},
    )
    with PaperGateway(market) as found:
        yield found


@pytest.fixture
def opened(gateway: PaperGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens guarded brokers at the gateway, with one state folder; each is left at the end."""
    monkeypatch.setattr(watching, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(kill, "_FRESH", 0.01)
    brokers: list[GuardedBroker] = []

    def open_one(*, limits: bool = True, client_id: int = 1, **fields: Any) -> GuardedBroker:
        settings = Settings(connect_timeout=20.0, order_timeout=20.0, state_dir=tmp_path, client_id=client_id)
        settings = replace(settings, **fields)
        egress = Egress()
        finding = Finding("127.0.0.1", gateway.port, Outcome.LISTENING)
        broker = guarded(settings, open_tws(settings, finding, egress=egress), egress, limits=limits, lasting=True)
        brokers.append(broker)
        return broker

    yield open_one
    for each in brokers:
        each.disconnect()


def order(action: Action = BUY, quantity: int = 10, limit: Decimal | None = None, ref: str = "") -> Order:
    """A market order, or one with a limit."""
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    return Order(NVDA, action, Decimal(quantity), kind, limit, order_ref=ref)


def below(broker: GuardedBroker, percent: int = 2) -> Decimal:
    """A price so many percent below the market."""
    quote = broker.quote(NVDA)
    return (Decimal(str(quote.bid)) * (100 - percent) / 100).quantize(Decimal("0.01"))


def sent(gateway: PaperGateway) -> int:
    """How many orders, changes and previews the gateway has heard of."""
    return len(gateway.truth().named("newOrder", "modifyOrder", "whatIfOrder", "placeOrder"))


def state(broker: GuardedBroker, ref: str) -> IntentState | None:
    """What the books say of an intent."""
    record = broker._admission.books.outcomes.of(ref)
    return None if record is None else record.state


def test_an_order_is_written_down_and_what_became_of_it_too(opened: Open, gateway: PaperGateway) -> None:
    broker = opened()
    trade = broker.place_order(order())
    ref = trade.order.order_ref
    assert wait_until(lambda: state(broker, ref) is IntentState.FILLED, 60)
    broker.disconnect()
    again = opened()
    assert state(again, ref) in (IntentState.FILLED, None)  # of a simulated past only what is open counts
    assert len(gateway.truth().perm_ids(ref)) == 1


def test_the_id_under_which_an_order_leaves_is_journalled_though_its_answer_never_comes(
    opened: Open, gateway: PaperGateway
) -> None:
    """What is looked for after a crash is known by its id, too."""
    broker = opened()
    limit = below(broker)
    hurry(broker._inner)
    gateway.play("- {on: placeOrder, action: drop, count: 1}")
    with pytest.raises(OrderOutcomeUnknownError):
        broker.place_order(order(limit=limit))
    journal = broker._admission.books.journal
    assert journal is not None
    journal.flush()
    [record] = journal.intents()
    assert record.order_id is not None
    assert record.state is IntentState.UNKNOWN


def test_a_refusal_sends_nothing_and_says_why(opened: Open, gateway: PaperGateway) -> None:
    broker = opened()
    with pytest.raises(OrderRefusedError, match="RISK_MAX_ORDER_QTY") as caught:
        broker.place_order(order(quantity=501))
    assert caught.value.reason.startswith("order_quantity: 501 shares")
    with pytest.raises(OrderRefusedError, match="short_sale"):
        broker.place_order(order(SELL))
    bracket = Bracket.around(order(quantity=501), below(broker, -10), below(broker, 10))
    with pytest.raises(OrderRefusedError, match="order_quantity"):
        broker.place_bracket(bracket)
    assert sent(gateway) == 0
    assert broker.refusals == {"order_quantity": 2, "short_sale": 1}


def test_what_nobody_lends_is_not_sold_short_where_short_sales_are_allowed(opened: Open, gateway: PaperGateway) -> None:
    """The guards ask TWS's shortable tick before anything is sent."""
    broker = opened(risk={"RISK_SHORT_SALES": "allow"})
    assert wait_until(lambda: broker.shortability(NVDA) is not None and broker.shortability(MSFT) is not None, 60)
    with pytest.raises(OrderRefusedError, match="short_sale: 10 shares of MSFT to borrow"):
        broker.place_order(replace(order(SELL), contract=MSFT))
    assert sent(gateway) == 0
    broker.place_order(order(SELL))
    assert sent(gateway) == 1
    assert wait_until(lambda: [each.quantity for each in broker.positions()] == [-10], 60)
    assert broker.refusals == {"short_sale": 1}


@pytest.mark.parametrize(
    ("scenario", "sold"),
    [
        ("- {on: tickGeneric, where: {tickType: 46}, action: change, set: {value: 1.0}}", False),
        ("- {on: tickGeneric, where: {tickType: 46}, action: change, set: {value: 2.0}}", True),
        ("- {on: tickSize, where: {sizeTickType: 89}, action: change, set: {size: 9}}", False),
        ("- {on: tickGeneric, where: {tickType: 46}, action: drop}", False),
    ],
    ids=["cannot be borrowed", "may be located", "fewer than wanted", "never told"],
)
def test_a_short_sale_follows_what_the_tick_says(
    opened: Open, gateway: PaperGateway, scenario: str, *, sold: bool
) -> None:
    gateway.play(scenario)
    broker = opened(risk={"RISK_SHORT_SALES": "allow"})
    if "drop" not in scenario:
        assert wait_until(lambda: (found := broker.shortability(NVDA)) is not None and found.shares is not None, 60)
    if sold:
        broker.place_order(order(SELL))
    else:
        with pytest.raises(OrderRefusedError, match="short_sale"):
            broker.place_order(order(SELL))
    assert sent(gateway) == sold


def test_a_senseless_price_stops_new_risk_until_three_quotes_make_sense(
    opened: Open, gateway: PaperGateway, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.play("- {on: tickPrice, where: {tickType: 68}, action: change, set: {price: 1}}")
    broker = opened()
    assert wait_until(lambda: broker.quote(NVDA).last == 1, 60)
    with pytest.raises(OrderRefusedError, match=r"senseless_quote: the last price 1 lies \d+% from"):
        broker.place_order(order())
    assert sent(gateway) == 0
    assert broker.refusals == {"senseless_quote": 1}
    gateway.behave()
    assert wait_until(lambda: "the prices of NVDA make sense again" in caplog.text, 60)
    broker.place_order(order())
    assert sent(gateway) == 1
    assert broker.refusals == {"senseless_quote": 1}


def test_play_money_without_limits_hears_it_from_the_venue(opened: Open) -> None:
    broker = opened(limits=False)
    with pytest.raises(OrderRejectedError, match="not available for short sale"):
        broker.place_order(replace(order(SELL), contract=MSFT))


def test_a_change_is_guarded_and_the_old_order_stays(opened: Open, gateway: PaperGateway) -> None:
    broker = opened()
    trade = broker.place_order(order(limit=below(broker)))
    with pytest.raises(OrderRefusedError, match="order_quantity"):
        broker.modify_order(trade.order_id, OrderChange(quantity=Decimal(501)))
    assert sent(gateway) == 1
    changed = broker.modify_order(trade.order_id, OrderChange(quantity=Decimal(11)))
    assert changed.order.quantity == 11
    assert broker.cancel_order(trade.order_id).status is OrderStatus.CANCELLED
    ref = trade.order.order_ref
    assert wait_until(lambda: state(broker, ref) is IntentState.CANCELLED, 60)


def test_a_preview_and_an_order_after_it_leave(opened: Open, gateway: PaperGateway) -> None:
    broker = opened()
    assert broker.preview_order(order()).commission > 0
    broker.place_order(order())
    assert sent(gateway) == 2


@pytest.mark.parametrize("name", ["RISK_MAX_POSITION", "RISK_MAX_OPEN_ORDERS"])
def test_many_who_race_for_the_last_of_a_limit_never_exceed_it(opened: Open, gateway: PaperGateway, name: str) -> None:
    """64 threads, each of which would be one too many."""
    lifted = dict.fromkeys(
        ["RISK_ORDERS_PER_MINUTE", "RISK_DUPLICATE_SECONDS", "RISK_MAX_OPEN_ORDERS", "RISK_MAX_POSITION"], "off"
    )
    broker = opened(risk=lifted | {name: "7"})
    price = below(broker)

    def place(number: int) -> bool:
        try:
            broker.place_order(order(quantity=1, limit=price))
        except OrderRefusedError:
            return False
        return True

    with ThreadPoolExecutor(64) as pool:
        accepted = sum(pool.map(place, range(64)))
    assert accepted == 7
    assert len(gateway.truth().orders) == 7
    assert broker.refusals.total() == 57


def test_an_order_without_an_answer_blocks_its_side_until_it_is_found(
    opened: Open, gateway: PaperGateway, caplog: pytest.LogCaptureFixture
) -> None:
    broker = opened()
    price = below(broker)
    gateway.play("- {on: [openOrder, orderStatus, reqOpenOrders, reqAllOpenOrders], action: drop}")
    hurry(broker._inner)
    with pytest.raises(OrderOutcomeUnknownError):
        broker.place_order(order(limit=price, ref="lost-1"))
    assert state(broker, "lost-1") is IntentState.UNKNOWN
    with pytest.raises(OrderRefusedError, match="unknown_outcome: order lost-1"):
        broker.place_order(order(quantity=3, limit=price))
    gateway.behave()
    hurry(broker._inner, PATIENCE)
    assert wait_until(lambda: state(broker, "lost-1") is IntentState.ACKED, 60)
    assert wait_until(lambda: "what became of order lost-1 is known" in caplog.text, 60)
    broker.place_order(order(quantity=3, limit=price))
    assert len(gateway.truth().perm_ids("lost-1")) == 1
    assert len(gateway.truth().orders) == 2


def test_an_order_that_tws_keeps_silent_about_is_not_declared_unsent(
    opened: Open, gateway: PaperGateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A dialog may wait on TWS's screen: only a new connection, or a person, ends the doubt."""
    monkeypatch.setattr(watching, "ALERT_SECONDS", 0.2)
    broker = opened()
    price = below(broker)
    gateway.play("- {on: newOrder, action: drop, count: 1}")
    hurry(broker._inner)
    with pytest.raises(OrderOutcomeUnknownError):
        broker.place_order(order(limit=price, ref="silent-1"))
    assert wait_until(lambda: "look at TWS's screen" in caplog.text, 60)
    assert state(broker, "silent-1") is IntentState.UNKNOWN
    broker.disconnect()
    again = opened()
    assert state(again, "silent-1") is IntentState.NOT_SENT
    again.place_order(order(limit=price))
    assert [each.order_ref for each in gateway.truth().orders if each.order_ref == "silent-1"] == []


def test_what_filled_after_a_crash_is_booked_once_and_announced(
    opened: Open, gateway: PaperGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is lost, and then the process is."""
    broker = opened()
    broker.quote(NVDA)
    gateway.play("- {on: [openOrder, orderStatus, execDetails, commissionReport, completedOrder], action: drop}")
    hurry(broker._inner)
    with pytest.raises(OrderOutcomeUnknownError):
        broker.place_order(order(ref="crash-1"))
    watch, journal = broker._watch, broker._admission.books.journal
    assert watch is not None
    assert journal is not None
    watch.end()  # as if killed: nobody looks any more
    journal.flush()  # a twentieth of a second later: what is a fact already is written
    journal._lock.release()  # the system does that
    broker._inner.disconnect()
    gateway.behave()
    again = opened()
    assert state(again, "crash-1") is IntentState.FILLED
    assert "filled while this session did not watch: BUY 10 NVDA" in caplog.text
    assert "order crash-1, left UNKNOWN, is FILLED" in caplog.text
    [executed] = [each for each in again._admission.books.outcomes.executions.values() if each.order_ref == "crash-1"]
    assert executed.shares == 10
    assert executed.reconciled
    assert len(gateway.truth().perm_ids("crash-1")) == 1


def test_three_rejections_in_a_minute_halt_the_symbol(opened: Open, gateway: PaperGateway) -> None:
    broker = opened()
    gateway.play("- {on: newOrder, code: 201}")
    for quantity in (1, 2, 3):
        with pytest.raises(OrderRejectedError) as caught:
            broker.place_order(order(quantity=quantity))
        assert not isinstance(caught.value, OrderRefusedError)
    gateway.behave()
    with pytest.raises(OrderRefusedError, match="RISK_REJECT_STREAK"):
        broker.place_order(order(quantity=4))
    broker.place_order(replace(order(quantity=1), contract=Contract("MSFT")))


@pytest.mark.parametrize("code", [203, 460])
def test_what_the_account_may_not_trade_is_not_tried_again(opened: Open, gateway: PaperGateway, code: int) -> None:
    broker = opened()
    gateway.play(f"- {{on: newOrder, code: {code}}}")
    with pytest.raises(OrderRejectedError) as caught:
        broker.place_order(order(quantity=1))
    assert not isinstance(caught.value, OrderRefusedError)
    gateway.behave()
    with pytest.raises(OrderRefusedError, match="may not trade NVDA"):
        broker.place_order(order(quantity=2))
    broker.place_order(replace(order(quantity=1), contract=Contract("MSFT")))


def test_a_strategy_that_runs_away_is_halted_until_a_person_says_so(opened: Open, tmp_path: Path) -> None:
    broker = opened(risk={"RISK_ORDERS_PER_MINUTE": "3", "RISK_DUPLICATE_SECONDS": "off"})
    for _ in range(3):
        broker.place_order(order(quantity=1))
    with pytest.raises(OrderRefusedError, match="orders_per_minute: 3"):
        broker.place_order(order(quantity=1))
    broker.disconnect()
    again = opened()
    with pytest.raises(OrderRefusedError, match="python -m src resume"):
        again.place_order(order(quantity=2))
    again.place_order(order(SELL, quantity=3))
    assert kill.resume(tmp_path)
    assert wait_until(lambda: not again._guards.latches.standing, 60)
    again.place_order(order(quantity=2))


def test_the_kill_switch_cancels_ours_alone_and_blocks_new_risk(
    opened: Open, gateway: PaperGateway, tmp_path: Path
) -> None:
    other = opened(client_id=9, limits=False, state_dir=tmp_path / "other")
    theirs = other.place_order(order(limit=below(other)))
    broker = opened()
    broker.place_order(order(quantity=5))
    ours = broker.place_order(order(limit=below(broker)))
    kill.throw(tmp_path, "enough")
    assert wait_until(lambda: broker.trade(ours.order_id).status is OrderStatus.CANCELLED, 60)
    with pytest.raises(OrderRefusedError, match="the kill switch is thrown \\(enough\\)"):
        broker.place_order(order(quantity=1))
    assert not other.trade(theirs.order_id).is_done
    [(_, note)] = kill.traders(tmp_path)
    assert wait_until(lambda: next(note.killed for _, note in kill.traders(tmp_path)), 60)
    assert (note.client_id, note.port) == (1, gateway.port)
    assert [position.quantity for position in broker.positions()] == [5]
    kill.throw(tmp_path, "enough", flatten=True)
    assert wait_until(lambda: not any(position.quantity for position in broker.positions()), 60)


def test_a_session_tells_which_code_trades_and_that_the_last_was_other_code(
    opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "src.brokers.guarding")
    first = opened()
    first.disconnect()
    [told] = [each for each in caplog.messages if each.startswith(f"session {first.session}: ")]
    assert re.fullmatch(r"session \w+: version .+, code [0-9a-f]{16}, configuration [0-9a-f]{16}", told)
    opened().disconnect()
    assert "other code" not in caplog.text
    monkeypatch.setattr(guarding, "_code_hash", lambda: "c0de")
    opened(order_timeout=21.0)
    assert "the last session of this journal ran other code" in caplog.text
    assert len({each.split("configuration ")[1] for each in caplog.messages if "configuration" in each}) == 2
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE])
def test_other_code_on_an_account_of_ib_is_warned_of(mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    now, before = (SessionFacts(name, 1, "c0ffee", code, "1.0") for name, code in (("new", "c0de"), ("old", "01d")))
    guarding._tell(mode, now, SessionRecord(now, mode, 0))
    assert not caplog.records
    guarding._tell(mode, now, SessionRecord(before, mode, 0))
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "code 01d" in record.getMessage()


def test_without_a_journal_nothing_but_what_reduces_leaves(opened: Open, gateway: PaperGateway) -> None:
    broker = opened()
    broker.place_order(order(quantity=5))
    working = broker.place_order(order(quantity=1, limit=below(broker)))
    journal = broker._admission.books.journal
    assert journal is not None
    journal.path.unlink()
    before = sent(gateway)
    with pytest.raises(OrderRefusedError, match=r"removed or replaced"):
        broker.place_order(order(quantity=2))
    assert sent(gateway) == before
    assert broker.cancel_order(working.order_id).status is OrderStatus.CANCELLED
    broker.place_order(order(SELL, quantity=5))
    assert "removed" in (broker.health().error or "")


def test_a_second_process_on_the_account_may_look_and_cancel_and_not_order(
    gateway: PaperGateway, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_use(*_: object, **__: object) -> None:
        raise JournalInUseError("another process trades on this account")

    monkeypatch.setattr(Journal, "open", in_use)
    broker = opened()
    assert broker.positions() == ()
    with pytest.raises(OrderRefusedError, match="another process trades"):
        broker.place_order(order())
    assert sent(gateway) == 0


def test_a_reference_is_used_once(opened: Open, gateway: PaperGateway) -> None:
    broker = opened()
    broker.place_order(order(quantity=1, ref="mine-1"))
    with pytest.raises(ValueError, match="mine-1 was used before"):
        broker.place_order(order(quantity=2, ref="mine-1"))
    assert sent(gateway) == 1


def test_read_only_refuses_orders_and_lets_cancels_pass(opened: Open, gateway: PaperGateway) -> None:
    before = opened()
    trade = before.place_order(order(limit=below(before)))
    before.disconnect()
    broker = opened(read_only=True)
    with pytest.raises(OrderRefusedError, match="IBKR_READ_ONLY"):
        broker.place_order(order())
    assert sent(gateway) == 1
    assert state(broker, trade.order.order_ref) is IntentState.ACKED
    assert broker.cancel_order(trade.order_id).status is OrderStatus.CANCELLED
