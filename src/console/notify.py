"""Tells a person when it matters: a connection that stays lost, orders not accepted, the kill switch, the day's sum.

It sees the session as an observer and never holds it up: a message goes into the outbox, whose threads send it.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from zoneinfo import ZoneInfo

from src.brokers.guarded import GuardedBroker
from src.console.outbox import Outbox, Send
from src.console.webhooks import Message, format_of, post, run
from src.domain.account_ids import masked
from src.domain.errors import BrokerError, InvalidOrderError, OrderRefusedError, OrderRejectedError
from src.domain.events import ConnectionChanged, Event, OrderChanged
from src.domain.market import Bar
from src.domain.orders import Order, OrderStatus, Trade
from src.runtime.clock import monotonic, to_datetime
from src.trading.observer import Observer, Watched

if TYPE_CHECKING:
    from src.settings import Settings

_NEW_YORK: Final = ZoneInfo("America/New_York")


class Notifier(Observer):
    """Watches a session, and puts what matters into the outbox."""

    def __init__(self, settings: "Settings", outbox: Outbox) -> None:
        self._outbox = outbox
        self._wanted = frozenset(settings.notify_events)
        self._patience = settings.notify_disconnected_after
        self._session: Watched | None = None
        self._lost_at: float | None = None
        self._lost_by = ""
        self._told_lost = self._killed = self._stopped = False
        self._let_down: set[str] = set()  # references of orders that were told of
        self._day = ""
        self._equity = self._equity_before = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._outbox.close()

    def began(self, session: Watched, equity: float) -> None:  # noqa: D102  # see Observer, here and below
        self._session, self._equity, self._equity_before = session, equity, equity
        self._day = _day(session.broker.now())

    def heard(self, event: Event) -> None:  # noqa: D102
        if isinstance(event, ConnectionChanged):
            self._connection_changed(event)
        elif isinstance(event, OrderChanged) and event.trade.status is OrderStatus.INACTIVE:
            trade = event.trade
            session = self._session
            if session is not None and trade.order.order_ref.startswith(f"{session.session}-"):
                self._not_accepted("rejected", trade.order, trade.reason)

    def answered(self, order: Order, answer: Trade | BrokerError) -> None:  # noqa: D102
        if isinstance(answer, OrderRefusedError):
            self._not_accepted("refused", order, answer.reason)
        elif isinstance(answer, OrderRejectedError | InvalidOrderError):
            self._not_accepted("rejected", order, str(answer))

    def bars(self, bars: Sequence[Bar], equity: float) -> None:  # noqa: D102
        del bars
        self._look_at_day()
        self._equity = equity
        self._look()

    def idle(self) -> None:  # noqa: D102
        self._look_at_day()
        self._look()

    def _look_at_day(self) -> None:
        """Sum a day up when it is over in New York, not when the next one's first bar comes."""
        session = self._session
        if session is not None and (day := _day(session.broker.now())) != self._day:
            self._sum_up(f"{self._day} is over")
            self._day, self._equity_before = day, self._equity

    def _look(self) -> None:
        lost = self._lost_at
        if lost is not None and not self._told_lost and monotonic() - lost >= self._patience:
            self._told_lost = True
            self._tell(
                "disconnected", f"no connection for {self._patience:.0f} s: {self._lost_by or 'no reason given'}"
            )
        session = self._session
        if session is not None and isinstance(session.broker, GuardedBroker):
            self._look_at_guards(session.broker)

    def _look_at_guards(self, broker: GuardedBroker) -> None:
        killed, why = broker.is_killed, broker.stopped
        if killed and not self._killed:
            self._tell("kill", f"no order leaves: {why}")
        elif why and not self._stopped:
            self._tell("kill", f"no new risk is taken: {why}")
        self._killed, self._stopped = killed, bool(why)

    def ended(self, failure: BaseException | None) -> None:  # noqa: D102
        self._look()
        self._sum_up("the session is over" if failure is None else f"the session FAILED: {failure}")

    def _connection_changed(self, event: ConnectionChanged) -> None:
        if not event.connected:
            # TWS has lost IB, and then it goes away itself: that is one absence, from its first word on.
            self._lost_at = monotonic() if self._lost_at is None else self._lost_at
            self._lost_by = event.reason
        elif self._lost_at is not None:
            if self._told_lost:
                self._tell("disconnected", f"the connection is back after {monotonic() - self._lost_at:.0f} s")
            self._lost_at, self._told_lost = None, False

    def _not_accepted(self, event: str, order: Order, reason: str) -> None:
        if order.order_ref not in self._let_down:
            self._let_down.add(order.order_ref)
            what = f"{order.action} {order.quantity} {order.contract.symbol} {order.order_type}"
            self._tell(event, f"{what} {event}: {reason or 'no reason given'}")

    def _sum_up(self, why: str) -> None:
        session = self._session
        if session is None:
            return
        totals, change = session.portfolio.totals, self._equity - self._equity_before
        held = ", ".join(f"{shares} {symbol}" for symbol, shares in session.portfolio.held.items()) or "nothing"
        self._tell(
            "summary",
            f"{why}\n{totals.orders} orders, {totals.fills} fills, commissions {totals.commissions:.2f} USD in all\n"
            f"equity {self._equity:,.2f} USD ({change:+,.2f}), deepest fall {session.max_drawdown:.2%}\nholds {held}",
        )

    def _tell(self, event: str, text: str) -> None:
        session = self._session
        if event not in self._wanted or session is None:
            return
        account = session.broker.account_id
        if account:
            text = text.replace(account, masked(account))
        self._outbox.put(Message(event, f"[{session.broker.mode.value.upper()}] session {session.session}: {text}"))


def notifier(settings: "Settings") -> Notifier | None:
    """What the settings ask for; None when nobody is to be told of anything."""
    ways: list[Send] = []
    if address := settings.notify_webhook:
        form = format_of(address, settings.notify_format)
        ways.append(lambda message: post(address, form, message))
    if command := settings.notify_command:
        ways.append(lambda message: run(command, message))
    if not ways or not settings.notify_events:
        return None
    return Notifier(settings, Outbox(ways, settings.notify_per_minute))


def _day(moment: int) -> str:
    return to_datetime(moment).astimezone(_NEW_YORK).date().isoformat()
