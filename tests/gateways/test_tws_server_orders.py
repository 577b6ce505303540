"""Orders through the gateway with unmodified ib_insync: their lives, brackets, groups, several clients."""

import asyncio
from typing import Any

import pytest

from tests.gateways.tws_stage import ACCOUNT, Ib, Stage, ib_insync_client, slow, until


async def nvda(ib: Ib) -> Ib:
    """NVDA, qualified."""
    from ib_insync import Stock

    (contract,) = await ib.qualifyContractsAsync(Stock("NVDA", "SMART", "USD"))
    return contract


async def quoted(ib: Ib, contract: Ib) -> Ib:
    """A ticker with bid and ask."""
    (ticker,) = await ib.reqTickersAsync(contract)
    return ticker


def statuses(trade: Ib) -> list[str]:
    """The statuses of a trade, each once in a row."""
    found: list[str] = []
    for entry in trade.log:
        if not found or found[-1] != entry.status:
            found.append(entry.status)
    return found


async def reached(ib: Ib, trade: Ib, *wanted: str) -> None:
    """Wait until the trade stands where it is wanted."""
    await until(ib, lambda: trade.orderStatus.status in wanted)


async def charged(ib: Ib, trade: Ib) -> None:
    """Wait until the first fill has its commission."""
    await until(ib, lambda: trade.fills and trade.fills[0].commissionReport.commission)


def codes_of(ib: Ib) -> list[tuple[int, int]]:
    """Request ids and codes of the errors from now on."""
    found: list[tuple[int, int]] = []
    ib.errorEvent += lambda request_id, code, *_: found.append((request_id, code))
    return found


async def resting(ib: Ib, contract: Ib, quantity: int = 10, **more: Ib) -> Ib:
    """A limit order far below the market, once it works."""
    from ib_insync import LimitOrder

    ticker = await quoted(ib, contract)
    trade = ib.placeOrder(contract, LimitOrder("BUY", quantity, round(ticker.bid * 0.8, 2), **more))
    await reached(ib, trade, "Submitted")
    return trade


async def test_a_market_order_fills_and_everything_follows(stage: Stage) -> None:
    """Execution, commission, position and portfolio reach the client."""
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    ticker = await quoted(ib, contract)
    trade = ib.placeOrder(contract, MarketOrder("BUY", 10, orderRef="my reference"))
    await until(ib, lambda: trade.fills and trade.fills[0].commissionReport.commission and ib.portfolio())
    assert statuses(trade) == ["PendingSubmit", "PreSubmitted", "Filled"]
    (fill,) = trade.fills
    assert (fill.execution.shares, fill.execution.price) == (10, ticker.ask)
    assert (fill.execution.side, fill.execution.acctNumber, fill.execution.orderRef) == ("BOT", ACCOUNT, "my reference")
    assert fill.commissionReport.commission == 1.0
    assert fill.commissionReport.realizedPNL == 0.0
    (position,) = ib.positions()
    assert (position.position, position.avgCost) == (10, pytest.approx(ticker.ask + 0.1))
    (item,) = ib.portfolio()
    assert (item.position, item.contract.conId, item.contract.primaryExchange) == (10, contract.conId, "NASDAQ")
    assert trade.orderStatus.permId == trade.order.permId > 0


async def test_a_round_trip_realizes_and_is_flat(stage: Stage) -> None:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    for action in ("BUY", "SELL"):
        trade = ib.placeOrder(contract, MarketOrder(action, 10))
        await charged(ib, trade)
    assert trade.fills[0].commissionReport.realizedPNL < 0
    assert trade.fills[0].execution.side == "SLD"
    await until(ib, lambda: not ib.positions())
    await until(ib, lambda: float(next(v.value for v in ib.accountValues() if v.tag == "RealizedPnL")) < 0)


