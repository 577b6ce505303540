"""The lives of orders, frame by frame, as a real TWS sends them."""

from decimal import Decimal

import pytest

from src.gateways.tws_codec import (
    CancelOrder,
    CommissionReportMessage,
    CompletedOrdersEnd,
    ErrorMessage,
    ExecutionData,
    OpenOrder,
    OpenOrderEnd,
    OrderStatusMessage,
    PlaceOrder,
    PositionData,
    ReqCompletedOrders,
    ReqCurrentTime,
    ReqMktData,
    ReqOpenOrders,
    ReqPositions,
    Request,
    TickPrice,
    WireContract,
    WireOrder,
)
from src.gateways.tws_codec import CurrentTime as Fence
from src.gateways.tws_server import GatewayOptions
from tests.gateways.tws_stage import Frames, Ib, Stage, slow

NVDA = WireContract(con_id=4815747, symbol="NVDA", sec_type="STK", exchange="SMART", currency="USD")


def order(kind: str = "MKT", quantity: int = 10, **more: Ib) -> WireOrder:
    return WireOrder(action="BUY", total_quantity=Decimal(quantity), order_type=kind, tif="DAY", **more)


def shortened(client: Frames) -> list[str]:
    words = []
    for message in client.seen:
        if isinstance(message, OpenOrder):
            with_commission = "+commission" if message.state.commission is not None else ""
            words.append(f"5 {message.state.status}{with_commission}")
        elif isinstance(message, OrderStatusMessage):
            words.append(f"3 {message.status} {message.filled}/{message.remaining}")
        elif isinstance(message, ExecutionData):
            words.append(f"11 {message.shares}")
        elif isinstance(message, CommissionReportMessage):
            words.append("59")
        elif isinstance(message, ErrorMessage):
            words.append(f"error {message.error_code}")
    return words


async def after(stage: Stage, client: Frames, *requests: Request, seconds: float = 0) -> list[str]:
    """What follows requests, or the passing of time."""
    client.seen.clear()
    client.send(*requests, ReqCurrentTime())
    await client.until(Fence)
    if seconds:
        stage.pass_time(seconds)
        client.send(ReqCurrentTime())
        await client.until(Fence)
    return shortened(client)


FILLED = ["5 PreSubmitted", "3 PreSubmitted 0/10", "11 10", "5 Filled", "3 Filled 10/0", "5 Filled+commission", "59"]


@pytest.mark.parametrize("version", [157, 163, 173, 176, 178])
async def test_a_marketable_order(stage: Stage, version: int) -> None:
    client = await Frames.started(stage, newest=version)
    assert await after(stage, client, PlaceOrder(1, NVDA, order())) == FILLED


async def test_a_resting_order_its_change_and_its_cancel(stage: Stage) -> None:
    client = await Frames.started(stage)
    resting = order("LMT", lmt_price=Decimal(100))
    assert await after(stage, client, PlaceOrder(1, NVDA, resting)) == ["5 Submitted", "3 Submitted 0/10"]
    changed = order("LMT", lmt_price=Decimal(101))
    assert await after(stage, client, PlaceOrder(1, NVDA, changed)) == ["5 Submitted", "3 Submitted 0/10"]
    assert await after(stage, client, CancelOrder(1)) == ["3 Cancelled 0/10", "error 202"]


async def test_with_a_latency_a_cancel_is_pending_first() -> None:
    with Stage(slow()) as stage:
        client = await Frames.started(stage)
        resting = order("LMT", lmt_price=Decimal(100))
        placed = await after(stage, client, PlaceOrder(1, NVDA, resting), seconds=1)
        assert placed == ["5 PreSubmitted", "3 PreSubmitted 0/10", "5 Submitted", "3 Submitted 0/10"]
        assert await after(stage, client, CancelOrder(1)) == ["3 PendingCancel 0/10"]
        assert await after(stage, client, CancelOrder(1)) == ["error 161"]
        assert await after(stage, client, seconds=1) == ["3 Cancelled 0/10", "error 202"]


