"""Every single tick, and bars of five seconds, as they come.

A market that tells only quotes prints a hundred shares whenever its last price moves; its bars have the volume that its
history has of them. Where bars alone make the market (a replay of minutes) each of them is one print at its close, and
comes whole as a real-time bar.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Final

from src.domain.errors import NoMarketDataError
from src.domain.market import Contract, Quote
from src.exchange.prices import Instant
from src.gateways.tws_codec import (
    CancelRealTimeBars,
    CancelTickByTickData,
    RealTimeBar,
    Reply,
    ReqRealTimeBars,
    ReqTickByTickData,
    TickByTickAllLast,
    TickByTickBidAsk,
    TickByTickMidPoint,
)
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers
from src.gateways.tws_server.listed import has_trades
from src.gateways.tws_server.market_data import MarketData
from src.gateways.tws_server.refusals import DUPLICATE_TICKER, INVALID_REAL_TIME, NO_TICKS, RefusedError, invalid
from src.gateways.tws_server.tape import PRINT_SIZE
from src.runtime.clock import NS

_KINDS: Final = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}
_OF_TRADES: Final = frozenset({1, 2})
_SHOWS: Final = frozenset({"TRADES", "MIDPOINT", "BID", "ASK"})
_FIVE_SECONDS: Final = 5 * NS
Key = tuple[Connection, int]


@dataclass(slots=True)
class _Ticks:
    """One client's ticks of one kind."""

    con_id: int
    kind: int
    ignores_size: bool
    told: tuple[float, ...] = ()


@dataclass(slots=True)
class _Bars:
    """One client's bar under way."""

    con_id: int
    show: str
    start: int = -1
    prices: list[float] = field(default_factory=list)


