"""Random markets and commands for the exchange, written down so that they can be played again.

A seed decides everything: preset, hours, cash, which contracts have quotes, every price and every command. A session
is recorded while an exchange answers, because cancels and changes must name orders that exist.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from math import nan
from random import Random
from typing import Any, Final, NamedTuple

from src.domain.errors import InvalidOrderError
from src.domain.events import Event
from src.domain.market import Bar, Contract, Quote, Source
from src.domain.orders import AccountId, Action, Bracket, Order, OrderChange, OrderType, TimeInForce
from src.exchange.commission import fee_schedule
from src.exchange.exchange import Exchange
from src.exchange.fill_models import IDEAL, Liquidity, Preset, realistic
from src.exchange.sessions import Sessions
from src.exchange.terms import Listed

NS: Final = 1_000_000_000
MINUTE: Final = 60 * NS
HOUR: Final = 60 * MINUTE
#: A Monday, 14:30 UTC: the first open.
T0: Final = 1_736_173_800 * NS
ACCOUNT: Final = AccountId("SIM1")
TICK: Final = Decimal("0.01")
AAA, BBB, CCC = (Contract(name, con_id=number) for number, name in enumerate(("AAA", "BBB", "CCC"), 1))
EUR: Final = Contract("EUR", "CASH", "IDEALPRO", "USD", con_id=4)
PAIR_TICK: Final = Decimal("0.00005")
CONTRACTS: Final = (AAA, BBB, CCC, EUR)
HALF_SPREADS: Final = {1: 5_000, 2: 10_000, 3: 40_000, 4: 50}  # units
#: Invented prices are whole numbers: of hundredths of a stock's tick, of tenths of the pair's.
PER_DOLLAR: Final = {1: 10_000, 2: 10_000, 3: 10_000, 4: 200_000}
_LATENCY: Final = 50_000_000
_LIQUIDITY: Final = {con_id: Liquidity(half, 120) for con_id, half in HALF_SPREADS.items()}
#: Four short days: half an hour of trading, then more than the four extended hours and a night.
OPENS: Final = tuple(T0 + day * 24 * HOUR for day in range(5))
CLOSES: Final = tuple(opening + 30 * MINUTE for opening in OPENS)


class Command(NamedTuple):
    """One call of an exchange's method; the last argument of most is the time."""

    method: str
    arguments: tuple[Any, ...]

    def __call__(self, exchange: Exchange) -> tuple[Event, ...]:
        events: tuple[Event, ...] = getattr(exchange, self.method)(*self.arguments)
        return events

    @property
    def time(self) -> int:
        """When it happens."""
        if self.method == "quote":
            return int(self.arguments[0].time)
        return int(self.arguments[0] if self.method == "advance" else self.arguments[-1])


@dataclass(frozen=True)
class Setup:
    """What an exchange is made of; `quoted`: the contracts whose market is made by quotes."""

    preset: str = "ideal"
    hours: str = "always"
    fees: str = "fixed"
    cash: int = 100_000
    quoted: frozenset[int] = frozenset()

    @staticmethod
    def drawn(random: Random) -> "Setup":
        """Any of them."""
        return Setup(
            random.choice(("ideal", "realistic")),
            random.choice(("always", "table")),
            random.choice(("fixed", "commission", "none")),
            random.choice((2_500, 20_000, 1_000_000)),
            frozenset(con_id for con_id in HALF_SPREADS if random.random() < 0.35),
        )

    def half_spread(self, con_id: int) -> int:
        """Half the spread around a trade print, in units."""
        return 0 if self.preset == "ideal" else HALF_SPREADS[con_id]

    @property
    def latency(self) -> int:
        """The preset's, in nanoseconds."""
        return 0 if self.preset == "ideal" else _LATENCY

    @property
    def sessions(self) -> Sessions:
        """The hours as a table."""
        return sessions_of(self.hours)

    def exchange(self) -> Exchange:
        """Return a new exchange with one open account."""
        return new_exchange(preset_of(self.preset), self.sessions, fees=self.fees, cash=self.cash)


def preset_of(name: str) -> Preset:
    """`ideal`, or `realistic` with small displayed sizes."""
    return IDEAL if name == "ideal" else realistic(_LIQUIDITY, latency=_LATENCY)


