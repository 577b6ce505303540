"""Who watches a session sees all of it, and can neither end it nor hold it up."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from src.brokers.simulated import SimulatedBroker
from src.domain.errors import BrokerError, OrderRejectedError
from src.domain.events import Event, Filled, QuoteChanged
from src.domain.market import Bar, Contract, Quote, Source
from src.domain.orders import Order, Trade
from src.runtime.bridge import EventStream
from src.runtime.clock import NS
from src.trading.observer import Observer
from src.trading.trader import Trader
from tests.trading.test_trader import Scripted, at_bar, buy, nothing, plan

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


class Ticking:
    """A broker of quotes that leave no pause and never end; a minute of its market passes with each."""

    def __init__(self, inner: SimulatedBroker) -> None:
        self._inner, self._began = inner, inner.now()
        self.quotes = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all else is the broker's own
        return getattr(self._inner, name)

    def now(self) -> int:
        """The market's time."""
        return self._began + self.quotes * 60 * NS

    def events(self, *contracts: Any, bars: Any = None) -> EventStream:  # noqa: ANN401
        """Nothing but quotes."""
        stream = self._inner.events(*contracts, bars=bars)

        def next_event(timeout: float | None = None) -> Event:
            del timeout
            self.quotes += 1
            moment, price = self.now(), float(self.quotes)
            return QuoteChanged(Quote(Contract("MSFT"), moment, price, price, 1, 1, price, Source.SIMULATED))

        stream.next = next_event  # type: ignore[method-assign]
        return stream


class Quotes(Observer):
    """Counts quotes and pauses."""

    def __init__(self) -> None:
        self.quotes, self.pauses = list[float](), 0

    def quoted(self, quote: Quote) -> None:
        """Keep its price."""
        self.quotes.append(quote.last)

    def idle(self) -> None:
        """Count it."""
        self.pauses += 1


def test_a_session_whose_quotes_leave_no_pause_ends_on_time_and_its_observers_have_theirs(market: Market) -> None:
    """A thin market quotes without a trade for hours, and makes no bar that would end it."""
    broker, seen, diary = Ticking(market(MSFT=[10, 11])), Quotes(), Diary()
    Trader(broker, Scripted(nothing), replace(plan("MSFT"), duration=5), [seen, diary]).run()
    assert seen.quotes == list(range(1, broker.quotes + 1))
    assert seen.pauses >= 1
    assert diary.events == []  # a quote costs nobody anything who did not ask for quotes


def test_an_observer_that_fails_at_a_quote_is_told_of_no_other(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    """The one beside it is."""

    class Broken(Observer):
        """Fails at the first quote."""

        def quoted(self, quote: Quote) -> None:
            """Fail."""
            raise ZeroDivisionError(str(quote.last))

    broker, seen = Ticking(market(MSFT=[10, 11])), Quotes()
    with caplog.at_level(logging.ERROR):
        Trader(broker, Scripted(nothing), replace(plan("MSFT"), duration=5), [Broken(), seen]).run()
    assert len(seen.quotes) == broker.quotes
    assert caplog.text.count("Broken failed and watches no longer") == 1
