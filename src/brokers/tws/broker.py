"""TwsBroker: the Broker protocol over TWS or IB Gateway, callable from any thread.

One thread owns the connection and the library; a call is handed to it and waited for, at most until its deadline.
Reads of what is known already - positions, account, quotes, orders, fills - take finished snapshots without a hop.
"""

import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Final, TypeVar

from src.brokers.broker import Bars, BrokerHealth
from src.brokers.egress import Egress
from src.brokers.tws import library
from src.brokers.tws.accounts import source_of, summary_from
from src.brokers.tws.asking import RequestCounts, answered, unless_stopped
from src.brokers.tws.connection import MOST_PATIENCE
from src.brokers.tws.market_data import FIRST_QUOTE_SECONDS
from src.brokers.tws.session import Address, Session
from src.brokers.tws.timing import Timing
from src.domain.account import AccountPnL, AccountSummary, OrderPreview, Position
from src.domain.errors import (
    BrokerError,
    InvalidOrderError,
    NotConnectedError,
    NotSynchronisedError,
    UnknownContractError,
    UnknownOrderError,
)
from src.domain.market import BarSize, Contract, ContractDetails, Mode, Quote, Shortability
from src.domain.orders import AccountId, Bracket, Fill, Order, OrderChange, OrderId, Trade
from src.domain.rejections import UNKNOWN_ORDER
from src.runtime.bridge import EventStream, LoopThread, Reply, UnaskedError
from src.runtime.clock import Clock, SystemClock, monotonic, new_session_id, to_nanoseconds
from src.runtime.worker import new_lock
from src.settings import Settings

_log: Final = logging.getLogger(__name__)
_T = TypeVar("_T")
_CLOSING_SECONDS: Final = 2.0
#: How long a reader waits before it looks whether the broker has left; `publish` and `close` wake it at once.
_LISTENING_SECONDS: Final = 60.0


