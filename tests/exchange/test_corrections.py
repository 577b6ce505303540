"""Executions that are corrected or annulled after the trade, and liquidations: the money is right."""

from decimal import Decimal

import pytest

from src.domain.errors import UnknownOrderError
from src.domain.orders import Execution
from src.exchange.exchange import Exchange
from tests.exchange.examples import at, bar, buy, executions, give, sell, send, statuses
from tests.exchange.markets import AAA, ACCOUNT, new_exchange

CASH = Decimal(100_000)


def bought(exchange: Exchange, quantity: int = 10) -> Execution:
    """Buy at 100.00 in the first minute."""
    send(exchange, buy(quantity), 0)
    (execution,) = executions(give(exchange, bar(0, 100)))
    return execution


def state(exchange: Exchange) -> tuple[Decimal, int, Decimal]:
    """Cash, shares and average cost."""
    account = exchange.ledger.accounts[ACCOUNT]
    holding = account.holdings[AAA.con_id]
    return account.cash, holding.quantity, holding.average_cost


@pytest.mark.parametrize(
    ("shares", "price", "after"),
    [
        (None, "99", (CASH - 990 - 1, 10, Decimal("99.1"))),
        (8, None, (CASH - 800 - 1, 8, Decimal("100.125"))),
        (12, "101", (CASH - 1212 - 1, 12, Decimal(1213) / 12)),
        (0, None, (CASH, 0, Decimal(0))),
    ],
)
def test_an_opening_trade_is_corrected(
    shares: int | None, price: str | None, after: tuple[Decimal, int, Decimal]
) -> None:
    exchange = new_exchange(fees="fixed")
    first = bought(exchange)
    told = executions(exchange.correct(first.exec_id, shares, None if price is None else Decimal(price), at(2)))
    assert state(exchange) == after
    (fill,) = exchange.fills(ACCOUNT)
    assert told == [fill.execution]
    assert fill.execution.exec_id == first.exec_id[:-2] + "02"
    assert {fill.execution.shares, fill.execution.cumulative} == {Decimal(after[1])}


def test_a_closing_trade_is_corrected_and_equity_is_what_it_would_have_been() -> None:
    exchange, other = new_exchange(fees="fixed"), new_exchange(fees="fixed")
    for each, price in ((exchange, 110), (other, 111)):
        bought(each)
        send(each, sell(10), 1)
        give(each, bar(1, price))
    sale = exchange.fills(ACCOUNT)[-1].execution
    exchange.correct(sale.exec_id, None, Decimal(111), at(2))
    ours, theirs = (each.account_summary(ACCOUNT, at(2)) for each in (exchange, other))
    assert ours.net_liquidation == pytest.approx(theirs.net_liquidation, abs=Decimal("0.01"))
    assert exchange.pnl(ACCOUNT).realized == pytest.approx(other.pnl(ACCOUNT).realized, abs=Decimal("0.01"))


def test_a_correction_can_be_corrected_and_an_unknown_execution_not() -> None:
    exchange = new_exchange()
    first = bought(exchange)
    (second,) = executions(exchange.correct(first.exec_id, 9, None, at(2)))
    with pytest.raises(UnknownOrderError):
        exchange.correct(first.exec_id, 8, None, at(2))
    (third,) = executions(exchange.correct(second.exec_id, 8, None, at(2)))
    assert (third.exec_id[-2:], int(third.shares), int(third.average_price)) == ("03", 8, 100)


def test_a_liquidation_closes_the_position_and_says_so() -> None:
    exchange = new_exchange()
    bought(exchange)
    resting = send(exchange, buy(5, "50.00"), 2)
    events = exchange.liquidate(ACCOUNT, AAA, at(2))
    assert statuses(events, resting) == ["Cancelled"]
    (sale,) = executions(give(exchange, bar(2, 100)))
    assert (sale.side.value, int(sale.shares), sale.liquidation) == ("SELL", 10, True)
    assert exchange.liquidate(ACCOUNT, AAA, at(3)) == ()
