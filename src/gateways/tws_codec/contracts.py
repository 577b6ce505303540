"""Contracts: how requests and replies name them, and what is told of them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final

from src.gateways.tws_codec.fields import (
    AMOUNT,
    ESCAPED,
    FLAG,
    INT,
    NUMBER,
    OPT_QUANTITY,
    TEXT,
    Number,
)
from src.gateways.tws_codec.layout import Const, Field, Layout, Maybe, Span, When, fields, layout_of, rows
from src.gateways.tws_codec.registry import Reply, Request, reply, request


@dataclass(frozen=True, slots=True)
class TagValue:
    """A named text: an algorithm's parameter, a security id."""

    tag: str
    value: str


@dataclass(frozen=True, slots=True)
class ComboLeg:
    """One leg of a combination. Market data requests carry the first four fields only."""

    con_id: int = 0
    ratio: int = 0
    action: str = ""
    exchange: str = ""
    open_close: int = 0
    short_sale_slot: int = 0
    designated_location: str = ""
    exempt_code: int = -1


@dataclass(frozen=True, slots=True)
class DeltaNeutralContract:
    """The other side of a delta-neutral order."""

    con_id: int = 0
    delta: Number = 0.0
    price: Number = 0.0


@dataclass(frozen=True, slots=True)
class WireContract:
    """IB's contract. Each message carries some of these fields; the others have their defaults."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    last_trade_date_or_contract_month: str = ""
    strike: float = 0.0
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    include_expired: bool = False
    sec_id_type: str = ""
    sec_id: str = ""
    issuer_id: str = ""
    combo_legs_descrip: str = ""
    combo_legs: tuple[ComboLeg, ...] = ()
    delta_neutral_contract: DeltaNeutralContract | None = None


_HEAD: Final = fields(
    "",
    [
        (INT, "con_id"),
        (TEXT, "symbol sec_type last_trade_date_or_contract_month"),
        (NUMBER, "strike"),
        (TEXT, "right multiplier"),
    ],
)
_TAIL: Final = fields("", [(TEXT, "currency local_symbol trading_class")])
#: A contract in requests.
C12: Final = (*_HEAD, *fields("", [(TEXT, "exchange primary_exchange")]), *_TAIL)
#: A contract in replies: with one exchange.
C11: Final = (*_HEAD, Field("exchange", TEXT), *_TAIL)
#: A contract in a portfolio: with its listing exchange.
C11_PRIMARY: Final = (*_HEAD, Field("primary_exchange", TEXT), *_TAIL)
C12_EXPIRED: Final = (*C12, Field("include_expired", FLAG))

FULL_LEGS: Final = rows("combo_legs", ComboLeg)
DELTA_NEUTRAL: Final = Maybe("delta_neutral_contract", DeltaNeutralContract, layout_of(DeltaNeutralContract))


def is_bag(sec_type: str) -> bool:
    """Whether a contract is a combination, so that its legs follow."""
    return sec_type == "BAG"


#: The legs of a combination in requests for data.
BAG_LEGS: Final[Layout] = (
    When(
        "sec_type",
        is_bag,
        (rows("combo_legs", ComboLeg, fields("", [(INT, "con_id ratio"), (TEXT, "action exchange")])),),
    ),
)


@request(9, version="8")
@dataclass(frozen=True, slots=True)
class ReqContractDetails(Request):
    """Asks for all contracts that fit: ContractData for each, then ContractDataEnd; error 200 if none does."""

    req_id: int
    contract: Annotated[
        WireContract,
        (*C12_EXPIRED, *fields("", [(TEXT, "sec_id_type sec_id")]), Field("issuer_id", TEXT, Span(since=176))),
    ]


_OLD: Final = Span(until=163)
_NEW: Final = Span(since=164)


@reply(
    10,
    version="8",
    span=_OLD,
    layout=(
        Field("req_id", INT),
        *fields("contract.", [(TEXT, "symbol sec_type last_trade_date_or_contract_month"), (NUMBER, "strike")]),
        *fields("contract.", [(TEXT, "right exchange currency local_symbol")]),
        Field("market_name", TEXT),
        *fields("contract.", [(TEXT, "trading_class"), (INT, "con_id")]),
        Field("min_tick", AMOUNT),
        Const("100", _OLD),
        Field("contract.multiplier", TEXT),
        *fields("", [(TEXT, "order_types valid_exchanges"), (INT, "price_magnifier under_con_id")]),
        Field("long_name", ESCAPED),
        Field("contract.primary_exchange", TEXT),
        *fields("", [(TEXT, "contract_month industry category subcategory time_zone_id trading_hours liquid_hours")]),
        *fields("", [(TEXT, "ev_rule"), (NUMBER, "ev_multiplier")]),
        rows("sec_id_list", TagValue),
        *fields("", [(INT, "agg_group"), (TEXT, "under_symbol under_sec_type market_rule_ids")]),
        *fields("", [(TEXT, "real_expiration_date stock_type")]),
        Field("suggested_size_increment", OPT_QUANTITY, Span(since=163, until=163)),
        *fields("", [(OPT_QUANTITY, "min_size size_increment suggested_size_increment")], _NEW),
    ),
)
@dataclass(frozen=True, slots=True)
class ContractData(Reply):
    """One contract and its details; 42 fields for a stock with one security id, from version 164."""

    req_id: int
    contract: WireContract
    market_name: str = ""
    min_tick: Decimal = Decimal("0.01")
    order_types: str = ""
    valid_exchanges: str = ""
    price_magnifier: int = 1
    under_con_id: int = 0
    long_name: str = ""
    contract_month: str = ""
    industry: str = ""
    category: str = ""
    subcategory: str = ""
    time_zone_id: str = ""
    trading_hours: str = ""
    liquid_hours: str = ""
    ev_rule: str = ""
    ev_multiplier: float = 0.0
    sec_id_list: tuple[TagValue, ...] = ()
    agg_group: int = 0
    under_symbol: str = ""
    under_sec_type: str = ""
    market_rule_ids: str = ""
    real_expiration_date: str = ""
    stock_type: str = ""
    min_size: Decimal | None = None
    size_increment: Decimal | None = None
    suggested_size_increment: Decimal | None = None


@reply(52, version="1")
@dataclass(frozen=True, slots=True)
class ContractDataEnd(Reply):
    """The last ContractData of a request has been sent."""

    req_id: int


@request(81)
@dataclass(frozen=True, slots=True)
class ReqMatchingSymbols(Request):
    """Asks for SymbolSamples."""

    req_id: int
    pattern: str


@dataclass(frozen=True, slots=True)
class SymbolSample:
    """A contract whose symbol or name fits a pattern, and what derivatives it has."""

    con_id: int
    symbol: str
    sec_type: str
    primary_exchange: str
    currency: str
    derivative_sec_types: tuple[str, ...] = ()
    description: Annotated[str, TEXT, Span(since=176)] = ""
    issuer_id: Annotated[str, TEXT, Span(since=176)] = ""


@reply(79)
@dataclass(frozen=True, slots=True)
class SymbolSamples(Reply):
    """The answer to ReqMatchingSymbols."""

    req_id: int
    samples: tuple[SymbolSample, ...] = ()


@request(78)
@dataclass(frozen=True, slots=True)
class ReqSecDefOptParams(Request):
    """Asks for the option chains of an underlying."""

    req_id: int
    underlying_symbol: str
    fut_fop_exchange: str
    underlying_sec_type: str
    underlying_con_id: int


@reply(75)
@dataclass(frozen=True, slots=True)
class SecurityDefinitionOptionParameter(Reply):
    """The option chain of one exchange."""

    req_id: int
    exchange: str
    underlying_con_id: int
    trading_class: str
    multiplier: str
    expirations: tuple[str, ...] = ()
    strikes: tuple[Annotated[float, NUMBER], ...] = ()


@reply(76)
@dataclass(frozen=True, slots=True)
class SecurityDefinitionOptionParameterEnd(Reply):
    """The last option chain of a request has been sent."""

    req_id: int


@request(91)
@dataclass(frozen=True, slots=True)
class ReqMarketRule(Request):
    """Asks for MarketRule."""

    market_rule_id: int


@dataclass(frozen=True, slots=True)
class PriceIncrement:
    """The tick from a price on."""

    low_edge: Number
    increment: Number


@reply(93)
@dataclass(frozen=True, slots=True)
class MarketRule(Reply):
    """The ticks of a market rule; IB's rule 26 is one cent everywhere."""

    market_rule_id: int
    price_increments: tuple[PriceIncrement, ...] = ()
