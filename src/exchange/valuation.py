"""An account's values under IB's tags, from its ledger and the latest prices. Dollars as `Decimal`.

NetLiquidation = cash + market value; TotalCashValue counts the currencies held as cash, as IB does; AvailableFunds =
EquityWithLoanValue - InitMarginReq; ExcessLiquidity = EquityWithLoanValue - MaintMarginReq; Cushion = ExcessLiquidity /
NetLiquidation. BuyingPower is four times the available funds (the inverse of the 25 % rate), cash alone below the
$2,000 that borrowing needs.

DayTradesRemaining is reported, never enforced: FINRA's amended Rule 4210 took the pattern day trading count away on
2026-06-04 (91 FR 20731), so it is -1 (no limit) from then on, and before that for accounts of $25,000 or more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from src.domain.account import AccountPnL, AccountSummary, Position
from src.exchange.ledger import Account, Holding
from src.exchange.margin import MINIMUM_EQUITY, WHOLE
from src.exchange.units import UNITS_PER_DOLLAR, dollars

#: The latest price of a contract (by con_id) in units; None before the first.
Mark = Callable[[int], int | None]

_ZERO: Final = Decimal(0)
_DAY: Final = 86_400 * 1_000_000_000
_MIDNIGHT: Final = 5 * 3600 * 1_000_000_000
_PDT_ENDED: Final = 20_608  # 2026-06-04 in epoch days
_PDT_EQUITY: Final = 25_000
_PDT_TRADES: Final = 3
_PDT_DAYS: Final = 7  # five business days, as calendar days


@dataclass(frozen=True, slots=True)
class Value:
    """An account's equity and requirements in dollars."""

    equity: Decimal
    signed: Decimal
    gross: Decimal
    currencies: Decimal  # of `signed`, what is held in currencies: cash, though it moves
    gross_currencies: Decimal
    margin: Decimal
    reg_t: Decimal

    @property
    def excess(self) -> Decimal:
        """ExcessLiquidity: below zero, IB liquidates."""
        return self.equity - self.margin


def day_of(time: int) -> int:
    """The New York day (in epoch days) of a time; its midnight is taken at 05:00 UTC all year."""
    return (time - _MIDNIGHT) // _DAY


def day_after(time: int) -> int:
    """When the New York day after that of a time begins."""
    return (day_of(time) + 1) * _DAY + _MIDNIGHT


def mark_of(holding: Holding, mark: Mark) -> int:
    """The price (units) a holding is valued at: the market's, or its own cost before the first price."""
    price = mark(holding.contract.con_id)
    return price if price is not None else round(abs(holding.average_cost) * UNITS_PER_DOLLAR)


def equity_of(account: Account, mark: Mark) -> Decimal:
    """What an account is worth (dollars) at the latest prices."""
    held = [holding for holding in account.holdings.values() if holding.quantity]
    return account.cash + dollars(sum([each.quantity * mark_of(each, mark) for each in held]))


def value(account: Account, mark: Mark) -> Value:
    """Equity, market values and margins of an account at the latest prices."""
    signed = gross = currencies = gross_currencies = margin = reg_t = 0
    for holding in account.holdings.values():
        if holding.quantity:
            price = mark_of(holding, mark)
            amount = holding.quantity * price
            signed += amount
            gross += abs(amount)
            if holding.contract.sec_type == "CASH":
                currencies += amount
                gross_currencies += abs(amount)
            margin += holding.rates.requirement(holding.quantity, price)
            reg_t += holding.rates.reg_t_requirement(holding.quantity, price)
    equity = account.cash + dollars(signed)
    if equity < MINIMUM_EQUITY:  # nothing can be borrowed: positions are held at full value
        margin = max(margin, gross * WHOLE)
    return Value(
        equity,
        dollars(signed),
        dollars(gross),
        dollars(currencies),
        dollars(gross_currencies),
        dollars(margin) / WHOLE,
        dollars(reg_t) / WHOLE,
    )


def summary(account: Account, mark: Mark, now: int) -> AccountSummary:
    """The account's tags at `now`."""
    v = value(account, mark)
    available = v.equity - v.margin
    borrowing = v.equity >= MINIMUM_EQUITY
    return AccountSummary(
        account_id=account.account_id,
        as_of=now,
        currency="USD",
        net_liquidation=v.equity,
        total_cash_value=account.cash + v.currencies,
        settled_cash=account.cash + v.currencies,
        gross_position_value=v.gross - v.gross_currencies,
        equity_with_loan_value=v.equity,
        init_margin_req=v.margin,
        maint_margin_req=v.margin,
        available_funds=available,
        excess_liquidity=v.excess,
        buying_power=max(available * 4 if borrowing else min(available, account.cash), Decimal(0)),
        reg_t_equity=v.equity,
        reg_t_margin=v.reg_t,
        sma=v.equity - v.reg_t,
        cushion=v.excess / v.equity if v.equity > 0 else Decimal(0),
        day_trades_remaining=_day_trades_remaining(account, v.equity, day_of(now)),
    )


def _day_trades_remaining(account: Account, equity: Decimal, today: int) -> int:
    if today >= _PDT_ENDED or equity >= _PDT_EQUITY:
        return -1
    recent = sum(1 for day in account.day_trades if day > today - _PDT_DAYS)
    return max(_PDT_TRADES - recent, 0)


def pnl(account: Account, mark: Mark) -> AccountPnL:
    """Today's P&L since the last close, that of open positions, and all that was realized."""
    v = value(account, mark)
    basis = sum((holding.basis for holding in account.holdings.values()), Decimal(0))
    start = account.day_start if account.day_start is not None else v.equity
    return AccountPnL(daily=v.equity - start, unrealized=v.signed - basis, realized=account.realized)


def position(account: Account, holding: Holding, price: int) -> Position:
    """One holding at a price in units."""
    quantity, basis = holding.quantity, holding.basis
    market_value = dollars(quantity * price)
    return Position(
        holding.contract,
        account.account_id,
        Decimal(quantity),
        basis / quantity if quantity else _ZERO,
        dollars(price),
        market_value,
        market_value - basis,
        holding.realized,
    )
