"""IBKR_READ_ONLY: everything can be seen, nothing is ordered or changed, and the reason names the setting."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from src.brokers.ib_gateway import IBGatewayClient
from src.brokers.opening import Play
from src.brokers.watching import Watch
from src.domain.errors import InvalidOrderError
from src.settings import Settings
from tests.brokers.conftest import THURSDAY, nothing_was_sent


@pytest.fixture
def client(settings: Settings) -> Iterator[IBGatewayClient]:
    """A client that may only look."""
    with IBGatewayClient(settings=replace(settings, read_only=True), play=Play(start=THURSDAY)) as connected:
        yield connected


def test_every_order_is_refused_and_nothing_is_sent(client: IBGatewayClient) -> None:
    """Returned, never raised: a limit of ours."""
    answers = [
        client.place_market_order("NVDA", 1, "BUY"),
        client.place_limit_order("NVDA", 1, 50.00, "BUY"),
        *client.place_bracket_order("NVDA", 1, "BUY", 500.00, 50.00),
    ]
    assert {answer["status"] for answer in answers} == {"Refused"}
    assert {answer["order_id"] for answer in answers} == {None}
    assert all(answer["reason"].startswith("IBKR_READ_ONLY=true") for answer in answers)
    assert nothing_was_sent(client)
    with pytest.raises(InvalidOrderError):
        client.place_market_order("NVDA", 0, "BUY")


def test_a_change_is_refused_and_a_cancel_is_not(settings: Settings) -> None:
    """An order that was placed before, and outlived its process."""
    play = Play(start=THURSDAY, persistent=True)
    with IBGatewayClient(settings=settings, play=play) as before:
        order_id = before.place_limit_order("NVDA", 5, 50.00, "BUY")["order_id"]
    assert order_id is not None
    with IBGatewayClient(settings=replace(settings, read_only=True), play=play) as client:
        changed = client.modify_order(order_id, price=60.00)
        assert (changed["status"], changed["order_id"]) == ("Refused", order_id)
        assert "IBKR_READ_ONLY" in changed["reason"]
        assert client.cancel_order(order_id) is True


def test_everything_can_be_seen(client: IBGatewayClient) -> None:
    """Account, positions, prices, health."""
    assert client.get_account_info()["net_liquidation"] == 100_000
    assert client.get_positions()["NVDA"]["position"] == 0
    assert client.get_current_price("NVDA") > 0
    assert client.mode == "simulated"
    assert client.health_check()["connected"] is True


def test_one_caller_at_a_time_looks_after_a_simulated_session(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session's thread and a scraper's come by at once: the events of the watch have one reader."""
    inside, most, entered = 0, 0, threading.Barrier(2)

    def look(_: Watch) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        with suppress(threading.BrokenBarrierError):
            entered.wait(0.2)  # would be passed if both were here
        inside -= 1

    with IBGatewayClient(settings=settings, play=Play(start=THURSDAY)) as connected:
        monkeypatch.setattr(Watch, "look", look)
        other = threading.Thread(target=connected.broker.now)
        other.start()
        connected.broker.now()
        other.join(60)
    assert most == 1
