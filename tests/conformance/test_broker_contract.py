"""What every Broker does, stated once for all backends: connection, contracts, prices, account."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import isfinite

import pytest

from src.brokers.broker import Broker
from src.domain.errors import NoMarketDataError, NotConnectedError, UnknownContractError, UnknownOrderError
from src.domain.market import BarSize, Contract, Mode, ShortLevel, Source
from src.domain.orders import Action, Bracket, OrderChange, OrderId
from tests.conformance.conftest import CASH, MSFT, NVDA, Stage, order

BUY = Action.BUY

CALLS: dict[str, Callable[[Broker], object]] = {
    "quote": lambda broker: broker.quote(NVDA),
    "shortability": lambda broker: broker.shortability(NVDA),
    "bars": lambda broker: broker.bars(NVDA, BarSize.MIN_1, 1),
    "account_summary": lambda broker: broker.account_summary(),
    "pnl": lambda broker: broker.pnl(),
    "positions": lambda broker: broker.positions(),
    "synchronise": lambda broker: broker.synchronise(),
    "preview_order": lambda broker: broker.preview_order(order(BUY, 1)),
    "place_order": lambda broker: broker.place_order(order(BUY, 1)),
    "place_bracket": lambda broker: broker.place_bracket(Bracket.around(order(BUY, 1), CASH, CASH / 1000)),
    "modify_order": lambda broker: broker.modify_order(OrderId(1), OrderChange(quantity=CASH)),
    "cancel_order": lambda broker: broker.cancel_order(OrderId(1)),
    "trade": lambda broker: broker.trade(OrderId(1)),
    "open_trades": lambda broker: broker.open_trades(),
    "completed_trades": lambda broker: broker.completed_trades(),
    "fills": lambda broker: broker.fills(),
    "events": lambda broker: broker.events(NVDA),
}


# --- connection -----------------------------------------------------------------------------------------------------


def test_connecting_and_disconnecting_twice_is_once(offstage: Stage) -> None:
    """And a broker that was never connected can be disconnected."""
    broker = offstage.broker
    broker.disconnect()
    assert not broker.is_connected
    broker.connect()
    broker.connect()
    assert broker.is_connected
    broker.disconnect()
    broker.disconnect()
    assert not broker.is_connected


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_can_be_asked_of_a_broker_that_is_not_connected(offstage: Stage, call: str, when: str) -> None:
    """Before `connect` and after `disconnect`: NotConnectedError, retryable, nothing sent."""
    if when == "after":
        offstage.broker.connect()
        offstage.broker.disconnect()
    with pytest.raises(NotConnectedError) as caught:
        CALLS[call](offstage.broker)
    assert caught.value.retryable


def test_a_broker_can_be_connected_again(stage: Stage) -> None:
    """With the account as it was."""
    trade = stage.broker.place_order(order(BUY, 3))
    stage.settled(trade.order_id)
    stage.broker.disconnect()
    stage.broker.connect()
    assert [position.quantity for position in stage.broker.positions()] == [3]


def test_health_tells_mode_account_and_open_orders(offstage: Stage) -> None:
    """Disconnected before; afterwards the broker's own mode, which is the account's."""
    health = offstage.broker.health()
    assert (health.mode, health.connected) == (Mode.DISCONNECTED, False)
    offstage.broker.connect()
    offstage.broker.place_order(order(BUY, 1, offstage.price(NVDA, -20)))
    health = offstage.broker.health()
    assert (health.mode, health.connected, health.open_orders) == (offstage.broker.mode, True, 1)
    assert offstage.broker.account_id in health.accounts
    assert (health.mode is Mode.SIMULATED) == offstage.broker.account_id.startswith(("SIM", "DUSIM"))


# --- contracts ------------------------------------------------------------------------------------------------------


def test_a_symbol_is_qualified_to_its_one_contract(stage: Stage) -> None:
    """IB's id, the currency and the primary exchange are filled in; twice is once, case does not matter."""
    contract = stage.broker.qualify(NVDA)
    assert (contract.symbol, contract.con_id, contract.currency) == ("NVDA", 4815747, "USD")
    assert stage.broker.qualify(contract) == stage.broker.qualify(Contract("nvda")) == contract
    details = stage.broker.contract_details(NVDA)
    assert details.contract == contract
    assert details.long_name
    assert str(details.min_tick) == "0.01"


@pytest.mark.parametrize(
    "wanted", [Contract("ZZZZZ"), Contract("NVDA", sec_type="OPT"), Contract("NVDA", currency="EUR"), Contract("")]
)
def test_an_unknown_contract_is_refused_with_candidates(stage: Stage, wanted: Contract) -> None:
    """Wherever it is named; the error bears TWS's code 200 and what there is instead, if anything is like it."""
    broker = stage.broker
    lists_all = broker.mode is Mode.SIMULATED and broker.health().library is None
    for ask in (broker.qualify, broker.contract_details, broker.quote, broker.events):
        with pytest.raises(UnknownContractError) as caught:
            ask(wanted)
        assert caught.value.code == 200
        assert ("NVDA" in caught.value.candidates) == (lists_all or wanted.symbol == "NVDA")
    with pytest.raises(UnknownContractError):
        broker.place_order(order(BUY, 1, contract=wanted))
    assert broker.open_trades() == ()


