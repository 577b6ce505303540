"""A gateway that misbehaves on purpose: what unmodified ib_insync and a plain client see, and what the truth is."""

import asyncio
import json
import math
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.gateways.scenario import scenario_of
from src.gateways.tws_codec import (
    CancelOrder,
    ErrorMessage,
    ExecutionData,
    NextValidId,
    PlaceOrder,
    ReqIds,
    ReqMktData,
    ReqPositions,
    TickPrice,
)
from src.gateways.tws_codec import CurrentTime as Fence
from src.gateways.tws_server import GatewayOptions
from tests.gateways.test_tws_server_lives import FILLED, NVDA, after, order, shortened
from tests.gateways.test_tws_server_orders import codes_of, nvda, quoted, reached, resting
from tests.gateways.tws_stage import ACCOUNT, Frames, Ib, Stage, eventually, ib_insync_client, until

PRE, WORKS = "5 PreSubmitted", "3 PreSubmitted 0/10"


async def placed(stage: Stage, scenario: str, kind: str = "MKT", **more: Any) -> list[str]:
    """What a plain client is told of its first order."""
    client = await Frames.started(stage)
    stage.gateway.play(scenario)
    return await after(stage, client, PlaceOrder(1, NVDA, order(kind, **more)))


# --- answers -------------------------------------------------------------------------------------------------------

ANSWERS: dict[str, tuple[str, list[str]]] = {
    "dropped": ("- {on: execDetails, action: drop}", [word for word in FILLED if not word.startswith("11")]),
    "only the second dropped": ("- {on: orderStatus, action: drop, after: 1}", [*FILLED[:4], *FILLED[5:]]),
    "all of them": ("- {on: answers, action: drop, count: 7}", []),
    "five times": ("- {on: execDetails, action: duplicate, times: 5}", [*FILLED[:2], *["11 10"] * 5, *FILLED[3:]]),
    "commission before execution": (
        "- {on: execDetails, action: reorder, until: commissionReport}",
        [*FILLED[:2], *FILLED[3:], "11 10"],
    ),
    "execution before the order": (
        "- {on: [openOrder, orderStatus], where: {status: PreSubmitted}, action: reorder, until: execDetails}",
        ["11 10", "5 PreSubmitted", "3 PreSubmitted 0/10", *FILLED[3:]],
    ),
    "submitted after filled": (
        "- {on: orderStatus, where: {status: PreSubmitted}, action: reorder, until: {orderStatus: {status: Filled}}}",
        [PRE, "11 10", "5 Filled", "3 Filled 10/0", WORKS, *FILLED[5:]],
    ),
    "changed": (
        "- {on: orderStatus, where: {status: Filled}, action: change, set: {status: Cancelled, filled: 0}}",
        [*FILLED[:4], "3 Cancelled 0/0", *FILLED[5:]],
    ),
    "a code beside it": ("- {on: orderStatus, code: 2109, count: 1}", [*FILLED[:2], "error 2109", *FILLED[2:]]),
}


