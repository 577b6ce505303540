"""Where orders meet prices: the walk along a bar, and the standing quote.

A bar is walked open, nearer extreme, farther extreme, close, each point at its own time (the open at the bar's start,
the close one nanosecond before its end). A jump (a bar's open, a day's or a session's first quote) fills at the print;
a level crossed inside a segment, or passed from one quote to the next of a session, fills at the order's level, and
what such an order has left never pays more than the market has been at meanwhile. An order that arrives inside a
segment meets the price on the straight line between the two prints, rounded against it. When a bar can reach both exits
of a bracket, the stop is taken first.

Triggers: buy orders watch the ask, sell orders the bid, stops included. IB triggers stops of US stocks on the last
price by default; with half a spread added to each print the two differ by that half spread.

Nothing here moves money: a callback settles each trade and says which orders it sets free.
"""

from collections.abc import Callable, Sequence

from src.domain.market import Bar
from src.exchange.arrivals import Arrival
from src.exchange.book import Book, Entry
from src.exchange.fill_models import FillModel
from src.exchange.standing import Market
from src.exchange.units import units
from src.exchange.working import Working

#: Settle `shares` at `price` at `time`; returns the orders that the trade sets free (a bracket's exits).
Settle = Callable[[Working, int, int, int], Sequence[Working]]
#: An order has reached the market and rests, or its immediate remainder is to be cancelled.
Report = Callable[[Working, int], None]


class Matching:
    """Brings the orders of a book and a moving market together."""

    def __init__(self, model: FillModel, settle: Settle, rests: Report, lapses: Report) -> None:
        self._model = model
        self._settle = settle
        self._rests = rests
        self._lapses = lapses

    # --- a bar -----------------------------------------------------------------------------------------------------

    def walk(self, book: Book, bar: Bar, arrivals: Sequence[Arrival]) -> None:
        """Walk `bar`; `arrivals` (in time order) reach the market on the way, all before the bar's end."""
        opening, size = units(bar.open), self._model.displayed(bar)
        market = Market(bar.start, opening, self._model.half_spread(bar), size)
        coming = list(arrivals)
        coming.reverse()
        early: list[Working] = []
        while coming and coming[-1].active_at <= bar.start:
            arrival = coming.pop()
            if arrival.act(arrival.order, arrival.active_at):
                early.append(arrival.order)
        self.sweep(book, market)
        for order in early:
            self.meet(book, order, market)
        if not coming and book.is_empty:
            return
        path = _path(bar, opening)
        for index in range(1, 4):
            time, middle = path[index]
            before = market.bid, market.ask
            rest_of_path = [price for _, price in path[index:]]
            while coming and coming[-1].active_at <= time:
                arrival = coming.pop()
                self._cross(book, market, *_between(market, time, middle, arrival), rest_of_path)
                if arrival.act(arrival.order, market.time):
                    self.meet(book, arrival.order, market)
            self._cross(book, market, time, middle, rest_of_path)
            market.bid_left = market.ask_left = size
            self.sweep(book, market, before, rest_of_path[1:])

    # --- a standing market -----------------------------------------------------------------------------------------

    def meet(self, book: Book, order: Working, market: Market) -> None:
        """Let one order meet the standing market, then rest, wait or lapse."""
        if order.is_done:
            return
        if not order.triggered and not _is_triggered(order, market):
            book.add(order)
            self._rests(order, market.time)
            return
        order.triggered = True
        price = market.ask if order.is_buy else market.bid
        if price and (order.limit is None or (order.limit - price) * order.sign >= 0):
            self._trade(book, order, market, price)
        if order.is_done:
            return
        if order.is_immediate:
            self._lapses(order, market.time)
            return
        book.add(order)
        self._rests(order, market.time)

    def sweep(
        self, book: Book, market: Market, before: tuple[int, int] | None = None, ahead: Sequence[int] = ()
    ) -> None:
        """Fill whatever the market satisfies at this print; a limit that the market came through at its own level.

        `before`: bid and ask from which the market came; None for a jump, which fills at the print.
        `ahead`: the middle prices that the bar still has to come to.
        """
        for order in tuple(book.market) if book.market else ():
            if order.on_book:
                self._offer(book, order, market, market.ask if order.is_buy else market.bid)
        ask, bid = market.ask, market.bid
        if ask and book.buy_stops:
            self._sweep_ladder(book, book.buy_stops, market, ask, before, ahead)
        if ask and book.buy_limits:
            self._sweep_ladder(book, book.buy_limits, market, -ask, before, ahead)
        if bid and book.sell_stops:
            self._sweep_ladder(book, book.sell_stops, market, -bid, before, ahead)
        if bid and book.sell_limits:
            self._sweep_ladder(book, book.sell_limits, market, bid, before, ahead)

    def _sweep_ladder(  # one ladder, its test and the two facts that decide the price
        self,
        book: Book,
        ladder: list[Entry],
        market: Market,
        reached: int,
        before: tuple[int, int] | None,
        ahead: Sequence[int],
    ) -> None:
        """Take every order whose key is at most `reached` off its ladder, and let it trade."""
        left_over: list[Working] = []
        while ladder and ladder[0][0] <= reached:
            order = ladder[0][2]
            book.remove(order)
            price = market.ask if order.is_buy else market.bid
            if ahead and order.takes_profit and _stop_comes_first(order, market, ahead):
                left_over.append(order)
                continue
            beyond = False
            if order.limit is None or not order.triggered:
                order.triggered = True
                beyond = order.limit is not None and (order.limit - price) * order.sign < 0
            else:
                price = _passed(order, order.limit, price, before)
            if not beyond:
                self._trade(book, order, market, price)
            if not order.is_done:
                left_over.append(order)
        for order in left_over:
            self._put_back(book, order, market.time)

    def _offer(self, book: Book, order: Working, market: Market, price: int) -> None:
        """Trade what can be traded of an order that takes any price and stands in the queue."""
        if price:
            book.remove(order)
            self._trade(book, order, market, price)
            if not order.is_done:
                self._put_back(book, order, market.time)

    # --- a segment -------------------------------------------------------------------------------------------------

    def _cross(self, book: Book, market: Market, time: int, middle: int, rest_of_path: Sequence[int]) -> None:
        """Move the market along a segment to `middle` at `time`, filling each level where it is crossed."""
        start_time, start = market.time, market.middle
        aside: list[Working] = []
        while True:
            found = _next_level(book, market, rising=middle > start)
            if found is None:
                break
            order, at = found
            if (at - middle) * (1 if middle > start else -1) > 0:
                break
            if (at - market.middle) * (1 if middle > start else -1) > 0:
                travelled = (time - start_time) * abs(at - start) // abs(middle - start)
                market.move(start_time + travelled, at)
            book.remove(order)
            if order.takes_profit and _stop_comes_first(order, market, rest_of_path):
                aside.append(order)
                continue
            self._cross_one(book, order, market, aside)
        market.move(time, middle)
        for order in aside:
            self._put_back(book, order, time)

    def _cross_one(self, book: Book, order: Working, market: Market, aside: list[Working]) -> None:
        level = order.limit if order.triggered else order.stop
        if level is None:
            raise AssertionError(order.order)
        if not order.triggered:
            order.triggered = True
            if order.limit is not None and (order.limit - level) * order.sign < 0:
                self._put_back(book, order, market.time)
                return
        self._trade(book, order, market, market.ask if order.is_buy else market.bid)  # the level, if it lies ahead
        if not order.is_done:
            aside.append(order)

    # --- one trade -------------------------------------------------------------------------------------------------

    def _trade(self, book: Book, order: Working, market: Market, price: int) -> None:
        left = market.ask_left if order.is_buy else market.bid_left
        shares = order.fillable if left is None else min(order.fillable, left)
        if shares <= 0 or (shares < order.remaining and order.is_whole):
            return
        if left is not None:
            if order.is_buy:
                market.ask_left = left - shares
            else:
                market.bid_left = left - shares
        for child in self._settle(order, shares, price, market.time):
            self.meet(book, child, market)

    def _put_back(self, book: Book, order: Working, time: int) -> None:
        if order.is_done or order.on_book:
            return
        if order.is_immediate:
            self._lapses(order, time)
            return
        book.add(order)
        self._rests(order, time)