# --- prices ---------------------------------------------------------------------------------------------------------


def test_the_latest_quote_is_the_one_that_was_asked_for_and_asks_for_none_itself(stage: Stage) -> None:
    """A looker-on gets what is there: nothing for what nobody listed, and never a wait."""
    quote = stage.broker.quote(NVDA)
    latest = stage.broker.latest_quote(quote.contract)
    assert latest is not None
    assert (latest.contract, latest.source) == (quote.contract, quote.source)
    assert latest.time >= quote.time
    assert stage.broker.latest_quote(Contract("NOSUCH")) is None


def test_it_is_told_whether_shares_can_be_borrowed(stage: Stage) -> None:
    """And when that was known."""
    before = stage.broker.now()
    found = stage.broker.shortability(NVDA)
    assert found is not None
    assert found.level is ShortLevel.AVAILABLE
    assert before <= found.as_of <= stage.broker.now()


def test_the_latest_quote_of_one_who_has_left_is_none(stage: Stage) -> None:
    """What was known is not shown as if it were known now."""
    contract = stage.broker.quote(NVDA).contract
    stage.broker.disconnect()
    assert stage.broker.latest_quote(contract) is None


def test_a_quote_is_a_market_that_can_be_traded_on_or_an_error(stage: Stage) -> None:
    """Never zero, NaN or -1; it names its source, and its time is not in the future."""
    usable = 0
    for _ in range(20):
        for contract in (NVDA, MSFT):
            try:
                quote = stage.broker.quote(contract)
            except NoMarketDataError:
                continue
            usable += 1
            assert 0 < quote.bid <= quote.ask < 1e6
            assert quote.bid_size > 0
            assert quote.ask_size > 0
            assert quote.last > 0 or not isfinite(quote.last)
            assert quote.contract.symbol == contract.symbol
            assert (quote.source is Source.SIMULATED) == (stage.broker.mode is Mode.SIMULATED)
            assert quote.time <= stage.broker.now()
        stage.pass_time(7)
    assert usable >= 20


def test_bars_are_closed_and_come_oldest_first(stage: Stage) -> None:
    """One minute and longer; never a bar that has not ended, never more than asked for."""
    stage.pass_time(100)
    for size in (BarSize.MIN_1, BarSize.MIN_5, BarSize.HOUR_1):
        bars = stage.broker.bars(NVDA, size, 12)
        assert len(bars) == 12
        assert all(bar.end - bar.start == size.seconds * 1_000_000_000 for bar in bars)
        assert all(earlier.end <= later.start for earlier, later in pairwise(bars))
        assert bars[-1].end <= stage.broker.now()
        assert all(0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert stage.broker.bars(NVDA, BarSize.MIN_1, 0) == ()


def test_bars_can_be_asked_for_up_to_an_end(stage: Stage) -> None:
    """The end is inclusive for a bar that ends there; a moment to come gives no bar to come."""
    latest = stage.broker.bars(NVDA, BarSize.MIN_1, 5)
    end = datetime.fromtimestamp(latest[-2].end // 1_000_000_000, UTC)
    assert stage.broker.bars(NVDA, BarSize.MIN_1, 4, end=end) == latest[:-1]
    assert stage.broker.bars(NVDA, BarSize.MIN_1, 5, end=end + timedelta(days=2)) == latest


# --- account --------------------------------------------------------------------------------------------------------


def test_account_values_belong_together(stage: Stage) -> None:
    """IB's tags and their invariants, before and after a purchase."""
    broker = stage.broker
    before = broker.account_summary()
    assert before.account_id == broker.account_id
    assert before.net_liquidation == before.total_cash_value == CASH
    trade = stage.settled(broker.place_order(order(BUY, 10)).order_id)
    after, [position] = broker.account_summary(), broker.positions()
    assert after.net_liquidation == after.total_cash_value + position.market_value
    assert after.total_cash_value == CASH - trade.filled * trade.average_fill_price - trade.commission
    assert after.available_funds == after.equity_with_loan_value - after.init_margin_req
    assert after.excess_liquidity == after.equity_with_loan_value - after.maint_margin_req
    assert after.gross_position_value == position.market_value > 0
    assert before.as_of <= after.as_of <= broker.now()
    pnl = broker.pnl()
    assert pnl.unrealized == position.unrealized_pnl
    assert pnl.realized == 0


def test_after_synchronising_orders_executions_and_positions_are_all_there(stage: Stage) -> None:
    working = stage.broker.place_order(order(BUY, 1, stage.price(NVDA, -20)))
    bought = stage.settled(stage.broker.place_order(order(BUY, 3)).order_id)
    stage.broker.synchronise()
    assert [trade.order_id for trade in stage.broker.open_trades()] == [working.order_id]
    assert bought.order_id in {trade.order_id for trade in stage.broker.completed_trades()}
    assert sum(fill.execution.shares for fill in stage.broker.fills()) == 3
    assert [position.quantity for position in stage.broker.positions()] == [3]


def test_unknown_orders_are_named(stage: Stage) -> None:
    """An id that is not ours."""
    broker, change = stage.broker, OrderChange(quantity=CASH)
    for ask in (broker.trade, broker.cancel_order, lambda order_id: broker.modify_order(order_id, change)):
        with pytest.raises(UnknownOrderError, match="4711"):
            ask(OrderId(4711))
