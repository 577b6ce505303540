"""IB's account tags and their invariants (NetLiquidation = cash + positions, and so on), worked by hand."""

from decimal import Decimal

import pytest

from src.domain.account import AccountSummary
from src.exchange.exchange import Exchange
from tests.exchange.examples import at, bar, buy, give, quote, sell, send
from tests.exchange.markets import ACCOUNT, HOUR, NS, new_exchange

JUNE_4_2026 = 1_780_574_400 * NS  # noon UTC


def after(*orders: int, price: float = 100, cash: int = 100_000, fees: str = "none") -> Exchange:
    """An account that has traded these signed quantities at the open of the first bar, at `price`."""
    exchange = new_exchange(fees=fees, cash=cash)
    for quantity in orders:
        send(exchange, buy(quantity) if quantity > 0 else sell(-quantity), 0)
    give(exchange, bar(0, price))
    return exchange


def values(exchange: Exchange, minute: float = 5) -> AccountSummary:
    return exchange.account_summary(ACCOUNT, at(minute))


def test_a_new_account_is_all_cash() -> None:
    """Four times the cash can be bought."""
    summary = values(new_exchange())
    assert (summary.account_id, summary.currency, summary.as_of) == (ACCOUNT, "USD", at(5))
    assert summary.net_liquidation == summary.total_cash_value == summary.settled_cash == 100_000
    assert summary.available_funds == summary.excess_liquidity == summary.sma == 100_000
    assert summary.gross_position_value == summary.init_margin_req == summary.reg_t_margin == 0
    assert [summary.buying_power, summary.cushion] == [400_000, 1]


def test_a_long_position_on_margin() -> None:
    """2,000 shares at 100 with $100,000: half is borrowed, a quarter is required, Reg T wants half of it all."""
    summary = values(after(2_000))
    assert summary.total_cash_value == -100_000
    assert summary.gross_position_value == 200_000
    assert summary.net_liquidation == summary.equity_with_loan_value == 100_000
    assert summary.init_margin_req == summary.maint_margin_req == 50_000
    assert summary.available_funds == summary.equity_with_loan_value - summary.init_margin_req
    assert summary.excess_liquidity == summary.equity_with_loan_value - summary.maint_margin_req
    assert summary.buying_power == 4 * summary.available_funds == 200_000
    assert [summary.reg_t_margin, summary.sma, summary.cushion] == [100_000, 0, Decimal("0.5")]


def test_a_short_position_requires_thirty_percent() -> None:
    """The proceeds are cash, the shares are owed."""
    summary = values(after(-1_000))
    assert summary.total_cash_value == 200_000
    assert summary.gross_position_value == 100_000
    assert [summary.net_liquidation, summary.maint_margin_req] == [100_000, 30_000]


def test_values_follow_the_market() -> None:
    """The close of the last bar is the mark, until a quote brings a better one."""
    exchange = after(100)
    give(exchange, bar(1, 100, 110, 100, 104))
    assert values(exchange).net_liquidation == 100_400
    exchange.quote(quote(3, 105.9, 106.1))
    assert values(exchange).net_liquidation == 100_600
    exchange.quote(quote(4, 105.9, 106.1, last=106.05))
    assert values(exchange).net_liquidation == 100_605
    exchange.quote(quote(4.5, 105.9, 106.1, last=50.0))
    assert values(exchange).net_liquidation == 100_600


def test_a_fill_at_the_mark_costs_commission_and_spread_and_no_more() -> None:
    """Net liquidation falls by the commission, and by half the spread on a quote."""
    exchange = new_exchange(fees="commission")
    exchange.quote(quote(0, 99.9, 100.1))
    exchange.submit(ACCOUNT, buy(100), at(1))
    assert values(exchange).net_liquidation == 100_000 - 1 - 10


def test_profit_and_loss() -> None:
    """Unrealized against the cost with commission, realized net of it, both of today."""
    exchange = after(100, fees="commission")
    give(exchange, bar(1, 103))
    pnl = exchange.pnl(ACCOUNT)
    assert [pnl.unrealized, pnl.realized, pnl.daily] == [299, 0, 299]
    send(exchange, sell(100), 2)
    give(exchange, bar(2, 103))
    pnl = exchange.pnl(ACCOUNT)
    assert [pnl.unrealized, pnl.realized, pnl.daily] == [0, 298, 298]
    exchange.close_session(at(3))
    assert exchange.pnl(ACCOUNT).daily == 0
    assert exchange.pnl(ACCOUNT).realized == 298


def test_positions_bear_cost_price_value_and_profit() -> None:
    """A closed one is listed with what it realized; an untouched contract is not."""
    exchange = after(100, fees="commission")
    give(exchange, bar(1, 103))
    [position] = exchange.positions(ACCOUNT)
    assert [position.quantity, position.average_cost, position.market_price] == [100, Decimal("100.01"), 103]
    assert [position.market_value, position.unrealized_pnl, position.realized_pnl] == [10_300, 299, 0]
    send(exchange, sell(100), 2)
    give(exchange, bar(2, 103))
    [closed] = exchange.positions(ACCOUNT)
    assert [closed.quantity, closed.average_cost, closed.realized_pnl] == [0, 0, 298]


def test_below_two_thousand_dollars_nothing_can_be_borrowed() -> None:
    """Buying power is the cash, and positions are held at full value."""
    summary = values(after(10, price=50, cash=1_500))
    assert [summary.net_liquidation, summary.maint_margin_req, summary.buying_power] == [1_500, 500, 1_000]
    assert summary.excess_liquidity == 1_000


@pytest.mark.parametrize(
    ("cash", "round_trips", "now", "left"),
    [(10_000, 2, at(3), 1), (10_000, 5, at(3), 0), (30_000, 2, at(3), -1), (10_000, 2, JUNE_4_2026, -1)],
)
def test_day_trades_remaining_is_reported_and_never_enforced(cash: int, round_trips: int, now: int, left: int) -> None:
    """Three in five days below $25,000, no limit above it, and none at all since FINRA's amendment."""
    exchange = new_exchange(cash=cash)
    exchange.quote(quote(0, 100, 100))
    for _ in range(round_trips):
        for order in (buy(1), sell(1)):
            exchange.submit(ACCOUNT, order, at(0))
    assert exchange.account_summary(ACCOUNT, now).day_trades_remaining == left


def test_day_trades_are_forgotten_after_a_week() -> None:
    """Five business days."""
    exchange = new_exchange(cash=10_000)
    exchange.quote(quote(0, 100, 100))
    for order in (buy(1), sell(1)):
        exchange.submit(ACCOUNT, order, at(0))
    assert exchange.account_summary(ACCOUNT, at(0) + 24 * HOUR * 8).day_trades_remaining == 3


def test_a_preview_says_what_an_order_would_need_and_sends_nothing() -> None:
    """Margin before and after, commission, equity after it; a refusal is a warning."""
    exchange = after(100, fees="commission")
    account = exchange.account_summary(ACCOUNT, at(2))
    preview = exchange.preview(ACCOUNT, buy(1_000, account=ACCOUNT), at(2))
    assert [preview.init_margin_before, preview.init_margin_after] == [2_500, 27_500]
    assert [preview.commission, preview.warning] == [5, ""]
    assert preview.equity_with_loan_after == account.equity_with_loan_value - 5
    assert "Available funds" in exchange.preview(ACCOUNT, buy(5_000), at(2)).warning
    assert exchange.open_trades(ACCOUNT) == ()
    assert exchange.account_summary(ACCOUNT, at(2)) == account
    assert send(exchange, buy(1), 2) == 2
