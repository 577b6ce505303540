"""The facade's orders: what is returned, when, and what is left behind."""

import threading
from datetime import datetime
from decimal import Decimal
from time import monotonic

import pytest

from src.brokers.ib_gateway import IBGatewayClient
from src.domain.errors import (
    InvalidOrderError,
    UnknownOrderError,
)
from src.runtime.bridge import EventStream
from tests.brokers.conftest import nothing_was_sent

ORDER_KEYS = {
    "order_id", "status", "filled", "remaining", "avg_fill_price", "symbol", "action", "quantity", "order_type",
    "reason", "mode",
}  # fmt: skip


def test_a_market_order_comes_back_filled_and_is_a_position_at_once(client: IBGatewayClient) -> None:
    """After a `Filled` result, `get_positions()` includes it; the other symbol is there, too, and flat."""
    order = client.place_market_order("NVDA", 10, "BUY")
    assert set(order) == ORDER_KEYS
    assert (order["status"], order["filled"], order["remaining"]) == ("Filled", 10, 0)
    assert isinstance(order["order_id"], int)
    assert order["avg_fill_price"] > 0
    assert (order["mode"], order["order_type"], order["reason"]) == ("simulated", "MKT", "")
    positions = client.get_positions()
    assert (positions["NVDA"]["position"], positions["MSFT"]["position"]) == (10, 0)
    assert positions["NVDA"]["average_cost"] > order["avg_fill_price"]  # commission is part of it


def test_other_symbols_trade_too_and_show_when_held(client: IBGatewayClient) -> None:
    """The supported ones are those that are always listed, not those that may be traded."""
    assert "AAPL" not in client.get_positions()
    assert client.place_market_order("AAPL", 2, "BUY", wait=10)["status"] == "Filled"
    assert client.get_positions()["AAPL"]["position"] == 2


def test_fills_tell_price_cost_and_time(client: IBGatewayClient) -> None:
    """And can be asked for from a moment on."""
    order = client.place_market_order("NVDA", 10, "BUY")
    [fill] = client.get_fills()
    assert (fill["order_id"], fill["symbol"], fill["quantity"]) == (order["order_id"], "NVDA", 10)
    assert fill["price"] == order["avg_fill_price"]
    assert fill["commission"] is not None
    assert fill["commission"] >= 1
    moment = datetime.fromisoformat(fill["time"])
    assert client.get_fills(since=moment) == [fill]
    assert client.get_fills(since=moment.replace(year=2026)) == []


def test_a_limit_order_works_until_it_is_cancelled(client: IBGatewayClient) -> None:
    """True only when the cancel is confirmed, and then the order is Cancelled and not among the open ones."""
    order = client.place_limit_order("NVDA", 5, 50.00, "BUY")
    assert (order["status"], order["order_type"]) in {("Submitted", "LMT"), ("PreSubmitted", "LMT")}
    order_id = order["order_id"]
    assert order_id is not None
    assert [each["order_id"] for each in client.get_open_orders()] == [order_id]
    assert client.cancel_order(order_id) is True
    cancelled = client.get_order(order_id)
    assert (cancelled["status"], cancelled["reason"]) == ("Cancelled", "")
    assert client.get_open_orders() == []


def test_a_cancel_that_came_too_late_is_false(client: IBGatewayClient, caplog: pytest.LogCaptureFixture) -> None:
    """A filled order is not cancelled, and neither is one that never was; the log says why."""
    filled = client.place_market_order("NVDA", 5, "BUY")
    assert filled["order_id"] is not None
    assert client.cancel_order(filled["order_id"]) is False
    assert "Filled" in caplog.text
    assert client.cancel_order(999_999) is False
    assert "999999" in caplog.text


def test_cancelling_twice_is_still_cancelled(client: IBGatewayClient) -> None:
    """The second call finds the order as it should be."""
    order_id = client.place_limit_order("NVDA", 5, 50.00, "BUY")["order_id"]
    assert order_id is not None
    assert client.cancel_order(order_id) is True
    assert client.cancel_order(order_id) is True


