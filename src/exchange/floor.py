"""The trading floor inside an exchange: what happens to orders as time passes, between the commands.

Arrivals land and alarms ring in time order; orders are taken, rejected, changed, suspended and expired here. Events are
appended to `out`, in the order in which they happen.
"""

from collections.abc import Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Final

from src.domain.errors import InvalidOrderError
from src.domain.events import Event, Notice, OrderChanged
from src.domain.market import Quote
from src.domain.orders import AccountId, Order, OrderId, OrderStatus, TimeInForce
from src.domain.rejections import (
    CANCEL_TOO_LATE,
    CANCELLED,
    HELD,
    HELD_TEXT,
    ORDER_MESSAGE,
    Rejection,
    no_exit,
    odd_lot,
    orphan,
)
from src.exchange import valuation
from src.exchange.admission import Admission
from src.exchange.arrivals import Arrival, Arrivals
from src.exchange.at_work import AtWork
from src.exchange.book import Book
from src.exchange.fill_models import Preset
from src.exchange.ledger import Account, Holding, Ledger
from src.exchange.margin_calls import MarginCalls
from src.exchange.matching import Matching
from src.exchange.sessions import Sessions
from src.exchange.settlement import Settlement
from src.exchange.working import LIQUIDATION, OcaGroup, Working, closing

_NS: Final = 1_000_000_000
_EXTENDED: Final = 4 * 3600 * _NS  # extended hours end this long after the close
_REG_T: Final = 600 * _NS  # the overnight margin is looked at this long before the close
_FAR: Final = 1 << 62
_NEVER: Final = (_FAR, 0)


