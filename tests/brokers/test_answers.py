"""From facts to plain dicts: numbers are numbers, unknown is None, and all of it is JSON."""

import json
from decimal import Decimal
from math import inf, nan

import pytest

from src.brokers import answers
from src.brokers.broker import BrokerHealth
from src.brokers.findings import Finding, Outcome
from src.domain.account import Position
from src.domain.errors import BrokerError, OrderOutcomeUnknownError, OrderRefusedError, OrderRejectedError
from src.domain.market import Bar, Contract, Mode, Quote, Source
from src.domain.orders import (
    AccountId,
    Action,
    CommissionReport,
    Execution,
    Fill,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    Trade,
)

NVDA = Contract("NVDA", con_id=1)
MSFT = Contract("MSFT", con_id=2)
ACCOUNT = AccountId("SIM0001")
MOMENT = 1_549_895_400_000_000_000  # 2019-02-11 14:30 UTC


def order(**fields: object) -> Order:
    return Order(NVDA, Action.BUY, Decimal(5), account=ACCOUNT, **fields)  # type: ignore[arg-type]


def trade(status: OrderStatus, filled: int = 0, reason: str = "") -> Trade:
    price = Decimal("485.5") if filled else Decimal(0)
    return Trade(OrderId(7), order(), status, Decimal(filled), Decimal(5 - filled), price, MOMENT, reason=reason)


def quote(bid: float, ask: float, last: float) -> Quote:
    return Quote(NVDA, MOMENT, bid, ask, 100.0, 200.0, last, Source.SIMULATED)


def position(contract: Contract, quantity: str) -> Position:
    held = Decimal(quantity)
    return Position(
        contract, ACCOUNT, held, Decimal("485.25"), Decimal(486), held * 486, Decimal("3.75"), Decimal("-1.5")
    )


def test_an_order_answer_has_exactly_the_keys_of_the_facade() -> None:
    """The names are fixed."""
    answer = answers.order_answer(trade(OrderStatus.FILLED, filled=5), Mode.SIMULATED)
    assert answer == {
        "order_id": 7,
        "status": "Filled",
        "filled": 5,
        "remaining": 0,
        "avg_fill_price": 485.5,
        "symbol": "NVDA",
        "action": "BUY",
        "quantity": 5,
        "order_type": "MKT",
        "reason": "",
        "mode": "simulated",
    }
    assert [type(answer[key]) for key in ("filled", "quantity", "avg_fill_price")] == [int, int, float]


@pytest.mark.parametrize("status", list(OrderStatus))
def test_a_status_is_tws_s_own_but_for_the_rejected(status: OrderStatus) -> None:
    """TWS calls a rejected order Inactive, which tells a person nothing."""
    said = answers.order_answer(trade(status, reason="why"), Mode.PAPER)["status"]
    assert said == ("Rejected" if status is OrderStatus.INACTIVE else status.value)


@pytest.mark.parametrize(
    ("error", "status", "reason", "order_id"),
    [
        (OrderRejectedError("201: margin", reason="margin", order_id=9), "Rejected", "margin", 9),
        (OrderRefusedError("too large", reason="limit of 500"), "Refused", "limit of 500", None),
        (OrderOutcomeUnknownError("no answer in 5 s"), "Unknown", "no answer in 5 s", None),
    ],
)
def test_an_order_that_came_back_as_an_error_says_which(
    error: BrokerError, status: str, reason: str, order_id: int | None
) -> None:
    """Rejected by the venue, refused by us, or unknown; nothing of it filled as far as we know."""
    answer = answers.unplaced_answer(order(order_type=OrderType.LIMIT, limit_price=Decimal(480)), error, Mode.PAPER)
    assert (answer["status"], answer["reason"], answer["order_id"]) == (status, reason, order_id)
    assert (answer["filled"], answer["remaining"], answer["order_type"]) == (0, 5, "LMT")


def test_every_supported_symbol_has_a_position_and_so_has_whatever_else_is_held() -> None:
    """`positions['NVDA']['position']` works for who is flat, and a stranger's shares are not hidden."""
    held = answers.positions_answer(["NVDA", "MSFT"], [position(MSFT, "10"), position(Contract("AAPL"), "-3")])
    assert {symbol: each["position"] for symbol, each in held.items()} == {"NVDA": 0, "MSFT": 10, "AAPL": -3}
    assert held["NVDA"]["market_price"] is None
    assert held["MSFT"] == {
        "position": 10,
        "average_cost": 485.25,
        "market_price": 486.0,
        "market_value": 4860.0,
        "unrealized_pnl": 3.75,
        "realized_pnl": -1.5,
    }


def test_a_position_closed_today_keeps_what_it_realized() -> None:
    """Flat is not forgotten."""
    closed = answers.positions_answer(["NVDA"], [position(NVDA, "0")])["NVDA"]
    assert (closed["position"], closed["market_price"], closed["realized_pnl"]) == (0, None, -1.5)


def test_positions_that_have_not_changed_are_answered_alike_and_to_each_his_own() -> None:
    """What one caller does to his answer is nobody else's; a position, or a symbol, that changes is shown."""
    answer, held, symbols = answers.PositionAnswers(), (position(MSFT, "10"),), ["NVDA"]
    first = answer(symbols, held)
    first["MSFT"]["position"] = 99
    first.pop("NVDA")
    assert answer(symbols, held) == answers.positions_answer(symbols, held)
    symbols.append("AAPL")
    assert answer(symbols, held).keys() == {"NVDA", "AAPL", "MSFT"}
    assert answer(symbols, (position(MSFT, "4"),))["MSFT"]["position"] == 4


