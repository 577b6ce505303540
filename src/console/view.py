"""One look at a session and its broker: everything that a screen or a page shows, as one frozen value.

The session's part is gathered on its own thread (`trading/watch.py`); the broker's part is read here, from snapshots
that it publishes, on the looker's thread. What the broker does not tell now is None: a screen shows a dash, never a
number that is not known.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from src.brokers.broker import Broker, BrokerHealth
from src.brokers.headroom import Headroom
from src.domain.account import AccountSummary, Position
from src.domain.account_ids import masked
from src.domain.errors import BrokerError
from src.domain.market import Mode, Quote
from src.domain.orders import Trade
from src.runtime.clock import NS
from src.trading.observer import Watched
from src.trading.quotes import want_quotes
from src.trading.watch import Holding, SessionFacts, SessionWatch

T = TypeVar("T")
#: A quote older than this many seconds is stale to a person's eye.
STALE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class QuoteView:
    """The newest quote of a symbol, and its age in seconds."""

    quote: Quote
    age: float


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session and its broker at one moment; `closes_in` and ages are seconds, None where not known."""

    facts: SessionFacts
    mode: Mode
    account: str
    where: str
    strategy: str
    now: int
    health: BrokerHealth
    quotes: dict[str, QuoteView]
    positions: tuple[Position, ...] | None
    working: tuple[Trade, ...] | None
    summary: AccountSummary | None
    headroom: tuple[Headroom, ...]
    stopped: str | None
    closes_in: float | None

    @property
    def mode_words(self) -> str:
        """The mode as nobody can overlook it."""
        return {
            Mode.SIMULATED: "SIMULATED - not real money",
            Mode.PAPER: "PAPER - play money at IB",
            Mode.LIVE: "LIVE - REAL MONEY",
            Mode.DISCONNECTED: "DISCONNECTED",
        }[self.mode]

    def last_price(self, holding: Holding) -> float | None:
        """The last trade's price of a symbol, or its last bar's close; None before either."""
        quote = self.quotes.get(holding.symbol)
        return holding.last if quote is None or math.isnan(quote.quote.last) else quote.quote.last

    @property
    def data_age(self) -> float | None:
        """Seconds since the newest quote."""
        return min((each.age for each in self.quotes.values()), default=None)


@dataclass(frozen=True, slots=True)
class Lookout:
    """Where to look from: the broker, the strategy's name, the market's closes, and the limits' head-room.

    `stopped` tells why no new risk is taken, nothing when it is.
    """

    broker: Broker
    strategy: str
    close_after: Callable[[int], int | None] | None = None
    headroom: Callable[[], tuple[Headroom, ...]] = tuple
    stopped: Callable[[], str] = str

    def look(self, facts: SessionFacts) -> SessionView:
        """Take it all in; nothing here waits for the venue."""
        broker = self.broker
        now, health = broker.now(), broker.health()
        close = self.close_after(now) if self.close_after is not None else None
        return SessionView(
            facts=facts,
            mode=broker.mode,
            account=masked(broker.account_id),
            where=_where(health),
            strategy=self.strategy,
            now=now,
            health=health,
            quotes=self._quotes(facts, now),
            positions=_known(broker.positions),
            working=_known(broker.open_trades),
            summary=_known(broker.account_summary),
            headroom=self.headroom(),
            stopped=self.stopped() or None,
            closes_in=None if close is None else (close - now) / NS,
        )

    def _quotes(self, facts: SessionFacts, now: int) -> dict[str, QuoteView]:
        latest = {each.symbol: self.broker.latest_quote(each) for each in facts.contracts}
        return {
            symbol: QuoteView(one, max(now - one.time, 0) / NS) for symbol, one in latest.items() if one is not None
        }


class Onlooker(SessionWatch):
    """Watches a session, and looks at its broker too: `look()` is the whole view, None before the session begins."""

    def __init__(self, lookout: Callable[[Broker], Lookout]) -> None:
        super().__init__()
        self._make = lookout
        self._lookout: Lookout | None = None

    def began(self, session: Watched, equity: float) -> None:
        """Find out where to look from."""
        self._lookout = self._make(session.broker)
        super().began(session, equity)
        want_quotes(session.broker, session.contracts.values())

    def look(self) -> SessionView | None:
        """The view now; fit for any thread."""
        lookout, facts = self._lookout, self.facts
        return None if lookout is None or facts is None else lookout.look(facts)


def _where(health: BrokerHealth) -> str:
    if health.host is None:
        return "simulated exchange"
    return f"{health.host}:{health.port} client {health.client_id}"


def _known(read: Callable[[], T]) -> T | None:
    """What a broker says, None when it cannot say now."""
    try:
        return read()
    except BrokerError:
        return None
