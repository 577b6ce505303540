"""Whether the market is open, for who looks on: by the venue's own hours, connected or not."""

from src.brokers.broker import Broker
from src.domain.market import Contract
from src.runtime.calendars import sessions_between


class MarketHours:
    """Call it: is a contract's market open now? `never_closes` counts for a simulated market in this process."""

    def __init__(self, broker: Broker, contract: Contract, *, never_closes: bool) -> None:
        """Learn the hours while the broker is connected; it may be lost when they are asked for."""
        self._broker = broker
        self._listed = broker.contract_details(contract).sessions
        self._never_closes = never_closes and broker.health().host is None

    def __call__(self) -> bool:
        """By the hours that the venue lists, as far as they go; New York's beyond."""
        now = self._broker.now()
        if self._never_closes:
            return True
        if self._listed and now < self._listed[-1][1]:
            return any(opens <= now < closes for opens, closes in self._listed)
        return sessions_between(now, now).is_open(now)
