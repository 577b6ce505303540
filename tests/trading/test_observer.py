"""Who watches a session sees all of it, and can neither end it nor hold it up."""

import logging
from collections.abc import Callable, Sequence

import pytest

from src.brokers.simulated import SimulatedBroker
from src.domain.errors import BrokerError, OrderRejectedError
from src.domain.events import Event, Filled
from src.domain.market import Bar
from src.domain.orders import Order, Trade
from src.trading.observer import Observer
from src.trading.trader import Trader
from tests.trading.test_trader import Scripted, at_bar, buy, plan

Market = Callable[..., SimulatedBroker]


class Diary(Observer):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.curve: list[tuple[int, float]] = []
        self.orders: list[str] = []
        self.end: list[BaseException | None] = []
        self.answers: list[Trade | BrokerError] = []
        self.steps: list[str] = []

    def deciding(self, bars: Sequence[Bar]) -> None:
        """Keep on what."""
        self.steps.append(f"decides at {bars[0].close:g}")

    def decided(self, orders: Sequence[Order]) -> None:
        """Keep how many."""
        self.steps.append(f"wants {len(orders)}")

    def answered(self, order: Order, answer: Trade | BrokerError) -> None:
        """Keep it."""
        self.steps.append(f"answered {order.order_ref}")
        self.answers.append(answer)

    def heard(self, event: Event) -> None:
        """Keep it."""
        self.events.append(event)

    def bars(self, bars: Sequence[Bar], equity: float) -> None:
        """Keep the point."""
        self.curve.append((len(bars), equity))

    def sent(self, order: Order) -> None:
        """Keep its reference."""
        self.orders.append(f"sent {order.order_ref}")

    def refused(self, order: Order, reason: str) -> None:
        """Keep that it was."""
        self.orders.append(f"refused {order.order_ref}: {reason}")

    def ended(self, failure: BaseException | None) -> None:
        """Keep how."""
        self.end.append(failure)


def test_an_observer_sees_the_order_its_fill_the_curve_and_the_end(market: Market) -> None:
    """Bought 100 at 11 for a dollar; the account was worth 100,000 before."""
    diary = Diary()
    Trader(market(MSFT=[10, 11, 12, 13, 14]), Scripted(at_bar(2, buy)), plan("MSFT"), [diary]).run()
    assert diary.orders == ["sent test-s1"]
    assert [event.fill.execution.order_ref for event in diary.events if isinstance(event, Filled)] == ["test-s1"]
    assert diary.curve == [(1, 100_000), (1, 100_000), (1, 100_099), (1, 100_199), (1, 100_299)]
    assert diary.end == [None]
    steps = ["decides at 10", "decides at 11", "wants 1", "answered test-s1"]
    assert diary.steps == [*steps, "decides at 12", "decides at 13", "decides at 14"]
    [trade] = diary.answers
    assert isinstance(trade, Trade)


def test_an_order_that_is_not_accepted_is_told_with_its_reason(market: Market) -> None:
    """Ten thousand dollars' worth is not to be had for a hundred."""
    diary = Diary()
    broker = market({"initial_capital": "100"}, MSFT=[10, 10, 10])
    Trader(broker, Scripted(at_bar(1, lambda bar: buy(bar, 1000))), plan("MSFT"), [diary]).run()
    assert diary.orders[0] == "sent test-s1"
    assert diary.orders[1].startswith("refused test-s1: ")
    [error] = diary.answers
    assert isinstance(error, OrderRejectedError)


def test_an_observer_that_fails_is_left_out_and_the_session_goes_on(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of once; the other one sees everything."""

    class Broken(Observer):
        """Fails at the first bar."""

        def bars(self, bars: Sequence[Bar], equity: float) -> None:
            """Fail."""
            del bars, equity
            raise ZeroDivisionError("the screen is gone")

    diary = Diary()
    with caplog.at_level(logging.ERROR):
        trader = Trader(market(MSFT=[10, 11, 12]), Scripted(at_bar(9, buy)), plan("MSFT"), [Broken(), diary])
        trader.run()
    assert trader.failure is None
    assert len(diary.curve) == 3
    assert caplog.text.count("Broken failed and watches no longer") == 1
