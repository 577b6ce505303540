"""SimulatedBroker: the Broker protocol over a Venue in this process. No socket, no thread, no hop."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from src.brokers.broker import Bars, BrokerHealth
from src.domain.account import AccountPnL, AccountSummary, OrderPreview, Position
from src.domain.errors import (
    InvalidOrderError,
    NoMarketDataError,
    NotConnectedError,
    OrderRejectedError,
    UnknownContractError,
    UnknownOrderError,
)
from src.domain.events import Event, Notice, OrderChanged
from src.domain.market import BarSize, Contract, ContractDetails, Mode, Quote, Shortability, ShortLevel
from src.domain.orders import AccountId, Bracket, Fill, Order, OrderChange, OrderId, OrderStatus, Trade
from src.domain.rejections import CANCEL_TOO_LATE, CANCEL_UNKNOWN, UNKNOWN_ORDER
from src.exchange.state import ExchangeState
from src.runtime.bridge import EventStream
from src.runtime.clock import to_nanoseconds
from src.runtime.venue import Venue

_log: Final = logging.getLogger(__name__)


class Keeper(Protocol):
    """Keeps an account's state between processes."""

    def save(self, state: ExchangeState) -> None:
        """Keep the state; OSError when it cannot."""
        ...

    def close(self) -> None:
        """Let others have the account."""
        ...

    def reopen(self) -> None:
        """Take the account again after `close`."""
        ...


