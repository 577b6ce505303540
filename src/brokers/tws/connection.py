"""One connection, from the first packet to the synchronised account. On the loop's thread only.

Each step has a name, and a failure says which step it was: `library`, `connect` (TCP), `handshake`, `start` (TWS says
nothing of accounts: often a dialog waits on its screen), `account`, then the parts of the synchronisation. All the
parts are asked for at once; one that is not answered is a failure, never an empty account. While its answers come, one
after the other, they are waited for: after a day of thousands of executions that takes longer than any fixed time.
"""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from src.brokers.tws.library import Wire
from src.domain.account_ids import masked, mode_of
from src.domain.codes import Meaning, RequestKind, meaning, says_read_only
from src.domain.errors import (
    BrokerError,
    ClientIdInUseError,
    ConfigurationError,
    ConnectionFailedError,
    LiveTradingRefusedError,
)
from src.domain.market import Mode
from src.domain.orders import HIGHEST_ORDER_ID, AccountId
from src.runtime.clock import monotonic
from src.settings import Settings

_log: Final = logging.getLogger(__name__)
_TRUSTED: Final = (
    "in TWS: File > Global Configuration > API > Settings: tick `Enable ActiveX and Socket Clients`, and with another "
    "machine's address untick `Allow connections from localhost only` and add this one to Trusted IPs"
)
_HINTS: Final = {
    "connect": "start TWS or IB Gateway, and look at the port in its API settings",
    "handshake": _TRUSTED,
    "start": f"look at TWS's screen for a question whether to accept the connection; else {_TRUSTED}",
}
_WATCH_SECONDS: Final = 0.02
#: A question whose answers keep coming is given so many times the patience of one that is met with silence.
MOST_PATIENCE: Final = 6
#: The parts that a read-only API does not answer.
_TRADING_PARTS: Final = ("open orders", "completed orders")
_READ_ONLY: Final = (
    "TWS's API is read-only, no order can be sent: untick `Read-Only API` in TWS: File > Global Configuration > API > "
    "Settings"
)


