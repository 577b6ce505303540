"""Trader: one session of one strategy at one broker, from its first bar to its summary.

It reads the broker's events on the caller's thread, gives the strategy every closed bar, sends what the strategy asks
for under references of its own, and keeps the strategy's portfolio from the fills of exactly those orders. A rejected
order is counted and the session goes on; a strategy that raises, or a broker that fails, ends it in good order, with
`failure` set. The only thing a signal handler may call is `stop()`.
"""

import logging
from collections.abc import Callable, Sequence
from sys import maxsize
from types import TracebackType
from typing import Any, Final

from src.brokers.broker import Broker
from src.brokers.command_line import in_one_line
from src.domain.errors import (
    BrokerError,
    ConnectionLostError,
    InvalidOrderError,
    LiquidatedError,
    NoMarketDataError,
    NotConnectedError,
    NotSupportedError,
    OrderRejectedError,
)
from src.domain.events import (
    TOLD,
    BarClosed,
    BarsMissed,
    CommissionCharged,
    ConnectionChanged,
    Event,
    Filled,
    Notice,
    OrderChanged,
    QuoteChanged,
)
from src.domain.market import Bar, Contract, Mode
from src.domain.orders import AccountId, Action, Fill, Order, OrderId, OrderStatus, Trade
from src.runtime.bridge import EventStream
from src.runtime.clock import NS, monotonic, to_datetime
from src.trading.closes import ClosingTime
from src.trading.equity import Equity
from src.trading.history import bars_before, never_decided
from src.trading.mistakes import Repeated
from src.trading.observer import UNKNOWN, Observer, Observers
from src.trading.plan import SessionPlan
from src.trading.portfolio import Portfolio
from src.trading.rehearsal import Rehearsal
from src.trading.showing import Showing
from src.trading.strategy import Strategy
from src.trading.summary import SessionSummary, conclude
from src.trading.words import order_in_words

_log = logging.getLogger(__name__)

_POLL: Final = 0.25  # real seconds without an event after which stop and deadline are looked at
_PATIENCE: Final = 70.0  # real seconds to wait for the fills of a flattening
_LOUD_REJECTIONS: Final = 10
_LOUD_LIQUIDATIONS: Final = 3
#: Nothing was sent, or it was not taken: the order is counted, and the session goes on.
_REFUSALS: Final = (OrderRejectedError, InvalidOrderError, NoMarketDataError, NotSupportedError, NotConnectedError)


