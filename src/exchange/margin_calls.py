"""When an account can no longer carry its positions, and the prices at which that must be looked at again.

The look costs nothing between those prices: they are guards of the books like an order's level (decision D2). With
several positions they are drawn so that no combination of moves inside them can use up the excess.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from src.exchange.book import Book
from src.exchange.ledger import Account, Holding, Ledger
from src.exchange.margin import MINIMUM_EQUITY, WHOLE
from src.exchange.units import UNITS_PER_DOLLAR
from src.exchange.valuation import Mark, Value, mark_of, value


@dataclass(slots=True)
class MarginCalls:
    """Watches the accounts of a ledger."""

    ledger: Ledger
    books: dict[int, Book]
    mark: Mark
    watches: bool = True  # whether an account borrows, so that every move of its prices matters

    def due(self) -> Iterator[tuple[Account, Holding]]:
        """Set the guards anew; the holdings to liquidate because ExcessLiquidity is below zero."""
        watched, self.watches = self.watches, False
        for account in self.ledger.accounts.values():
            if not _borrows(account):
                for con_id in account.holdings if watched else ():
                    self.books[con_id].set_margin_guards(account.account_id, -inf, inf)
                continue
            self.watches = True
            worth = value(account, self.mark)
            self._guard(account, worth)
            if worth.excess < 0:
                yield from self._largest(account)

    def overnight(self) -> Iterator[tuple[Account, Holding]]:
        """The holdings to liquidate because the account does not hold Reg T's half."""
        for account in self.ledger.accounts.values():
            worth = value(account, self.mark)
            if worth.equity < worth.reg_t:
                yield from self._largest(account)

    def _largest(self, account: Account) -> Iterator[tuple[Account, Holding]]:
        """The largest position; none where a liquidation has left a debt and nothing else."""
        held = [holding for holding in account.holdings.values() if holding.quantity]
        if held:
            yield account, max(held, key=lambda holding: abs(holding.quantity * mark_of(holding, self.mark)))

    def _guard(self, account: Account, worth: Value) -> None:
        spare = worth.equity - MINIMUM_EQUITY  # below it positions count in full: that line is watched as well
        exposure = 0.0
        for holding in account.holdings.values():
            amount = holding.quantity * mark_of(holding, self.mark) / UNITS_PER_DOLLAR
            rates = holding.rates
            if amount >= 0:
                exposure += amount * (1 - (rates.long / WHOLE if spare >= 0 else 1.0))
            else:
                exposure -= amount * (1 + (rates.short / WHOLE if spare >= 0 else 1.0))
        room = max(float(worth.excess), 0.0) / exposure if exposure else 1.0
        if spare >= 0 and worth.gross:
            room = min(room, float(spare) / float(worth.gross))
        for holding in account.holdings.values():
            price = mark_of(holding, self.mark) / UNITS_PER_DOLLAR
            low = price * (1 - room) if holding.quantity > 0 else -inf
            high = price * (1 + room) if holding.quantity < 0 else inf
            self.books[holding.contract.con_id].set_margin_guards(account.account_id, low, high)


def _borrows(account: Account) -> bool:
    """Whether the account owes money or shares."""
    if account.cash < 0:
        return True
    for holding in account.holdings.values():  # noqa: SIM110  # on every fill: a loop is twice as fast as any()
        if holding.quantity < 0:
            return True
    return False
