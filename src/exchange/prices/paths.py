"""Invented prices: seeded, correlated, restless in clusters, and without drift. P&L on them says nothing of a strategy.

price(t) = close * exp(beta * M(t) + I(t) - half the variance of both), with M the market factor, I the symbol's own
walk, and `close` the listing's real close of its date. So E[price(t)] given all before s is price(s): a martingale.
The walk sets out from the real close again every ten years, forwards and backwards: without that an exponential
martingale ends at one cent in 2100. Those few nights (the next is 2034-12-29) jump.

A path is a function of (seed, symbol, session): not of where one starts, how finely one steps, or who else is there.
Prints are whole ticks, one tick at least; a quote is the mid -+ the half spread, rounded outward to the tick.
"""

from typing import Final

from src.exchange.listings import Listing
from src.exchange.prices.daily import FIRST_DAY, DailyWalk
from src.exchange.prices.intraday import Bridge, SessionPrices, bridge, session_prices

_DAY_SECONDS: Final = 86_400
_ERA_DAYS: Final = 3650
_FACTOR: Final = "*market*"
_FACTOR_VOLATILITY: Final = 0.15
_LEAST_OWN_VOLATILITY: Final = 0.02
_EPOCH_ORDINAL: Final = 719_163  # date(1970, 1, 1).toordinal()
_KEPT_SESSIONS: Final = 3

Block = tuple[int, int]
"""Open and close of a session, in epoch seconds."""


class Paths:
    """The prices of every session of some listings, made when asked for; a few sessions are kept."""

    def __init__(self, seed: int, *, always: bool) -> None:
        self._seed, self._always = seed, always
        self._walks: dict[str, DailyWalk] = {}
        self._factor: dict[Block, Bridge] = {}
        self._sessions: dict[str, dict[Block, SessionPrices]] = {}

    def session(self, listing: Listing, block: Block) -> SessionPrices:
        """The prices of `listing` in the session `block`."""
        kept = self._sessions.setdefault(listing.local_symbol, {})
        if block not in kept:
            _forget_oldest(kept)
            kept[block] = self._make(listing, block)
        return kept[block]

    def _make(self, listing: Listing, block: Block) -> SessionPrices:
        import numpy as np

        day, seconds = block[0] // _DAY_SECONDS, block[1] - block[0]
        anchor = listing.last_close_date.toordinal() - _EPOCH_ORDINAL
        base = max(anchor + (day - anchor - 1) // _ERA_DAYS * _ERA_DAYS, FIRST_DAY)
        own_variance = listing.annual_volatility**2 - (listing.beta * _FACTOR_VOLATILITY) ** 2
        factor = self._walk(_FACTOR, _FACTOR_VOLATILITY)
        own = self._walk(listing.local_symbol, max(own_variance, _LEAST_OWN_VOLATILITY**2) ** 0.5)
        if block not in self._factor:
            _forget_oldest(self._factor)
            self._factor[block] = bridge(factor, self._seed, _FACTOR, day, seconds)
        market, mine = self._factor[block], bridge(own, self._seed, listing.local_symbol, day, seconds)
        (market_open, market_variance), (own_open, own_open_variance) = (
            factor.at_open(day, base),
            own.at_open(day, base),
        )
        beta = listing.beta
        moved = beta * (market_open + market.moved[:-1]) + own_open + mine.moved[:-1]
        variance = beta**2 * (market_variance + market.variance[:-1]) + own_open_variance + mine.variance[:-1]
        exact = listing.last_close * np.exp(moved - variance / 2)
        return session_prices(listing, self._seed, day, exact, np.sqrt(market.activity * mine.activity))

    def _walk(self, name: str, annual_volatility: float) -> DailyWalk:
        if name not in self._walks:
            self._walks[name] = DailyWalk(self._seed, name, annual_volatility, always=self._always)
        return self._walks[name]


def _forget_oldest(kept: "dict[Block, Bridge] | dict[Block, SessionPrices]") -> None:
    if len(kept) >= _KEPT_SESSIONS:
        kept.pop(next(iter(kept)))
