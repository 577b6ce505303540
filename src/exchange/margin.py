"""What the account must hold against its positions. Pure integer arithmetic; rates are hundredths of a percent.

Stocks in a Reg T account at IBKR (its stocks-margin page, via the project's notes): intraday initial = maintenance =
25 % long, 30 % short; 50 % at the end of the day. Currency pairs (its forex margin page, a copy of about 2020): 2.5 %
between the dollar and EUR, GBP, AUD, JPY, CHF, CAD, 3.33 % with NZD; no other rate at the end of the day. With less
than $2,000 of equity nothing can be borrowed.
Departures: no house add-ons for volatile or concentrated names; the special memorandum account is taken as
RegTEquity - RegTMargin, without its memory of earlier days. A long pair pledges the borrowed dollars, a short one the
borrowed currency: both are held at the same rate of the position's value.
"""

from dataclasses import dataclass
from typing import Final

from src.domain.market import Contract

#: Equity below which nothing can be borrowed, in dollars.
MINIMUM_EQUITY: Final = 2_000
#: The rate of what is held in full.
WHOLE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rates:
    """A position's margin rates. Requirements are in price units times `WHOLE`."""

    long: int
    short: int
    overnight: int

    def requirement(self, quantity: int, price: int) -> int:
        """Intraday margin, initial and maintenance alike."""
        return quantity * price * self.long if quantity >= 0 else -quantity * price * self.short

    def reg_t_requirement(self, quantity: int, price: int) -> int:
        """Overnight margin."""
        return abs(quantity) * price * self.overnight

    def worst_requirement(self, quantity: int, buys: int, sells: int, price: int) -> int:
        """The larger margin if all working buys, or all working sells, were to trade."""
        return max(self.requirement(quantity + buys, price), self.requirement(quantity - sells, price))


STOCKS: Final = Rates(2_500, 3_000, 5_000)
_PAIRS: Final = Rates(250, 250, 250)
_PAIRS_BY_SYMBOL: Final = {"NZD": Rates(333, 333, 333)}


def rates_of(contract: Contract) -> Rates:
    """The rates of a contract."""
    return STOCKS if contract.sec_type == "STK" else _PAIRS_BY_SYMBOL.get(contract.symbol, _PAIRS)