def test_cancel_all_orders_says_what_became_of_each(client: IBGatewayClient) -> None:
    """Every working order of ours is cancelled; what was filled stays."""
    client.place_market_order("NVDA", 5, "BUY")
    client.place_limit_order("NVDA", 5, 50.00, "BUY")
    client.place_limit_order("MSFT", 5, 9_000.00, "SELL")
    cancelled = client.cancel_all_orders()
    assert [(each["symbol"], each["status"]) for each in cancelled] == [("NVDA", "Cancelled"), ("MSFT", "Cancelled")]
    assert client.get_open_orders() == []
    assert client.get_positions()["NVDA"]["position"] == 5
    assert client.cancel_all_orders() == []


def test_stop_orders_bear_ib_s_type_codes(client: IBGatewayClient) -> None:
    """STP and STP LMT, each with the prices it needs and no other."""
    stop = client.place_stop_order("NVDA", 5, 50.00, "SELL")
    stop_limit = client.place_stop_limit_order("NVDA", 5, 50.00, 49.50, "SELL")
    assert (stop["order_type"], stop_limit["order_type"]) == ("STP", "STP LMT")
    orders = {trade.order_id: trade.order for trade in client.broker.open_trades()}
    placed = [orders[each["order_id"]] for each in (stop, stop_limit)]  # type: ignore[index]
    assert [(order.stop_price, order.limit_price) for order in placed] == [
        (Decimal("50.0"), None),
        (Decimal("50.0"), Decimal("49.5")),
    ]


def test_a_bracket_is_entry_target_and_stop(client: IBGatewayClient) -> None:
    """In this order, and the exits close what the entry opens."""
    price = client.get_current_price("NVDA")
    entry, target, stop = client.place_bracket_order("NVDA", 5, "BUY", round(price * 2), round(price / 2))
    assert [each["action"] for each in (entry, target, stop)] == ["BUY", "SELL", "SELL"]
    assert [each["order_type"] for each in (entry, target, stop)] == ["MKT", "LMT", "STP"]
    assert entry["order_id"] is not None
    assert client.wait_for_order(entry["order_id"], 10)["status"] == "Filled"
    assert {each["order_id"] for each in client.get_open_orders()} == {target["order_id"], stop["order_id"]}


@pytest.mark.parametrize(
    ("take_profit", "stop_loss", "limit_price"),
    [(50.0, 200.0, None), (200.0, 150.0, 120.0), (200.005, 50.0, None), (200.0, None, None), (200.0, 50.0, True)],
)
def test_a_bracket_that_protects_nothing_is_not_sent(
    client: IBGatewayClient, take_profit: float, stop_loss: float, limit_price: float | None
) -> None:
    """Exits on the wrong sides, off the tick, or missing."""
    with pytest.raises(InvalidOrderError):
        client.place_bracket_order("NVDA", 5, "BUY", take_profit, stop_loss, limit_price)
    assert nothing_was_sent(client)


def test_close_position_sells_what_is_held_and_buys_back_what_is_short(client: IBGatewayClient) -> None:
    """Flat again, on both sides; and who is flat has nothing to close."""
    client.place_market_order("NVDA", 7, "BUY")
    client.place_market_order("MSFT", 3, "SELL")
    assert client.close_position("NVDA")["action"] == "SELL"
    assert client.close_position("MSFT")["action"] == "BUY"
    assert {symbol: each["position"] for symbol, each in client.get_positions().items()} == {"NVDA": 0, "MSFT": 0}
    with pytest.raises(InvalidOrderError, match="no position in NVDA"):
        client.close_position("NVDA")


def test_an_order_can_be_modified_while_it_works(client: IBGatewayClient) -> None:
    """The answer is the order as it then is."""
    order_id = client.place_limit_order("NVDA", 5, 50.00, "BUY")["order_id"]
    assert order_id is not None
    assert client.modify_order(order_id, quantity=8, price=49.50)["quantity"] == 8
    assert client.broker.trade(client.broker.open_trades()[0].order_id).order.limit_price == Decimal("49.5")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"quantity": 0},
        {"quantity": float("nan")},
        {"quantity": True},
        {"price": 49.505},
        {"price": -1},
        {"price": "cheap"},
        {"stop_price": 40.0},
    ],
)
def test_a_malformed_change_is_not_sent(client: IBGatewayClient, change: dict[str, float]) -> None:
    """A limit order has no stop price to change, either; the order stays as it was."""
    order_id = client.place_limit_order("NVDA", 5, 50.00, "BUY")["order_id"]
    assert order_id is not None
    with pytest.raises(InvalidOrderError):
        client.modify_order(order_id, **change)
    order = client.broker.open_trades()[0].order
    assert (order.quantity, order.limit_price) == (Decimal(5), Decimal("50.0"))