class Connection:
    """A connection being made to host and port as client `client_id`."""

    def __init__(self, wire: Wire, settings: Settings, host: str, port: int, client_id: int) -> None:
        self.wire = wire
        self._settings, self._host, self._port, self._client_id = settings, host, port, client_id
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._read_only = asyncio.Event()
        self._phase = "connect"
        self._asking = asyncio.Lock()  # the library keeps one question of a kind at a time
        self._answered_at = 0.0
        #: The perm ids of all open orders, as they were last listed.
        self.listed: set[int] = set()

    @property
    def is_read_only(self) -> bool:
        """Whether TWS has said that it takes no orders from its API."""
        return self._read_only.is_set()

    # --- what is heard ----------------------------------------------------------------------------------------------

    def heard(self, code: int, text: str) -> None:
        """An error message while connecting, or about the connection."""
        if says_read_only(code, text) and not self._read_only.is_set():
            self._read_only.set()
            _log.warning("%s", _READ_ONLY)
        if meaning(code, RequestKind.NONE) is Meaning.CLIENT_ID_IN_USE:
            self._fail(
                ClientIdInUseError(
                    "start",
                    f"client id {self._client_id} is in use: end the other program, or set IBKR_CLIENT_ID to another",
                    code=code,
                )
            )

    def refuse_id(self, order_id: int) -> str:
        """TWS names an order id that no order can bear; returns the sentence."""
        why = (
            f"TWS says that the next order id is {order_id}, and it takes none above {HIGHEST_ORDER_ID}: in TWS, "
            "File > Global Configuration > API > Settings, press `Reset API order ID sequence`"
        )
        self._fail(ConnectionFailedError("start", why))
        return why

    def packet(self) -> None:
        """TWS says something: it has shaken hands."""
        if self._phase in ("connect", "handshake"):
            self._phase = "start"

    def answering(self) -> None:
        """A part of what was asked for has come; more may follow."""
        self._answered_at = monotonic()

    def closed(self, reason: str) -> None:
        """The socket, so there was one, is closed."""
        phase = self._phase = "handshake" if self._phase == "connect" else self._phase
        what = reason or "the connection was closed"
        self._fail(ConnectionFailedError(phase, f"{self._where()}: {what}; {_HINTS.get(phase, 'connect again')}"))

    def _fail(self, error: BrokerError) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()  # seen, whether or not somebody waits

    def _where(self) -> str:
        return f"{self._host}:{self._port}"

    # --- steps ------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Connect as far as TWS naming its accounts. The wire is closed when that fails."""
        timeout = self._settings.connect_timeout

        async def watching() -> None:
            while not self.wire.has_socket:  # noqa: ASYNC110  # the library tells nobody
                await asyncio.sleep(_WATCH_SECONDS)
            if self._phase == "connect":
                self._phase = "handshake"

        watch = asyncio.ensure_future(watching())
        try:
            await self._unless_failed(self.wire.open(self._host, self._port, self._client_id, timeout), timeout)
            self._phase = "synchronise"
        except TimeoutError:
            reason = f"{self._where()} did not answer within {timeout:g} s; {_HINTS[self._phase]}"
            raise ConnectionFailedError(self._phase, reason) from None
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED
            what = "nothing listens there" if refused else str(error) or type(error).__name__
            raise ConnectionFailedError(self._phase, f"{self._where()}: {what}; {_HINTS[self._phase]}") from None
        finally:
            watch.cancel()

    async def _unless_failed(self, work: Awaitable[Any], timeout: float) -> None:  # noqa: ASYNC109
        """Wait for the work, or for the first word that it is in vain."""
        task = asyncio.ensure_future(work)
        try:
            done, _ = await asyncio.wait({task, self._failed}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if self._failed in done:
                await asyncio.sleep(0)  # 326 comes just before the end of the connection: both are here now
                self._failed.result()
            if not done:
                raise TimeoutError
            task.result()
        finally:
            if not task.done():
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def account(self) -> AccountId:
        """The account to trade, by the settings and TWS; live needs three agreeing facts (decision D9)."""
        settings, accounts = self._settings, self.wire.accounts
        shown = ", ".join(masked(each) for each in accounts)
        if settings.account_id:
            if settings.account_id not in accounts:
                raise ConfigurationError(
                    f"IBKR_ACCOUNT_ID: TWS is logged in to {shown}, not to that account: correct it or leave it unset"
                )
            account = settings.account_id
        elif len(accounts) == 1:
            account = accounts[0]
        else:
            raise ConfigurationError(f"IBKR_ACCOUNT_ID: TWS manages several accounts, name one of {shown}")
        if mode_of(account) is Mode.LIVE and (settings.account_type != "live" or settings.allow_live != account):
            named = ", which names another account now" if settings.allow_live else ""
            raise LiveTradingRefusedError(
                f"TWS is logged in to {masked(account)}, which is real money; that needs IBKR_ACCOUNT_TYPE=live and "
                f"IBKR_ALLOW_LIVE=<the account's id>{named}. For paper trading log in with the paper user"
            )
        if mode_of(account) is not Mode.LIVE and settings.account_type == "live":
            raise LiveTradingRefusedError(
                f"IBKR_ACCOUNT_TYPE=live, but TWS is logged in to {masked(account)}, which is not a live account: set "
                "IBKR_ACCOUNT_TYPE=paper, or log in to TWS with the live user"
            )
        return AccountId(account)

    async def synchronise(self, account: AccountId) -> None:
        """Ask for all of the account's state; ConnectionFailedError names what was not answered."""
        patience = self._settings.connect_timeout
        parts: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "positions": lambda ib: ib.reqPositionsAsync(),
            "account": lambda ib: ib.reqAccountUpdatesAsync(account),
            "account summary": lambda ib: ib.reqAccountSummaryAsync(),
        }
        if not self._settings.read_only:
            parts["open orders"] = self._all_open_orders
            parts["completed orders"] = lambda _: self.wire.completed_orders()
        async with self._asking:
            await self._ask(parts, patience)
            await self._ask({"executions": lambda ib: ib.reqExecutionsAsync()}, patience)  # after all orders are in
        if self._failed.done():
            self._failed.result()

    async def look(self, patience: float) -> None:
        """Ask for orders and executions once more."""
        parts: dict[str, Callable[[Any], Awaitable[Any]]] = {
            "open orders": self._all_open_orders,
            "completed orders": lambda _: self.wire.completed_orders(),
        }
        async with self._asking:
            await self._ask(parts, patience)
            await self._ask({"executions": lambda ib: ib.reqExecutionsAsync()}, patience)

    async def list_positions(self, patience: float) -> None:
        """Ask for all positions once more."""
        async with self._asking:
            await self._ask({"positions": lambda ib: ib.reqPositionsAsync()}, patience)

    async def _ask(self, parts: dict[str, Callable[[Any], Awaitable[Any]]], patience: float) -> None:
        """Ask for parts together; ConnectionFailedError once nothing has come for `patience` seconds, or all in all."""
        began = monotonic()
        tasks = {name: asyncio.ensure_future(self.wire.answer(ask)) for name, ask in parts.items()}
        read_only = asyncio.ensure_future(self._read_only.wait())
        try:
            while True:
                missing = [name for name, task in tasks.items() if not task.done()]
                if self.is_read_only:  # TWS never answers these then
                    missing = [name for name in missing if name not in _TRADING_PARTS]
                if not missing or self._failed.done():
                    break
                now = monotonic()
                left = min(max(began, self._answered_at) + patience, began + MOST_PATIENCE * patience) - now
                if left <= 0:
                    what = "has not answered" if self._answered_at < began else "has not come to an end with"
                    raise ConnectionFailedError(
                        missing[0],
                        f"TWS {what} the question for {' and '.join(missing)} within {now - began:.1f} s; restart it, "
                        "or set a longer IBKR_CONNECT_TIMEOUT",
                    )
                waiting = {tasks[name] for name in missing} | {self._failed}
                if not self.is_read_only:
                    waiting.add(read_only)
                await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
            for name, task in tasks.items():
                if task.done() and (error := task.exception()) is not None and not self._is_harmless(name):
                    raise ConnectionFailedError(name, str(error) or type(error).__name__) from None
        finally:
            for task in (*tasks.values(), read_only):
                task.cancel()
            await asyncio.gather(*tasks.values(), read_only, return_exceptions=True)

    async def _all_open_orders(self, ib: Any) -> None:  # noqa: ANN401  # the library's
        """Ours first, which binds them to this client, then everybody's."""
        await ib.reqOpenOrdersAsync()
        self.listed = {int(trade.order.permId) for trade in await ib.reqAllOpenOrdersAsync()}

    def _is_harmless(self, part: str) -> bool:
        return part == "account summary" or (self.is_read_only and part in _TRADING_PARTS)


def read_only_reason() -> str:
    """What to say when an order is wanted and TWS takes none."""
    return _READ_ONLY
