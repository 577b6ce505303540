"""Every single tick: as they come, and of the past.

The two attribute masks of bid and ask are reversed to each other: live, 1 is "bid past low" and 2 "ask past high"; of
the past, 1 is "ask past high" and 2 "bid past low".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from src.gateways.tws_codec.contracts import C12, C12_EXPIRED, WireContract
from src.gateways.tws_codec.fields import INT, PRICE, SIZE, Price, Size
from src.gateways.tws_codec.layout import Const, Field, fields
from src.gateways.tws_codec.registry import Reply, Request, reply, request


@request(97)
@dataclass(frozen=True, slots=True)
class ReqTickByTickData(Request):
    """Asks for every tick of one type: Last, AllLast, BidAsk or MidPoint."""

    req_id: int
    contract: Annotated[WireContract, C12]
    tick_type: str
    number_of_ticks: int = 0
    ignore_size: bool = False


@request(98)
@dataclass(frozen=True, slots=True)
class CancelTickByTickData(Request):
    """Ends ReqTickByTickData."""

    req_id: int


def _type_is(*numbers: str) -> Callable[[Sequence[str]], bool]:
    return lambda texts: len(texts) > 2 and texts[2] in numbers


@reply(99, chosen=_type_is("1", "2"), hot=True)
@dataclass(frozen=True, slots=True)
class TickByTickAllLast(Reply):
    """A trade: type 1 Last, 2 AllLast. Mask: 1 past limit, 2 unreported. `time` is epoch seconds."""

    req_id: int
    tick_type: int
    time: int
    price: Price
    size: Size
    attr_mask: int = 0
    exchange: str = ""
    special_conditions: str = ""


@reply(
    99,
    chosen=_type_is("3"),
    layout=(
        Field("req_id", INT),
        Const("3"),
        *fields("", [(INT, "time"), (PRICE, "bid_price ask_price"), (SIZE, "bid_size ask_size"), (INT, "attr_mask")]),
    ),
    hot=True,
)
@dataclass(frozen=True, slots=True)
class TickByTickBidAsk(Reply):
    """A quote. Mask: 1 bid past low, 2 ask past high."""

    req_id: int
    time: int
    bid_price: float
    ask_price: float
    bid_size: float
    ask_size: float
    attr_mask: int = 0


@reply(
    99, chosen=_type_is("4"), layout=(Field("req_id", INT), Const("4"), Field("time", INT), Field("mid_point", PRICE))
)
@dataclass(frozen=True, slots=True)
class TickByTickMidPoint(Reply):
    """A midpoint."""

    req_id: int
    time: int
    mid_point: float


@request(96)
@dataclass(frozen=True, slots=True)
class ReqHistoricalTicks(Request):
    """Asks for ticks of the past: MIDPOINT, BID_ASK or TRADES."""

    req_id: int
    contract: Annotated[WireContract, C12_EXPIRED]
    start_date_time: str
    end_date_time: str
    number_of_ticks: int
    what_to_show: str
    use_rth: bool = True
    ignore_size: bool = False
    misc_options: str = ""