def test_a_change_that_the_venue_rejects_leaves_the_order(client: IBGatewayClient) -> None:
    """Returned as Rejected with the reason, never raised."""
    order_id = client.place_limit_order("NVDA", 5, 50.00, "BUY")["order_id"]
    assert order_id is not None
    answer = client.modify_order(order_id, quantity=999_999)
    assert answer["status"] == "Rejected"
    assert answer["reason"]
    assert answer["order_id"] == order_id
    assert client.get_open_orders()[0]["quantity"] == 5


def test_a_rejection_is_returned_with_its_reason(client: IBGatewayClient) -> None:
    """More than the account can pay for; nothing is raised, nothing works, nothing is held."""
    order = client.place_market_order("NVDA", 100_000, "BUY")
    assert (order["status"], order["filled"], order["remaining"]) == ("Rejected", 0, 100_000)
    assert "insufficient" in order["reason"]
    assert client.get_open_orders() == []
    assert order["order_id"] is not None
    assert client.get_order(order["order_id"])["status"] == "Rejected"


def test_a_rejected_bracket_is_three_rejections(client: IBGatewayClient) -> None:
    """Its exits came to no order of their own."""
    legs = client.place_bracket_order("NVDA", 100_000, "BUY", 1_000.0, 1.0)
    assert [leg["status"] for leg in legs] == ["Rejected"] * 3
    assert [leg["order_id"] is None for leg in legs] == [False, True, True]
    assert client.get_open_orders() == []


def test_a_closed_market_holds_the_order_and_says_so_after_the_wait(on_saturday: IBGatewayClient) -> None:
    """PreSubmitted with the venue's word, not a moment before the wait is over, and no later than needed."""
    begun = monotonic()
    order = on_saturday.place_market_order("NVDA", 5, "BUY", wait=0.2)
    assert 0.2 <= monotonic() - begun < 10
    assert (order["status"], order["filled"]) == ("PreSubmitted", 0)
    assert "next open" in order["reason"]


def test_wait_zero_returns_on_acknowledgement(on_saturday: IBGatewayClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, whatever becomes of the order: by default it is waited for."""
    monkeypatch.setattr(EventStream, "next", lambda *_: pytest.fail("it was waited for"))
    order = on_saturday.place_market_order("NVDA", 5, "BUY", wait=0)
    assert order["status"] == "PreSubmitted"


def test_waiting_for_an_order_ends_with_it_or_with_the_time(client: IBGatewayClient) -> None:
    """A filled one at once, a working one after the timeout, an unknown one never begins."""
    filled = client.place_market_order("NVDA", 5, "BUY")["order_id"]
    working = client.place_limit_order("NVDA", 5, 50.00, "BUY")["order_id"]
    assert filled is not None
    assert working is not None
    begun = monotonic()
    assert client.wait_for_order(filled, 60)["status"] == "Filled"
    assert client.wait_for_order(working, 0.2)["status"] == "Submitted"
    assert 0.2 <= monotonic() - begun < 30
    with pytest.raises(UnknownOrderError):
        client.wait_for_order(999_999, 60)


def test_waiting_ends_when_another_thread_cancels(client: IBGatewayClient) -> None:
    """The event ends it, not the timeout."""
    order_id = client.place_limit_order("NVDA", 5, 50.00, "BUY")["order_id"]
    assert order_id is not None
    begun = monotonic()
    other = threading.Timer(0.1, client.cancel_order, [order_id])
    other.start()
    assert client.wait_for_order(order_id, 60)["status"] == "Cancelled"
    assert monotonic() - begun < 30
    other.join()
