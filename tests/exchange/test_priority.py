"""Who trades first: price, then time; over many resting orders of one contract on few levels."""

from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from src.domain.events import Event, Filled, OrderChanged
from src.domain.market import Bar, Quote, Source
from src.domain.orders import Action, Order, OrderChange, OrderId, OrderType, TimeInForce
from src.exchange.exchange import Exchange
from tests.exchange.markets import AAA, ACCOUNT, MINUTE, T0, new_exchange, preset_of


class Rank:
    """Where an order stands: its level, and when it came there."""

    def __init__(self, order: Order, place: int) -> None:
        self.order, self.place = order, place

    def goes_before(self, other: "Rank") -> bool:
        if self.order.action is not other.order.action:
            return False
        levels = [each.order.limit_price or each.order.stop_price for each in (self, other)]
        assert levels[0] is not None
        assert levels[1] is not None
        nearer = 1 if self.order.order_type is OrderType.LIMIT else -1
        better = (levels[0] - levels[1]) * self.order.action.sign * nearer
        return better > 0 or (better == 0 and self.place < other.place)


def compare(ranks: dict[OrderId, Rank], resting: set[OrderId], events: tuple[Event, ...]) -> int:
    """Check that no resting order traded before a better one was done; returns the number of pairs compared."""
    first: dict[OrderId, int] = {}
    done: dict[OrderId, int] = {}
    for index, event in enumerate(events):
        if isinstance(event, Filled):
            first.setdefault(event.fill.execution.order_id, index)
        elif isinstance(event, OrderChanged) and event.trade.is_done:
            done[event.trade.order_id] = index
    compared = 0
    for worse, began in first.items():
        for better in resting:
            if worse in resting and ranks[better].goes_before(ranks[worse]):
                compared += 1
                assert done.get(better, 1 << 30) < began, (ranks[better].order, ranks[worse].order)
    return compared


def rest(exchange: Exchange, random: Random, kind: OrderType, ranks: dict[OrderId, Rank]) -> None:
    """Put orders on eight levels of each side, then move some of them, or make them larger or smaller."""
    for _ in range(40):
        action = random.choice(tuple(Action))
        below = (action is Action.BUY) == (kind is OrderType.LIMIT)
        level = Decimal(100) + (-1 if below else 1) * Decimal(random.randrange(1, 9)) / 10
        limit, stop = (level, None) if kind is OrderType.LIMIT else (None, level)
        quantity = Decimal(random.randrange(1, 60))
        order = Order(AAA, action, quantity, kind, limit, stop, TimeInForce.GTC)
        first = exchange.submit(ACCOUNT, order, T0)[0]
        assert isinstance(first, OrderChanged)
        ranks[first.trade.order_id] = Rank(order, len(ranks))
    for order_id in random.sample(sorted(ranks), 12):
        order = ranks[order_id].order
        change = OrderChange(quantity=order.quantity + random.choice((-1, 5)))
        if change.quantity:
            exchange.modify(ACCOUNT, order_id, change, T0)
            place = ranks[order_id].place if change.quantity < order.quantity else 0
            ranks[order_id] = Rank(change.applied_to(order), place)
            if change.quantity > order.quantity:
                ranks[order_id].place = max(rank.place for rank in ranks.values()) + 1


@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.STOP])
@pytest.mark.parametrize("driven_by", ["bars", "quotes"])
@pytest.mark.parametrize("preset", ["ideal", "realistic"])
def test_resting_orders_trade_by_price_and_then_by_time(preset: str, driven_by: str, kind: OrderType) -> None:
    """Also after a smaller quantity, which keeps an order's place, and a larger one, which loses it."""
    fills = compared = 0
    for seed in range(25):
        random = Random(seed)  # noqa: S311  # the same each time, not secret
        exchange = new_exchange(preset_of(preset), cash=10_000_000)
        if driven_by == "quotes":
            exchange.quote(Quote(AAA, T0, 99.99, 100.01, 5000, 5000, 100.0, Source.SIMULATED))
        else:
            exchange.advance(T0, (Bar(AAA, T0 - MINUTE, T0, 100, 100, 100, 100, 1000),))
        ranks: dict[OrderId, Rank] = {}
        rest(exchange, random, kind, ranks)
        time = T0 + MINUTE
        if driven_by == "bars":
            exchange.advance(time, (Bar(AAA, T0, time, 100, 100, 100, 100, 1000),))
        else:
            exchange.advance(time)
        price = 100.0
        for _ in range(30):
            resting = {trade.order_id for trade in exchange.open_trades(ACCOUNT)}
            path = [price, *(price + random.randrange(-20, 21) / 100 for _ in range(3))]
            price = path[-1]
            if driven_by == "bars":
                bar = Bar(
                    AAA, time, time + MINUTE, path[0], max(path), min(path), price, random.choice((20, 800, 10**6))
                )
                events = exchange.advance(time + MINUTE, (bar,))
            else:
                size = float(random.choice((10, 90, 10_000)))
                bid, ask = round(price - 0.01, 2), round(price + 0.01, 2)
                events = exchange.quote(Quote(AAA, time + MINUTE, bid, ask, size, size, price, Source.SIMULATED))
            time += MINUTE
            fills += sum(isinstance(event, Filled) for event in events)
            compared += compare(ranks, resting, events)
    assert fills >= 400
    assert compared >= 500


def test_a_partly_filled_order_keeps_its_place_at_its_price() -> None:
    """What the first order of a level has left trades before the second one."""
    exchange = new_exchange(preset_of("realistic"))
    orders = [Order(AAA, Action.BUY, Decimal(200), OrderType.LIMIT, Decimal("99.00")) for _ in range(2)]
    exchange.advance(T0, (Bar(AAA, T0 - MINUTE, T0, 100, 100, 100, 100, 0),))
    for order in orders:
        exchange.submit(ACCOUNT, order, T0)
    exchange.advance(T0 + MINUTE, (Bar(AAA, T0, T0 + MINUTE, 100, 100, 98.9, 99.5, 0),))
    first, second = exchange.trades(ACCOUNT)
    assert [first.filled, second.filled] == [200, 40]
    assert first.average_fill_price == second.average_fill_price == Decimal(99)


def test_better_prices_trade_first_whatever_came_first() -> None:
    """Three bids at three prices, the best one last: it fills first."""
    exchange = new_exchange()
    for price in ("98.00", "98.50", "99.00"):
        exchange.submit(ACCOUNT, Order(AAA, Action.BUY, Decimal(1), OrderType.LIMIT, Decimal(price)), T0)
    events = exchange.advance(T0 + MINUTE, (Bar(AAA, T0, T0 + MINUTE, 100, 100, 97, 97, 1000),))
    prices = [event.fill.execution.price for event in events if isinstance(event, Filled)]
    times = [event.fill.execution.time for event in events if isinstance(event, Filled)]
    assert prices == [Decimal("99.00"), Decimal("98.50"), Decimal("98.00")]
    assert all(earlier < later for earlier, later in pairwise(times))
