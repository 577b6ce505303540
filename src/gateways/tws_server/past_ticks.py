"""Where a contract's history begins, and its ticks: a print and a quote a second, or for each of its shortest bars."""

from typing import Final

from src.domain.errors import BrokerError, NoMarketDataError
from src.domain.market import Bar, Contract
from src.gateways.tws_codec import (
    HeadTimestamp,
    HistoricalTick,
    HistoricalTickBidAsk,
    HistoricalTickLast,
    HistoricalTicks,
    HistoricalTicksBidAsk,
    HistoricalTicksLast,
    Reply,
    ReqHeadTimestamp,
    ReqHistoricalTicks,
    ReqUserInfo,
    UserInfo,
)
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers
from src.gateways.tws_server.listed import has_trades
from src.gateways.tws_server.refusals import NO_DATA, RefusedError, invalid, no_trades
from src.gateways.tws_server.tape import PRINT_SIZE
from src.gateways.tws_server.times import parse_moment
from src.runtime.clock import NS, to_datetime

_MOST: Final = 1000


class PastTicks:
    """Answers questions about single ticks of the past."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.handlers: Handlers = {
            ReqHeadTimestamp: self._head,
            ReqHistoricalTicks: self._ticks,
            ReqUserInfo: lambda client, message: client.send(UserInfo(message.req_id)),
        }

    def _head(self, client: Connection, message: ReqHeadTimestamp) -> None:
        listing = self._context.listing(message.contract)
        if message.what_to_show == "TRADES" and not has_trades(listing.contract):
            raise no_trades(listing.contract)
        first = self._context.market.first
        text = str(first // NS) if message.format_date == 2 else f"{to_datetime(first):%Y%m%d-%H:%M:%S}"
        client.send(HeadTimestamp(message.req_id, text))

    def _ticks(self, client: Connection, message: ReqHistoricalTicks) -> None:
        listing = self._context.listing(message.contract)
        try:
            start, end = (
                parse_moment(text) if text.strip() else None
                for text in (message.start_date_time, message.end_date_time)
            )
        except ValueError as error:
            raise invalid(str(error), "bT") from None
        if (start is None) == (end is None):
            raise invalid("Either the start or the end must be given, and not both", "bT")
        if not 0 < message.number_of_ticks <= _MOST:
            raise invalid(f"The number of ticks is 1 to {_MOST}, not {message.number_of_ticks}", "bT")
        if message.what_to_show == "TRADES" and not has_trades(listing.contract):
            raise no_trades(listing.contract)
        bars = self._bars(listing.contract, message.number_of_ticks, start, end)
        client.send(self._told(message, bars))

    def _bars(self, contract: Contract, count: int, start: int | None, end: int | None) -> tuple[Bar, ...]:
        """The shortest bars there are: `count` from `start` on, or the last ones by `end`."""
        venue = self._context.venue
        try:
            try:
                return self._of(contract, 1, count, start, end)
            except NoMarketDataError:
                return self._of(contract, venue.bar_seconds, count, start, end)
        except BrokerError as error:
            text = f"Historical Market Data Service error message:HMDS query returned no data: {error}"
            raise RefusedError(NO_DATA, text) from None

    def _of(self, contract: Contract, size: int, count: int, start: int | None, end: int | None) -> tuple[Bar, ...]:
        if start is None:
            return self._context.venue.bars(contract, size, count, end)
        found = self._context.venue.bars(contract, size, count, start + count * size * NS)
        return tuple(bar for bar in found if bar.start >= start)

    def _told(self, message: ReqHistoricalTicks, bars: tuple[Bar, ...]) -> Reply:
        req_id = message.req_id
        quotes = [self._context.venue.quote_after(bar) for bar in bars]
        times = [bar.start // NS for bar in bars]
        if message.what_to_show == "TRADES":
            trades = (
                HistoricalTickLast(time, 0, bar.close, PRINT_SIZE, "", "")
                for time, bar in zip(times, bars, strict=True)
            )
            return HistoricalTicksLast(req_id, tuple(trades))
        if message.what_to_show == "BID_ASK":
            sides = (
                HistoricalTickBidAsk(time, 0, each.bid, each.ask, each.bid_size, each.ask_size)
                for time, each in zip(times, quotes, strict=True)
            )
            return HistoricalTicksBidAsk(req_id, tuple(sides))
        if message.what_to_show != "MIDPOINT":
            raise invalid(f"Incorrect what to show: {message.what_to_show!r}", "bT")
        middles = (
            HistoricalTick(time, round((each.bid + each.ask) / 2, 6)) for time, each in zip(times, quotes, strict=True)
        )
        return HistoricalTicks(req_id, tuple(middles))
