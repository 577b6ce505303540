"""Market depth: the quote at the top, and behind it rows that are invented, a tick apart and deeper with distance."""

from dataclasses import dataclass, field
from typing import Final

from src.exchange.listings import Listing
from src.exchange.prices import Instant
from src.gateways.tws_codec import (
    CancelMktDepth,
    DepthExchange,
    MarketDepth,
    MarketDepthL2,
    MktDepthExchanges,
    ReqMktDepth,
    ReqMktDepthExchanges,
)
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers
from src.gateways.tws_server.listed import DEPTH_VENUES, has_trades, venues
from src.gateways.tws_server.market_data import MarketData
from src.gateways.tws_server.refusals import DEPTH_LIMIT, DUPLICATE_TICKER, UNKNOWN_DEPTH, RefusedError, invalid
from src.gateways.tws_server.tape import Tape

_MOST_ROWS: Final = 10
_MOST_REQUESTS: Final = 3
_INSERT, _UPDATE = 0, 1
_ASK, _BID = 0, 1
Row = tuple[float, float]


@dataclass(slots=True)
class _Book:
    """One client's rows of one contract, as it was told them: asks, then bids."""

    listing: Listing
    rows: int
    is_smart: bool
    told: dict[int, list[Row]] = field(default_factory=dict)


class Depth:
    """Tells order books to those who follow them."""

    def __init__(self, context: Context, market_data: MarketData) -> None:
        self._context, self._market_data = context, market_data
        self._books: dict[tuple[Connection, int], _Book] = {}
        self.handlers: Handlers = {
            ReqMktDepth: self._follow,
            CancelMktDepth: self._cancel,
            ReqMktDepthExchanges: self._exchanges,
        }

    @property
    def is_followed(self) -> bool:
        """Whether anybody follows a book."""
        return bool(self._books)

    def forget(self, client: Connection) -> None:
        """The client is gone."""
        for key in [key for key in self._books if key[0] is client]:
            del self._books[key]

    def _follow(self, client: Connection, message: ReqMktDepth) -> None:
        key = client, message.req_id
        if key in self._books:
            raise RefusedError(DUPLICATE_TICKER, "Error processing request.-'b9' : cause - Duplicate ticker id")
        if sum(1 for known, _ in self._books if known is client) >= _MOST_REQUESTS:
            text = f"Max number ({_MOST_REQUESTS}) of market depth requests has been reached"
            raise RefusedError(DEPTH_LIMIT, text)
        if message.num_rows <= 0:
            raise invalid(f"Invalid number of rows: {message.num_rows}", "b9")
        listing = self._context.listing(message.contract)
        self._market_data.tape(listing.contract)
        self._books[key] = _Book(listing, min(message.num_rows, _MOST_ROWS), message.is_smart_depth)
        self._tell(key)
        self._context.wake()

    def _cancel(self, client: Connection, message: CancelMktDepth) -> None:
        if self._books.pop((client, message.req_id), None) is None:
            raise RefusedError(UNKNOWN_DEPTH, f"Can't find the subscribed market depth with tickerId:{message.req_id}")

    def _exchanges(self, client: Connection, message: ReqMktDepthExchanges) -> None:
        del message
        stocks = (DepthExchange(name, "STK", "", "Deep2", 1) for name in DEPTH_VENUES)
        client.send(MktDepthExchanges((*stocks, DepthExchange("IDEALPRO", "CASH", "", "Deep", 4))))

    def take(self, instant: Instant) -> None:
        """Tell the rows that an instant has moved; the tapes have taken it before."""
        if not self._books:
            return
        moved = {quote.contract.con_id for quote in instant.quotes} | {bar.contract.con_id for bar in instant.bars}
        for key, book in self._books.items():
            if book.listing.con_id in moved and not key[0].is_slow:
                self._tell(key)

    def _tell(self, key: tuple[Connection, int]) -> None:
        client, req_id = key
        book = self._books[key]
        tape = self._market_data.tape(book.listing.contract)
        if not tape.is_quoted:
            return
        for side in (_BID, _ASK):
            told = book.told.setdefault(side, [])
            for position, row in enumerate(_rows(tape, side, book)):
                if position < len(told) and told[position] == row:
                    continue
                operation = _UPDATE if position < len(told) else _INSERT
                told[position : position + 1] = [row]
                if book.is_smart:
                    places = DEPTH_VENUES if has_trades(book.listing.contract) else venues(book.listing)
                    name = places[position % len(places)]
                    client.send(MarketDepthL2(req_id, position, name, operation, side, *row, is_smart_depth=True))
                else:
                    client.send(MarketDepth(req_id, position, operation, side, *row))


def _rows(tape: Tape, side: int, book: _Book) -> list[Row]:
    """The rows of one side, the best first."""
    tick = float(book.listing.min_tick)
    best, size, way = (tape.bid, tape.bid_size, -1) if side == _BID else (tape.ask, tape.ask_size, 1)
    prices = (round(best + way * tick * distance, 6) for distance in range(book.rows))
    return [(price, float(round(size * (1 + distance / 2)))) for distance, price in enumerate(prices) if price > 0]
