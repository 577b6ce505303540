# mypy: disable-error-code=comparison-overlap
# A Decimal equals an int, and an empty tuple every other.
"""Positions: moved by executions, confirmed by TWS; never flat while they are unknown."""

from decimal import Decimal

import pytest

from src.brokers.tws.account_book import AccountBook
from src.brokers.tws.convert import PortfolioRow
from src.domain.account import Position
from src.domain.events import Event, PositionChanged
from src.domain.market import Contract
from src.domain.orders import AccountId, Action, CommissionReport, Execution, OrderId

NVDA, MSFT = Contract("NVDA", con_id=4815747), Contract("MSFT", con_id=272093)
OURS, OTHER = AccountId("DUSIM01"), AccountId("DU9")


def book(*listed: tuple[Contract, int, str]) -> AccountBook:
    made = AccountBook(lambda: 1, list[Event]())
    made.account = OURS
    made.begin_listing()
    for contract, quantity, cost in listed:
        made.position(OURS, contract, Decimal(quantity), Decimal(cost))
    made.end_listing()
    made.finish()
    return made


def trade(found: AccountBook, shares: int, price: str, commission: str = "1", realized: str | None = None) -> None:
    side = Action.BUY if shares > 0 else Action.SELL
    paid = Decimal(price)
    execution = Execution("a.b.01.01", OrderId(1), NVDA, OURS, side, Decimal(abs(shares)), paid, 5, Decimal(0), paid)
    found.executed(execution, Decimal(shares))
    report = CommissionReport("a.b.01.01", Decimal(commission), Decimal(realized) if realized else None)
    found.charged(execution, report)


def shown(found: AccountBook) -> Position:
    found.finish()
    assert found.positions is not None
    [position] = found.positions
    return position


def test_positions_are_unknown_until_they_are_listed() -> None:
    made = AccountBook(lambda: 1, [])
    made.account = OURS
    made.position(OURS, NVDA, Decimal(5), Decimal(100))
    made.finish()
    assert made.positions is None
    assert book().positions == ()


def test_they_are_unknown_again_when_the_connection_is_lost() -> None:
    found = book((NVDA, 5, "100"))
    found.invalidate()
    found.finish()
    assert found.positions is None


def test_a_fill_moves_the_position_at_once_with_its_commission() -> None:
    found = book()
    trade(found, 10, "120.5")
    position = shown(found)
    assert (position.quantity, position.average_cost) == (10, Decimal("120.6"))
    assert position.unrealized_pnl == -1
    assert [type(event) for event in found.events] == [PositionChanged]


def test_the_confirmation_counts_it_once() -> None:
    found = book((NVDA, 5, "100"))
    trade(found, 10, "110")
    found.position(OURS, NVDA, Decimal(15), Decimal("106.74"))
    position = shown(found)
    assert (position.quantity, position.average_cost) == (15, Decimal("106.74"))
    assert not found.has_unconfirmed
    assert len(found.events) == 1


def test_a_late_confirmation_of_the_first_of_two_fills_loses_nothing() -> None:
    found = book((NVDA, 5, "100"))
    trade(found, 10, "110")
    trade(found, 20, "111")
    found.position(OURS, NVDA, Decimal(15), Decimal(107))
    assert shown(found).quantity == 35
    found.position(OURS, NVDA, Decimal(5), Decimal(100))
    assert shown(found).quantity == 5, "TWS contradicts: TWS counts"


def test_a_stale_message_is_no_contradiction() -> None:
    found = book((NVDA, 5, "100"))
    trade(found, 10, "110")
    found.position(OURS, NVDA, Decimal(5), Decimal(100))
    assert shown(found).quantity == 15


def test_a_position_that_moved_by_itself_is_told() -> None:
    """A transfer, another client, a person at TWS."""
    found = book((NVDA, 5, "100"))
    found.position(OURS, NVDA, Decimal(-3), Decimal(101))
    assert shown(found).quantity == -3
    assert [event.position.quantity for event in found.events if isinstance(event, PositionChanged)] == [-3]


def test_a_closed_position_stays_with_what_it_realized() -> None:
    found = book((NVDA, 10, "100"))
    trade(found, -10, "110", "1.03", "98.97")
    position = shown(found)
    assert (position.quantity, position.average_cost, position.market_value) == (0, 0, 0)
    assert position.realized_pnl == Decimal("98.97")
    found.position(OURS, NVDA, Decimal(0), Decimal(0))
    found.portfolio(PortfolioRow(OURS, NVDA, *map(Decimal, ("0", "0", "110", "0", "0", "98.97"))))
    assert shown(found) == position


@pytest.mark.parametrize(
    ("held", "shares", "cost"), [(10, -4, "100"), (10, -15, "110"), (-10, 4, "100"), (0, -5, "110")]
)
def test_average_cost_follows_the_side_that_is_held(held: int, shares: int, cost: str) -> None:
    """Reducing keeps it, turning takes the price of the trade."""
    found = book((NVDA, held, "100")) if held else book()
    trade(found, shares, "110", "0")
    assert (shown(found).quantity, shown(found).average_cost) == (held + shares, Decimal(cost))


def test_tws_values_a_position() -> None:
    found = book((NVDA, 10, "100"))
    found.portfolio(PortfolioRow(OURS, NVDA, *map(Decimal, ("10", "100", "111.5", "1115", "115", "7"))))
    position = shown(found)
    assert (position.market_price, position.market_value) == (Decimal("111.5"), 1115)
    assert (position.unrealized_pnl, position.realized_pnl) == (115, 7)


def test_what_a_new_listing_leaves_out_is_flat() -> None:
    found = book((NVDA, 10, "100"), (MSFT, 3, "400"))
    found.begin_listing()
    found.position(OURS, NVDA, Decimal(10), Decimal(100))
    found.end_listing()
    assert shown(found).contract == NVDA


def test_other_accounts_are_not_ours() -> None:
    found = book()
    found.position(OTHER, NVDA, Decimal(10), Decimal(100))
    found.portfolio(PortfolioRow(OTHER, NVDA, *map(Decimal, ("10", "100", "111.5", "1115", "115", "7"))))
    found.value(OTHER, "NetLiquidation", "5", "USD")
    found.finish()
    assert (found.positions, found.values) == ((), {})


def test_account_values_are_those_of_the_base_currency() -> None:
    found = book()
    for currency, text in (("USD", "100"), ("BASE", "101"), ("EUR", "102")):
        found.value(OURS, "CashBalance", text, currency)
    found.value(OURS, "Cushion", "0.85", "")
    found.summary(OURS, "SettledCash", "90", "USD")
    found.summary(OURS, "CashBalance", "1", "USD")
    assert found.as_of is None
    found.finish()
    assert found.values == {"CashBalance": "100", "Cushion": "0.85", "SettledCash": "90"}
    assert found.as_of == 1


def test_profit_that_tws_does_not_know_yet_is_zero() -> None:
    found = book()
    found.profit(None, Decimal(5), None)
    assert found.pnl is not None
    assert (found.pnl.daily, found.pnl.unrealized, found.pnl.realized) == (0, 5, 0)


def test_values_told_before_an_execution_of_the_same_packet_are_not_of_after_it() -> None:
    found = book()
    found.value(OURS, "TotalCashValue", "1000.00", "USD")
    found.values_told()
    trade(found, 5, "100")
    found.finish()
    assert not found.values_are_current
    found.value(OURS, "TotalCashValue", "499.00", "USD")
    found.values_told()
    found.finish()
    assert found.values_are_current
