"""Cash, cost basis and realized profit of single executions, worked by hand."""

from decimal import Decimal

import pytest

from src.domain.orders import AccountId
from src.exchange.ledger import Account, Ledger
from src.exchange.units import UNITS_PER_DOLLAR
from tests.exchange.markets import AAA, BBB


def account(cash: int = 10_000) -> tuple[Ledger, Account]:
    ledger = Ledger()
    return ledger, ledger.open(AccountId("SIM1"), Decimal(cash))


def units(price: str) -> int:
    return int(Decimal(price) * UNITS_PER_DOLLAR)


def test_a_purchase_costs_its_commission_as_well() -> None:
    """Commission is part of the cost basis; nothing is realized by opening."""
    ledger, held = account()
    holding, realized = ledger.apply(held, AAA, 10, units("100"), Decimal(1), 1)
    assert realized is None
    assert [held.cash, holding.quantity, holding.basis] == [8_999, 10, 1_001]
    assert holding.average_cost == Decimal("100.1")


def test_a_sale_realizes_net_of_the_commission_of_both_ends() -> None:
    """Bought for 1,001, sold for 1,099."""
    ledger, held = account()
    ledger.apply(held, AAA, 10, units("100"), Decimal(1), 1)
    holding, realized = ledger.apply(held, AAA, -10, units("110"), Decimal(1), 2)
    assert realized == held.realized == holding.realized == 98
    assert [held.cash, holding.quantity, holding.basis, holding.average_cost] == [10_098, 0, 0, 0]
    assert held.commission == 2


def test_a_partial_sale_leaves_the_average_cost() -> None:
    """Four of ten: 40 percent of the basis goes."""
    ledger, held = account()
    ledger.apply(held, AAA, 10, units("100"), Decimal(1), 1)
    holding, realized = ledger.apply(held, AAA, -4, units("90"), Decimal("0.5"), 1)
    assert realized == 360 - Decimal("0.5") - Decimal("400.4")
    assert (holding.quantity, holding.basis, holding.average_cost) == (6, Decimal("600.6"), Decimal("100.1"))


def test_a_short_sale_has_a_negative_basis_and_a_positive_average_cost() -> None:
    """Sold at 100 less a tenth of a dollar of commission a share; bought back at 90."""
    ledger, held = account()
    holding, realized = ledger.apply(held, AAA, -10, units("100"), Decimal(1), 1)
    assert [realized, holding.quantity, holding.basis, holding.average_cost] == [None, -10, -999, Decimal("99.9")]
    assert held.cash == 10_999
    _, realized = ledger.apply(held, AAA, 10, units("90"), Decimal(1), 1)
    assert realized == 98
    assert held.cash == 10_098


def test_a_trade_through_flat_closes_one_side_and_opens_the_other() -> None:
    """Long 10, sold 30: a third of the sale closes, two thirds open a short; so does the commission."""
    ledger, held = account()
    ledger.apply(held, AAA, 10, units("100"), Decimal(1), 1)
    holding, realized = ledger.apply(held, AAA, -30, units("110"), Decimal(3), 2)
    assert realized == 10 * 110 - 1 - 1_001
    assert [holding.quantity, holding.basis] == [-20, -(20 * 110) + 2]
    assert holding.opened_on == 2


def test_each_contract_has_its_own_holding() -> None:
    """Two contracts, one account."""
    ledger, held = account()
    ledger.apply(held, AAA, 10, units("10"), Decimal(0), 1)
    ledger.apply(held, BBB, -5, units("20"), Decimal(0), 1)
    assert {c: h.quantity for c, h in held.holdings.items()} == {AAA.con_id: 10, BBB.con_id: -5}
    assert held.cash == 10_000


@pytest.mark.parametrize(("days", "counted"), [((1, 1), [1]), ((1, 2), [])])
def test_a_round_trip_on_one_day_is_a_day_trade(days: tuple[int, int], counted: list[int]) -> None:
    """Overnight it is none."""
    ledger, held = account()
    ledger.apply(held, AAA, 10, units("10"), Decimal(0), days[0])
    ledger.apply(held, AAA, -10, units("10"), Decimal(0), days[1])
    assert held.day_trades == counted
