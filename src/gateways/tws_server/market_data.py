"""Market data over the wire: subscriptions and snapshots, told tick by tick as the market moves.

Prices are simulated. A client that asks for delayed data (types 3 and 4) gets the same ticks under their delayed
numbers. A client that does not read is told what holds once it reads again, not all it has missed.
"""

from contextlib import suppress
from dataclasses import dataclass
from math import nan
from typing import Final

from src.domain.errors import BrokerError, NoMarketDataError
from src.domain.market import Contract
from src.exchange.listings import Listing
from src.exchange.prices import Instant
from src.gateways.tws_codec import (
    CancelMktData,
    MarketDataTypeMessage,
    Reply,
    ReqMarketDataType,
    ReqMktData,
    TickGeneric,
    TickPrice,
    TickReqParams,
    TickSize,
    TickSnapshotEnd,
    TickString,
)
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers
from src.gateways.tws_server.listed import has_trades
from src.gateways.tws_server.refusals import (
    DUPLICATE_TICKER,
    NOT_SUBSCRIBED,
    UNKNOWN_TICKER,
    RefusedError,
    invalid,
)
from src.gateways.tws_server.tape import DELAYED, MARK, SHORTABLE, SHORTABLE_SHARES, PriceTick, SizeTick, Tape, Tick
from src.gateways.tws_server.times import day_start, new_york

