"""Each statistic is what its definition says, by hand on small curves; what cannot be computed is None."""

import math
from dataclasses import fields
from decimal import Decimal

import pytest

from src.domain.orders import Action
from src.records.round_trips import FillRow, RoundTrip
from src.records.statistics import DEFINITIONS, Statistics, drawdown, statistics_of

D = Decimal
MINUTE = 60_000_000_000


def fill(minute: int, action: Action, shares: int, price: float, slippage: float | None = None) -> FillRow:
    """A fill that cost a dollar."""
    return FillRow(
        minute * MINUTE, "s-1", "MSFT", action, D(shares), D(str(price)), D(1), None, slippage, None, D(0)
    )  # fmt: skip


def trip(pnl: str) -> RoundTrip:
    """A round trip with this result."""
    return RoundTrip("MSFT", 0, 1, D(1), D(1), D(1), D(0), D(pnl))


def test_a_curve_by_hand() -> None:
    """100, 110, 99, 99 within one day: returns of +10 %, -10 % and 0; four bars a day, 252 days a year."""
    times = [minute * MINUTE for minute in range(4)]
    found = statistics_of(times, [100.0, 110.0, 99.0, 99.0], (), ())
    scale = math.sqrt(4 * 252)
    spread = math.sqrt((0.1**2 + 0.1**2) / 3)
    assert found.total_return == pytest.approx(-0.01)
    assert found.volatility == pytest.approx(spread * scale)
    assert found.sharpe == pytest.approx(0.0, abs=1e-9)
    assert found.sortino == pytest.approx(0.0, abs=1e-9)
    assert found.max_drawdown == pytest.approx(0.1)


def test_the_ratios_have_the_sign_of_the_mean_return() -> None:
    """Sortino leaves the gains out of the risk."""
    times = [minute * MINUTE for minute in range(4)]
    found = statistics_of(times, [100.0, 110.0, 108.9, 119.79], (), ())
    mean, below = (0.1 - 0.01 + 0.1) / 3, math.sqrt(0.01**2 / 3)
    assert found.sortino == pytest.approx(mean / below * math.sqrt(4 * 252))
    assert found.sharpe is not None
    assert found.sharpe > 0


def test_trades_costs_and_exposure() -> None:
    """Two of three won; held at two of four closes; 3,000 dollars traded for two dollars and one of slippage."""
    times = [minute * MINUTE for minute in range(1, 5)]
    fills = (fill(1, Action.BUY, 10, 100.0, 1.0), fill(3, Action.SELL, 10, 200.0))
    found = statistics_of(times, [1000.0] * 4, fills, (trip("30"), trip("10"), trip("-20")))
    assert (found.trades, found.profit_factor) == (3, 2.0)
    assert found.win_rate == pytest.approx(2 / 3)
    assert found.average_trade == pytest.approx(20 / 3)
    assert (found.exposure, found.turnover) == (0.5, 3.0)
    assert (found.commissions, found.slippage) == (2.0, 1.0)
    assert found.cost_share == pytest.approx(10.0)


def test_nothing_is_computed_from_nothing() -> None:
    """No curve, no trades: no ratios, and no division by zero."""
    empty = statistics_of((), (), (), ())
    assert (empty.total_return, empty.sharpe, empty.win_rate, empty.exposure, empty.cost_share) == (None,) * 5
    assert (empty.max_drawdown, empty.trades, empty.commissions) == (0.0, 0, 0.0)
    flat = statistics_of([0, MINUTE], [100.0, 100.0], (), (trip("5"),))
    assert (flat.volatility, flat.sharpe, flat.sortino, flat.profit_factor) == (None,) * 4


def test_every_statistic_has_its_definition() -> None:
    """In the order in which they are shown."""
    assert list(DEFINITIONS) == [each.name for each in fields(Statistics)]


def test_the_drawdown_at_each_point_is_from_the_highest_before_it() -> None:
    """Zero on a new peak."""
    assert drawdown([100.0, 50.0, 200.0, 150.0]) == [0.0, -0.5, 0.0, -0.25]