@pytest.mark.parametrize(("scenario", "told"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer(stage: Stage, scenario: str, told: list[str]) -> None:
    assert await placed(stage, scenario) == told
    (true,) = stage.gateway.truth().orders
    assert (true.status, int(true.filled)) == ("Filled", 10)  # whatever was told
    assert [each.shares for each in true.executions] == [10]


async def test_a_late_answer_is_overtaken(stage: Stage) -> None:
    client = await Frames.started(stage)
    stage.gateway.play("- {on: execDetails, action: delay, seconds: 0.05}")
    assert "11 10" not in await after(stage, client, PlaceOrder(1, NVDA, order()))
    await client.until(ExecutionData)
    assert shortened(client)[-1] == "11 10"


async def test_a_code_instead_of_an_answer_ends_the_request(stage: Stage) -> None:
    """A competing session: the ticks end, under their own id."""
    client = await Frames.started(stage)
    stage.gateway.play("- {on: tickPrice, code: 10197, after: 3}")
    client.send(ReqMktData(5, NVDA))
    assert (await client.error(10197)).req_id == 5
    client.seen.clear()
    await after(stage, client, seconds=10)
    assert [each for each in client.seen if not isinstance(each, Fence)] == []


@pytest.mark.parametrize(
    ("value", "seen"), [(".nan", math.nan), (".inf", math.inf), ("1e308", 1e308), ("0", 0), ("-1", -1)]
)
async def test_senseless_prices_reach_a_real_client(stage: Stage, value: str, seen: float) -> None:
    from ib_insync import Stock

    ib = await ib_insync_client(stage)
    prices: list[float] = []
    ib.wrapper.priceSizeTick = lambda _, kind, price, size: prices.append(price) if kind == 1 and size else None
    stage.gateway.play(f"- {{on: tickPrice, where: {{tickType: 1}}, action: change, set: {{price: {value}}}}}")
    ib.reqMktData(Stock("NVDA", "SMART", "USD"))
    await eventually(lambda: prices)
    assert prices[0] == seen or (math.isnan(prices[0]) and math.isnan(seen))


async def test_ticks_stop_in_silence(stage: Stage) -> None:
    client = await Frames.started(stage)
    client.send(ReqMktData(5, NVDA))
    await after(stage, client)
    stage.gateway.play("- {on: ticks, action: drop}")
    client.seen.clear()
    await after(stage, client, seconds=10)
    assert [each for each in client.seen if not isinstance(each, Fence)] == []
    stage.gateway.behave()
    await after(stage, client, seconds=10)
    assert any(isinstance(each, TickPrice) for each in client.seen)


async def test_the_id_sequence_was_reset(stage: Stage) -> None:
    client = await Frames.started(stage)
    await after(stage, client, PlaceOrder(7, NVDA, order()))
    stage.gateway.play("- {on: nextValidId, action: change, set: {orderId: 1}}")
    client.send(ReqIds())
    assert (await client.until(NextValidId)).order_id == 1


# --- requests ------------------------------------------------------------------------------------------------------


async def test_a_rejection_with_a_text_of_ones_own(stage: Stage) -> None:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    stage.gateway.play("- {on: newOrder, code: 201, text: 'Order rejected - reason:too late in the day', count: 1}")
    contract = await nvda(ib)
    trade = ib.placeOrder(contract, MarketOrder("BUY", 10))
    await reached(ib, trade, "Inactive")
    assert trade.log[1].message.endswith("reason:too late in the day")
    assert stage.gateway.truth().orders == ()
    await reached(ib, ib.placeOrder(contract, MarketOrder("BUY", 10)), "Filled")


@pytest.mark.parametrize("code", [399, 404, 2109, 10349])
async def test_a_code_of_what_goes_on_leaves_the_order_alone(stage: Stage, code: int) -> None:
    words = await placed(stage, f"- {{on: newOrder, code: {code}}}")
    assert words == [*FILLED, f"error {code}"]


@pytest.mark.parametrize("code", [110, 321, 103, 10318])
async def test_a_refused_change_leaves_the_order_working(stage: Stage, code: int) -> None:
    client = await Frames.started(stage)
    await after(stage, client, PlaceOrder(1, NVDA, order("LMT", lmt_price=Decimal(100))))
    stage.gateway.play(f"- {{on: modifyOrder, code: {code}}}")
    words = await after(stage, client, PlaceOrder(1, NVDA, order("LMT", lmt_price=Decimal(101))))
    assert words[0] == f"error {code}"
    (true,) = stage.gateway.truth().orders
    assert true.status == "Submitted"


async def test_a_cancel_that_is_refused_or_never_heard(stage: Stage) -> None:
    client = await Frames.started(stage)
    await after(stage, client, PlaceOrder(1, NVDA, order("LMT", lmt_price=Decimal(100))))
    stage.gateway.play("- {on: cancelOrder, code: 10148, count: 1}\n- {on: cancelOrder, action: drop, count: 1}")
    assert await after(stage, client, CancelOrder(1)) == ["error 10148"]
    assert await after(stage, client, CancelOrder(1)) == []
    assert await after(stage, client, CancelOrder(1)) == ["3 Cancelled 0/10", "error 202"]
    assert [each.fault for each in stage.gateway.truth().named("cancelOrder")] == ["refuse", "drop", ""]


async def test_an_order_that_is_never_heard_is_never_made(stage: Stage) -> None:
    assert await placed(stage, "- {on: newOrder, action: drop}", order_ref="mine-1") == []
    truth = stage.gateway.truth()
    assert truth.perm_ids("mine-1") == set()
    (heard,) = truth.named("newOrder")
    assert (heard.client_id, heard.order_id, heard.order_ref, heard.fault) == (1, 1, "mine-1", "drop")


async def test_a_late_request(stage: Stage) -> None:
    client = await Frames.started(stage)
    stage.gateway.play("- {on: newOrder, action: delay, seconds: 0.05}")
    assert await after(stage, client, PlaceOrder(1, NVDA, order())) == []
    await client.until(ExecutionData)


async def test_positions_are_never_told(stage: Stage) -> None:
    client = await Frames.started(stage)
    stage.gateway.play("- {on: reqPositions, action: drop}")
    assert await after(stage, client, ReqPositions()) == []


async def test_a_read_only_api(stage: Stage) -> None:
    """As TWS does it: 321 without the request's id, completed orders unanswered."""
    stage.gateway.play("- {on: [orderRequests, reqOpenOrders], code: 321}\n- {on: reqCompletedOrders, action: drop}")
    ib = await ib_insync_client(stage, readonly=True)
    errors = codes_of(ib)
    ib.client.reqOpenOrders()
    await until(ib, lambda: errors)
    assert errors == [(-1, 321)]


@pytest.mark.parametrize("code", [354, 10089, 10168, 10197])
async def test_no_market_data(stage: Stage, code: int) -> None:
    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    stage.gateway.play(f"- {{on: reqMktData, code: {code}}}")
    errors = codes_of(ib)
    ticker = ib.reqMktData(contract)
    await until(ib, lambda: errors)
    assert [each for _, each in errors] == [code]
    stage.pass_time(5)
    assert math.isnan(ticker.bid)


async def test_partial_fills(stage: Stage) -> None:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    stage.gateway.play("- {on: newOrder, action: partial, shares: 3}")
    trade = ib.placeOrder(await nvda(ib), MarketOrder("BUY", 10))
    await until(ib, lambda: trade.orderStatus.filled == 3)
    assert (trade.orderStatus.status, trade.orderStatus.remaining) == ("Submitted", 7)
    stage.pass_time(2)
    await reached(ib, trade, "Filled")
    assert [fill.execution.shares for fill in trade.fills] == [3, 7]


# --- the connection ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "error"), [("reset", ConnectionResetError), ("close", EOFError)])
@pytest.mark.parametrize("on", ["newOrder", "orderStatus"])
async def test_a_connection_ends_by_a_reset_or_in_order(stage: Stage, action: str, error: type, on: str) -> None:
    client = await Frames.started(stage)
    stage.gateway.play(f"- {{on: {on}, action: {action}, count: 1}}")
    client.send(PlaceOrder(1, NVDA, order("LMT", lmt_price=Decimal(100))))
    with pytest.raises(error):
        await client.until(Fence)
    again = await Frames.started(stage)
    assert len(stage.gateway.truth().orders) == (on == "orderStatus")
    assert again.version == 178


@pytest.mark.parametrize(("action", "error"), [("reset", ConnectionResetError), ("close", EOFError)])
async def test_a_connection_ends_before_a_word_was_said(stage: Stage, action: str, error: type) -> None:
    stage.gateway.play(f"- {{on: connect, action: {action}}}")
    with pytest.raises(error):
        await Frames.connect(stage)


async def test_accepted_and_silent(stage: Stage) -> None:
    stage.gateway.play("- {on: connect, action: hang, count: 1}")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Frames.connect(stage), 0.1)
    assert (await Frames.started(stage)).version == 178


async def test_a_server_that_is_too_old_or_says_nothing(stage: Stage) -> None:
    stage.gateway.play(
        "- {on: serverHello, action: change, set: {serverVersion: 99}, count: 1}\n"
        "- {on: serverHello, action: drop, count: 1}\n- {on: serverHello, action: reset, count: 1}"
    )
    assert (await Frames.connect(stage)).version == 99
    waiting = asyncio.ensure_future(Frames.connect(stage))
    await eventually(lambda: len(stage.gateway.truth().faults) == 2)
    done, _ = await asyncio.wait({waiting}, timeout=0.1)
    assert not done
    waiting.cancel()
    with pytest.raises(ConnectionResetError):
        await Frames.connect(stage)
    assert (await Frames.started(stage)).version == 178


async def test_nobody_accepts_the_connection_on_the_screen(stage: Stage) -> None:
    stage.gateway.play("- {on: startApi, action: drop}")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Frames.started(stage), 0.1)


