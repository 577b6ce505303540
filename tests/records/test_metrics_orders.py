"""Orders counted by what became of them: once each, in real seconds, and against the price they were decided on."""

from decimal import Decimal

import pytest

from src.domain.errors import (
    InvalidOrderError,
    NoMarketDataError,
    NotConnectedError,
    OrderOutcomeUnknownError,
    OrderRefusedError,
    OrderRejectedError,
)
from src.domain.market import Contract
from src.domain.orders import AccountId, Action, Execution, Fill, Order, OrderId, OrderStatus, OrderType, Trade
from src.records.metrics.histogram import Histogram
from src.records.metrics.labels import reconnect_reason, symbols_of
from src.records.metrics.orders import OrderCounts

MSFT = Contract("MSFT")


def order(action: Action = Action.BUY, symbol: str = "MSFT", ref: str = "test-1") -> Order:
    """An order as it leaves."""
    return Order(Contract(symbol), action, Decimal(100), order_ref=ref)


def trade(status: OrderStatus, ref: str = "test-1", code: int | None = None, reason: str = "") -> Trade:
    """Its state."""
    filled = Decimal(100) if status is OrderStatus.FILLED else Decimal(0)
    return Trade(OrderId(7), order(ref=ref), status, filled, 100 - filled, Decimal(0), 0, code=code, reason=reason)


def fill(price: str, action: Action = Action.BUY, exec_id: str = "1", ref: str = "test-1") -> Fill:
    """An execution of it."""
    shares, price_paid = Decimal(100), Decimal(price)
    account = AccountId("SIM0001")
    return Fill(Execution(exec_id, OrderId(7), MSFT, account, action, shares, price_paid, 0, shares, price_paid, ref))


@pytest.fixture
def counts() -> OrderCounts:
    """Of a session on one symbol."""
    return OrderCounts(symbols_of(["MSFT"]))


def statuses(counts: OrderCounts) -> dict[str, int]:
    """What was counted of purchases at market of MSFT."""
    return {key[3]: count for key, count in counts.by_status.items() if count and key[:3] == ("MSFT", "BUY", "MKT")}


def test_each_status_of_an_order_counts_once_however_often_it_is_told(counts: OrderCounts) -> None:
    """TWS repeats itself."""
    counts.sent(order(), 0.0, 10.0)
    counts.answered(order(), trade(OrderStatus.SUBMITTED), 0.1)
    for status in (OrderStatus.SUBMITTED, OrderStatus.SUBMITTED, OrderStatus.FILLED, OrderStatus.FILLED):
        counts.changed(trade(status), 1.0)
    assert statuses(counts) == {"PendingSubmit": 1, "Submitted": 1, "Filled": 1}


def test_an_order_that_this_session_did_not_send_is_not_counted(counts: OrderCounts) -> None:
    """A person's, or another program's."""
    counts.changed(trade(OrderStatus.FILLED, ref="other-1"), 1.0)
    counts.filled(fill("10", ref="other-1"))
    assert not any(counts.by_status.values())
    assert counts.slippage_bps.cumulative()[-1][1] == 0


def test_a_rejection_counts_once_with_its_class_whichever_way_it_is_told(counts: OrderCounts) -> None:
    """By the error and by the status, in either order."""
    text = "Order rejected - reason: not enough margin"
    counts.sent(order(), 0.0, 10.0)
    counts.answered(order(), OrderRejectedError(text, code=201), 0.02)
    counts.changed(trade(OrderStatus.INACTIVE, code=201, reason=text), 0.03)
    counts.sent(order(ref="test-2"), 0.0, 10.0)
    counts.changed(trade(OrderStatus.INACTIVE, "test-2", code=110), 0.03)
    counts.answered(order(ref="test-2"), OrderRejectedError("off the tick", code=110), 0.04)
    assert {name: count for name, count in counts.rejects.items() if count} == {"margin": 1, "tick": 1}
    assert statuses(counts) == {"PendingSubmit": 2, "Inactive": 2}


