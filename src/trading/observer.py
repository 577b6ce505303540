"""Who looks at a session while it goes: a screen, a page, a recording, metrics. They see, and decide nothing.

Everything is told on the session's own thread, so an observer is quick and never blocks. One that raises is told of
once and left out from then on: nobody who watches can end a session, or hold it up a second time.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from src.brokers.broker import Broker
from src.domain.errors import BrokerError, ConnectionLostError, OrderOutcomeUnknownError, RequestTimeoutError
from src.domain.events import Event
from src.domain.market import Bar, Contract, Quote
from src.domain.orders import Order, Trade
from src.trading.portfolio import Portfolio

_log: Final = logging.getLogger(__name__)
#: Answers after which an order may be at the venue: it counts as working until events tell, and nothing is sent again.
UNKNOWN: Final = (OrderOutcomeUnknownError, RequestTimeoutError, ConnectionLostError)


class Watched(Protocol):
    """What a session shows of itself while it goes. Read it on the session's thread."""

    @property
    def session(self) -> str:
        """The session's id."""
        ...

    @property
    def prefix(self) -> str:
        """What the references of the strategy's own orders begin with."""
        ...

    @property
    def broker(self) -> Broker:
        """What it trades through."""
        ...

    @property
    def contracts(self) -> Mapping[str, Contract]:
        """What it trades, by symbol, qualified."""
        ...

    @property
    def portfolio(self) -> Portfolio:
        """The session's own shares, orders and dollars."""
        ...

    @property
    def started_at(self) -> int:
        """When it began, epoch ns on the market's clock."""
        ...

    @property
    def ends_at(self) -> int | None:
        """When it will end, epoch ns; None when with its prices."""
        ...

    @property
    def max_drawdown(self) -> float:
        """The deepest fall from a peak so far, at bar closes: a ratio from zero up."""
        ...

    def explain(self) -> str:
        """What the strategy saw, decided, and why, at the last bar."""
        ...


class Observer:
    """Sees a session as it goes; a watcher overrides what it wants to see."""

    def began(self, session: Watched, equity: float) -> None:
        """It begins; the account is worth so many dollars."""

    def heard(self, event: Event) -> None:
        """The broker has told something, bars and quotes excepted."""

    def quoted(self, quote: Quote) -> None:
        """A market has moved. As often as ticks come: only who has a `quoted` of its own is told."""

    def deciding(self, bars: Sequence[Bar]) -> None:
        """The strategy is about to be asked about the bars of one instant."""

    def decided(self, orders: Sequence[Order]) -> None:
        """The strategy wants these; they leave next, unless they are held back before a close."""

    def bars(self, bars: Sequence[Bar], equity: float) -> None:
        """The bars of one instant have been decided on; `equity` is in dollars, marked at their closes."""

    def sent(self, order: Order) -> None:
        """An order is about to leave."""

    def answered(self, order: Order, answer: Trade | BrokerError) -> None:
        """The order that left has its answer: it works, or why it does not, or why nobody knows."""

    def rehearsed(self, order: Order) -> None:
        """In a dry run: an order that would have left, and does not."""

    def refused(self, order: Order, reason: str) -> None:
        """An order was not accepted, by the venue or by a limit of ours."""

    def idle(self) -> None:
        """A moment has passed (a quarter of a second) in which no bar came; the session waits."""

    def ended(self, failure: BaseException | None) -> None:
        """The session is over, and what it leaves is in order as far as it could be."""


class Observers(list[Observer], Observer):
    """Several as one: a list, so that a session nobody watches asks at no cost whether anybody does."""

    def __init__(self, observers: Iterable[Observer] = ()) -> None:
        super().__init__(observers)
        self._of_quotes = [one for one in self if type(one).quoted is not Observer.quoted]

    def began(self, session: Watched, equity: float) -> None:  # noqa: D102  # see Observer, here and below
        self._tell(lambda observer: observer.began(session, equity))

    def heard(self, event: Event) -> None:  # noqa: D102
        self._tell(lambda observer: observer.heard(event))

    def quoted(self, quote: Quote) -> None:  # noqa: D102
        if self._of_quotes:
            self._tell(lambda observer: observer.quoted(quote), self._of_quotes)

    def deciding(self, bars: Sequence[Bar]) -> None:  # noqa: D102
        self._tell(lambda observer: observer.deciding(bars))

    def decided(self, orders: Sequence[Order]) -> None:  # noqa: D102
        self._tell(lambda observer: observer.decided(orders))

    def bars(self, bars: Sequence[Bar], equity: float) -> None:  # noqa: D102
        self._tell(lambda observer: observer.bars(bars, equity))

    def sent(self, order: Order) -> None:  # noqa: D102
        self._tell(lambda observer: observer.sent(order))

    def answered(self, order: Order, answer: Trade | BrokerError) -> None:  # noqa: D102
        self._tell(lambda observer: observer.answered(order, answer))

    def rehearsed(self, order: Order) -> None:  # noqa: D102
        self._tell(lambda observer: observer.rehearsed(order))

    def refused(self, order: Order, reason: str) -> None:  # noqa: D102
        self._tell(lambda observer: observer.refused(order, reason))

    def idle(self) -> None:  # noqa: D102
        self._tell(lambda observer: observer.idle())

    def ended(self, failure: BaseException | None) -> None:  # noqa: D102
        self._tell(lambda observer: observer.ended(failure))

    def _tell(self, what: Callable[[Observer], None], whom: Sequence[Observer] | None = None) -> None:
        for observer in tuple(self if whom is None else whom):
            try:
                what(observer)
            except Exception:  # noqa: BLE001  # whatever it is, it is the watcher's, not the session's
                self.remove(observer)
                self._of_quotes = [one for one in self._of_quotes if one is not observer]
                _log.exception("%s failed and watches no longer; the session goes on", type(observer).__name__)
