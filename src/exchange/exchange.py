"""The simulated exchange: (command, time) in, events out. Pure, deterministic, single-threaded.

What it does, and where it departs from the market:

- An order is checked, acknowledged (`PreSubmitted`) and reaches its book after the preset's latency; it acts on no
  earlier print. After a bar nothing stands, so a market order placed on a close fills at the next open; after a quote
  the market stands, so it fills at once. Quotes lapse at midnight in New York: a day without quotes trades on bars.
- Statuses go PreSubmitted, then Submitted when the order rests or has filled in part, then Filled, Cancelled or
  Inactive (rejected), in the order in which TWS sends them: execution, order status, commission, position. An order
  that rests in the moment in which it is taken is told once, as Submitted.
- DAY orders expire at the close, those with `outside_rth` four hours later. An order placed while the market is
  closed is held until the open (399). GTC orders do not work outside their hours and keep their price and time.
- A bracket's exits enter inside their parent's first fill and close no more than the parent has opened; a fill of one
  reduces the other. Members of another OCA group cancel each other at the first fill (IB's OCA type 1).
- ExcessLiquidity below zero liquidates at market, the position with the largest requirement first and whole; IB
  closes as little as it can. Ten minutes before the close the same holds for Reg T's overnight 50 %.
- No dividends, splits, interest, borrow fees, auctions, halts or price bands.

Every id is a counter: the same seed and the same commands give the same events, byte for byte.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal, getcontext, localcontext, setcontext
from math import inf
from typing import Final

from src.domain.account import AccountPnL, AccountSummary, OrderPreview, Position
from src.domain.errors import InvalidOrderError, UnknownOrderError
from src.domain.events import Event
from src.domain.market import Bar, Contract, Quote
from src.domain.orders import AccountId, Bracket, Fill, Order, OrderChange, OrderId, OrderStatus, Trade
from src.domain.rejections import CANCEL_TOO_LATE, CANCEL_UNKNOWN, UNKNOWN_ORDER
from src.exchange import acceptance, valuation
from src.exchange.book import Book, check_bar
from src.exchange.commission import FeeSchedule
from src.exchange.fill_models import Preset
from src.exchange.floor import Floor
from src.exchange.restoring import restore, saved
from src.exchange.sessions import Sessions
from src.exchange.state import ExchangeState
from src.exchange.terms import Listed
from src.exchange.units import CONTEXT, units
from src.exchange.working import Working

_FAR: Final = 1 << 62  # a price beyond any


class Exchange:
    """Books, accounts and their clockwork. All times are arguments, in epoch nanoseconds, and never go back."""

    __slots__ = ("_alone", "_alone_until", "_books", "_floor", "_now", "_wake", "latency", "ledger", "sessions")

    def __init__(self, listed: Iterable[Listed], preset: Preset, sessions: Sessions, fees: FeeSchedule) -> None:
        reach = preset.fill_model.reach
        self._books = {
            item.contract.con_id: Book(item.contract, item.terms(fees), reach(item.contract.con_id)) for item in listed
        }
        #: When the market is open, and the time (ns) that an order, a cancel or a change takes to reach it.
        self.sessions, self.latency = sessions, preset.latency
        self._floor = Floor(self._books, preset, sessions)
        self.ledger = self._floor.ledger
        self._now = -1
        self._wake: float = -inf  # until here nothing falls due; -inf before the first command
        self._alone: Book  # the only one that had a bar when bars were last looked at slowly
        self._alone_until: float = -inf  # `_wake` while one bar of it is expected, else -inf

    # --- accounts --------------------------------------------------------------------------------------------------

    def open_account(self, account_id: AccountId, cash: Decimal) -> None:
        """Open an account with `cash` dollars."""
        self.ledger.open(account_id, cash)

    def number_executions_from(self, first: int) -> None:
        """Give the executions to come numbers from `first` on, or from where they are when that is higher."""
        self._floor.settlement.next_execution = max(self._floor.settlement.next_execution, first)

    def account_summary(self, account: AccountId, now: int) -> AccountSummary:
        """IB's tags of an account at the latest prices."""
        with localcontext(CONTEXT):
            return valuation.summary(self.ledger.accounts[account], self._floor.mark, now)

    def pnl(self, account: AccountId) -> AccountPnL:
        """Profit and loss of an account at the latest prices."""
        with localcontext(CONTEXT):
            return valuation.pnl(self.ledger.accounts[account], self._floor.mark)

    def positions(self, account: AccountId) -> tuple[Position, ...]:
        """The account's open positions at the latest prices."""
        holdings = self.ledger.accounts[account].holdings.values()
        with localcontext(CONTEXT):
            held = self.ledger.accounts[account]
            return tuple(
                valuation.position(held, h, valuation.mark_of(h, self._floor.mark))
                for h in holdings
                if h.quantity or h.realized
            )

    @property
    def now(self) -> int:
        """The last moment processed; -1 before the first."""
        return self._now

    def mark(self, con_id: int) -> int | None:
        """The latest price of a contract in units: the last print, else the middle of the quote, else the close."""
        return self._floor.mark(con_id)

    def remember(self, contract: Contract, price: float) -> None:
        """Take a price (dollars) from before the session for the mark, until there is one of this session."""
        self._books[contract.con_id].remembered = units(price)

    def last_bar(self, contract: Contract) -> Bar | None:
        """Return the last bar of a listed contract; None before the first."""
        return self._books[contract.con_id].last

    def lends(self, contract: Contract) -> bool:
        """Whether a listed contract can be sold short."""
        return self._books[contract.con_id].terms.shortable

    def standing_quote(self, contract: Contract) -> Quote | None:
        """Return the day's last quote of a listed contract; None when the day has had none, so that bars count."""
        return self._books[contract.con_id].quote

    # --- state -----------------------------------------------------------------------------------------------------

    def save(self) -> ExchangeState:
        """Return everything needed to go on later: accounts, the orders at work, and what ended today."""
        return saved(self._floor, self._now)

    def restore(self, state: ExchangeState, now: int) -> tuple[Event, ...]:
        """Take over a saved state and catch up on what fell due by time until `now`."""
        with localcontext(CONTEXT):
            restore(self._floor, self._books, state)
            self._floor.reach(max(now, state.now))
            return self._flush(max(now, state.now))

    # --- orders ----------------------------------------------------------------------------------------------------

    def submit(self, account: AccountId, order: Order, now: int) -> tuple[Event, ...]:
        """Take an order, as an exit where it names a parent.

        Its first event, an `OrderChanged`, bears its id and says PreSubmitted, Inactive, or Submitted where it rests at
        once.
        """
        if order.parent_id is not None:
            return self.submit_exit(account, order.parent_id, order, now)
        return self._act(now, lambda: self._floor.take(self._floor.new(account, order, now), now))

    def submit_bracket(self, account: AccountId, bracket: Bracket, now: int) -> tuple[Event, ...]:
        """Take a bracket whole, or nothing of it; the first three order ids are parent, target and stop."""
        return self.submit_family(account, bracket.parent, (bracket.take_profit, bracket.stop_loss), now)

    def submit_family(
        self, account: AccountId, parent: Order, children: Sequence[Order], now: int
    ) -> tuple[Event, ...]:
        """Take an order and those that enter in its first fill, or nothing of them; their ids follow each other."""
        return self._act(now, lambda: self._floor.take_family(account, parent, children, now))

    def submit_exit(self, account: AccountId, parent_id: OrderId, order: Order, now: int) -> tuple[Event, ...]:
        """Take one more exit of an order that works or has filled; it closes no more than that order has opened."""
        return self._act(now, lambda: self._floor.take_exit(account, parent_id, order, now))

    def modify(self, account: AccountId, order_id: OrderId, change: OrderChange, now: int) -> tuple[Event, ...]:
        """Change a working order; a refused change is a `Notice` and leaves the order as it is."""
        with localcontext(CONTEXT):
            self._check_time(now)
            self._floor.reach(now)
            order = self._floor.own(account, order_id)
            if order is None or order.is_done:
                self._floor.notice(now, UNKNOWN_ORDER, f"Can't find order with id = {order_id}", account, order_id)
                return self._flush(now)
            try:
                changed = change.applied_to(order.order)
            except InvalidOrderError as error:
                self._floor.notice(now, 201, f"Order rejected - reason:{error}", account, order_id)
                return self._flush(now)
            refused = self._floor.admission.of_change(order, changed, now)
            if refused:
                self._floor.notice(now, refused.code, refused.text, account, order_id)
            elif order.held:
                self._floor.change(order, changed, now)
            else:
                self._floor.arrivals.send(
                    order, now + self._floor.latency, lambda w, at: self._floor.change(w, changed, at)
                )
                self._floor.reach(now)
            return self._flush(now)

    def cancel(self, account: AccountId, order_id: OrderId, now: int) -> tuple[Event, ...]:
        """Cancel a working order; with a latency it is PendingCancel first and may still fill."""
        with localcontext(CONTEXT):
            self._check_time(now)
            self._floor.reach(now)
            order = self._floor.own(account, order_id)
            if order is None:
                self._floor.notice(
                    now, CANCEL_UNKNOWN, f"OrderId {order_id} that needs to be cancelled is not found.", account
                )
            elif order.is_done:
                text = f"OrderId {order_id} that needs to be cancelled can not be cancelled, state: {order.status}."
                self._floor.notice(now, CANCEL_TOO_LATE, text, account, order_id)
            elif order.status is not OrderStatus.PENDING_CANCEL:
                self._floor.send_cancel(order, now)
            return self._flush(now)

    def liquidate(self, account: AccountId, contract: Contract, now: int) -> tuple[Event, ...]:
        """Close a position at market, as for want of margin; nothing when there is none."""
        held = self.ledger.accounts[account]
        holding = held.holdings.get(contract.con_id)
        if holding is None or not holding.quantity:
            return ()
        return self._act(now, lambda: self._floor.liquidate(held, holding, now))

    def correct(self, exec_id: str, shares: int | None, price: Decimal | None, now: int) -> tuple[Event, ...]:
        """Correct an execution's shares or price (None: as it was), as an exchange may; UnknownOrderError."""
        return self._act(now, lambda: self._floor.settlement.correct(exec_id, shares, price))

    def _act(self, now: int, act: Callable[[], object]) -> tuple[Event, ...]:
        """Bring the market up to `now`, act there, and hand out what has happened."""
        before = getcontext()
        setcontext(CONTEXT)
        try:
            self._check_time(now)
            self._floor.reach(now)
            act()
            self._floor.reach(now)
            return self._flush(now)
        finally:
            setcontext(before)

    def preview(self, account: AccountId, order: Order, now: int) -> OrderPreview:
        """What the order would do to margin and commission at the latest prices; nothing is placed."""
        with localcontext(CONTEXT):
            held = self.ledger.accounts[account]
            worth = valuation.value(held, self._floor.mark)
            trial = Working(replace(order, account=account), OrderId(0), now)
            price = self._floor.mark(trial.con_id) or trial.limit or trial.stop or 0
            fees = self._books[trial.con_id].terms.fees
            commission = fees.total(trial.action, trial.quantity, trial.quantity * price, now)
            after = acceptance.initial_margin(held, trial, self._floor.mark)
            refused = self._floor.admission.of_order(trial, now)
            return OrderPreview(
                worth.margin, after, after, worth.equity - commission, commission, refused.text if refused else ""
            )

    def trade(self, order_id: OrderId) -> Trade:
        """An order's state now; UnknownOrderError."""
        order = self._floor.orders.get(order_id)
        if order is None:
            raise UnknownOrderError(f"no order {order_id} here", code=UNKNOWN_ORDER)
        with localcontext(CONTEXT):
            return order.snapshot()

    def trades(self, account: AccountId) -> tuple[Trade, ...]:
        """Every order of an account, in the order they came."""
        with localcontext(CONTEXT):
            return tuple(order.snapshot() for order in self._floor.orders.values() if order.account == account)

    def open_trades(self, account: AccountId) -> tuple[Trade, ...]:
        """The account's working orders."""
        with localcontext(CONTEXT):
            return tuple(order.snapshot() for order in self._floor.at_work if order.account == account)

    def fills(self, account: AccountId) -> tuple[Fill, ...]:
        """The account's executions with their commissions, oldest first."""
        return tuple(self._floor.settlement.fills.get(account, ()))

    # --- time and prices -------------------------------------------------------------------------------------------

    def advance(self, now: int, bars: Sequence[Bar] = ()) -> tuple[Event, ...]:
        """Move to `now` with ALL bars that end then; without bars, time alone passes.

        Every bar is seen by the exchange before anybody else: an order decided on one cannot fill in another.
        """
        if now <= self._alone_until and now >= self._now:
            try:  # to read one bar without a loop takes a sixth less
                (bar,) = bars
            except ValueError:
                self._alone_until = -inf  # to raise takes more than to look at two bars
            else:
                book = self._alone
                if bar[0] is book.contract and book.low_guard < bar[5] and bar[4] < book.high_guard:
                    book.last = bar
                    self._now = now
                    return ()
        if now <= self._wake and now >= self._now:
            books = self._books
            for bar in bars:
                book = books[bar[0].con_id]
                if book.low_guard < bar[5] and bar[4] < book.high_guard:
                    book.last = bar
                else:
                    break
            else:
                self._now = now
                return ()
        before = getcontext()
        setcontext(CONTEXT)  # as `with localcontext`, here and in `_act`, at a quarter of its cost: it makes a copy
        try:
            return self._advance_slowly(now, bars)
        finally:
            setcontext(before)

    def quote(self, quote: Quote) -> tuple[Event, ...]:
        """A new best bid and ask. From a day's first one on, quotes make the contract's market and bars only inform."""
        book = self._books[quote[0].con_id]
        if (
            self._now <= quote[1] <= self._wake
            and book.low_guard < quote[2] <= quote[3] < book.high_guard
            and book.quote is not None
        ):
            book.stand(quote)
            self._now = quote[1]
            return ()
        with localcontext(CONTEXT):
            return self._quote_slowly(book, quote)

    def close_session(self, now: int) -> tuple[Event, ...]:
        """End the trading day: DAY orders expire, the day's P&L starts anew."""
        with localcontext(CONTEXT):
            self._check_time(now)
            self._floor.reach(now)
            self._floor.expire(now, outside_rth=False)
            self._floor.expire(now, outside_rth=True)
            self._floor.start_day()
            return self._flush(now)

    @property
    def next_arrival(self) -> int | None:
        """When the next thing lands by time alone; None when nothing will."""
        lands = self._floor.arrivals.lands
        return lands if lands < _FAR else None

    def _advance_slowly(self, now: int, bars: Sequence[Bar]) -> tuple[Event, ...]:
        self._check_time(now)
        floor, books = self._floor, [self._books[bar.contract.con_id] for bar in bars]
        earliest = now
        for book, bar in zip(books, bars, strict=True):
            if book.last is not bar:  # else the fast path has let it through, before another bar stopped there
                check_bar(bar, book.last)
            if bar.start < earliest:
                earliest = bar.start
        floor.reach(max(self._now, earliest))
        for book, bar in zip(books, bars, strict=True):
            if book.quote is None:
                due = floor.arrivals.pop_due(book.contract.con_id, bar.end - 1)
                if due or book.market or not (book.low_guard < bar.low and bar.high < book.high_guard):
                    floor.matching.walk(book, bar, due)
            book.last = bar
        floor.reach(now)
        self._alone_until = -inf
        if len(books) == 1:
            (self._alone,), self._alone_until = books, now  # `_flush` says until when
        return self._flush(now)

    def _check_time(self, now: int) -> None:
        """Time does not go back; the fast paths leave the floor's own clock behind."""
        if now < self._now:
            raise ValueError(f"time goes back: {now} after {self._now}")
        self._floor.now = self._now

    def _quote_slowly(self, book: Book, quote: Quote) -> tuple[Event, ...]:
        self._check_time(quote.time)
        self._floor.reach(max(self._now, quote.time - 1))
        opening = book.quote is None or not self._floor.same_session(book.quote.time, quote.time)
        stood = book.market_now(quote.time)
        before = (stood.bid, stood.ask) if stood is not None else (0, _FAR)
        first = book.quote is None
        book.stand(quote)
        if first:
            self._floor.begin_quotes(quote.time)
        market = book.market_now(quote.time)
        if market is not None:
            self._floor.matching.sweep(book, market, None if opening else before)
            book.take_left(market)
        self._floor.reach(quote.time)
        return self._flush(quote.time)

    def _flush(self, now: int) -> tuple[Event, ...]:
        """Hand out what has happened; set guards and the next moment at which something falls due."""
        floor, out = self._floor, self._floor.out
        self._now = floor.now = max(floor.now, now)
        while floor.must_check_margins and floor.check_margins(self._now):
            floor.reach(self._now)
        for book in self._books.values():
            if book.dirty:
                book.set_guards()
        self._wake = floor.wake
        if self._alone_until > -inf:
            self._alone_until = self._wake
        events = tuple(out)
        out.clear()
        return events