class SimulatedBroker:
    """One simulated account. `details` are the contracts that trade here; `latency` is the preset's, in ns.

    `keeper` keeps the account's state where it is to outlive the process.
    """

    def __init__(
        self,
        venue: Venue,
        account_id: AccountId,
        details: tuple[ContractDetails, ...],
        latency: int,
        keeper: Keeper | None = None,
    ) -> None:
        self._venue, self._account, self._latency = venue, account_id, latency
        self._keeper = keeper
        self._not_kept: str | None = None  # why the account cannot be kept at present
        self._details = {item.contract.con_id: item for item in details}
        self._by_symbol = {item.contract.local_symbol: item for item in details}
        self._connected = False

    @property
    def account_id(self) -> AccountId:
        """`SIM...`: nobody can take it for a real one."""
        return self._account

    @property
    def mode(self) -> Mode:
        """Always simulated."""
        return Mode.SIMULATED

    @property
    def is_connected(self) -> bool:
        """Whether `connect` was called and `disconnect` was not."""
        return self._connected

    def now(self) -> int:
        """Market time."""
        return self._venue.now()

    def connect(self) -> None:
        """Open the market to this account."""
        if not self._connected and self._keeper is not None:
            self._keeper.reopen()
        self._connected = True

    def synchronise(self) -> None:
        """Nothing: it is the venue."""
        self._check_connected()

    def disconnect(self) -> None:
        """End every event stream and keep the account; idempotent."""
        if self._connected:
            self._connected = False
            self._venue.close()
            self._keep()
            if self._keeper is not None:
                self._keeper.close()

    def _keep(self) -> None:
        """Keep the account as it is now. What was done was done: where it cannot be kept, that is said, not raised."""
        if self._keeper is None:
            return
        with self._venue.lock:  # one thread after the other, so that no older state replaces a newer one
            try:
                self._keeper.save(self._venue.save())
            except OSError as error:
                if self._not_kept is None:
                    _log.error("the simulated account is no longer kept: %s", error)  # one line for a person
                self._not_kept = f"the simulated account is no longer kept: {error}"
            else:
                if self._not_kept is not None:
                    _log.warning("the simulated account is kept again")
                self._not_kept = None

    def health(self) -> BrokerHealth:
        """Well while connected, unless the account is to be kept and cannot."""
        return BrokerHealth(
            mode=self.mode if self._connected else Mode.DISCONNECTED,
            connected=self._connected,
            host=None,
            port=None,
            client_id=0,
            library=None,
            server_version=None,
            accounts=(self._account,),
            data_source="simulated",
            last_message_age=None,
            open_orders=self._open_orders(),
            reconnects=0,
            error=self._not_kept,
        )

    def _open_orders(self) -> int:
        with self._venue.lock:
            return len(self._venue.exchange.open_trades(self._account))

    # --- contracts and prices --------------------------------------------------------------------------------------

    def qualify(self, contract: Contract) -> Contract:
        """The listed contract of that con_id or symbol; UnknownContractError otherwise."""
        return self.contract_details(contract).contract

    def contract_details(self, contract: Contract) -> ContractDetails:
        """Name, tick and zone of a listed contract."""
        found = self._details.get(contract.con_id) or self._by_symbol.get(contract.local_symbol.upper())
        if found is None or (contract.sec_type, contract.currency) != (
            found.contract.sec_type,
            found.contract.currency,
        ):
            listed = ", ".join(sorted(self._by_symbol))
            other = f": {found.contract.local_symbol} is {found.contract.sec_type} here" if found is not None else ""
            raise UnknownContractError(
                f"no {contract.sec_type} {contract.symbol!r} in {contract.currency} on the simulated exchange{other}; "
                f"it lists {listed}",
                candidates=tuple(sorted(self._by_symbol)),
            )
        return found

    def quote(self, contract: Contract) -> Quote:
        """The market as it stands; `source` is simulated."""
        self._check_connected()
        return self._venue.quote(self.qualify(contract))

    def latest_quote(self, contract: Contract) -> Quote | None:
        """The market as it stands; None where there is none."""
        try:
            return self.quote(contract)
        except (NoMarketDataError, NotConnectedError, UnknownContractError):
            return None

    def shortability(self, contract: Contract) -> Shortability | None:
        """Shares without limit, or none at all; None for what is not borrowed, as currencies are not."""
        self._check_connected()
        own = self.qualify(contract)
        if own.sec_type != "STK":
            return None
        lends = self._venue.exchange.lends(own)
        level = ShortLevel.AVAILABLE if lends else ShortLevel.UNAVAILABLE
        return Shortability(level, None if lends else 0, self.now())

    def bars(self, contract: Contract, size: BarSize, count: int, *, end: datetime | None = None) -> Bars:
        """Up to `count` closed bars, oldest first."""
        self._check_connected()
        return self._venue.history(self.qualify(contract), size, count, to_nanoseconds(end) if end else None)

    # --- account ---------------------------------------------------------------------------------------------------

    def account_summary(self) -> AccountSummary:
        """The account's tags at the latest prices."""
        self._check_connected()
        with self._venue.lock:
            self._venue.catch_up()
            return self._venue.exchange.account_summary(self._account, self._venue.now())

    def pnl(self) -> AccountPnL:
        """Profit and loss at the latest prices."""
        self._check_connected()
        with self._venue.lock:
            self._venue.catch_up()
            return self._venue.exchange.pnl(self._account)

    def positions(self) -> tuple[Position, ...]:
        """Open positions, and those closed with something realized (quantity 0)."""
        self._check_connected()
        with self._venue.lock:
            self._venue.catch_up()
            return self._venue.exchange.positions(self._account)

    # --- orders ----------------------------------------------------------------------------------------------------

    def preview_order(self, order: Order) -> OrderPreview:
        """Margin and commission the order would take."""
        order = self._own(order)
        with self._venue.lock:
            self._venue.catch_up()
            return self._venue.exchange.preview(self._account, order, self._venue.now())

    def place_order(self, order: Order) -> Trade:
        """Submit an order; OrderRejectedError when the exchange refuses it."""
        events = self._venue.submit(self._account, self._own(order))
        return self._outcome(events, 1)[0]

    def place_bracket(self, bracket: Bracket) -> tuple[Trade, ...]:
        """Submit parent, target and stop as one."""
        own = Bracket(self._own(bracket.parent), self._own(bracket.take_profit), self._own(bracket.stop_loss))
        return self._outcome(self._venue.submit_bracket(self._account, own), 3)

    def modify_order(self, order_id: OrderId, change: OrderChange) -> Trade:
        """Change a working order; OrderRejectedError leaves it as it was."""
        self._check_connected()
        change.applied_to(self._known(order_id).order)
        events = self._venue.modify(self._account, order_id, change)
        for event in events:
            if isinstance(event, Notice) and event.order_id == order_id:
                raise OrderRejectedError(event.text, reason=event.text, code=event.code)
        return self._arrived(order_id, lambda trade: trade.order == change.applied_to(trade.order))

    def cancel_order(self, order_id: OrderId) -> Trade:
        """Cancel a working order; the trade returned says whether it was, or had ended before."""
        self._check_connected()
        self._known(order_id)
        for event in self._venue.cancel(self._account, order_id):
            if isinstance(event, Notice) and event.code in (CANCEL_UNKNOWN, CANCEL_TOO_LATE):
                return self._known(order_id)
        return self._arrived(order_id, lambda trade: trade.status is not OrderStatus.PENDING_CANCEL)

    def trade(self, order_id: OrderId) -> Trade:
        """One order's state; UnknownOrderError."""
        self._check_connected()
        with self._venue.lock:
            self._venue.catch_up()
            return self._known(order_id)

    def open_trades(self) -> tuple[Trade, ...]:
        """Working orders."""
        self._check_connected()
        with self._venue.lock:
            self._venue.catch_up()
            return self._venue.exchange.open_trades(self._account)

    def completed_trades(self) -> tuple[Trade, ...]:
        """Orders that are done."""
        self._check_connected()
        with self._venue.lock:
            self._venue.catch_up()
            return tuple(trade for trade in self._venue.exchange.trades(self._account) if trade.is_done)

    def unshown(self) -> frozenset[int]:
        """None: the exchange lists all that works."""
        return frozenset()

    def fills(self, *, since: datetime | None = None) -> tuple[Fill, ...]:
        """Executions with their commissions."""
        self._check_connected()
        with self._venue.lock:
            self._venue.catch_up()
            fills = self._venue.exchange.fills(self._account)
        if since is None:
            return fills
        first = to_nanoseconds(since)
        return tuple(fill for fill in fills if fill.execution.time >= first)

    def events(self, *contracts: Contract, bars: BarSize | None = None) -> EventStream:
        """Order events, and quotes or bars of these contracts."""
        self._check_connected()
        return self._venue.listen(self._account, [self.qualify(contract) for contract in contracts], bars)

    # ---------------------------------------------------------------------------------------------------------------

    def _check_connected(self) -> None:
        if not self._connected:
            raise NotConnectedError("not connected: call connect() first")

    def _own(self, order: Order) -> Order:
        """The order with its contract qualified and its account set."""
        self._check_connected()
        contract = order.contract
        if contract.con_id in self._details and order.account == self._account:
            return order
        if order.account not in ("", self._account):
            raise InvalidOrderError("that account is not this broker's: leave it empty")
        return replace(order, contract=self.qualify(contract), account=self._account)

    def _known(self, order_id: OrderId) -> Trade:
        with self._venue.lock:
            trade = self._venue.exchange.trade(order_id)
        if trade.order.account != self._account:
            raise UnknownOrderError(f"no order {order_id} in this account", code=UNKNOWN_ORDER)
        return trade

    def _outcome(self, events: tuple[Event, ...], count: int) -> tuple[Trade, ...]:
        """The trades of `count` newly submitted orders, as they are now; raises when the first was rejected.

        The first event is the first order's, and their ids follow each other. Later events may be other orders'.
        """
        self._keep()
        if not isinstance(events[0], OrderChanged):
            raise AssertionError(events)
        first = events[0].trade
        if first.status is OrderStatus.INACTIVE:
            raise OrderRejectedError(first.reason, reason=first.reason, code=first.code, order_id=first.order_id)
        if count == len(events) == 1:
            return (first,)
        return tuple(self._known(OrderId(first.order_id + index)) for index in range(count))

    def _arrived(self, order_id: OrderId, reached: Callable[[Trade], bool]) -> Trade:
        """The trade once a cancel or change has reached the exchange, which takes the preset's latency."""
        at_once = self._venue.settle(self._latency)
        trade = self._known(order_id)
        if not (at_once or reached(trade)):
            with self._venue.listen(self._account, (), None) as stream:
                trade = self._known(order_id)
                while not (reached(trade) or trade.is_done) and stream.next(timeout=1.0) is not None:
                    trade = self._known(order_id)
        self._keep()
        return trade
