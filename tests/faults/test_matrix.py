"""Rows of the fault matrix (docs/fault_matrix.md) that no other test has: over the proxy, judged by the oracle."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from src.brokers.kill import resume
from src.domain.errors import BrokerError, LiquidatedError, NotConnectedError, OrderRefusedError
from src.domain.market import Bar
from src.domain.orders import Order, Origin
from src.trading.observer import Observer, Watched
from src.trading.plan import SessionPlan
from src.trading.portfolio import Portfolio
from src.trading.trader import Trader
from tests.faults import oracle
from tests.faults.harness import CALM, NVDA, PATIENT, TIMING, FaultStage, wait_for
from tests.faults.proxy import Do, Shape, Way
from tests.process_limits import limited


class Idle:
    """A strategy that never trades."""

    warm_up = 0

    def on_bar(self, bar: Bar, portfolio: Portfolio) -> Sequence[Order]:  # noqa: ARG002
        """Nothing."""
        return ()

    def explain(self) -> str:
        """Nothing."""
        return ""


class Listening(Observer):
    """Knows when a session hears what happens."""

    def __init__(self) -> None:
        self.has_begun = Event()

    def began(self, session: Watched, equity: float) -> None:  # noqa: ARG002
        """It does now."""
        self.has_begun.set()


def test_a_newer_server_than_anybody_knows_is_spoken_to_in_words_that_we_know(tmp_path: Path) -> None:
    """Row 7: it announces version 999, and ours is the newest that is used."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        stage.gateway.play("- {on: serverHello, action: change, set: {serverVersion: 999}}")
        stage.open()
        assert stage.attempt(stage.order("BUY", 5, ref="a-1")).error is None
        assert stage.settled() == []


def test_a_venue_that_stays_away_is_told_of_now_and_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Row 18: for as long as a weekly restart waits for its person; attempts go on, and there is no end to them."""
    with FaultStage(tmp_path, timing=replace(TIMING, reminder=0.1)) as stage, caplog.at_level(logging.ERROR):
        broker = stage.open()
        stage.proxy.refuse()
        stage.proxy.end(Do.RESET)
        assert wait_for(lambda: caplog.text.count("TWS has been away for") >= 3, 60.0)
        assert not broker.is_connected
        stage.proxy.listen()
        assert wait_for(lambda: broker.is_connected, 60.0)
        assert stage.settled() == []


@pytest.mark.parametrize("code", [1100, 2110])
def test_without_its_link_to_ib_nothing_new_leaves_and_what_fills_is_booked(tmp_path: Path, code: int) -> None:
    """Rows 11, 14 and 15: the link is lost in the middle of an order's executions."""
    with FaultStage(tmp_path) as stage:
        stage.open()
        stage.gateway.play("- {on: [execDetails, commissionReport], action: delay, seconds: 0.3}")
        order = stage.order("BUY", 30, ref="a-1")
        stage.attempt(order)
        stage.gateway.play(f"- {{at: 0, action: warn, code: {code}}}")
        assert wait_for(lambda: not stage.broker.is_connected, 60.0)
        before = stage.proxy.order_bytes
        with pytest.raises((NotConnectedError, OrderRefusedError)):
            stage.broker.place_order(replace(order, order_ref="a-2"))
        assert wait_for(lambda: [each.shares for each in stage.written().executions] == [30], 60.0)
        assert stage.proxy.order_bytes == before
        stage.gateway.play("- {at: 0, action: warn, code: 1102}")
        assert wait_for(lambda: stage.broker.is_connected, 60.0)
        assert stage.settled() == []


def test_a_liquidation_by_ib_is_booked_and_said_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Row 43: it is nobody's order of ours, and the position is what IB has left."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage, caplog.at_level(logging.ERROR):
        stage.open()
        stage.attempt(stage.order("BUY", 12, ref="a-1"))
        assert stage.settled() == []
        stage.gateway.play("- {at: 0, action: liquidate, symbol: NVDA}")
        assert wait_for(lambda: not any(each.quantity for each in stage.broker.positions()), 60.0)
        assert wait_for(lambda: sum(each.shares * each.action.sign for each in stage.written().executions) == 0, 60.0)
        assert not any(stage.truth().positions.values())
        assert [each.order_ref for each in stage.written().intents] == ["a-1"]
        assert all(trade.origin is not Origin.OURS for trade in stage.broker.open_trades())
        # No more risk on this account, over a restart too, until a person says so; what reduces passes.
        for ref in ("a-2", "a-3"):
            refused = stage.attempt(stage.order("BUY", 5, ref=ref))
            assert isinstance(refused.error, OrderRefusedError)
            assert "halt: IB has liquidated 12 NVDA for want of margin" in str(refused.error)
            stage.restart()
        assert resume(tmp_path) != []
        assert wait_for(lambda: not stage.broker.stopped, 60.0)
        stage.restart()  # one that was seen halts nothing again
        assert stage.broker.stopped == ""
    assert "IB has liquidated 12 NVDA" in caplog.text


def test_a_session_ends_with_a_failure_once_ib_has_liquidated(tmp_path: Path) -> None:
    """Row 43: the strategy is asked no more, and its working order is cancelled as its end is set to."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        broker = stage.open()
        stage.attempt(stage.order("BUY", 12, ref="a-1"))
        assert stage.settled() == []
        listening = Listening()
        trader = Trader(broker, Idle(), SessionPlan("mine", (NVDA,)), [listening])
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(trader.run)
            assert listening.has_begun.wait(60.0)
            stage.gateway.play("- {at: 0, action: liquidate, symbol: NVDA}")
            summary = running.result(60.0)
        assert isinstance(trader.failure, LiquidatedError)
        assert "look at the account before trading on" in str(trader.failure)
        assert summary.orders == 0


@pytest.mark.parametrize(
    "shape",
    [Shape(piece=1), Shape(piece=50, pause=0.0005), Shape(gather=2), Shape(later=0.01)],
    ids=["byte by byte", "dripping", "two at once", "late"],
)
def test_a_session_lives_on_bytes_however_they_come(tmp_path: Path, shape: Shape) -> None:
    """Rows 48 and 49: split, dripping, joined or late, from the first word on."""
    with FaultStage(tmp_path, settings=PATIENT, timing=replace(CALM, heartbeat=10.0)) as stage:
        joined = shape.gather > 1  # what is gathered waits for the next message, and a greeting has none
        if joined:
            stage.open()
        for way in (Way.IN,) if joined else Way:
            stage.proxy.shape(way, shape)
        if not joined:
            stage.open()
        for number, action in enumerate(("BUY", "SELL", "BUY")):
            assert stage.attempt(stage.order(action, 5, ref=f"a-{number}")).error is None
        assert stage.settled() == []


def test_without_a_free_descriptor_no_order_is_lost_and_it_comes_back(tmp_path: Path) -> None:
    """Row 71: orders over the connection that there is, its end, and attempts that cannot even make a socket."""
    with FaultStage(tmp_path) as stage:
        broker = stage.open()
        stage.proxy.witness = None  # it opens the journal
        order = stage.order("BUY", 3, ref="a-1")
        with limited("RLIMIT_NOFILE", 3):  # every descriptor below it is taken
            stage.attempt(order)
            stage.proxy.end(Do.RESET)
            assert wait_for(lambda: not broker.is_connected, 60.0)
            with pytest.raises(BrokerError):
                broker.place_order(replace(order, order_ref="a-2"))
        assert wait_for(lambda: broker.is_connected, 60.0)
        assert stage.settled() == []
        assert set(oracle.orders_of(stage.truth())) <= {"a-1"}
