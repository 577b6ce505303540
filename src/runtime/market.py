"""Puts a simulated market together: sessions, prices, exchange and clock, and the venue around them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from src.domain.errors import ConfigurationError
from src.domain.market import Contract, Quote
from src.domain.orders import AccountId
from src.exchange.commission import fee_schedule
from src.exchange.exchange import Exchange
from src.exchange.fill_models import IDEAL, Liquidity, Preset, realistic
from src.exchange.listings import Listing, assumed_listing, listing, listings
from src.exchange.prices import PriceSource, SeededSource
from src.exchange.prices.daily import FIRST_DAY
from src.exchange.sessions import Sessions
from src.exchange.state import ExchangeState
from src.exchange.terms import Listed
from src.exchange.units import units
from src.runtime.calendars import sessions_between
from src.runtime.clock import NS, Clock, ReplayClock, ScaledClock, SystemClock, wall_clock
from src.runtime.venue import Grow, Venue

if TYPE_CHECKING:
    from src.runtime.files import Recording

_DAY: Final = 86_400 * NS
_SESSIONS_BEFORE: Final = 15 * _DAY
_SESSIONS_AFTER: Final = 366 * _DAY
_SEEDED_HISTORY: Final = 5 * 366 * _DAY  # what clients ask daily bars of
_BEFORE_START: Final = 2 * NS


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRules:
    """How a market trades. `hours` is `always`, `nyse` or `auto`: always, and nyse in a replay.

    Of the (local) symbols in `hard_to_borrow` nobody lends shares.
    """

    preset: str = "realistic"
    hours: str = "auto"
    fees: str = "fixed"
    seed: int = 1
    hard_to_borrow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Market:
    """A venue and what is known of it: what is listed, when it is open, how long (ns) an order takes to reach it.

    `first` is the moment (epoch ns) at which its history begins.
    """

    venue: Venue
    listings: tuple[Listing, ...]
    sessions: Sessions
    latency: int
    first: int = 0


def seeded_market(
    rules: MarketRules,
    symbols: Sequence[str],
    accounts: Mapping[AccountId, Decimal],
    *,
    speed: float = 1.0,
    start: int | None = None,
    state: ExchangeState | None = None,
) -> Market:
    """A market of invented prices. `accounts` open with that cash (dollars); a saved `state` takes their place.

    `speed` is market seconds per real second, infinite for as fast as it goes; `start` is epoch ns, None for now.
    """
    wanted = [found for symbol in symbols if (found := listing(symbol)) is not None]
    unknown = sorted(set(symbols) - {each.local_symbol for each in wanted})
    if unknown:
        listed = ", ".join(each.local_symbol for each in listings())
        raise ConfigurationError(f"no invented prices of {', '.join(unknown)}: there are {listed}")
    begins = wall_clock() if start is None else start
    since = begins if math.isinf(speed) else begins - _BEFORE_START  # so that the first question has a price
    earliest = since
    if state is not None and state.now > 0:
        since, earliest = max(since, state.now + 1), min(since, state.now)
    known = max(earliest - _SEEDED_HISTORY, min(earliest, (FIRST_DAY + 1) * _DAY + _SESSIONS_BEFORE))
    sessions = _sessions("always" if rules.hours == "auto" else rules.hours, known, begins)
    clock: Clock
    if math.isinf(speed):
        clock = ReplayClock(since)
    elif speed == 1.0 and start is None:
        clock = SystemClock()
    else:
        clock = ScaledClock(begins, speed)
    have = list(wanted or listings()[:2])

    def grow(contract: Contract, moment: int) -> tuple[PriceSource, Quote | None]:
        have.extend(each for each in listings() if each.contract == contract)
        grown = source.grown(tuple(have), moment + 1)
        return grown, grown.standing(contract, moment)

    source = SeededSource(tuple(have), rules.seed, sessions, since)
    return _market(
        rules, _Prices(listings(), sessions, source, since, clock, _first_seeded(sessions), grow), accounts, state
    )


def recorded_market(
    rules: MarketRules, recording: "Recording", accounts: Mapping[AccountId, Decimal], speed: float = math.inf
) -> Market:
    """A market of recorded prices; `speed` is market seconds per real second."""
    from src.runtime.closed_hours import warn_of_closed_hours
    from src.runtime.replay import ReplaySource

    known = {symbol: listing(symbol) or assumed_listing(symbol) for symbol in recording.symbols}
    sessions = _sessions("nyse" if rules.hours == "auto" else rules.hours, recording.start, recording.end)
    warn_of_closed_hours(recording, sessions)
    source = ReplaySource(recording, lambda symbol: known[symbol].contract, sessions)
    start = recording.start
    clock: Clock = ReplayClock(start) if math.isinf(speed) else ScaledClock(start, speed)
    return _market(rules, _Prices(tuple(known.values()), sessions, source, start, clock, start), accounts, None)


@dataclass(frozen=True, slots=True)
class _Prices:
    """What differs between a recorded and an invented market."""

    listings: tuple[Listing, ...]
    sessions: Sessions
    source: PriceSource
    since: int  # epoch ns: the source's first moment
    clock: Clock
    first: int
    grow: Grow | None = None


def _market(
    rules: MarketRules, prices: _Prices, accounts: Mapping[AccountId, Decimal], state: ExchangeState | None
) -> Market:
    preset = _preset(rules.preset, prices.listings)
    fees = fee_schedule(rules.fees)
    listed = [
        Listed.of(each, rules.fees, shortable=each.local_symbol not in rules.hard_to_borrow) for each in prices.listings
    ]
    exchange = Exchange(listed, preset, prices.sessions, fees)
    for account_id, cash in accounts.items():
        exchange.open_account(account_id, cash)
    if state is not None:
        exchange.restore(state, prices.since)
    venue = Venue(exchange, prices.source, prices.clock, preset.fill_model, prices.grow)
    return Market(venue, prices.listings, prices.sessions, preset.latency, prices.first)


def _sessions(hours: str, start: int, end: int) -> Sessions:
    if hours == "always":
        return Sessions.always()
    return sessions_between(start - _SESSIONS_BEFORE, end + _SESSIONS_AFTER)


def _first_seeded(sessions: Sessions) -> int:
    return sessions.covers[0] if sessions.covers else FIRST_DAY * _DAY


def _preset(name: str, known: Iterable[Listing]) -> Preset:
    if name == "ideal":
        return IDEAL
    return realistic({each.con_id: Liquidity(units(each.half_spread), each.displayed_size) for each in known})