async def test_a_client_id_that_is_in_use(stage: Stage) -> None:
    stage.gateway.play("- {on: startApi, code: 326, client: 1}")
    client = await Frames.connect(stage)
    from src.gateways.tws_codec import StartApi

    client.send(StartApi(1))
    await client.error(326)
    assert await client.is_ended()
    assert (await Frames.started(stage, 2)).version == 178


async def test_a_hang_ends_and_what_waited_follows(stage: Stage) -> None:
    client = await Frames.started(stage)
    stage.gateway.play("- {on: execDetails, action: hang, seconds: 0.1}")
    client.send(PlaceOrder(1, NVDA, order()), ReqIds())
    await client.until(NextValidId)
    assert shortened(client) == [*FILLED[:2], *FILLED[3:]]  # what it hung on is gone


async def test_a_hang_for_good_keeps_the_socket_and_says_nothing_more(stage: Stage) -> None:
    client, other = await Frames.started(stage), await Frames.started(stage, 2)
    client.send(ReqMktData(5, NVDA))
    await after(stage, client)
    stage.gateway.play("- {on: newOrder, client: 1, action: hang}")
    client.send(PlaceOrder(1, NVDA, order()))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.payload(), 0.1)
    assert await after(stage, other, PlaceOrder(1, NVDA, order()), seconds=5) == FILLED
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.payload(), 0.1)