class Streams:
    """Tells ticks and short bars to those who follow them."""

    def __init__(self, context: Context, market_data: MarketData) -> None:
        self._context, self._market_data = context, market_data
        self._ticks: dict[Key, _Ticks] = {}
        self._bars: dict[Key, _Bars] = {}
        self._quoted: set[int] = set()
        self.handlers: Handlers = {
            ReqTickByTickData: self._follow_ticks,
            CancelTickByTickData: lambda client, message: self._ticks.pop((client, message.req_id), None),
            ReqRealTimeBars: self._follow_bars,
            CancelRealTimeBars: lambda client, message: self._bars.pop((client, message.req_id), None),
        }

    @property
    def is_followed(self) -> bool:
        """Whether anybody follows anything."""
        return bool(self._ticks or self._bars)

    def forget(self, client: Connection) -> None:
        """The client is gone."""
        for key in [key for key in (*self._ticks, *self._bars) if key[0] is client]:
            self._ticks.pop(key, None)
            self._bars.pop(key, None)

    def _new(self, client: Connection, req_id: int) -> Key:
        key = client, req_id
        if key in self._ticks or key in self._bars:
            raise RefusedError(DUPLICATE_TICKER, "Error processing request.-'bS' : cause - Duplicate ticker id")
        return key

    def _follow_ticks(self, client: Connection, message: ReqTickByTickData) -> None:
        key = self._new(client, message.req_id)
        kind = _KINDS.get(message.tick_type)
        if kind is None:
            raise invalid(f"Incorrect tick-by-tick data type: {message.tick_type!r}", "b7")
        listing = self._context.listing(message.contract)
        if kind in _OF_TRADES and not has_trades(listing.contract):
            what = f"{message.tick_type} ticks of {listing.local_symbol}: nobody prints its trades"
            raise RefusedError(NO_TICKS, f"Failed to request tick-by-tick data: no {what}")
        tape = self._market_data.tape(listing.contract)
        asked = self._ticks[key] = _Ticks(listing.con_id, kind, message.ignore_size)
        now = self._context.now()
        self._tell_tick(key, asked, now, (tape.bid, tape.ask, tape.bid_size, tape.ask_size), tape.last)
        self._context.wake()

    def _follow_bars(self, client: Connection, message: ReqRealTimeBars) -> None:
        key = self._new(client, message.req_id)
        if message.what_to_show not in _SHOWS:
            raise invalid(f"Incorrect what to show: {message.what_to_show!r}", "b8")
        listing = self._context.listing(message.contract)
        if message.what_to_show == "TRADES" and not has_trades(listing.contract):
            text = f"nobody prints trades of {listing.local_symbol}: ask for MIDPOINT, BID or ASK"
            raise RefusedError(INVALID_REAL_TIME, f"Invalid Real-time Query:{text}")
        self._market_data.tape(listing.contract)
        self._bars[key] = _Bars(listing.con_id, message.what_to_show)
        self._context.wake()

    # --- the market ------------------------------------------------------------------------------------------------

    def take(self, instant: Instant) -> None:
        """Tell what an instant has brought."""
        if not (self._ticks or self._bars):
            return
        time, quotes, bars = instant
        for quote in quotes:
            self._quoted.add(quote.contract.con_id)
            self._take_quote(quote, quote.time)
        for bar in bars:
            con_id = bar.contract.con_id
            if con_id in self._quoted:
                continue
            quote = self._context.venue.quote_after(bar)
            self._take_ticks(quote, time)
            for (client, req_id), asked in self._bars.items():
                if asked.con_id == con_id and not client.is_slow:
                    shift = _shown(quote, asked.show) - bar.close
                    prices = (bar.open + shift, bar.high + shift, bar.low + shift, bar.close + shift)
                    client.send(_bar(req_id, bar.start, prices, bar.volume))

    def _take_quote(self, quote: Quote, time: int) -> None:
        self._take_ticks(quote, time)
        for (client, req_id), asked in self._bars.items():
            price = _shown(quote, asked.show)
            if asked.con_id != quote.contract.con_id or not isfinite(price):
                continue
            start = time - time % _FIVE_SECONDS
            if start != asked.start:
                if asked.prices and not client.is_slow:
                    ohlc = (asked.prices[0], max(asked.prices), min(asked.prices), asked.prices[-1])
                    volume = self._traded(quote.contract, asked) if asked.show == "TRADES" else -1
                    client.send(_bar(req_id, asked.start, ohlc, volume))
                asked.start, asked.prices = start, []
            asked.prices.append(price)

    def _traded(self, contract: Contract, asked: _Bars) -> float:
        """The volume of a bar that has ended: what history says of it, else a print for each quote."""
        with suppress(NoMarketDataError):
            bars = self._context.venue.bars(contract, 5, 1, asked.start + _FIVE_SECONDS)
            if bars and bars[0].start == asked.start:
                return bars[0].volume
        return len(asked.prices) * PRINT_SIZE

    def _take_ticks(self, quote: Quote, time: int) -> None:
        for key, asked in self._ticks.items():
            if asked.con_id == quote.contract.con_id and not key[0].is_slow:
                sides = (quote.bid, quote.ask, quote.bid_size, quote.ask_size)
                self._tell_tick(key, asked, time, sides, quote.last)

    def _tell_tick(
        self, key: Key, asked: _Ticks, time: int, sides: tuple[float, float, float, float], last: float
    ) -> None:
        client, req_id = key
        seconds = time // NS
        message: Reply
        if asked.kind == 3:
            seen: tuple[float, ...] = sides[:2] if asked.ignores_size else sides
            message = TickByTickBidAsk(req_id, seconds, *sides)
        elif asked.kind == 4:
            middle = round((sides[0] + sides[1]) / 2, 6)
            seen, message = (middle,), TickByTickMidPoint(req_id, seconds, middle)
        else:
            seen, message = (last,), TickByTickAllLast(req_id, asked.kind, seconds, last, PRINT_SIZE)
        if seen != asked.told and all(map(isfinite, seen)):
            asked.told = seen
            client.send(message)


def _shown(quote: Quote, show: str) -> float:
    """The price of a quote that a bar is made of."""
    if show == "TRADES":
        return quote.last
    if show == "MIDPOINT":
        return round((quote.bid + quote.ask) / 2, 6)
    return {"BID": quote.bid, "ASK": quote.ask}.get(show, nan)


def _bar(req_id: int, start: int, prices: tuple[float, float, float, float], volume: float) -> RealTimeBar:
    opening, high, low, close = (round(price, 6) for price in prices)
    average = round((high + low + close) / 3, 4) if volume >= 0 else -1.0
    return RealTimeBar(req_id, start // NS, opening, high, low, close, volume, average, max(int(volume // 100), -1))
