"""The one lock-holding shell around an exchange: its price source, its clock, and who listens.

`step` is the one pump. A replay at full speed steps once for each event its reader asks for, so that the market waits
for the strategy; a clocked market steps as often as time has come, so that it waits for nobody.
There is no ticker thread: every call, and `EventStream.next`, catches the market up to the clock (decision D5).
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from math import nan
from typing import NamedTuple

from src.domain.errors import NoMarketDataError
from src.domain.events import BarClosed, Event
from src.domain.market import Bar, BarSize, Contract, Quote, Source
from src.domain.orders import AccountId, Bracket, Order, OrderChange, OrderId
from src.exchange.exchange import Exchange
from src.exchange.fill_models import FillModel
from src.exchange.prices import Instant, PriceSource
from src.exchange.state import ExchangeState
from src.exchange.units import UNITS_PER_DOLLAR
from src.runtime.bridge import EventStream
from src.runtime.clock import Clock, ReplayClock
from src.runtime.listeners import Listener, account_of, aggregators

#: Makes a price source from after a moment on that has a further contract, and the quote of it that stands then.
Grow = Callable[[Contract, int], tuple[PriceSource, Quote | None]]


class _Follower(NamedTuple):
    """Who is told everything, of all accounts and contracts, as it happens."""

    events: Callable[[tuple[Event, ...]], None]
    instants: Callable[[Instant], None]


class Venue:
    """An exchange that lives in time. Every method may be called from any thread."""

    def __init__(
        self,
        exchange: Exchange,
        source: PriceSource,
        clock: Clock,
        fill_model: FillModel,
        grow: Grow | None = None,
    ) -> None:
        self.exchange = exchange
        self._source, self._clock, self._fill_model, self._grow = source, clock, fill_model, grow
        self._begin_instants()
        #: A replay at full speed goes on only when it is pumped.
        self.waits_for_reader = isinstance(clock, ReplayClock)
        self._priced = frozenset(each.con_id for each in source.contracts)
        self.lock = threading.RLock()
        self._acquire, self._release = self.lock.acquire, self.lock.release
        self._listeners: tuple[Listener, ...] = ()
        self._followers: tuple[_Follower, ...] = ()
        self._only_reader: EventStream | None = None  # who follows all of it, when nobody else listens
        self._time = max(clock.now(), exchange.now)  # an account that was kept may be ahead of the day's clock
        self._one_account = len(exchange.ledger.accounts) == 1  # then every event is everybody's

        for contract in source.contracts:
            self._remember_close(contract)

    def _begin_instants(self) -> None:
        self._ahead: Instant | None = None  # the next instant, when a clocked market has asked for its time
        closes = self._source.closes()
        #: The same instants, as far as they are bars alone: what one of the two has given, the other gives no more.
        self._closes: Iterator[BarClosed] = closes if closes is not None else iter(())
        self._instants = (
            self._source.instants()
            if closes is None
            else (Instant(closed.bars[0].end, (), closed.bars) for closed in closes)
        )

    def _remember_close(self, contract: Contract) -> None:
        """Let the exchange value a contract at its last close until it trades: margin needs a price on a closed day."""
        for bar in self._source.history(contract, self._source.bar_seconds_of(contract), 1, self._time):
            self.exchange.remember(contract, bar.close)

    # --- time ------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Market time; never before what has been processed."""
        return max(self._clock.now(), self._time)

    def step(self) -> Sequence[Bar] | None:
        """Process the next instant of the price source; returns the bars that ended in it, None at the end."""
        with self.lock:
            instant, self._ahead = self._ahead or next(self._instants, None), None
            if instant is None:
                return None
            self._process(instant)
            for listener in self._listeners:
                listener.hear(instant, self.quote_after)
            for follower in self._followers:
                follower.instants(instant)
            return instant.bars

    def _process(self, instant: Instant) -> None:
        """Let the exchange see an instant, and publish what follows from it."""
        time, quotes, bars = instant
        if quotes:
            self._take_quotes(quotes)
        time = max(time, self._time)  # a command, or an arrival, may have come in between
        events = self.exchange.advance(time, bars)
        self._time = time
        if events:
            self._publish(events)

    def _next_time(self) -> int | None:
        """When the next instant is; None at the end."""
        if self._ahead is None:
            self._ahead = next(self._instants, None)
        return None if self._ahead is None else self._ahead.time

    def _take_quotes(self, quotes: Sequence[Quote]) -> None:
        quoted = self.exchange.quote
        for quote in quotes:
            if events := quoted(quote if quote[1] >= self._time else quote._replace(time=self._time)):
                self._publish(events)

    def pump(self) -> float | None:
        """Bring the market up to its clock; returns real seconds until there is more, None when there never will be."""
        self._clock.begin()
        return self._bring_up()

    def _bring_up(self) -> float | None:
        with self.lock:
            if self.waits_for_reader:
                if self.step() is not None:
                    return 0.0
                self._run_out()
                return None
            wait = self._take_due()
            if wait is None:
                return None
            self._let_time_pass()
            arrival = self.exchange.next_arrival
            return wait if arrival is None else min(wait, max(self._clock.seconds_until(arrival), 0.001))

    def _take_due(self) -> float | None:
        """Take the instants that the clock has come to; returns real seconds until the next, None at the end."""
        while (following := self._next_time()) is not None:
            wait = self._clock.seconds_until(following)
            if wait > 0:
                return wait
            self.step()
        self._run_out()
        return None

    def _take(self, stream: EventStream) -> Event | None:
        """Step a replay of bars alone for the one reader who follows all of it, and hand them over without a queue.

        None sends the reader to its queue and to `pump`. A replay comes by for every instant: it takes the lock at half
        the cost of `with`.
        """
        acquire, release = self._acquire, self._release
        acquire()
        try:
            if stream is not self._only_reader or (closed := next(self._closes, None)) is None:
                return None
            bars = closed[0]
            time = bars[0][2]
            if time < self._time:  # a command, or an arrival, has come in between
                time = self._time
            events = self.exchange.advance(time, bars)
            self._time = time
            if events:
                self._publish(events)
            if not stream.unread:
                return closed
            stream.unread.append(closed)  # what has just happened comes first
            return None
        finally:
            release()

    def catch_up(self) -> None:
        """Bring a clocked market up to now. A replay at full speed stands still until its reader asks for events.

        Nothing is begun by it: the clock of a market of which nobody has wanted prices yet stands still.
        """
        if not self.waits_for_reader:
            self._bring_up()

    def _let_time_pass(self) -> None:
        """Up to now: what was on its way arrives, and orders expire at a close also where no price comes at it."""
        self._time = self.now()
        if events := self.exchange.advance(self._time):
            self._publish(events)

    def _run_out(self) -> None:
        """No more prices: what is on its way still arrives (not what waits for an open), and bars that are over end."""
        arrival = self.exchange.next_arrival
        last = self._time + self.exchange.latency if self.waits_for_reader else self._clock.now()
        if arrival is not None and self._time < arrival <= last:
            self._pass_to(arrival)
        for listener in self._listeners:
            listener.hear_end(self.exchange.sessions, self._time)

    def settle(self, nanoseconds: int) -> bool:
        """Let a replay's time alone pass, so that what is on its way arrives; False in a clocked market."""
        with self.lock:
            if self.waits_for_reader:
                self._pass_to(self._time + nanoseconds)
            return self.waits_for_reader

    def _pass_to(self, moment: int) -> None:
        self._time = moment
        self._publish(self.exchange.advance(moment))

    # --- commands --------------------------------------------------------------------------------------------------

    def submit(self, account: AccountId, order: Order) -> tuple[Event, ...]:
        """Submit an order now; returns and publishes the exchange's events."""
        with self.lock:  # as `_command`, without its two calls
            self.want(order.contract)
            return self._publish(self.exchange.submit(account, order, self._stamp()))

    def submit_bracket(self, account: AccountId, bracket: Bracket) -> tuple[Event, ...]:
        """Submit a bracket now, whole or not at all."""
        return self._command(lambda now: self.exchange.submit_bracket(account, bracket, now), bracket.parent.contract)

    def submit_family(self, account: AccountId, parent: Order, children: Sequence[Order]) -> tuple[Event, ...]:
        """Submit an order with the exits that enter in its first fill, whole or not at all."""
        return self._command(lambda now: self.exchange.submit_family(account, parent, children, now), parent.contract)

    def submit_exit(self, account: AccountId, parent_id: OrderId, order: Order) -> tuple[Event, ...]:
        """Submit one more exit of an order that works or has filled."""
        return self._command(lambda now: self.exchange.submit_exit(account, parent_id, order, now), order.contract)

    def modify(self, account: AccountId, order_id: OrderId, change: OrderChange) -> tuple[Event, ...]:
        """Change an order now."""
        return self._command(lambda now: self.exchange.modify(account, order_id, change, now))

    def cancel(self, account: AccountId, order_id: OrderId) -> tuple[Event, ...]:
        """Cancel an order now."""
        return self._command(lambda now: self.exchange.cancel(account, order_id, now))

    def correct(self, exec_id: str, shares: int | None, price: Decimal | None) -> tuple[Event, ...]:
        """Correct an execution now."""
        return self._command(lambda now: self.exchange.correct(exec_id, shares, price, now))

    def liquidate(self, account: AccountId, contract: Contract) -> tuple[Event, ...]:
        """Close a position now, as for want of margin."""
        return self._command(lambda now: self.exchange.liquidate(account, contract, now), contract)

    def thin(self, contract: Contract, shares: int) -> None:
        """Leave only so many shares on offer on each side until the next quote; NoMarketDataError where none stands."""
        with self.lock:
            self.want(contract)
            now = self._stamp()
            quote = self.exchange.standing_quote(contract)
            if quote is None:
                raise NoMarketDataError(f"no quote of {contract.local_symbol} stands")
            thinned = quote._replace(time=now, bid_size=float(shares), ask_size=float(shares))
            self._publish(self.exchange.quote(thinned))

    def _command(self, give: Callable[[int], tuple[Event, ...]], contract: Contract | None = None) -> tuple[Event, ...]:
        """Bring the market up to now, give a command at that moment, and publish what follows."""
        with self.lock:
            if contract is not None:
                self.want(contract)
            return self._publish(give(self._stamp()))

    def _stamp(self) -> int:
        """The moment of a command; what fell due by then is published before it, so that its own events come first."""
        if not self.waits_for_reader:
            if self._ahead is None or self._clock.now() >= self._ahead.time:
                self._take_due()
            self._let_time_pass()
        return self._time

    def save(self) -> ExchangeState:
        """Return the exchange's state as it is now."""
        with self.lock:
            return self.exchange.save()

    # --- prices ----------------------------------------------------------------------------------------------------

    @property
    def contracts(self) -> Sequence[Contract]:
        """What has prices here."""
        return self._source.contracts

    @property
    def bar_seconds(self) -> int:
        """The length of the bars that come by themselves; the shortest, where they differ."""
        return self._source.bar_seconds

    def want(self, contract: Contract) -> None:
        """Have prices of a listed contract from now on; NoMarketDataError when there can be none."""
        self._clock.begin()
        if contract.con_id in self._priced:
            return
        with self.lock:
            if self._grow is None:
                have = ", ".join(each.local_symbol for each in self._source.contracts)
                raise NoMarketDataError(f"no prices of {contract.local_symbol} in this replay: it has {have}")
            self._source, standing = self._grow(contract, self._time)
            self._begin_instants()
            self._priced = frozenset(each.con_id for each in self._source.contracts)
            self._remember_close(contract)
            if standing is not None:  # the market did not begin with this question: it has a bid and an ask already
                self._publish(self.exchange.quote(standing))

    def quote(self, contract: Contract) -> Quote:
        """Return the market as it stands; after a bar, its close with the preset's spread around it.

        Before the first price of the session it is the last close of the history, without bid and ask.
        """
        with self.lock:
            self.want(contract)
            self.catch_up()
            quote = self.exchange.standing_quote(contract)
            if quote is not None:
                return quote
            bar = self.exchange.last_bar(contract)
            if bar is not None:
                return self.quote_after(bar)
            before = self._source.history(contract, self._source.bar_seconds_of(contract), 1, self.now())
            if not before:
                raise NoMarketDataError(f"no price of {contract.local_symbol} yet: the market has not opened")
            close = before[-1]
            return Quote(contract, close.end, nan, nan, 0.0, 0.0, close.close, Source.SIMULATED)

    def history(self, contract: Contract, size: BarSize, count: int, end: int | None) -> tuple[Bar, ...]:
        """Up to `count` bars that ended by `end` (epoch ns), and never after now."""
        return self.bars(contract, size.seconds, count, end)

    def bars(self, contract: Contract, seconds: int, count: int, end: int | None) -> tuple[Bar, ...]:
        """The same for bars of any length, as far as the source has them; NoMarketDataError otherwise."""
        with self.lock:
            self.want(contract)
            self.catch_up()
            now = self.now()
            return tuple(self._source.history(contract, seconds, count, now if end is None else min(end, now)))

    def quote_after(self, bar: Bar) -> Quote:
        """The market around a bar's close, as the preset sees it."""
        half = self._fill_model.half_spread(bar) / UNITS_PER_DOLLAR
        size = float(self._fill_model.displayed(bar) or bar.volume)
        bid, ask = round(bar.close - half, 6), round(bar.close + half, 6)
        return Quote(bar.contract, bar.end, bid, ask, size, size, bar.close, Source.SIMULATED)

    # --- listeners -------------------------------------------------------------------------------------------------

    def listen(self, account: AccountId, contracts: Iterable[Contract], bars: BarSize | None) -> EventStream:
        """A stream of the account's events and of these contracts' quotes, or bars of a size."""
        stream = EventStream(self.pump, self._forget, self._take if self.waits_for_reader else None)
        wanted = tuple(contracts)
        for contract in wanted:
            self.want(contract)
        con_ids = frozenset(contract.con_id for contract in wanted)
        larger = aggregators(self._source, wanted, bars, self.now()) if bars is not None else {}
        every = bars is not None and not larger and con_ids >= self._priced
        tell = stream.put if self.waits_for_reader else stream.publish
        listener = Listener(stream, tell, account, con_ids, every, bars is not None, larger)
        with self.lock:
            self._set_listeners((*self._listeners, listener))
        return stream

    def _set_listeners(self, listeners: tuple[Listener, ...]) -> None:
        self._listeners = listeners
        alone = len(listeners) == 1 and listeners[0].everything and not self._followers
        self._only_reader = listeners[0].stream if alone else None

    def follow(self, events: Callable[[tuple[Event, ...]], None], instants: Callable[[Instant], None]) -> None:
        """Tell everything, of all accounts and contracts, as it happens: under the lock, on whoever's thread it is."""
        with self.lock:
            self._followers = (*self._followers, _Follower(events, instants))
            self._set_listeners(self._listeners)

    def _forget(self, stream: EventStream) -> None:
        with self.lock:
            self._set_listeners(tuple(each for each in self._listeners if each.stream is not stream))

    def close(self) -> None:
        """End every stream."""
        for listener in self._listeners:
            listener.stream.close()

    def _publish(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        for follower in self._followers:
            follower.events(events)
        for listener in self._listeners:
            for event in events:
                if self._one_account or account_of(event) in (listener.account, ""):
                    listener.tell(event)
        return events
