"""What a guard has nothing to say about: contracts, prices and the account, read through it from the broker beneath."""

from datetime import datetime

from src.brokers.broker import Bars, Broker
from src.domain.account import AccountPnL, AccountSummary, Position
from src.domain.market import BarSize, Contract, ContractDetails, Quote, Shortability


class Readings:
    """The readings of `inner`, unchanged."""

    def __init__(self, inner: Broker) -> None:
        self._inner = inner

    def qualify(self, contract: Contract) -> Contract:
        """Return the one contract meant."""
        return self._inner.qualify(contract)

    def contract_details(self, contract: Contract) -> ContractDetails:
        """Name, tick, zone and hours."""
        return self._inner.contract_details(contract)

    def quote(self, contract: Contract) -> Quote:
        """Return the latest quote."""
        return self._inner.quote(contract)

    def latest_quote(self, contract: Contract) -> Quote | None:
        """Return the newest quote that has come."""
        return self._inner.latest_quote(contract)

    def shortability(self, contract: Contract) -> Shortability | None:
        """Whether shares can be borrowed."""
        return self._inner.shortability(contract)

    def bars(self, contract: Contract, size: BarSize, count: int, *, end: datetime | None = None) -> Bars:
        """Up to `count` closed bars."""
        return self._inner.bars(contract, size, count, end=end)

    def account_summary(self) -> AccountSummary:
        """IB's account tags."""
        return self._inner.account_summary()

    def pnl(self) -> AccountPnL:
        """Today's, open and closed profit and loss."""
        return self._inner.pnl()

    def positions(self) -> tuple[Position, ...]:
        """All open positions."""
        return self._inner.positions()
