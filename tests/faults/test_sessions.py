"""Promises between sessions: what another one finds, what a second one may not, and what no order is without."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from src.domain.errors import ClientIdInUseError, OrderRefusedError
from src.domain.intents import IntentState
from src.domain.orders import Origin
from src.gateways.tws_codec import PlaceOrder
from tests.faults.harness import CALM, PATIENT, FaultStage, Opener, pause, wait_for
from tests.faults.trader import ANYWHERE, Traders

_ROOT = Path(__file__).resolve().parents[2]


def test_a_second_session_with_the_same_client_id_is_turned_away(tmp_path: Path) -> None:
    """I26: it steals nothing; the first goes on."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        first = stage.open()
        with pytest.raises(ClientIdInUseError):
            Opener(tmp_path, timing=CALM, **PATIENT).open(stage.proxy.port)
        assert first.place_order(stage.order("BUY", 1, ref="still-1")).order_id
        assert stage.settled() == []


def test_a_second_session_on_the_same_account_orders_nothing(tmp_path: Path) -> None:
    """I26: with a client id of its own it may look; the journal is the first one's, and nothing leaves without it."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        stage.open()
        second = Opener(tmp_path, timing=CALM, client_id=2, **PATIENT).open(stage.proxy.port)
        before = stage.proxy.order_bytes
        with pytest.raises(OrderRefusedError, match="another process trades"):
            second.place_order(stage.order("BUY", 1))
        assert stage.proxy.order_bytes == before
        second.disconnect()


def test_an_order_that_works_over_a_crash_is_known_again_and_others_are_left_alone(tmp_path: Path) -> None:
    """I27: ours is ours by its reference; what somebody else has placed is shown, and works on."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        stage.open()
        stage.broker.place_order(stage.order("BUY", 3, away=1.0, ref="mine-1"))
        stage.gateway.play(
            "- {at: 0, action: order, order: {symbol: NVDA, action: BUY, quantity: 7, orderType: LMT, lmtPrice: 1.0}}"
        )
        assert wait_for(lambda: len(stage.truth().orders) == 2, 60.0)
        stage.restart(crash=True)
        origins = {trade.order.quantity: trade.origin for trade in stage.broker.open_trades()}
        assert origins == {3: Origin.OURS, 7: Origin.MANUAL}
        record = stage.written().of("mine-1")
        assert record is not None
        assert record.state is IntentState.ACKED
        stage.clear()
        stage.leave()
        left = {order.order_ref: order.status for order in stage.truth().orders}
        assert left == {"mine-1": "Cancelled", "": "Submitted"}


def test_an_order_of_which_only_a_status_comes_is_not_taken_for_ended(tmp_path: Path) -> None:
    """I2: TWS does not list it, and tells its status: it blocks its side until a list has it again."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        stage.open()
        stage.broker.place_order(stage.order("BUY", 3, away=1.0, ref="mine-1"))
        stage.gateway.play("- {on: openOrder, action: drop, count: 12}")
        stage.restart()
        with pytest.raises(OrderRefusedError, match="unknown"):
            stage.broker.place_order(stage.order("BUY", 1, ref="mine-2"))
        assert wait_for(lambda: bool(stage.broker.open_trades()), 60.0)
        record = stage.written().of("mine-1")
        assert record is not None
        assert record.state is IntentState.ACKED
        number = count(3)
        assert wait_for(
            lambda: stage.attempt(stage.order("BUY", 1, ref=f"mine-{next(number)}")).trade is not None, 60.0
        )


def test_every_order_says_how_long_it_is_good_for(tmp_path: Path) -> None:
    """I28: TIF is on the wire, DAY unless asked otherwise: no preset of TWS's decides it."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        stage.open()
        stage.broker.place_order(stage.order("BUY", 1, ref="tif-1"))
        stage.broker.place_order(stage.order("SELL", 1, away=1.0, ref="tif-2"))
        sent = [each.message for each in stage.truth().named("newOrder")]
        assert [each.order.tif for each in sent if isinstance(each, PlaceOrder)] == ["DAY", "DAY"]


def test_order_ids_go_on_after_the_venue_has_begun_anew(tmp_path: Path) -> None:
    """Row 17b: TWS's sequence was reset to 1; a number that was used is not used again, not even by a new session."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        stage.open()
        used = [stage.broker.place_order(stage.order("BUY", 1, ref=f"id-{number}")).order_id for number in range(3)]
        stage.gateway.play("- {on: nextValidId, action: change, set: {orderId: 1}}")
        stage.restart()
        assert stage.broker.place_order(stage.order("SELL", 1, ref="id-3")).order_id > max(used)
        assert stage.settled() == []


def test_a_session_that_was_killed_while_an_order_works_is_told_of_by_the_orders_command(tmp_path: Path) -> None:
    """`kill -9`, a new session, and `python -m src orders` says what the gateway says."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage, Traders() as traders:
        pid = traders.start(stage.proxy.port, tmp_path, ANYWHERE, 1, 7)
        assert wait_for(lambda: any(each.status == "Submitted" for each in stage.truth().orders), 60.0)
        os.kill(pid, 9)
        assert traders.wait() == -9
        stage.open()
        assert stage.settled() == []
        told = _orders(tmp_path)
        true = {order.order_ref: order for order in stage.truth().orders}
        assert any(each["state"] == "ACKED" for each in told)
        for each in told:
            if each["order_ref"] in true:
                order = true[str(each["order_ref"])]
                assert each["filled"] == int(order.filled)
                wanted = {"Filled": "FILLED", "Submitted": "ACKED", "PreSubmitted": "ACKED", "Cancelled": "CANCELLED"}
                assert each["state"] == wanted[order.status]
            else:
                assert each["state"] in ("NOT_SENT", "REFUSED")


def _orders(state_dir: Path) -> list[dict[str, object]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IBKR_", "IB_"))}
    found = subprocess.run(
        [sys.executable, "-m", "src", "orders", "--json"],
        cwd=_ROOT,
        env={**kept, "IBKR_STATE_DIR": str(state_dir)},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=True,
    )
    answers: list[dict[str, object]] = json.loads(found.stdout)
    return answers


def test_the_gateway_restarts_in_the_middle_of_a_session_and_trading_goes_on(tmp_path: Path) -> None:
    """No simulated price, no order lost or doubled: the same session, the same mode."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        broker = stage.open()
        broker.place_order(replace(stage.order("BUY", 5, away=1.0), order_ref="before-1"))
        stage.gateway.call(lambda server: server.restart(0.3))
        assert wait_for(lambda: not broker.is_connected, 60.0)
        assert wait_for(lambda: broker.is_connected, 60.0)
        broker.place_order(stage.order("SELL", 5, ref="after-1"))
        pause(0.05)
        assert stage.settled() == []
        assert [each.order_ref for each in stage.truth().orders] == ["before-1", "after-1"]
