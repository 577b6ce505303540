"""Streaming market data: requests, ticks, depth."""

from dataclasses import dataclass
from typing import Annotated

from src.gateways.tws_codec.contracts import BAG_LEGS, C12, DELTA_NEUTRAL, WireContract
from src.gateways.tws_codec.fields import Escaped, Number, Price, Size
from src.gateways.tws_codec.registry import Reply, Request, reply, request


@request(1, version="11")
@dataclass(frozen=True, slots=True)
class ReqMktData(Request):
    """Asks for ticks of a contract, or for one snapshot of them."""

    req_id: int
    contract: Annotated[WireContract, (*C12, *BAG_LEGS, DELTA_NEUTRAL)]
    generic_tick_list: str = ""
    snapshot: bool = False
    regulatory_snapshot: bool = False
    mkt_data_options: str = ""


@request(2, version="2")
@dataclass(frozen=True, slots=True)
class CancelMktData(Request):
    """Ends ReqMktData."""

    req_id: int


@request(59, version="1")
@dataclass(frozen=True, slots=True)
class ReqMarketDataType(Request):
    """1 live, 2 frozen, 3 delayed, 4 delayed frozen: for all later ReqMktData of the connection."""

    market_data_type: int


@reply(58, version="1")
@dataclass(frozen=True, slots=True)
class MarketDataTypeMessage(Reply):
    """The type of the ticks that follow: the first answer to ReqMktData."""

    req_id: int
    market_data_type: int


@reply(81)
@dataclass(frozen=True, slots=True)
class TickReqParams(Reply):
    """The tick of a contract: the second answer to ReqMktData."""

    req_id: int
    min_tick: Number
    bbo_exchange: str = ""
    snapshot_permissions: int = 0


@reply(1, version="6", hot=True)
@dataclass(frozen=True, slots=True)
class TickPrice(Reply):
    """A price and its size; a price of -1 is no quote. Mask: 1 can execute automatically, 2 past limit, 4 pre-open."""

    req_id: int
    tick_type: int
    price: Price
    size: Size = 0.0
    attr_mask: int = 0


@reply(2, version="6", hot=True)
@dataclass(frozen=True, slots=True)
class TickSize(Reply):
    """A size alone."""

    req_id: int
    size_tick_type: int
    size: Size


@reply(46, version="6", hot=True)
@dataclass(frozen=True, slots=True)
class TickString(Reply):
    """A text: the time of the last trade, RTVolume, exchanges."""

    req_id: int
    tick_type: int
    value: Escaped


@reply(45, version="6")
@dataclass(frozen=True, slots=True)
class TickGeneric(Reply):
    """A number: halted, volatility."""

    req_id: int
    tick_type: int
    value: Number


@reply(57, version="1")
@dataclass(frozen=True, slots=True)
class TickSnapshotEnd(Reply):
    """The last tick of a snapshot has been sent."""

    req_id: int


@request(10, version="5")
@dataclass(frozen=True, slots=True)
class ReqMktDepth(Request):
    """Asks for the rows of an order book."""

    req_id: int
    contract: Annotated[WireContract, C12]
    num_rows: int
    is_smart_depth: bool = False
    mkt_depth_options: str = ""


@request(11, version="1")
@dataclass(frozen=True, slots=True)
class CancelMktDepth(Request):
    """Ends ReqMktDepth."""

    req_id: int
    is_smart_depth: bool = False


@reply(12, version="1")
@dataclass(frozen=True, slots=True)
class MarketDepth(Reply):
    """A row of an order book. Operation: 0 insert, 1 update, 2 delete. Side: 0 ask, 1 bid."""

    req_id: int
    position: int
    operation: int
    side: int
    price: Price
    size: Size


@reply(13, version="1")
@dataclass(frozen=True, slots=True)
class MarketDepthL2(Reply):
    """A row of an order book with its market maker or exchange."""

    req_id: int
    position: int
    market_maker: str
    operation: int
    side: int
    price: Price
    size: Size
    is_smart_depth: bool = False


@request(82)
@dataclass(frozen=True, slots=True)
class ReqMktDepthExchanges(Request):
    """Asks for MktDepthExchanges."""


@dataclass(frozen=True, slots=True)
class DepthExchange:
    """An exchange that gives depth."""

    exchange: str
    sec_type: str
    listing_exch: str
    service_data_type: str
    agg_group: int


@reply(80)
@dataclass(frozen=True, slots=True)
class MktDepthExchanges(Reply):
    """The exchanges that give depth."""

    descriptions: tuple[DepthExchange, ...] = ()
