# ruff: noqa: ANN401
# mypy: disable-error-code=comparison-overlap
# A Decimal equals an int, and an empty tuple every other.
"""The library's objects and our facts; what means "no value" goes no further."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from src.brokers.tws import convert
from src.brokers.tws.accounts import source_of, summary_from
from src.domain.errors import InvalidOrderError, NotSynchronisedError
from src.domain.market import Contract, Mode, Source
from src.domain.orders import AccountId, Action, Order, OrderId, OrderStatus, OrderType, TimeInForce

NVDA = Contract("NVDA", primary_exchange="NASDAQ", con_id=4815747)
UNSET = 1.7976931348623157e308


@pytest.mark.parametrize(
    "nothing",
    [None, "", " ", math.nan, math.inf, -math.inf, UNSET, -UNSET, 1e100, "1.7976931348623157E308", True, "N/A"],
)
def test_no_value_is_none(nothing: object) -> None:
    assert convert.number(nothing) is None
    assert convert.money(nothing) == 0
    assert convert.price(nothing) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (106.075, "106.075"),
        ("120.60", "120.6"),
        (100.0, "100"),
        (-3, "-3"),
        (0.1, "0.1"),
        (-0.5, "-0.5"),
        (1e-7, "1e-7"),
        (2e15, "2e15"),
        (-2e15, "-2e15"),
    ],
)
def test_numbers_are_read_as_they_print(given: object, expected: str) -> None:
    assert convert.number(given) == Decimal(expected)


@pytest.mark.parametrize("nothing", [-1.0, 0.0, math.nan, math.inf, UNSET])
def test_a_market_price_that_is_none_is_nan(nothing: float) -> None:
    assert math.isnan(convert.market_price(nothing))
    assert convert.price(nothing) is None


def library_contract(**changes: Any) -> Any:
    fields = {"symbol": "NVDA", "secType": "STK", "exchange": "SMART", "currency": "USD", "primaryExchange": "NASDAQ"}
    return SimpleNamespace(**{**fields, "conId": 4815747, **changes})


def test_contracts_are_routed_smart_wherever_they_are_named() -> None:
    """Positions bear the listing's exchange, executions the venue's, portfolio rows none."""
    assert convert.contract_from(library_contract()) == NVDA
    assert convert.contract_from(library_contract(exchange="NASDAQ", primaryExchange="")) == NVDA
    assert convert.contract_from(library_contract(exchange="", primaryExchange="ISLAND")) == NVDA


def library_order(**changes: Any) -> Any:
    fields = {
        "action": "BUY", "totalQuantity": 10.0, "orderType": "LMT", "lmtPrice": 120.5, "auxPrice": 0.0, "tif": "DAY",
        "outsideRth": False, "account": "DU1", "orderRef": "ref-1", "ocaGroup": "", "parentId": 0, "clientId": 1,
        "permId": 77, "trailStopPrice": UNSET,
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


KINDS = [
    Order(NVDA, Action.BUY, Decimal(10), account=AccountId("DU1"), order_ref="a-1"),
    Order(NVDA, Action.SELL, Decimal(1), OrderType.LIMIT, Decimal("120.55"), tif=TimeInForce.GTC),
    Order(NVDA, Action.BUY, Decimal(20_000), OrderType.STOP_LIMIT, Decimal("1.08505"), Decimal("1.084995")),
    Order(NVDA, Action.SELL, Decimal(7), OrderType.STOP, None, Decimal("99.99"), oca_group="g", parent_id=OrderId(3)),
    Order(NVDA, Action.BUY, Decimal(7), OrderType.STOP_LIMIT, Decimal("130.01"), Decimal(130), TimeInForce.IOC, True),
]


@pytest.mark.parametrize("order", KINDS, ids=lambda order: order.order_type.value)
def test_an_order_survives_the_way_to_the_library_and_back(order: Order) -> None:
    library = SimpleNamespace(Order=lambda **fields: library_order(**{"lmtPrice": UNSET, "auxPrice": UNSET, **fields}))
    made = convert.order_to(library, order)
    assert isinstance(made.totalQuantity, int)
    assert made.tif
    assert convert.order_from(NVDA, made) == order


def test_what_repeats_the_last_order_is_it_and_what_differs_is_not() -> None:
    """Whatever field differs, and also when the one before could not be read."""
    read, said = convert.OrderReader(), {"orderType": "LMT", "lmtPrice": 119.2}
    first = read(NVDA, library_order(**said))
    assert read(NVDA, library_order(**said)) is first
    with pytest.raises(InvalidOrderError):
        read(NVDA, library_order(**said, totalQuantity=0.5))
    assert read(NVDA, library_order(**said)) is first
    for change in ({"lmtPrice": 119.3}, {"totalQuantity": 7}, {"tif": "GTC"}, {"orderRef": "b-2"}, {"account": "DU2"}):
        assert read(NVDA, library_order(**{**said, **change})) == convert.order_from(
            NVDA, library_order(**{**said, **change})
        )
        assert read(NVDA, library_order(**said)) == first


def test_prices_that_a_type_does_not_have_are_not_read() -> None:
    """TWS fills them in with what it likes."""
    found = convert.order_from(NVDA, library_order(orderType="MKT", lmtPrice=119.2, auxPrice=3.0))
    assert (found.limit_price, found.stop_price) == (None, None)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"orderType": "TRAIL", "lmtPrice": UNSET, "trailStopPrice": 99.0}, OrderType.STOP),
        ({"orderType": "MOC", "lmtPrice": UNSET}, OrderType.MARKET),
        ({"orderType": "LOC"}, OrderType.LIMIT),
        ({"orderType": "TRAIL LIMIT", "auxPrice": 1.5}, OrderType.STOP_LIMIT),
    ],
)
def test_types_that_we_do_not_place_are_told_by_their_prices(changes: dict[str, Any], kind: OrderType) -> None:
    assert convert.order_from(NVDA, library_order(**changes)).order_type is kind


def test_anothers_order_may_have_any_reference_and_time_in_force() -> None:
    found = convert.order_from(NVDA, library_order(orderRef="длинная " + "x" * 60, tif="OPG"))
    assert found.order_ref == " " + "x" * 39
    assert found.tif is TimeInForce.DAY


def test_statuses_are_tws_own() -> None:
    assert convert.status_from("Submitted") is OrderStatus.SUBMITTED
    assert convert.status_from("ApiPending") is OrderStatus.PENDING_SUBMIT
    assert convert.status_from("ValidationError") is None


def state(**changes: Any) -> Any:
    names = ("initMarginBefore", "initMarginAfter", "maintMarginAfter", "equityWithLoanAfter")
    empty = dict.fromkeys(names, "1.7976931348623157E308")
    return SimpleNamespace(**{**empty, "commission": UNSET, "maxCommission": UNSET, "warningText": "", **changes})


def test_the_empty_frame_of_a_what_if_is_no_preview() -> None:
    """A real TWS sends one, with its warning, before the one with values."""
    assert convert.preview_from(state(warningText="Your order is large")) is None


def test_a_preview_takes_the_upper_end_of_a_range_of_commission() -> None:
    values = {"initMarginBefore": "0", "initMarginAfter": "3014.25", "maintMarginAfter": "3014.25"}
    found = convert.preview_from(state(**values, equityWithLoanAfter="999999.0", maxCommission=1.25))
    assert found is not None
    assert (found.init_margin_after, found.commission) == (Decimal("3014.25"), Decimal("1.25"))


def test_an_execution_keeps_its_exact_price_and_moment() -> None:
    found = SimpleNamespace(
        execId="0000e0d5.67fe667b.01.01", time=datetime(2026, 11, 20, 20, 5, 13, tzinfo=UTC), acctNumber="DU1",
        side="SLD", shares=3.0, price=106.075, permId=9, clientId=2, orderId=2**31 - 1, liquidation="1", cumQty=3.0,
        avgPrice=106.075, orderRef="",
    )  # fmt: skip
    made = convert.executed_from(NVDA, found)
    execution = made.execution
    assert (execution.price, execution.shares, execution.side) == (Decimal("106.075"), 3, Action.SELL)
    assert (execution.time, execution.order_id, execution.liquidation) == (1_795_205_113_000_000_000, 0, True)
    assert (made.perm_id, made.client_id) == (9, 2)


def test_a_commission_without_a_realized_profit_has_none() -> None:
    report = SimpleNamespace(execId="a", commission=1.0, realizedPNL=UNSET, currency="USD")
    assert convert.commission_from(report).realized_pnl is None
    report.realizedPNL = -12.5
    assert convert.commission_from(report).realized_pnl == Decimal("-12.5")


def test_a_source_never_says_more_than_there_is() -> None:
    assert [source_of(kind, Mode.PAPER) for kind in (1, 2, 3, 4, 9)] == [
        Source.LIVE, Source.FROZEN, Source.DELAYED, Source.FROZEN, Source.DELAYED,
    ]  # fmt: skip
    assert {source_of(kind, Mode.SIMULATED) for kind in (1, 2, 3, 4)} == {Source.SIMULATED}


VALUES = {
    "NetLiquidation": "100000.00", "TotalCashValue": "40000.00", "GrossPositionValue": "60000.00",
    "EquityWithLoanValue": "100000.00", "InitMarginReq": "15000.00", "MaintMarginReq": "15000.00",
    "AvailableFunds": "85000.00", "ExcessLiquidity": "85000.00", "BuyingPower": "340000.00",
}  # fmt: skip


def test_a_summary_is_made_of_ibs_tags() -> None:
    found = summary_from(AccountId("DU1"), {**VALUES, "SettledCash": "39000"}, "USD", 5)
    assert (found.net_liquidation, found.settled_cash, found.buying_power) == (100_000, 39_000, 340_000)
    assert (found.cushion, found.day_trades_remaining, found.as_of) == (Decimal("0.85"), -1, 5)


@pytest.mark.parametrize("tag", ["NetLiquidation", "BuyingPower", "ExcessLiquidity"])
def test_a_summary_without_its_values_is_not_there_yet(tag: str) -> None:
    values = {name: text for name, text in VALUES.items() if name != tag}
    with pytest.raises(NotSynchronisedError, match=tag):
        summary_from(AccountId("DU1"), values, "USD", 5)


def test_hours_are_moments() -> None:
    """Both ends with their date, in the contract's zone; closed days are left out, and so is what cannot be read."""
    hours = "20261120:0930-20261120:1600;20261121:CLOSED;20261127:0930-20261127:1300;20261128:9-20261128:10;"
    found = convert.sessions(hours, "US/Eastern")
    expected = [
        (datetime(2026, 11, 20, 14, 30, tzinfo=UTC), datetime(2026, 11, 20, 21, 0, tzinfo=UTC)),
        (datetime(2026, 11, 27, 14, 30, tzinfo=UTC), datetime(2026, 11, 27, 18, 0, tzinfo=UTC)),
    ]
    assert found == tuple((int(a.timestamp()) * 10**9, int(b.timestamp()) * 10**9) for a, b in expected)
    assert convert.sessions(hours, "Nowhere/Here") == ()


def test_daily_bars_start_at_the_open() -> None:
    assert convert.bar_start(date(2026, 11, 20)) == int(datetime(2026, 11, 20, 14, 30, tzinfo=UTC).timestamp()) * 10**9
    assert convert.bar_start("1732113000") == 1_732_113_000 * 10**9
