"""What is particular to the simulated broker: whose trade it returns, what it keeps, how its market waits."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from src.brokers.simulated import SimulatedBroker
from src.domain.errors import InvalidOrderError, OrderRejectedError
from src.domain.market import ContractDetails, Mode
from src.domain.orders import AccountId, Bracket, Order, OrderChange, OrderStatus
from src.exchange.fill_models import IDEAL, Liquidity, Preset, realistic
from src.exchange.prices import Instant
from src.exchange.state import ExchangeState
from src.runtime.venue import Venue
from tests.runtime.markets import AAA, ACCOUNT, BBB, T0, at, bars, buy, quote, venue

SLOW = realistic({contract.con_id: Liquidity(5_000, 30) for contract in (AAA, BBB)})
DETAILS = tuple(ContractDetails(contract, contract.symbol, Decimal("0.01")) for contract in (AAA, BBB))
QUOTES = [Instant(at(second), (quote(second, 99, 101), quote(second, 49, 51, BBB)), ()) for second in range(1, 50)]


class Kept:
    """A keeper that notes what it is given."""

    def __init__(self) -> None:
        self.states: list[ExchangeState] = []
        self.calls: list[str] = []
        self.full = False

    def save(self, state: ExchangeState) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.states.append(state)

    def close(self) -> None:
        self.calls.append("close")

    def reopen(self) -> None:
        self.calls.append("reopen")


def stage(instants: list[Instant], preset: Preset = IDEAL, kept: Kept | None = None) -> tuple[SimulatedBroker, Venue]:
    """A connected broker whose market has taken its first instant."""
    market = venue(instants, preset=preset)
    broker = SimulatedBroker(market, ACCOUNT, DETAILS, preset.latency, kept)
    broker.connect()
    market.step()
    return broker, market


def grouped(order: Order) -> Order:
    return replace(order, oca_group="one")


def test_the_trade_returned_is_the_new_orders_whatever_else_it_sets_off() -> None:
    """It fills at once and cancels an older order of its group: that one is not what was placed."""
    broker, _ = stage(QUOTES)
    older = broker.place_order(grouped(buy(1, "90.00")))
    newer = broker.place_order(grouped(buy(2)))
    assert newer.order_id == older.order_id + 1
    assert (newer.status, newer.filled) == (OrderStatus.FILLED, Decimal(2))
    assert broker.trade(older.order_id).status is OrderStatus.CANCELLED


def test_a_brackets_three_trades_are_returned_whatever_else_it_sets_off() -> None:
    """Parent, target and stop, although the parent's fill cancels an older order."""
    broker, _ = stage(QUOTES)
    older = broker.place_order(grouped(buy(1, "90.00")))
    entry = grouped(buy(2))
    exits = Bracket.around(buy(2), Decimal(120), Decimal(80))
    trades = broker.place_bracket(Bracket(entry, exits.take_profit, exits.stop_loss))
    assert [trade.order_id - older.order_id for trade in trades] == [1, 2, 3]
    assert [trade.status.value for trade in trades] == ["Filled", "Submitted", "PreSubmitted"]


def test_a_rejected_bracket_is_raised_once_with_the_parents_id() -> None:
    """Nothing of it works."""
    broker, _ = stage(QUOTES)
    with pytest.raises(OrderRejectedError) as caught:
        broker.place_bracket(Bracket.around(buy(900_000), Decimal(120), Decimal(80)))
    assert (caught.value.code, caught.value.order_id) == (201, 1)
    assert broker.open_trades() == ()


def test_cancelling_under_latency_takes_the_latency_and_no_more_of_a_replay() -> None:
    """The market stands still otherwise: the caller gets Cancelled, and no price has passed."""
    broker, market = stage(bars(3), SLOW)
    order_id = broker.place_order(buy(1, "50.00")).order_id
    market.step()
    before = market.now()
    assert broker.cancel_order(order_id).status is OrderStatus.CANCELLED
    assert market.now() == before + SLOW.latency
    assert market.exchange.last_bar(AAA) == bars(2)[1].bars[0]


def test_changing_under_latency_returns_the_changed_order() -> None:
    """Price and quantity are the new ones already."""
    broker, market = stage(bars(3), SLOW)
    order_id = broker.place_order(buy(1, "50.00")).order_id
    market.step()
    trade = broker.modify_order(order_id, OrderChange(Decimal(2), Decimal("51.00")))
    assert (trade.order.quantity, trade.order.limit_price) == (Decimal(2), Decimal("51.00"))


