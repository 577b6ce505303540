"""What the exchange refuses: an order, a bracket's exit, a change. Reads the market's state, changes nothing."""

from dataclasses import dataclass

from src.domain.orders import Order
from src.domain.rejections import (
    REJECTED,
    Rejection,
    below_filled,
    exchange_closed,
    in_dollars_only,
    no_contract,
    too_many_active,
)
from src.exchange import acceptance
from src.exchange.at_work import AtWork
from src.exchange.book import Book
from src.exchange.ledger import Ledger
from src.exchange.sessions import Sessions
from src.exchange.valuation import Mark
from src.exchange.working import LIQUIDATION, Working


@dataclass(frozen=True, slots=True)
class Admission:
    """The exchange's checks, over its books, ledger and the orders at work."""

    books: dict[int, Book]
    ledger: Ledger
    sessions: Sessions
    at_work: AtWork
    mark: Mark

    def of_order(self, order: Working, now: int) -> Rejection | None:
        """Why a new order is refused at `now`; None when it is taken."""
        book = self.books.get(order.con_id)
        if book is None:
            return no_contract(order.order.contract.symbol)
        if order.order.order_ref == LIQUIDATION:
            return Rejection(REJECTED, f"Order rejected - reason:The reference {LIQUIDATION} is the exchange's own")
        if book.contract.currency != "USD":
            return in_dollars_only(book.contract.local_symbol)
        if order.is_immediate and not order.works_all_hours and not self.sessions.is_open(now):
            return exchange_closed()
        mark = book.mark()
        return self._of_crowd(order) or self._of_terms(order, book, mark) or self._of_margin(order, mark, now)

    def of_exit(self, leg: Working, siblings: int = 0) -> Rejection | None:
        """Why a bracket's exit is refused; it only closes, so margin and short sale do not matter.

        `siblings` are the exits that come with it and are not at work yet.
        """
        book = self.books.get(leg.con_id)
        if book is None:
            return no_contract(leg.order.contract.symbol)
        terms = acceptance.rejection(leg, book.terms, None, covered=True)
        return self._of_crowd(leg, siblings) or terms

    def of_change(self, order: Working, changed: Order, now: int) -> Rejection | None:
        """Why `order` may not become `changed`; None when it may."""
        if int(changed.quantity) <= order.filled:
            return below_filled(order.filled)
        trial = Working(changed, order.order_id, order.time)
        trial.filled, trial.group, trial.triggered = order.filled, order.group, order.triggered
        book = self.books[order.con_id]
        mark = book.mark()
        refused = self._of_terms(trial, book, mark)
        if refused or order.parent is not None:
            return refused
        return self._of_margin(trial, mark, now)

    def _of_crowd(self, order: Working, siblings: int = 0) -> Rejection | None:
        orders = self.at_work.of(order.account, order.con_id)
        if len(orders) + siblings < acceptance.MOST_ACTIVE:
            return None
        crowd = sum(other.sign == order.sign for other in orders)
        return too_many_active(acceptance.MOST_ACTIVE) if crowd + siblings >= acceptance.MOST_ACTIVE else None

    def _of_terms(self, order: Working, book: Book, mark: int | None) -> Rejection | None:
        covered = book.terms.shortable or order.is_buy or self._is_covered(order)
        return acceptance.rejection(order, book.terms, mark, covered=covered)

    def _is_covered(self, order: Working) -> bool:
        """Whether the account holds what this sale, and those that work already, could sell."""
        holding = self.ledger.accounts[order.account].holdings.get(order.con_id)
        at_work = self.at_work.of(order.account, order.con_id)
        others = [other for other in at_work if other.order_id != order.order_id]
        _, sells = acceptance.shares_at_work([*others, order])
        return holding is not None and sells <= holding.quantity

    def _of_margin(self, order: Working, mark: int | None, now: int) -> Rejection | None:
        account, working = self.ledger.accounts[order.account], self.at_work.by_contract(order.account)
        price = mark or order.limit or order.stop or 0
        commission = self.books[order.con_id].terms.fees.total(
            order.action, order.quantity, order.quantity * price, now
        )
        if order.is_buy and acceptance.pays_in_full(account, order, working, mark, self.mark, commission):
            return None
        at_work: dict[int, list[Working]] = {}
        for con_id, others in working.items():
            count = [other for other in others.values() if not other.held and other.order_id != order.order_id]
            if count:
                at_work[con_id] = count
        if acceptance.only_reduces(account, order, at_work.get(order.con_id, ())):
            return None
        return acceptance.margin_rejection(account, order, at_work, self.mark, commission)
