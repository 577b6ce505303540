"""Trader: one session of one strategy at one broker, from its first bar to its summary.

It reads the broker's events on the caller's thread, gives the strategy every closed bar, sends what the strategy asks
for under references of its own, and keeps the strategy's portfolio from the fills of exactly those orders. A rejected
order is counted and the session goes on; a strategy that raises, or a broker that fails, ends it in good order, with
`failure` set. The only thing a signal handler may call is `stop()`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from sys import maxsize
from typing import Any, Final, Literal

from src.brokers.broker import Broker
from src.domain.errors import BrokerError, InvalidOrderError, NoMarketDataError, NotSupportedError, OrderRejectedError
from src.domain.events import (
    BarClosed,
    CommissionCharged,
    ConnectionChanged,
    Event,
    Filled,
    Notice,
    OrderChanged,
)
from src.domain.market import Bar, BarSize, Contract
from src.domain.orders import AccountId, Action, Fill, Order, OrderId, OrderStatus, Trade
from src.runtime.bridge import EventStream
from src.runtime.clock import NS, iso, monotonic, to_datetime
from src.trading.equity import Equity
from src.trading.portfolio import Portfolio
from src.trading.strategy import Strategy
from src.trading.summary import SessionSummary

_log = logging.getLogger(__name__)

#: Told now and then: market time, and bars so far.
Progress = Callable[[int, int], None]

_POLL: Final = 0.25  # real seconds without an event after which stop and deadline are looked at
_PATIENCE: Final = 70.0  # real seconds to wait for the fills of a flattening
_BARS_PER_REPORT: Final = 2_000
_LOUD_REJECTIONS: Final = 10
_REFUSALS: Final = (OrderRejectedError, InvalidOrderError, NoMarketDataError, NotSupportedError)


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What a session trades and when it ends. Durations are market minutes; None is "until the prices end".

    `close_after` tells the market's first close after a moment, None when it never closes; without it nothing is
    flattened before a close.
    """

    session: str
    contracts: tuple[Contract, ...]
    timeframe: BarSize = BarSize.MIN_1
    quantities: Mapping[str, Decimal] = field(default_factory=dict)
    duration: float | None = None
    on_exit: Literal["cancel", "keep", "flatten"] = "cancel"
    flat_before_close: float | None = None
    close_after: Callable[[int], int | None] | None = None


