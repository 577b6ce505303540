"""One contract's working orders, and the guards that tell when none of them can act.

Four ladders, heaps of `(key, seq, order)`: buy limits and buy stops watch the ask, sell limits and sell stops the
bid. An order that waits for a touch stands among the limits. Key order is priority: the order that a moving price
reaches first, then time. Cancels and changes leave stale entries that are dropped when they surface.

The guards are floats, so that a bar is cleared by two comparisons: while `low_guard < low and high < high_guard`
nothing on the book can act. They stand one unit plus the contract's largest half spread outside the nearest order.
A guard may be too tight, never too loose. NaN fails the comparison and so reaches validation.
"""

from heapq import heapify, heappop, heappush
from math import inf
from typing import Final

from src.domain.market import Bar, Contract, Quote
from src.domain.orders import AccountId
from src.exchange.standing import Market
from src.exchange.terms import Terms
from src.exchange.units import UNITS_PER_DOLLAR, units
from src.exchange.working import Working

Entry = tuple[int, int, Working]
_CLOSED_GUARD: Final = (inf, -inf)
_OPEN_GUARD: Final = (-inf, inf)


def is_sane(quote: Quote) -> bool:
    """Whether both sides are quoted and not crossed: nothing trades on, or is valued at, any other quote."""
    return 0 < quote.bid <= quote.ask < inf


def check_bar(bar: Bar, last: Bar | None) -> None:
    """Refuse a bar that no market could have traded (ValueError). NaN fails every comparison."""
    _, start, end, opening, high, low, close, _ = bar
    if not (0.0 < low <= opening <= high < inf and low <= close <= high):
        raise ValueError(f"a bar needs finite prices above zero, open and close between low and high: {bar}")
    if start >= end or (last is not None and end <= last.end):
        raise ValueError(f"a bar must start before it ends, and follow the one before: {bar}")


