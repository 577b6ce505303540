"""Prices, shares and orders as a person reads them. Pure."""

from decimal import Decimal

from src.domain.orders import Order


def price_shown(price: Decimal | float) -> str:
    """A price with cents, and with what lies between them where there is something."""
    whole, _, part = f"{price:,.4f}".partition(".")
    return f"{whole}.{part[:2]}{part[2:].rstrip('0')}"


def shares_shown(shares: Decimal) -> str:
    """A number of shares without needless zeros."""
    return f"{shares.normalize():,f}"


def order_in_words(order: Order) -> str:
    """An order in one line: BUY 100 MSFT LMT at 106.05."""
    levels = [price_shown(level) for level in (order.stop_price, order.limit_price) if level is not None]
    at = f" at {' / '.join(levels)}" if levels else ""
    return f"{order.action} {shares_shown(order.quantity)} {order.contract.symbol} {order.order_type}{at}"
