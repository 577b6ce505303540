"""Bars as they close, from TWS's five-second bars; from trades where those are refused. On the loop's thread only.

All contracts' bars that end at one instant are told together, once every contract has come that far, or has been
silent for a while. A listener's first bar has begun before it listened: history has it whole, or it is left out.

Bars that ended while the connection was away are asked for by history as soon as it is back, and told before any other,
as what they are: missed. What history does not have is left out, with a word in the log.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from src.domain.aggregation import BarAggregator
from src.domain.codes import Meaning, RequestKind, meaning
from src.domain.errors import BrokerError
from src.domain.events import BarClosed, BarsMissed
from src.domain.market import Bar, BarSize, Contract
from src.runtime.clock import NS, monotonic

_log: Final = logging.getLogger(__name__)
_STEP: Final = 5 * NS
#: Real seconds after which a bar that should have ended is told without the contracts that are silent.
_PATIENCE: Final = 8.0
_CHECK_SECONDS: Final = 1.0
#: Missed bars of one contract that are asked for: five sessions of minutes, or a little less.
_MOST_MISSED: Final = 1_800

#: The closed bars of a contract and size: contract, size, count, end.
Past = Callable[[Contract, BarSize, int, int], Awaitable[tuple[Bar, ...]]]


@dataclass(slots=True, eq=False)
class _Feed:
    """One contract's five-second bars."""

    contract: Contract
    request: int
    from_trades: bool = False
    building: Bar | None = None  # from trades
    volume: float = 0.0


@dataclass(slots=True, eq=False)
class BarListener:
    """One reader's bars of a size."""

    tell: Callable[[BarClosed | BarsMissed], None]
    contracts: tuple[Contract, ...]
    size: BarSize
    aggregators: dict[int, BarAggregator] = field(default_factory=dict)
    reached: dict[int, int] = field(default_factory=dict)  # by con_id: the end of the last five seconds seen
    heard: dict[int, float] = field(default_factory=dict)  # by con_id: when
    ended: dict[int, dict[int, Bar]] = field(default_factory=dict)  # by end, then by con_id
    #: By con_id: how many bars history is asked for once the first one has closed, and whether that one is whole.
    first: dict[int, tuple[int, bool]] = field(default_factory=dict)
    asking: int = 0
    began: int = 0  # when it began to listen
    told: int = 0  # the end of the last bars that it was told
    away: bool = False  # since then bars may have been missed
    asked: int = 0  # up to when the missed ones were asked for

    def ends(self, moment: int) -> int:
        """When the last bar had ended by then."""
        length = self.size.seconds * NS
        return moment // length * length

    def put(self, bar: Bar) -> None:
        """Keep a bar until it is told: once, and never after a later one."""
        if bar.end > self.told:
            self.ended.setdefault(bar.end, {}).setdefault(bar.contract.con_id, bar)


