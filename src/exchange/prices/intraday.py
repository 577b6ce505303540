"""Level two of a seeded path: one session at one-second resolution, from its open to the close that level one drew.

A Brownian bridge in variance time. Variance and volume follow the session's shape (a U for a session with open and
close, a gentle wave over 24 hours) times clusters of some minutes. Everything of a day comes from the generator of
(seed, name, day): it does not matter when the day is asked for, or how finely.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from src.exchange.listings import Listing
from src.exchange.prices.daily import DailyWalk, clustered, generator, index_of

if TYPE_CHECKING:
    from src.exchange.prices.daily import Floats

_BRIDGE, _BOOK = 2, 3  # levels of the generators
_MINUTE: Final = 60
_PERSISTENCE: Final = 0.95
_SPREAD: Final = 0.3
_REGULAR_SECONDS: Final = 23_400
_DAY_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Bridge:
    """A session of one name, `seconds` + 1 points: log return and variance since the open; activity a second."""

    moved: "Floats"
    variance: "Floats"
    activity: "Floats"


@dataclass(frozen=True, slots=True)
class SessionPrices:
    """One symbol's session, a row a second: prints, quotes (dollars), displayed sizes, and shares traded before it."""

    last: "Floats"
    bid: "Floats"
    ask: "Floats"
    bid_size: "Floats"
    ask_size: "Floats"
    traded: "Floats"


def bridge(walk: DailyWalk, seed: int, name: str, day: int, seconds: int) -> Bridge:
    """The session of `day`, `seconds` long, in the walk of `name`."""
    import numpy as np

    chance = generator(seed, name, _BRIDGE, day)
    clusters = clustered(chance.standard_normal(-(-seconds // _MINUTE)), _PERSISTENCE, _SPREAD)
    activity = np.repeat(clusters, _MINUTE)[:seconds]
    weights = _shapes(seconds)[0] * activity
    weights /= weights.sum()
    elapsed = np.append(0.0, np.cumsum(weights))
    noise = np.append(0.0, np.cumsum(np.sqrt(weights) * chance.standard_normal(seconds)))
    i = index_of(day)
    variance = float(walk.day_variance[i])
    moved = variance**0.5 * (noise - elapsed * noise[-1]) + elapsed * walk.day[i]
    return Bridge(moved, variance * elapsed, activity)


def session_prices(listing: Listing, seed: int, day: int, exact: "Floats", activity: "Floats") -> SessionPrices:
    """Prints, quotes, sizes and volume around the exact prices of a session (dollars, one a second)."""
    import numpy as np

    seconds = len(exact)
    tick = float(listing.min_tick)
    if listing.daily_volume:
        mid = np.maximum(np.rint(exact / tick * 2) / 2, 1)  # ticks, on the half-tick grid: outward rounding stays even
        last = np.rint(mid)
    else:  # no prints, which lie on the tick: the middle of a market that is one tick wide
        last = mid = np.maximum(np.floor(exact / tick), 1) + 0.5
    half = listing.half_spread / tick
    bid = np.maximum(np.floor(mid - half + 1e-9), 1)
    ask = np.maximum(np.ceil(mid + half - 1e-9), bid + 1)
    per_dollar = round(1 / tick)
    chance = generator(seed, listing.local_symbol, _BOOK, day)
    lot = 100 if listing.displayed_size >= 100 else 1
    sizes = np.rint(listing.displayed_size / lot * np.exp(0.5 * chance.standard_normal((2, seconds)) - 0.125))
    bid_size, ask_size = np.maximum(sizes, 1) * lot
    weights = _shapes(seconds)[1] * activity
    session_share = 1.0 if seconds == _DAY_SECONDS else seconds / _REGULAR_SECONDS
    total = listing.daily_volume * session_share / float(_shapes(seconds)[1].sum())
    traded = np.floor(np.append(0.0, np.cumsum(weights)) * total)
    return SessionPrices(last / per_dollar, bid / per_dollar, ask / per_dollar, bid_size, ask_size, traded)


@lru_cache(maxsize=8)
def _shapes(seconds: int) -> "tuple[Floats, Floats]":
    """Relative variance and volume of each second of a session."""
    import numpy as np

    passed = (np.arange(seconds) + 0.5) / seconds
    if seconds == _DAY_SECONDS:  # round the clock: a wave whose crest is New York's session
        wave = np.cos(2 * np.pi * (passed - 17 / 24))
        return 1 + 0.4 * wave, 1 + 0.6 * wave
    left = 1 - passed
    variance = 0.7 + 2.0 * np.exp(-passed / 0.06) + 0.8 * np.exp(-left / 0.05)
    return variance, 0.7 + 1.5 * np.exp(-passed / 0.06) + 2.0 * np.exp(-left / 0.04)