_TYPES: Final = (1, 2, 3, 4)
_BBO: Final = "a60001"
_RT_VOLUME, _MARK_PRICE, _SHORTABLE = "233", "221", "236"
#: The shortable tick of shares that are on the shelf, with how many are told there, and of those that nobody lends.
_LENT, _NOT_LENT = (3.0, 10_000_000.0), (1.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Subscription:
    """One client's ticks of one contract."""

    client: Connection
    req_id: int
    con_id: int
    data_type: int
    generic: frozenset[str]


class MarketData:
    """The tapes of what somebody follows, and who follows it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tapes: dict[int, Tape] = {}
        self._days: dict[int, int] = {}
        self._quoted: set[int] = set()  # whose market is made of quotes
        self._by_con_id: dict[int, list[_Subscription]] = {}
        self._by_request: dict[tuple[Connection, int], _Subscription] = {}
        self._types: dict[Connection, int] = {}
        self._known_ids: dict[Connection, set[int]] = {}
        self._behind: set[_Subscription] = set()
        self.handlers: Handlers = {
            ReqMarketDataType: self._set_type,
            ReqMktData: self._subscribe,
            CancelMktData: self._cancel,
        }

    @property
    def is_followed(self) -> bool:
        """Whether anybody follows anything."""
        return bool(self._by_request)

    def forget(self, client: Connection) -> None:
        """The client is gone."""
        self._types.pop(client, None)
        self._known_ids.pop(client, None)
        for key in [key for key in self._by_request if key[0] is client]:
            self._drop(key)

    # --- requests --------------------------------------------------------------------------------------------------

    def _set_type(self, client: Connection, message: ReqMarketDataType) -> None:
        if message.market_data_type not in _TYPES:
            raise invalid(f"Unknown market data type {message.market_data_type}", "cf")
        self._types[client] = message.market_data_type

    def _subscribe(self, client: Connection, message: ReqMktData) -> None:
        key = client, message.req_id
        if key in self._by_request:
            raise RefusedError(DUPLICATE_TICKER, "Error processing request.-'bW' : cause - Duplicate ticker id")
        listing = self._context.listing(message.contract)
        tape = self.tape(listing.contract)
        self._known_ids.setdefault(client, set()).add(message.req_id)
        generic = frozenset(each.strip() for each in message.generic_tick_list.split(",") if each.strip())
        con_id = listing.con_id
        asked = _Subscription(client, message.req_id, con_id, self._types.get(client, 1), generic)
        client.send(MarketDataTypeMessage(message.req_id, asked.data_type))
        client.send(_parameters(message.req_id, listing))
        _send(asked, tape, tape.all())
        if _SHORTABLE in generic and listing.sec_type == "STK":
            level, shares = _LENT if self._context.venue.exchange.lends(listing.contract) else _NOT_LENT
            client.send(TickGeneric(message.req_id, SHORTABLE, level))
            client.send(TickSize(message.req_id, SHORTABLE_SHARES, shares))
        if message.snapshot or message.regulatory_snapshot:
            client.send(TickSnapshotEnd(message.req_id))
            return
        self._by_request[key] = asked
        self._by_con_id.setdefault(con_id, []).append(asked)
        self._context.wake()

    def _cancel(self, client: Connection, message: CancelMktData) -> None:
        if (client, message.req_id) in self._by_request:
            self._drop((client, message.req_id))
        elif message.req_id not in self._known_ids.get(client, ()):
            raise RefusedError(UNKNOWN_TICKER, f"Can't find EId with tickerId:{message.req_id}")

    def _drop(self, key: tuple[Connection, int]) -> None:
        gone = self._by_request.pop(key)
        self._by_con_id[gone.con_id].remove(gone)
        self._behind.discard(gone)

    # --- the market ------------------------------------------------------------------------------------------------

    def tape(self, contract: Contract) -> Tape:
        """What was seen of a contract today; kept from the first question on. RefusedError where it has no prices."""
        tape = self._tapes.get(contract.con_id)
        if tape is not None:
            return tape
        venue = self._context.venue
        try:
            venue.want(contract)
            tape = Tape(has_trades(contract))
            now = self._context.now()
            since = day_start(now)
            step = venue.bar_seconds
            before = venue.bars(contract, step, 1, since)
            today = [bar for bar in venue.bars(contract, step, 86_400 // step, now) if bar.start >= since]
            tape.begin(before[-1].close if before else nan, today)
            with suppress(NoMarketDataError):  # the market has not opened: there is nothing yet
                tape.quoted(venue.quote(contract))
        except BrokerError as error:
            raise RefusedError(NOT_SUBSCRIBED, f"Requested market data is not subscribed. {error}") from None
        self._tapes[contract.con_id] = tape
        self._days[contract.con_id] = new_york(now).toordinal()
        return tape

    def take(self, instant: Instant) -> None:
        """Tell what an instant has brought."""
        time, quotes, bars = instant
        for quote in quotes:
            tape = self._tapes.get(quote.contract.con_id)
            if tape is not None:
                self._tell(quote.contract.con_id, tape, tape.quoted(quote))
            self._quoted.add(quote.contract.con_id)
        for bar in bars:
            con_id = bar.contract.con_id
            tape = self._tapes.get(con_id)
            if tape is not None:
                self._begin_day(con_id, tape, time)
                ticks = tape.traded(bar)
                if con_id not in self._quoted:  # bars alone make this contract's market
                    ticks += tape.quoted(self._context.venue.quote_after(bar))
                self._tell(con_id, tape, ticks)

    def _begin_day(self, con_id: int, tape: Tape, time: int) -> None:
        day = new_york(time - 1).toordinal()
        if day != self._days[con_id]:
            self._days[con_id] = day
            tape.new_day()

    def _tell(self, con_id: int, tape: Tape, ticks: list[Tick]) -> None:
        if not ticks:
            return
        for asked in self._by_con_id.get(con_id, ()):
            if asked.client.is_slow:
                self._behind.add(asked)
            elif asked in self._behind:
                self._behind.discard(asked)
                _send(asked, tape, tape.all())
            else:
                _send(asked, tape, ticks)


def _parameters(req_id: int, listing: Listing) -> TickReqParams:
    return TickReqParams(req_id, float(listing.min_tick), _BBO, 3)


def _send(asked: _Subscription, tape: Tape, ticks: list[Tick]) -> None:
    """Send ticks under the numbers that the client has asked for."""
    is_delayed = asked.data_type >= 3
    has_traded = False
    for tick in ticks:
        kind = tick.kind
        has_traded |= kind == 4
        if is_delayed:
            kind = DELAYED[kind]
        asked.client.send(_message(asked.req_id, kind, tick))
    if has_traded and not is_delayed and asked.generic:
        if _RT_VOLUME in asked.generic:
            asked.client.send(TickString(asked.req_id, tape.rt_volume.kind, tape.rt_volume.text))
        if _MARK_PRICE in asked.generic:
            asked.client.send(TickPrice(asked.req_id, MARK, tape.last))


def _message(req_id: int, kind: int, tick: Tick) -> Reply:
    if isinstance(tick, PriceTick):
        return TickPrice(req_id, kind, tick.price, tick.size, 1 if kind in (1, 2) and tick.price > 0 else 0)
    if isinstance(tick, SizeTick):
        return TickSize(req_id, kind, tick.size)
    return TickString(req_id, kind, tick.text)
