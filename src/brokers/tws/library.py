"""ib_insync or ib_async, whichever is installed: what is sent through it, what is read from it, and its defects.

Everything here happens on the loop's thread, the import included: neither library is thread-safe, and both look up
the thread's event loop. The library is the wire: it encodes, decodes and keeps its own objects up to date for those
who ask for them by `facade.tws(fn)`; we take each message as it arrives, before the library makes anything of it.

Defects worked around, each in one place; `tests/brokers/tws/test_library.py` fails when one goes away:

- both: an error message on an order's id marks the library's Trade as cancelled (10349, 103, 161, ... while the order
  lives), ib_async marks it `ValidationError`: we never read their Trades (`reader.py`).
- both: the throttle of 45 messages a second strands calls from foreign threads: off, ours stands before (`Wire`).
- both: fills fetched after a reconnection, fills of unknown orders and corrections raise no event: `reader.py` takes
  execDetails itself.
- both: an unset realized profit of a commission report becomes 0.0 in place: read before theirs does it (`reader.py`).
- both: a what-if answer ends (ib_insync) with TWS's first frame, without values: we take every frame (`reader.py`).
- both: a connection closed before it is ready is only told after the whole timeout: `conn.disconnected` is heard.
- ib_async: error 321 leaves its request pending for ever: `reader.py` ends it.
- both: `connect` goes on when a request of the synchronisation was not answered: `connection.py` asks by itself.
- both: a message of any announced length is waited for, a fault in a packet is asyncio's to tell, and an unreadable
  message is logged whole, account and all: `_hearer` ends the connection, `_Unread` says it in a line.
- both: the order's encoder writes an unset price as an empty field, NaN as `nan`: `Order` allows neither.
- both: every field of every order is looked up and walked over, each time: `compiled.py` does it once.
"""

# ruff: noqa: ANN401, N802, ASYNC109, FBT003  # the library has its own names and ways
import importlib
import importlib.util
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from src.brokers.egress import Egress
from src.brokers.tws import convert
from src.brokers.tws.compiled import FieldParser, OrderWriter, read_moments_once
from src.brokers.tws.inbox import Inbox
from src.brokers.tws.reader import UnknownOnly, quiet_trades, reader
from src.domain.errors import ConnectionFailedError, OrderRefusedError
from src.domain.market import Contract
from src.domain.orders import Order, OrderStatus

_log: Final = logging.getLogger(__name__)
NAMES: Final = ("ib_insync", "ib_async")
#: The beginnings of the messages that make or exercise a position: placeOrder and exerciseOptions.
_ORDERS: Final = ("3\0", "21\0")
_BY_OUR_ORDERS_ONLY: Final = (
    "nothing was sent: through tws(fn) no order leaves, since no limit would have seen it; use the client's own "
    "place_..._order, or broker.place_order and broker.preview_order"
)
#: As IB's own clients take it.
_LONGEST_MESSAGE: Final = 0xFFFFFF
_HISTORY_NAMES: Final = {60: "1 min", 300: "5 mins", 900: "15 mins", 1800: "30 mins", 3600: "1 hour", 86400: "1 day"}


