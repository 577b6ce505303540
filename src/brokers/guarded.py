"""GuardedBroker: the only wrapper around a broker, for every mode (decision D13).

An order is held against the limits and its exposure reserved under one lock. Then, without the lock, its intent is
made durable, the socket's writer is told to expect it, the broker is called, the outcome written down, the reservation
settled. A refusal names rule, limit and value, is journalled and counted, and sends nothing. An outcome that is not
known blocks symbol and side until the venue's own lists tell; nothing is ever sent twice. Cancels pass always.
"""

import atexit
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from src.brokers.admission import Admission
from src.brokers.books import Books
from src.brokers.broker import Broker, BrokerHealth
from src.brokers.cancels import Cancels
from src.brokers.egress import Egress
from src.brokers.headroom import Headroom
from src.brokers.kill import Latches
from src.brokers.readings import Readings
from src.brokers.risk_rules import Refusal
from src.brokers.watching import Watch
from src.domain.account import AccountSummary, OrderPreview
from src.domain.errors import (
    BrokerError,
    InvalidOrderError,
    JournalUnavailableError,
    NotConnectedError,
    NotSupportedError,
    NotSynchronisedError,
    OrderRefusedError,
    OrderRejectedError,
    UnknownContractError,
    UnknownOrderError,
)
from src.domain.intents import IntentState
from src.domain.limits import RiskLimits
from src.domain.market import BarSize, Contract, Mode
from src.domain.orders import AccountId, Bracket, Fill, Order, OrderChange, OrderId, Trade
from src.records.metrics.journal_counts import JournalCounts
from src.runtime.bridge import EventStream
from src.runtime.worker import new_lock