def sessions_of(name: str) -> Sessions:
    """`always`, or a small table."""
    return Sessions.always() if name == "always" else Sessions(OPENS, CLOSES, covers=(T0 - HOUR, CLOSES[-1] + HOUR))


def new_exchange(
    preset: Preset = IDEAL,
    sessions: Sessions | None = None,
    *,
    fees: str = "none",
    cash: int = 100_000,
    shortable: bool = True,
) -> Exchange:
    """Return an exchange with three stocks at a tick of one cent and a currency pair, and one account."""
    exchange = Exchange(
        [
            *(Listed(contract, TICK, shortable=shortable) for contract in CONTRACTS[:3]),
            Listed(EUR, PAIR_TICK, PAIR_TICK, 100, 6_000_000, fee_schedule(fees, "CASH")),
        ],
        preset,
        sessions or Sessions.always(),
        fee_schedule(fees),
    )
    exchange.open_account(ACCOUNT, Decimal(cash))
    return exchange


@dataclass(frozen=True)
class Recorded:
    """A session: its set-up, what was commanded, and what each command answered."""

    seed: int
    setup: Setup
    commands: tuple[Command, ...]
    answers: tuple[tuple[Event, ...], ...]

    @property
    def events(self) -> tuple[Event, ...]:
        """All answers, one after the other."""
        return tuple(event for answer in self.answers for event in answer)


Look = Callable[[Exchange, Command, tuple[Event, ...]], None]


def play(exchange: Exchange, commands: Sequence[Command], look: Look | None = None) -> tuple[Event, ...]:
    """Give the commands to an exchange; `look` sees it after each."""
    events: list[Event] = []
    for command in commands:
        answer = command(exchange)
        events += answer
        if look is not None:
            look(exchange, command, answer)
    return tuple(events)


@cache
def recorded(seed: int) -> Recorded:
    """Return the session of a seed."""
    random = Random(seed)  # noqa: S311  # the same each time, not secret
    setup = Setup.drawn(random)
    author = _Author(random, setup)
    author.write()
    return Recorded(seed, setup, tuple(author.commands), tuple(author.answers))


