"""Lets an order through or refuses it, and keeps its exposure until what became of it is known (decision D13).

The check and the reservation are one step under one lock: of many who race for the last share of a limit, one gets it.
What the check needs of the venue's prices is fetched before. An order whose outcome is not known keeps its reservation
and blocks its symbol and side.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, NoReturn

from src.brokers.books import Books
from src.brokers.broker import Broker
from src.brokers.exposure import Commitment, Exposure, same_contract
from src.brokers.headroom import Headroom, Use, headroom
from src.brokers.kill import Latches
from src.brokers.quote_sanity import QuoteSanity
from src.brokers.reconciling import is_listed
from src.brokers.risk import check, check_bracket, check_change, check_slips, lost_too_much
from src.brokers.risk_rules import Refusal
from src.domain.account import AccountSummary
from src.domain.codes import NOT_ALLOWED
from src.domain.errors import (
    BrokerError,
    NoMarketDataError,
    NotSupportedError,
    NotSynchronisedError,
    OrderRefusedError,
)
from src.domain.limits import RiskLimits
from src.domain.market import Contract, Mode, Quote, Shortability, Source
from src.domain.orders import Action, Bracket, Order, Origin, Trade
from src.runtime.clock import NS, monotonic
from src.runtime.worker import new_lock

_log: Final = logging.getLogger(__name__)
#: Refusals after which no new risk is taken until a person says so: something runs away.
_RUNAWAY: Final = frozenset({"orders_per_minute", "round_trips"})
_READ_ONLY: Final = "IBKR_READ_ONLY=true refuses every order; nothing was sent"


_NOTHING: Final = Exposure()


@dataclass(slots=True, eq=False)
class Unsettled:
    """An order whose outcome is not known: since when (real seconds), and over which of the connections it left."""

    order: Order
    since: float
    connection: int
    alerted: bool = False


@dataclass(frozen=True, slots=True)
class _Market:
    """What was looked up before the lock was taken."""

    quote: Quote | None
    tick: Decimal | None
    sessions: tuple[tuple[int, int], ...] | None
    summary: AccountSummary | None
    shortability: Shortability | None = None
    suspect: str = ""


class Admission:
    """Admits orders to `broker` within `limits`. `summary` reads the account's values without waiting for them.

    Where nobody watches the account's losses (`watched`), they are looked at with each order.
    """

    def __init__(
        self,
        broker: Broker,
        limits: RiskLimits,
        latches: Latches,
        *,
        read_only: bool,
        watched: bool,
        summary: Callable[[], AccountSummary | None],
    ) -> None:
        self._broker, self.limits, self._latches, self._read_only = broker, limits, latches, read_only
        self._watched, self._summary, self._plain = watched, summary, limits.is_plain
        self.books = Books(None, "", broker.now, lambda: "")
        #: Why no order may leave at all, whatever it does; empty when orders may.
        self.closed = ""
        self.unsettled: dict[str, Unsettled] = {}
        self._lock = new_lock()
        self._in_flight: dict[str, Commitment] = {}
        self._sent: deque[tuple[int, Order]] = deque()
        self._halted: dict[int, str] = {}
        self._peak: tuple[str, Decimal] | None = None
        self._warned_of_delay = False
        self._sanity, self._looking = QuoteSanity(), new_lock()

    # --- asked ------------------------------------------------------------------------------------------------------

    def order(self, order: Order) -> bool:
        """Admit a new order: whether it can only reduce a position. OrderRefusedError."""
        if self._plain and not self._is_halted(order):
            exposure = (
                _NOTHING if order.limit_price is None else Exposure(quote=self._broker.latest_quote(order.contract))
            )
            refusal = check_slips(order, exposure, self.limits)
            return False if refusal is None else self.refuse((order,), refusal)
        return self._admit((order,), lambda exposure: check(order, exposure, self.limits))

    def bracket(self, bracket: Bracket) -> bool:
        """Admit an entry with its exits; as `order`."""
        legs = bracket.parent, bracket.take_profit, bracket.stop_loss
        return self._admit(legs, lambda exposure: check_bracket(bracket, exposure, self.limits))

    def change(self, trade: Trade, changed: Order) -> bool:
        """Admit a change of a working order; as `order`. What it brings more is reserved until `release`."""
        more = max(changed.quantity - trade.order.quantity, Decimal(0))
        return self._admit(
            (changed,), lambda exposure: check_change(trade, changed, exposure, self.limits), change=trade, more=more
        )

    def _admit(
        self,
        orders: Sequence[Order],
        judge: Callable[[Exposure], Refusal | None],
        *,
        change: Trade | None = None,
        more: Decimal | None = None,
    ) -> bool:
        order = orders[0]
        self._refuse_outright(order)
        market = self._market(order)
        with self._lock:
            refusal = self._refuse_unknown(order)
            try:
                exposure = self._exposure(order, market)
            except NotSynchronisedError as error:
                refusal = refusal or Refusal("unsynchronised", "a known account", "unknown", f"unsynchronised: {error}")
                exposure = Exposure()
            refusal = refusal or judge(exposure)
            if refusal is None:
                self._reserve(order, exposure, market, change=change, more=more)
                return exposure.reduces(order)
        return self.refuse(orders, refusal)

    def _refuse_outright(self, order: Order) -> None:
        if self._read_only:
            self.refuse((order,), Refusal("read_only", "no orders", order.order_type.value, _READ_ONLY))
        if self.closed:
            self.refuse((order,), Refusal("journal", "a journal", "none", f"{self.closed}; nothing was sent"))
        if blocked := self._latches.blocked(order.contract.con_id):
            self.refuse((order,), Refusal("unexplained_position", "none", order.contract.symbol, blocked))

    def _refuse_unknown(self, order: Order) -> Refusal | None:
        for ref, each in self.unsettled.items():
            if each.order.action is order.action and same_contract(each.order.contract, order.contract):
                return Refusal(
                    "unknown_outcome", "none", ref,
                    f"unknown_outcome: order {ref} to {order.action} {order.contract.symbol} may be working: until the "
                    "venue's lists tell, no other one on that side leaves; nothing was sent",
                )  # fmt: skip
        return None

    def refuse(self, orders: Sequence[Order], refusal: Refusal) -> NoReturn:
        """Note a refusal, latch what must be latched, and raise OrderRefusedError."""
        order = orders[0]
        self.books.refused(order, refusal.rule, refusal.limit, refusal.value)
        if refusal.rule in _RUNAWAY:
            _log.error("no new risk is taken until a person says so: %s", refusal.words)
            self._latches.halt(refusal.words)
        elif refusal.rule == "symbol_orders_per_minute":
            self._halted[order.contract.con_id] = refusal.words
        raise OrderRefusedError(refusal.words, reason=refusal.words, code=None)

    def _is_halted(self, order: Order) -> bool:
        """Whether anything stands in an order's way but its own size and price."""
        return bool(
            self._read_only
            or self.closed
            or self.unsettled
            or self._latches.standing
            or self._latches.blocked(order.contract.con_id)
            or self.books.unavailable
        )

    # --- what is known ----------------------------------------------------------------------------------------------

    def _market(self, order: Order) -> _Market:
        """What takes a look at the venue; a first quote may take its time."""
        broker = self._broker
        if self._plain:
            return _Market(broker.latest_quote(order.contract) if order.limit_price else None, None, None, None)
        quote = None
        try:
            quote = broker.quote(order.contract)
        except (NoMarketDataError, NotSupportedError) as error:
            _log.info("no quote of %s: %s", order.contract.symbol, error)
        if quote is not None and quote.source is Source.DELAYED and not self._warned_of_delay:
            self._warned_of_delay = True
            _log.warning("orders are held against DELAYED prices: they are up to twenty minutes old")
        details = broker.contract_details(order.contract)
        sessions = details.sessions
        known = sessions if sessions or broker.mode is not Mode.SIMULATED else None
        summary = self._summary()
        if summary is not None and not self._watched:
            self.look_at_losses(summary)
        suspect = "" if quote is None else self._worth(order.contract, quote)
        return _Market(quote, details.min_tick, known, summary, self._shortability(order), suspect)

    def _worth(self, contract: Contract, quote: Quote) -> str:
        """Why no order may be held against a contract's prices, now that this quote has come; empty when one may."""
        with self._looking:
            before, after = self._sanity.standing(contract), self._sanity.take(contract, quote)
        if after and not before:
            _log.warning("no new risk in %s: %s", contract.symbol, after)
        elif before and not after:
            _log.warning("the prices of %s make sense again", contract.symbol)
        return after

    def look_at_quotes(self, *, suspects: bool) -> None:
        """Take in what has come of the contracts that orders were held against; of the `suspects` only, if so asked."""
        with self._looking:
            contracts = self._sanity.suspects if suspects else self._sanity.contracts
        for contract in contracts:
            if (quote := self._broker.latest_quote(contract)) is not None:
                self._worth(contract, quote)

    def _shortability(self, order: Order) -> Shortability | None:
        """What the venue says of borrowing, where an order could be a short sale and such are allowed."""
        if not self.limits.short_sales or order.action is Action.BUY:
            return None
        try:
            return self._broker.shortability(order.contract)
        except BrokerError as error:
            _log.info("whether %s can be borrowed is not known: %s", order.contract.symbol, error)
            return None

    def _exposure(self, order: Order, market: _Market) -> Exposure:
        """All that an order is held against. Orders are read before positions: what fills between counts twice."""
        broker, halt = self._broker, self._halt(order.contract)
        if self._plain and not halt:
            return Exposure(quote=market.quote)
        flying = dict(self._in_flight)
        commitments = [
            Commitment.of(trade, ours=trade.origin is Origin.OURS)
            for trade in broker.open_trades()
            if trade.order.order_ref not in flying and (is_listed(trade) or not self._watched)
        ]
        positions, now, summary = broker.positions(), broker.now(), market.summary
        while self._sent and self._sent[0][0] <= now - 60 * NS:
            self._sent.popleft()
        available, day_trades = None, -1
        if summary is not None:
            if broker.mode is not Mode.SIMULATED:  # whose exchange counts them and refuses none
                day_trades = summary.day_trades_remaining
            available = summary.available_funds - self.books.paid_since(summary.as_of)
        return Exposure(
            now,
            positions,
            (*commitments, *flying.values()),
            market.quote,
            market.tick,
            market.sessions,
            None if summary is None else summary.net_liquidation,
            available,
            tuple(self._sent),
            self.books.round_trips,
            halt,
            market.suspect,
            day_trades,
            market.shortability,
        )

    def _halt(self, contract: Contract) -> str:
        if (failed := self.books.unavailable) is not None:
            return f"nothing can be written down ({failed})"
        return self._latches.standing or self._halted.get(contract.con_id, "")

    def look_at_losses(self, summary: AccountSummary) -> bool:
        """Take no new risk today once too much is lost; whether that was found just now."""
        limits = self.limits
        if limits.max_daily_loss is None and limits.max_drawdown is None:
            return False
        day, net = self.books.today(), summary.net_liquidation
        if self._peak is None or self._peak[0] != day or self._peak[1] < net:
            self._peak = day, net
        daily = None
        if limits.max_daily_loss is not None:
            try:
                daily = self._broker.pnl().daily
            except BrokerError as error:
                _log.info("the day's profit and loss is not known: %s", error)
        refusal = lost_too_much(daily, self._peak[1], net, limits)
        if refusal is None or self._latches.standing:
            return False
        _log.error("only orders that reduce a position pass today: %s", refusal.words)
        self.books.refusals[refusal.rule] += 1
        self._latches.reduce(refusal.words)
        return True

    def headroom(self) -> tuple[Headroom, ...]:
        """What is used of the limits, for who looks on; a broker that does not tell now leaves dashes."""
        broker, books = self._broker, self.books
        now, summary = broker.now(), self._summary() if broker.is_connected else None
        use = Use(
            sent_last_minute=sum(sent > now - 60 * NS for sent, _ in tuple(self._sent)),
            round_trips=books.round_trips,
            net_liquidation=None if summary is None else summary.net_liquidation,
            peak=None if self._peak is None else self._peak[1],
        )
        try:
            positions = tuple((each.contract, each.quantity) for each in broker.positions())
            use = replace(use, open_trades=broker.open_trades(), positions=positions)
            use = replace(use, daily=broker.pnl().daily)
        except BrokerError as error:
            _log.debug("not all that is used of the limits is known: %s", error)
        return headroom(self.limits, use)

    # --- reservations -----------------------------------------------------------------------------------------------

    def _reserve(
        self, order: Order, exposure: Exposure, market: _Market, *, change: Trade | None, more: Decimal | None
    ) -> None:
        if self._plain:
            return
        quote = market.quote
        side = None if quote is None else quote.ask if order.action.sign > 0 else quote.bid
        price = Decimal(str(side)) if side is not None and 0 < side < float("inf") else None
        if change is None:
            self._in_flight[order.order_ref] = Commitment(order, order.quantity, price=price)
            self._sent.append((exposure.now, order))
        elif more:
            self._in_flight[_of_change(order)] = Commitment(replace(order, quantity=more), more, price=price)

    def release(self, orders: Sequence[Order]) -> None:
        """What became of these is known: the venue's lists count from now on."""
        with self._lock:
            for order in orders:
                self._in_flight.pop(order.order_ref, None)
                self._in_flight.pop(_of_change(order), None)
                self.unsettled.pop(order.order_ref, None)

    def unclear(self, orders: Sequence[Order]) -> None:
        """What became of these is not known: they count, and block their side, until the venue's lists tell."""
        connection = self._broker.health().reconnects
        with self._lock:
            for order in orders:
                self.unsettled[order.order_ref] = Unsettled(order, monotonic(), connection)
                self._in_flight.setdefault(order.order_ref, Commitment(order, order.quantity))

    def rejected(self, order: Order, code: int | None) -> None:
        """The venue has rejected an order; too many in a minute halt its symbol, one that is not allowed at once."""
        if code in NOT_ALLOWED and not self._plain:
            words = f"this account may not trade {order.contract.symbol} (TWS code {code})"
            _log.error("no new risk in %s in this session: %s", order.contract.symbol, words)
            self._halted[order.contract.con_id] = words
        most, count = self.limits.reject_streak, self.books.rejected(order)
        if most is not None and count >= most:
            symbol = order.contract.symbol
            words = f"{count} orders for {symbol} were rejected within a minute (RISK_REJECT_STREAK)"
            if order.contract.con_id not in self._halted:
                _log.error("no new risk in %s in this session: %s", symbol, words)
            self._halted[order.contract.con_id] = words


def _of_change(order: Order) -> str:
    return f"{order.order_ref} changed"
