"""Tells a person when it matters: a connection that stays lost, orders not accepted, the kill switch, the day's sum.

It sees the session as an observer and never holds it up: a message goes into a short queue, and a thread of its own
sends it, tries again twice, and gives up with a line in the log. At most so many a minute; what was left out is counted
in the next one. The kill switch and the summary come through always.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self
from zoneinfo import ZoneInfo

from src.brokers.guarded import GuardedBroker
from src.console.webhooks import Message, format_of, post, run
from src.domain.account import masked
from src.domain.errors import BrokerError, InvalidOrderError, OrderRefusedError, OrderRejectedError
from src.domain.events import ConnectionChanged, Event, OrderChanged
from src.domain.market import Bar
from src.domain.orders import Order, OrderStatus, Trade
from src.runtime.clock import monotonic, to_datetime
from src.runtime.periodic import Periodic
from src.runtime.worker import wait_until
from src.trading.observer import Observer, Watched

if TYPE_CHECKING:
    from src.settings import Settings

_log: Final = logging.getLogger(__name__)
_MOST_WAITING: Final = 50
_ATTEMPTS: Final = 3
_PAUSE: Final = 0.1
_LAST_WORDS: Final = 5.0
_ALWAYS: Final = frozenset({"kill", "summary"})
_NEW_YORK: Final = ZoneInfo("America/New_York")

#: Sends a message; why it could not, or "".
Send = Callable[[Message], str]


@dataclass(slots=True)
class _Letter:
    """A message on one way: how often it was tried, and when it may be again."""

    message: Message
    send: Send
    tried: int = 0
    due: float = 0.0


class Outbox:
    """Messages on their way, sent by a thread of its own; at most `per_minute` of them, and fifty that wait."""

    def __init__(self, ways: Sequence[Send], per_minute: int, retry_after: float = 2.0) -> None:
        self._ways, self._retry_after = tuple(ways), retry_after
        self._letters: deque[_Letter] = deque()  # the sender alone takes them out
        self._recent: deque[float] = deque(maxlen=per_minute)
        self._left_out = 0
        self._sending = Periodic("notify", _PAUSE, self._send_all)
        self._sending.start()

    def put(self, message: Message) -> None:
        """Have it sent soon, or leave it out when there are too many; never waits."""
        now = monotonic()
        if message.event not in _ALWAYS:
            many = len(self._recent) == self._recent.maxlen and now - self._recent[0] < 60.0
            if many or len(self._letters) >= _MOST_WAITING:
                self._left_out += 1
                return
            self._recent.append(now)
        if self._left_out:
            message = Message(message.event, f"{message.text}\n({self._left_out} more were not sent)")
            self._left_out = 0
        for send in self._ways:
            self._letters.append(_Letter(message, send))

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        if not wait_until(lambda: not self._letters, _LAST_WORDS):
            _log.warning("%d notifications could not be sent in time", len(self._letters))
        self._sending.stop()

    def _send_all(self) -> None:
        """Try each letter that is due; it stays first in the queue until it is sent or given up."""
        for _ in range(len(self._letters)):
            letter = self._letters[0]
            done = letter.due <= monotonic() and self._is_done_with(letter)
            self._letters.popleft()
            if not done:
                self._letters.append(letter)

    def _is_done_with(self, letter: _Letter) -> bool:
        failure = letter.send(letter.message)
        letter.tried += 1
        letter.due = monotonic() + self._retry_after
        if failure and letter.tried == _ATTEMPTS:
            _log.warning("a notification (%s) could not be sent: %s", letter.message.event, failure)
        return not failure or letter.tried == _ATTEMPTS


class Notifier(Observer):
    """Watches a session, and puts what matters into the outbox."""

    def __init__(self, settings: "Settings", outbox: Outbox) -> None:
        self._outbox = outbox
        self._wanted = frozenset(settings.notify_events)
        self._patience = settings.notify_disconnected_after
        self._session: Watched | None = None
        self._lost_at: float | None = None
        self._lost_by = ""
        self._told_lost = self._killed = False
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
        self._day = _day(session.started_at)

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
        self._equity = equity
        day = _day(bars[0].end)
        if day != self._day:
            self._sum_up(f"{self._day} is over")
            self._day, self._equity_before = day, equity
        self.idle()

    def idle(self) -> None:  # noqa: D102
        lost = self._lost_at
        if lost is not None and not self._told_lost and monotonic() - lost >= self._patience:
            self._told_lost = True
            self._tell(
                "disconnected", f"no connection for {self._patience:.0f} s: {self._lost_by or 'no reason given'}"
            )
        session = self._session
        if session is not None and isinstance(session.broker, GuardedBroker):
            killed = session.broker.is_killed
            if killed and not self._killed:
                self._tell("kill", f"the kill switch is thrown: {session.broker.health().error or 'no order leaves'}")
            self._killed = killed

    def ended(self, failure: BaseException | None) -> None:  # noqa: D102
        self.idle()
        self._sum_up("the session is over" if failure is None else f"the session FAILED: {failure}")

    def _connection_changed(self, event: ConnectionChanged) -> None:
        if not event.connected:
            self._lost_at, self._lost_by = monotonic(), event.reason
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
