"""Puts a simulated market together from the settings: sessions, prices, exchange, clock, venue, broker."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from src.brokers.simulated import SimulatedBroker
from src.domain.errors import ConfigurationError
from src.domain.market import Contract
from src.domain.orders import AccountId
from src.exchange.commission import fee_schedule
from src.exchange.exchange import Exchange, Listed
from src.exchange.fill_models import IDEAL, Liquidity, Preset, realistic
from src.exchange.listings import Listing, assumed_listing, listing, listings
from src.exchange.prices import PriceSource, SeededSource
from src.exchange.sessions import Sessions
from src.exchange.state import ExchangeState
from src.exchange.units import units
from src.runtime.calendars import sessions_between
from src.runtime.clock import NS, Clock, ReplayClock, ScaledClock, SystemClock, wall_clock
from src.runtime.venue import Grow, Venue

if TYPE_CHECKING:
    from src.brokers.opening import Play
    from src.records.simulated_account import SimulatedAccountFile
    from src.runtime.files import Recording
    from src.settings import Settings

#: The simulated account: `SIM` can be taken for no real one.
ACCOUNT: Final = AccountId("SIM0001")
_DAY: Final = 86_400 * NS
_SESSIONS_BEFORE: Final = 15 * _DAY
_SESSIONS_AFTER: Final = 366 * _DAY
_BEFORE_START: Final = 2 * NS


def open_simulated(settings: "Settings", play: "Play") -> SimulatedBroker:
    """A broker over a market of its own: recorded prices when `play.replay` names files, seeded ones otherwise.

    With `play.persistent` the account is read from, and written to, the state folder.
    """
    if play.replay:
        from src.runtime.files import load

        return open_recorded(settings, load(play.replay, settings.symbols or None), play.speed)
    if not play.persistent:
        return _broker(settings, _seeded(settings, play, None))
    from src.records.simulated_account import SimulatedAccountFile

    file = SimulatedAccountFile(settings.state_dir)
    try:
        state = file.load()
        return _broker(settings, _seeded(settings, play, state), file, state)
    except BaseException:
        file.close()
        raise


def open_recorded(settings: "Settings", recording: "Recording", speed: float = math.inf) -> SimulatedBroker:
    """A broker over recorded prices; `speed` is market seconds per real second."""
    from src.runtime.replay import ReplaySource

    known = {symbol: listing(symbol) or assumed_listing(symbol) for symbol in recording.symbols}
    hours = "nyse" if settings.sim_market_hours == "auto" else settings.sim_market_hours
    sessions = _sessions(hours, recording.start, recording.end)
    source = ReplaySource(recording, lambda symbol: known[symbol].contract, sessions)
    start = recording.start
    clock: Clock = ReplayClock(start) if math.isinf(speed) else ScaledClock(start, speed)
    return _broker(settings, _Market(tuple(known.values()), sessions, source, start, clock))


@dataclass(frozen=True, slots=True)
class _Market:
    """What differs between a recorded and an invented market."""

    listings: tuple[Listing, ...]
    sessions: Sessions
    source: PriceSource
    since: int  # epoch ns: the source's first moment
    clock: Clock
    grow: Grow | None = None


def _seeded(settings: "Settings", play: "Play", state: ExchangeState | None) -> _Market:
    wanted = [found for symbol in settings.symbols if (found := listing(symbol)) is not None]
    unknown = sorted(set(settings.symbols) - {each.symbol for each in wanted})
    if unknown:
        listed = ", ".join(each.symbol for each in listings())
        raise ConfigurationError(f"no invented prices of {', '.join(unknown)}: there are {listed}")
    start = wall_clock() if play.start is None else play.start
    since = start if math.isinf(play.speed) else start - _BEFORE_START  # so that the first question has a price
    earliest = since
    if state is not None and state.now > 0:
        since, earliest = max(since, state.now + 1), min(since, state.now)
    hours = "always" if settings.sim_market_hours == "auto" else settings.sim_market_hours
    sessions = _sessions(hours, earliest, start)
    clock: Clock
    if math.isinf(play.speed):
        clock = ReplayClock(since)
    elif play.speed == 1.0 and play.start is None:
        clock = SystemClock()
    else:
        clock = ScaledClock(start, play.speed)
    have = list(wanted or listings()[:2])

    def grow(contract: Contract, moment: int) -> PriceSource:
        have.extend(each for each in listings() if each.contract == contract)
        return SeededSource(tuple(have), settings.sim_seed, sessions, moment)

    source = SeededSource(tuple(have), settings.sim_seed, sessions, since)
    return _Market(listings(), sessions, source, since, clock, grow)


def _broker(
    settings: "Settings",
    market: _Market,
    file: "SimulatedAccountFile | None" = None,
    state: ExchangeState | None = None,
) -> SimulatedBroker:
    preset = _preset(settings.sim_preset, market.listings)
    listed = [Listed(each.contract, each.min_tick) for each in market.listings]
    exchange = Exchange(listed, preset, market.sessions, fee_schedule(settings.sim_fees))
    exchange.open_account(ACCOUNT, settings.initial_capital)
    if state is not None:
        exchange.restore(state, market.since)
    venue = Venue(exchange, market.source, market.clock, preset.fill_model, market.grow)
    details = tuple(each.details for each in market.listings)
    return SimulatedBroker(venue, ACCOUNT, details, preset.latency, file)


def _sessions(hours: str, start: int, end: int) -> Sessions:
    if hours == "always":
        return Sessions.always()
    return sessions_between(start - _SESSIONS_BEFORE, end + _SESSIONS_AFTER)


def _preset(name: str, known: Iterable[Listing]) -> Preset:
    if name == "ideal":
        return IDEAL
    return realistic({each.con_id: Liquidity(units(each.half_spread), each.displayed_size) for each in known})
