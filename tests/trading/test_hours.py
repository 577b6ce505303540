"""Whether the market is open: by the venue's own hours, New York's beyond them, and without a connection."""

from dataclasses import replace
from typing import Any

import pytest

from src.domain.market import Contract, ContractDetails
from src.runtime.clock import to_nanoseconds
from src.trading.hours import MarketHours
from tests.trading.conftest import OPEN, Market

HOUR = 3_600_000_000_000
TEN = to_nanoseconds(OPEN) + HOUR // 2  # Monday, 10:00 in New York


def hours(market: Market, monkeypatch: pytest.MonkeyPatch, listed: Any, now: int, *, never: bool = False) -> bool:  # noqa: ANN401
    """The answer at a moment of a venue that lists these hours, asked after the broker is gone."""
    broker = market(MSFT=[10, 11])
    details = broker.contract_details(Contract("MSFT"))

    def with_hours(_: object, __: Contract) -> ContractDetails:
        return replace(details, sessions=listed)

    monkeypatch.setattr(type(broker), "contract_details", with_hours)
    asked = MarketHours(broker, Contract("MSFT"), never_closes=never)
    broker.disconnect()
    monkeypatch.setattr(type(broker), "now", lambda _: now)
    return asked()


def test_the_venues_own_hours_count_as_far_as_they_go(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """From eleven to one, whatever New York does; a day later New York's own."""
    listed = ((TEN + HOUR, TEN + 3 * HOUR),)
    assert not hours(market, monkeypatch, listed, TEN)
    assert hours(market, monkeypatch, listed, TEN + HOUR)
    assert not hours(market, monkeypatch, listed, TEN + 12 * HOUR)
    assert hours(market, monkeypatch, listed, TEN + 24 * HOUR)


def test_new_yorks_hours_count_where_none_are_listed(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten in the morning, and ten at night."""
    assert hours(market, monkeypatch, (), TEN)
    assert not hours(market, monkeypatch, (), TEN + 12 * HOUR)


def test_a_simulated_market_that_never_closes_is_open(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten at night."""
    assert hours(market, monkeypatch, (), TEN + 12 * HOUR, never=True)