class Trader:
    """Runs one session. `portfolio`, `rejected` and `failure` tell more than the summary does."""

    def __init__(self, broker: Broker, strategy: Strategy, plan: SessionPlan, progress: Progress | None = None) -> None:
        self.portfolio = Portfolio(plan.quantities)
        self.rejected = 0
        self.failure: BaseException | None = None
        self._broker, self._strategy, self._plan, self._progress = broker, strategy, plan, progress
        self._account = AccountId("")
        self._contracts: dict[str, Contract] = {}
        self._prefix = f"{plan.session}-"
        self._order_ids: dict[str, OrderId] = {}
        self._stopping = False
        self._bars = 0
        self._started_at = 0
        self._deadline = self._flat_at = maxsize
        self._resting = False  # flat before a close: no new orders until it has come
        self._seen_until = 0  # the end of the last bar of history
        self._equity = Equity(0.0)
        self._explains = _log.isEnabledFor(logging.DEBUG)
        self._tells = _log.isEnabledFor(logging.INFO)
        self._hearers: dict[type, Callable[[Any], None]] = {
            OrderChanged: lambda event: self._changed(event.trade),
            Filled: lambda event: self._filled(event.fill),
            CommissionCharged: self._charged,
            Notice: self._noted,
            ConnectionChanged: self._connection_changed,
        }

    def stop(self) -> None:
        """End the session at the next event, in good order. Sets a flag, nothing more: fit for a signal handler."""
        self._stopping = True

    def run(self) -> SessionSummary:
        """Trade until the plan's end, the prices' end, a failure or `stop()`."""
        plan, broker = self._plan, self._broker
        self._account = broker.account_id
        self._contracts = {one.symbol: one for one in map(broker.qualify, plan.contracts)}
        self._started_at = broker.now()
        self._equity = Equity(float(broker.account_summary().net_liquidation))
        if plan.duration is not None:
            self._deadline = self._started_at + int(plan.duration * 60 * NS)
        self._plan_flattening(self._started_at)
        self._list_positions()
        with broker.events(*self._contracts.values(), bars=plan.timeframe) as stream:
            _log.info("session %s begins: %s on %s", plan.session, ", ".join(self._contracts), broker.mode)
            began = monotonic()
            try:
                self._warm_up()
                self._trade(stream)
            except KeyboardInterrupt:
                self.stop()
            except BrokerError as error:
                self._fail("the session ends: %s", error)
            finally:
                seconds = monotonic() - began
                self._finish(stream)
        return self._summary(seconds)

    def explain(self) -> str:
        """What the strategy saw, decided, and why, at the last bar."""
        return self._strategy.explain()

    def _list_positions(self) -> None:
        for position in self._broker.positions():
            _log.info(
                "%s shares of %s were in the account before; this session leaves them alone",
                position.quantity,
                position.contract.symbol,
            )

    def _warm_up(self) -> None:
        """Show the strategy the bars before the session; what it would have ordered then is not sent."""
        needed = self._strategy.warm_up
        history: list[Bar] = []
        for contract in self._contracts.values() if needed > 0 else ():
            try:
                bars = self._broker.bars(contract, self._plan.timeframe, needed)
            except (NoMarketDataError, NotSupportedError) as error:
                _log.warning("no history of %s: %s", contract.symbol, error)
                bars = ()
            if len(bars) < needed:
                missing = needed - len(bars)
                _log.info("%s: %d bars of history are missing; no decision before them", contract.symbol, missing)
            history.extend(bars)
        history.sort(key=lambda bar: bar.end)
        self._seen_until = history[-1].end if history else 0
        try:
            for bar in history:
                self._strategy.on_bar(bar, self.portfolio)
        except Exception as error:  # noqa: BLE001  # anything a strategy may do wrong
            self._fail("the strategy failed on its history and is halted: %s", error)

    def _trade(self, stream: EventStream) -> None:
        """Read events until something ends the session. Per bar this makes nothing and logs nothing."""
        next_event, decide, equity = stream.next, self._decide, self._equity
        report_at = 0
        while not self._stopping:
            event = next_event(_POLL)
            if type(event) is not BarClosed:
                if self._is_over(event, stream):
                    break
                continue
            bars = event[0]
            instant = bars[0][2]
            if instant <= self._seen_until:
                continue
            if not equity.idle:
                equity.mark(bars)
            if instant >= self._flat_at:
                self._near_close(instant)
            decide(bars)
            if instant >= self._deadline:
                break
            if self._progress is not None and self._bars >= report_at:
                report_at = self._bars + _BARS_PER_REPORT
                self._progress(instant, self._bars)

    def _decide(self, bars: Sequence[Bar]) -> None:
        """Ask the strategy about each bar of an instant, and send what it wants."""
        on_bar, portfolio, explains = self._strategy.on_bar, self.portfolio, self._explains
        for bar in bars:
            try:
                orders = on_bar(bar, portfolio)
            except Exception as error:  # noqa: BLE001  # anything a strategy may do wrong
                self._fail("the strategy failed and is halted: %s", error)
                return
            if orders:
                self._send(orders)
            if explains:
                _log.debug("%s", self._strategy.explain())
        self._bars += len(bars)

    def _is_over(self, event: Event | None, stream: EventStream) -> bool:
        """Take an event that is no bar, or none at all; whether the session has come to its end."""
        if event is not None:
            self._hear(event)
            return False
        if stream.ended or self._broker.now() >= self._deadline:
            return True
        if self._progress is not None:
            self._progress(self._broker.now(), self._bars)
        return False

    def _fail(self, message: str, error: BaseException) -> None:
        self.failure = error
        self.stop()
        _log.error(message, error, exc_info=error)

    # Orders out.

    def _send(self, orders: Sequence[Order]) -> None:
        try:
            contracts = [self._contracts[order.contract.symbol] for order in orders]
        except (TypeError, AttributeError, KeyError) as error:
            self._fail("the strategy must return orders for the session's contracts: %s", error)
            return
        if self._resting:
            _log.info("held back before the close: %s", ", ".join(f"{o.action} {o.quantity}" for o in orders))
            return
        if self._tells:
            _log.info("%s", self._strategy.explain())
        for order, contract in zip(orders, contracts, strict=True):
            self._place(order, contract)

    def _place(self, order: Order, contract: Contract) -> None:
        reference = f"{self._prefix}{self.portfolio.totals.orders + 1}"
        order = order.addressed(contract, self._account, reference)
        self.portfolio.sent(order)
        try:
            trade = self._broker.place_order(order)
        except _REFUSALS as error:
            self.portfolio.refused(order)
            self._count_rejection(order, str(error))
        else:
            self._order_ids[reference] = trade.order_id

    def _count_rejection(self, order: Order, reason: str) -> None:
        self.rejected += 1
        level = logging.WARNING if self.rejected <= _LOUD_REJECTIONS else logging.DEBUG
        _log.log(level, "rejected: %s %s %s: %s", order.action, order.quantity, order.contract.symbol, reason)
        if self.rejected == _LOUD_REJECTIONS:
            _log.warning("further rejections are only counted")

    # Events in.

    def _hear(self, event: Event) -> None:
        hearer = self._hearers.get(type(event))
        if hearer is not None:
            hearer(event)

    def _charged(self, event: CommissionCharged) -> None:
        if self.portfolio.charged(event.report):
            self._equity.paid(self.portfolio.totals.cash_flow)

    def _noted(self, event: Notice) -> None:
        _log.info("%d: %s", event.code, event.text)

    def _connection_changed(self, event: ConnectionChanged) -> None:
        state = "is back" if event.connected else "is lost"
        _log.warning("the connection %s: %s", state, event.reason or "no reason")

    def _filled(self, fill: Fill) -> None:
        ours = self._own_part(fill)
        if ours is None or not self.portfolio.filled(ours):
            return
        execution = ours.execution
        symbol = execution.contract.symbol
        self._equity.traded(symbol, self.portfolio.position(execution.contract), execution.price)
        self._equity.paid(self.portfolio.totals.cash_flow)
        if execution.liquidation:
            _log.warning("the venue liquidated %s %s for want of margin", execution.shares, symbol)
        if self._tells:
            _log.info("filled: %s %s %s at %s", execution.side, execution.shares, symbol, execution.price)

    def _own_part(self, fill: Fill) -> Fill | None:
        """The fill of an own order, or as much of a liquidation as closes own shares."""
        execution = fill.execution
        if execution.order_ref.startswith(self._prefix):
            return fill
        held = self.portfolio.position(execution.contract) if execution.liquidation else Decimal(0)
        if held * execution.side.sign >= 0:
            return None
        return replace(fill, execution=replace(execution, shares=min(execution.shares, abs(held))))

    def _changed(self, trade: Trade) -> None:
        order = trade.order
        if (
            order.order_ref.startswith(self._prefix)
            and self.portfolio.changed(trade)
            and trade.status is OrderStatus.INACTIVE
        ):
            self._count_rejection(order, trade.reason)

    # The end, and the market's close.

    def _plan_flattening(self, now: int) -> None:
        minutes, close_after = self._plan.flat_before_close, self._plan.close_after
        self._flat_at = maxsize
        if minutes is not None and close_after is not None and (close := close_after(now)) is not None:
            self._flat_at = close - int(minutes * 60 * NS)

    def _near_close(self, instant: int) -> None:
        """Flatten when the moment has come; begin anew once the close has."""
        close = self._flat_at + int((self._plan.flat_before_close or 0) * 60 * NS)
        if instant >= close:
            self._resting = False
            self._plan_flattening(instant)
            if instant < self._flat_at:
                return
        if not self._resting:
            self._cancel_working()
            self._sell_out()
            self._resting = True

    def _cancel_working(self) -> None:
        """Cancel the own orders that still work, and count what they filled until then."""
        for reference in self.portfolio.working:
            try:
                trade = self._broker.cancel_order(self._order_ids[reference])
            except (BrokerError, KeyError) as error:
                _log.warning("order %s could not be cancelled: %s", reference, error)
            else:
                self._changed(trade)
        self._settle()

    def _sell_out(self) -> None:
        for symbol, shares in self.portfolio.positions.items():
            action = Action.SELL if shares > 0 else Action.BUY
            self._place(Order(self._contracts[symbol], action, abs(shares)), self._contracts[symbol])

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
        except BrokerError as error:
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
        for fill in self._broker.fills(since=to_datetime(self._started_at)):
            self._filled(fill)
            if fill.commission_report is not None and fill.execution.order_ref.startswith(self._prefix):
                self.portfolio.charged(fill.commission_report)

    def _summary(self, seconds: float) -> SessionSummary:
        totals, equity, broker = self.portfolio.totals, self._equity, self._broker
        try:
            final = float(broker.account_summary().net_liquidation)
        except BrokerError as error:
            _log.warning("the final equity is the session's own, the broker does not tell: %s", error)
            final = equity.value
        return SessionSummary(
            mode=broker.mode.value,
            symbols=tuple(self._contracts),
            start=iso(self._started_at),
            end=iso(broker.now()),
            bars=self._bars,
            orders=totals.orders,
            fills=totals.fills,
            commissions=round(float(totals.commissions), 6),
            realized_pnl=round(float(self.portfolio.realized_pnl()), 6),
            unrealized_pnl=round(float(self.portfolio.unrealized_pnl(equity.prices)), 6),
            final_equity=round(final, 6),
            max_drawdown=round(equity.max_drawdown, 9),
            seconds=round(seconds, 3),
            bars_per_second=round(self._bars / seconds, 1) if seconds > 0 else 0.0,
        )