class Floor:
    """Books, orders and accounts of one exchange, and their clockwork."""

    def __init__(self, books: dict[int, Book], preset: Preset, sessions: Sessions) -> None:
        self.books, self.latency, self.sessions = books, preset.latency, sessions
        self.ledger = Ledger()
        self.orders: dict[OrderId, Working] = {}
        self.at_work = AtWork()
        self.groups: dict[tuple[AccountId, str], OcaGroup] = {}
        self.arrivals = Arrivals(self.is_quoted)
        self.out: list[Event] = []
        self.next_order = 1
        self.now = -1
        #: (time, what): 0 overnight margin, 1 close, 2 end of extended hours, 3 midnight
        self._alarms: list[tuple[int, int]] = []
        self._close = -1
        self.settlement = Settlement(self.ledger, books, self.out, self._order_done)
        self.admission = Admission(books, self.ledger, sessions, self.at_work, self.mark)
        self._margin_calls = MarginCalls(self.ledger, books, self.mark)
        self.matching = Matching(preset.fill_model, self.settlement.settle, self._rests, self._lapses)

    def mark(self, con_id: int) -> int | None:
        """The latest price of a contract in units; None before the first."""
        book = self.books.get(con_id)
        return None if book is None else book.mark()

    @property
    def wake(self) -> int:
        """The last moment before something falls due."""
        alarm = self._alarms[0][0] if self._alarms else _FAR
        earliest = self.arrivals.earliest
        return (min(earliest, alarm)) - 1

    def same_session(self, before: int, now: int) -> bool:
        """Whether no close and no midnight lie between two moments."""
        if valuation.day_of(before) != valuation.day_of(now):
            return False
        if self.sessions.is_always:
            return True
        close = self.sessions.close_after(before)
        return close is None or now <= close

    def reach(self, now: int) -> None:
        """Let time pass up to `now`: arrivals meet standing quotes, alarms go off, in time order."""
        if now < self.now:
            raise ValueError(f"time goes back: {now} after {self.now}")
        if self._close < 0:
            self._set_alarms(now)
            for session in self.sessions.between(now - _EXTENDED, now):
                if session.close <= now < session.close + _EXTENDED:  # the extended hours of a session already over
                    heappush(self._alarms, (session.close + _EXTENDED, 2))
        while now >= self.arrivals.lands or (self._alarms and now >= self._alarms[0][0]):
            landing = self.arrivals.first()
            alarm = self._alarms[0] if self._alarms else _NEVER
            if landing is not None and landing.active_at < alarm[0] and landing.active_at <= now:
                self.arrivals.take(landing)
                self._land(self.books[landing.order.con_id], landing)
            elif alarm[0] <= now:
                heappop(self._alarms)
                self._ring(*alarm)
            else:
                break
        self.now = now

    def _still_stands(self, quote: Quote, now: int) -> bool:
        """Whether no session has opened since a quote: an order held until the open must not meet yesterday's."""
        if self.sessions.is_always:
            return True
        return not any(session.open > quote.time for session in self.sessions.between(quote.time, now + 1))

    def is_quoted(self, con_id: int) -> bool:
        """Whether a quote of the day stands for an order to meet; else nothing does, and orders wait for prints."""
        return self.books[con_id].quote is not None

    def _land(self, book: Book, arrival: Arrival) -> None:
        order = arrival.order
        if not arrival.act(order, arrival.active_at):
            return
        if book.quote is None:
            self.enter(order, arrival.active_at)  # a change acts on no earlier print of the bar it arrives in
            return
        market = book.market_now(arrival.active_at) if self._still_stands(book.quote, arrival.active_at) else None
        if market is not None:
            self.matching.meet(book, order, market)
            book.take_left(market)
        elif order.is_immediate:
            self._lapses(order, arrival.active_at)
        else:
            book.add(order)
            self._rests(order, arrival.active_at)

    # --- alarms ----------------------------------------------------------------------------------------------------

    def _set_alarms(self, now: int) -> None:
        close = self.sessions.close_after(now)
        self._close = _FAR if close is None else close
        if close is not None:
            if close - _REG_T > now:
                heappush(self._alarms, (close - _REG_T, 0))
            heappush(self._alarms, (close, 1))
            heappush(self._alarms, (close + _EXTENDED, 2))

    def _ring(self, time: int, alarm: int) -> None:
        if alarm == 0:
            for account, holding in self._margin_calls.overnight():
                self.liquidate(account, holding, time)
        elif alarm == 1:
            self.expire(time, outside_rth=False)
            self._suspend(time)
            self.start_day()
            self._set_alarms(time)
        elif alarm == 2:  # the table of alarms stands beside `_alarms`
            self.expire(time, outside_rth=True)
        else:
            self._end_quotes(time)

    def begin_quotes(self, time: int) -> None:
        """A quote stands where none stood: what waits for one may land, and at midnight it lapses."""
        self.arrivals.look_again()
        heappush(self._alarms, (valuation.day_after(time), 3))

    def _end_quotes(self, midnight: int) -> None:
        """Quotes of the day before lapse: until a new one comes, orders wait for prints."""
        for book in self.books.values():
            if book.quote is not None and book.quote.time < midnight:
                book.lapse()
            elif book.quote is not None:
                heappush(self._alarms, (valuation.day_after(midnight), 3))
        self.arrivals.look_again()

    def expire(self, time: int, *, outside_rth: bool) -> None:
        """End the DAY orders of regular, or of extended, hours."""
        for order in tuple(self.at_work):
            ends_now = order.order.tif != TimeInForce.GTC and order.works_all_hours == outside_rth
            if ends_now and not self.arrivals.has_entry(order, time):
                self.settlement.cancel(order, time, "the DAY order expired at the close")

    def _suspend(self, close: int) -> None:
        """GTC orders of regular hours leave their book and return at the next open, in their old order."""
        for order in tuple(self.at_work):
            if not order.works_all_hours and (order.on_book or self.arrivals.withdraw(order, close)):
                self.books[order.con_id].remove(order)
                opening = self.sessions.next_open(close)
                self.enter(order, opening if opening is not None else close)

    def start_day(self) -> None:
        """Today's P&L starts anew."""
        for account in self.ledger.accounts.values():
            account.day_start = valuation.value(account, self.mark).equity

    # --- acceptance ------------------------------------------------------------------------------------------------

    def new(self, account: AccountId, order: Order, now: int) -> Working:
        """A numbered record of an order, tied to its OCA group."""
        if account not in self.ledger.accounts:
            raise InvalidOrderError(f"account {account!r} is not open here")
        if order.account != account:
            order = replace(order, account=account)
        working = Working(order, OrderId(self.next_order), now)
        self.next_order += 1
        self.orders[working.order_id] = working
        if order.oca_group:
            group = self.groups.setdefault((account, order.oca_group), OcaGroup())
            group.members.append(working)
            working.group = group
        return working

    def take(self, order: Working, now: int, refused: Rejection | None = None) -> None:
        """Accept an order and send it to its book, or reject it."""
        refused = refused or self.admission.of_order(order, now)
        if refused:
            self.reject(order, refused, now)
            return
        arrives = now + self.latency
        opening = self.first_open(order, arrives)
        self.at_work.add(order)
        book = self.books[order.con_id]
        lot = book.terms.round_lot
        if opening == now and not (order.children or order.quantity < lot) and book.lets_rest(order):
            order.status = OrderStatus.SUBMITTED  # what landing would come to: nothing else is due by now
            book.add(order)
            self.report(order, now)
            return
        if opening == arrives:
            self.report(order, now)
        else:
            order.code, order.reason = HELD, HELD_TEXT
            self.report(order, now)
            self.notice(now, HELD, HELD_TEXT, order.account, order.order_id)
        if order.quantity < lot:
            contract = order.order.contract
            text = odd_lot(f"{order.action} {order.quantity} {contract.local_symbol}", contract.symbol, lot)
            self.notice(now, ORDER_MESSAGE, text, order.account, order.order_id)
        self.enter(order, opening)

    def take_family(self, account: AccountId, parent: Order, children: Sequence[Order], now: int) -> None:
        """Accept an order with the exits that wait for its first fill, or reject them all."""
        head = self.new(account, parent, now)
        exits = tuple(self.new(account, replace(leg, parent_id=head.order_id), now) for leg in children)
        group = OcaGroup(list(exits), reduce=True)
        refused = next((r for number, leg in enumerate(exits) if (r := self._of_exit(head, leg, number))), None)
        for leg in exits:
            leg.parent, leg.group, leg.held = head, group, True
        head.children = exits
        self.take(head, now, refused)
        for leg in exits:
            if head.is_done:
                self.reject(leg, refused or Rejection(head.code or CANCELLED, head.reason), now)
            else:
                self.at_work.add(leg)
                self.report(leg, now)

    def take_exit(self, account: AccountId, parent_id: OrderId, order: Order, now: int) -> None:
        """Accept one more exit of an order that works or has filled; it waits for the first fill as its siblings do."""
        leg = self.new(account, replace(order, parent_id=parent_id), now)
        parent = self.own(account, parent_id)
        if parent is None or (parent.is_done and not parent.filled):
            self.reject(leg, orphan(parent_id), now)
            return
        refused = self._of_exit(parent, leg)
        if refused:
            self.reject(leg, refused, now)
            return
        group = parent.children[0].group if parent.children else None
        leg.parent, leg.group, leg.held = parent, group or OcaGroup(reduce=True), not parent.filled
        leg.group.members.append(leg)
        parent.children = (*parent.children, leg)
        self.at_work.add(leg)
        self.report(leg, now)
        if not leg.held:
            self.enter(leg, self.first_open(leg, now + self.latency))

    def _of_exit(self, parent: Working, leg: Working, siblings: int = 0) -> Rejection | None:
        """Why an exit is refused; it is one only if it closes what its parent opens."""
        closes = parent.con_id == leg.con_id and parent.sign != leg.sign
        return self.admission.of_exit(leg, siblings) if closes else no_exit(parent.order_id)

    def reject(self, order: Working, refused: Rejection, now: int) -> None:
        """End an order that the exchange refuses."""
        self.settlement.set_done(order, OrderStatus.INACTIVE, now, refused.code, refused.text)
        self.notice(now, refused.code, refused.text, order.account, order.order_id)

    # --- an order's life -------------------------------------------------------------------------------------------

    def first_open(self, order: Working, moment: int) -> int:
        """When an order that arrives at `moment` may work: then, or at the next open of its hours."""
        if order.works_all_hours or self.sessions.is_open(moment):
            return moment
        return self.sessions.next_open(moment) or moment

    def enter(self, order: Working, active_at: int) -> None:
        """Send an order to its book; it meets no print before `active_at`."""
        self.arrivals.send(order, active_at, _enters, entry=True)

    def send_cancel(self, order: Working, now: int) -> None:
        """Cancel after the latency; at once what has not reached the market yet."""
        if not self.latency or order.held or self.arrivals.enters_later(order):
            self.settlement.cancel(order, now, "")
            return
        order.status = OrderStatus.PENDING_CANCEL
        self.report(order, now)
        self.arrivals.send(order, now + self.latency, self._cancelled)

    def change(self, order: Working, changed: Order, time: int) -> bool:
        """Make an arrived change; True when the order is to meet the market anew."""
        if order.is_done or int(changed.quantity) <= order.filled:
            self.notice(time, CANCEL_TOO_LATE, "Cannot modify a filled order.", order.account, order.order_id)
            return False
        stood = order.on_book or self.arrivals.withdraw(order, time)
        self.books[order.con_id].remove(order)
        keeps_place = changed.quantity <= order.order.quantity and (
            (changed.limit_price, changed.stop_price) == (order.order.limit_price, order.order.stop_price)
        )
        if not keeps_place:
            order.seq = self.next_order
            self.next_order += 1
        order.order, order.quantity = changed, int(changed.quantity)
        order.take_prices()
        self.report(order, time)
        return stood

    def _cancelled(self, order: Working, time: int) -> bool:
        self.settlement.cancel(order, time, "")
        return False

    def _order_done(self, order: Working) -> None:
        self.at_work.remove(order)

    def _rests(self, order: Working, time: int) -> None:
        if order.status is OrderStatus.PRE_SUBMITTED and order.triggered:  # a stop is PreSubmitted until it is elected
            order.status = OrderStatus.SUBMITTED
            last = self.out[-1] if self.out else None
            if isinstance(last, OrderChanged) and last.trade.order_id == order.order_id:
                self.out.pop()  # it was taken in this very moment: both are told in one step
            self.report(order, time)

    def _lapses(self, order: Working, time: int) -> None:
        self.settlement.cancel(order, time, "what an immediate order could not trade at once is cancelled")

    def own(self, account: AccountId, order_id: OrderId) -> Working | None:
        """The account's order of that id; None when it has none."""
        order = self.orders.get(order_id)
        return order if order is not None and order.account == account else None

    @property
    def must_check_margins(self) -> bool:
        """Whether an account's excess may have changed: something traded, or somebody borrows."""
        return self.settlement.traded or self._margin_calls.watches

    def check_margins(self, now: int) -> bool:
        """Liquidate what an account can no longer carry; True when something new is on its way for that."""
        started = self.settlement.traded = False
        for account, holding in self._margin_calls.due():
            started |= self.liquidate(account, holding, now)
        return started

    def liquidate(self, account: Account, holding: Holding, now: int) -> bool:
        """Close a position at market, unless that is under way; everything else of the contract is cancelled."""
        if any(w.order.order_ref == LIQUIDATION for w in self.at_work if w.account == account.account_id):
            return False
        for order in tuple(self.at_work.of(account.account_id, holding.contract.con_id)):
            self.settlement.cancel(order, now, "the position is being liquidated")
        self.notice(now, 2100, f"Margin: {holding.contract.symbol} is liquidated", account.account_id)
        order = self.new(account.account_id, closing(holding.contract, holding.quantity), now)
        self.at_work.add(order)
        self.report(order, now)
        self.enter(order, now)
        return True

    # --- events ----------------------------------------------------------------------------------------------------

    def report(self, order: Working, time: int) -> None:
        """Tell an order's state."""
        order.time = time
        self.out.append(OrderChanged(order.snapshot()))

    def notice(self, time: int, code: int, text: str, account: AccountId, order_id: OrderId | None = None) -> None:
        """Tell a message of the venue."""
        self.out.append(Notice(time, code, text, account, order_id))


def _enters(order: Working, time: int) -> bool:
    """An order reaches the exchange: it is held no longer."""
    del time
    if order.is_done:
        return False
    order.code, order.reason = None, ""
    return True
