"""Bars and ticks of the past, and bars that grow.

Dates are texts: daily bars `YYYYMMDD`; others epoch seconds where the request's `format_date` is 2, else a local time,
followed by its zone from version 174.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from src.gateways.tws_codec.contracts import BAG_LEGS, C12, C12_EXPIRED, WireContract
from src.gateways.tws_codec.fields import FLAG, INT, PRICE, SIZE, TEXT, Average, Price, Size
from src.gateways.tws_codec.layout import Const, Field, Layout, fields, rows, under
from src.gateways.tws_codec.registry import Reply, Request, reply, request


@request(
    20,
    layout=(
        Field("req_id", INT),
        *under("contract", C12_EXPIRED),
        *fields("", [(TEXT, "end_date_time bar_size_setting duration_str"), (FLAG, "use_rth"), (TEXT, "what_to_show")]),
        Field("format_date", INT),
        *under("contract", BAG_LEGS),
        *fields("", [(FLAG, "keep_up_to_date"), (TEXT, "chart_options")]),
    ),
)
@dataclass(frozen=True, slots=True)
class ReqHistoricalData(Request):
    """Asks for HistoricalData; with `keep_up_to_date` for HistoricalDataUpdate from then on."""

    req_id: int
    contract: WireContract
    end_date_time: str
    bar_size_setting: str
    duration_str: str
    use_rth: bool
    what_to_show: str
    format_date: int = 1
    keep_up_to_date: bool = False
    chart_options: str = ""


@request(25, version="1")
@dataclass(frozen=True, slots=True)
class CancelHistoricalData(Request):
    """Ends ReqHistoricalData."""

    req_id: int


class HistoricalBar(NamedTuple):
    """A bar, in wire order."""

    date: str
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    wap: Average
    bar_count: int


@reply(17, hot=True)
@dataclass(frozen=True, slots=True)
class HistoricalData(Reply):
    """The bars of a request, oldest first; start and end as the server understood them."""

    req_id: int
    start_date_str: str
    end_date_str: str
    bars: tuple[HistoricalBar, ...] = ()


@reply(90, hot=True)
@dataclass(frozen=True, slots=True)
class HistoricalDataUpdate(Reply):
    """A bar that grows: a later date opens a new one. Close stands before high and low; a count of -1 is no trade."""

    req_id: int
    bar_count: int
    date: str
    open: Price
    close: Price
    high: Price
    low: Price
    wap: Average
    volume: Size


@request(50, version="3")
@dataclass(frozen=True, slots=True)
class ReqRealTimeBars(Request):
    """Asks for a RealTimeBar every five seconds."""

    req_id: int
    contract: Annotated[WireContract, C12]
    bar_size: int
    what_to_show: str
    use_rth: bool
    real_time_bars_options: str = ""


@request(51, version="1")
@dataclass(frozen=True, slots=True)
class CancelRealTimeBars(Request):
    """Ends ReqRealTimeBars."""

    req_id: int


@reply(50, version="3")
@dataclass(frozen=True, slots=True)
class RealTimeBar(Reply):
    """Five seconds; `time` is their start in epoch seconds."""

    req_id: int
    time: int
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Size
    wap: Average
    count: int


@request(87)
@dataclass(frozen=True, slots=True)
class ReqHeadTimestamp(Request):
    """Asks for HeadTimestamp."""

    req_id: int
    contract: Annotated[WireContract, C12_EXPIRED]
    use_rth: bool
    what_to_show: str
    format_date: int = 1


@request(90)
@dataclass(frozen=True, slots=True)
class CancelHeadTimestamp(Request):
    """Ends ReqHeadTimestamp; ib_insync sends it after the answer."""

    req_id: int


@reply(88)
@dataclass(frozen=True, slots=True)
class HeadTimestamp(Reply):
    """The start of a contract's history: `19801212-14:30:00`, or epoch seconds where `format_date` was 2."""

    req_id: int
    head_timestamp: str


_TICK: Layout = (Field("time", INT), Const(""), *fields("", [(PRICE, "price"), (SIZE, "size")]))


class HistoricalTick(NamedTuple):
    """A midpoint of the past; `time` is epoch seconds."""

    time: int
    price: float
    size: float = 0.0


class HistoricalTickBidAsk(NamedTuple):
    """A quote of the past. Mask: 1 ask past high, 2 bid past low."""

    time: int
    mask: int
    price_bid: Price
    price_ask: Price
    size_bid: Size
    size_ask: Size


class HistoricalTickLast(NamedTuple):
    """A trade of the past. Mask: 1 past limit, 2 unreported."""

    time: int
    mask: int
    price: Price
    size: Size
    exchange: str
    special_conditions: str


@reply(96, layout=(Field("req_id", INT), rows("ticks", HistoricalTick, _TICK), Field("done", FLAG)))
@dataclass(frozen=True, slots=True)
class HistoricalTicks(Reply):
    """Midpoints."""

    req_id: int
    ticks: tuple[HistoricalTick, ...] = ()
    done: bool = True


@reply(97)
@dataclass(frozen=True, slots=True)
class HistoricalTicksBidAsk(Reply):
    """Quotes."""

    req_id: int
    ticks: tuple[HistoricalTickBidAsk, ...] = ()
    done: bool = True


@reply(98)
@dataclass(frozen=True, slots=True)
class HistoricalTicksLast(Reply):
    """Trades."""

    req_id: int
    ticks: tuple[HistoricalTickLast, ...] = ()
    done: bool = True
