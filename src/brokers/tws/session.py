"""What is known of one broker connection, put together: the loop-thread half of `TwsBroker`.

Everything here runs on the loop's thread, except the reads of what is finished (`book.trades`, `account.positions`,
`quotes.latest`, the plain flags). Messages change the books at once; readers and listeners see them at a packet's end.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from src.brokers.egress import Egress
from src.brokers.tws.account_book import AccountBook
from src.brokers.tws.connection import Connection
from src.brokers.tws.contracts import Contracts
from src.brokers.tws.hearing import Hearing
from src.brokers.tws.history import Bars, History
from src.brokers.tws.keeping import Keeper
from src.brokers.tws.lending import Lending
from src.brokers.tws.library import Wire
from src.brokers.tws.link import Link
from src.brokers.tws.listeners import Listeners
from src.brokers.tws.live_bars import BarListener, LiveBars
from src.brokers.tws.looking import Looking
from src.brokers.tws.market_data import MarketData
from src.brokers.tws.order_book import OrderBook
from src.brokers.tws.orders import Orders
from src.brokers.tws.pacing import MessagePacer
from src.brokers.tws.standing import Standing
from src.brokers.tws.timing import Timing
from src.domain.account import AccountPnL
from src.domain.account_ids import mode_of
from src.domain.codes import Meaning
from src.domain.errors import (
    ConfigurationError,
    ConnectionLostError,
    NotConnectedError,
    NotSupportedError,
)
from src.domain.events import STOOD_STILL, TOLD, ConnectionChanged, Event, Notice
from src.domain.market import BarSize, Contract, Mode, Quote, Shortability
from src.domain.orders import AccountId
from src.runtime.bridge import EventStream
from src.runtime.clock import monotonic, new_chance
from src.settings import Settings

_log: Final = logging.getLogger(__name__)
Address = tuple[str, int]
_NOT_CONNECTED: Final = 504
#: The farm of prices; the others serve history and contracts.
_PRICES_DOWN: Final = 2103
_ELSEWHERE: Final = "TWS is logged in to another account than before: start a new session"


class Session:
    """One broker's state over all its connections, which follow each other.

    `now` is the day's time, epoch ns; `where` looks for TWS anew, off this thread, before each attempt to reconnect.
    """

    def __init__(
        self,
        settings: Settings,
        now: Callable[[], int],
        egress: Egress | None = None,
        timing: Timing = Timing(),  # noqa: B008  # frozen
        where: Callable[[], Address | None] | None = None,
    ) -> None:
        self._settings, self.now, self._egress, self._timing, self._where = settings, now, egress, timing, where
        self.events: list[Event] = []
        self._news = asyncio.Event()
        self._pacer = MessagePacer(settings.max_requests_per_second, monotonic)
        self._wire: Wire | None = None
        self.connection: Connection | None = None
        self._hearing: Hearing | None = None
        self.listeners = Listeners()
        self.contracts = Contracts(lambda: self.wire, self._pacer)
        self.pnl_request: int | None = None
        self.pnl_failure: NotSupportedError | None = None
        self._wanted: list[Contract] = []  # quotes to subscribe to once connected again
        self.book, self.account = OrderBook(now, self.events), AccountBook(now, self.events)
        self.quotes = MarketData(
            now,
            self.events,
            lambda contract: self.wire.subscribe_quotes(contract),  # noqa: PLW0108  # another wire after each connection
            lambda request: self.wire.unsubscribe_quotes(request),  # noqa: PLW0108
            timing.competing,
        )
        self.lending = Lending(
            now,
            lambda contract, ticks: self.wire.subscribe_quotes(contract, ticks),  # noqa: PLW0108
            lambda request: self.wire.unsubscribe_quotes(request),  # noqa: PLW0108
        )
        self.orders = Orders(self, self.book, self._pacer, settings.order_timeout, timing.oldest_order)
        self.link = Link(now, self.events)
        self._keeper = Keeper(self, self._reopen, self._gone, settings, timing, now, new_chance())
        self._library_name, self._client_id, self._least_id = "", 0, 0
        self._history = History(lambda: self.wire, now, self._pacer)
        self.live_bars = LiveBars(
            now,
            lambda contract: self.wire.subscribe_bars(contract),  # noqa: PLW0108
            self._unsubscribe_bars,
            self.quotes.subscribe,
            self.history,
        )
        self.quotes.on_trade = self.live_bars.trade
        #: Read by other threads.
        self.is_up = self.is_synchronised = self.is_gone = False
        self.mode = Mode.DISCONNECTED
        self.address: Address = ("", 0)
        self.accounts: tuple[AccountId, ...] = ()
        self.library: str | None = None
        self.server_version: int | None = None
        self.last_message: float | None = None
        self.connections = 0
        self.looking = Looking(self, settings, timing)
        self._has_asked_again = False
        self.standing = Standing(self, timing, read_only=settings.read_only)

    # --- connection -------------------------------------------------------------------------------------------------

    async def connect(self, library: str, host: str, port: int, client_id: int) -> None:
        """Connect now, instead of the attempts under way; those go on when it fails."""
        trying = await self._keeper.pause()
        if self.is_up:
            return
        try:
            await self.open(library, host, port, client_id)
        except BaseException:
            if trying:
                self._keeper.resume()
            raise

    async def open(self, library: str, host: str, port: int, client_id: int) -> None:
        """Connect and synchronise; on failure everything is as before."""
        self._library_name, self._client_id = library, client_id
        hearing = Hearing(self)
        wire = Wire(library, hearing, self._egress)
        connection = hearing.connection = Connection(wire, self._settings, host, port, client_id)
        self._wire, self.connection, self._hearing, self.pnl_request = wire, connection, hearing, None
        self.link.is_up = True
        self._has_asked_again = False
        self.looking.begin()
        try:
            await connection.open()
            self.accounts = tuple(AccountId(each) for each in wire.accounts)
            account = connection.account()
            if self.account.account not in ("", account):
                raise ConfigurationError(_ELSEWHERE)  # noqa: TRY301
            self.account.account = self.book.account = account
            self.book.client_id = client_id
            self.mode = self.quotes.mode = mode_of(account)
            self.library, self.server_version = wire.version, wire.server_version
            wire.set_data_type(self._settings.market_data_type)
            self.account.begin_listing()
            await connection.synchronise(account)
            self.account.end_listing()
            wire.use_ids_above(max(self._least_id, self.book.highest_id))
            self.book.forget_others_but(connection.listed)
            self.pnl_request, self.pnl_failure = wire.subscribe_pnl(account), None
        except BaseException:
            self.connection = self._wire = None
            wire.close()
            self.account.invalidate()
            raise
        self.is_up, self.is_synchronised, self.is_gone = True, True, False
        self.connections += 1
        self.address = host, port
        self._keeper.opened()
        wire.ask_time()
        wanted, self._wanted = self._wanted, []
        for contract in wanted:
            self.quotes.subscribe(contract)
        self.live_bars.resubscribe()
        if self.connections > 1:
            self.events.append(ConnectionChanged(self.mode, connected=True))
        wire.ib.connectedEvent.emit()
        self.finish()

    async def _reopen(self) -> None:
        """One attempt to have the connection back, at the address where TWS is now."""
        found = None
        if self._where is not None:
            found = await asyncio.get_running_loop().run_in_executor(None, self._where)
        host, port = found or self.address
        await self.open(self._library_name, host, port, self._client_id)

    def _gone(self) -> None:
        """The connection will not come back by itself: readers are told, and wait no longer."""
        self.is_gone = True
        self.events.append(Notice(self.now(), _NOT_CONNECTED, self.no_connection))
        self.finish()

    def use_order_ids_above(self, order_id: int) -> None:
        """Number orders above the ids that an earlier session has used, whatever TWS says."""
        self._least_id = max(self._least_id, order_id)
        if self._wire is not None:
            self._wire.use_ids_above(self._least_id)

    async def close(self) -> None:
        """Leave, and end every stream."""
        self._keeper.stop()
        wire, self._wire, self.connection = self._wire, None, None
        self.is_up = self.is_synchronised = False
        self.live_bars.stop()
        self.looking.stop()
        if wire is not None:
            self._forget_connection()
            wire.close()
            await asyncio.sleep(0)  # the socket's end is told in the loop's next round
        self._wanted.clear()
        self.listeners.close()

    def _forget_connection(self) -> None:
        self._wanted = self.quotes.lost() or self._wanted
        self.live_bars.lost()
        self.lending.lost()
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
        return self.connection is not None and self.connection.is_read_only

    def check_can_trade(self, *, cancel: bool = False) -> None:
        """Raise NotConnectedError or OrderRefusedError when no order can be sent now."""
        self.standing.check(cancel=cancel)

    @property
    def absence(self) -> str | None:
        """Why TWS is not there although it was; None while it is."""
        return self._keeper.absence

    @property
    def no_connection(self) -> str:
        """Why there is none, and what to do."""
        return self.absence or "not connected: call connect() first"

    async def look(self) -> None:
        """Ask for orders and executions."""
        await self.looking.look()

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
        if self.events:
            events, self.events[:] = tuple(self.events), []
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

    async def shortability(self, contract: Contract) -> Shortability | None:
        """Whether a stock's shares can be borrowed, once TWS has said it, or has had the time to."""
        await self._pacer.turn()
        return await self.lending.of(contract, self._timing.shortable)

    async def first_pnl(self) -> AccountPnL:
        """The first profit and loss, once it has come."""
        await self._until(lambda: self.account.pnl is not None or self.pnl_failure is not None)
        if self.pnl_failure is not None:
            raise self.pnl_failure
        if self.account.pnl is None:
            raise ConnectionLostError("the connection was lost before TWS sent the profit and loss")
        return self.account.pnl

    async def current_values(self) -> None:
        """Wait a moment for the account's values of after the last execution."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._until(lambda: self.account.values_are_current), self._timing.values)

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

    # --- what is heard of all -----------------------------------------------------------------------------------------

    def heard_of_all(self, code: int, text: str) -> None:
        """A message about no request: the link to IB, the data farms."""
        what = self.link.heard(code, text)
        if what is Meaning.LINK_LOST:
            self.looking.doubt(link_is_back=False)
        if what is Meaning.LINK_LOST and self.link.is_up:
            self.link.is_up = False
            self.quotes.stale()
            self.live_bars.lost()
            self.events.append(ConnectionChanged(self.mode, connected=False, reason=f"{code} {text}"))
        elif what in (Meaning.LINK_BACK, Meaning.LINK_BACK_DATA_LOST) and not self.link.is_up:
            self.looking.recover(
                "its link to IB is back", data_lost=what is Meaning.LINK_BACK_DATA_LOST, link_is_back=True
            )
        elif what is Meaning.PORT_CHANGED:
            self.break_off(f"{code} {text}: set IBKR_PORT to TWS's new port, and start a new session", for_good=True)
        elif what is Meaning.FARM_DOWN and code == _PRICES_DOWN:
            self.quotes.stale()  # TWS does not say whose: what still ticks is good again at once
        elif what is Meaning.ACCOUNT_DATA:
            self._ask_for_account_again(code, text)
        elif what in (Meaning.FRAMING_LOST, Meaning.NOT_CONNECTED):
            self.break_off(f"{code} {text}")

    def slow_down(self) -> None:
        """TWS has had too many messages: nothing leaves for a second."""
        self._pacer.rest()

    def _ask_for_account_again(self, code: int, text: str) -> None:
        """Another program has taken the account's values: they are asked for again, once a connection."""
        if self._has_asked_again or self._wire is None:
            _log.error(
                "the account's values do not come any more: %s %s: let one program alone ask for them", code, text
            )
            return
        self._has_asked_again = True
        self._wire.subscribe_account(self.account.account)

    # --- how it is looked after: see `Patient` -----------------------------------------------------------------------

    def ask_time(self) -> None:  # noqa: D102
        if self._wire is not None:
            self._wire.ask_time()

    def is_dead(self, seconds: float) -> None:  # noqa: D102
        self.break_off(f"TWS has said nothing for {seconds:.1f} s, and does not answer")

    def has_slept(self, seconds: float) -> None:  # noqa: D102
        if not self.is_synchronised:
            return
        why = f"{STOOD_STILL} for {seconds:.0f} s"
        _log.warning("the connection to TWS is in doubt: %s", why, extra=TOLD)
        self.looking.doubt()
        self.is_synchronised = False
        self.quotes.stale()
        self.live_bars.lost()
        self.events.append(ConnectionChanged(self.mode, connected=False, reason=why))
        self.finish()
        self.looking.recover(why, data_lost=True)

    def look_again(self) -> None:  # noqa: D102
        if self.is_synchronised:  # also when nothing works: the message that was lost may be an order's last
            self.looking.look_later()

    def break_off(self, why: str, *, for_good: bool = False) -> None:
        """Close a connection that is good for nothing."""
        wire = self._wire
        self._lost(why, for_good=for_good)
        if wire is not None:
            wire.abort()

    def closed(self, hearing: Hearing, why: str) -> None:
        """The socket of a connection is closed; it matters when that is the one we have."""
        if hearing is self._hearing:
            self._lost(why)

    def _lost(self, why: str, *, for_good: bool = False) -> None:
        """The connection is gone; it is told once."""
        if not self.is_up:
            return
        self._keeper.note_loss(why)  # first: who finds that it is not up asks why
        self.is_up = self.is_synchronised = False
        self._wire = self.connection = None
        self._forget_connection()
        _log.warning("the connection to TWS is lost: %s", why, extra=TOLD)
        self.events.append(ConnectionChanged(self.mode, connected=False, reason=why))
        self.finish()
        self._keeper.lost(for_good=for_good)