def _path(bar: Bar, opening: int) -> tuple[tuple[int, int], ...]:
    """The bar's points as (time, price): open, nearer extreme, farther extreme, close."""
    low, high = units(bar.low), units(bar.high)
    nearer, farther = (low, high) if opening - low <= high - opening else (high, low)
    third = (bar.end - bar.start) // 3
    return (
        (bar.start, opening),
        (bar.start + third, nearer),
        (bar.start + 2 * third, farther),
        (bar.end - 1, units(bar.close)),
    )


def _passed(order: Working, limit: int, price: int, before: tuple[int, int] | None) -> int:
    """The price of a limit that the market satisfies: its own, but never dearer than where the market has been."""
    if before is None:
        return price
    bid, ask = before
    return min(limit, max(price, ask)) if order.is_buy else max(limit, min(price, bid))


def _is_triggered(order: Working, market: Market) -> bool:
    price = market.ask if order.is_buy else market.bid
    if not price or order.stop is None:
        return False
    beyond = (price - order.stop) * order.sign
    return beyond <= 0 if order.touch else beyond >= 0


def _between(market: Market, time: int, middle: int, arrival: Arrival) -> tuple[int, int]:
    """The moment of an arrival and the straight line's price at it, from the market now to (`time`, `middle`)."""
    moment = arrival.active_at
    if time <= market.time or moment <= market.time:
        return market.time, market.middle
    travelled, way = (middle - market.middle) * (moment - market.time), time - market.time
    return moment, market.middle + (-(-travelled // way) if arrival.order.is_buy else travelled // way)


def _next_level(book: Book, market: Market, *, rising: bool) -> tuple[Working, int] | None:
    """The order that a rising (or falling) price reaches next, and the middle price at which it does."""
    half = market.half
    stops, limits = (book.buy_stops, book.sell_limits) if rising else (book.sell_stops, book.buy_limits)
    way = 1 if rising else -1  # keys are levels times `way`; a stop acts half a spread before the middle, a limit after
    stop_at = stops[0][0] - half if stops else None
    limit_at = limits[0][0] + half if limits else None
    if stop_at is not None and (limit_at is None or stop_at <= limit_at):
        return stops[0][2], stop_at * way
    if limit_at is not None:
        return limits[0][2], limit_at * way
    return None


def _stop_comes_first(order: Working, market: Market, rest_of_path: Sequence[int]) -> bool:
    """Whether the rest of the bar also reaches a stop that this order would cancel."""
    if order.group is None:
        return False
    low, high = min(rest_of_path) - market.half, max(rest_of_path) + market.half
    return any(
        other.is_protective_stop
        and other.on_book
        and other.con_id == order.con_id
        and other.stop is not None
        and (other.stop <= high if other.is_buy else other.stop >= low)
        for other in order.group.members
        if other is not order
    )
