"""Streaming quotes: subscriptions, the ticks that make them up, and why there are none. On the loop's thread only.

`latest` alone is read by others; it changes at a packet's end, so that a bid is never seen beside an older ask.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from src.brokers.tws.accounts import source_of
from src.brokers.tws.convert import market_price, market_size
from src.domain.codes import Meaning, RequestKind, meaning
from src.domain.errors import ConnectionLostError, NoMarketDataError
from src.domain.events import TOLD, Event, Notice, QuoteChanged
from src.domain.market import Contract, Mode, Quote

_log: Final = logging.getLogger(__name__)
#: Seconds that a first quote may take: TWS ends a snapshot after as many.
FIRST_QUOTE_SECONDS: Final = 11.0
#: Once one price has come, the others follow at once, or there are none.
_REST_SECONDS: Final = 1.5
#: The tick types of each field: live and delayed.
_PRICES: Final = {1: "bid", 66: "bid", 2: "ask", 67: "ask", 4: "last", 68: "last", 9: "close", 75: "close"}
_SIZES: Final = {0: "bid_size", 69: "bid_size", 3: "ask_size", 70: "ask_size", 5: "last_size", 71: "last_size"}
_OF_PRICE: Final = {"bid": "bid_size", "ask": "ask_size", "last": "last_size"}
_DELAYED_TICKS: Final = range(66, 77)
_LIVE, _DELAYED = 1, 3
_FAILS: Final = frozenset(
    {
        Meaning.NO_MARKET_DATA,
        Meaning.COMPETING_SESSION,
        Meaning.FAILED,
        Meaning.NO_CONTRACT,
        Meaning.DATA_LIMIT,
        Meaning.REJECTED,
        Meaning.UNKNOWN,
    }
)
_CURES: Final = {
    354: "subscribe to the data, or set IBKR_MARKET_DATA_TYPE=3 for delayed prices",
    10089: "subscribe to the data for the API, or set IBKR_MARKET_DATA_TYPE=3 for delayed prices",
    10168: "set IBKR_MARKET_DATA_TYPE=3 for delayed prices",
    10197: "the same user is logged in elsewhere, and that session gets the data",
    101: "TWS allows no more market data lines at once",
}


@dataclass(slots=True, eq=False)
class _Subscription:
    request: int
    contract: Contract
    data_type: int = _LIVE
    said_type: bool = False
    bid: float = math.nan
    ask: float = math.nan
    last: float = math.nan
    close: float = math.nan
    bid_size: float = 0.0
    ask_size: float = 0.0
    last_size: float = 0.0
    prices: int = 0  # how many have come
    changed: bool = False
    stale: bool = False  # what is known is from before a loss: nothing is shown before the next tick
    failure: NoMarketDataError | ConnectionLostError | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_complete(self) -> bool:
        """Whether there is a market with two sides."""
        return self.bid <= self.ask and not self.stale


class MarketData:
    """The quotes of one connection. `now` is epoch ns; `send` subscribes and returns the request's id.

    Prices that another session of the same user has taken are asked for again after `competing` seconds, by `send` and,
    for what may be left of the earlier request, `cancel`.
    """

    def __init__(
        self,
        now: Callable[[], int],
        events: list[Event],
        send: Callable[[Contract], int],
        cancel: Callable[[int], None],
        competing: float,
    ) -> None:
        self._now, self._events, self._send, self._cancel, self._pause = now, events, send, cancel, competing
        self._taken: dict[int, tuple[_Subscription, asyncio.TimerHandle]] = {}  # by con_id
        self._told: set[int] = set()
        self.mode = Mode.DISCONNECTED
        self._by_request: dict[int, _Subscription] = {}
        self._by_contract: dict[int, _Subscription] = {}
        self._changed: list[_Subscription] = []
        #: Who takes each trade: contract, price, size.
        self.on_trade: Callable[[Contract, float, float], None] | None = None
        #: The newest quote by con_id.
        self.latest: dict[int, Quote] = {}

    def knows(self, request: int) -> bool:
        """Whether a request is one of these subscriptions."""
        return request in self._by_request

    def subscribe(self, contract: Contract) -> None:
        """Stream a contract's quotes from now on; once is enough."""
        if contract.con_id not in self._by_contract:
            if (taken := self._taken.pop(contract.con_id, None)) is not None:
                taken[1].cancel()
            subscription = _Subscription(self._send(contract), contract)
            self._by_contract[contract.con_id] = self._by_request[subscription.request] = subscription

    async def first(self, contract: Contract, timeout: float = FIRST_QUOTE_SECONDS) -> Quote:  # noqa: ASYNC109
        """The quote, once there is one; NoMarketDataError with the cause otherwise."""
        self.subscribe(contract)
        subscription = self._by_contract[contract.con_id]
        await _settled(subscription, timeout)
        if subscription.failure is not None:
            raise subscription.failure
        quote = self.latest.get(contract.con_id)
        if quote is None:
            raise NoMarketDataError(
                f"no price of {contract.local_symbol} within {timeout:g} s: the market may be closed, or the data not "
                "subscribed to; look at TWS's own quote of it"
            )
        return quote

    # --- what TWS says ----------------------------------------------------------------------------------------------

    def price(self, request: int, tick: int, price: float, size: float) -> bool:
        """A price tick; False when the request is not ours."""
        subscription = self._by_request.get(request)
        if subscription is None:
            return False
        name = _PRICES.get(tick)
        if name is None:
            return True
        if tick in _DELAYED_TICKS and not subscription.said_type:
            subscription.data_type = _DELAYED
        value = market_price(price)
        setattr(subscription, name, value)
        if name in _OF_PRICE:
            setattr(subscription, _OF_PRICE[name], market_size(size))
        subscription.prices += 1
        subscription.stale = False  # a size, or a word about the prices, would not make old ones new
        self._touch(subscription)
        if name == "last" and self.on_trade is not None and value > 0:
            self.on_trade(subscription.contract, value, market_size(size))
        return True

    def size(self, request: int, tick: int, size: float) -> bool:
        """A size tick; False when the request is not ours."""
        subscription = self._by_request.get(request)
        if subscription is None:
            return False
        name = _SIZES.get(tick)
        if name is not None:
            setattr(subscription, name, market_size(size))
            self._touch(subscription)
        return True

    def data_type(self, request: int, data_type: int) -> bool:
        """Which kind of prices a subscription gets; False when the request is not ours."""
        subscription = self._by_request.get(request)
        if subscription is None:
            return False
        if data_type == _LIVE != subscription.data_type:  # what is known is not: it comes anew
            subscription.bid = subscription.ask = subscription.last = subscription.close = math.nan
        subscription.data_type, subscription.said_type = data_type, True
        self._touch(subscription)
        return True

    def heard(self, request: int, code: int, text: str) -> None:
        """An error message on a subscription."""
        subscription = self._by_request[request]
        what = meaning(code, RequestKind.DATA)
        if what is Meaning.DELAYED:
            subscription.data_type, subscription.said_type = _DELAYED, True
            self._touch(subscription)
        elif what is Meaning.STREAM_RESET:
            self._drop(subscription)
            self.subscribe(subscription.contract)
        elif what in _FAILS:
            cure = f" ({_CURES[code]})" if code in _CURES else ""
            symbol = subscription.contract.symbol
            subscription.failure = NoMarketDataError(f"no market data of {symbol}: {text}{cure}", code=code)
            self._drop(subscription)
            if what is Meaning.COMPETING_SESSION:
                self._try_later(subscription, code, text)

    def _try_later(self, subscription: _Subscription, code: int, text: str) -> None:
        """Somebody else has these prices for now."""
        contract = subscription.contract

        def again() -> None:
            self._cancel(subscription.request)
            self.subscribe(contract)

        timer = asyncio.get_running_loop().call_later(self._pause, again)
        self._taken[contract.con_id] = subscription, timer
        if contract.con_id not in self._told:
            self._told.add(contract.con_id)
            said = f"{contract.symbol}: {text}; its prices are asked for again every {self._pause:g} s"
            _log.warning("TWS: %s %s", code, said, extra=TOLD)
            self._events.append(Notice(self._now(), code, said))

    def _touch(self, subscription: _Subscription) -> None:
        if not subscription.changed:
            subscription.changed = True
            self._changed.append(subscription)

    def _drop(self, subscription: _Subscription) -> None:
        """End a subscription, so that the next question subscribes anew."""
        self._by_request.pop(subscription.request, None)
        self._by_contract.pop(subscription.contract.con_id, None)
        self.latest.pop(subscription.contract.con_id, None)
        subscription.wake.set()

    def finish(self) -> None:
        """Show readers what has changed. A market that is crossed is one that is half told: it is left out."""
        for subscription in self._changed:
            subscription.changed = False
            subscription.wake.set()
            quote = self._quote(subscription)
            if (
                quote is None
                or subscription.stale
                or self._by_contract.get(subscription.contract.con_id) is not subscription
            ):
                continue
            before = self.latest.get(subscription.contract.con_id)
            self.latest[subscription.contract.con_id] = quote
            self._told.discard(subscription.contract.con_id)
            if subscription.is_complete and (before is None or before[2:] != quote[2:]):
                self._events.append(QuoteChanged(quote))
        self._changed.clear()

    def _quote(self, found: _Subscription) -> Quote | None:
        bid, ask, last = found.bid, found.ask, found.last
        if bid > ask:
            return None
        if math.isnan(bid) and math.isnan(ask) and math.isnan(last):
            last = found.close  # closed: all there is
        if math.isnan(bid) and math.isnan(ask) and math.isnan(last):
            return None
        source = source_of(found.data_type, self.mode)
        bid_size = 0.0 if math.isnan(bid) else found.bid_size
        ask_size = 0.0 if math.isnan(ask) else found.ask_size
        return Quote(found.contract, self._now(), bid, ask, bid_size, ask_size, last, source)

    def stale(self) -> None:
        """What is known is old: no quote is shown before its next tick."""
        self.latest.clear()
        for subscription in self._by_contract.values():
            subscription.stale = True

    def lost(self) -> list[Contract]:
        """The connection is gone, and every quote stale; returns what was subscribed to."""
        for _, timer in self._taken.values():
            timer.cancel()
        taken = [subscription for subscription, _ in self._taken.values()]
        contracts = [subscription.contract for subscription in (*self._by_contract.values(), *taken)]
        self._taken.clear()
        for subscription in self._by_contract.values():
            subscription.failure = ConnectionLostError("the connection was lost")
            subscription.wake.set()
        self._by_contract.clear()
        self._by_request.clear()
        self._changed.clear()
        self.latest.clear()
        return contracts


async def _settled(subscription: _Subscription, timeout: float) -> None:  # noqa: ASYNC109
    """Wait for a market with two sides; when one price has come, not much longer."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not subscription.is_complete and subscription.failure is None:
        left = deadline - loop.time()
        if left <= 0:
            return
        if subscription.prices and left > _REST_SECONDS:
            deadline = loop.time() + _REST_SECONDS
            continue
        subscription.wake.clear()
        try:
            await asyncio.wait_for(subscription.wake.wait(), left)
        except TimeoutError:
            return