class Trader:
    """Runs one session. `portfolio`, `rejected`, `liquidated`, `rehearsal` and `failure` tell more than the summary."""

    def __init__(
        self, broker: Broker, strategy: Strategy, plan: SessionPlan, observers: Sequence[Observer] = ()
    ) -> None:
        self.portfolio = Portfolio(plan.quantities)
        self._rejections = Repeated(_log, "rejections", _LOUD_REJECTIONS)
        self._liquidations = Repeated(_log, "liquidations", _LOUD_LIQUIDATIONS)
        self.failure: BaseException | None = None
        self._lost: str | None = None  # why the connection is not there
        #: By symbol, the bars seen where they were too few for a first decision.
        self.undecided: dict[str, int] = {}
        self.broker, self._strategy, self._plan = broker, strategy, plan
        self._observers = Observers(observers)
        self._account = AccountId("")
        self.session = plan.session
        self.contracts: dict[str, Contract] = {}
        self.rehearsal = Rehearsal(plan.timeframe.seconds)
        self.prefix = f"{plan.session}-s"  # a number alone is the reference of an order that is not the strategy's
        self._order_ids: dict[str, OrderId] = {}
        self._stopping = False
        self.started_at = 0
        self._deadline = maxsize
        self._look_at = 0.0  # when quotes have left no pause for long enough; monotonic seconds
        self._closing = ClosingTime(plan.flat_before_close, plan.close_after)
        self._lacks_history = False
        self._seen_until = 0  # the end of the last bar of history
        self._equity = Equity(0.0)
        self._showing = Showing(strategy, self.portfolio, self._fail)
        self._tells = _log.isEnabledFor(logging.INFO)
        self._hearers: dict[type, Callable[[Any], None]] = {
            OrderChanged: lambda event: self._changed(event.trade),
            Filled: lambda event: self._filled(event.fill),
            CommissionCharged: self._charged,
            Notice: self._noted,
            ConnectionChanged: self._connection_changed,
            BarsMissed: lambda event: self._catch_up(event.bars),
        }

    def stop(self) -> None:
        """End the session at the next event, in good order. Sets a flag, nothing more: fit for a signal handler."""
        self._stopping = True

    def run(self) -> SessionSummary:
        """Trade until the plan's end, the prices' end, a failure or `stop()`."""
        plan, broker = self._plan, self.broker
        self._account = broker.account_id
        self.contracts = {one.symbol: one for one in map(broker.qualify, plan.contracts)}
        self.started_at = broker.now()
        self._equity = Equity(float(broker.account_summary().net_liquidation))
        if plan.duration is not None:
            self._deadline = self.started_at + int(plan.duration * 60 * NS)
        self._closing.plan(self.started_at)
        self._list_positions()
        with broker.events(*self.contracts.values(), bars=plan.timeframe) as stream:
            _log.info("session %s begins: %s on %s", plan.session, ", ".join(self.contracts), broker.mode)
            began = monotonic()
            self._observers.began(self, self._equity.value)
            try:
                self._warm_up()
                self._trade(stream)
            except KeyboardInterrupt:
                self.stop()
            except BrokerError as error:
                self._fail("the session ends: %s", error)
            except Exception as error:  # noqa: BLE001  # whatever it is, the session has its summary
                self._fail("the session ends: %s", error, error.__traceback__)
            finally:
                seconds = monotonic() - began
                self._finish(stream)
                if self._lost is not None and self.failure is None:
                    self._fail("%s", ConnectionLostError(f"the session ended without its connection: {self._lost}"))
        self._observers.ended(self.failure)
        if self._lacks_history:
            contracts = self.contracts.values()
            self.undecided = never_decided(broker, contracts, plan.timeframe, self._strategy.warm_up)
        return conclude(self, self._equity, self._showing.bars, seconds)

    @property
    def rejected(self) -> int:
        """Own orders that were not accepted."""
        return self._rejections.count

    @property
    def liquidated(self) -> int:
        """Executions with which the venue took own shares for want of margin."""
        return self._liquidations.count

    @property
    def ends_at(self) -> int | None:
        """When the session will end, epoch ns; None when with its prices."""
        return None if self._deadline == maxsize else self._deadline

    @property
    def max_drawdown(self) -> float:
        """The deepest fall from a peak so far, at bar closes, as a ratio."""
        return self._equity.max_drawdown

    def explain(self) -> str:
        """What the strategy saw, decided, and why, at the last bar."""
        return self._strategy.explain()

    def _list_positions(self) -> None:
        for position in self.broker.positions():
            if not position.quantity:
                continue
            _log.info(
                "%s shares of %s were in the account before; this session leaves them alone",
                position.quantity,
                position.contract.symbol,
            )

    def _warm_up(self) -> None:
        """Show the strategy the bars before the session."""
        needed, contracts = self._strategy.warm_up, self.contracts.values()
        history = bars_before(self.broker, contracts, self._plan.timeframe, needed)
        self._lacks_history = len(history) < needed * len(contracts)
        self._seen_until = history[-1].end if history else 0
        self._showing.before(history)

    def _catch_up(self, bars: Sequence[Bar]) -> None:
        """Show the strategy what ended while the connection was away."""
        if bars[0].end <= self._seen_until:
            return
        if not self._equity.idle:
            self._equity.mark(bars)
        if self._observers:
            self._observers.deciding(bars)
        if self._showing.missed(bars) and self._observers:
            self._observers.bars(bars, self._equity.value)

    def _trade(self, stream: EventStream) -> None:
        """Read events until something ends the session. Per bar this makes nothing and logs nothing."""
        next_event, hear, equity, contracts = stream.next, self._hear, self._equity, self.contracts
        closed, send = self._showing.closed, self._send
        seen_until, deadline, closing, observers = self._seen_until, self._deadline, self._closing, self._observers
        while not self._stopping:
            event = next_event(_POLL)
            if type(event) is not BarClosed:
                if event is not None:
                    hear(event)
                if self._is_over(stream, event):
                    break
                continue
            bars = event[0]
            instant = bars[0][2]
            if instant <= seen_until:
                continue
            if not equity.idle:
                equity.mark(bars)
            if instant >= closing.flat_at and closing.has_come(instant):
                self._cancel_working()
                self._sell_out()
            if observers:
                observers.deciding(bars)
                closed(bars, contracts, send)
                observers.bars(bars, equity.value)
            else:
                closed(bars, contracts, send)
            if instant >= deadline:
                break

    def _is_over(self, stream: EventStream, event: Event | None) -> bool:
        """Whether the session has come to its end: looked at in a pause, and where quotes leave none, now and then."""
        if event is not None and (type(event) is not QuoteChanged or stream.unread or monotonic() < self._look_at):
            return False
        if stream.ended or self.broker.now() >= self._deadline:
            return True
        self._observers.idle()
        self._look_at = monotonic() + _POLL
        return False

    def _fail(self, message: str, error: BaseException, trace: TracebackType | None = None) -> None:
        self.failure = error
        self.stop()
        _log.error(message, in_one_line(error), exc_info=(type(error), error, trace) if trace else None)

    # Orders out.

    def _send(self, orders: Sequence[Order]) -> None:
        if self._observers:
            self._observers.decided(orders)
        if self._closing.is_resting:
            _log.info("held back before the close: %s", ", ".join(f"{o.action} {o.quantity}" for o in orders))
            return
        if self._plan.dry_run:
            self._rehearse(orders)
            return
        if self._tells:
            self._showing.explain()
        for order in orders:
            self._place(order, self.contracts[order.contract.symbol])

    def _rehearse(self, orders: Sequence[Order]) -> None:
        """Keep what would be sent, and send nothing."""
        for order in orders:
            if self.rehearsal.add(self.broker.now(), order):
                _log.info("dry run, not sent: %s", order_in_words(order))
                self._observers.rehearsed(order)

    def _place(self, order: Order, contract: Contract) -> None:
        reference = f"{self.prefix}{self.portfolio.totals.orders + 1}"
        order = order.addressed(contract, self._account, reference)
        self.portfolio.sent(order)
        if self._observers:
            self._observers.sent(order)
        try:
            trade = self.broker.place_order(order)
        except BrokerError as error:
            self._observers.answered(order, error)
            if isinstance(error, _REFUSALS):
                self.portfolio.refused(order)
                self._count_rejection(order, str(error))
            elif isinstance(error, UNKNOWN):
                _log.warning("what became of order %s is not known: %s", reference, error, extra=TOLD)
            else:
                raise
        else:
            self._order_ids[reference] = trade.order_id
            if self._observers:
                self._observers.answered(order, trade)

    def _count_rejection(self, order: Order, reason: str) -> None:
        self._rejections.warn("rejected: %s %s %s: %s", order.action, order.quantity, order.contract.symbol, reason)
        self._observers.refused(order, reason)

    # Events in.

    def _hear(self, event: Event) -> None:
        if type(event) is QuoteChanged:
            self._observers.quoted(event.quote)
            return
        hearer = self._hearers.get(type(event))
        if hearer is not None:
            hearer(event)
        if self._observers:
            self._observers.heard(event)

    def _charged(self, event: CommissionCharged) -> None:
        if self.portfolio.charged(event.report):
            self._equity.paid(self.portfolio.totals.cash_flow)

    def _noted(self, event: Notice) -> None:
        _log.info("%d: %s", event.code, event.text)

    def _connection_changed(self, event: ConnectionChanged) -> None:
        self._lost = None if event.connected else event.reason or "the venue has said no more"
        if event.connected:  # that it is lost is said by who notices, once
            _log.warning("the connection is back", extra=TOLD)

    def _filled(self, fill: Fill) -> None:
        if fill.execution.liquidation and self.failure is None and self.broker.mode is not Mode.SIMULATED:
            one = fill.execution
            words = f"IB has liquidated {one.shares} {one.contract.symbol} for want of margin"
            self._fail("the strategy is halted: %s", LiquidatedError(f"{words}: look at the account before trading on"))
        ours = self.portfolio.own_part(fill, self.prefix)
        if ours is None or not self.portfolio.filled(ours):
            return
        execution = ours.execution
        symbol = execution.contract.symbol
        self._equity.traded(symbol, self.portfolio.position(execution.contract), execution.price)
        self._equity.paid(self.portfolio.totals.cash_flow)
        if execution.liquidation:
            self._liquidations.warn("the venue liquidated %s %s for want of margin", execution.shares, symbol)
        if self._tells:
            _log.info("filled: %s %s %s at %s", execution.side, execution.shares, symbol, execution.price)

    def _changed(self, trade: Trade) -> None:
        order = trade.order
        if not order.order_ref.startswith(self.prefix):
            return
        self._order_ids.setdefault(order.order_ref, trade.order_id)
        if self.portfolio.changed(trade) and trade.status is OrderStatus.INACTIVE:
            self._count_rejection(order, trade.reason)

    # The end.

    def _cancel_working(self) -> None:
        """Cancel the own orders that still work, and count what they filled until then."""
        for reference in self.portfolio.working:
            if (order_id := self._order_ids.get(reference)) is None:
                _log.warning("order %s could not be cancelled: the venue has never confirmed it", reference)
                continue
            try:
                trade = self.broker.cancel_order(order_id)
            except BrokerError as error:
                _log.warning("order %s could not be cancelled: %s", reference, error)
            else:
                self._changed(trade)
        self._settle()

    def _sell_out(self) -> None:
        for symbol, shares in self.portfolio.positions.items():
            action = Action.SELL if shares > 0 else Action.BUY
            self._place(Order(self.contracts[symbol], action, abs(shares)), self.contracts[symbol])

    def _finish(self, stream: EventStream) -> None:
        """Leave the account as the plan says; what cannot be done is logged."""
        try:
            if self._plan.on_exit == "keep":
                self._settle()
            else:
                self._cancel_working()
            if self._plan.on_exit == "flatten" and self.portfolio.positions:
                self._sell_out()
                self._await_flat(stream)
                self._cancel_working()
        except Exception as error:  # noqa: BLE001  # whatever it is, the session has its summary
            self._fail("the session could not be closed in good order: %s", error)
        if self._plan.on_exit == "flatten" and self.portfolio.positions:
            left = ", ".join(f"{shares} {symbol}" for symbol, shares in self.portfolio.positions.items())
            _log.warning("not flat, the prices ended before the orders could fill: %s", left)

    def _await_flat(self, stream: EventStream) -> None:
        give_up = monotonic() + _PATIENCE
        while self.portfolio.working and monotonic() < give_up:
            event = stream.next(_POLL)
            if event is None and stream.ended:
                return
            if isinstance(event, BarClosed):
                self._equity.mark(event.bars)
            elif event is not None:
                self._hear(event)

    def _settle(self) -> None:
        """Count the fills that no event has told yet, without waiting for the market."""
        for fill in self.broker.fills(since=to_datetime(self.started_at)):
            self._filled(fill)
            if fill.commission_report is not None and fill.execution.order_ref.startswith(self.prefix):
                self.portfolio.charged(fill.commission_report)
