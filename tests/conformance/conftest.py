"""The backends that keep the Broker protocol, each on a stage where its market can be made to move.

A new backend is one more entry of `STAGES`: a function that returns a `Stage`. A stage's market is open, lists NVDA and
MSFT, quotes both every second, and its account has a million dollars and nothing else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import pytest

from src.brokers.broker import Broker
from src.brokers.simulated import SimulatedBroker
from src.domain.market import Contract
from src.domain.orders import AccountId, Action, Order, OrderId, OrderType, Trade
from src.exchange.commission import fee_schedule
from src.exchange.exchange import Exchange
from src.exchange.fill_models import IDEAL, Liquidity, Preset, realistic
from src.exchange.listings import listing
from src.exchange.prices import SeededSource
from src.exchange.sessions import Sessions
from src.exchange.terms import Listed
from src.exchange.units import units
from src.runtime.clock import NS, ReplayClock
from src.runtime.market import Market
from src.runtime.venue import Venue
from tests.conformance.tws_stage import StageClock, StagedBroker

#: 2025-06-02, 15:00 UTC, a Monday.
START: Final = 1_748_876_400 * NS
CASH: Final = Decimal(1_000_000)
NVDA, MSFT = Contract("NVDA"), Contract("MSFT")
_LISTINGS: Final = tuple(found for symbol in ("NVDA", "MSFT") if (found := listing(symbol)) is not None)


@dataclass(frozen=True)
class Stage:
    """A broker that is not connected yet, and the hand that moves its market on by so many seconds."""

    broker: Broker
    pass_time: Callable[[int], None]
    close: Callable[[], None]

    def price(self, contract: Contract, percent: int) -> Decimal:
        """A price on the tick, so many percent away from the market."""
        quote = self.broker.quote(contract)
        middle = Decimal(str((quote.bid + quote.ask) / 2)) * (100 + percent) / 100
        return middle.quantize(Decimal("0.01"))

    def settled(self, order_id: OrderId) -> Trade:
        """The trade once it is done, within a market minute."""
        for _ in range(60):
            trade = self.broker.trade(order_id)
            if trade.is_done:
                return trade
            self.pass_time(1)
        raise AssertionError(f"not done after a minute: {trade}")


def order(
    action: Action, quantity: int, limit: Decimal | None = None, stop: Decimal | None = None, contract: Contract = NVDA
) -> Order:
    """An order whose prices tell its type."""
    kinds = {(False, False): OrderType.MARKET, (True, False): OrderType.LIMIT, (False, True): OrderType.STOP}
    kind = kinds.get((limit is not None, stop is not None), OrderType.STOP_LIMIT)
    return Order(contract, action, Decimal(quantity), kind, limit, stop)


def simulated(preset: Preset) -> Stage:
    """The simulated exchange in this process, on invented prices, as fast as it is asked to go."""
    exchange = Exchange(
        [Listed.of(each, "fixed") for each in _LISTINGS], preset, Sessions.always(), fee_schedule("fixed")
    )
    account = AccountId("SIM0001")
    exchange.open_account(account, CASH)
    source = SeededSource(_LISTINGS, 7, Sessions.always(), START)
    venue = Venue(exchange, source, ReplayClock(START), preset.fill_model)

    def pass_time(seconds: int) -> None:
        for _ in range(seconds):
            venue.step()

    pass_time(2)
    broker = SimulatedBroker(venue, account, tuple(each.details for each in _LISTINGS), preset.latency)
    return Stage(broker, pass_time, broker.disconnect)


def over_the_socket(preset: Preset, clock: StageClock | None = None) -> Stage:
    """The same exchange behind the paper gateway, reached by the TWS library that is installed."""
    exchange = Exchange(
        [Listed.of(each, "fixed") for each in _LISTINGS], preset, Sessions.always(), fee_schedule("fixed")
    )
    exchange.open_account(AccountId("DUSIM01"), CASH)
    clock = clock or StageClock(START)
    source = SeededSource(_LISTINGS, 7, Sessions.always(), START)
    venue = Venue(exchange, source, clock, preset.fill_model)
    broker = StagedBroker(Market(venue, _LISTINGS, Sessions.always(), preset.latency), clock)
    broker.pass_time(2)
    return Stage(broker, broker.pass_time, broker.close)


def _realistic() -> Preset:
    return realistic({each.con_id: Liquidity(units(each.half_spread), each.displayed_size) for each in _LISTINGS})


STAGES: Final[dict[str, Callable[[], Stage]]] = {
    "simulated, ideal": lambda: simulated(IDEAL),
    "simulated, realistic": lambda: simulated(_realistic()),
    "tws, ideal": lambda: over_the_socket(IDEAL),
    "tws, realistic": lambda: over_the_socket(_realistic()),
}


@pytest.fixture(params=STAGES)
def offstage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A stage whose broker is not connected."""
    stage = STAGES[request.param]()
    yield stage
    stage.close()


@pytest.fixture
def stage(offstage: Stage) -> Stage:
    """A stage whose broker is connected."""
    offstage.broker.connect()
    return offstage
