"""Short words for small worked examples: minutes from T0, prices in dollars, orders by side."""

from collections.abc import Iterable
from decimal import Decimal
from math import nan
from typing import Any

from src.domain.events import Event, Filled, Notice, OrderChanged
from src.domain.market import Bar, Contract, Quote, Source
from src.domain.orders import Action, Execution, Order, OrderId, OrderType, Trade
from src.exchange.exchange import Exchange
from tests.exchange.markets import AAA, ACCOUNT, MINUTE, T0

Price = str | None


def at(minute: float) -> int:
    """The moment so many minutes after T0."""
    return T0 + round(minute * MINUTE)


def bar(minute: int, *prices: float, volume: float = 100_000, contract: Contract = AAA) -> Bar:
    """The bar of the minute that starts then: open, high, low, close, or one price for all."""
    opening, high, low, close = prices * 4 if len(prices) == 1 else prices
    return Bar(contract, at(minute), at(minute + 1), opening, high, low, close, volume)


def give(exchange: Exchange, *bars: Bar) -> tuple[Event, ...]:
    """Let bars come, each at its own end."""
    return tuple(event for each in bars for event in exchange.advance(each.end, (each,)))


def quote(
    minute: float, bid: float, ask: float, size: float = 1_000, *, last: float = nan, contract: Contract = AAA
) -> Quote:
    """The same size on both sides."""
    return Quote(contract, at(minute), bid, ask, size, size, last, Source.SIMULATED)


def order(action: Action, quantity: int, limit: Price = None, stop: Price = None, **fields: Any) -> Order:
    """An order whose prices tell its type."""
    kinds = {(False, False): OrderType.MARKET, (True, False): OrderType.LIMIT, (False, True): OrderType.STOP}
    kind = kinds.get((limit is not None, stop is not None), OrderType.STOP_LIMIT)
    at_limit, at_stop = (Decimal(price) if price is not None else None for price in (limit, stop))
    return Order(fields.pop("contract", AAA), action, Decimal(quantity), kind, at_limit, at_stop, **fields)


def buy(quantity: int, limit: Price = None, stop: Price = None, **fields: Any) -> Order:
    """Buy."""
    return order(Action.BUY, quantity, limit, stop, **fields)


def sell(quantity: int, limit: Price = None, stop: Price = None, **fields: Any) -> Order:
    """Sell."""
    return order(Action.SELL, quantity, limit, stop, **fields)


def send(exchange: Exchange, wanted: Order, minute: float) -> OrderId:
    """Submit an order; its id."""
    first = exchange.submit(ACCOUNT, wanted, at(minute))[0]
    assert isinstance(first, OrderChanged)
    return first.trade.order_id


def executions(events: Iterable[Event]) -> list[Execution]:
    """What traded."""
    return [event.fill.execution for event in events if isinstance(event, Filled)]


def traded(events: Iterable[Event]) -> list[tuple[int, Decimal]]:
    """Shares (negative when sold) and price of each execution."""
    return [(int(each.shares) * each.side.sign, each.price) for each in executions(events)]


def at_prices(*pairs: tuple[int, str]) -> list[tuple[int, Decimal]]:
    """What `traded` should give."""
    return [(shares, Decimal(price)) for shares, price in pairs]


def trades_of(events: Iterable[Event], order_id: int | None = None) -> list[Trade]:
    """Every state of an order (of all orders) that was told."""
    told = [event.trade for event in events if isinstance(event, OrderChanged)]
    return [trade for trade in told if order_id in (None, trade.order_id)]


def statuses(events: Iterable[Event], order_id: int | None = None) -> list[str]:
    """The statuses that were told, by IB's names."""
    return [trade.status.value for trade in trades_of(events, order_id)]


def codes(events: Iterable[Event]) -> list[int]:
    """The codes of the venue's messages."""
    return [event.code for event in events if isinstance(event, Notice)]
