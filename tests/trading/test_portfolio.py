"""A portfolio is the sum of its own fills: shares, cost and P&L to the last digit, and the orders that still work."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.market import Contract
from src.domain.orders import AccountId, Action, CommissionReport, Execution, Fill, Order, OrderId, OrderStatus, Trade
from src.exchange.ledger import Ledger
from src.exchange.units import dollars
from src.trading.portfolio import Portfolio

MSFT = Contract("MSFT", con_id=1)
ACCOUNT = AccountId("SIM")


def fill(exec_id: str, signed: int, price: str, commission: str | None = None, reference: str = "s-1") -> Fill:
    """An execution of `signed` shares."""
    side, shares = (Action.BUY if signed > 0 else Action.SELL), Decimal(abs(signed))
    execution = Execution(
        exec_id, OrderId(1), MSFT, ACCOUNT, side, shares, Decimal(price), 0, shares,
        Decimal(price), reference,
    )  # fmt: skip
    return Fill(execution, CommissionReport(exec_id, Decimal(commission), None) if commission else None)


def order(signed: int, reference: str = "s-1") -> Order:
    """A market order of `signed` shares."""
    return Order(MSFT, Action.BUY if signed > 0 else Action.SELL, Decimal(abs(signed)), order_ref=reference)


def trade(of: Order, status: OrderStatus, filled: int) -> Trade:
    """The state of an order."""
    done = Decimal(filled)
    return Trade(OrderId(1), of, status, done, of.quantity - done, Decimal(0), 0)


def test_a_round_trip_realizes_its_gain_less_both_commissions() -> None:
    """Bought at 10, sold at 11, a dollar each way: 98 of 100."""
    portfolio = Portfolio()
    portfolio.filled(fill("1", 100, "10", "1"))
    assert portfolio.average_cost(MSFT) == Decimal("10.01")
    assert portfolio.unrealized_pnl({"MSFT": 10.5}) == Decimal(49)
    portfolio.filled(fill("2", -100, "11", "1"))
    assert portfolio.realized_pnl() == Decimal(98)
    assert portfolio.position(MSFT) == 0
    assert portfolio.totals.commissions == 2


trades = st.lists(
    st.tuples(
        st.integers(-300, 300).filter(bool),
        st.integers(1, 1_000_000_000),
        st.integers(0, 500),
        st.sampled_from(["with", "after", "before", "twice"]),
    ),
    min_size=1,
    max_size=40,
)


@given(trades)
def test_it_agrees_with_the_exchange_ledger_whatever_the_order_of_reports(
    steps: list[tuple[int, int, int, str]],
) -> None:
    """Long, short and through flat; commissions with, before, after or twice; and at a low ambient precision."""
    ledger, portfolio = Ledger(), Portfolio()
    account = ledger.open(ACCOUNT, Decimal(0))
    for number, (signed, units, cents, when) in enumerate(steps):
        exec_id, price, commission = str(number), dollars(units), Decimal(cents) / 100
        with localcontext(prec=34):
            ledger.apply(account, MSFT, signed, units, commission, 0)
        report = CommissionReport(exec_id, commission, None)
        with localcontext(prec=5):
            if when == "before":
                portfolio.charged(report)
            executed = fill(exec_id, signed, str(price))
            told = Fill(executed.execution, report) if when in ("with", "twice") else executed
            assert portfolio.filled(told)
            if when == "twice":
                assert not portfolio.filled(told)
            if when in ("after", "twice"):
                portfolio.charged(report)
    holding = account.holdings[1]
    assert portfolio.position(MSFT) == holding.quantity
    assert portfolio.totals.commissions == account.commission
    assert abs(portfolio.totals.cash_flow - account.cash) < Decimal("1e-18")
    assert abs(portfolio.realized_pnl() - account.realized) < Decimal("1e-18")
    assert abs(portfolio.unrealized_pnl({"MSFT": 50.0}) - (holding.quantity * 50 - holding.basis)) < Decimal("1e-18")


def test_an_order_works_until_it_is_done_and_all_its_fills_are_told() -> None:
    """The status can overtake the execution: until both are in, nothing new may be decided."""
    portfolio, buy = Portfolio(), order(100)
    portfolio.sent(buy)
    assert (portfolio.is_working(MSFT), portfolio.pending(MSFT), portfolio.working) == (True, Decimal(100), ("s-1",))
    portfolio.filled(fill("1", 40, "10"))
    assert portfolio.pending(MSFT) == 60
    portfolio.changed(trade(buy, OrderStatus.FILLED, 100))
    assert portfolio.is_working(MSFT)
    portfolio.filled(fill("2", 60, "10"))
    assert (portfolio.is_working(MSFT), portfolio.position(MSFT)) == (False, Decimal(100))


def test_a_cancelled_rest_is_no_longer_pending() -> None:
    """A hundred wanted, forty filled, the rest cancelled."""
    portfolio, buy = Portfolio(), order(100)
    portfolio.sent(buy)
    portfolio.filled(fill("1", 40, "10"))
    assert portfolio.changed(trade(buy, OrderStatus.CANCELLED, 40))
    assert (portfolio.is_working(MSFT), portfolio.pending(MSFT)) == (False, Decimal(0))
    assert not portfolio.changed(trade(buy, OrderStatus.CANCELLED, 40))


def test_a_buy_and_a_sale_under_way_are_two_working_orders() -> None:
    """They net to nothing pending, and still something works."""
    portfolio = Portfolio()
    portfolio.sent(order(100, "s-1"))
    portfolio.sent(order(-100, "s-2"))
    assert (portfolio.pending(MSFT), portfolio.is_working(MSFT)) == (Decimal(0), True)


@pytest.mark.parametrize(("symbol", "quantity"), [("MSFT", 7), ("AAPL", 100)])
def test_the_quantity_is_the_sessions_or_a_hundred(symbol: str, quantity: int) -> None:
    """Named for MSFT, the default for others."""
    assert Portfolio({"MSFT": Decimal(7)}).quantity(Contract(symbol)) == quantity
