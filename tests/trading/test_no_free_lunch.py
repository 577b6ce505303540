"""On invented prices no strategy earns anything: its mean P&L is minus what it paid, or something sees the future."""

from decimal import Decimal
from functools import cache
from statistics import mean, stdev

import pytest

from src.brokers.simulated import SimulatedBroker
from src.domain.orders import AccountId
from src.exchange.commission import fee_schedule
from src.exchange.exchange import Exchange
from src.exchange.fill_models import IDEAL
from src.exchange.listings import listing
from src.exchange.prices.seeded import SeededSource
from src.exchange.sessions import Sessions
from src.exchange.terms import Listed
from src.runtime.calendars import sessions_between
from src.runtime.clock import ReplayClock
from src.runtime.venue import Venue
from src.trading.plan import SessionPlan
from src.trading.strategy import SHIPPED, load_strategy
from src.trading.trader import Trader

SEEDS = 300
START = 1_735_828_200_000_000_000  # 2025-01-02 09:30 New York
ACCOUNT = AccountId("SIM0001")
#: The dearest a share can be, each way: half a spread of one cent and a half, rounded outward to the tick.
HALF_SPREAD = 0.01


@cache
def sessions() -> Sessions:
    """Two weeks of New York."""
    return sessions_between(START, START)


def day(seed: int, strategy: str) -> tuple[float, float, int]:
    """One day of NVDA in steps of a minute: P&L, commissions and fills."""
    nvda = listing("NVDA")
    assert nvda is not None
    exchange = Exchange([Listed(nvda.contract, nvda.min_tick)], IDEAL, sessions(), fee_schedule("fixed"))
    exchange.open_account(ACCOUNT, Decimal(1_000_000))
    source = SeededSource((nvda,), seed, sessions(), START, step_seconds=60)
    broker = SimulatedBroker(Venue(exchange, source, ReplayClock(START), IDEAL.fill_model), ACCOUNT, (nvda.details,), 0)
    broker.connect()
    plan = SessionPlan("test", (nvda.contract,), duration=388, on_exit="flatten")
    summary = Trader(broker, load_strategy(strategy), plan).run()
    return summary.realized_pnl + summary.unrealized_pnl, summary.commissions, summary.fills


@pytest.mark.parametrize("strategy", SHIPPED)
def test_the_mean_pnl_over_many_seeds_is_minus_the_costs(strategy: str) -> None:
    """Within four standard errors; a look into the next bar would earn more than that."""
    days = [day(seed, strategy) for seed in range(SEEDS)]
    before_costs = [pnl + commissions for pnl, commissions, _ in days]
    spread = 100 * HALF_SPREAD * mean(fills for _, _, fills in days)
    error = stdev(before_costs) / SEEDS**0.5
    assert -spread - 4 * error <= mean(before_costs) <= 4 * error
    assert all(fills for _, _, fills in days) or strategy == "sma"
    assert sum(fills for _, _, fills in days) >= 2 * SEEDS
