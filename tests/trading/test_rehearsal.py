"""A dry run: what would be sent is told, and nothing is."""

import logging
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest

from src.brokers.simulated import SimulatedBroker
from src.domain.market import Bar, Contract
from src.domain.orders import Action, Order
from src.trading.portfolio import Portfolio
from src.trading.rehearsal import Rehearsal
from src.trading.trader import Trader
from src.trading.watch import SessionWatch
from tests.trading.test_trader import MINUTE, Scripted, buy, plan

Market = Callable[..., SimulatedBroker]
MSFT = Contract("MSFT")


def test_a_dry_run_sends_nothing_and_keeps_what_it_would_have_sent(
    market: Market, caplog: pytest.LogCaptureFixture
) -> None:
    """Wanted at three bars on end, it is one wish; the broker has never seen an order."""
    broker = market(MSFT=[10, 11, 12, 13, 14])

    def script(bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        return [buy(bar)] if 11 <= bar.close <= 13 else []

    watch = SessionWatch()
    trader = Trader(broker, Scripted(script), plan("MSFT", dry_run=True), [watch])
    with caplog.at_level(logging.INFO):
        summary = trader.run()
    assert (summary.orders, summary.fills, broker.open_trades(), broker.completed_trades()) == (0, 0, (), ())
    assert "dry run, not sent: BUY 100 MSFT MKT" in caplog.text
    assert trader.rehearsal.in_words() == (
        "Dry run: nothing was sent. The strategy wanted:\n  2019-02-11T14:32:00Z BUY 100 MSFT MKT"
    )
    assert watch.facts is not None
    assert watch.facts.events[0].text == "dry run, not sent: BUY 100 MSFT MKT"


def test_a_wish_that_comes_back_after_a_bar_without_it_is_a_new_one() -> None:
    """And so is another one at once; of many, ten are shown."""
    rehearsal = Rehearsal(60)
    purchase, sale = Order(MSFT, Action.BUY, Decimal(1)), Order(MSFT, Action.SELL, Decimal(1))
    kept = [rehearsal.add(minute * MINUTE, order) for minute, order in ((1, purchase), (2, purchase), (3, sale))]
    assert kept == [True, False, True]
    assert rehearsal.add(9 * MINUTE, sale)
    for minute in range(20, 60, 2):
        assert rehearsal.add(minute * MINUTE, sale)
    assert rehearsal.in_words().count("\n") == 11
    assert rehearsal.in_words().endswith("and 13 more")
