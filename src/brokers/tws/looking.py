"""Looks at TWS's own lists - orders, executions, positions - when what was told may not be all. On the loop.

A part that is not answered is never an empty one. After a loss every doubt has a look of its own, and only the answer
to the latest one lets orders leave again.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final

from src.brokers.tws.connection import Connection, read_only_reason
from src.brokers.tws.timing import Timing
from src.domain.errors import BrokerError, ConnectionFailedError, NotSynchronisedError
from src.domain.events import ConnectionChanged
from src.settings import Settings

if TYPE_CHECKING:
    from src.brokers.tws.session import Session

_log: Final = logging.getLogger(__name__)


class Looking:
    """The looks of one session, over all its connections."""

    def __init__(self, session: "Session", settings: Settings, timing: Timing) -> None:
        self._session, self._settings, self._timing = session, settings, timing
        self._tasks: set[asyncio.Task[None]] = set()
        self._look: asyncio.Task[None] | None = None
        self._confirming = False
        #: Which doubt what is known is under, and which one is being settled.
        self._doubts, self._looked_for = 0, -1
        self._link_is_back, self._data_lost = True, False

    def begin(self) -> None:
        """A connection is there, and everything has just been asked for."""
        self._doubts, self._data_lost, self._link_is_back = self._doubts + 1, False, True

    def doubt(self, *, link_is_back: bool | None = None) -> None:
        """What is known may be old from now on."""
        self._doubts += 1
        if link_is_back is not None:
            self._link_is_back = link_is_back

    def stop(self) -> None:
        """Look no more."""
        for task in self._tasks:
            task.cancel()

    async def synchronise(self) -> None:
        """Ask for orders, executions and positions; NotSynchronisedError when a part is not answered."""
        connection = self._session.connection
        if connection is None or not self._session.is_synchronised:
            raise NotSynchronisedError("TWS is not there: orders and positions are as they were last heard of")
        if connection.is_read_only:
            raise NotSynchronisedError(f"TWS does not list its orders: {read_only_reason()}")
        try:
            await self._ask_for_all(connection)
        except ConnectionFailedError as error:
            raise NotSynchronisedError(f"not all is known of the account: {error}") from None
        self._session.finish()

    async def _ask_for_all(self, connection: Connection) -> None:
        session, patience = self._session, self._settings.connect_timeout
        await connection.look(patience)
        session.book.forget_others_but(connection.listed)
        session.account.begin_listing()
        await connection.list_positions(patience)
        session.account.end_listing()

    async def look(self) -> None:
        """Ask for orders and executions; several who ask at once share one question."""
        if self._look is None or self._look.done():
            if self._session.connection is None:
                return
            self._look = asyncio.ensure_future(self._session.connection.look(self._timing.look))
            self._look.add_done_callback(_seen)
        try:
            await asyncio.shield(self._look)
            if self._session.connection is not None:
                self._session.book.forget_others_but(self._session.connection.listed)
        except BrokerError as error:
            _log.warning("TWS's lists of orders could not be read: %s", error)

    def confirm_later(self, *, missed: bool) -> None:
        """Positions moved by executions are confirmed by TWS within moments; if not, they are asked for."""
        if self._confirming:
            return
        self._confirming = True

        async def confirm() -> None:
            try:
                await asyncio.sleep(self._timing.confirm)
                if (missed or self._session.account.has_unconfirmed) and self._session.connection is not None:
                    self._session.account.begin_listing()
                    await self._session.connection.list_positions(self._timing.look)
                    self._session.account.end_listing()
                    self._session.finish()
            except BrokerError as error:
                _log.warning("TWS's list of positions could not be read: %s", error)
            finally:
                self._confirming = False

        self._run(confirm())

    def look_later(self) -> None:
        """Look, and let nobody wait for it."""
        self._run(self.look())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def recover(self, why: str, *, data_lost: bool, link_is_back: bool | None = None) -> None:
        """What is known may be old: look what has happened, subscribe anew if the data were lost, then trade on."""
        if link_is_back is not None:
            self._link_is_back = link_is_back
        self._data_lost |= data_lost
        if self._looked_for != self._doubts:
            self._looked_for = self._doubts
            self._run(self._look_at_all(why, self._doubts))

    async def _look_at_all(self, why: str, doubts: int) -> None:
        """Settle this doubt; one that has come meanwhile has a look of its own."""
        session = self._session
        connection = session.connection
        if connection is None:
            return
        try:
            await self._ask_for_all(connection)
        except BrokerError as error:
            if session.connection is connection and self._doubts == doubts:
                session.break_off(f"{why}, and its lists cannot be read: {error}")
            return
        if session.connection is not connection or self._doubts != doubts:
            return
        if self._data_lost:
            self._data_lost = False
            for contract in session.quotes.lost():
                session.quotes.subscribe(contract)
            session.live_bars.resubscribe()
            session.lending.forget()
        else:
            session.live_bars.catch_up()
        session.is_synchronised, session.link.is_up = True, self._link_is_back
        if session.link.is_up:
            session.events.append(ConnectionChanged(session.mode, connected=True))
        session.finish()


def _seen(task: "asyncio.Task[None]") -> None:
    """A look whose askers have gone may fail without a word."""
    if not task.cancelled():
        task.exception()