class Book:
    """The working orders of one contract, its last prices and its guards."""

    __slots__ = (
        "ask_size",
        "bid_size",
        "buy_limits",
        "buy_stops",
        "contract",
        "dirty",
        "high_guard",
        "lapsed",
        "last",
        "low_guard",
        "margin_guards",
        "market",
        "quote",
        "reach",
        "remembered",
        "sell_limits",
        "sell_stops",
        "terms",
    )

    def __init__(self, contract: Contract, terms: Terms, reach: int) -> None:
        self.contract = contract
        self.terms = terms
        self.reach = reach
        self.last: Bar | None = None
        self.remembered: int | None = None  # the price (units) of an earlier process, or before a senseless quote
        self.quote: Quote | None = None  # while one stands, quotes make the market and bars only inform
        self.lapsed = -1  # the last time heard of when a quote ceased to stand: bars up to it give no price
        self.bid_size = self.ask_size = 0  # what is left of the standing quote, in shares
        self.market: list[Working] = []
        self.buy_limits: list[Entry] = []  # key -limit: the highest first
        self.sell_limits: list[Entry] = []  # key limit: the lowest first
        self.buy_stops: list[Entry] = []  # key stop: the lowest first
        self.sell_stops: list[Entry] = []  # key -stop: the highest first
        self.margin_guards: dict[AccountId, tuple[float, float]] = {}  # where each account's margin must be looked at
        self.low_guard, self.high_guard = 0.0, inf
        self.dirty = False  # something has changed since the guards were set

    def add(self, order: Working) -> None:
        """Let an order work: in the queue when it takes any price, else in the ladder of its level."""
        order.on_book = True
        if not order.triggered:
            if order.stop is None:
                raise AssertionError(order.order)
            if order.touch:
                self._add_limit(order, order.stop)
            elif order.is_buy:
                self._put(self.buy_stops, order.stop, order)
            else:
                self._put(self.sell_stops, -order.stop, order)
        elif order.limit is None:
            self.market.append(order)
            self.dirty = True
        else:
            self._add_limit(order, order.limit)

    def _add_limit(self, order: Working, level: int) -> None:
        if order.is_buy:
            self._put(self.buy_limits, -level, order)
        else:
            self._put(self.sell_limits, level, order)

    def _put(self, ladder: list[Entry], key: int, order: Working) -> None:
        """Put an order on a ladder; behind its first the guards stay where they are."""
        heappush(ladder, (key, order.seq, order))
        if ladder[0][2] is order:
            self.dirty = True

    def remove(self, order: Working) -> None:
        """Stop an order from acting; its ladder entry is dropped when it surfaces."""
        if order.on_book:
            order.on_book = False
            self.dirty = True
            if order.trades_at_market:
                self.market.remove(order)
            else:
                self._purge(order)

    def _purge(self, order: Working) -> None:
        ladder = self.ladder_of(order)
        if ladder and ladder[0][2] is order:
            heappop(ladder)
        else:
            ladder[:] = [entry for entry in ladder if entry[2] is not order]
            heapify(ladder)

    def ladder_of(self, order: Working) -> list[Entry]:
        """The ladder in which an order with a level stands."""
        if not order.triggered and not order.touch:
            return self.buy_stops if order.is_buy else self.sell_stops
        return self.buy_limits if order.is_buy else self.sell_limits

    @property
    def is_empty(self) -> bool:
        """Whether no order stands here."""
        return not (self.market or self.buy_limits or self.sell_limits or self.buy_stops or self.sell_stops)

    def working(self) -> list[Working]:
        """Every order on the book, oldest first."""
        ladders = (self.buy_limits, self.sell_limits, self.buy_stops, self.sell_stops)
        orders = self.market + [entry[2] for ladder in ladders for entry in ladder]
        return sorted(orders, key=lambda order: order.seq)

    def set_margin_guards(self, account: AccountId, low: float, high: float) -> None:
        """Have the margin of an account looked at when the price (dollars) leaves `low` to `high`."""
        if self.margin_guards.get(account, _OPEN_GUARD) != (low, high):
            self.margin_guards[account] = (low, high)
            self.dirty = True

    def set_guards(self) -> None:
        """Put the guards just outside what could act next."""
        self.dirty = False
        if self.market:
            self.low_guard, self.high_guard = _CLOSED_GUARD
            return
        low, high = -inf, inf
        if self.buy_limits:
            low = -self.buy_limits[0][0]
        if self.sell_stops:
            low = max(low, -self.sell_stops[0][0])
        if self.sell_limits:
            high = self.sell_limits[0][0]
        if self.buy_stops:
            high = min(high, self.buy_stops[0][0])
        margin = self.reach + 1
        low, high = max((low + margin) / UNITS_PER_DOLLAR, 0.0), (high - margin) / UNITS_PER_DOLLAR
        for call_low, call_high in self.margin_guards.values():
            low, high = max(low, call_low), min(high, call_high)
        self.low_guard, self.high_guard = low, high

    # --- prices ----------------------------------------------------------------------------------------------------

    def stand(self, quote: Quote) -> None:
        """Let a new quote stand, with its whole size on offer."""
        if not is_sane(quote):
            self.remembered = self.mark()
        self.quote = quote
        self.bid_size, self.ask_size = int(quote.bid_size), int(quote.ask_size)

    def lapse(self) -> None:
        """Let the quote stand no more, and the mark stay as it is until the next price."""
        if self.quote is not None:
            heard = max(self.quote.time, self.last.end if self.last is not None else -1)
            self.remembered, self.lapsed, self.quote = self.mark(), heard, None

    def market_now(self, time: int) -> Market | None:
        """The market that the last quote makes, less what was taken of it; None when no sane quote stands."""
        quote = self.quote
        if quote is None or not is_sane(quote):
            return None
        return Market.quoted(time, units(quote.bid), units(quote.ask), self.bid_size, self.ask_size)

    def lets_rest(self, order: Working) -> bool:
        """Whether a sane quote stands that this limit does not reach: then it rests in the moment in which it comes."""
        quote, limit = self.quote, order.limit
        if quote is None or limit is None or not order.triggered or order.is_immediate or not is_sane(quote):
            return False
        return limit < units(quote.ask) if order.is_buy else limit > units(quote.bid)

    def take_left(self, market: Market) -> None:
        """Remember what a market has left of the standing quote."""
        self.bid_size, self.ask_size = market.bid_left or 0, market.ask_left or 0

    def mark(self) -> int | None:
        """The latest price in units: the last print inside the quote, else its middle, else the last bar's close."""
        quote = self.quote
        if quote is not None:
            if not is_sane(quote):
                return self.remembered
            if quote.bid <= quote.last <= quote.ask:
                return units(quote.last)
            return (units(quote.bid) + units(quote.ask)) // 2
        if self.last is not None and self.last.end > self.lapsed:
            return units(self.last.close)
        return self.remembered
