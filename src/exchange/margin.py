"""What the account must hold against its positions. Pure integer arithmetic; rates are percent of market value.

Reg T account at IBKR (its stocks-margin page, via the project's notes): intraday initial = maintenance = 25 % long,
30 % short; 50 % at the end of the day; with less than $2,000 of equity nothing can be borrowed.
Departures: no house add-ons for volatile or concentrated names; the special memorandum account is taken as
RegTEquity - RegTMargin, without its memory of earlier days.
"""

from typing import Final

LONG_PERCENT: Final = 25
SHORT_PERCENT: Final = 30
REG_T_PERCENT: Final = 50
#: Equity below which nothing can be borrowed, in dollars.
MINIMUM_EQUITY: Final = 2_000


def requirement(quantity: int, price: int) -> int:
    """Intraday margin, initial and maintenance alike, in hundredths of price units (dollars times 1,000,000)."""
    return quantity * price * LONG_PERCENT if quantity >= 0 else -quantity * price * SHORT_PERCENT


def reg_t_requirement(quantity: int, price: int) -> int:
    """Overnight margin in hundredths of price units."""
    return abs(quantity) * price * REG_T_PERCENT


def worst_requirement(quantity: int, buys: int, sells: int, price: int) -> int:
    """The larger margin if all working buys, or all working sells, were to trade."""
    return max(requirement(quantity + buys, price), requirement(quantity - sells, price))
