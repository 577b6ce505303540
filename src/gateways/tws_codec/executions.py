"""Executions and what they cost."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from src.gateways.tws_codec.contracts import C11, WireContract
from src.gateways.tws_codec.fields import FLAG, Amount, Number, OptInt, Quantity, Serial, UnsetAmount
from src.gateways.tws_codec.layout import Span
from src.gateways.tws_codec.registry import Reply, Request, reply, request


@request(7, version="3")
@dataclass(frozen=True, slots=True)
class ReqExecutions(Request):
    """Asks for the day's executions; an empty or zero filter means any."""

    req_id: int
    client_id: int = 0
    acct_code: str = ""
    time: str = ""
    symbol: str = ""
    sec_type: str = ""
    exchange: str = ""
    side: str = ""


@reply(11, hot=True)
@dataclass(frozen=True, slots=True)
class ExecutionData(Reply):
    """One execution; `req_id` is -1 for one that has just happened. Its contract's exchange is where it happened."""

    req_id: int
    order_id: Serial
    contract: Annotated[WireContract, C11]
    exec_id: str
    time: str
    acct_number: str
    exchange: str
    side: str
    shares: Quantity
    price: Amount
    perm_id: Serial = 0
    client_id: int = 0
    liquidation: int = 0
    cum_qty: Quantity = Decimal(0)
    avg_price: Amount = Decimal(0)
    order_ref: str = ""
    ev_rule: str = ""
    ev_multiplier: Number = 0.0
    model_code: str = ""
    last_liquidity: int = 0
    pending_price_revision: Annotated[bool, FLAG, Span(since=178)] = False


@reply(55, version="1")
@dataclass(frozen=True, slots=True)
class ExecutionDataEnd(Reply):
    """The last ExecutionData of a request has been sent."""

    req_id: int


@reply(59, version="1", hot=True)
@dataclass(frozen=True, slots=True)
class CommissionReportMessage(Reply):
    """The commission of an execution, sent after it. No realized profit is None, written as IB's largest number."""

    exec_id: str
    commission: Amount
    currency: str
    realized_pnl: UnsetAmount = None
    yield_: UnsetAmount = None
    yield_redemption_date: OptInt = None