def test_an_order_is_qualified_and_its_account_set() -> None:
    """By symbol alone; another account is refused before anything is sent."""
    broker, _ = stage(QUOTES)
    bare = replace(buy(1), contract=replace(BBB, con_id=0), account=AccountId(""))
    trade = broker.place_order(bare)
    assert (trade.order.contract, trade.order.account) == (BBB, ACCOUNT)
    with pytest.raises(InvalidOrderError, match="is not this broker's"):
        broker.preview_order(replace(buy(1), account=AccountId("SIM9")))


def test_it_is_simulated_and_says_so() -> None:
    """Mode, data source, account, and the market's own time."""
    broker, market = stage(QUOTES)
    assert (broker.mode, broker.account_id, broker.now()) == (Mode.SIMULATED, ACCOUNT, market.now())
    assert broker.now() == at(1) > T0
    health = broker.health()
    assert (health.data_source, health.host, health.port) == ("simulated", None, None)


# --- keeping the account --------------------------------------------------------------------------------------------


def test_the_account_is_kept_after_every_command() -> None:
    """Placed, changed, cancelled, rejected: what is on disk is what happened."""
    kept = Kept()
    broker, _ = stage(QUOTES, kept=kept)
    order_id = broker.place_order(buy(1, "90.00")).order_id
    assert [each.order_id for each in kept.states[-1].orders] == [order_id]
    broker.modify_order(order_id, OrderChange(quantity=Decimal(5)))
    assert kept.states[-1].orders[0].order.quantity == 5
    broker.cancel_order(order_id)
    assert kept.states[-1].orders[0].status is OrderStatus.CANCELLED
    with pytest.raises(OrderRejectedError):
        broker.place_order(buy(900_000))
    assert kept.states[-1].orders[-1].status is OrderStatus.INACTIVE
    market_order = broker.place_order(buy(3))
    assert kept.states[-1].accounts[0].holdings[0].quantity == market_order.filled == 3


def test_disconnecting_keeps_the_account_and_gives_it_back() -> None:
    """Once; connecting again takes it again."""
    kept = Kept()
    broker, _ = stage(QUOTES, kept=kept)
    broker.disconnect()
    broker.disconnect()
    assert kept.calls == ["reopen", "close"]
    assert len(kept.states) == 1
    broker.connect()
    assert kept.calls[-1] == "reopen"


def test_disconnecting_never_raises(caplog: pytest.LogCaptureFixture) -> None:
    """The disk is full: one line says so, and the account is given back all the same."""
    kept = Kept()
    broker, _ = stage(QUOTES, kept=kept)
    kept.full = True
    with caplog.at_level(logging.ERROR):
        broker.disconnect()
    assert "No space left" in caplog.text
    assert kept.calls[-1] == "close"
    assert not broker.is_connected


def test_an_order_is_returned_although_the_disk_is_full(caplog: pytest.LogCaptureFixture) -> None:
    """It was submitted: what cannot be kept is said once and shown in the health, until it is kept again."""
    kept = Kept()
    broker, _ = stage(QUOTES, kept=kept)
    kept.full = True
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            trade = broker.place_order(buy(1, "90.00"))
        assert broker.cancel_order(trade.order_id).status is OrderStatus.CANCELLED
        [line] = caplog.messages
        assert line.startswith("the simulated account is no longer kept: ")
        assert "No space left" in (broker.health().error or "")
        kept.full = False
        broker.place_order(buy(1, "90.00"))
    assert caplog.messages[1:] == ["the simulated account is kept again"]
    assert broker.health().error is None
    assert len(kept.states[-1].orders) == 4


def test_no_older_state_replaces_a_newer_one() -> None:
    """While a state is taken and written, no other thread can change the account or write its own."""
    free: list[bool] = []

    class Nosy(Kept):
        def save(self, state: ExchangeState) -> None:
            super().save(state)
            with ThreadPoolExecutor(1) as pool:
                free.append(pool.submit(market.lock.acquire, blocking=False).result())

    broker, market = stage(QUOTES, kept=Nosy())
    broker.place_order(buy(1, "90.00"))
    assert free == [False]


def test_eight_threads_keep_every_order() -> None:
    """An order is kept by the time it is returned, twenty of each contract, which is as many as may work.

    Two threads' orders may be kept by one state, so not every count of orders need have been seen.
    """
    kept = Kept()
    broker, _ = stage(QUOTES, kept=kept)

    def place(number: int) -> list[bool]:
        return [
            broker.place_order(buy(1, "40.00", contract=(AAA, BBB)[number % 2])).order_id
            in {state.order_id for state in kept.states[-1].orders}
            for _ in range(5)
        ]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(place, range(8))) == [[True] * 5] * 8
    counts = [len(state.orders) for state in kept.states]
    assert counts == sorted(counts)  # no older state replaces a newer one
    assert (len(counts), counts[-1]) == (40, 40)
