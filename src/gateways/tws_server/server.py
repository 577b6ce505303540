"""The paper gateway: a TCP server that speaks TWS's socket protocol on a simulated market.

One event loop owns everything: connections, requests and the market's time. The market is looked at when its next
instant is due, or a command has been given; what it brings is told in the order in which it happened. A replay at
full speed stands still until a client follows the market or has an order at work, and steps as fast as clients read.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from src.domain.events import Event
from src.domain.market import Contract
from src.domain.orders import Execution, OrderId
from src.exchange.prices import Instant
from src.gateways.scenario import Scenario, request_names
from src.gateways.tws_codec import (
    CurrentTime,
    ManagedAccounts,
    NextValidId,
    PlaceOrder,
    Reply,
    ReqAccountUpdates,
    ReqAccountUpdatesMulti,
    ReqAllOpenOrders,
    ReqCompletedOrders,
    ReqCurrentTime,
    ReqExecutions,
    ReqManagedAccts,
    ReqOpenOrders,
    ReqPositions,
    Request,
    ServerHello,
    SetServerLogLevel,
    StartApi,
)
from src.gateways.tws_server.accounts import AccountDesk
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers
from src.gateways.tws_server.contracts import ContractDesk
from src.gateways.tws_server.depth import Depth
from src.gateways.tws_server.faults import Faults
from src.gateways.tws_server.history import History
from src.gateways.tws_server.market_data import MarketData
from src.gateways.tws_server.not_here import NOTHING_THERE, not_here
from src.gateways.tws_server.options import GatewayOptions
from src.gateways.tws_server.order_questions import OrderQuestions
from src.gateways.tws_server.order_teller import OrderTeller
from src.gateways.tws_server.orders import OrderDesk
from src.gateways.tws_server.past_ticks import PastTicks
from src.gateways.tws_server.placed_orders import PlacedOrders
from src.gateways.tws_server.profit import ProfitDesk
from src.gateways.tws_server.refusals import CLIENT_ID_IN_USE, RefusedError
from src.gateways.tws_server.streams import Streams
from src.gateways.tws_server.truth import Truth, TruthLog
from src.runtime.clock import NS
from src.runtime.market import Market

_log = logging.getLogger(__name__)
#: What a client asks for when it connects: answered without latency, so that it is ready at once.
_AT_ONCE: Final = frozenset(
    {
        ReqPositions, ReqOpenOrders, ReqCompletedOrders, ReqAccountUpdates, ReqAccountUpdatesMulti, ReqExecutions,
        ReqManagedAccts, ReqAllOpenOrders, SetServerLogLevel,
    }
)  # fmt: skip
_FARMS: Final = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
_LONGEST_SLEEP: Final = 1.0
_AFTER_TRADE: Final = 0.05
_VALUES_SECONDS: Final = 180.0
_PROFIT_SECONDS: Final = 1.0
_KEPT_BARS_SECONDS: Final = 5.0
_STEPS_AT_ONCE: Final = 16


class Server:
    """The gateway inside an event loop. `start` listens; `stop` ends every connection."""

    def __init__(self, market: Market, options: GatewayOptions) -> None:
        self.options = options
        self.max_server_version, self.latency = options.max_server_version, options.latency
        self.context = Context(market, options, self.deliver, self.wake)
        self.orders = PlacedOrders(options.first_number)
        self._teller = OrderTeller(self.context, self.orders)
        desk = OrderDesk(self.context, self.orders, self._teller)
        self.truth = TruthLog(options.log)
        self.faults = Faults(self.context, self, desk, self.truth)
        self.on_send: Callable[[Connection, Reply], None] | None = None
        self.accounts = AccountDesk(self.context)
        self.market_data = MarketData(self.context)
        self.history = History(self.context)
        self.profit = ProfitDesk(self.context)
        self._streams = Streams(self.context, self.market_data)
        self._depth = Depth(self.context, self.market_data)
        self._followed = (self.market_data, self.history, self._streams, self._depth, self.profit)
        self._takes_instants = (self.market_data, self._streams, self._depth)
        own: Handlers = {ReqCurrentTime: self._time, SetServerLogLevel: lambda *_: None}
        asked: list[Handlers] = [
            own,
            NOTHING_THERE,
            desk.handlers,
            OrderQuestions(self.context, self.orders).handlers,
        ]
        asked += [ContractDesk(self.context).handlers, PastTicks(self.context).handlers, self.accounts.handlers]
        asked += [part.handlers for part in self._followed]
        self._handlers = {cls: handler for handlers in asked for cls, handler in handlers.items()}
        self._news: deque[Event | Instant] = deque()
        self._connections: set[Connection] = set()
        self._listener: asyncio.Server | None = None
        self._turn_at: asyncio.TimerHandle | asyncio.Handle | None = None
        self._looks_soon = False
        self._timers: list[asyncio.TimerHandle] = []
        self._values_at: asyncio.TimerHandle | None = None
        self._coming_back: asyncio.Task[None] | None = None
        self.port = 0
        market.venue.exchange.number_executions_from(options.first_number)
        market.venue.follow(self._news.extend, self._news.append)

    # --- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> int:
        """Listen; returns the port. OSError when it is taken."""
        await self._listen(self.options.port)
        self._follow_scenario()
        self.faults.begin()
        self._every(_VALUES_SECONDS, self.accounts.tell_values)
        self._every(_PROFIT_SECONDS, self.profit.tell)
        self._every(_KEPT_BARS_SECONDS, self.history.tell)
        self.wake()
        return self.port

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._listener is not None:
            self._listener.close()
        self.faults.end()
        for handle in (self._turn_at, self._values_at, *self._timers):
            if handle is not None:
                handle.cancel()
        for connection in tuple(self._connections):
            connection.close()
        if self._coming_back is not None:
            self._coming_back.cancel()
        await asyncio.gather(*(connection.ended for connection in tuple(self._connections)))
        self.truth.close()

    async def _listen(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self), self.options.host, port)
        self.port = self._listener.sockets[0].getsockname()[1]

    def restart(self, seconds: float) -> None:
        """Close every connection and come back after `seconds` on the same port; orders and accounts stay."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in self.connections:
            connection.close()
        if self._coming_back is not None:
            self._coming_back.cancel()
        self._coming_back = asyncio.get_running_loop().create_task(self._come_back(seconds))

    async def _come_back(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while self._listener is None:
            try:
                await self._listen(self.port)
            except OSError as error:
                _log.warning("port %d cannot be listened on again yet: %s", self.port, error.strerror)
                await asyncio.sleep(_LONGEST_SLEEP)

    @property
    def is_listening(self) -> bool:
        """Whether somebody who connects now is heard; not in the middle of a restart."""
        return self._listener is not None

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Every connection there is."""
        return tuple(self._connections)

    def play(self, scenario: Scenario) -> None:
        """Misbehave from now on as these rules say, too."""
        self.faults.add(scenario)
        self._follow_scenario()

    def behave(self) -> None:
        """Forget every rule."""
        self.faults.clear()
        self._follow_scenario()

    def _follow_scenario(self) -> None:
        self.on_send = self.faults.send if self.faults.is_played else None

    def tell_truth(self) -> Truth:
        """Every order, request and fault so far, as they really are."""
        done: dict[OrderId, list[Execution]] = {}
        for account in self.context.accounts:
            for fill in self.context.fills(account):
                done.setdefault(fill.execution.order_id, []).append(fill.execution)
        held = {
            (str(account), each.contract.symbol): int(each.quantity)
            for account in self.context.accounts
            for each in self.accounts.view(account).positions
            if each.quantity
        }
        return self.truth.snapshot(
            self.orders.all(),
            lambda placed: tuple(done.get(placed.exchange_id, ())) if placed.exchange_id is not None else (),
            held,
        )

    def _every(self, seconds: float, tell: Callable[[], None]) -> None:
        """Call `tell` again and again; a fault is logged and does not end it."""
        loop = asyncio.get_running_loop()
        place = len(self._timers)

        def again() -> None:
            self._timers[place] = loop.call_later(seconds, again)
            try:
                tell()
            except Exception:  # noqa: BLE001  # the server outlives a fault
                _log.exception("the gateway could not tell what it should every %g s", seconds)

        self._timers.append(loop.call_later(seconds, again))

    # --- clients ---------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Market time."""
        return self.context.now()

    def connected(self, connection: Connection) -> None:
        """A socket was accepted."""
        self._connections.add(connection)
        if self.faults.is_played:
            self.faults.meets(connection)

    def greeting(self, connection: Connection, hello: ServerHello) -> ServerHello | None:
        """What a client is told first."""
        return self.faults.greeting(connection, hello) if self.faults.is_played else hello

    def start_client(self, connection: Connection, message: StartApi) -> None:
        """A client has said who it is."""
        if not connection.is_started and self._lets_in(connection, message):
            self._start(connection, message)

    def _start(self, connection: Connection, message: StartApi) -> None:
        """Greet a client, unless its id is taken."""
        holder = self.context.clients.get(message.client_id)
        if (holder is not None and holder.is_open) or message.client_id < 0:
            text = f"Unable to connect as the client id {message.client_id} is already in use. Retry with a unique one."
            connection.error(-1, CLIENT_ID_IN_USE, text)
            connection.close()
            return
        connection.client_id = message.client_id
        self.context.clients[message.client_id] = connection
        connection.is_at_once = True
        connection.send(ManagedAccounts(",".join(self.context.accounts)))
        connection.send(NextValidId(self.orders.next_id(message.client_id)))
        for code, text in _FARMS:
            connection.error(-1, code, text)
        connection.is_at_once = False

    def _lets_in(self, connection: Connection, message: Request) -> bool:
        """Note a request; whether it is to be served."""
        if self.faults.is_played:
            return self.faults.lets_in(connection, message)
        is_known = isinstance(message, PlaceOrder) and self.orders.knows(connection.client_id, message.order_id)
        self.truth.heard(connection.client_id, request_names(message, is_known_order=is_known)[-1], message)
        return True

    def receive(self, connection: Connection, message: Request) -> None:
        """A request has come."""
        if self._lets_in(connection, message):
            self.serve(connection, message)

    def serve(self, connection: Connection, message: Request) -> None:
        """Answer a request."""
        if isinstance(message, StartApi):
            self._start(connection, message)
            return
        connection.is_at_once = type(message) in _AT_ONCE
        try:
            handler = self._handlers.get(type(message))
            if handler is not None:
                handler(connection, message)
            else:
                not_here(connection, message)
        except RefusedError as refused:
            connection.error(getattr(message, "req_id", -1), refused.code, refused.text)
        finally:
            connection.is_at_once = False

    def lost(self, connection: Connection) -> None:
        """A client has gone; its orders stay."""
        self._connections.discard(connection)
        self.faults.forget(connection)
        if self.context.clients.get(connection.client_id) is connection:
            del self.context.clients[connection.client_id]
        for part in (self.accounts, *self._followed):
            part.forget(connection)

    def _time(self, connection: Connection, message: ReqCurrentTime) -> None:
        del message
        connection.send(CurrentTime(self.now() // NS))

    # --- the market ------------------------------------------------------------------------------------------------

    def wake(self, ordered: Contract | None = None) -> None:
        """Look at the market soon: a command was given, or somebody follows it now.

        An order needs no look where it was given and the next one is planned: its command has looked.
        """
        if not (self._looks_soon or (ordered is not None and self._is_looked_at_in_time(ordered))):
            self._look_in(0.0)

    def _is_looked_at_in_time(self, ordered: Contract) -> bool:
        """Whether an order has changed nothing of when the market must be looked at: none of it is on its way."""
        venue = self.context.venue
        if self._turn_at is None or venue.waits_for_reader or self.faults.is_played:
            return False
        exchange = venue.exchange
        return exchange.next_arrival is None and exchange.standing_quote(ordered) is not None

    def look(self) -> None:
        """Look at the market now: for a clock that a test has moved."""
        self._advance()

    def _look_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._turn_at is not None:
            self._turn_at.cancel()
        self._looks_soon = seconds <= 0
        self._turn_at = loop.call_later(seconds, self._turn) if seconds > 0 else loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_at, self._looks_soon = None, False
        try:
            wait = self._advance()
        except Exception:  # noqa: BLE001  # the server outlives a fault
            _log.exception("the market could not go on")
            wait = _LONGEST_SLEEP
        if self._turn_at is None and wait is not None:
            self._look_in(min(wait, _LONGEST_SLEEP))

    def _advance(self) -> float | None:
        """Bring the market up to its clock; returns the seconds to the next look, None when a client must ask first."""
        self.faults.look()
        venue = self.context.venue
        if venue.waits_for_reader:
            if any(connection.is_slow for connection in self._connections):
                return 0.001
            for _ in range(_STEPS_AT_ONCE):
                if not self._is_wanted():
                    return None
                wait = venue.pump()
                self.deliver()
                if wait is None:
                    return None
            return 0.0
        wait = venue.pump()
        self.deliver()
        return _LONGEST_SLEEP if wait is None else wait

    def _is_wanted(self) -> bool:
        """Whether a replay should go on: somebody follows it, or an order works."""
        if not self.context.clients:
            return False
        if any(part.is_followed for part in self._followed):
            return True
        exchange = self.context.venue.exchange
        return any(exchange.open_trades(account) for account in self.context.accounts)

    def deliver(self) -> None:
        """Tell what the market has brought, in the order in which it happened."""
        while self._news:
            news = self._news.popleft()
            if isinstance(news, Instant):
                for part in self._takes_instants:
                    part.take(news)
            else:
                self._teller.take(news)
                if self.truth.is_written:
                    self.truth.took(news, self.orders.of_event(news))
                self.accounts.take(news)
        if self.accounts.has_news and self._values_at is None:
            self._values_at = asyncio.get_running_loop().call_later(_AFTER_TRADE, self._tell_values)

    def _tell_values(self) -> None:
        self._values_at = None
        self.accounts.tell_values(summaries=False)
        self.profit.tell()