class RequestFailedError(Exception):
    """TWS answered a request with an error message."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def choose(wanted: str) -> str:
    """The library to use; ConnectionFailedError when there is none. Nothing is imported yet."""
    found = [name for name in NAMES if importlib.util.find_spec(name) is not None]
    if len(found) > 1:
        _log.warning(
            "ib_insync and ib_async are both installed, and overwrite each other's `eventkit`: "
            "uninstall both, then install one"
        )
    if wanted != "auto":
        found = [name for name in found if name == wanted]
    if not found:
        name = NAMES[0] if wanted == "auto" else wanted
        raise ConnectionFailedError("library", f"{name} is not installed: run `make`, or activate .venv")
    return found[0]


class Wire:
    """One connection of the library: messages out by methods, messages in to an `Inbox`. Make it on the loop."""

    def __init__(self, name: str, inbox: Inbox, egress: Egress | None = None) -> None:
        self.name = name
        try:
            self.module: Any = importlib.import_module(name)
            client = importlib.import_module(f"{name}.client")
            wrapper = importlib.import_module(f"{name}.wrapper")
        except ImportError as error:
            raise ConnectionFailedError("library", f"{name} cannot be imported ({error}): reinstall it") from error
        for part in ("ib", "client", "wrapper"):  # they log whole accounts and orders; we say what matters
            logger = logging.getLogger(f"{name}.{part}")
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.CRITICAL)
        self._inbox = inbox
        self._error: Any = wrapper.RequestError
        self._trade: Any = quiet_trades(self.module)
        self.ib: Any = self.module.IB()
        defaults = {"defaults": self.ib.wrapper.defaults} if hasattr(self.ib.wrapper, "defaults") else {}
        self.ib.wrapper = reader(wrapper.Wrapper, inbox)(self.ib, **defaults)
        self.ib.client = _writer(_hearer(client.Client))(self.ib.wrapper)
        self.ib.client.egress = egress
        self.ib.client.decoder.logger = _Unread()
        self.ib.client.decoder.parse = FieldParser()
        read_moments_once(self.ib.client.decoder)
        self._client: Any = client.Client
        self._writer: OrderWriter | None = None
        self.ib.client.apiEnd += self.ib.disconnectedEvent
        self.ib.client.apiError += self._on_api_error
        self.ib.client.conn.disconnected += inbox.on_closed
        self.ib.client.MaxRequests = 0
        self.ib.RaiseRequestErrors = True

    def _on_api_error(self, text: str) -> None:
        """The library gives up: a server that is too old, for one. What `open` raises is not told twice."""
        if not text.startswith("API connection failed"):
            self._inbox.on_closed(text)

    @property
    def version(self) -> str:
        """The library and its version."""
        return f"{self.name} {self.module.__version__}"

    @property
    def server_version(self) -> int:
        """What both sides speak; 0 before the handshake."""
        return int(self.ib.client.serverVersion())

    @property
    def accounts(self) -> tuple[str, ...]:
        """The accounts that TWS manages."""
        return tuple(self.ib.client.getAccounts())

    @property
    def messages_sent(self) -> int:
        """How many messages have left, by whomever."""
        return int(self.ib.client.conn.numMsgSent)

    @property
    def has_socket(self) -> bool:
        """Whether TCP is connected."""
        return bool(self.ib.client.conn.isConnected())

    async def open(self, host: str, port: int, client_id: int, timeout: float) -> None:
        """Connect, shake hands, and wait until TWS has sent the accounts and the next order id."""
        self.ib.wrapper.clientId = client_id
        await self.ib.client.connectAsync(host, port, client_id, timeout)
        if client_id == 0:
            self.ib.reqAutoOpenOrders(True)

    def close(self) -> None:
        """Close the socket, if there is one."""
        with suppress(OSError, RuntimeError, AttributeError):  # a socket that its peer has reset already
            self.ib.client.disconnect()

    def abort(self) -> None:
        """End the socket at once: what still waits in it, orders among it, never leaves."""
        transport = self.ib.client.conn.transport
        if transport is not None:
            transport.abort()

    async def answer(self, request: Callable[[Any], Awaitable[Any]]) -> Any:
        """Send one request through the library's IB object and wait; RequestFailedError when TWS sends an error."""
        try:
            return await request(self.ib)
        except self._error as error:
            raise RequestFailedError(error.code, error.message) from None

    def completed_orders(self) -> Awaitable[Any]:
        """Ask for the orders that are done: the inbox hears of all, the library keeps those that it does not know.

        Its own question makes all of the day's orders anew at each look, and leaves them to the memory's fragments.
        """
        answer: Awaitable[Any] = self.ib.wrapper.startReq("completedOrders", container=UnknownOnly())
        self.ib.client.reqCompletedOrders(False)
        return answer

    # --- what is sent, in our words ---------------------------------------------------------------------------------

    def next_id(self) -> int:
        """An id above every one seen: for an order or a request."""
        return int(self.ib.client.getReqId())

    def use_ids_above(self, order_id: int) -> None:
        """Give out no id up to this one."""
        self.ib.client.updateReqId(order_id + 1)

    @property
    def waiting(self) -> int:
        """Bytes that TWS has not taken yet."""
        transport = self.ib.client.conn.transport
        return 0 if transport is None else int(transport.get_write_buffer_size())

    def ask_ids(self) -> None:
        """Ask for the next order id that TWS takes."""
        self.ib.client.reqIds(-1)

    def ask_time(self) -> None:
        """Ask for TWS's time; the answer is a sign of life."""
        self.ib.client.reqCurrentTime()

    def place(self, order_id: int, order: Order, *, transmit: bool = True, what_if: bool = False) -> None:
        """Send a new order, or a changed one under its id."""
        client = self.ib.client
        if not client.isConnected():
            raise ConnectionError("Not connected")
        if self._writer is None:
            self._writer = OrderWriter(self.module, self._client, self.server_version)
        text = self._writer.text(order_id, order, transmit=transmit, what_if=what_if)
        client.may_order = ("" if what_if else order.order_ref, order_id)
        try:
            client.sendMsg(text)
        finally:
            client.may_order = None
        if not what_if:
            self._remember(order_id, order, transmit=transmit)

    def _remember(self, order_id: int, order: Order, *, transmit: bool) -> None:
        """Keep a new order among the library's own, as its `placeOrder` does; else the echo's reader makes a copy."""
        wrapper = self.ib.wrapper
        key = wrapper.orderKey(wrapper.clientId, order_id, 0)
        if key not in wrapper.trades:
            made = convert.order_to(self.module, order, transmit=transmit)
            made.orderId, made.clientId = order_id, wrapper.clientId
            status = self.module.OrderStatus(orderId=order_id, status=OrderStatus.PENDING_SUBMIT.value)
            contract = convert.contract_to(self.module, order.contract)
            wrapper.trades[key] = self._trade(contract, made, status, [], [])

    def cancel(self, order_id: int) -> None:
        """Send a cancel."""
        self.ib.client.cancelOrder(order_id, "")

    def subscribe_quotes(self, contract: Contract, generic_ticks: str = "") -> int:
        """Stream top of book and last, and the generic ticks that are named; returns the request's id."""
        request = self.next_id()
        wanted = convert.contract_to(self.module, contract)
        self.ib.client.reqMktData(request, wanted, generic_ticks, False, False, [])
        return request

    def unsubscribe_quotes(self, request: int) -> None:
        """End a stream of quotes."""
        self.ib.client.cancelMktData(request)

    def subscribe_bars(self, contract: Contract) -> int:
        """Stream five-second bars; returns the request's id."""
        request = self.next_id()
        wanted = convert.contract_to(self.module, contract)
        self.ib.client.reqRealTimeBars(request, wanted, 5, _shown_of(contract), False, [])
        return request

    def unsubscribe_bars(self, request: int) -> None:
        """End a stream of bars."""
        self.ib.client.cancelRealTimeBars(request)

    def set_data_type(self, data_type: int) -> None:
        """Live, frozen, delayed or delayed-frozen, for the subscriptions to come."""
        self.ib.client.reqMarketDataType(data_type)

    def subscribe_account(self, account: str) -> None:
        """Stream the account's values and portfolio, once more."""
        self.ib.client.reqAccountUpdates(True, account)

    def subscribe_pnl(self, account: str) -> int:
        """Stream the account's profit and loss; returns the request's id."""
        request = self.next_id()
        self.ib.client.reqPnL(request, account, "")
        return request

    async def history(self, contract: Contract, end: str, duration: str, seconds: int) -> list[Any]:
        """Bars of regular hours, stamped by epoch seconds: those decode three times as fast."""
        wanted = convert.contract_to(self.module, contract)
        return list(
            await self.answer(
                lambda ib: ib.reqHistoricalDataAsync(
                    wanted,
                    end,
                    duration,
                    _HISTORY_NAMES[seconds],
                    _shown_of(contract),
                    useRTH=True,
                    formatDate=2,
                    timeout=0,
                )
            )
        )

    async def details(self, contract: Contract) -> list[Any]:
        """Every contract that fits."""
        wanted = convert.contract_to(self.module, contract)
        return list(await self.answer(lambda ib: ib.reqContractDetailsAsync(wanted)) or [])

    async def matching(self, pattern: str) -> list[Contract]:
        """Contracts whose symbol or name begins so; () when TWS does not say within four seconds."""
        found = await self.answer(lambda ib: ib.reqMatchingSymbolsAsync(pattern))
        return [convert.contract_from(each.contract) for each in found or []]


