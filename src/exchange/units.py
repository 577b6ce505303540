"""Prices as integers of 0.0001 dollar: where an order meets a price, nothing is rounded (decision D1)."""

from decimal import Context, Decimal
from typing import Final

#: Integer price units in one dollar.
UNITS_PER_DOLLAR: Final = 10_000

_DOLLARS_PER_UNIT: Final = Decimal("0.0001")

#: The exchange's own arithmetic; the ambient context belongs to the caller's thread.
CONTEXT: Final = Context(prec=34)


def units(price: float) -> int:
    """A market price in dollars as integer units; prints have at most four decimals."""
    return round(price * UNITS_PER_DOLLAR)


def exact_units(price: Decimal) -> int:
    """An order's price in dollars as integer units; `Order` has checked that it has at most four decimals."""
    return int(price.scaleb(4, CONTEXT))


def dollars(amount: int) -> Decimal:
    """Integer units (of a price, or of shares times a price) as dollars."""
    return CONTEXT.multiply(amount, _DOLLARS_PER_UNIT)
