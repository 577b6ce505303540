"""What a person looks at while a session goes: its figures, its shares and its last events, as one frozen value.

`SessionWatch` gathers on the session's thread; `facts` is replaced as a whole, so that a screen, a page or a scraper on
another thread reads a whole one without a lock. Events are kept for the screen only: the journal is the record.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from src.domain.errors import BrokerError
from src.domain.events import CommissionCharged, ConnectionChanged, Event, Filled, Notice, OrderChanged
from src.domain.market import Bar, Contract
from src.domain.orders import Order, OrderStatus, Trade
from src.runtime.clock import monotonic, wall_clock
from src.trading.observer import UNKNOWN, Observer, Watched
from src.trading.words import order_in_words, price_shown, shares_shown

#: Events kept: more than any screen shows at once.
_EVENTS: Final = 200
#: Real seconds between two gatherings while bars come thick.
_PAUSE: Final = 0.2


class Tone(StrEnum):
    """How much an event wants to be seen."""

    PLAIN = "plain"
    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class EventLine:
    """One thing that happened, for a person; `time` is epoch ns."""

    time: int
    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Holding:
    """The session's own shares of one symbol, in dollars; `last` is None before the first price."""

    symbol: str
    shares: Decimal
    average_cost: float
    last: float | None
    unrealized_pnl: float
    realized_pnl: float


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A session at one moment. Dollars; times are epoch ns on the market's clock; `max_drawdown` is a ratio."""

    session: str
    contracts: tuple[Contract, ...]
    started_at: int
    ends_at: int | None
    now: int
    bars: int
    orders: int
    fills: int
    refused: int
    commissions: float
    realized_pnl: float
    unrealized_pnl: float
    equity: float
    max_drawdown: float
    holdings: tuple[Holding, ...]
    explanation: str
    events: tuple[EventLine, ...]
    is_over: bool = False