class _Author:
    """Writes a session while playing it."""

    def __init__(self, random: Random, setup: Setup) -> None:
        self._random, self._setup = random, setup
        self._exchange = setup.exchange()
        self._prices = {con_id: random.randrange(50_000, 900_000) for con_id in HALF_SPREADS}
        self.commands: list[Command] = []
        self.answers: list[tuple[Event, ...]] = []
        self._gapped = False

    def write(self) -> None:
        """Fill `commands` and `answers`."""
        for start in self._minutes():
            times = sorted(self._random.randrange(start, start + MINUTE) for _ in range(self._random.randrange(4)))
            for time in [start] * self._random.randrange(3) + times:
                self._something(time)
            self._do("advance", start + MINUTE, tuple(self._bars(start)))

    def _do(self, method: str, *arguments: object) -> None:
        command = Command(method, arguments)
        self.commands.append(command)
        self.answers.append(command(self._exchange))

    def _minutes(self) -> Iterator[int]:
        if self._setup.hours == "always":
            yield from range(T0, T0 + 45 * MINUTE, MINUTE)
            return
        for opening, closing in zip(OPENS[:3], CLOSES[:3], strict=True):
            before = self._random.choice((0, 2, 5))
            after = self._random.choice((0, 2))
            self._gapped = True
            yield from range(opening - before * MINUTE, closing + after * MINUTE, MINUTE)

    # --- prices ----------------------------------------------------------------------------------------------------

    def _move(self, con_id: int) -> int:
        random = self._random
        step = random.choice((1, 10, 60)) * random.randrange(-100, 101) // 10
        if random.random() < 0.04:
            step = self._prices[con_id] * random.randrange(-250, 251) // 1000
        self._prices[con_id] = max(self._prices[con_id] + step, 20_000)
        return self._prices[con_id]

    def _bars(self, start: int) -> Iterator[Bar]:
        for contract in CONTRACTS:
            if self._random.random() < 0.1:
                continue
            opening, *path, close = (self._move(contract.con_id) for _ in range(5))
            low, high = min(opening, close, *path), max(opening, close, *path)
            volume = self._random.choice((0, 5, 300, 100_000))
            first, top, bottom, last = (price / PER_DOLLAR[contract.con_id] for price in (opening, high, low, close))
            yield Bar(contract, start, start + MINUTE, first, top, bottom, last, volume)

    def _quote(self, contract: Contract, time: int) -> Quote:
        random = self._random
        middle, per_dollar = self._move(contract.con_id), PER_DOLLAR[contract.con_id]
        bid, ask = (middle - random.randrange(0, 300)) / per_dollar, (middle + random.randrange(0, 300)) / per_dollar
        whim = random.random()
        if whim < 0.03:
            bid, ask = ask + 0.01, bid
        elif whim < 0.06:
            bid = random.choice((0.0, -1.0, nan))
        elif whim < 0.09:
            ask = random.choice((0.0, -1.0, nan))
        last = random.choice((middle / per_dollar, middle / per_dollar, middle / per_dollar / 2, nan, 0.0))
        bid_size, ask_size = (float(random.choice((0, 7, 100, 5_000))) for _ in range(2))
        return Quote(contract, time, bid, ask, bid_size, ask_size, last, Source.SIMULATED)

    # --- commands --------------------------------------------------------------------------------------------------

    def _something(self, time: int) -> None:
        whim = self._random.random()
        quoted = [contract for contract in CONTRACTS if contract.con_id in self._setup.quoted]
        if quoted and whim < 0.45:
            self._do("quote", self._quote(self._random.choice(quoted), time))
        elif whim < 0.5:
            self._do("advance", time)
        elif whim < 0.82:
            self._do("submit", ACCOUNT, self._order(), time)
        elif whim < 0.88:
            bracket = self._bracket()
            if bracket is not None:
                self._do("submit_bracket", ACCOUNT, bracket, time)
        else:
            self._meddle(time)

    def _meddle(self, time: int) -> None:
        """Cancel or change: mostly what works, sometimes what is done."""
        random = self._random
        trades = self._exchange.open_trades(ACCOUNT) if random.random() < 0.9 else self._exchange.trades(ACCOUNT)
        if not trades:
            return
        trade = random.choice(trades)
        if random.random() < 0.45:
            self._do("cancel", ACCOUNT, trade.order_id, time)
            return
        order = trade.order
        change = OrderChange(
            Decimal(random.randrange(1, 400)) if random.random() < 0.5 else None,
            self._near(order.contract) if order.limit_price is not None and random.random() < 0.7 else None,
            self._near(order.contract) if order.stop_price is not None and random.random() < 0.7 else None,
        )
        if change != OrderChange():
            self._do("modify", ACCOUNT, trade.order_id, change, time)

    def _near(self, contract: Contract) -> Decimal:
        """A price on the tick, within some percent of the market."""
        price = self._prices[contract.con_id]
        away = price * self._random.choice((0, 1, 3, 10, 30)) * self._random.randrange(-10, 11) // 10_000
        return self._on_tick(contract, price + away)

    @staticmethod
    def _on_tick(contract: Contract, price: int) -> Decimal:
        tick = PAIR_TICK if contract is EUR else TICK
        return price // int(tick * PER_DOLLAR[contract.con_id]) * tick

    def _order(self) -> Order:
        random = self._random
        contract, kind = random.choice(CONTRACTS), random.choice(tuple(OrderType))
        return Order(
            contract,
            random.choice(tuple(Action)),
            Decimal(random.choice((1, 40, 100, 300, 1000))),
            kind,
            self._near(contract) if kind.has_limit else None,
            self._near(contract) if kind.has_stop else None,
            random.choice((TimeInForce.DAY, TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)),
            outside_rth=random.random() < 0.2,
            oca_group=random.choice(("", "", "", "red", "blue")) + str(len(self.commands) // 40)
            if random.random() < 0.4
            else "",
        )

    def _bracket(self) -> Bracket | None:
        entry = self._order()
        if entry.order_type.has_stop or entry.oca_group:
            return None
        at = self._prices[entry.contract.con_id]
        price = self._on_tick(entry.contract, at)
        reach = self._on_tick(entry.contract, at // 1000 * self._random.choice((1, 5, 20)) + 100)
        sign = entry.action.sign
        try:
            return Bracket.around(entry, price + sign * reach, price - sign * reach)
        except InvalidOrderError:
            return None
