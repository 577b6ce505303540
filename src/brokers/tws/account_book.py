"""Positions, account values, profit and loss, as TWS has said them. Pure: no socket, no clock, no thread.

A position is moved by its executions at once, and confirmed by TWS's own position messages, which come later: an
execution that is not confirmed yet is kept apart, and dropped by the message that contains it. What TWS says counts
whenever the two cannot be brought together.

One thread writes; `positions` and `values` change in `finish()` alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from src.brokers.tws.convert import PortfolioRow
from src.domain.account import AccountPnL, Position
from src.domain.events import Event, PositionChanged
from src.domain.market import Contract
from src.domain.orders import AccountId, CommissionReport, Execution

_ZERO: Final = Decimal(0)
#: Amounts of the account are in its base currency; TWS repeats some under this name.
_BASE: Final = "BASE"


@dataclass(slots=True)
class _Holding:
    """One contract's position as it is put together."""

    contract: Contract
    confirmed: Decimal = _ZERO  # by a position message
    pending: list[Decimal] = field(default_factory=list)  # executions since, oldest first
    average_cost: Decimal = _ZERO
    market_price: Decimal = _ZERO
    unrealized_pnl: Decimal | None = None  # TWS's own, until something moves the position
    realized_pnl: Decimal = _ZERO
    announced: Decimal = _ZERO

    @property
    def quantity(self) -> Decimal:
        """Shares held now."""
        return self.confirmed + sum(self.pending, _ZERO)


