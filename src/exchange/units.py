"""Prices as integers of a millionth of a dollar: where an order meets a price, nothing is rounded (decision D1).

Stocks print to a hundredth of a cent; half of a currency pair's tick of 0.00005 needs the six decimals.
"""

from decimal import Context, Decimal
from typing import Final

#: Integer price units in one dollar.
UNITS_PER_DOLLAR: Final = 1_000_000

_DOLLARS_PER_UNIT: Final = Decimal("0.000001")

#: The exchange's own arithmetic; the ambient context belongs to the caller's thread.
CONTEXT: Final = Context(prec=34)


def units(price: float) -> int:
    """A market price in dollars as integer units; prints have at most six decimals."""
    return round(price * UNITS_PER_DOLLAR)


def exact_units(price: Decimal) -> int:
    """An order's price in dollars as integer units; `Order` has checked that it has at most six decimals."""
    return int(price.scaleb(6, CONTEXT))


def dollars(amount: int) -> Decimal:
    """Integer units (of a price, or of shares times a price) as dollars."""
    return CONTEXT.multiply(amount, _DOLLARS_PER_UNIT)