def test_what_was_refused_here_or_is_unknown_is_no_rejection(counts: OrderCounts) -> None:
    """Three endings that differ."""
    for number, error in enumerate((OrderRefusedError("too large"), OrderOutcomeUnknownError("no answer")), 1):
        counts.sent(order(ref=f"test-{number}"), 0.0, 10.0)
        counts.answered(order(ref=f"test-{number}"), error, 5.0)
    assert statuses(counts) == {"PendingSubmit": 1, "Refused": 1, "Unknown": 1}
    assert not any(counts.rejects.values())
    assert counts.ack_seconds.cumulative()[-1][1] == 0  # the venue has not answered
    counts.sent(order(ref="test-3"), 0.0, 10.0)
    counts.answered(order(ref="test-3"), InvalidOrderError("off the tick", code=110), 0.0)
    assert counts.rejects["tick"] == 1


def test_an_order_that_could_not_be_sent_has_not_left_and_is_not_unknown(counts: OrderCounts) -> None:
    """While TWS is away nothing leaves, and of nothing is the outcome in doubt."""
    for number, error in enumerate((NotConnectedError("away"), NoMarketDataError("no price")), 1):
        counts.sent(order(ref=f"test-{number}"), 0.0, 10.0)
        counts.answered(order(ref=f"test-{number}"), error, 0.1)
    assert statuses(counts) == {"NotSent": 2}


def test_the_times_to_the_answer_and_to_the_last_fill_are_those_of_the_clock(counts: OrderCounts) -> None:
    """Sent at 100, answered at 100.3, filled at 107."""
    counts.sent(order(), 100.0, 10.0)
    counts.answered(order(), trade(OrderStatus.SUBMITTED), 100.3)
    counts.changed(trade(OrderStatus.FILLED), 107.0)
    assert counts.ack_seconds.total == pytest.approx(0.3)
    assert counts.fill_seconds.total == pytest.approx(7.0)
    buckets = dict(counts.ack_seconds.cumulative())
    assert (buckets["0.25"], buckets["0.5"], buckets["+Inf"]) == (0, 1, 1)


def test_slippage_is_above_zero_when_the_fill_is_worse_on_either_side(counts: OrderCounts) -> None:
    """Ten cents on a hundred dollars are ten hundredths of a percent."""
    counts.sent(order(), 0.0, 100.0)
    counts.filled(fill("100.10"))
    counts.filled(fill("100.10"))  # told twice
    assert counts.slippage_bps.total == pytest.approx(10.0)
    counts.sent(order(Action.SELL, ref="test-2"), 0.0, 100.0)
    counts.filled(fill("100.10", Action.SELL, "2", "test-2"))
    assert counts.slippage_bps.total == pytest.approx(0.0)
    assert dict(counts.slippage_bps.cumulative())["0.0"] == 1  # the sale was better
    counts.sent(order(ref="test-3"), 0.0, None)  # before any price there is nothing to compare with
    counts.filled(fill("100.10", exec_id="3", ref="test-3"))
    assert counts.slippage_bps.cumulative()[-1][1] == 2


def test_a_symbol_without_series_of_its_own_counts_as_other(counts: OrderCounts) -> None:
    """No order can make a new series."""
    before = set(counts.by_status)
    counts.sent(order(symbol="AAPL"), 0.0, 10.0)
    counts.answered(order(symbol="AAPL"), OrderRefusedError("too large"), 0.1)
    assert set(counts.by_status) == before
    assert counts.by_status["other", "BUY", "MKT", "Refused"] == 1
    assert len(symbols_of(f"S{number}" for number in range(1000))) == 51


def test_every_combination_is_there_from_the_start(counts: OrderCounts) -> None:
    """So that the first count of each is a rise, which a rate sees."""
    assert set(counts.by_status.values()) == {0}
    assert {key[2] for key in counts.by_status} == {kind.value for kind in OrderType}
    assert {key[3] for key in counts.by_status} >= {status.value for status in OrderStatus}


def test_a_histogram_counts_a_value_on_a_bound_below_it() -> None:
    """`le` means at most."""
    histogram = Histogram((1.0, 2.0))
    for value in (1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)
    assert histogram.cumulative() == [("1.0", 1), ("2.0", 3), ("+Inf", 4)]
    assert histogram.total == 13.5


def test_what_was_lost_is_told_by_its_words() -> None:
    """TWS's own link has a code; the socket has not."""
    assert reconnect_reason("1100 Connectivity between IB and TWS has been lost") == "link"
    assert reconnect_reason("TWS has closed the connection") == "socket"
    assert reconnect_reason("this computer stood still for 7200 s") == "sleep"
