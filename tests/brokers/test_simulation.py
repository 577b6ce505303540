"""Opening the simulated account that outlives the process: what is said when it is not as asked for."""

import json
import logging
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from src.brokers.opening import Play
from src.brokers.simulated import SimulatedBroker
from src.brokers.simulation import open_simulated
from src.domain.market import Contract
from src.domain.orders import Action, Order
from src.runtime.clock import NS, wall_clock
from src.settings import load_settings

Open = Callable[..., SimulatedBroker]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens the kept account, connected, with settings as keywords."""

    def open_kept(**given: Any) -> SimulatedBroker:
        settings = load_settings(environ={}, root=tmp_path, backend="simulated", state_dir=tmp_path / "state", **given)
        broker = open_simulated(settings, Play(persistent=True))
        broker.connect()
        return broker

    return open_kept


def test_a_capital_that_the_kept_account_does_not_have_is_warned_of_once(
    opened: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """What was traded since does not matter; the same capital, or none, is nothing to speak of."""
    first = opened(initial_capital="50000", sim_preset="ideal")
    first.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(10)))
    first.disconnect()
    with caplog.at_level(logging.WARNING):
        opened(initial_capital="50000").disconnect()
        opened().disconnect()
        assert caplog.messages == []
        second = opened(initial_capital="70000")
    [line] = caplog.messages
    assert line == (
        "INITIAL_CAPITAL counts for a new account: the one that is kept began with $50,000.00. "
        "To begin anew: python -m src sim reset"
    )
    assert second.account_summary().net_liquidation < 60_000
    second.disconnect()


def test_an_account_that_is_ahead_of_the_clock_is_warned_of(
    opened: Open, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Its orders would wait for that day: what to do is said."""
    opened().disconnect()
    file = tmp_path / "state/simulated_account.json"
    state = json.loads(file.read_text())
    file.write_text(json.dumps({**state, "now": wall_clock() + 400 * 86_400 * NS}))
    with caplog.at_level(logging.WARNING):
        opened().disconnect()
    [line] = caplog.messages
    assert "ahead of this machine's clock" in line
    assert "orders do not fill before then" in line
    assert "python -m src sim reset" in line
