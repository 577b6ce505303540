"""A TWS as the doctor looks at it: one connection on the check client id that asks, and orders nothing."""

from dataclasses import replace
from typing import TYPE_CHECKING

from src.domain.errors import ConfigurationError, LiveTradingRefusedError
from src.domain.market import Contract, Quote

if TYPE_CHECKING:
    from src.brokers.findings import Finding
    from src.settings import Settings


class TwsInspection:
    """Connects as it is made; ConnectionFailedError when TWS does not let this client in.

    An account that the settings do not allow ends the connection, and leaves the accounts to be looked at:
    `is_refused`.
    """

    def __init__(self, settings: "Settings", found: "Finding") -> None:
        from src.brokers.tws.broker import TwsBroker  # brings asyncio

        asking = replace(settings, read_only=False, auto_reconnect=False)  # a box in TWS is seen by asking for orders
        self._broker: TwsBroker = TwsBroker(asking, found.host, found.port, client_id=settings.check_client_id)
        self.is_refused = False
        try:
            self._broker.connect()
        except (ConfigurationError, LiveTradingRefusedError):
            self.is_refused = True

    @property
    def managed_accounts(self) -> tuple[str, ...]:
        """The accounts of this login, as TWS names them."""
        return self._broker.health().accounts

    @property
    def is_read_only(self) -> bool:
        """Whether TWS refuses orders on its API."""
        return self._broker.is_read_only

    @property
    def open_orders(self) -> int:
        """The account's working orders that TWS has told of, whoever placed them."""
        return len(self._broker.open_trades())

    @property
    def messages(self) -> tuple[tuple[int, str], ...]:
        """TWS's messages so far: code and text."""
        return self._broker.messages

    def quote(self, symbol: str) -> Quote:
        """One quote, on the market data type of the settings; NoMarketDataError with TWS's code."""
        return self._broker.quote(Contract(symbol))

    def close(self) -> None:
        """Leave TWS; never raises."""
        self._broker.disconnect()
