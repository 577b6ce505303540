"""A session whose connection is lost goes on, sends nothing meanwhile, and says at its end when it never came back."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from src.brokers.simulated import SimulatedBroker
from src.domain.errors import ConnectionLostError, NotConnectedError, OrderOutcomeUnknownError
from src.domain.events import BarsMissed, ConnectionChanged, Event
from src.domain.market import Bar, Contract, Mode
from src.domain.orders import Order, OrderId, Trade
from src.runtime.bridge import EventStream
from src.trading.observer import Observer
from src.trading.portfolio import Portfolio
from src.trading.trader import Trader
from tests.trading.test_trader import Scripted, at_bar, buy, nothing, plan

Market = Callable[..., SimulatedBroker]


class Shaky:
    """A broker whose connection changes as a test says: before the bar of this number, there or not."""

    def __init__(
        self,
        inner: SimulatedBroker,
        changes: dict[int, bool],
        error: Exception | None = None,
        missed: Bar | None = None,
    ) -> None:
        self._inner, self._changes, self._error, self._missed = inner, changes, error, missed
        self._count, self.placed = 0, list[Order]()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # all else is the broker's own
        return getattr(self._inner, name)

    def events(self, *contracts: Any, bars: Any = None) -> EventStream:  # noqa: ANN401
        """The broker's events, with the changes among them."""
        stream = self._inner.events(*contracts, bars=bars)
        following = stream.next

        def next_event(timeout: float | None = None) -> Event | None:
            if self._count in self._changes:
                connected = self._changes.pop(self._count)
                return ConnectionChanged(Mode.PAPER, connected, "" if connected else "reset by peer")
            if not self._changes and self._missed is not None:
                missed, self._missed = self._missed, None
                return BarsMissed((missed,))
            self._count += 1
            return following(timeout)

        stream.next = next_event  # type: ignore[method-assign]
        return stream

    def place_order(self, order: Order) -> Trade:
        """Fail as the test says, else place it."""
        self.placed.append(order)
        if self._error is not None:
            raise self._error
        return self._inner.place_order(order)


class Steps(Observer):
    """When the strategy is asked, and when it has answered."""

    def __init__(self) -> None:
        self.steps = list[str]()

    def deciding(self, bars: Sequence[Bar]) -> None:
        """Keep that."""
        self.steps.append("deciding" if bars else "deciding on nothing")

    def bars(self, bars: Sequence[Bar], equity: float) -> None:
        """Keep that too."""
        self.steps.append("decided on" if bars and equity else "decided on nothing")


def test_a_connection_that_comes_back_takes_nothing_from_the_session(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    """Every bar is seen, and the session ends well. That it was lost is the broker's to say, who has noticed."""
    strategy = Scripted(nothing)
    trader = Trader(Shaky(market(MSFT=[10, 11, 12, 13]), {1: False, 2: True}), strategy, plan("MSFT"))
    assert trader.run().bars == len(strategy.seen) == 4
    assert trader.failure is None
    assert [each.getMessage() for each in caplog.records if "connection" in each.getMessage()] == [
        "the connection is back"
    ]


def test_bars_that_were_missed_are_seen_and_nothing_is_sent_for_them(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    """The market has gone on since: an order of then is not an order of now."""
    inner = market(MSFT=[10, 11, 12, 13])
    contract = inner.qualify(Contract("MSFT"))
    missed = Bar(contract, 0, 2**62, 10.0, 10.0, 10.0, 10.0, 1.0)
    strategy = Scripted(lambda bar, _: [buy(bar)] if bar.end == missed.end else [])
    broker = Shaky(inner, {1: False, 2: True}, missed=missed)
    watching = Steps()
    trader = Trader(broker, strategy, plan("MSFT"), [watching])
    assert trader.run().bars == 5
    assert missed in strategy.seen
    assert watching.steps == ["deciding", "decided on"] * 5  # or a decision would take as long as the outage
    assert broker.placed == []
    assert "not sent: the strategy wanted it at a bar of" in caplog.text


def test_a_session_that_ends_without_its_connection_has_failed(market: Market) -> None:
    """Whoever starts it by a timer learns of it by the exit code."""
    trader = Trader(Shaky(market(MSFT=[10, 11, 12]), {2: False}), Scripted(nothing), plan("MSFT"))
    trader.run()
    assert isinstance(trader.failure, ConnectionLostError)
    assert "reset by peer" in str(trader.failure)


def test_an_order_without_a_connection_is_counted_and_the_session_goes_on(market: Market) -> None:
    """Nothing was sent: the strategy may ask again."""
    broker = Shaky(market(MSFT=[10, 11, 12, 13]), {}, NotConnectedError("nothing was sent"))
    strategy = Scripted(at_bar(2, buy))
    trader = Trader(broker, strategy, plan("MSFT"))
    summary = trader.run()
    assert (summary.bars, trader.rejected, trader.failure) == (4, 1, None)
    assert trader.portfolio.working == ()


@pytest.mark.parametrize("fills", [True, False])
def test_an_order_whose_outcome_is_unknown_counts_as_working_until_events_tell(market: Market, fills: bool) -> None:
    """It is sent once, blocks what would be a second one, and its fill is booked when it is heard of."""
    inner = market(MSFT=[10, 11, 12, 13, 14])

    class Silent(Shaky):
        """The order arrives, and its answer does not; or it never arrives."""

        def place_order(self, order: Order) -> Trade:
            self.placed.append(order)
            if fills:
                self._inner.place_order(order)
            raise OrderOutcomeUnknownError("no answer in time")

    def wants_to_be_long(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        contract = bar.contract
        return [] if portfolio.position(contract) or portfolio.is_working(contract) else [buy(bar)]

    broker = Silent(inner, {})
    trader = Trader(broker, Scripted(wants_to_be_long), plan("MSFT"))
    summary = trader.run()
    assert len(broker.placed) == 1
    assert trader.failure is None
    assert (summary.orders, summary.fills) == (1, int(fills))
    assert trader.portfolio.positions == ({"MSFT": Decimal(100)} if fills else {})
    assert inner.trade(OrderId(1)).is_done if fills else not inner.completed_trades()