class LiveBars:
    """The bars of one connection. `send` and `cancel` are the subscription's, `trades` asks for a contract's trades."""

    def __init__(
        self,
        now: Callable[[], int],
        send: Callable[[Contract], int],
        cancel: Callable[[int], None],
        trades: Callable[[Contract], None],
        past: Past,
    ) -> None:
        self._now, self._send, self._cancel, self._trades, self._past = now, send, cancel, trades, past
        self._feeds: dict[int, _Feed] = {}  # by con_id
        self._by_request: dict[int, _Feed] = {}
        self._listeners: list[BarListener] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def knows(self, request: int) -> bool:
        """Whether a request is one of these subscriptions."""
        return request in self._by_request

    def listen(self, listener: BarListener) -> None:
        """Tell a reader the bars that close from now on."""
        listener.began = listener.ends(self._now())
        for contract in listener.contracts:
            listener.aggregators[contract.con_id] = BarAggregator(listener.size.seconds)
            listener.heard[contract.con_id] = monotonic()
            self._subscribe(contract)
        self._listeners.append(listener)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_CHECK_SECONDS, self._check)

    def forget(self, listener: BarListener) -> None:
        """The reader has left; so do subscriptions that nobody else needs."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        wanted = {contract.con_id for each in self._listeners for contract in each.contracts}
        for con_id in [each for each in self._feeds if each not in wanted]:
            feed = self._feeds.pop(con_id)
            self._by_request.pop(feed.request, None)
            if not feed.from_trades:
                self._cancel(feed.request)

    def _subscribe(self, contract: Contract) -> None:
        if contract.con_id not in self._feeds:
            feed = _Feed(contract, self._send(contract))
            self._feeds[contract.con_id] = self._by_request[feed.request] = feed

    def resubscribe(self) -> None:
        """A new connection: ask for everything anew."""
        self._by_request.clear()
        feeds, self._feeds = self._feeds, {}
        for feed in feeds.values():
            self._subscribe(feed.contract)
        self.catch_up()

    def catch_up(self) -> None:
        """The connection is back: ask for what was missed, and tell nothing else before."""
        for listener in self._listeners:
            if listener.away:
                listener.away = False
                since, until = listener.told or listener.began, listener.ends(self._now())
                if since < until:
                    listener.asked = until
                    self._ask(listener, partial(self._missed, listener, since, until))

    async def _missed(self, listener: BarListener, since: int, until: int) -> None:
        count = (until - since) // (listener.size.seconds * NS)
        if count > _MOST_MISSED:
            _log.warning("%d bars were missed, of which the last %d are asked for", count, _MOST_MISSED)
        await asyncio.gather(
            *(self._fetch(listener, each, since, until, min(count, _MOST_MISSED)) for each in listener.contracts)
        )

    async def _fetch(self, listener: BarListener, contract: Contract, since: int, until: int, count: int) -> None:
        """Put in place what history has of a time."""
        try:
            for bar in await self._past(contract, listener.size, count, until):
                if since < bar.end <= until:
                    listener.put(bar)
        except (BrokerError, ConnectionError) as error:
            _log.warning("bars of %s that were not seen are left out (%d): %s", contract.symbol, count, error)

    def _ask(self, listener: BarListener, work: Callable[[], Awaitable[None]]) -> None:
        """Ask history for a listener, who is told nothing meanwhile."""
        listener.asking += 1

        async def ask() -> None:
            try:
                await work()
            finally:
                listener.asking -= 1
                self._release(listener)

        task = asyncio.ensure_future(ask())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def lost(self) -> None:
        """The connection is gone, or in doubt: a bar that had begun is not told as if it were whole."""
        for feed in self._feeds.values():
            feed.building = None
        for listener in self._listeners:
            listener.away = True
            listener.reached.clear()
            listener.ended.clear()
            listener.first.clear()
            for con_id in listener.aggregators:
                listener.aggregators[con_id] = BarAggregator(listener.size.seconds)

    def stop(self) -> None:
        """Nobody is told anything any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._tasks:
            task.cancel()
        self._feeds.clear()
        self._by_request.clear()
        self._listeners.clear()

    # --- what TWS says ----------------------------------------------------------------------------------------------

    def heard(self, request: int, code: int, text: str) -> None:
        """Five-second bars are refused: build them from trades instead. Ended by a reset, they are asked for anew."""
        what = meaning(code, RequestKind.DATA)
        if what in (Meaning.INFO, Meaning.DELAYED, Meaning.PACING):
            return
        feed = self._by_request.pop(request)
        if what is Meaning.STREAM_RESET:
            _log.warning("the bars of %s have ended and are asked for anew: %s %s", feed.contract.symbol, code, text)
            self._feeds.pop(feed.contract.con_id, None)
            self._subscribe(feed.contract)
        elif not feed.from_trades:
            _log.info(
                "no real-time bars of %s (%s %s): they are built from its trades", feed.contract.symbol, code, text
            )
            feed.from_trades = True
            self._trades(feed.contract)

    def bar(self, request: int, start: int, prices: Sequence[float]) -> bool:
        """A five-second bar, by epoch seconds; False when the request is not ours."""
        feed = self._by_request.get(request)
        if feed is None:
            return False
        begin = start * NS
        open_, high, low, close, volume = prices
        if 0 < low <= high:
            self._take(Bar(feed.contract, begin, begin + _STEP, open_, high, low, close, max(volume, 0.0)))
        return True

    def trade(self, contract: Contract, price: float, size: float) -> None:
        """A trade, for the contracts whose bars are built from them."""
        feed = self._feeds.get(contract.con_id)
        if feed is None or not feed.from_trades:
            return
        start = self._now() // _STEP * _STEP
        bar = feed.building
        if bar is not None and bar.start != start:
            self._take(bar)
            bar = None
        if bar is None:
            feed.building = Bar(contract, start, start + _STEP, price, price, price, price, size)
        else:
            feed.building = bar._replace(
                high=max(bar.high, price), low=min(bar.low, price), close=price, volume=bar.volume + size
            )

    # ----------------------------------------------------------------------------------------------------------------

    def _take(self, bar: Bar) -> None:
        con_id = bar.contract.con_id
        for listener in self._listeners:
            aggregator = listener.aggregators.get(con_id)
            if aggregator is None or bar.end <= listener.reached.get(con_id, 0):
                continue
            if con_id not in listener.reached:
                self._begin(listener, bar)
            listener.reached[con_id], listener.heard[con_id] = bar.end, monotonic()
            for closed in aggregator.add(bar):
                self._closed(listener, closed)
            self._release(listener)

    @staticmethod
    def _begin(listener: BarListener, bar: Bar) -> None:
        """A contract's first five seconds: what of its bar, and of those before it, history will be asked for."""
        length, start = listener.size.seconds * NS, listener.ends(bar.start)
        missed = max(start - listener.asked, 0) // length if listener.asked else 0
        if missed or bar.start != start:
            listener.first[bar.contract.con_id] = missed + 1, bar.start == start

    def _closed(self, listener: BarListener, bar: Bar) -> None:
        count, whole = listener.first.pop(bar.contract.con_id, (0, True))
        if count:
            self._ask(listener, partial(self._whole, listener, bar, count, whole=whole))
        else:
            listener.put(bar)

    async def _whole(self, listener: BarListener, bar: Bar, count: int, *, whole: bool) -> None:
        """Put a bar that had begun before we listened in its place, whole, if history has it, and those before it."""
        length = listener.size.seconds * NS
        since = bar.end - count * length
        if listener.asked:  # what lies between the return and this bar was missed as well
            listener.asked = max(listener.asked, bar.end - length)
        await self._fetch(listener, bar.contract, since, bar.end, min(count, _MOST_MISSED))
        if whole:
            listener.put(bar)

    def _release(self, listener: BarListener) -> None:
        """Tell what has ended for every contract, oldest first."""
        now = monotonic()
        while listener.ended and not listener.asking:
            end = min(listener.ended)
            behind = [
                contract.con_id
                for contract in listener.contracts
                if listener.reached.get(contract.con_id, 0) < end
                and now - listener.heard.get(contract.con_id, 0.0) < _PATIENCE
            ]
            if behind:
                return
            found = listener.ended.pop(end)
            bars = tuple(found[each.con_id] for each in listener.contracts if each.con_id in found)
            listener.told = end
            listener.tell(BarsMissed(bars) if end <= listener.asked else BarClosed(bars))

    def _check(self) -> None:
        """Every second: bars that nothing more will end."""
        self._timer = asyncio.get_running_loop().call_later(_CHECK_SECONDS, self._check)
        now, moment = monotonic(), self._now()
        for feed in self._feeds.values():
            if feed.building is not None and feed.building.end <= moment - NS:
                bar, feed.building = feed.building, None
                self._take(bar)
        for listener in self._listeners:
            for con_id, aggregator in listener.aggregators.items():
                silent = now - listener.heard.get(con_id, now) > _PATIENCE
                length = listener.size.seconds * NS
                if silent and listener.reached.get(con_id, 0) // length < moment // length:
                    for bar in aggregator.flush():
                        self._closed(listener, bar)
            self._release(listener)