class SessionWatch(Observer):
    """Gathers a session's facts. `facts` is None until it has begun."""

    def __init__(self) -> None:
        self.facts: SessionFacts | None = None
        self._session: Watched | None = None
        self._events: deque[EventLine] = deque(maxlen=_EVENTS)
        self._prices: dict[str, float] = {}
        self._start, self._now, self._bars, self._refused, self._over = 0.0, 0, 0, 0, False
        self._explanation = ""
        self._next = 0.0

    def note(self, tone: Tone, text: str) -> None:
        """Add a line of somebody else's, as of the log; fit for any thread."""
        self._events.append(EventLine(self._clock(), tone, text))

    def _clock(self) -> int:
        """The market's time, epoch ns."""
        return wall_clock() if self._session is None else self._session.broker.now()

    def began(self, session: Watched, equity: float) -> None:  # noqa: D102  # see Observer, here and below
        self._session, self._start, self._now = session, equity, session.started_at
        self._gather()

    def heard(self, event: Event) -> None:  # noqa: D102
        # A commission follows its fill; a connection is lost or back now.
        line = told(event, self._clock() if isinstance(event, ConnectionChanged) else self._now)
        if line is not None:
            self._now = max(self._now, line.time)
            self._events.append(line)
        self._gather()

    def bars(self, bars: Sequence[Bar], equity: float) -> None:  # noqa: D102
        del equity  # gathered with the rest, so that the figures of one view agree
        self._now = bars[0].end
        self._bars += len(bars)
        for bar in bars:
            self._prices[bar.contract.symbol] = bar.close
        if monotonic() >= self._next:
            if self._session is not None:
                self._explanation = self._session.explain()
            self._gather()

    def answered(self, order: Order, answer: Trade | BrokerError) -> None:  # noqa: D102
        if isinstance(answer, Trade):
            self.note(Tone.PLAIN, f"{order_in_words(order)} is sent")
        elif isinstance(answer, UNKNOWN):
            self.note(Tone.ERROR, f"{order_in_words(order)}: what became of it is not known: {answer}")
        if self._session is not None:
            self._explanation = self._session.explain()
        self._gather()

    def refused(self, order: Order, reason: str) -> None:  # noqa: D102
        self._refused += 1
        self.note(Tone.WARNING, f"{order_in_words(order)} is not accepted: {reason}")
        self._gather()

    def rehearsed(self, order: Order) -> None:  # noqa: D102
        self.note(Tone.PLAIN, f"dry run, not sent: {order_in_words(order)}")
        self._gather()

    def idle(self) -> None:  # noqa: D102
        self._gather()

    def ended(self, failure: BaseException | None) -> None:  # noqa: D102
        self._over = True
        self.note(Tone.ERROR if failure else Tone.GOOD, f"the session is over: {failure or 'in good order'}")
        self._gather()

    def _gather(self) -> None:
        session = self._session
        if session is None:
            return
        self._next = monotonic() + _PAUSE
        portfolio = session.portfolio
        for symbol, position in portfolio.held.items():
            if symbol not in self._prices and position:  # bought before its first bar: marked at its cost
                self._prices[symbol] = float(portfolio.average_cost(session.contracts[symbol]))
        totals = portfolio.totals
        holdings = tuple(self._holding(session, symbol) for symbol in session.contracts)
        realized, unrealized = float(portfolio.realized_pnl()), sum(each.unrealized_pnl for each in holdings)
        self.facts = SessionFacts(
            session=session.session,
            contracts=tuple(session.contracts.values()),
            started_at=session.started_at,
            ends_at=session.ends_at,
            now=self._now,
            bars=self._bars,
            orders=totals.orders,
            fills=totals.fills,
            refused=self._refused,
            commissions=float(totals.commissions),
            realized_pnl=realized,
            unrealized_pnl=unrealized,
            equity=self._start + realized + unrealized,
            max_drawdown=session.max_drawdown,
            holdings=holdings,
            explanation=self._explanation,
            events=tuple(self._events),
            is_over=self._over,
        )

    def _holding(self, session: Watched, symbol: str) -> Holding:
        portfolio, contract = session.portfolio, session.contracts[symbol]
        shares, cost = portfolio.position(contract), float(portfolio.average_cost(contract))
        last = self._prices.get(symbol)
        open_pnl = float(shares) * (last - cost) if shares and last is not None else 0.0
        return Holding(symbol, shares, cost, last, open_pnl, float(portfolio.realized_pnl(contract)))


def told(event: Event, now: int) -> EventLine | None:
    """An event as a line for a person; None for what a screen shows elsewhere. `now` stamps what bears no time."""
    if isinstance(event, Filled):
        one = event.fill.execution
        forced = " (liquidated by the venue)" if one.liquidation else ""
        text = f"{one.side} {shares_shown(one.shares)} {one.contract.symbol} filled at {price_shown(one.price)}{forced}"
        return EventLine(one.time, Tone.WARNING if one.liquidation else Tone.GOOD, text)
    if isinstance(event, ConnectionChanged):
        state = "is back" if event.connected else "is LOST"
        why = f": {event.reason}" if event.reason else ""
        return EventLine(now, Tone.GOOD if event.connected else Tone.ERROR, f"the connection {state}{why}")
    if isinstance(event, Notice):
        return EventLine(event.time, Tone.WARNING, f"{event.code}: {event.text}" if event.code else event.text)
    if isinstance(event, OrderChanged) and event.trade.status in (OrderStatus.CANCELLED, OrderStatus.INACTIVE):
        trade = event.trade
        why = f": {trade.reason}" if trade.reason else ""
        return EventLine(trade.time, Tone.WARNING, f"{order_in_words(trade.order)} is {trade.status}{why}")
    if isinstance(event, CommissionCharged) and event.report.commission:
        return EventLine(now, Tone.PLAIN, f"commission {event.report.commission:.2f} {event.report.currency}")
    return None
