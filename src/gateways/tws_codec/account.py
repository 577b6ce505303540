"""Accounts: values, portfolio, positions, summary, profit and loss."""

from dataclasses import dataclass
from typing import Annotated

from src.gateways.tws_codec.contracts import C11, C11_PRIMARY, WireContract
from src.gateways.tws_codec.fields import Amount, Escaped, Quantity, UnsetAmount, WholeQuantity
from src.gateways.tws_codec.registry import Reply, Request, reply, request


@request(61, version="1")
@dataclass(frozen=True, slots=True)
class ReqPositions(Request):
    """Asks for PositionData for each position, PositionEnd, and PositionData for each change from then on."""


@request(64, version="1")
@dataclass(frozen=True, slots=True)
class CancelPositions(Request):
    """Ends ReqPositions."""


@reply(61, version="3", hot=True)
@dataclass(frozen=True, slots=True)
class PositionData(Reply):
    """A position; zero when it has been closed. `avg_cost` includes multiplier and commissions."""

    account: str
    contract: Annotated[WireContract, C11]
    position: Quantity
    avg_cost: Amount


@reply(62, version="1")
@dataclass(frozen=True, slots=True)
class PositionEnd(Reply):
    """The last of the positions at the time of the request has been sent."""


@request(74, version="1")
@dataclass(frozen=True, slots=True)
class ReqPositionsMulti(Request):
    """ReqPositions for one account and model."""

    req_id: int
    account: str
    model_code: str = ""


@request(75, version="1")
@dataclass(frozen=True, slots=True)
class CancelPositionsMulti(Request):
    """Ends ReqPositionsMulti."""

    req_id: int


@reply(71, version="1")
@dataclass(frozen=True, slots=True)
class PositionMulti(Reply):
    """A position of one account and model."""

    req_id: int
    account: str
    contract: Annotated[WireContract, C11]
    position: Quantity
    avg_cost: Amount
    model_code: str = ""


@reply(72, version="1")
@dataclass(frozen=True, slots=True)
class PositionMultiEnd(Reply):
    """The last PositionMulti of a request has been sent."""

    req_id: int


@request(6, version="2")
@dataclass(frozen=True, slots=True)
class ReqAccountUpdates(Request):
    """Asks for AcctValue, PortfolioValue and AcctUpdateTime, then AcctDownloadEnd; and for changes from then on."""

    subscribe: bool
    acct_code: str = ""


@reply(6, version="2")
@dataclass(frozen=True, slots=True)
class AcctValue(Reply):
    """One value of an account, as text; money with two decimals."""

    key: Escaped
    value: Escaped
    currency: Escaped
    account_name: Escaped


@reply(7, version="8", hot=True)
@dataclass(frozen=True, slots=True)
class PortfolioValue(Reply):
    """A position and what it is worth."""

    contract: Annotated[WireContract, C11_PRIMARY]
    position: Quantity
    market_price: Amount
    market_value: Amount
    average_cost: Amount
    unrealized_pnl: Amount
    realized_pnl: Amount
    account_name: str


@reply(8, version="1")
@dataclass(frozen=True, slots=True)
class AcctUpdateTime(Reply):
    """The time of the latest account values, HH:MM."""

    time_stamp: Escaped


@reply(54, version="1")
@dataclass(frozen=True, slots=True)
class AcctDownloadEnd(Reply):
    """An account has been sent once as a whole."""

    account_name: Escaped


@request(76, version="1")
@dataclass(frozen=True, slots=True)
class ReqAccountUpdatesMulti(Request):
    """Account values of one account and model."""

    req_id: int
    account: str
    model_code: str = ""
    ledger_and_nlv: bool = False


@request(77, version="1")
@dataclass(frozen=True, slots=True)
class CancelAccountUpdatesMulti(Request):
    """Ends ReqAccountUpdatesMulti."""

    req_id: int


@reply(73, version="1")
@dataclass(frozen=True, slots=True)
class AccountUpdateMulti(Reply):
    """One value of one account and model."""

    req_id: int
    account: Escaped
    model_code: Escaped
    key: Escaped
    value: Escaped
    currency: Escaped


@reply(74, version="1")
@dataclass(frozen=True, slots=True)
class AccountUpdateMultiEnd(Reply):
    """The last AccountUpdateMulti at the time of the request has been sent."""

    req_id: int


@request(62, version="1")
@dataclass(frozen=True, slots=True)
class ReqAccountSummary(Request):
    """Asks for the values named in `tags`, joined by commas, of a group's accounts."""

    req_id: int
    group: str
    tags: str


@request(63, version="1")
@dataclass(frozen=True, slots=True)
class CancelAccountSummary(Request):
    """Ends ReqAccountSummary."""

    req_id: int


@reply(63, version="1")
@dataclass(frozen=True, slots=True)
class AccountSummaryMessage(Reply):
    """One value of a summary."""

    req_id: int
    account: Escaped
    tag: Escaped
    value: Escaped
    currency: Escaped


@reply(64, version="1")
@dataclass(frozen=True, slots=True)
class AccountSummaryEnd(Reply):
    """The last value of a summary has been sent."""

    req_id: int


@request(92)
@dataclass(frozen=True, slots=True)
class ReqPnL(Request):
    """Asks for PnL about once a second."""

    req_id: int
    account: str
    model_code: str = ""


@request(93)
@dataclass(frozen=True, slots=True)
class CancelPnL(Request):
    """Ends ReqPnL."""

    req_id: int


@reply(94)
@dataclass(frozen=True, slots=True)
class PnL(Reply):
    """An account's profit and loss."""

    req_id: int
    daily_pnl: UnsetAmount
    unrealized_pnl: UnsetAmount
    realized_pnl: UnsetAmount


@request(94)
@dataclass(frozen=True, slots=True)
class ReqPnLSingle(Request):
    """Asks for PnLSingle about once a second."""

    req_id: int
    account: str
    model_code: str
    con_id: int


@request(95)
@dataclass(frozen=True, slots=True)
class CancelPnLSingle(Request):
    """Ends ReqPnLSingle."""

    req_id: int


@reply(95)
@dataclass(frozen=True, slots=True)
class PnLSingle(Reply):
    """One position's profit and loss."""

    req_id: int
    pos: WholeQuantity
    daily_pnl: UnsetAmount
    unrealized_pnl: UnsetAmount
    realized_pnl: UnsetAmount
    value: UnsetAmount


@request(80)
@dataclass(frozen=True, slots=True)
class ReqFamilyCodes(Request):
    """Asks for FamilyCodes."""


@dataclass(frozen=True, slots=True)
class FamilyCode:
    """An account and its family."""

    account_id: str
    family_code_str: str


@reply(78)
@dataclass(frozen=True, slots=True)
class FamilyCodes(Reply):
    """The accounts with their families."""

    family_codes: tuple[FamilyCode, ...] = ()
