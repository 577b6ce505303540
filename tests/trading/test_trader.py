"""A session over the real simulated broker: what is sent, what is counted, and how it ends."""

import logging
from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.brokers.simulated import SimulatedBroker
from src.domain.market import Bar, BarSize, Contract
from src.domain.orders import Action, Order, OrderType
from src.trading.hold import BuyAndHold
from src.trading.plan import SessionPlan
from src.trading.portfolio import Portfolio
from src.trading.sma import MovingAverageCross
from src.trading.trader import Trader

Market = Callable[..., SimulatedBroker]
Script = Callable[[Bar, Portfolio], Sequence[Order]]
OnExit = Literal["cancel", "keep", "flatten"]
MINUTE = 60_000_000_000


class Scripted:
    """A strategy that does what a test says, and keeps what it saw."""

    def __init__(self, script: Script, warm_up: int = 0) -> None:
        self.script, self.warm_up = script, warm_up
        self.seen: list[Bar] = []

    def on_bar(self, bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        """Keep the bar, ask the script."""
        self.seen.append(bar)
        return self.script(bar, portfolio)

    def explain(self) -> str:
        """Nothing."""
        return "as the test says"


def nothing(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
    """Never trade."""
    return ()


def at_bar(number: int, make: Callable[[Bar], Order]) -> Script:
    """Send one order at the bar of this number, counted from 1."""
    count = iter(range(1, 1_000_000))
    return lambda bar, _: [make(bar)] if next(count) == number else []


def buy(bar: Bar, quantity: int = 100) -> Order:
    """A purchase at market."""
    return Order(bar.contract, Action.BUY, Decimal(quantity))


def plan(*symbols: str, **more: Any) -> SessionPlan:
    """A session called `test` on these symbols."""
    return SessionPlan("test", tuple(map(Contract, symbols)), **more)


def test_every_bar_is_seen_and_a_purchase_at_a_close_fills_at_the_next_open(market: Market) -> None:
    """Bought at the second close (11), filled at the third open (11), marked at the last close (14)."""
    broker = market(MSFT=[10, 11, 12, 13, 14])
    strategy = Scripted(at_bar(2, buy))
    summary = Trader(broker, strategy, plan("MSFT")).run()
    assert [bar.close for bar in strategy.seen] == [10, 11, 12, 13, 14]
    assert (summary.bars, summary.orders, summary.fills, summary.commissions) == (5, 1, 1, 1.0)
    assert (summary.realized_pnl, summary.unrealized_pnl) == (0.0, 299.0)
    assert summary.final_equity == 100_299.0
    assert (summary.mode, summary.symbols) == ("simulated", ("MSFT",))
    assert (summary.start, summary.end) == ("2019-02-11T14:30:00Z", "2019-02-11T14:35:00Z")


def test_all_bars_of_an_instant_are_processed_before_the_first_is_decided_on(market: Market) -> None:
    """An order for the second symbol, decided on the first one's close, never fills in the minute just ended."""
    broker = market(AAPL=[10, 20, 30, 40], MSFT=[100, 200, 300, 400])

    def script(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        return [buy(bar._replace(contract=Contract("MSFT")), 1)] if bar.close == 20 else []

    summary = Trader(broker, Scripted(script), plan("AAPL", "MSFT")).run()
    (fill,) = broker.fills()
    assert (fill.execution.price, fill.execution.contract.symbol, summary.fills) == (Decimal(200), "MSFT", 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.randoms(use_true_random=False),
    st.sampled_from(["ideal", "realistic"]),
    st.sampled_from(["fixed", "commission", "none"]),
    st.sampled_from(["cancel", "flatten", "keep"]),
)
def test_own_pnl_is_what_the_account_gained(
    market: Market, chance: Random, preset: str, fees: str, end: OnExit
) -> None:
    """Realized and unrealized are the account's change to the cent, and every fill and dollar of commission counts."""
    closes = [100.0]
    while len(closes) < 150:
        closes.append(round(max(1.0, closes[-1] + chance.choice((-0.3, -0.02, 0.01, 0.3))), 2))
    broker = market({"sim_preset": preset, "sim_fees": fees}, MSFT=closes, AAPL=closes[::-1])
    start = broker.account_summary().net_liquidation
    trader = Trader(broker, MovingAverageCross(2, 5), plan("MSFT", "AAPL", on_exit=end))
    summary = trader.run()
    gained = float(broker.account_summary().net_liquidation - start)
    assert summary.realized_pnl + summary.unrealized_pnl == pytest.approx(gained, abs=1e-5)
    assert summary.fills == len(broker.fills())
    reports = [fill.commission_report for fill in broker.fills()]
    assert summary.commissions == pytest.approx(sum(float(each.commission) for each in reports if each), abs=1e-5)
    assert summary.final_equity == pytest.approx(float(start) + gained)
    held = {each.contract.symbol: each.quantity for each in broker.positions() if each.quantity}
    assert trader.portfolio.positions == held
    assert summary.fills > 0
    assert 0 <= summary.max_drawdown < 1


def test_equal_sessions_have_equal_results(market: Market) -> None:
    """All but the time taken."""
    closes = [round(100 + (i * 7919 % 101) / 50, 2) for i in range(300)]
    results = []
    for _ in range(2):
        summary = Trader(market({"sim_preset": "realistic"}, MSFT=closes), MovingAverageCross(3, 9), plan("MSFT")).run()
        results.append({**summary.as_json(), "seconds": 0, "bars_per_second": 0})
    assert results[0] == results[1]
    assert results[0]["fills"] > 20


def test_order_references_are_the_sessions_and_unique(market: Market) -> None:
    """`<session>-<number>`, and the account is always set."""
    broker = market(MSFT=[10 + i % 3 for i in range(40)])
    Trader(broker, MovingAverageCross(1, 2), plan("MSFT")).run()
    orders = [trade.order for trade in broker.completed_trades()]
    assert len(orders) > 5
    assert [order.order_ref for order in orders] == [f"test-s{number + 1}" for number in range(len(orders))]
    assert {order.account for order in orders} == {broker.account_id}


def test_shares_that_were_there_before_are_listed_and_left_alone(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    """The strategy is flat although the account is not; flattening sells its own shares only."""
    broker = market(MSFT=[10.0] * 30)
    contract = broker.qualify(Contract("MSFT"))
    with broker.events(contract, bars=BarSize.MIN_1) as stream:
        broker.place_order(Order(contract, Action.BUY, Decimal(7)))
        for event in stream:
            if broker.positions():
                del event
                break
    strategy = Scripted(at_bar(5, buy))
    trader = Trader(broker, strategy, plan("MSFT", on_exit="keep"))
    with caplog.at_level(logging.INFO):
        summary = trader.run()
    assert "7 shares of MSFT were in the account before" in caplog.text
    assert trader.portfolio.position(contract) == 100
    assert [position.quantity for position in broker.positions()] == [Decimal(107)]
    assert summary.orders == 1


def test_a_rejected_order_is_counted_and_the_session_goes_on(market: Market, caplog: pytest.LogCaptureFixture) -> None:
    """A purchase beyond all buying power at each bar: as many orders, no fill, ten lines in the log."""
    broker = market(MSFT=[10.0] * 30)
    trader = Trader(broker, Scripted(lambda bar, _: [buy(bar, 10_000_000)]), plan("MSFT"))
    summary = trader.run()
    assert (summary.bars, summary.orders, summary.fills, trader.rejected) == (30, 30, 0, 30)
    assert trader.failure is None
    assert sum("rejected: BUY" in line for line in caplog.messages) == 10


@pytest.mark.parametrize(("on_exit", "working", "held"), [("cancel", 0, 100), ("keep", 1, 100), ("flatten", 0, 0)])
def test_the_end_leaves_the_account_as_the_plan_says(market: Market, on_exit: OnExit, working: int, held: int) -> None:
    """A position and a resting limit order when the duration is over, with prices going on."""
    broker = market(MSFT=[10.0] * 30)

    def script(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        if portfolio.totals.orders:
            return ()
        return [buy(bar), Order(bar.contract, Action.BUY, Decimal(5), OrderType.LIMIT, Decimal(1))]

    trader = Trader(broker, Scripted(script), plan("MSFT", on_exit=on_exit, duration=10))
    summary = trader.run()
    assert summary.bars == 10
    assert len(broker.open_trades()) == working
    assert sum(position.quantity for position in broker.positions()) == held
    assert summary.orders == (3 if on_exit == "flatten" else 2)
    assert summary.fills == (2 if on_exit == "flatten" else 1)


def test_flattening_at_the_end_of_the_data_says_what_is_left(market: Market, caplog: pytest.LogCaptureFixture) -> None:
    """There is no price any more to sell at; nothing is left working."""
    broker = market(MSFT=[10.0] * 5)
    trader = Trader(broker, BuyAndHold(), plan("MSFT", on_exit="flatten"))
    trader.run()
    assert broker.open_trades() == ()
    assert "not flat, the prices ended before the orders could fill: 100 MSFT" in caplog.text


def test_before_the_close_the_session_is_flat_and_starts_anew_the_next_day(market: Market) -> None:
    """A close after ten minutes and one after thirty: sold two minutes before each, bought again in between."""
    broker = market(MSFT=[10.0] * 25)
    start = broker.now()

    def close_after(moment: int) -> int:
        return start + (10 if moment < start + 10 * MINUTE else 30) * MINUTE

    trader = Trader(broker, BuyAndHold(), plan("MSFT", flat_before_close=2, close_after=close_after))
    trader.run()
    made = [(fill.execution.side.value, (fill.execution.time - start) // MINUTE) for fill in broker.fills()]
    assert made == [("BUY", 1), ("SELL", 8), ("BUY", 10)]


def test_stop_ends_the_session_at_the_next_event(market: Market) -> None:
    """As a signal handler would: from within, at the third bar."""
    holder: list[Trader] = []

    def script(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        if bar.close == 12:
            holder[0].stop()
        return ()

    trader = Trader(market(MSFT=[10, 11, 12, 13, 14]), Scripted(script), plan("MSFT"))
    holder.append(trader)
    assert trader.run().bars == 3
    assert trader.failure is None


def test_history_is_shown_first_and_never_twice(market: Market) -> None:
    """A session that starts in the middle: the strategy sees the bars before it once, and sends nothing on them."""
    broker = market(MSFT=[10 + i for i in range(20)])
    contract = broker.qualify(Contract("MSFT"))
    with broker.events(contract, bars=BarSize.MIN_1) as stream:
        for _ in range(8):
            stream.next()
    strategy = Scripted(lambda bar, _: [buy(bar)] if bar.close < 19 else (), warm_up=5)
    summary = Trader(broker, strategy, plan("MSFT")).run()
    assert [bar.close for bar in strategy.seen] == [10 + i for i in range(3, 20)]
    assert (summary.bars, summary.orders) == (12, 1)


def test_missing_history_is_said(market: Market, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing lies before a replay: 49 bars are missing for the usual averages."""
    broker = market(MSFT=[10.0] * 5)
    trader = Trader(broker, MovingAverageCross(), plan("MSFT"))
    with caplog.at_level(logging.INFO):
        trader.run()
    assert "MSFT: 49 bars of history are missing" in caplog.text
    assert trader.undecided == {"MSFT": 5}


def test_a_strategy_that_has_seen_enough_has_decided(market: Market) -> None:
    """Ten bars before the first decision: the eleventh is enough, the tenth is not."""
    closes = dict.fromkeys(("MSFT", "AAPL"), [10.0] * 11)
    for bars, undecided in ((11, {}), (10, {"MSFT": 10, "AAPL": 10})):
        broker = market(**{symbol: prices[:bars] for symbol, prices in closes.items()})
        trader = Trader(broker, Scripted(nothing, warm_up=10), plan("MSFT", "AAPL"))
        trader.run()
        assert trader.undecided == undecided


def test_larger_bars_are_decided_on_as_they_close(market: Market) -> None:
    """Ten minutes, two bars of five."""
    strategy = Scripted(nothing)
    summary = Trader(market(MSFT=range(10, 20)), strategy, plan("MSFT", timeframe=BarSize.MIN_5)).run()
    assert [(bar.open, bar.close) for bar in strategy.seen] == [(10, 14), (14, 19)]
    assert summary.bars == 2


def test_a_liquidation_takes_own_shares_with_it(market: Market) -> None:
    """What the venue sells for want of margin is no longer the strategy's."""
    broker = market({"initial_capital": Decimal(10_000)}, MSFT=[100, 100, 100, 55, 55, 55, 55])
    trader = Trader(broker, Scripted(at_bar(1, lambda bar: buy(bar, 180))), plan("MSFT"))
    trader.run()
    assert broker.fills()[-1].execution.liquidation
    assert (trader.liquidated, trader.failure) == (1, None)
    assert trader.portfolio.positions == {s.contract.symbol: s.quantity for s in broker.positions() if s.quantity}