async def test_a_limit_order_rests_is_changed_and_cancelled(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    trade = await resting(ib, contract)
    assert statuses(trade) == ["PendingSubmit", "Submitted"]
    perm_id = trade.order.permId
    trade.order.lmtPrice += 1
    ib.placeOrder(contract, trade.order)
    await until(ib, lambda: trade.log[-1].message == "Modified")
    trade.order.totalQuantity = 20
    ib.placeOrder(contract, trade.order)
    await until(ib, lambda: trade.orderStatus.remaining == 20)
    assert trade.order.permId == perm_id
    ib.cancelOrder(trade.order)
    await until(ib, lambda: trade.orderStatus.status == "Cancelled" and trade.log[-1].errorCode == 0)
    assert ib.openTrades() == []


async def test_a_resting_limit_fills_when_the_market_comes(stage: Stage) -> None:
    from ib_insync import LimitOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    ticker = await quoted(ib, contract)
    trade = ib.placeOrder(contract, LimitOrder("BUY", 10, round(ticker.bid - 0.02, 2)))
    await reached(ib, trade, "Submitted")
    for _ in range(600):
        stage.pass_time(1)
        if stage.gateway.call(lambda server: server.context.venue.exchange.fills(ACCOUNT)):
            break
    await reached(ib, trade, "Filled")
    assert trade.fills[0].execution.price <= trade.order.lmtPrice
    assert trade.fills[0].execution.lastLiquidity == 1


async def test_stop_and_stop_limit_orders_wait_for_their_trigger(stage: Stage) -> None:
    from ib_insync import StopLimitOrder, StopOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    ticker = await quoted(ib, contract)
    below = round(ticker.bid * 0.9, 2)
    trades = [
        ib.placeOrder(contract, StopOrder("SELL", 5, below)),
        ib.placeOrder(contract, StopLimitOrder("SELL", 5, below - 1, below)),
    ]
    await until(ib, lambda: all(trade.orderStatus.permId for trade in trades))
    open_orders = {order.orderId: order for order in await ib.reqOpenOrdersAsync() for order in [order.order]}
    assert [open_orders[t.order.orderId].orderType for t in trades] == ["STP", "STP LMT"]
    assert [open_orders[t.order.orderId].auxPrice for t in trades] == [below, below]
    touched = ib.placeOrder(contract, StopOrder("SELL", 5, round(ticker.bid * 1.1, 2)))
    await reached(ib, touched, "Filled")


async def test_partial_fills_add_up() -> None:
    """More than what is displayed takes several executions."""
    from ib_insync import MarketOrder

    with Stage(slow()) as stage:
        ib = await ib_insync_client(stage)
        contract = await nvda(ib)
        trade = ib.placeOrder(contract, MarketOrder("BUY", 5000))
        await reached(ib, trade, "PreSubmitted")
        for _ in range(60):
            stage.pass_time(1)
        await reached(ib, trade, "Filled")
        assert len(trade.fills) > 1
        assert sum(fill.execution.shares for fill in trade.fills) == 5000
        assert [fill.execution.cumQty for fill in trade.fills][-1] == 5000
        assert "Submitted" in statuses(trade)
        assert sum(fill.commissionReport.commission for fill in trade.fills) == pytest.approx(25.0, abs=0.01)


async def test_a_bracket_waits_for_its_parent_and_its_exits_cancel_each_other(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    ticker = await quoted(ib, contract)
    bracket = ib.bracketOrder("BUY", 10, *(round(ticker.bid * x, 2) for x in (0.9, 1.2, 0.5)))
    parent, target, stop = (ib.placeOrder(contract, order) for order in bracket)
    await reached(ib, parent, "Submitted")
    await until(ib, lambda: stop.orderStatus.status == target.orderStatus.status == "PreSubmitted")
    assert target.orderStatus.parentId == parent.order.orderId
    parent.order.lmtPrice = round(ticker.ask * 1.01, 2)
    ib.placeOrder(contract, parent.order)
    await reached(ib, parent, "Filled")
    await reached(ib, target, "Submitted")
    target.order.lmtPrice = round(ticker.bid * 0.99, 2)
    ib.placeOrder(contract, target.order)
    await until(ib, lambda: target.orderStatus.status == "Filled" and stop.orderStatus.status == "Cancelled")
    assert ib.positions() == [] or ib.positions()[0].position == 0


async def test_cancelling_a_parent_cancels_its_children(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    ticker = await quoted(ib, contract)
    bracket = ib.bracketOrder("BUY", 10, *(round(ticker.bid * x, 2) for x in (0.9, 1.2, 0.5)))
    trades = [ib.placeOrder(contract, order) for order in bracket]
    await until(ib, lambda: trades[2].orderStatus.status == "PreSubmitted")
    ib.cancelOrder(trades[0].order)
    await until(ib, lambda: all(trade.orderStatus.status == "Cancelled" for trade in trades))


async def test_a_child_may_follow_a_parent_that_already_works_or_has_filled(stage: Stage) -> None:
    from ib_insync import LimitOrder, MarketOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    ticker = await quoted(ib, contract)
    for entry in (LimitOrder("BUY", 10, round(ticker.bid * 0.9, 2)), MarketOrder("BUY", 10)):
        parent = ib.placeOrder(contract, entry)
        await reached(ib, parent, "Submitted", "Filled")
        exit_order = LimitOrder("SELL", 10, round(ticker.ask * 1.2, 2), parentId=parent.order.orderId)
        child = ib.placeOrder(contract, exit_order)
        wanted = "Submitted" if parent.isDone() else "PreSubmitted"
        await reached(ib, child, wanted)


async def test_an_untransmitted_order_waits_until_it_is_transmitted(stage: Stage) -> None:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    trade = ib.placeOrder(contract, MarketOrder("BUY", 10, transmit=False))
    await until(ib, lambda: trade.order.permId)
    stage.pass_time(5)
    assert [each.order.orderId for each in await ib.reqAllOpenOrdersAsync()] == [trade.order.orderId]
    assert trade.fills == []
    trade.order.transmit = True
    ib.placeOrder(contract, trade.order)
    await reached(ib, trade, "Filled")


async def test_an_untransmitted_order_can_be_cancelled(stage: Stage) -> None:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    trade = ib.placeOrder(await nvda(ib), MarketOrder("BUY", 10, transmit=False))
    await until(ib, lambda: trade.order.permId)
    ib.cancelOrder(trade.order)
    await reached(ib, trade, "Cancelled")


async def test_one_order_of_a_group_cancels_the_others(stage: Stage) -> None:
    from ib_insync import LimitOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    first = await resting(ib, contract, ocaGroup="either", ocaType=1)
    ticker = await quoted(ib, contract)
    order = LimitOrder("BUY", 10, round(ticker.ask * 1.01, 2), ocaGroup="either", ocaType=1)
    second = ib.placeOrder(contract, order)
    await until(ib, lambda: second.orderStatus.status == "Filled" and first.orderStatus.status == "Cancelled")


async def test_a_brackets_target_may_be_a_market_order_if_touched(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    ticker = await quoted(ib, contract)
    parent, target, stop = ib.bracketOrder("BUY", 10, *(round(ticker.ask * x, 2) for x in (1.01, 1.2, 0.5)))
    target.orderType, target.auxPrice, target.lmtPrice = "MIT", target.lmtPrice, 0.0
    target.ocaGroup = stop.ocaGroup = "exits"
    trades = [ib.placeOrder(contract, each) for each in (parent, target, stop)]
    await reached(ib, trades[0], "Filled")
    await until(ib, lambda: trades[2].orderStatus.status == "PreSubmitted" and trades[1].orderStatus.permId)
    (seen,) = [each.order for each in await ib.reqOpenOrdersAsync() if each.order.orderId == target.orderId]
    assert (seen.orderType, seen.auxPrice) == ("MIT", target.auxPrice)
    target.auxPrice = round(ticker.bid * 0.99, 2)
    ib.placeOrder(contract, target)
    await until(ib, lambda: [each.orderStatus.status for each in trades[1:]] == ["Filled", "Cancelled"])


async def test_fill_or_kill_is_all_or_nothing(stage: Stage) -> None:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    ticker = await quoted(ib, contract)
    whole = ib.placeOrder(contract, MarketOrder("BUY", int(ticker.askSize), tif="FOK"))
    await reached(ib, whole, "Filled")
    stage.pass_time(1)
    ticker = await quoted(ib, contract)
    part = ib.placeOrder(contract, MarketOrder("BUY", int(ticker.askSize) + 1, tif="FOK"))
    await reached(ib, part, "Cancelled")
    assert part.fills == []


async def test_what_if_tells_margin_and_commission_and_places_nothing(stage: Stage) -> None:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    state = await asyncio.wait_for(ib.whatIfOrderAsync(contract, MarketOrder("BUY", 100)), 5)
    assert float(state.initMarginChange) > 1000
    assert float(state.equityWithLoanAfter) == pytest.approx(1_000_000 - 1)
    assert (state.commission, state.commissionCurrency) == (1.0, "USD")
    assert await ib.reqAllOpenOrdersAsync() == []


async def test_orders_survive_their_clients_disconnect(stage: Stage) -> None:
    ib = await ib_insync_client(stage, 4)
    contract = await nvda(ib)
    order_id = (await resting(ib, contract)).order.orderId
    ib.disconnect()
    other = await ib_insync_client(stage, 5)
    assert other.openTrades() == []
    again = await ib_insync_client(stage, 4)
    (trade,) = again.openTrades()
    assert (trade.order.orderId, trade.orderStatus.status, trade.order.clientId) == (order_id, "Submitted", 4)
    assert again.client.getReqId() > order_id
    again.cancelOrder(trade.order)
    await reached(again, trade, "Cancelled")


async def test_an_order_is_cancelled_only_by_the_client_that_placed_it(stage: Stage) -> None:
    from ib_insync import Order

    owner, other = await ib_insync_client(stage, 1), await ib_insync_client(stage, 2)
    trade = await resting(owner, await nvda(owner))
    errors = codes_of(other)
    other.client.cancelOrder(trade.order.orderId)
    await until(other, lambda: errors)
    assert errors == [(trade.order.orderId, 10147)]
    (seen,) = await other.reqAllOpenOrdersAsync()
    assert (seen.order.clientId, seen.orderStatus.status) == (1, "Submitted")
    assert isinstance(seen.order, Order)


async def test_client_0_binds_the_orders_made_by_hand(stage: Stage) -> None:
    """They get ids of its own, by which it can cancel them; another client only sees them."""
    by_hand = "symbol: NVDA, action: BUY, quantity: 4, orderType: LMT, lmtPrice: 90"
    zero, other = await ib_insync_client(stage, 0), await ib_insync_client(stage, 1)
    stage.gateway.play(f"- {{at: 0, action: order, order: {{{by_hand}}}}}")
    await until(zero, zero.openTrades)  # ib_insync binds when it connects as client 0
    (trade,) = zero.openTrades()
    assert (trade.order.clientId, trade.order.orderId, trade.order.totalQuantity) == (0, -1, 4)
    assert other.openTrades() == []
    assert [each.order.orderId for each in await other.reqAllOpenOrdersAsync()] == [-1]
    other.client.cancelOrder(-1)
    errors = codes_of(other)
    await until(other, lambda: errors)
    assert errors == [(-1, 10147)]
    zero.cancelOrder(trade.order)
    await reached(zero, trade, "Cancelled")


async def test_a_child_on_its_parents_own_side_is_no_exit_and_is_refused(stage: Stage) -> None:
    from ib_insync import LimitOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    parent = ib.placeOrder(contract, LimitOrder("BUY", 10, 100.0, transmit=False))
    child = ib.placeOrder(contract, LimitOrder("BUY", 9_000, 90.0, parentId=parent.order.orderId))
    await reached(ib, child, "Inactive")
    await reached(ib, parent, "Inactive")
    assert str(parent.order.orderId) in child.log[-1].message or child.log[1].errorCode == 201


async def test_global_cancel_takes_the_orders_of_all_clients(stage: Stage) -> None:
    one, two = await ib_insync_client(stage, 1), await ib_insync_client(stage, 2)
    trades = [await resting(ib, await nvda(ib)) for ib in (one, two)]
    two.reqGlobalCancel()
    for ib, trade in zip((one, two), trades, strict=True):
        await reached(ib, trade, "Cancelled")


async def test_the_day_is_remembered(stage: Stage) -> None:
    """Executions with their commissions, and completed orders, also for who comes later."""
    from ib_insync import ExecutionFilter, MarketOrder

    ib = await ib_insync_client(stage, 1)
    contract = await nvda(ib)
    trade = ib.placeOrder(contract, MarketOrder("BUY", 10))
    await reached(ib, trade, "Filled")
    cancelled = await resting(ib, contract)
    ib.cancelOrder(cancelled.order)
    await reached(ib, cancelled, "Cancelled")
    late = await ib_insync_client(stage, 2)
    (fill,) = late.fills()
    assert fill.commissionReport.commission == 1.0
    assert fill.execution.clientId == 1
    done = await late.reqCompletedOrdersAsync(False)
    assert sorted(each.orderStatus.status for each in done) == ["Cancelled", "Filled"]
    for wanted, count in (({"symbol": "MSFT"}, 0), ({"side": "BUY"}, 1), ({"side": "SELL"}, 0), ({"clientId": 9}, 0)):
        assert len(await late.reqExecutionsAsync(ExecutionFilter(**wanted))) == count
    for time, count in (("20250602 09:30:00", 1), ("20250602 23:00:00 US/Eastern", 0), ("20250602-14:00:00", 1)):
        assert len(await late.reqExecutionsAsync(ExecutionFilter(time=time))) == count


async def test_the_master_client_sees_and_cancels_everything() -> None:
    from src.gateways.tws_server import GatewayOptions

    with Stage(options=GatewayOptions(port=0, latency=0, master_client_id=9)) as stage:
        owner, master = await ib_insync_client(stage, 1), await ib_insync_client(stage, 9)
        trade = await resting(owner, await nvda(owner))
        await until(master, master.openTrades)
        master.client.cancelOrder(trade.order.orderId)
        await reached(owner, trade, "Cancelled")


REJECTED: dict[str, tuple[dict[str, Any], int]] = {
    "too dear for the account": ({"totalQuantity": 900_000}, 201),
    "too many shares": ({"totalQuantity": 2_000_000}, 201),
    "no shares": ({"totalQuantity": 0}, 201),
    "half a share": ({"totalQuantity": 0.5}, 201),
    "off the tick": ({"lmtPrice": 100.005}, 110),
    "a price below zero": ({"lmtPrice": -1.0}, 201),
    "an unknown side": ({"action": "HOLD"}, 201),
    "a trailing stop": ({"orderType": "TRAIL"}, 387),
    "an order for the close": ({"orderType": "MOC"}, 387),
    "a limit for the close": ({"orderType": "LOC"}, 387),
    "an order for the opening": ({"tif": "OPG"}, 201),
    "good until a date": ({"tif": "GTD", "goodTillDate": "20250603 15:00:00 US/Eastern"}, 201),
    "another account": ({"account": "DU999999"}, 201),
    "an algorithm": ({"algoStrategy": "Adaptive"}, 201),
    "all or none": ({"allOrNone": True}, 201),
    "more than its limit at discretion": ({"discretionaryAmt": 0.05}, 201),
    "a parent that is not there": ({"parentId": 77}, 201),
    "a long reference": ({"orderRef": "x" * 41}, 201),
}


@pytest.mark.parametrize(("terms", "code"), REJECTED.values(), ids=REJECTED)
async def test_a_rejected_order_is_inactive_and_books_nothing(stage: Stage, terms: dict[str, Any], code: int) -> None:
    from ib_insync import LimitOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    order = LimitOrder("BUY", 10, 120.0)
    for name, value in terms.items():
        setattr(order, name, value)
    codes = codes_of(ib)
    trade = ib.placeOrder(contract, order)
    await reached(ib, trade, "Inactive")
    assert codes == [(trade.order.orderId, code)]
    assert await ib.reqAllOpenOrdersAsync() == []
    assert ib.positions() == []


async def test_an_unknown_contract_is_200(stage: Stage) -> None:
    from ib_insync import MarketOrder, Stock

    ib = await ib_insync_client(stage)
    trade = ib.placeOrder(Stock("NOPE", "SMART", "USD"), MarketOrder("BUY", 1))
    await until(ib, lambda: trade.log[-1].errorCode == 200)


@pytest.mark.parametrize(("name", "value"), [("tif", "GTC"), ("outsideRth", True), ("ocaGroup", "late")])
async def test_a_change_that_cannot_be_made_is_refused_and_not_forgotten(stage: Stage, name: str, value: Ib) -> None:
    """105, also beside a new price: a client that hears nothing believes that its order lives until cancelled."""
    ib = await ib_insync_client(stage)
    working = await resting(ib, await nvda(ib))
    errors, price = codes_of(ib), working.order.lmtPrice
    working.order.lmtPrice = price - 1
    setattr(working.order, name, value)
    ib.placeOrder(working.contract, working.order)
    await until(ib, lambda: errors)
    assert errors == [(working.order.orderId, 105)]
    (kept,) = await ib.reqAllOpenOrdersAsync()
    assert kept.order.lmtPrice == price


async def test_order_ids_do_not_go_back(stage: Stage) -> None:
    """103 for one that was used or left out; 104 and 105 for changes that cannot be made."""
    from ib_insync import LimitOrder, MarketOrder

    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    filled = ib.placeOrder(contract, MarketOrder("BUY", 1))
    await reached(ib, filled, "Filled")
    working = await resting(ib, contract)
    errors = codes_of(ib)
    wrong = LimitOrder("SELL", 10, working.order.lmtPrice)
    ib.client.placeOrder(1, contract, MarketOrder("BUY", 1))
    ib.client.placeOrder(filled.order.orderId, contract, MarketOrder("BUY", 2))
    ib.client.placeOrder(working.order.orderId, contract, wrong)
    await until(ib, lambda: len(errors) == 3)
    number = working.order.orderId
    assert errors == [(1, 103), (filled.order.orderId, 104), (number, 105)]


async def test_cancelling_what_cannot_be_cancelled(stage: Stage) -> None:
    from ib_insync import MarketOrder

    ib = await ib_insync_client(stage)
    trade = ib.placeOrder(await nvda(ib), MarketOrder("BUY", 1))
    await reached(ib, trade, "Filled")
    errors = codes_of(ib)
    ib.client.cancelOrder(trade.order.orderId)
    ib.client.cancelOrder(4711)
    await until(ib, lambda: len(errors) == 2)
    assert errors == [(trade.order.orderId, 10148), (4711, 10147)]


async def test_with_several_accounts_an_order_names_its_own() -> None:
    from ib_insync import MarketOrder

    with Stage(accounts=("DUSIM01", "DUSIM02")) as stage:
        ib = await ib_insync_client(stage)
        contract = await nvda(ib)
        unnamed = ib.placeOrder(contract, MarketOrder("BUY", 1))
        named = ib.placeOrder(contract, MarketOrder("BUY", 2, account="DUSIM02"))
        await reached(ib, named, "Filled")
        assert 435 in [entry.errorCode for entry in unnamed.log]
        await until(ib, ib.positions)
        assert [(each.account, each.position) for each in ib.positions()] == [("DUSIM02", 2)]


async def test_a_refused_change_leaves_the_order_working(stage: Stage) -> None:
    ib = await ib_insync_client(stage)
    contract = await nvda(ib)
    trade = await resting(ib, contract)
    errors = codes_of(ib)
    trade.order.lmtPrice += 0.005
    ib.placeOrder(contract, trade.order)
    await until(ib, lambda: errors == [(trade.order.orderId, 110)])
    await reached(ib, trade, "Submitted")
    (seen,) = await ib.reqOpenOrdersAsync()
    assert seen.orderStatus.status == "Submitted"