_log: Final = logging.getLogger(__name__)
#: What a broker raises when it has sent nothing.
_NOT_SENT: Final = (
    OrderRefusedError, NotConnectedError, InvalidOrderError, UnknownContractError, UnknownOrderError, NotSupportedError,
    NotSynchronisedError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Guards:
    """What a broker is guarded by.

    `begin` opens the books of a new session, `told` hears of a kill (see `Watch`), and `end` that all is over.
    A broker `in_process` is watched on its callers' threads, one over a socket on a thread of its own.
    """

    limits: RiskLimits
    latches: Latches
    egress: Egress
    begin: Callable[[], tuple[Books, str]]  # and why no order may leave, else ""
    read_only: bool = False
    in_process: bool = False
    told: Callable[[bool, int], None] = lambda killed, working: None  # noqa: ARG005
    end: Callable[[], None] = lambda: None


class GuardedBroker(Readings):
    """`inner`, guarded. It may be connected already: `begin` is for that; else `connect` does it."""

    def __init__(self, inner: Broker, guards: Guards) -> None:
        super().__init__(inner)
        self._guards, self._plain = guards, guards.limits.is_plain
        self._admission = Admission(
            inner,
            guards.limits,
            guards.latches,
            read_only=guards.read_only,
            watched=not guards.in_process,
            summary=self._account_values,
        )
        self._cancels = Cancels(inner, self._admission)
        self._watch: Watch | None = None
        self._lock, self._looking = new_lock(), new_lock()
        self._number = 0

    # --- connection -------------------------------------------------------------------------------------------------

    @property
    def account_id(self) -> AccountId:
        """The broker's own; so are all below that say nothing else."""
        return self._inner.account_id

    @property
    def mode(self) -> Mode:
        """Simulated, paper or live."""
        return self._inner.mode

    @property
    def is_connected(self) -> bool:
        """Whether orders can be sent now, the guards permitting."""
        return self._inner.is_connected

    @property
    def session(self) -> str:
        """The session's id: its references begin with it, and the journal knows it by it."""
        return self._admission.books.session

    @property
    def highest_order_id(self) -> int:
        """The highest order id that any session has journalled under this client id; 0 when none was."""
        journal = self._admission.books.journal
        return 0 if journal is None else journal.highest_order_id(self._inner.health().client_id)

    @property
    def refusals(self) -> Counter[str]:
        """How many orders each rule has refused in this session."""
        return self._admission.books.refusals

    @property
    def limits(self) -> RiskLimits:
        """What orders are held to."""
        return self._guards.limits

    @property
    def is_killed(self) -> bool:
        """Whether the kill switch is thrown."""
        return self._guards.latches.kill is not None

    @property
    def journal_counts(self) -> JournalCounts | None:
        """What the session's journal has done; None without one."""
        journal = self._admission.books.journal
        return None if journal is None else journal.counts

    def now(self) -> int:
        """The session's clock."""
        if self._guards.in_process:
            self._look()
        return self._inner.now()

    def connect(self) -> None:
        """Connect, synchronise, and settle what was left open. ConnectionFailedError; JournalError: no journal."""
        self._inner.connect()
        self.begin()

    def begin(self) -> None:
        """Begin the session of a broker that is connected; once. JournalError, with the broker left."""
        with self._lock:
            if self._watch is not None:
                return
            watch = books = None
            try:
                books, self._admission.closed = self._guards.begin()
                self._admission.books = books
                watch = Watch(
                    self._inner, self._admission, self._guards.latches, self, self._guards.told, self._cancels
                )
                watch.begin(books, in_process=self._guards.in_process)
            except BaseException as error:
                if watch is not None:
                    watch.end()
                self._inner.disconnect()
                if books is not None:
                    books.close(f"not begun: {type(error).__name__}")
                    self._guards.end()
                raise
            self._watch = watch
            atexit.register(self.disconnect)  # a program that ends without a word leaves its books closed all the same

    def synchronise(self) -> None:
        """Ask the venue anew for all that it knows."""
        self._inner.synchronise()

    def disconnect(self) -> None:
        """Leave, with the books closed; idempotent, never raises."""
        with self._lock:
            watch, self._watch = self._watch, None
            if watch is not None:
                atexit.unregister(self.disconnect)
                watch.end()
            self._inner.disconnect()
            if watch is not None:
                self._admission.books.close("closed by its program")
                self._guards.end()

    def health(self) -> BrokerHealth:
        """How the connection is, and what stops orders although it is well."""
        health = self._inner.health()
        if health.error is None and health.connected and (stops := self.stopped):
            return replace(health, error=stops)
        return health

    @property
    def stopped(self) -> str:
        """Why no new risk is taken at present, for a person; empty when it is."""
        if self._guards.egress.breached:
            return "an order tried to leave that no intent stands behind: no order leaves this session any more"
        books = self._admission.books
        return self._admission.closed or books.unavailable or self._guards.latches.standing

    def headroom(self) -> tuple[Headroom, ...]:
        """What is used of the limits, for who looks on."""
        return self._admission.headroom()

    def _look(self) -> None:
        """What a simulated broker's callers do in passing."""
        watch = self._watch
        if self._guards.in_process and watch is not None:
            with self._looking, suppress(BrokerError):  # one reader of the watch's events: a scraper may call as well
                watch.look()

    def _account_values(self) -> AccountSummary | None:
        if self._guards.in_process:
            return self._inner.account_summary()
        return None if self._watch is None else self._watch.summary

    # --- orders out -------------------------------------------------------------------------------------------------

    def preview_order(self, order: Order) -> OrderPreview:
        """Margin and commission an order would take; nothing is sent to a market."""
        self._guards.egress.permit()  # over a socket a preview is an order with a mark on it
        try:
            return self._inner.preview_order(order)
        except _NOT_SENT:
            self._guards.egress.revoke()
            raise

    def place_order(self, order: Order) -> Trade:
        """Send an order if the limits let it. OrderRefusedError: nothing was sent; else as the broker's."""
        own = self._own(order)
        reduces = self._admission.order(own)
        if self._plain and self._admission.books.journal is None and self._guards.in_process:
            return self._inner.place_order(own)  # play that nobody comes back to: there is nothing to write or to lose
        [trade] = self._send((own,), lambda: (self._inner.place_order(own),), reduces=reduces)
        return trade

    def place_bracket(self, bracket: Bracket) -> tuple[Trade, ...]:
        """Send an entry with its exits if the limits let it."""
        legs = tuple(self._own(leg) for leg in (bracket.parent, bracket.take_profit, bracket.stop_loss))
        own = Bracket(*legs)
        reduces = self._admission.bracket(own)
        return self._send(legs, lambda: self._inner.place_bracket(own), reduces=reduces)

    def modify_order(self, order_id: OrderId, change: OrderChange) -> Trade:
        """Change a working order if the limits let it; the old one stays when anybody refuses."""
        self._look()
        trade = self._inner.trade(order_id)
        changed = change.applied_to(trade.order)
        reduces = self._admission.change(trade, changed)
        books, admission = self._admission.books, self._admission
        try:
            self._durable((changed,), lambda: books.amend(changed), reduces=reduces)
            with _sending(self._guards.egress, 1):
                result = self._inner.modify_order(order_id, change)
        except (*_NOT_SENT, OrderRejectedError):
            books.amended(trade.order)
            admission.release((changed,))
            raise
        except BaseException as error:
            books.state(changed.order_ref, IntentState.UNKNOWN, str(error))
            admission.release((changed,))
            admission.unclear((changed,))
            raise
        admission.release((changed,))
        return result

    def cancel_order(self, order_id: OrderId) -> Trade:
        """Cancel a working order. It takes risk away: no guard stands before it. CancelKeptError: see `Cancels`."""
        self._look()
        return self._inner.cancel_order(order_id) if self._watch is None else self._cancels.ask(order_id)

    def _own(self, order: Order) -> Order:
        """The order as it leaves: contract qualified, account and a reference of its own set."""
        self._look()
        inner = self._inner
        if not inner.is_connected:
            raise NotConnectedError("not connected: call connect() first; nothing was sent")
        account = inner.account_id
        if order.account not in ("", account):
            raise InvalidOrderError("that account is not this broker's: leave it empty")
        reference, books = order.order_ref, self._admission.books
        if reference and order.contract.con_id and order.account:
            own = order
        else:
            if not reference:
                with self._lock:
                    self._number += 1
                    reference = f"{books.session}-{self._number}"
            contract = order.contract if order.contract.con_id else inner.qualify(order.contract)
            own = order.addressed(contract, account, reference)
        if books.outcomes.of(reference) is not None:
            raise InvalidOrderError(f"order_ref {reference} was used before: each order needs one of its own")
        return own

    def _send(
        self, orders: Sequence[Order], call: Callable[[], tuple[Trade, ...]], *, reduces: bool
    ) -> tuple[Trade, ...]:
        books, admission = self._admission.books, self._admission
        try:
            self._durable(orders, lambda: books.intend(orders), reduces=reduces)
            with _sending(self._guards.egress, len(orders)):
                trades = call()
        except _NOT_SENT as error:
            for order in orders:
                books.state(order.order_ref, IntentState.NOT_SENT, str(error))
            admission.release(orders)
            raise
        except OrderRejectedError as error:
            for order in orders:
                books.state(order.order_ref, IntentState.REJECTED, error.reason)
            admission.release(orders)
            admission.rejected(orders[0], error.code)
            raise
        except BaseException as error:
            for order in orders:
                books.state(order.order_ref, IntentState.UNKNOWN, str(error))
            admission.unclear(orders)
            raise
        if books.journal is not None:
            for trade in trades:
                books.acknowledged(trade)
        if not self._plain:
            admission.release(orders)
        return trades

    def _durable(self, orders: Sequence[Order], write: Callable[[], None], *, reduces: bool) -> None:
        """Write down what will be sent. What cannot be written is not sent, unless it only reduces a position."""
        try:
            write()
        except JournalUnavailableError as error:
            if not reduces:
                self._admission.release(orders)
                self._admission.refuse(orders, Refusal("journal", "a journal", "none", f"journal: {error}"))
            _log.error("%s; an order that only reduces a position is sent all the same", error)

    # --- orders as they are -----------------------------------------------------------------------------------------

    def trade(self, order_id: OrderId) -> Trade:
        """One order's state."""
        self._look()
        return self._inner.trade(order_id)

    def open_trades(self) -> tuple[Trade, ...]:
        """All working orders of the account."""
        self._look()
        return self._inner.open_trades()

    def completed_trades(self) -> tuple[Trade, ...]:
        """The session's orders that are done."""
        self._look()
        return self._inner.completed_trades()

    def unshown(self) -> frozenset[int]:
        """The perm ids of working orders of which only a status is known."""
        return self._inner.unshown()

    def fills(self, *, since: datetime | None = None) -> tuple[Fill, ...]:
        """Executions with their commissions."""
        return self._inner.fills(since=since)

    def events(self, *contracts: Contract, bars: BarSize | None = None) -> EventStream:
        """Subscribe to order events, and to quotes or bars."""
        return self._inner.events(*contracts, bars=bars)


class _sending:  # noqa: N801  # reads as a word
    """Lets so many orders leave meanwhile; a right that was not used lapses."""

    def __init__(self, egress: Egress, count: int) -> None:
        self._egress, self._count = egress, count

    def __enter__(self) -> None:
        self._egress.permit(self._count)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, _NOT_SENT):
            self._egress.revoke(self._count)
