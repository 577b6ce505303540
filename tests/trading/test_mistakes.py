"""A strategy's mistakes, and what else may fail under a session: it is told, and the summary is there."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from src.brokers.simulated import SimulatedBroker
from src.domain.errors import LiquidatedError, OrderOutcomeUnknownError
from src.domain.market import Bar, Contract, Mode
from src.domain.orders import Action, Order, OrderType, Trade
from src.runtime.clock import NS, to_nanoseconds
from src.trading.mistakes import Repeated
from src.trading.portfolio import Portfolio
from src.trading.trader import Trader
from tests.trading.conftest import MINUTE, OPEN
from tests.trading.test_trader import OnExit, Scripted, buy, plan

Market = Callable[..., SimulatedBroker]
LIMIT = OrderType.LIMIT


def test_a_strategy_that_raises_ends_its_session_in_good_order(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    """Its working order is cancelled, the summary is there, the traceback is in the log, and the failure is told."""
    broker = market(MSFT=[10, 11, 12, 13, 14])

    def script(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        if bar.close == 12:
            raise ZeroDivisionError("my own mistake")
        return [Order(bar.contract, Action.BUY, Decimal(5), OrderType.LIMIT, Decimal(1))] if bar.close == 10 else []

    trader = Trader(broker, Scripted(script), plan("MSFT"))
    summary = trader.run()
    assert isinstance(trader.failure, ZeroDivisionError)
    assert (summary.bars, summary.orders, summary.fills) == (2, 1, 0)
    assert broker.open_trades() == ()
    assert "my own mistake" in caplog.text
    assert "Traceback" in caplog.text


def test_a_strategy_written_with_yield_trades_what_it_yields(market: Market) -> None:
    """A generator can be read once only; the history's runs too, and is not sent."""
    broker = market(MSFT=[10, 11, 12, 13, 14])

    def script(bar: Bar, portfolio: Portfolio) -> Iterator[Order]:
        if bar.close == 11:
            yield buy(bar)
            yield buy(bar, 5)

    summary = Trader(broker, Scripted(script), plan("MSFT")).run()  # type: ignore[arg-type]  # that is the point
    assert (summary.orders, summary.fills) == (2, 2)


def test_a_generator_that_raises_halts_the_session(market: Market) -> None:
    """The mistake comes out only while it is read."""

    def script(bar: Bar, portfolio: Portfolio) -> Iterator[Order]:
        yield buy(bar)
        raise LookupError("my own mistake")

    strategy = Scripted(script)  # type: ignore[arg-type]  # that is the point
    trader = Trader(market(MSFT=[10, 11, 12]), strategy, plan("MSFT"))
    assert trader.run().orders == 0
    assert isinstance(trader.failure, LookupError)


@pytest.mark.parametrize("answer", [[1], 7, [Order(Contract("TSLA"), Action.BUY, Decimal(1))]])
def test_a_strategy_that_returns_what_is_no_order_of_the_session_is_halted(
    market: Market, caplog: pytest.LogCaptureFixture, answer: object
) -> None:
    """It is told what to return and what it did, without a traceback of ours."""
    strategy = Scripted(lambda _, __: answer)  # type: ignore[arg-type,return-value]  # that is the point
    trader = Trader(market(MSFT=[10, 11, 12]), strategy, plan("MSFT"))
    summary = trader.run()
    assert (summary.bars, summary.orders) == (0, 0)
    assert "must return orders for the session's contracts" in str(trader.failure)
    assert "Traceback" not in caplog.text
    assert "must return orders for the session's contracts" in caplog.text


def test_a_strategy_that_exits_ends_its_session_with_a_summary(market: Market) -> None:
    """It does not take the process with it."""

    def script(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        raise SystemExit(7)

    trader = Trader(market(MSFT=[10, 11, 12]), Scripted(script), plan("MSFT"))
    assert trader.run().orders == 0
    assert isinstance(trader.failure, SystemExit)


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_an_explanation_that_raises_costs_the_explanation_only(
    market: Market, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    """How much is logged never decides how a session trades; the mistake is told once."""

    class Speechless(Scripted):
        def explain(self) -> str:
            raise LookupError("no words")

    strategy = Speechless(lambda bar, _: [buy(bar)])
    with caplog.at_level(level):
        trader = Trader(market(MSFT=[10, 11, 12, 13]), strategy, plan("MSFT"))
        summary = trader.run()
    assert (summary.bars, summary.orders, trader.failure) == (4, 4, None)
    assert sum("no words" in message for message in caplog.messages) == 1


def test_whatever_fails_the_session_has_its_summary(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what no broker should raise; its working order is cancelled."""
    broker = market(MSFT=[10, 11, 12, 13])
    place = broker.place_order

    def broken(order: Order) -> Trade:
        place(order)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(broker, "place_order", broken)
    trader = Trader(broker, Scripted(lambda bar, _: [buy(bar)]), plan("MSFT"))
    assert trader.run().orders == 1
    assert isinstance(trader.failure, OSError)


def test_an_order_without_an_answer_is_named_as_such_at_the_end(
    market: Market, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody knows whether the venue has it: there is nothing to cancel it by."""
    broker = market(MSFT=[10, 11, 12, 13])

    def silent(order: Order) -> Trade:
        raise OrderOutcomeUnknownError("no answer in time")

    monkeypatch.setattr(broker, "place_order", silent)
    Trader(broker, Scripted(lambda bar, _: [buy(bar)]), plan("MSFT")).run()
    assert "order test-s1 could not be cancelled: the venue has never confirmed it" in caplog.text


def test_what_comes_many_times_is_said_a_few_times_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Fifty-seven liquidations are no fifty-seven lines."""
    repeated = Repeated(logging.getLogger("test"), "liquidations", 3)
    for number in range(57):
        repeated.warn("liquidated %d", number)
    assert caplog.messages == ["liquidated 0", "liquidated 1", "liquidated 2", "further liquidations are only counted"]
    assert repeated.count == 57


@pytest.mark.parametrize(("end", "works"), [("cancel", 0), ("keep", 1)])
def test_a_liquidation_of_real_money_halts_the_strategy(
    market: Market, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, end: OnExit, works: int
) -> None:
    """It is asked no more, the session ends as its end is set to, and the failure says what to do."""
    monkeypatch.setattr(SimulatedBroker, "mode", Mode.PAPER)
    broker = market({"initial_capital": Decimal(10_000)}, MSFT=[100, 100, 100, 55, 55, 55, 55], AAPL=[9] * 7)

    def script(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        if bar.end > first_bar:
            return ()
        order = buy(bar, 180 if bar.contract.symbol == "MSFT" else 1)
        return [order if bar.contract.symbol == "MSFT" else replace(order, limit_price=Decimal(1), order_type=LIMIT)]

    first_bar = to_nanoseconds(OPEN + MINUTE)
    strategy = Scripted(script)
    trader = Trader(broker, strategy, plan("MSFT", "AAPL", on_exit=end))
    trader.run()
    [liquidation] = [fill.execution for fill in broker.fills() if fill.execution.liquidation]
    assert isinstance(trader.failure, LiquidatedError)
    assert max(bar.end for bar in strategy.seen) <= liquidation.time + 60 * NS < first_bar + 6 * 60 * NS
    assert len(broker.open_trades()) == works
    assert caplog.text.count("the strategy is halted: IB has liquidated 180 MSFT for want of margin") == 1
