"""What gauges show: a broker's account, positions, prices and health, asked for at a scrape and not waited for long.

Each question has a thread of its own and shares one deadline. A question that has not been answered is not asked again
until it has been: who asks meanwhile shares the answer, and of a broker that hangs nobody waits a second time. What it
would have said is unknown, not zero. Nothing here sends a request to TWS that the session did not need anyway: these
are its published snapshots.
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
from src.runtime.worker import SharedCall

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
    def request_seconds(self) -> Mapping[str, Histogram] | None: ...  # noqa: D102


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
    """A broker at one scrape; None where it is unknown. `last_message` and `tick_times` are epoch seconds.

    `quotes` are those that hold now. `tick_times` are of the newest one seen: its age grows when nothing more comes.
    """

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
        questions: dict[str, Callable[[], Any]] = {
            "health": broker.health,
            "account": broker.account_summary,
            "pnl": broker.pnl,
            "positions": broker.positions,
            "quotes": self._quotes,
        }
        if is_open is not None:
            questions["is_open"] = is_open
        self._questions = {name: SharedCall(question) for name, question in questions.items()}
        self._told: set[str] = set()
        self._tick_times: dict[str, float] = {}  # replaced as a whole

    def take(self, patience: float | None = None) -> Reading:
        """Ask everything; what has not come `patience` real seconds after it was asked for is unknown."""
        seconds = _PATIENCE if patience is None else patience
        asked = {name: question.ask() for name, question in self._questions.items()}  # all, before one is waited for
        found = {name: self._answer(name, answer, seconds) for name, answer in asked.items()}
        quotes, age = found.pop("quotes"), None if found["health"] is None else found["health"].last_message_age
        return Reading(
            **found,
            last_message=None if age is None else wall_clock() / NS - age,
            quotes=quotes or {},
            tick_times=self._tick_times,
        )

    def _answer(self, name: str, answer: Callable[[float], Any], seconds: float) -> Any:  # noqa: ANN401
        """One answer; None when there is none."""
        try:
            return answer(seconds)
        except (BrokerError, TimeoutError):
            return None
        except Exception as error:  # noqa: BLE001  # whatever it is, the rest can be read
            if name not in self._told:
                self._told.add(name)
                _log.warning("metrics: the broker's %s cannot be read (%s); it shows as unknown", name, error)
            return None

    def _quotes(self) -> dict[str, Quote]:
        """Those there are, with the time of each noted."""
        latest = {one.symbol: self.broker.latest_quote(one) for one in self.contracts}
        found = {symbol: quote for symbol, quote in latest.items() if quote is not None}
        # A replay's prices have times of their own: what counts is how old they are on its clock.
        ahead = wall_clock() - self.broker.now()
        self._tick_times = self._tick_times | {symbol: (quote.time + ahead) / NS for symbol, quote in found.items()}
        return found