class TwsBroker:
    """One account at the TWS of `host` and `port`; `client_id` is the settings' own unless given.

    `egress` counts the orders that leave against those let go; without one, all that the broker is asked for leave.
    A connection that is lost is tried again by itself, as the settings say and in the rhythm of `timing`: at the
    address that `where` finds then, else at the same.
    """

    def __init__(  # noqa: PLR0913  # tests have a rhythm and a clock of their own
        self,
        settings: Settings,
        host: str,
        port: int,
        *,
        client_id: int | None = None,
        clock: Clock | None = None,
        egress: Egress | None = None,
        timing: Timing = Timing(),  # noqa: B008  # frozen
        where: Callable[[], Address | None] | None = None,
    ) -> None:
        self._settings, self._first_address = settings, (host, port)
        self._client_id = settings.client_id if client_id is None else client_id
        self._clock = clock or SystemClock()
        self._session = Session(settings, self._clock.now, egress, timing, where)
        self._thread: LoopThread | None = None
        self._lock = new_lock()
        self._counts = RequestCounts()
        self._prefix, self._orders = new_session_id(), 0
        self._details: dict[Contract, ContractDetails] = {}

    # --- connection -------------------------------------------------------------------------------------------------

    @property
    def account_id(self) -> AccountId:
        """The account that orders go to; empty before the first connection."""
        return self._session.book.account

    @property
    def mode(self) -> Mode:
        """Simulated, paper or live, by the account; `disconnected` before the first connection."""
        return self._session.mode

    @property
    def is_connected(self) -> bool:
        """Whether orders can be sent now: TWS answers, is synchronised, and has its link to IB."""
        session = self._session
        return session.is_synchronised and session.link.is_up

    @property
    def is_read_only(self) -> bool:
        """Whether TWS has said that its API takes no orders."""
        return self._session.is_read_only

    @property
    def messages(self) -> tuple[tuple[int, str], ...]:
        """What TWS has said of late that was about no request: code and text, oldest first."""
        return tuple(self._session.link.messages)

    def now(self) -> int:
        """The time of day."""
        return self._clock.now()

    def connect(self) -> None:
        """Connect and synchronise; ConnectionFailedError names the phase that failed. Once connected, nothing."""
        with self._lock:
            if self._session.is_up:
                return
            name = library.choose(self._settings.library)
            thread = self._thread = self._thread or LoopThread("tws")
            opening = self._session.connect(name, *self._address, self._client_id)
            try:
                self._await(thread, opening, self._longest, "the connection")
            except BaseException:
                if not self._session.connections:
                    self._thread = None
                    thread.stop()
                raise

    @property
    def _longest(self) -> float:
        """Seconds that the account's whole state may take while it keeps coming."""
        return 2 * MOST_PATIENCE * self._settings.connect_timeout

    @property
    def _address(self) -> Address:
        """Where TWS was last."""
        return self._session.address if self._session.connections else self._first_address

    def use_order_ids_above(self, order_id: int) -> None:
        """Number orders above the ids that an earlier session has used, whatever TWS says."""
        thread = self._thread
        if thread is not None:
            thread.loop.call_soon_threadsafe(self._session.use_order_ids_above, order_id)

    def synchronise(self) -> None:
        """Ask TWS for orders, executions and positions anew; NotSynchronisedError when a part is not answered."""
        self._check_connected()
        self._ask(self._session.looking.synchronise(), self._longest, "orders, executions and positions")

    def disconnect(self) -> None:
        """Leave TWS and end every event stream; idempotent, never raises. Working orders stay at TWS."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            try:
                self._await(thread, self._session.close(), _CLOSING_SECONDS, "the end")
            except BrokerError as error:
                _log.warning("the connection to TWS did not end well: %s", error)
                self._session.listeners.close()
            thread.stop()

    def health(self) -> BrokerHealth:
        """How the connection is."""
        session, last = self._session, self._session.last_message
        return BrokerHealth(
            mode=session.mode if session.is_up else Mode.DISCONNECTED,
            connected=self.is_connected,
            host=self._address[0],
            port=self._address[1],
            client_id=self._client_id,
            library=session.library,
            server_version=session.server_version,
            accounts=session.accounts,
            data_source=self._data_source(),
            last_message_age=None if last is None else monotonic() - last,
            open_orders=len(session.book.working),
            reconnects=max(session.connections - 1, 0),
            error=session.standing.trouble,
            pacing_wait=session.seconds_waited,
            request_seconds=self._counts.seconds,
        )

    def _data_source(self) -> str:
        """The source of the newest quote; before the first one, of what was asked for."""
        newest = max(tuple(self._session.quotes.latest.values()), key=lambda quote: quote.time, default=None)
        if newest is not None:
            return newest.source.value
        return source_of(self._settings.market_data_type, self._session.mode).value

    def tws(self, fn: Callable[[Any], Any], timeout: float | None = None) -> Any:  # noqa: ANN401  # the user's own
        """Run `fn(ib)` on the connection's thread, with the library's IB object, and return what it returns.

        For what is not wrapped here. `fn` must not block; what it returns is awaited if it can be.
        """

        async def run() -> Any:  # noqa: ANN401
            result = fn(self._session.wire.ib)
            return await result if hasattr(result, "__await__") else result

        return self._ask(run(), self._settings.read_timeout if timeout is None else timeout, "your function")

    # --- contracts and prices ---------------------------------------------------------------------------------------

    def qualify(self, contract: Contract) -> Contract:
        """Return the one contract meant, with its con_id; UnknownContractError, with candidates when ambiguous."""
        return self.contract_details(contract).contract

    def contract_details(self, contract: Contract) -> ContractDetails:
        """Name, tick, zone and hours, as TWS says them; asked for once, and again when the hours are past."""
        self._check_connected()
        known = self._details.get(contract)
        if known is None or (known.sessions and known.sessions[-1][1] <= self.now()):
            if not contract.symbol.strip() and not contract.con_id:
                raise UnknownContractError("a contract needs a symbol or a con_id")
            known = self._ask(self._session.contracts.details(contract), self._settings.read_timeout, "the contract")
            self._details[contract] = self._details[known.contract] = known
        return known

    def quote(self, contract: Contract) -> Quote:
        """The newest quote; the first call subscribes and waits for it. NoMarketDataError names the cause."""
        session = self._session
        if contract.con_id and session.is_up and (known := session.quotes.latest.get(contract.con_id)) is not None:
            return known  # as nearly always: a read, and no hop
        self._check_connected()
        own = self.qualify(contract)
        quote = session.quotes.latest.get(own.con_id)
        if quote is None:
            quote = self._ask(session.first_quote(own), FIRST_QUOTE_SECONDS + 1, f"a quote of {own.symbol}")
        return quote

    def latest_quote(self, contract: Contract) -> Quote | None:
        """The newest quote of a contract that somebody has subscribed to; None when none has come."""
        details = None if contract.con_id else self._details.get(contract)
        return self._session.quotes.latest.get(details.contract.con_id if details else contract.con_id)

    def shortability(self, contract: Contract) -> Shortability | None:
        """What TWS's shortable tick says of a stock; the first call subscribes to it and waits a moment."""
        self._check_connected()
        own = self.qualify(contract)
        if own.sec_type != "STK":
            return None
        known = self._session.lending.latest.get(own.con_id)
        if known is None:
            seconds = self._settings.read_timeout
            known = self._ask(self._session.shortability(own), seconds, f"whether {own.symbol} can be borrowed")
        return known

    def bars(self, contract: Contract, size: BarSize, count: int, *, end: datetime | None = None) -> Bars:
        """Up to `count` closed bars of regular hours, oldest first, that ended by `end` (default: now)."""
        own = self.qualify(contract)
        history = self._session.history(own, size, count, to_nanoseconds(end) if end else None)
        return self._ask(history, self._settings.historical_data_timeout, f"bars of {own.symbol}")

    # --- account ----------------------------------------------------------------------------------------------------

    def account_summary(self) -> AccountSummary:
        """IB's account tags as they last came: at a change of position, and every three minutes.

        After an execution the values that contain it are waited for, a second at most; `as_of` says what they are.
        """
        self._check_connected()
        book = self._session.account
        if not book.values_are_current:
            self._ask(self._session.current_values(), self._settings.read_timeout, "the account's values")
        values, as_of = book.values, book.as_of
        if as_of is None:
            raise NotSynchronisedError("TWS has not sent the account's values yet")
        return summary_from(self.account_id, values, book.currency, as_of)

    def pnl(self) -> AccountPnL:
        """Today's, open and closed profit and loss, about a second old."""
        self._check_connected()
        pnl = self._session.account.pnl
        if pnl is None:
            pnl = self._ask(self._session.first_pnl(), self._settings.read_timeout, "the profit and loss")
        return pnl

    def positions(self) -> tuple[Position, ...]:
        """Open positions, and those closed with something realized (quantity 0)."""
        self._check_connected()
        positions = self._session.account.positions
        if positions is None:
            raise NotSynchronisedError("TWS has not listed the positions yet: they are unknown, not flat")
        return positions

    # --- orders -----------------------------------------------------------------------------------------------------

    def preview_order(self, order: Order) -> OrderPreview:
        """Margin and commission an order would take; nothing is sent to a market."""
        return self._order(self._session.orders.preview(self._own(order)))

    def place_order(self, order: Order) -> Trade:
        """Send an order; return once TWS has acknowledged it."""
        own, asked = self._own(order), monotonic()
        orders, longest = self._session.orders, 2 * self._settings.order_timeout

        def begin(reply: Reply[tuple[Trade, ...]]) -> None:
            orders.place(own, asked, reply)

        [trade] = self._counted(
            lambda thread: answered(lambda seconds: thread.ask(begin, seconds), longest, "the order"), "the order"
        )
        return trade

    def place_bracket(self, bracket: Bracket) -> tuple[Trade, ...]:
        """Send parent, target and stop as one."""
        own = Bracket(*(self._own(leg) for leg in (bracket.parent, bracket.take_profit, bracket.stop_loss)))
        return self._order(self._session.orders.place_bracket(own, monotonic()))

    def modify_order(self, order_id: OrderId, change: OrderChange) -> Trade:
        """Change a working order; the old one stays when TWS refuses."""
        self._check_connected()
        return self._order(self._session.orders.modify(order_id, change))

    def cancel_order(self, order_id: OrderId) -> Trade:
        """Cancel a working order; the trade returned says whether it was, or had ended before."""
        self._check_connected()
        return self._order(self._session.orders.cancel(order_id))

    def trade(self, order_id: OrderId) -> Trade:
        """One order's state; UnknownOrderError for one that this client has not placed."""
        self._check_connected()
        trade = self._session.book.trades.get(order_id)
        if trade is None:
            raise UnknownOrderError(f"no order {order_id} of this client", code=UNKNOWN_ORDER)
        return trade

    def open_trades(self) -> tuple[Trade, ...]:
        """All working orders of the account, other clients' and manual ones as they were when last listed."""
        self._check_connected()
        return tuple(self._session.book.working.values())

    def completed_trades(self) -> tuple[Trade, ...]:
        """The day's orders that are done."""
        self._check_connected()
        return tuple(self._session.book.done.values())

    def unshown(self) -> frozenset[int]:
        """The perm ids of working orders of which an orderStatus has come and no openOrder."""
        self._check_connected()
        return frozenset(self._session.book.unshown)

    def fills(self, *, since: datetime | None = None) -> tuple[Fill, ...]:
        """The day's executions with their commissions, oldest first."""
        self._check_connected()
        first = to_nanoseconds(since) if since else 0
        fills = [fill for fill in tuple(self._session.book.fills.values()) if fill.execution.time >= first]
        return tuple(sorted(fills, key=lambda fill: fill.execution.time))

    def events(self, *contracts: Contract, bars: BarSize | None = None) -> EventStream:
        """Order events, and quotes (or bars of a size) of these contracts, until `disconnect`."""
        self._check_connected()
        own = tuple(self.qualify(contract) for contract in contracts)
        stream = EventStream(self._wait_for_events, self._forget)
        self._ask(self._session.listen(stream, own, bars), self._settings.read_timeout, "the subscription")
        return stream

    # ----------------------------------------------------------------------------------------------------------------

    def _check_connected(self) -> None:
        if not self._session.is_up:
            raise NotConnectedError(self._session.no_connection)

    def _own(self, order: Order) -> Order:
        """The order as it leaves: contract qualified, account and reference set."""
        self._check_connected()
        if order.account not in ("", self.account_id):
            raise InvalidOrderError("that account is not this broker's: leave it empty")
        reference = order.order_ref
        if not reference:
            with self._lock:
                self._orders += 1
                reference = f"{self._prefix}-{self._orders}"
        contract, account = self.qualify(order.contract), self.account_id
        if order.order_ref and order.account and order.contract is contract:
            return order
        return order.addressed(contract, account, reference)

    def _order(self, request: Coroutine[Any, Any, _T]) -> _T:
        """A request about orders; a second more than its own deadline, for the look at TWS's lists."""
        return self._ask(request, 2 * self._settings.order_timeout, "the order")

    def _ask(self, request: Coroutine[Any, Any, _T], timeout: float, what: str) -> _T:
        try:
            return self._counted(lambda thread: self._await(thread, request, timeout, what), what)
        except NotConnectedError:
            request.close()  # it was not begun, or has ended
            raise

    def _counted(self, ask: Callable[[LoopThread], _T], what: str) -> _T:
        """What the connection's thread answers; NotConnectedError when there is none."""
        thread = self._thread
        if thread is None or not self._session.is_up:
            raise NotConnectedError(self._session.no_connection)
        began = monotonic()
        try:
            return ask(thread)
        finally:
            self._counts.count(what, began)

    def _await(self, thread: LoopThread, request: Coroutine[Any, Any, _T], timeout: float, what: str) -> _T:
        def call(seconds: float) -> _T:
            try:
                return thread.call(unless_stopped(request, lambda: self._thread is not thread, what), seconds)
            except UnaskedError:
                request.close()
                raise

        return answered(call, timeout, what)

    def _wait_for_events(self) -> float | None:
        """How long a reader may sleep; None once the broker has left, or TWS is gone for good."""
        return None if self._thread is None or self._session.is_gone else _LISTENING_SECONDS

    def _forget(self, stream: EventStream) -> None:
        bars = self._session.listeners.remove(stream)
        thread = self._thread
        if bars is not None and thread is not None:
            thread.loop.call_soon_threadsafe(self._session.live_bars.forget, bars)
