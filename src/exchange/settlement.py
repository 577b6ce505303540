"""What a trade does: the order's state, the ledger, the events in TWS's order, and the orders tied to it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from src.domain.errors import UnknownOrderError
from src.domain.events import CommissionCharged, Event, Filled, OrderChanged, PositionChanged
from src.domain.orders import AccountId, Action, CommissionReport, Execution, Fill, OrderStatus
from src.domain.rejections import CANCELLED
from src.exchange.book import Book
from src.exchange.ledger import Ledger
from src.exchange.units import dollars, exact_units
from src.exchange.valuation import day_of, position
from src.exchange.working import LIQUIDATION, Working

_FILLED: Final = OrderStatus.FILLED  # bound once, see `working`


class Settlement:
    """Settles trades and ends orders; appends the events to `out`."""

    def __init__(
        self,
        ledger: Ledger,
        books: Mapping[int, Book],
        out: list[Event],
        order_done: Callable[[Working], None],
    ) -> None:
        self._ledger, self._books, self._out = ledger, books, out
        self._order_done = order_done
        self.next_execution = 1
        self.traded = False  # since the margins were last looked at
        self.fills: dict[AccountId, list[Fill]] = {}

    def settle(self, order: Working, shares: int, price: int, time: int) -> Sequence[Working]:
        """Book `shares` at `price` units; returns the orders that this sets free to meet the market."""
        account = self._ledger.accounts[order.account]
        # By the rates of this moment, before and after: an order that trades over days pays each day's own fees.
        fees = self._books[order.con_id].terms.fees
        charged = fees.total(order.action, order.filled, order.value, time) if order.filled else 0
        order.traded(shares, shares * price)
        commission = fees.total(order.action, order.filled, order.value, time) - charged
        order.commission += commission
        order.time = time
        self.traded = True
        done = order.filled == order.quantity
        if done:
            order.status = _FILLED
        elif order.status is not OrderStatus.PENDING_CANCEL:
            order.status = OrderStatus.SUBMITTED
        contract = order.order.contract
        holding, realized = self._ledger.apply(account, contract, order.sign * shares, price, commission, day_of(time))
        execution = self._execution(order, shares, price, time)
        report = CommissionReport(execution.exec_id, commission, realized)
        fill = Fill(execution, report)
        self.fills.setdefault(order.account, []).append(fill)
        self._out += (
            Filled(fill),
            OrderChanged(order.snapshot()),
            CommissionCharged(order.account, order.order_id, report),
            PositionChanged(position(account, holding, price)),
        )
        if done:
            self._order_done(order)
        if order.group is not None:
            self._settle_group(order, shares, time)
        if order.children:
            return self._release(order)
        return ()

    def _execution(self, order: Working, shares: int, price: int, time: int) -> Execution:
        number = self.next_execution
        self.next_execution += 1
        return Execution(
            "%08x.%08x.01.01" % (order.order_id, number),  # noqa: UP031  # a fifth of what an f-string takes
            order.order_id,
            order.order.contract,
            order.account,
            order.action,
            Decimal(shares),
            dollars(price),
            time,
            Decimal(order.filled),
            order.average_price,
            order.order.order_ref,
            order.order.order_ref == LIQUIDATION,
        )

    def correct(self, exec_id: str, shares: int | None, price: Decimal | None) -> None:
        """Replace an execution (None: as it was); no shares annul it. Raises UnknownOrderError.

        Its id bears the next number behind the last dot. The ledger undoes the old trade and books the new one, so that
        cash and shares are right; the order itself stays as it is.
        """
        for account_id, fills in self.fills.items():
            for index, fill in enumerate(fills):
                if fill.execution.exec_id == exec_id:
                    fills[index] = self._corrected(account_id, fill, shares, price)
                    return
        raise UnknownOrderError(f"no execution {exec_id} here")

    def _corrected(self, account_id: AccountId, fill: Fill, shares: int | None, price: Decimal | None) -> Fill:
        old, account = fill.execution, self._ledger.accounts[account_id]
        paid = fill.commission_report.commission if fill.commission_report is not None else Decimal(0)
        shares = int(old.shares) if shares is None else shares
        price = old.price if price is None else price
        sign, day, day_trades = 1 if old.side is Action.BUY else -1, day_of(old.time), list(account.day_trades)
        self._ledger.apply(account, old.contract, -sign * int(old.shares), exact_units(old.price), -paid, day)
        charged = paid if shares else Decimal(0)
        at = exact_units(price)
        holding, realized = self._ledger.apply(account, old.contract, sign * shares, at, charged, day)
        account.day_trades[:] = day_trades
        family, _, number = old.exec_id.rpartition(".")
        total = old.cumulative - old.shares + shares
        value = old.average_price * old.cumulative - old.price * old.shares + price * shares
        execution = replace(
            old,
            exec_id=f"{family}.{int(number) + 1:02}",
            shares=Decimal(shares),
            price=price,
            cumulative=total,
            average_price=value / total if total else Decimal(0),
        )
        report = CommissionReport(execution.exec_id, charged, realized)
        self._out += (
            Filled(Fill(execution, report)),
            CommissionCharged(account_id, old.order_id, report),
            PositionChanged(position(account, holding, at)),
        )
        self.traded = True
        return Fill(execution, report)

    def _settle_group(self, order: Working, shares: int, time: int) -> None:
        group = order.group
        if group is None:
            return
        group.filled += shares
        for other in group.members:
            if other is order or other.is_done:
                continue
            left = other.remaining - shares
            if group.reduce and left > 0:
                other.quantity -= shares
                other.order = replace(other.order, quantity=Decimal(other.quantity))
                self._report(other, time)
            else:
                self.cancel(other, time, f"order {order.order_id} of its group has filled")

    def _release(self, parent: Working) -> Sequence[Working]:
        free = tuple(child for child in parent.children if child.held and not child.is_done)
        for child in free:
            child.held = False
        return free

    def cancel(self, order: Working, time: int, reason: str) -> None:
        """End an order; a bracket's exits end with a parent that has not traded, else shrink to what it has."""
        if order.is_done:
            return
        text = f"Order Canceled - reason:{reason}"
        self.set_done(order, OrderStatus.CANCELLED, time, CANCELLED, text)
        for child in order.children:
            if child.is_done:
                continue
            closed = child.group.filled if child.group is not None else 0
            keep = order.filled - closed + child.filled
            if order.filled == 0 or keep <= child.filled:
                self.cancel(child, time, f"its parent {order.order_id} was cancelled")
            elif keep < child.quantity:
                child.quantity = keep
                child.order = replace(child.order, quantity=Decimal(keep))
                self._report(child, time)

    def set_done(self, order: Working, status: OrderStatus, time: int, code: int, reason: str) -> None:
        """End an order with a status, code and reason; it leaves its book."""
        book = self._books.get(order.con_id)
        if book is not None:
            book.remove(order)
        order.status, order.code, order.reason = status, code, reason
        self._order_done(order)
        self._report(order, time)

    def _report(self, order: Working, time: int) -> None:
        order.time = time
        self._out.append(OrderChanged(order.snapshot()))
