"""What trades cost: the published schedule's examples, the minimum per order, the fees of a date."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from src.domain.events import CommissionCharged
from src.domain.orders import Action
from src.exchange.commission import FixedCommission, FixedWithRegulatoryFees, NoFees, fee_schedule
from src.exchange.units import UNITS_PER_DOLLAR
from tests.exchange.examples import at, bar, buy, give, quote, sell, send
from tests.exchange.markets import ACCOUNT, new_exchange

BUY, SELL = Action.BUY, Action.SELL


def moment(day: str) -> int:
    """Noon in New York of a day, near enough."""
    return int(datetime.fromisoformat(day).replace(hour=17, tzinfo=UTC).timestamp()) * 1_000_000_000


def value(shares: int, price: str) -> int:
    return int(shares * Decimal(price) * UNITS_PER_DOLLAR)


@pytest.mark.parametrize(
    ("shares", "price", "charge"),
    [
        (100, "25", "1.00"),  # IBKR's own three examples
        (1_000, "25", "5.00"),
        (1_000, "0.25", "2.50"),
        (200, "25", "1.00"),
        (201, "25", "1.005"),
        (1, "25", "0.25"),  # the cap wins over the minimum
        (10, "9.9975", "0.99975"),
        (10, "10.0025", "1.00"),
    ],
)
def test_fixed_commission_of_the_published_examples(shares: int, price: str, charge: str) -> None:
    """Half a cent a share, at least a dollar, at most one percent; on both sides, not rounded."""
    for side in Action:
        assert FixedCommission().total(side, shares, value(shares, price), moment("2025-06-02")) == Decimal(charge)


def test_another_cap_is_honoured() -> None:
    """A schedule's rates are parameters."""
    assert FixedCommission(cap=Decimal("0.005")).total(BUY, 100, value(100, "1.50"), 0) == Decimal("0.75")


@pytest.mark.parametrize(
    ("day", "sec", "taf"),
    [
        ("2019-02-11", "0.0000130", "0.000119"),
        ("2019-04-15", "0.0000130", "0.000119"),
        ("2019-04-16", "0.0000207", "0.000119"),
        ("2021-02-24", "0.0000221", "0.000119"),
        ("2021-02-25", "0.0000051", "0.000119"),
        ("2025-05-13", "0.0000278", "0.000166"),
        ("2025-05-14", "0", "0.000166"),
        ("2026-01-02", "0", "0.000195"),
        ("2026-04-03", "0", "0.000195"),
        ("2026-04-06", "0.0000206", "0.000195"),
        ("2026-10-01", "0.0000206", "0"),
        ("2027-01-04", "0.0000206", "0.000232"),
    ],
)
def test_regulatory_fees_fall_on_sales_by_their_date(day: str, sec: str, taf: str) -> None:
    """SEC section 31 on the value and FINRA's TAF on the shares, unrounded; a purchase pays neither."""
    fees, sold = FixedWithRegulatoryFees(), value(1_000, "123.45")
    assert fees.total(BUY, 1_000, sold, moment(day)) == 5
    expected = 5 + Decimal(sec) * Decimal(123450) + Decimal(taf) * 1_000
    assert fees.total(SELL, 1_000, sold, moment(day)) == expected


@pytest.mark.parametrize(("day", "cap"), [("2021-06-01", "5.95"), ("2025-06-02", "8.30"), ("2026-06-01", "9.79")])
def test_the_trading_activity_fee_is_capped(day: str, cap: str) -> None:
    """A hundred thousand shares reach it."""
    with_fees = FixedWithRegulatoryFees().total(SELL, 100_000, 0, moment(day))
    assert with_fees - FixedCommission().total(SELL, 100_000, 0, moment(day)) == Decimal(cap)


def test_the_date_is_new_yorks() -> None:
    """An hour before midnight there is the old rate's day, although it is the new one in UTC."""
    evening = int(datetime(2025, 5, 14, 3, tzinfo=UTC).timestamp()) * 1_000_000_000
    fees = FixedWithRegulatoryFees()
    assert fees.total(SELL, 100, value(100, "100"), evening) > fees.total(
        SELL, 100, value(100, "100"), moment("2025-05-14")
    )


def test_schedules_have_names() -> None:
    """`fixed`, `commission`, `none`; nothing else."""
    assert [type(fee_schedule(name)) for name in ("fixed", "commission", "none")] == [
        FixedWithRegulatoryFees,
        FixedCommission,
        NoFees,
    ]
    assert NoFees().total(SELL, 10**6, 10**12, 0) == 0
    with pytest.raises(KeyError):
        fee_schedule("free")


def charges(*sizes: int, fees: str = "commission") -> list[Decimal]:
    """What each partial fill of one purchase at 100 costs."""
    exchange = new_exchange(fees=fees, cash=10_000_000)
    send(exchange, buy(sum(sizes)), 0)
    events = [event for index, size in enumerate(sizes) for event in exchange.quote(quote(index, 99, 100, size))]
    return [event.report.commission for event in events if isinstance(event, CommissionCharged)]


def test_the_minimum_is_per_order_over_partial_fills() -> None:
    """A dollar with the first share; no more until two hundred are reached."""
    assert charges(100, 50, 50, 100) == [Decimal(1), 0, 0, Decimal("0.5")]
    assert sum(charges(1, 1, 1)) == Decimal(1)


def test_many_small_fills_cost_what_one_large_one_costs() -> None:
    """The schedule is taken on the order's total."""
    assert sum(charges(*[10] * 60)) == sum(charges(600)) == Decimal(3)


def test_an_order_that_trades_on_two_days_pays_each_days_fees() -> None:
    """Sold half before and half after the SEC fee fell to zero: no fill is paid back for."""
    exchange = new_exchange(fees="fixed", cash=10_000_000)
    before, after = moment("2025-05-13"), moment("2025-05-14")
    exchange.quote(quote(0, 100, 101, 100)._replace(time=before))
    exchange.submit(ACCOUNT, sell(200), before)
    events = exchange.quote(quote(0, 100, 101, 100)._replace(time=after))
    first, second = exchange.fills(ACCOUNT)
    assert first.commission_report is not None
    assert second.commission_report is not None
    assert first.commission_report.commission == 1 + Decimal("0.0000278") * 10_000 + Decimal("0.000166") * 100
    assert second.commission_report.commission == Decimal("0.000166") * 100
    assert exchange.trades(ACCOUNT)[0].commission == sum(
        fill.commission_report.commission for fill in (first, second) if fill.commission_report
    )
    assert len(events) == 4


def test_cash_pays_the_commission() -> None:
    """A thousand shares at 25 cost $25,005."""
    exchange = new_exchange(fees="fixed")
    send(exchange, buy(1_000), 0)
    give(exchange, bar(0, 25))
    assert exchange.account_summary(ACCOUNT, at(1)).total_cash_value == 100_000 - 25_005
