"""An account under TWS's keys: the rows of account updates and the tags of summaries. Dollars with two decimals."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from src.domain.account import AccountPnL, AccountSummary, Position

_CENT: Final = Decimal("0.01")
_BASE: Final = "BASE"
_ZERO: Final = Decimal(0)


class AccountRow(NamedTuple):
    """One key of an account with its value; the currency is empty where the value is no money."""

    key: str
    value: str
    currency: str = ""


class AccountView(NamedTuple):
    """An account at one moment."""

    summary: AccountSummary
    pnl: AccountPnL
    positions: Sequence[Position]
    accrued: Decimal = _ZERO


def money(value: Decimal) -> str:
    """Dollars with two decimals."""
    return f"{value.quantize(_CENT):f}"


def account_rows(view: AccountView) -> list[AccountRow]:
    """Every row of an account update: plain values, money in the account's currency, the ledger twice."""
    summary = view.summary
    trades = str(summary.day_trades_remaining)
    rows = [
        AccountRow("AccountCode", summary.account_id),
        AccountRow("AccountOrGroup", summary.account_id, _BASE),
        AccountRow("AccountOrGroup", summary.account_id, summary.currency),
        AccountRow("AccountReady", "true"),
        AccountRow("AccountType", "INDIVIDUAL"),
        AccountRow("Currency", _BASE, _BASE),
        AccountRow("Currency", summary.currency, summary.currency),
        AccountRow("Cushion", f"{summary.cushion:.6f}"),
        *(AccountRow(f"DayTradesRemaining{ahead}", trades) for ahead in ("", "T+1", "T+2", "T+3", "T+4")),
        AccountRow("Leverage-S", _leverage(summary)),
        AccountRow("LookAheadNextChange", "0"),
        AccountRow("NLVAndMarginInReview", "false"),
        AccountRow("SegmentTitle-S", "US Securities"),
        AccountRow("TradingType-S", "STKNOPT"),
        AccountRow("WhatIfPMEnabled", "true"),
    ]
    for key, value in _amounts(summary).items():
        rows.append(AccountRow(key, money(value), summary.currency))
        if key not in ("BuyingPower", "SMA", "RegTEquity", "RegTMargin", "DayTradesRemaining"):
            rows.append(AccountRow(f"{key}-S", money(value), summary.currency))
    return rows + ledger_rows(view)


def ledger_rows(view: AccountView) -> list[AccountRow]:
    """The ledger's rows, for the base currency and for the account's own, and the balance of each other one traded."""
    summary, pnl = view.summary, view.pnl
    held = [each for each in view.positions if each.contract.sec_type == "CASH"]
    stock = sum((each.market_value for each in view.positions if each.contract.sec_type != "CASH"), _ZERO)
    amounts = {
        "AccruedCash": view.accrued,
        "CashBalance": summary.total_cash_value,
        "NetLiquidationByCurrency": summary.net_liquidation,
        "RealizedPnL": pnl.realized,
        "StockMarketValue": stock,
        "TotalCashBalance": summary.total_cash_value,
        "UnrealizedPnL": pnl.unrealized,
    }
    nothing = (
        "CorporateBondValue",
        "FundValue",
        "FutureOptionValue",
        "FuturesPNL",
        "OptionMarketValue",
        "WarrantValue",
    )
    own = amounts
    if held:
        elsewhere = sum((each.market_value for each in held), _ZERO)
        balance, worth = summary.total_cash_value - elsewhere, summary.net_liquidation - elsewhere
        own = amounts | {"CashBalance": balance, "NetLiquidationByCurrency": worth, "TotalCashBalance": balance}
    rows: list[AccountRow] = []
    for currency, values in ((_BASE, amounts), (summary.currency, own)):
        rows += (AccountRow(key, money(value), currency) for key, value in values.items())
        rows += (AccountRow(key, "0.00", currency) for key in nothing)
        rows.append(AccountRow("ExchangeRate", "1.00", currency))
        rows.append(AccountRow("RealCurrency", currency, currency))
    for each in held:
        currency, units = each.contract.symbol, money(each.quantity)
        balances = ("CashBalance", "NetLiquidationByCurrency", "TotalCashBalance")
        rows += (AccountRow(key, units, currency) for key in balances)
        rows.append(AccountRow("ExchangeRate", f"{each.market_price:f}", currency))
        rows.append(AccountRow("RealCurrency", currency, currency))
    return rows


def summary_rows(view: AccountView, tags: Sequence[str]) -> list[AccountRow]:
    """The rows of the asked tags, in their order. `$LEDGER` stands for the ledger, of all currencies or of one."""
    summary = view.summary
    amounts = _amounts(summary)
    others = {
        "AccountType": "INDIVIDUAL",
        "Cushion": f"{summary.cushion:.6f}",
        "DayTradesRemaining": str(summary.day_trades_remaining),
        "HighestSeverity": "0",
        "Leverage": _leverage(summary),
        "LookAheadNextChange": "0",
    }
    rows: list[AccountRow] = []
    for tag in tags:
        if tag.startswith("$LEDGER"):
            wanted = {"": summary.currency, ":ALL": ""}.get(tag.removeprefix("$LEDGER"), tag[8:])
            rows += (row for row in _ledger_summary(view) if wanted in ("", row.currency))
        elif tag in amounts:
            rows.append(AccountRow(tag, money(amounts[tag]), summary.currency))
        elif tag in others:
            rows.append(AccountRow(tag, others[tag]))
    return rows


def _ledger_summary(view: AccountView) -> list[AccountRow]:
    rows = [row for row in ledger_rows(view) if row.key != "AccruedCash"]
    total = money(view.summary.total_cash_value)
    return rows + [AccountRow("TotalCashValue", total, currency) for currency in (_BASE, view.summary.currency)]


def _leverage(summary: AccountSummary) -> str:
    equity = summary.net_liquidation
    return f"{summary.gross_position_value / equity:.2f}" if equity > 0 else "0.00"


def _amounts(summary: AccountSummary) -> dict[str, Decimal]:
    funds, excess = summary.available_funds, summary.excess_liquidity
    initial, maintenance = summary.init_margin_req, summary.maint_margin_req
    return {
        "AccruedCash": _ZERO,
        "AccruedDividend": _ZERO,
        "AvailableFunds": funds,
        "BuyingPower": summary.buying_power,
        "EquityWithLoanValue": summary.equity_with_loan_value,
        "ExcessLiquidity": excess,
        "FullAvailableFunds": funds,
        "FullExcessLiquidity": excess,
        "FullInitMarginReq": initial,
        "FullMaintMarginReq": maintenance,
        "GrossPositionValue": summary.gross_position_value,
        "InitMarginReq": initial,
        "LookAheadAvailableFunds": funds,
        "LookAheadExcessLiquidity": excess,
        "LookAheadInitMarginReq": initial,
        "LookAheadMaintMarginReq": maintenance,
        "MaintMarginReq": maintenance,
        "NetLiquidation": summary.net_liquidation,
        "PreviousDayEquityWithLoanValue": summary.equity_with_loan_value,
        "RegTEquity": summary.reg_t_equity,
        "RegTMargin": summary.reg_t_margin,
        "SMA": summary.sma,
        "SettledCash": summary.settled_cash,
        "TotalCashValue": summary.total_cash_value,
    }