def test_whole_shares_are_ints_and_parts_of_one_are_not_lost() -> None:
    """A fractional position from elsewhere is shown as it is."""
    assert answers.count_of(Decimal("5.000")) == 5
    assert isinstance(answers.count_of(Decimal("5.000")), int)
    assert answers.count_of(Decimal("0.5")) == 0.5


def test_no_money_is_minus_zero() -> None:
    """-0.0 prints as a loss."""
    assert str(answers.money(Decimal("-0.00"))) == "0.0"


@pytest.mark.parametrize(
    ("bid", "ask", "last", "price"),
    [
        (485.0, 485.5, 485.25, 485.25),
        (485.0, 485.5, 485.0, 485.0),
        (485.0, 485.5, 490.0, 485.25),
        (485.0, 485.5, nan, 485.25),
        (485.0, 485.5, 0.0, 485.25),
        (485.5, 485.0, 485.25, 485.25),
        (nan, 485.5, 485.2, 485.2),
        (-1.0, -1.0, 485.2, 485.2),
        (nan, nan, nan, None),
        (0.0, 0.0, 0.0, None),
        (-1.0, -1.0, -1.0, None),
        (inf, inf, inf, None),
    ],
)
def test_the_price_is_last_inside_the_spread_else_the_middle_and_never_nonsense(
    bid: float, ask: float, last: float, price: float | None
) -> None:
    """0, -1, NaN and infinity are how wires say "none"."""
    assert answers.current_price(quote(bid, ask, last)) == price


def test_a_quote_without_a_side_is_still_json() -> None:
    """NaN is none of JSON's numbers: what nobody quotes is None."""
    answer = answers.quote_answer(quote(nan, 485.5, nan), MOMENT + 1_500_000_000, Mode.SIMULATED)
    json.dumps(answer, allow_nan=False)
    assert (answer["bid"], answer["ask"], answer["last"]) == (None, 485.5, None)
    assert (answer["age_seconds"], answer["source"], answer["time"]) == (1.5, "simulated", "2019-02-11T14:30:00Z")


def test_a_quote_is_never_younger_than_now() -> None:
    """A clock that lags behind the venue's makes no negative age."""
    assert answers.quote_answer(quote(1.0, 2.0, 1.5), MOMENT - 1, Mode.PAPER)["age_seconds"] == 0


def test_bars_become_columns_of_one_length() -> None:
    """Times are the bars' starts."""
    minute = 60 * 10**9
    bars = tuple(
        Bar(NVDA, MOMENT + i * minute, MOMENT + (i + 1) * minute, 1.0, 3.0, 0.5, 2.0 + i, 10.0) for i in range(2)
    )
    columns = answers.bars_answer(bars)
    assert columns["time"] == ["2019-02-11T14:30:00Z", "2019-02-11T14:31:00Z"]
    assert columns["close"] == [2.0, 3.0]
    assert {len(column) for column in columns.values()} == {2}  # type: ignore[arg-type]


def test_a_fill_tells_its_cost_once_that_is_known() -> None:
    """The commission report comes later than the execution; until then it is unknown, not zero."""
    execution = Execution(
        "e1", OrderId(7), NVDA, ACCOUNT, Action.BUY, Decimal(5), Decimal("485.5"), MOMENT, Decimal(5), Decimal("485.5")
    )
    early = answers.fill_answer(Fill(execution), Mode.SIMULATED)
    assert (early["commission"], early["realized_pnl"], early["quantity"], early["price"]) == (None, None, 5, 485.5)
    report = CommissionReport("e1", Decimal(1), None)
    assert answers.fill_answer(Fill(execution, report), Mode.SIMULATED)["commission"] == 1.0


def test_health_is_json_whether_or_not_there_is_a_broker() -> None:
    """The same keys before the connection and after."""
    tried = [Finding("127.0.0.1", 7497, Outcome.FILTERED)]
    before = answers.no_health_answer(("127.0.0.1", 7497, 0), tried, "nothing answered")
    broker = BrokerHealth(Mode.SIMULATED, True, None, None, 0, None, None, (ACCOUNT,), "simulated", None, 0, 0)
    after = answers.health_answer(broker, 3, (tried, "filtered"), None)
    assert json.loads(json.dumps(before, allow_nan=False)) == before
    assert json.loads(json.dumps(after, allow_nan=False)) == after
    assert list(before) == list(after)
    assert before["attempts"] == [{"host": "127.0.0.1", "port": 7497, "outcome": "filtered"}]
    assert (before["client_id"], after["client_id"], after["accounts"]) == (0, 3, ["SIM0001"])


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Order Canceled - reason:", ""),
        ("Order Canceled - reason: ", ""),
        ("Order Canceled - reason:the DAY order expired", "Order Canceled - reason:the DAY order expired"),
        ("", ""),
    ],
)
def test_a_reason_that_gives_none_is_not_shown(said: str, shown: str) -> None:
    """TWS's text for a plain cancel ends where its reason would stand."""
    assert answers.order_answer(trade(OrderStatus.CANCELLED, reason=said), Mode.PAPER)["reason"] == shown
