"""What a session's executions come to: each with its cost and slippage, and the round trips from flat to flat. Pure.

Money is `Decimal` dollars, quantities are shares, times are epoch ns. A correction replaces what it corrects.
Realized P&L is at average cost, net of the commission of both ends, as IB states it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final

from src.domain.journal_facts import Charged, Executed
from src.domain.orders import Action
from src.domain.outcomes import execution_family

_ZERO: Final = Decimal(0)
#: The symbol's last price before a moment, None where there was none.
PriceBefore = Callable[[str, int], float | None]


@dataclass(frozen=True, slots=True)
class FillRow:
    """One execution. `decided_at` is the last price before its order was meant; `slippage` is what worse was paid."""

    time: int
    order_ref: str
    symbol: str
    action: Action
    shares: Decimal
    price: Decimal
    commission: Decimal | None
    decided_at: float | None
    slippage: float | None
    slippage_bps: float | None
    realized_pnl: Decimal


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """From flat to flat in one symbol; `shares` is the most that was held, negative when short; P&L is net."""

    symbol: str
    opened: int
    closed: int
    shares: Decimal
    entry_price: Decimal
    exit_price: Decimal
    commissions: Decimal
    pnl: Decimal


def latest(executions: Iterable[Executed]) -> tuple[Executed, ...]:
    """Each execution once, in the order of time: of a family the last revision, without those that were busted."""
    found: dict[str, tuple[int, Executed]] = {}
    for each in executions:
        stem, revision = execution_family(each.exec_id)
        known = found.get(stem)
        if known is None or known[0] < revision:
            found[stem] = revision, each
    return tuple(sorted((one for _, one in found.values() if one.shares), key=lambda one: one.time))


class _Open:
    """The shares held of one symbol while they are not flat."""

    def __init__(self, opened: int) -> None:
        self.opened = opened
        self.shares = self.most = self.cost = self.pnl = self.commissions = _ZERO
        self.bought = self.sold = self.paid = self.received = _ZERO

    def add(self, one: Executed, signed: Decimal, commission: Decimal) -> Decimal:
        """Take `signed` shares in, none of which turn the position; return what they realized."""
        value, before = signed * one.price, self.shares
        if signed > 0:
            self.bought, self.paid = self.bought + signed, self.paid + value
        else:
            self.sold, self.received = self.sold - signed, self.received - value
        self.shares += signed
        self.commissions += commission
        if before * signed >= 0:
            self.cost += value + commission
            self.most = max(self.most, self.shares, key=abs)
            return _ZERO
        released = self.cost if not self.shares else self.cost * signed / -before
        realized = -value - released - commission
        self.cost -= released
        self.pnl += realized
        return realized

    def closed(self, symbol: str, time: int) -> RoundTrip:
        """The round trip, now that it is flat."""
        mean = (self.paid / self.bought, self.received / self.sold)
        entry, leaving = mean if self.most > 0 else mean[::-1]
        return RoundTrip(symbol, self.opened, time, self.most, entry, leaving, self.commissions, self.pnl)


def booked(
    executions: Iterable[Executed],
    charges: Mapping[str, Charged],
    decided: Mapping[str, int],
    price_before: PriceBefore,
) -> tuple[tuple[FillRow, ...], tuple[RoundTrip, ...]]:
    """The executions with their costs, and the round trips that ended.

    `charges` are by execution id; `decided` says when each order, by its reference, was meant.
    """
    rows: list[FillRow] = []
    trips: list[RoundTrip] = []
    held: dict[str, _Open] = {}
    with localcontext(prec=34):
        for one in latest(executions):
            charge = charges.get(one.exec_id)
            rows.append(_row(one, charge, _take(one, charge, held, trips), price_before, decided.get(one.order_ref)))
    return tuple(rows), tuple(trips)


def _take(one: Executed, charge: Charged | None, held: dict[str, _Open], trips: list[RoundTrip]) -> Decimal:
    """Book one execution; one that turns the position ends a trip and begins another, with a part of the cost each."""
    left, realized = one.shares * one.action.sign, _ZERO
    commission = charge.commission if charge is not None else _ZERO
    while left:
        current = held.setdefault(one.symbol, _Open(one.time))
        part = left
        if current.shares * left < 0 and abs(left) > abs(current.shares):
            part = -current.shares
        realized += current.add(one, part, commission * abs(part) / one.shares)
        left -= part
        if not current.shares:
            trips.append(held.pop(one.symbol).closed(one.symbol, one.time))
    return realized


def _row(
    one: Executed, charge: Charged | None, realized: Decimal, price_before: PriceBefore, meant: int | None
) -> FillRow:
    decided_at = price_before(one.symbol, meant) if meant is not None else None
    worse = None if decided_at is None else (float(one.price) - decided_at) * one.action.sign
    return FillRow(
        time=one.time,
        order_ref=one.order_ref,
        symbol=one.symbol,
        action=one.action,
        shares=one.shares,
        price=one.price,
        commission=None if charge is None else charge.commission,
        decided_at=decided_at,
        slippage=None if worse is None else worse * float(one.shares),
        slippage_bps=None if worse is None or not decided_at else worse / decided_at * 10_000,
        realized_pnl=realized,
    )
