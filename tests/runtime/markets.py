"""A price source that a test writes down, and a venue over it."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from math import nan

from src.domain.events import BarClosed
from src.domain.market import Bar, Contract, Quote, Source
from src.domain.orders import AccountId, Action, Order, OrderType
from src.exchange.commission import NoFees
from src.exchange.exchange import Exchange
from src.exchange.fill_models import IDEAL, Preset
from src.exchange.prices import Instant
from src.exchange.sessions import Sessions
from src.exchange.terms import Listed
from src.runtime.clock import NS, Clock, ReplayClock
from src.runtime.venue import Grow, Venue

T0 = 1_748_876_400 * NS
AAA, BBB = Contract("AAA", con_id=1), Contract("BBB", con_id=2)
ACCOUNT = AccountId("SIM1")


class Written:
    """A `PriceSource` of these instants."""

    def __init__(self, instants: Sequence[Instant], contracts: Sequence[Contract] = (AAA, BBB)) -> None:
        self._instants, self._contracts = tuple(instants), tuple(contracts)

    @property
    def contracts(self) -> Sequence[Contract]:
        return self._contracts

    @property
    def bar_seconds(self) -> int:
        return 60

    def bar_seconds_of(self, contract: Contract) -> int:
        del contract
        return 60

    def instants(self) -> Iterator[Instant]:
        return iter(self._instants)

    def closes(self) -> Iterator[BarClosed] | None:
        if any(instant.quotes or not instant.bars for instant in self._instants):
            return None
        return iter([BarClosed(tuple(instant.bars)) for instant in self._instants])

    def history(self, contract: Contract, size_seconds: int, count: int, end: int) -> list[Bar]:
        bars = [bar for instant in self._instants for bar in instant.bars if bar.contract == contract]
        known = [bar for bar in bars if bar.end <= end and bar.end - bar.start == size_seconds * NS]
        return known[-count:] if count else []


def at(seconds: float) -> int:
    """So many seconds after T0."""
    return T0 + round(seconds * NS)


def bar(minute: int, price: float, contract: Contract = AAA) -> Bar:
    """The bar of the minute that starts then."""
    return Bar(contract, at(60 * minute), at(60 * minute + 60), price, price, price, price, 1_000)


def quote(seconds: float, bid: float, ask: float, contract: Contract = AAA) -> Quote:
    """A hundred shares on each side."""
    return Quote(contract, at(seconds), bid, ask, 100, 100, nan, Source.SIMULATED)


def bars(count: int, *contracts: Contract) -> list[Instant]:
    """A bar a minute of every contract; prices rise by a dollar."""
    chosen = contracts or (AAA, BBB)
    return [
        Instant(at(60 * index + 60), (), tuple(bar(index, 100.0 + index, contract) for contract in chosen))
        for index in range(count)
    ]


def venue(
    instants: Sequence[Instant],
    clock: Clock | None = None,
    preset: Preset = IDEAL,
    *,
    sessions: Sessions | None = None,
    contracts: Sequence[Contract] = (AAA, BBB),
    grow: Grow | None = None,
) -> Venue:
    """A venue with two listed contracts and one account of $100,000."""
    listed = [Listed(contract, Decimal("0.01")) for contract in (AAA, BBB)]
    exchange = Exchange(listed, preset, sessions or Sessions.always(), NoFees())
    exchange.open_account(ACCOUNT, Decimal(100_000))
    return Venue(exchange, Written(instants, contracts), clock or ReplayClock(T0), preset.fill_model, grow)


def buy(quantity: int, limit: str | None = None, contract: Contract = AAA) -> Order:
    """A market or limit order to buy."""
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    price = None if limit is None else Decimal(limit)
    return Order(contract, Action.BUY, Decimal(quantity), kind, price, account=ACCOUNT)