async def test_partial_fills() -> None:
    with Stage(slow()) as stage:
        client = await Frames.started(stage)
        words = await after(stage, client, PlaceOrder(1, NVDA, order(quantity=4000)), seconds=60)
        assert words[:2] == ["5 PreSubmitted", "3 PreSubmitted 0/4000"]
        assert words[-5:][0].startswith("11 ")
        assert words[-4:] == ["5 Filled", "3 Filled 4000/0", "5 Filled+commission", "59"]
        middle = words[2:-5]
        assert len(middle) >= 3
        assert [word.split()[0] for word in middle] == ["11", "3", "59"] * (len(middle) // 3)


async def test_a_rejected_order(stage: Stage) -> None:
    client = await Frames.started(stage)
    words = await after(stage, client, PlaceOrder(1, NVDA, order(quantity=900_000)))
    assert words == ["error 201", "3 Inactive 0/900000"]
    words = await after(stage, client, PlaceOrder(2, NVDA, order("LMT", lmt_price=Decimal("100.005"))))
    assert words == ["error 110", "3 Inactive 0/10"]


async def test_a_bracket_is_sent_as_one_with_its_last_child(stage: Stage) -> None:
    client = await Frames.started(stage)
    parent = order(transmit=False)
    target = order("LMT", lmt_price=Decimal(500), parent_id=1, transmit=False)
    stop = order("STP", aux_price=Decimal(10), parent_id=1)
    exits = [each._replace(action="SELL") for each in (target, stop)]
    assert await after(stage, client, PlaceOrder(1, NVDA, parent)) == ["5 PreSubmitted"]
    assert await after(stage, client, PlaceOrder(2, NVDA, exits[0])) == ["5 PreSubmitted"]
    words = await after(stage, client, PlaceOrder(3, NVDA, exits[1]))
    assert words[:2] == FILLED[:2]
    assert [word for word in words if "PreSubmitted" in word and word.startswith("3")] == ["3 PreSubmitted 0/10"] * 3
    assert FILLED[2:] == [word for word in words if word in FILLED[2:]]
    assert words.count("3 Submitted 0/10") >= 1
    words = await after(stage, client, CancelOrder(3), CancelOrder(2))
    assert words == ["3 Cancelled 0/10", "error 202"] * 2


async def test_what_if_is_one_frame_and_no_status(stage: Stage) -> None:
    client = await Frames.started(stage)
    words = await after(stage, client, PlaceOrder(1, NVDA, order(what_if=True)))
    assert words == ["5 PreSubmitted+commission"]
    (answer,) = [each for each in client.seen if isinstance(each, OpenOrder)]
    assert answer.order.what_if
    assert answer.state.init_margin_after
    words = await after(stage, client, PlaceOrder(1, NVDA, order()))
    assert words == FILLED


async def test_what_if_in_two_frames_as_a_real_server_does() -> None:
    with Stage(options=GatewayOptions(port=0, latency=0, two_step_what_if=True)) as stage:
        client = await Frames.started(stage)
        words = await after(stage, client, PlaceOrder(1, NVDA, order(what_if=True)))
        assert words == ["5 PreSubmitted", "5 PreSubmitted+commission"]
        first = next(each for each in client.seen if isinstance(each, OpenOrder))
        assert (first.state.init_margin_after, bool(first.state.warning_text)) == (None, True)


async def test_positions_are_pushed_after_the_first_question(stage: Stage) -> None:
    client = await Frames.started(stage)
    client.send(ReqPositions(), PlaceOrder(1, NVDA, order()))
    pushed = await client.until(PositionData)
    assert pushed.position == 10
    assert pushed.contract.exchange == "NASDAQ"
    sell = order()._replace(action="SELL")
    client.send(PlaceOrder(2, NVDA, sell))
    assert (await client.until(PositionData)).position == 0


async def test_an_order_is_told_back_as_it_was_sent(stage: Stage) -> None:
    client = await Frames.started(stage)
    asked = order("LMT", lmt_price=Decimal("99.5"), order_ref="mine", outside_rth=True, oca_group="one", model_code="")
    client.send(PlaceOrder(5, NVDA, asked), ReqOpenOrders())
    await client.until(OpenOrderEnd)
    seen = [each for each in client.seen if isinstance(each, OpenOrder)][-1]
    assert (seen.order_id, seen.client_id, seen.contract.con_id, seen.contract.right) == (5, 1, 4815747, "?")
    assert (seen.order.lmt_price, seen.order.order_ref, seen.order.tif) == (Decimal("99.5"), "mine", "DAY")
    assert (seen.order.outside_rth, seen.order.oca_group, seen.order.account) == (True, "one", "DUSIM01")
    assert 0 < seen.perm_id < 2**31


async def test_execution_times_bear_a_zone_from_version_174(stage: Stage) -> None:
    for number, version in enumerate((173, 174)):
        client = await Frames.started(stage, client_id=version, newest=version)
        client.send(PlaceOrder(number + 1, NVDA, order()))
        time = (await client.until(ExecutionData)).time
        assert time.endswith(" US/Eastern") == (version == 174)
        assert ("  " in time) == (version == 173)


async def test_the_days_end_is_told(stage: Stage) -> None:
    client = await Frames.started(stage)
    client.send(PlaceOrder(1, NVDA, order()), ReqCompletedOrders(api_only=False))
    await client.until(CompletedOrdersEnd)
    assert any(type(each).__name__ == "CompletedOrder" for each in client.seen)


async def test_a_replay_at_full_speed_waits_for_its_clients() -> None:
    """Nothing passes before somebody follows it; then all of it comes, and orders fill on the way."""
    from pathlib import Path

    from src.domain.orders import AccountId
    from src.gateways.tws_server import PaperGateway
    from src.runtime.files import load
    from src.runtime.market import MarketRules, recorded_market

    sample = Path(__file__).parents[2] / "data" / "sample"
    market = recorded_market(MarketRules(preset="ideal"), load([sample]), {AccountId("DUSIM01"): Decimal(100_000)})
    aapl = WireContract(symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
    with PaperGateway(market) as gateway:
        client = await Frames.started(gateway)
        begun = market.venue.now()
        client.send(ReqCurrentTime())
        await client.until(Fence)
        assert market.venue.now() == begun
        client.send(PlaceOrder(1, aapl, order()))
        await client.until(CommissionReportMessage)
        client.send(ReqMktData(9, aapl))
        for _ in range(200):
            await client.until(TickPrice)
        assert market.venue.now() > begun