class AccountBook:
    """One account's money and holdings. `now` is the time values are stamped with, epoch ns; `events` takes events."""

    def __init__(self, now: Callable[[], int], events: list[Event]) -> None:
        self._now, self.events = now, events
        self.account = AccountId("")
        self._holdings: dict[int, _Holding] = {}
        self._listed: set[int] | None = None  # contracts of a listing that is under way
        self._changed = False
        self._values: dict[str, str] = {}
        self._summary: dict[str, str] = {}
        self._value_time: int | None = None
        self._are_told = False
        self._known_before = False
        #: None until TWS has listed them all.
        self.positions: tuple[Position, ...] | None = None
        self.values: dict[str, str] = {}
        self.currency = "USD"
        self.as_of: int | None = None
        #: Whether the values are of after the last execution.
        self.values_are_current = True
        self.pnl: AccountPnL | None = None

    # --- positions --------------------------------------------------------------------------------------------------

    @property
    def has_unconfirmed(self) -> bool:
        """Whether executions have moved a position that TWS has not confirmed yet."""
        return any(holding.pending for holding in self._holdings.values())

    def begin_listing(self) -> None:
        """All positions were asked for."""
        self._listed = set()

    def end_listing(self) -> None:
        """All positions were listed: what was not among them is flat."""
        listed = self._listed if self._listed is not None else set()
        self._listed = None
        for con_id, holding in self._holdings.items():
            if con_id not in listed:
                self._confirm(holding, _ZERO)
            holding.pending.clear()
        self._changed = True
        if self.positions is None:
            self.positions = ()
            for holding in self._holdings.values():
                if self._known_before:  # while we were away
                    self._announce(holding)
                holding.announced = holding.quantity
            self._known_before = True

    def position(self, account: AccountId, contract: Contract, quantity: Decimal, average_cost: Decimal) -> None:
        """A position message."""
        if account != self.account:
            return
        holding = self._holding(contract)
        self._confirm(holding, quantity)
        if quantity == holding.quantity and quantity:
            holding.average_cost = average_cost
        if self._listed is not None:
            self._listed.add(contract.con_id)
        self._changed = True
        self._announce(holding)

    def portfolio(self, row: PortfolioRow) -> None:
        """A position's worth. Its quantity is a position message's business, unless there was none yet."""
        if row.account != self.account:
            return
        holding = self._holding(row.contract)
        if row.quantity == holding.quantity:
            holding.unrealized_pnl = row.unrealized_pnl
            holding.average_cost = row.average_cost if row.quantity else holding.average_cost
        holding.market_price = row.market_price
        holding.realized_pnl = row.realized_pnl
        self._changed = True

    def executed(self, execution: Execution, signed: Decimal) -> None:
        """An execution has moved a position by so much."""
        self.values_are_current = self._are_told = False  # those told before it in this packet as well
        holding = self._holding(execution.contract)
        before = holding.quantity
        holding.pending.append(signed)
        after = holding.quantity
        if before * signed >= 0 and after:
            holding.average_cost = (holding.average_cost * before + execution.price * signed) / after
        elif before * after < 0:
            holding.average_cost = execution.price
        holding.market_price = execution.price
        holding.unrealized_pnl = None
        self._changed = True

    def charged(self, execution: Execution, report: CommissionReport) -> None:
        """What an execution cost; with it the position's change is whole."""
        holding = self._holding(execution.contract)
        quantity = holding.quantity
        if holding.pending and quantity * execution.side.sign > 0:
            holding.average_cost += report.commission / quantity
        if report.realized_pnl is not None and holding.pending:
            holding.realized_pnl += report.realized_pnl
        self._changed = True
        self._announce(holding)

    def _holding(self, contract: Contract) -> _Holding:
        holding = self._holdings.get(contract.con_id)
        if holding is None:
            holding = self._holdings[contract.con_id] = _Holding(contract)
        return holding

    @staticmethod
    def _confirm(holding: _Holding, quantity: Decimal) -> None:
        """Drop the executions that a position message contains: the fewest, since it may be an older one."""
        total = holding.confirmed
        for index, signed in enumerate([_ZERO, *holding.pending]):
            total += signed
            if total == quantity:
                holding.confirmed = quantity
                del holding.pending[:index]
                return
        holding.confirmed = quantity
        holding.pending.clear()

    def _announce(self, holding: _Holding) -> None:
        """Tell that a position has changed, once for each quantity."""
        if self.positions is not None and holding.quantity != holding.announced:
            holding.announced = holding.quantity
            self.events.append(PositionChanged(self._shown(holding)))

    def _shown(self, holding: _Holding) -> Position:
        quantity, price = holding.quantity, holding.market_price
        unrealized = holding.unrealized_pnl
        if unrealized is None:
            unrealized = (price - holding.average_cost) * quantity if price else _ZERO
        return Position(
            holding.contract,
            self.account,
            quantity,
            holding.average_cost if quantity else _ZERO,
            price,
            price * quantity,
            unrealized if quantity else _ZERO,
            holding.realized_pnl,
        )

    # --- money ------------------------------------------------------------------------------------------------------

    def value(self, account: AccountId, tag: str, text: str, currency: str) -> None:
        """An accountValue message."""
        if account != self.account or currency == _BASE:
            return
        if tag == "NetLiquidation" and currency:
            self.currency = currency
        if currency in ("", self.currency):
            self._values[tag] = text
            self._value_time = self._now()

    def summary(self, account: AccountId, tag: str, text: str, currency: str) -> None:
        """An accountSummary message: it has tags that the account values have not."""
        if account == self.account and currency in ("", self.currency):
            self._summary[tag] = text
            self._value_time = self._value_time or self._now()

    def values_told(self) -> None:
        """An accountUpdateTime message: the values before it belong together."""
        self._value_time, self._are_told = self._now(), True

    def profit(self, daily: Decimal | None, unrealized: Decimal | None, realized: Decimal | None) -> None:
        """A pnl message; a figure that TWS does not have yet is zero."""
        self.pnl = AccountPnL(daily or _ZERO, unrealized or _ZERO, realized or _ZERO)

    def finish(self) -> None:
        """Show what has changed to the readers."""
        if self._changed and self.positions is not None:
            self.positions = tuple(
                self._shown(holding)
                for holding in self._holdings.values()
                if holding.quantity or holding.realized_pnl or holding.pending
            )
            self._changed = False
        if self._value_time is not None:
            self.values = {**self._summary, **self._values}
            self.as_of, self._value_time = self._value_time, None
        if self._are_told:
            self.values_are_current, self._are_told = True, False

    def invalidate(self) -> None:
        """The connection is gone: nothing is known until it is all listed anew."""
        self.positions = self.as_of = self.pnl = None
        self._listed = None
