"""The Broker protocol: one account at one venue. Every backend keeps it; `tests/conformance/` states it.

Every call blocks until the venue has answered or its deadline has passed. Money is `Decimal` dollars, quantities are
shares, times are epoch nanoseconds UTC. A venue's rejection is raised as `OrderRejectedError`; what was sent is never
silently lost, what is malformed is never sent.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from src.domain.account import AccountPnL, AccountSummary, OrderPreview, Position
from src.domain.facts import fact
from src.domain.market import Bar, BarSize, Contract, ContractDetails, Mode, Quote, Shortability
from src.domain.orders import AccountId, Bracket, Fill, Order, OrderChange, OrderId, Trade
from src.records.metrics.histogram import Histogram
from src.runtime.bridge import EventStream

Bars = tuple[Bar, ...]


@fact
class BrokerHealth:
    """How the connection is; `last_message_age` is in seconds, None before the first message.

    `error` is what is wrong although orders can be sent. `pacing_wait` is seconds that requests waited so that TWS's
    limits were kept; `request_seconds` is how long its answers took, by what was asked, None where there is no TWS.
    """

    mode: Mode
    connected: bool
    host: str | None
    port: int | None
    client_id: int
    library: str | None
    server_version: int | None
    accounts: tuple[AccountId, ...]
    data_source: str
    last_message_age: float | None
    open_orders: int
    reconnects: int
    error: str | None = None
    pacing_wait: float = 0.0
    request_seconds: Mapping[str, Histogram] | None = None


class Broker(Protocol):
    """One account at one venue; every call blocks until the venue has answered or the deadline has passed."""

    @property
    def account_id(self) -> AccountId:
        """The account that orders go to."""
        ...

    @property
    def mode(self) -> Mode:
        """Simulated, paper or live; fixed for the session."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether orders can be sent now."""
        ...

    def now(self) -> int:
        """The session's clock: the day's time, or the market's in a replay."""
        ...

    def connect(self) -> None:
        """Connect and synchronise; ConnectionFailedError names the phase that failed."""
        ...

    def synchronise(self) -> None:
        """Ask the venue anew for open and completed orders, executions and positions; all are complete as of now then.

        NotSynchronisedError when a part is not answered.
        """
        ...

    def disconnect(self) -> None:
        """Leave; idempotent, never raises."""
        ...

    def health(self) -> BrokerHealth:
        """How the connection is."""
        ...

    def qualify(self, contract: Contract) -> Contract:
        """Return the one contract meant, with its con_id; UnknownContractError, with candidates when ambiguous."""
        ...

    def contract_details(self, contract: Contract) -> ContractDetails:
        """Name, tick and zone of a contract."""
        ...

    def quote(self, contract: Contract) -> Quote:
        """Return the latest quote; NoMarketDataError rather than 0, NaN or -1."""
        ...

    def latest_quote(self, contract: Contract) -> Quote | None:
        """Return the newest quote that has come, None when there is none: for who looks on. Never waits, never asks."""
        ...

    def shortability(self, contract: Contract) -> Shortability | None:
        """What the venue has said of borrowing a stock's shares; None: nothing, not even after a moment's wait."""
        ...

    def bars(self, contract: Contract, size: BarSize, count: int, *, end: datetime | None = None) -> Bars:
        """Up to `count` closed bars, oldest first, that ended by `end` (default: now)."""
        ...

    def account_summary(self) -> AccountSummary:
        """IB's account tags, with the time they were computed."""
        ...

    def pnl(self) -> AccountPnL:
        """Today's, open and closed profit and loss."""
        ...

    def positions(self) -> tuple[Position, ...]:
        """All open positions; NotSynchronisedError rather than a false "flat"."""
        ...

    def preview_order(self, order: Order) -> OrderPreview:
        """Margin and commission an order would take; nothing is sent to a market."""
        ...

    def place_order(self, order: Order) -> Trade:
        """Send an order; return once acknowledged. OrderRejectedError, OrderOutcomeUnknownError."""
        ...

    def place_bracket(self, bracket: Bracket) -> tuple[Trade, ...]:
        """Send parent, target and stop as one."""
        ...

    def modify_order(self, order_id: OrderId, change: OrderChange) -> Trade:
        """Change a working order; the old one stays when the change is rejected."""
        ...

    def cancel_order(self, order_id: OrderId) -> Trade:
        """Cancel a working order; the trade returned says whether it was, or had filled before."""
        ...

    def trade(self, order_id: OrderId) -> Trade:
        """One order's state; UnknownOrderError."""
        ...

    def open_trades(self) -> tuple[Trade, ...]:
        """All working orders of the account."""
        ...

    def completed_trades(self) -> tuple[Trade, ...]:
        """The session's orders that are done."""
        ...

    def unshown(self) -> frozenset[int]:
        """The perm ids of working orders whose status alone the venue has told: they are there, listed or not."""
        ...

    def fills(self, *, since: datetime | None = None) -> tuple[Fill, ...]:
        """Executions with their commissions, oldest first."""
        ...

    def events(self, *contracts: Contract, bars: BarSize | None = None) -> EventStream:
        """Subscribe to order events, and to quotes (or bars of a size) of these contracts."""
        ...
