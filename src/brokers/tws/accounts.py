"""Where an account's prices come from, and IB's account tags as our summary. Pure."""

from collections.abc import Mapping
from decimal import Decimal

from src.brokers.tws.convert import number
from src.domain.account import AccountSummary
from src.domain.errors import NotSynchronisedError
from src.domain.market import Mode, Source
from src.domain.orders import AccountId


def source_of(data_type: int, mode: Mode) -> Source:
    """Where prices under a market data type come from. Invented ones never bear another name."""
    if mode is Mode.SIMULATED:
        return Source.SIMULATED
    return {1: Source.LIVE, 2: Source.FROZEN, 3: Source.DELAYED, 4: Source.FROZEN}.get(data_type, Source.DELAYED)


def summary_from(account: AccountId, values: Mapping[str, str], currency: str, as_of: int) -> AccountSummary:
    """IB's tags as our summary; NotSynchronisedError while the ones that matter are missing.

    TWS's account updates have no SettledCash and no Reg T figures; where its summary has not brought them either,
    the nearest one that it has stands in.
    """
    found = {tag: number(text) for tag, text in values.items()}

    def value(*tags: str) -> Decimal:
        for tag in tags:
            if (amount := found.get(tag)) is not None:
                return amount
        raise NotSynchronisedError(f"TWS has not sent {tags[0]} of the account yet")

    net = value("NetLiquidation")
    excess = value("ExcessLiquidity")
    remaining = found.get("DayTradesRemaining")
    return AccountSummary(
        account_id=account,
        as_of=as_of,
        currency=currency,
        net_liquidation=net,
        total_cash_value=value("TotalCashValue", "TotalCashBalance", "CashBalance"),
        settled_cash=value("SettledCash", "TotalCashValue", "CashBalance"),
        gross_position_value=value("GrossPositionValue"),
        equity_with_loan_value=value("EquityWithLoanValue"),
        init_margin_req=value("InitMarginReq"),
        maint_margin_req=value("MaintMarginReq"),
        available_funds=value("AvailableFunds"),
        excess_liquidity=excess,
        buying_power=value("BuyingPower"),
        reg_t_equity=value("RegTEquity", "EquityWithLoanValue"),
        reg_t_margin=value("RegTMargin", "InitMarginReq"),
        sma=value("SMA", "ExcessLiquidity"),
        cushion=found.get("Cushion") or (excess / net if net else Decimal(0)),
        day_trades_remaining=-1 if remaining is None else int(remaining),
    )
