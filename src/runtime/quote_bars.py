"""Quote bars as points in time: what bid and ask were, in the order in which a bar can have gone through them.

The convention is the exchange's for trade bars: open at the start, the extreme nearer to it at one third,
the farther one at two thirds, the close at the end less 1 ns. The low is (bid_low, ask_low), the high
(bid_high, ask_high). A point with bid above ask, or with neither, is left out; a missing side is NaN.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from src.runtime.tables import Floats, Ints

#: A spread wider than this part of the ask is a market maker's duty, not a market: it has no mid.
_WIDEST: Final = 0.1


@dataclass(frozen=True, slots=True)
class QuoteBars:
    """Quote bars of one symbol; `bid` and `ask` have a row a bar: open, high, low, close. Sizes in shares."""

    start: Ints
    end: Ints
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats


@dataclass(frozen=True, slots=True)
class QuotePoints:
    """Quotes of one symbol in time order; `last` is the close of the last trade bar that had ended, NaN without one."""

    time: Ints
    bar_end: Ints
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats
    last: Floats


def quote_points(bars: QuoteBars, ends: Ints, closes: Floats) -> QuotePoints:
    """The quotes that `bars` went through; `ends` and `closes` are the symbol's trade bars, which may be none."""
    bid, ask = _path(bars)
    length = (bars.end - bars.start)[:, None]
    times = bars.start[:, None] + np.array([0, 1, 2, 0]) * (length // 3)
    times[:, 3] = bars.end - 1
    kept = (bid <= ask) | (np.isnan(bid) != np.isnan(ask))
    time = times[kept]
    ended = np.searchsorted(ends, time, side="right") - 1
    return QuotePoints(
        time,
        np.broadcast_to(bars.end[:, None], kept.shape)[kept],
        bid[kept],
        ask[kept],
        np.broadcast_to(bars.bid_size[:, None], kept.shape)[kept],
        np.broadcast_to(bars.ask_size[:, None], kept.shape)[kept],
        np.concatenate([closes, [np.nan]])[ended],  # -1 is the last: before the first bar there was no print
    )


def mid_bars(bars: QuoteBars) -> tuple[Ints, list[Floats]]:
    """Bars of the mids: the rows that have one, and their open, high, low, close and volume, which is zero."""
    bid, ask = _path(bars)
    mids = np.where((bid <= ask) & (ask - bid <= _WIDEST * ask), (bid + ask) / 2, np.nan)
    sane = ~np.isnan(mids)
    rows = np.flatnonzero(sane.any(axis=1))
    mids, sane = mids[rows], sane[rows]
    each = np.arange(len(rows))
    opens, closes = mids[each, np.argmax(sane, axis=1)], mids[each, 3 - np.argmax(sane[:, ::-1], axis=1)]
    return rows, [opens, np.fmax.reduce(mids, axis=1), np.fmin.reduce(mids, axis=1), closes, np.zeros(len(rows))]


def _path(bars: QuoteBars) -> tuple[Floats, Floats]:
    """Bid and ask at the four points of each bar, in time order."""
    both = np.where(np.isnan(bars.bid), bars.ask, bars.bid) + np.where(np.isnan(bars.ask), bars.bid, bars.ask)
    opens, highs, lows, _ = both.T
    low_first = opens - lows <= highs - opens
    order = np.where(low_first[:, None], [0, 2, 1, 3], [0, 1, 2, 3])
    return np.take_along_axis(bars.bid, order, axis=1), np.take_along_axis(bars.ask, order, axis=1)