def _shown_of(contract: Contract) -> str:
    """What bars of a contract are made of: nobody prints the trades of a currency pair."""
    return "MIDPOINT" if contract.sec_type == "CASH" else "TRADES"


def _writer(base: Any) -> Any:
    """The library's writer of messages, extended: an order leaves by `Wire.place`, and by no other way."""

    class Writer(base):  # type: ignore[misc]  # untyped
        may_order: tuple[str, int] | None = None
        egress: Egress | None = None

        def sendMsg(self, msg: str | None) -> None:
            if msg is None or not msg.startswith(_ORDERS):
                super().sendMsg(msg)
                return
            if self.may_order is None:
                raise OrderRefusedError(_BY_OUR_ORDERS_ONLY)
            egress, (order_ref, order_id) = self.egress, self.may_order
            if egress is not None:
                egress.leaving()
            super().sendMsg(msg)
            if egress is not None and order_ref:  # its intent is on the disk: the id may follow the order
                egress.told(order_ref, order_id)

    return Writer


def _hearer(base: Any) -> Any:
    """The library's side that hears, extended: what cannot be TWS's ends the connection, and is not waited for."""

    class Hearer(base):  # type: ignore[misc]  # untyped
        def _onSocketHasData(self, data: bytes) -> None:
            try:
                super()._onSocketHasData(data)
            except Exception as error:  # noqa: BLE001  # what it left half done is mended by a new connection
                _log.warning("what TWS has sent could not be taken in", exc_info=True)
                self._end(f"what TWS has sent could not be taken in: {type(error).__name__}")
            else:
                if len(self._data) >= 4 and (length := int.from_bytes(self._data[:4])) > _LONGEST_MESSAGE:
                    self._end(f"what TWS sends is no message: its length would be {length} bytes")

        def _end(self, why: str) -> None:
            self.apiError.emit(why)
            if self.conn.transport is not None:
                self.conn.transport.abort()

    return Hearer


class _Unread:
    """Stands where the library's decoder logs: a message that cannot be read is one line, without what was in it."""

    def exception(self, text: str) -> None:
        """An exception is being handled; the text may show the message."""
        error = sys.exc_info()[1]
        _log.warning("a message of TWS's cannot be read: %s", type(error).__name__)
        _log.debug("%s", text.partition("[")[0], exc_info=True)
