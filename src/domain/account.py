"""Positions and account values, under IB's tags. Dollars as `Decimal`; times in epoch nanoseconds, UTC."""

from decimal import Decimal

from src.domain.facts import fact
from src.domain.market import Contract
from src.domain.orders import AccountId


@fact
class Position:
    """Shares held (negative when short). `average_cost` is dollars a share, commission included, as IB states it."""

    contract: Contract
    account: AccountId
    quantity: Decimal
    average_cost: Decimal
    market_price: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal


@fact
class AccountSummary:
    """IB's account tags at `as_of`. AvailableFunds = EquityWithLoanValue - InitMarginReq, and so on.

    `day_trades_remaining` is -1 for "no limit", as TWS sends it.
    """

    account_id: AccountId
    as_of: int
    currency: str
    net_liquidation: Decimal
    total_cash_value: Decimal
    settled_cash: Decimal
    gross_position_value: Decimal
    equity_with_loan_value: Decimal
    init_margin_req: Decimal
    maint_margin_req: Decimal
    available_funds: Decimal
    excess_liquidity: Decimal
    buying_power: Decimal
    reg_t_equity: Decimal
    reg_t_margin: Decimal
    sma: Decimal
    cushion: Decimal
    day_trades_remaining: int


@fact
class AccountPnL:
    """Profit and loss in dollars: today's, and that of open and of closed positions, net of commission."""

    daily: Decimal
    unrealized: Decimal
    realized: Decimal


@fact
class OrderPreview:
    """What an order would do to the account, before it is sent: dollars."""

    init_margin_before: Decimal
    init_margin_after: Decimal
    maint_margin_after: Decimal
    equity_with_loan_after: Decimal
    commission: Decimal
    warning: str = ""
