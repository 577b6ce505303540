"""What gauges show: a broker's account, positions, prices and health, asked for at a scrape and not waited for long.

Each question has a thread of its own and shares one deadline. A question that has not been answered is not asked again
until it has been, so that a broker that hangs is not asked by every scrape; what it would have said is unknown, not
zero. Nothing here sends a request to TWS that the session did not need anyway: these are its published snapshots.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

from src.domain.account import AccountPnL, AccountSummary, Position
from src.domain.errors import BrokerError
from src.domain.market import Contract, Mode, Quote
from src.records.metrics.histogram import Histogram
from src.runtime.clock import NS, wall_clock
from src.runtime.worker import call_in_parallel

_log: Final = logging.getLogger(__name__)
_PATIENCE: Final = 2.0


class Health(Protocol):
    """How a connection is."""

    @property
    def connected(self) -> bool: ...  # noqa: D102  # see BrokerHealth, here and below
    @property
    def host(self) -> str | None: ...  # noqa: D102
    @property
    def port(self) -> int | None: ...  # noqa: D102
    @property
    def library(self) -> str | None: ...  # noqa: D102
    @property
    def last_message_age(self) -> float | None: ...  # noqa: D102
    @property
    def open_orders(self) -> int: ...  # noqa: D102
    @property
    def error(self) -> str | None: ...  # noqa: D102
    @property
    def pacing_wait(self) -> float: ...  # noqa: D102
    @property
    def request_seconds(self) -> Mapping[str, Histogram]: ...  # noqa: D102


class WatchedBroker(Protocol):
    """As much of a broker as is looked at."""

    @property
    def mode(self) -> Mode: ...  # noqa: D102  # see Broker, here and below
    @property
    def is_connected(self) -> bool: ...  # noqa: D102
    def now(self) -> int: ...  # noqa: D102
    def health(self) -> Health: ...  # noqa: D102
    def account_summary(self) -> AccountSummary: ...  # noqa: D102
    def pnl(self) -> AccountPnL: ...  # noqa: D102
    def positions(self) -> tuple[Position, ...]: ...  # noqa: D102
    def latest_quote(self, contract: Contract) -> Quote | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Reading:
    """A broker at one scrape; None where it is unknown. `last_message` and `tick_times` are epoch seconds."""

    health: Health | None = None
    account: AccountSummary | None = None
    pnl: AccountPnL | None = None
    positions: tuple[Position, ...] | None = None
    is_open: bool | None = None
    last_message: float | None = None
    quotes: dict[str, Quote] = field(default_factory=dict)
    tick_times: dict[str, float] = field(default_factory=dict)

    def shares(self, symbol: str) -> float | None:
        """The account's shares of a symbol; None when the positions are not known."""
        if self.positions is None:
            return None
        return float(sum((one.quantity for one in self.positions if one.contract.symbol == symbol), Decimal(0)))


class Readings:
    """Asks one broker; `is_open` tells whether the market is."""

    def __init__(
        self, broker: WatchedBroker, contracts: Sequence[Contract], is_open: Callable[[], bool] | None = None
    ) -> None:
        self.broker, self.contracts = broker, tuple(contracts)
        self._questions: dict[str, Callable[[], Any]] = {
            "health": broker.health,
            "account": broker.account_summary,
            "pnl": broker.pnl,
            "positions": broker.positions,
            "quotes": self._quotes,
        }
        if is_open is not None:
            self._questions["is_open"] = is_open
        self._asked: set[str] = set()
        self._told: set[str] = set()

    def take(self, patience: float = _PATIENCE) -> Reading:
        """Ask everything; what has not come after `patience` real seconds is unknown."""
        names = [name for name in self._questions if name not in self._asked]
        self._asked.update(names)
        results = call_in_parallel([self._asking(name) for name in names], patience)
        found: dict[str, Any] = {}
        for name, result in zip(names, results, strict=True):
            if not isinstance(result, Exception):
                found[name] = result
            elif not isinstance(result, BrokerError | TimeoutError) and name not in self._told:
                self._told.add(name)
                _log.warning("metrics: the broker's %s cannot be read (%s); it shows as unknown", name, result)
        health = found.get("health")
        age = None if health is None else health.last_message_age
        wall, quotes = wall_clock(), found.pop("quotes", {})
        return Reading(
            **found,
            last_message=None if age is None else wall / NS - age,
            quotes=quotes,
            # A replay's prices have times of their own: what counts is how old they are on its clock.
            tick_times={symbol: (wall - (self.broker.now() - quote.time)) / NS for symbol, quote in quotes.items()},
        )

    def _asking(self, name: str) -> Callable[[], Any]:
        question = self._questions[name]

        def ask() -> Any:  # noqa: ANN401  # each question has an answer of its own
            try:
                return question()
            finally:
                self._asked.discard(name)

        return ask

    def _quotes(self) -> dict[str, Quote]:
        found = {one.symbol: self.broker.latest_quote(one) for one in self.contracts}
        return {symbol: quote for symbol, quote in found.items() if quote is not None}
