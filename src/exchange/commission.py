"""What a trade costs at IBKR: the fixed schedule, and the regulatory fees of its date. Dollars as `Decimal`, unrounded.

Fixed (IBKR's stock commissions page, copy of 2025): $0.005 a share, at least $1.00 and at most 1 % of the trade's
value an order; the cap wins over the minimum. Regulatory fees fall on sales: SEC section 31 on the value, FINRA's
trading activity fee (TAF) on the shares, capped. Rows marked "unchecked" are from general knowledge; the others have
a source in the comment beside them. The consolidated audit trail's fee is not charged: IBKR's fixed-price records
show none.

Currency pairs (IBKR's spot currencies page, copy of 2024): 0.2 basis point of the trade's value, at least $2.00 an
order, up to a billion dollars a month; all fees included.

Departures: the TAF's cap is taken per order, not per execution; a date before the first row takes the first row.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Protocol

from src.domain.orders import Action
from src.exchange.units import UNITS_PER_DOLLAR

_NS: Final = 1_000_000_000
#: New York is at least four hours behind UTC: a trade's date there is safe to take this far back.
_NEW_YORK_OFFSET: Final = 5 * 3600 * _NS


class FeeSchedule(Protocol):
    """A commission schedule: the charge on an order's running total, so that a minimum is per order."""

    def total(self, side: Action, shares: int, value: int, time: int) -> Decimal:
        """Dollars for `shares` traded so far for `value` (shares times price units) at `time` (epoch ns)."""
        ...


@dataclass(frozen=True, slots=True)
class NoFees:
    """Trades cost nothing: for tests of a strategy's logic only."""

    def total(self, side: Action, shares: int, value: int, time: int) -> Decimal:
        """Zero dollars."""
        del side, shares, value, time
        return Decimal(0)


@dataclass(frozen=True, slots=True)
class FixedCommission:
    """IBKR's fixed pricing without regulatory fees."""

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal(1)
    cap: Decimal = Decimal("0.01")

    def total(self, side: Action, shares: int, value: int, time: int) -> Decimal:
        """Dollars: per share, at least the minimum, at most the cap."""
        del side, time
        charge = max(self.per_share * shares, self.minimum)
        most = self.cap * value  # in units: hardly ever reached, so hardly ever divided
        return charge if charge * UNITS_PER_DOLLAR <= most else most / UNITS_PER_DOLLAR


@dataclass(frozen=True, slots=True)
class _Rate:
    since: int
    rate: Decimal
    cap: Decimal | None = None


def _row(day: str, rate: str, cap: str | None = None) -> _Rate:
    moment = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    return _Rate(int(moment.timestamp()) * _NS, Decimal(rate), Decimal(cap) if cap else None)


#: SEC section 31, dollars per dollar sold.
SEC_FEE: Final = (
    _row("2018-05-22", "0.0000130"),  # in force until 2019-04-15: SEC advisory of 2019-03-12; its start unchecked
    _row("2019-04-16", "0.0000207"),  # the same advisory
    _row("2020-02-18", "0.0000221"),  # FINRA notice of 2021-02-16; its start unchecked
    _row("2021-02-25", "0.0000051"),  # the same notice
    _row("2022-05-14", "0.0000229"),  # unchecked
    _row("2023-02-27", "0.0000080"),  # unchecked
    _row("2024-05-22", "0.0000278"),  # in force until 2025-05-13; its start unchecked
    _row("2025-05-14", "0"),  # securitytraders.org
    _row("2026-04-04", "0.0000206"),  # SEC fee rate advisory 2026-2, as quoted publicly
)

#: FINRA trading activity fee, dollars per share sold, with its cap per trade.
TAF: Final = (
    _row("2012-07-01", "0.000119", "5.95"),  # in force in 2021; its start unchecked
    _row("2022-01-01", "0.000130", "6.49"),  # unchecked
    _row("2023-01-01", "0.000145", "7.27"),  # unchecked
    _row("2024-01-01", "0.000166", "8.30"),  # in force until 2025-12-31; its start unchecked
    _row("2026-01-01", "0.000195", "9.79"),  # SR-FINRA-2024-019
    _row("2026-10-01", "0", "0"),  # SR-FINRA-2026-021, the "TAF holiday"
    _row("2027-01-01", "0.000232", "11.61"),  # SR-FINRA-2024-019
)
_SEC_SINCE: Final = tuple(row.since for row in SEC_FEE)
_TAF_SINCE: Final = tuple(row.since for row in TAF)


def _at(rows: tuple[_Rate, ...], since: tuple[int, ...], time: int) -> _Rate:
    return rows[max(bisect_right(since, time - _NEW_YORK_OFFSET) - 1, 0)]


@dataclass(frozen=True, slots=True)
class FixedWithRegulatoryFees:
    """IBKR's fixed pricing and the regulatory fees of the trade's date."""

    commission: FixedCommission = FixedCommission()

    def total(self, side: Action, shares: int, value: int, time: int) -> Decimal:
        """Dollars: the commission, and on a sale the SEC's and FINRA's fees."""
        charge = self.commission.total(side, shares, value, time)
        if side is Action.BUY:
            return charge
        taf = _at(TAF, _TAF_SINCE, time)
        activity = taf.rate * shares
        if taf.cap is not None:
            activity = min(activity, taf.cap)
        return charge + _at(SEC_FEE, _SEC_SINCE, time).rate * value / UNITS_PER_DOLLAR + activity


@dataclass(frozen=True, slots=True)
class CurrencyCommission:
    """IBKR's commission on currency pairs, which falls on both sides and has no regulatory fees beside it."""

    rate: Decimal = Decimal("0.00002")
    minimum: Decimal = Decimal(2)

    def total(self, side: Action, shares: int, value: int, time: int) -> Decimal:
        """Dollars: on the value, at least the minimum."""
        del side, shares, time
        return max(self.rate * value / UNITS_PER_DOLLAR, self.minimum)


def fee_schedule(name: str, sec_type: str = "STK") -> FeeSchedule:
    """The schedule called `fixed`, `commission` (fixed, no regulatory fees) or `none`; KeyError otherwise."""
    if sec_type == "CASH" and name != "none":
        return CurrencyCommission()
    schedules: dict[str, FeeSchedule] = {
        "fixed": FixedWithRegulatoryFees(),
        "commission": FixedCommission(),
        "none": NoFees(),
    }
    return schedules[name]
