"""What is known of one broker connection, put together: the loop-thread half of `TwsBroker`.

Everything here runs on the loop's thread, except the reads of what is finished (`book.trades`, `account.positions`,
`quotes.latest`, the plain flags). Messages change the books at once; readers and listeners see them at a packet's end.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from src.brokers.egress import Egress
from src.brokers.tws import convert
from src.brokers.tws.account_book import AccountBook
from src.brokers.tws.connection import Connection, read_only_reason
from src.brokers.tws.contracts import Contracts
from src.brokers.tws.history import Bars, History
from src.brokers.tws.library import Wire
from src.brokers.tws.listeners import Listeners
from src.brokers.tws.live_bars import BarListener, LiveBars
from src.brokers.tws.market_data import MarketData
from src.brokers.tws.order_book import OrderBook
from src.brokers.tws.orders import Orders
from src.brokers.tws.pacing import MessagePacer
from src.domain.account import AccountPnL, OrderPreview, mode_of
from src.domain.codes import Meaning, RequestKind, meaning
from src.domain.errors import (
    BrokerError,
    ConfigurationError,
    ConnectionFailedError,
    ConnectionLostError,
    NotConnectedError,
    NotSupportedError,
    NotSynchronisedError,
    OrderRefusedError,
)
from src.domain.events import ConnectionChanged, Event, Notice
from src.domain.market import BarSize, Contract, Mode, Quote
from src.domain.orders import AccountId, CommissionReport, OrderId
from src.runtime.bridge import EventStream
from src.runtime.clock import monotonic
from src.settings import Settings

_log: Final = logging.getLogger(__name__)
_NO_LINK: Final = "TWS has lost its connection to IB (1100); it tries again by itself"
#: Real seconds that TWS may take to confirm what executions have done to a position, before it is asked.
_CONFIRM_SECONDS: Final = 2.0
_MESSAGES_KEPT: Final = 50
_LOOK_SECONDS: Final = 4.0
#: Real seconds that the account's values may come after an execution.
_VALUES_SECONDS: Final = 1.0


class Session:
    """One broker's state over all its connections, which follow each other. `now` is epoch ns."""

    def __init__(self, settings: Settings, now: Callable[[], int], egress: Egress | None = None) -> None:
        self._settings, self._now, self._egress = settings, now, egress
        self._events: list[Event] = []
        self._news = asyncio.Event()
        self._pacer = MessagePacer(settings.max_requests_per_second, monotonic)
        self._wire: Wire | None = None
        self._connection: Connection | None = None
        self.listeners = Listeners()
        self.contracts = Contracts(lambda: self.wire, self._pacer)
        self._tasks: set[asyncio.Task[None]] = set()
        self._look: asyncio.Task[None] | None = None
        self._confirming = False
        self._pnl_request: int | None = None
        self._pnl_failure: NotSupportedError | None = None
        self._wanted: list[Contract] = []  # quotes to subscribe to once connected again
        self.book, self.account = OrderBook(now, self._events), AccountBook(now, self._events)
        self.quotes = MarketData(now, self._events, lambda contract: self.wire.subscribe_quotes(contract))  # noqa: PLW0108
        self.orders = Orders(self, self.book, self._pacer, settings.order_timeout)
        self._history = History(lambda: self.wire, now, self._pacer)
        self.live_bars = LiveBars(
            now,
            lambda contract: self.wire.subscribe_bars(contract),  # noqa: PLW0108  # another wire after each connection
            self._unsubscribe_bars,
            self.quotes.subscribe,
            self.history,
        )
        self.quotes.on_trade = self.live_bars.trade
        #: Read by other threads.
        self.is_up = self.is_synchronised = False
        self.link_is_up = True
        self.mode = Mode.DISCONNECTED
        self.accounts: tuple[AccountId, ...] = ()
        self.library: str | None = None
        self.server_version: int | None = None
        self.last_message: float | None = None
        self.connections = 0
        self.messages: deque[tuple[int, str]] = deque(maxlen=_MESSAGES_KEPT)

    # --- connection -------------------------------------------------------------------------------------------------

    async def open(self, library: str, host: str, port: int, client_id: int) -> None:
        """Connect and synchronise; on failure everything is as before."""
        wire = Wire(library, self, self._egress)
        connection = Connection(wire, self._settings, host, port, client_id)
        self._wire, self._connection, self._pnl_request = wire, connection, None
        self.link_is_up = True
        try:
            await connection.open()
            self.accounts = tuple(AccountId(each) for each in wire.accounts)
            account = connection.account()
            if self.account.account not in ("", account):
                raise ConfigurationError(  # noqa: TRY301
                    "TWS is logged in to another account than before: start a new session"
                )
            self.account.account = self.book.account = account
            self.book.client_id = client_id
            self.mode = self.quotes.mode = mode_of(account)
            self.library, self.server_version = wire.version, wire.server_version
            wire.set_data_type(self._settings.market_data_type)
            self.account.begin_listing()
            await connection.synchronise(account)
            self.account.end_listing()
            self.book.forget_others_but(connection.listed)
            self._pnl_request, self._pnl_failure = wire.subscribe_pnl(account), None
        except BaseException:
            self._connection = self._wire = None
            wire.close()
            self.account.invalidate()
            raise
        self.is_up = self.is_synchronised = True
        self.connections += 1
        wanted, self._wanted = self._wanted, []
        for contract in wanted:
            self.quotes.subscribe(contract)
        self.live_bars.resubscribe()
        if self.connections > 1:
            self._events.append(ConnectionChanged(self.mode, connected=True))
        wire.ib.connectedEvent.emit()
        self.finish()

    async def close(self) -> None:
        """Leave, and end every stream."""
        wire, self._wire, self._connection = self._wire, None, None
        self.is_up = self.is_synchronised = False
        self.live_bars.stop()
        for task in self._tasks:
            task.cancel()
        if wire is not None:
            self._forget_connection()
            wire.close()
            await asyncio.sleep(0)  # the socket's end is told in the loop's next round
        self._wanted.clear()
        self.listeners.close()

    def _forget_connection(self) -> None:
        self._wanted = self.quotes.lost() or self._wanted
        self.account.invalidate()
        self.orders.lost()

    @property
    def seconds_waited(self) -> float:
        """How long requests waited so that TWS's limits were kept."""
        return self._pacer.seconds_waited

    @property
    def wire(self) -> Wire:
        """The open connection; NotConnectedError."""
        if self._wire is None:
            raise NotConnectedError("not connected: call connect() first")
        return self._wire

    @property
    def is_read_only(self) -> bool:
        """Whether TWS takes no orders from its API."""
        return self._connection is not None and self._connection.is_read_only

    @property
    def trouble(self) -> str | None:
        """What is wrong although TWS answers, in words for a person."""
        if not self.link_is_up:
            return _NO_LINK
        connection = self._connection
        return read_only_reason() if connection is not None and connection.is_read_only else None

    def check_can_trade(self, *, cancel: bool = False) -> None:
        """Raise NotConnectedError or OrderRefusedError when no order can be sent now."""
        if self._wire is None or not self.is_synchronised:
            raise NotConnectedError("not connected: call connect() first; nothing was sent")
        if not self.link_is_up:
            raise NotConnectedError(f"nothing was sent: {_NO_LINK}")
        if self._settings.read_only and not cancel:
            raise OrderRefusedError("IBKR_READ_ONLY=true: nothing was sent", code=None)
        if self._connection is not None and self._connection.is_read_only:
            raise OrderRefusedError(f"nothing was sent: {read_only_reason()}", code=321)

    async def synchronise(self) -> None:
        """Ask for orders, executions and positions; NotSynchronisedError when a part is not answered."""
        connection = self._connection
        if connection is None or not self.is_synchronised:
            raise NotSynchronisedError("TWS is not there: orders and positions are as they were last heard of")
        if connection.is_read_only:
            raise NotSynchronisedError(f"TWS does not list its orders: {read_only_reason()}")
        try:
            await connection.look(self._settings.connect_timeout)
            self.book.forget_others_but(connection.listed)
            self.account.begin_listing()
            await connection.list_positions(self._settings.connect_timeout)
        except ConnectionFailedError as error:
            raise NotSynchronisedError(f"not all is known of the account: {error}") from None
        self.account.end_listing()
        self.finish()

    async def look(self) -> None:
        """Ask for orders and executions; several who ask at once share one question."""
        if self._look is None or self._look.done():
            if self._connection is None:
                return
            self._look = asyncio.ensure_future(self._connection.look(_LOOK_SECONDS))
        try:
            await asyncio.shield(self._look)
            if self._connection is not None:
                self.book.forget_others_but(self._connection.listed)
        except BrokerError as error:
            _log.warning("TWS's lists of orders could not be read: %s", error)

    def _confirm_later(self, *, missed: bool) -> None:
        """Positions moved by executions are confirmed by TWS within moments; if not, they are asked for."""
        if self._confirming:
            return
        self._confirming = True

        async def confirm() -> None:
            try:
                await asyncio.sleep(_CONFIRM_SECONDS)
                if (missed or self.account.has_unconfirmed) and self._connection is not None:
                    self.account.begin_listing()
                    await self._connection.list_positions(_LOOK_SECONDS)
                    self.account.end_listing()
                    self.finish()
            except BrokerError as error:
                _log.warning("TWS's list of positions could not be read: %s", error)
            finally:
                self._confirming = False

        self._run(confirm())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- listeners --------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Show readers what has changed, wake who waits for it, and tell the listeners."""
        self._news.set()
        # Positions first: who reads orders and then positions sees an execution twice rather than not at all.
        self.account.finish()
        touched = self.book.finish()
        self.quotes.finish()
        if touched:
            self.orders.touched(touched)
        if self._events:
            events, self._events[:] = tuple(self._events), []
            self.listeners.tell(events)

    async def listen(self, stream: EventStream, contracts: tuple[Contract, ...], bars: BarSize | None) -> None:
        """Tell a stream what happens from now on."""
        for _ in contracts:
            await self._pacer.turn()
        listener = BarListener(stream.publish, contracts, bars) if bars is not None else None
        if listener is not None:
            self.live_bars.listen(listener)
        else:
            for contract in contracts:
                self.quotes.subscribe(contract)
        self.listeners.add(stream, contracts, listener)

    # --- questions --------------------------------------------------------------------------------------------------

    async def first_quote(self, contract: Contract) -> Quote:
        """The first quote of a contract, once it has come."""
        await self._pacer.turn()
        return await self.quotes.first(contract)

    async def first_pnl(self) -> AccountPnL:
        """The first profit and loss, once it has come."""
        await self._until(lambda: self.account.pnl is not None or self._pnl_failure is not None)
        if self._pnl_failure is not None:
            raise self._pnl_failure
        if self.account.pnl is None:
            raise ConnectionLostError("the connection was lost before TWS sent the profit and loss")
        return self.account.pnl

    async def current_values(self) -> None:
        """Wait a moment for the account's values of after the last execution."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._until(lambda: self.account.values_are_current), _VALUES_SECONDS)

    async def _until(self, true: Callable[[], bool]) -> None:
        """Return once something holds, or the connection is gone; looks at the end of each packet."""
        while self.is_up and not true():
            self._news.clear()
            await self._news.wait()

    async def history(self, contract: Contract, size: BarSize, count: int, end: int | None) -> Bars:
        """Closed bars, oldest first."""
        return await self._history.bars(contract, size, count, end, self._settings.historical_data_timeout)

    def _unsubscribe_bars(self, request: int) -> None:
        if self._wire is not None:
            self._wire.unsubscribe_bars(request)

    # --- what TWS says ----------------------------------------------------------------------------------------------

    def on_open_order(self, found: convert.OpenOrder) -> None:
        """See `Inbox`, here and below."""
        self.book.opened(self._named(found))

    def on_completed_order(self, found: convert.OpenOrder) -> None:  # noqa: D102
        self.book.completed(self._named(found))

    def _named(self, found: convert.OpenOrder) -> convert.OpenOrder:
        return replace(found, order=replace(found.order, contract=self.contracts.known(found.order.contract)))

    def on_order_status(self, report: convert.StatusReport) -> None:  # noqa: D102
        self.book.reported(report)

    def on_execution(self, executed: convert.Executed, request: int) -> None:  # noqa: D102
        execution = replace(executed.execution, contract=self.contracts.known(executed.execution.contract))
        live = request < 0
        moved = self.book.executed(replace(executed, execution=execution), live=live or self.connections > 0)
        if moved is None:
            return
        if live:
            self.account.executed(execution, moved)
        if live or self.is_synchronised:  # one that was missed has moved a position unseen
            self._confirm_later(missed=not live)

    def on_commission(self, report: CommissionReport) -> None:  # noqa: D102
        execution = self.book.charged(report, live=self.is_synchronised or self.connections > 0)
        if execution is not None and self.is_synchronised:
            self.account.charged(execution, report)

    def on_preview(self, order_id: OrderId, preview: OrderPreview | None) -> None:  # noqa: D102
        self.orders.previewed(order_id, preview)

    def on_position(self, account: AccountId, contract: Contract, quantity: Decimal, cost: Decimal) -> None:  # noqa: D102
        self.account.position(account, self.contracts.known(contract), quantity, cost)

    def on_portfolio(self, row: convert.PortfolioRow) -> None:  # noqa: D102
        self.account.portfolio(replace(row, contract=self.contracts.known(row.contract)))

    def on_account_value(self, account: AccountId, tag: str, value: str, currency: str) -> None:  # noqa: D102
        self.account.value(account, tag, value, currency)

    def on_account_time(self) -> None:  # noqa: D102
        self.account.values_told()

    def on_account_summary(self, account: AccountId, tag: str, value: str, currency: str) -> None:  # noqa: D102
        self.account.summary(account, tag, value, currency)

    def on_pnl(self, values: tuple[Decimal | None, Decimal | None, Decimal | None]) -> None:  # noqa: D102
        self.account.profit(*values)

    def on_price(self, request: int, tick: int, price: float, size: float) -> bool:  # noqa: D102
        return self.quotes.price(request, tick, price, size)

    def on_size(self, request: int, tick: int, size: float) -> bool:  # noqa: D102
        return self.quotes.size(request, tick, size)

    def on_data_type(self, request: int, data_type: int) -> bool:  # noqa: D102
        return self.quotes.data_type(request, data_type)

    def on_real_time_bar(self, request: int, start: int, prices: tuple[float, ...]) -> bool:  # noqa: D102
        return self.live_bars.bar(request, start, prices)

    def on_error(self, request: int, code: int, text: str) -> None:  # noqa: D102
        if self._connection is not None:
            self._connection.heard(code, text)
        if self.orders.knows(OrderId(request)):
            self.orders.heard(OrderId(request), code, text, self._now())
        elif self.quotes.knows(request):
            self.quotes.heard(request, code, text)
        elif self.live_bars.knows(request):
            self.live_bars.heard(request, code, text)
        elif request == self._pnl_request:
            self._pnl_failure = NotSupportedError(f"no profit and loss of the account: {text}", code=code)
        elif request < 0:
            self._heard_of_all(code, text)

    def _heard_of_all(self, code: int, text: str) -> None:
        """A message about no request: the link to IB, the data farms."""
        self.messages.append((code, text))
        what = meaning(code, RequestKind.NONE)
        if what is Meaning.CLIENT_ID_IN_USE:  # what ends the connecting is told by its error
            return
        _log.log(logging.DEBUG if what is Meaning.INFO else logging.WARNING, "TWS: %s %s", code, text)
        if what is Meaning.INFO:
            return
        self._events.append(Notice(self._now(), code, text))
        if what in (Meaning.LINK_LOST, Meaning.PORT_CHANGED) and self.link_is_up:
            self.link_is_up = False
            self._events.append(ConnectionChanged(self.mode, connected=False, reason=f"{code} {text}"))
        elif what in (Meaning.LINK_BACK, Meaning.LINK_BACK_DATA_LOST) and not self.link_is_up:
            self._run(self._recover(data_lost=what is Meaning.LINK_BACK_DATA_LOST))

    async def _recover(self, *, data_lost: bool) -> None:
        """IB is back: look what has happened, subscribe anew if the data were lost, then trade on."""
        await self.look()
        if data_lost:
            for contract in self.quotes.lost():
                self.quotes.subscribe(contract)
            self.live_bars.resubscribe()
        self.link_is_up = True
        self._events.append(ConnectionChanged(self.mode, connected=True))
        self.finish()

    def on_packet(self) -> None:  # noqa: D102
        self.last_message = monotonic()
        if self._connection is not None:
            self._connection.packet()

    def on_packet_end(self) -> None:  # noqa: D102
        self.finish()

    def on_closed(self, reason: str) -> None:  # noqa: D102
        if self._connection is not None:
            self._connection.closed(reason)
        if self.is_up:
            self.is_up = self.is_synchronised = False
            self._wire = self._connection = None
            self._forget_connection()
            why = reason or "TWS has closed the connection"
            _log.warning("the connection to TWS is lost: %s", why)
            self._events.append(ConnectionChanged(self.mode, connected=False, reason=why))
            self.finish()