async def test_a_restart_keeps_the_orders(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    trade = await resting(ib, await nvda(ib))
    gone: list[bool] = []
    ib.disconnectedEvent += lambda: gone.append(True)
    stage.gateway.play("- {at: 0, action: restart, seconds: 0.2}")
    await eventually(lambda: gone)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", stage.port)
    await eventually(lambda: stage.gateway.call(lambda server: server.is_listening))
    again = await ib_insync_client(stage)
    (seen,) = again.openTrades()
    assert (seen.order.permId, seen.orderStatus.status) == (trade.order.permId, "Submitted")


async def test_messages_by_themselves(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    errors = codes_of(ib)
    stage.gateway.play("- {at: 0, code: 1100, count: 3}\n- {at: 0, code: 2103}\n- {at: 0, code: 1102}")
    await until(ib, lambda: len(errors) == 5)
    assert errors == [(-1, 1100)] * 3 + [(-1, 2103), (-1, 1102)]


async def test_a_time_of_day_is_the_markets(stage: Stage) -> None:
    """The stage's day begins at 11:00 in New York."""
    client = await Frames.started(stage)
    stage.gateway.play("- {at: 11:30, code: 1100}")
    assert await after(stage, client, seconds=1799) == []
    assert await after(stage, client, seconds=2) == ["error 1100"]


# --- what happens at the exchange ----------------------------------------------------------------------------------


def cash_of(stage: Stage) -> Decimal:
    return stage.gateway.call(lambda server: server.context.venue.exchange.ledger.accounts[ACCOUNT].cash)


async def bought(stage: Stage) -> tuple[Ib, Ib]:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    trade = ib.placeOrder(await nvda(ib), MarketOrder("BUY", 10))
    await until(ib, lambda: trade.fills and trade.fills[0].commissionReport.commission)
    return ib, trade


async def test_a_corrected_execution_is_of_the_same_family_and_moves_the_money(stage: Stage) -> None:
    ib, trade = await bought(stage)
    first, before = trade.fills[0].execution, cash_of(stage)
    stage.gateway.play("- {at: 0, action: correct, price: 100, shares: 8}")
    await until(ib, lambda: len(trade.fills) == 2)
    second = trade.fills[1].execution
    assert (second.shares, second.price, second.execId) == (8, 100.0, first.execId[:-2] + "02")
    assert cash_of(stage) == before + 10 * Decimal(str(first.price)) - 800
    truth = stage.gateway.truth()
    assert [each.exec_id for each in truth.orders[0].executions] == [second.execId]
    assert truth.positions == {(ACCOUNT, "NVDA"): 8}
    await until(ib, lambda: ib.positions()[0].position == 8)
    late = await ib_insync_client(stage, 2)
    assert [fill.execution.execId for fill in late.fills()] == [second.execId]


async def test_a_bust_takes_everything_back(stage: Stage) -> None:
    stage.gateway.play("- {on: execDetails, action: bust}")
    before = cash_of(stage)
    ib, trade = await bought(stage)
    await until(ib, lambda: len(trade.fills) == 2)
    assert trade.fills[1].execution.shares == 0
    assert cash_of(stage) == before
    assert stage.gateway.truth().positions == {}


async def test_orders_that_nobody_here_has_placed(stage: Stage) -> None:
    """By hand, by another client, by IB's risk desk."""
    ib = await ib_insync_client(stage, 0)
    stage.gateway.play("- {at: 0, action: order, order: {symbol: NVDA, action: BUY, quantity: 5}}")
    await until(ib, ib.fills)
    assert (ib.fills()[0].execution.orderId, ib.fills()[0].execution.liquidation) == (-1, 0)
    rest = "orderType: LMT, lmtPrice: 90, clientId: 7"
    stage.gateway.play(f"- {{at: 0, action: order, order: {{symbol: NVDA, action: BUY, quantity: 4, {rest}}}}}")
    (seen,) = await ib.reqAllOpenOrdersAsync()
    assert (seen.order.clientId, seen.order.totalQuantity, seen.orderStatus.status) == (7, 4, "Submitted")
    stage.gateway.play("- {at: 0, action: liquidate, symbol: NVDA}")
    await until(ib, lambda: len(ib.fills()) == 2)
    assert ib.fills()[1].execution.liquidation == 1
    assert stage.gateway.truth().positions == {}


async def test_a_rule_that_cannot_be_carried_out_is_said_and_hurts_nobody(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    client = await Frames.started(stage)
    stage.gateway.play("- {on: newOrder, action: partial, shares: 1, count: 1}\n- {at: 0, action: bust}")
    assert await after(stage, client, PlaceOrder(1, replace(NVDA, con_id=4), order())) == ["error 200"]
    assert [record.message.partition(":")[0] for record in caplog.records] == ["scenario line 2", "scenario line 1"]
    assert await after(stage, client, PlaceOrder(2, NVDA, order())) == FILLED


async def test_orders_are_cancelled_unasked(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    trade = await resting(ib, await nvda(ib))
    stage.gateway.play("- {at: 0, action: cancel}")
    await reached(ib, trade, "Cancelled")


# --- the truth -----------------------------------------------------------------------------------------------------


async def test_the_log_tells_requests_orders_executions_and_faults(tmp_path: Path) -> None:
    log = tmp_path / "truth.jsonl"
    rules = scenario_of("- {on: execDetails, action: drop}", "storm.yaml")
    with Stage(options=GatewayOptions(port=0, latency=0, scenario=rules, log=log)) as stage:
        client = await Frames.started(stage)
        await after(stage, client, PlaceOrder(1, NVDA, order(order_ref="mine-1")))
        (fault,) = stage.gateway.truth().faults
        assert (fault.place, fault.action, fault.on) == ("storm.yaml line 1", "drop", "execDetails")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [line for line in lines if line.get("order_ref") == "mine-1"]
    assert [(line["kind"], line.get("name", line.get("status"))) for line in told] == [
        ("request", "newOrder"), ("order", "PreSubmitted"), ("execution", None), ("order", "Filled")
    ]  # fmt: skip
    assert told[2]["shares"] == "10"
    assert [line["on"] for line in lines if line["kind"] == "fault"] == ["execDetails"]


async def test_the_log_keeps_a_field_of_any_length_short(tmp_path: Path) -> None:
    log = tmp_path / "truth.jsonl"
    with Stage(options=GatewayOptions(port=0, latency=0, log=log)) as stage:
        client = await Frames.started(stage)
        await after(stage, client, PlaceOrder(1, NVDA, order(order_ref="x" * 50_000)))
    lines = log.read_text().splitlines()
    assert any(json.loads(line).get("order_ref") == f"{'x' * 200}... (50000 characters)" for line in lines)
    assert max(map(len, lines)) < 1000


async def test_without_a_scenario_nothing_is_in_the_way(stage: Stage) -> None:
    assert stage.gateway.call(lambda server: server.on_send) is None
    assert await placed(stage, "# nothing") == FILLED


async def test_seeded_faults_repeat_themselves() -> None:
    seen = []
    for seed in (3, 3, 4):
        rules = scenario_of("- {on: execDetails, action: drop, probability: 0.5}")
        with Stage(options=GatewayOptions(port=0, latency=0, scenario=rules, seed=seed)) as stage:
            client = await Frames.started(stage)
            words = []
            for number in range(1, 31):
                words += await after(stage, client, PlaceOrder(number, NVDA, order()))
            seen.append([i for i, word in enumerate(words) if word == "11 10"])
    assert seen[0] == seen[1] != seen[2]


async def test_an_error_can_be_dropped_or_changed_too(stage: Stage) -> None:
    client = await Frames.started(stage)
    await after(stage, client, PlaceOrder(1, NVDA, order("LMT", lmt_price=Decimal(100))))
    stage.gateway.play("- {on: error, where: {errorCode: 202}, action: drop}")
    assert await after(stage, client, CancelOrder(1)) == ["3 Cancelled 0/10"]
    assert not any(isinstance(each, ErrorMessage) for each in client.seen)


async def test_a_ticker_of_a_client_outlives_anothers_fault(stage: Stage) -> None:
    """`client` narrows a rule to one connection."""
    one, two = await ib_insync_client(stage, 1), await ib_insync_client(stage, 2)
    stage.gateway.play("- {on: reqMktData, client: 2, code: 354}")
    errors = codes_of(two)
    contract = await nvda(one)
    two.reqMktData(contract)
    assert (await quoted(one, contract)).bid > 0
    await until(two, lambda: errors)
