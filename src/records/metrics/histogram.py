"""A histogram in plain slots: one `bisect` and two additions an observation, and no lock."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

#: Seconds that something outside of the process takes: a request, a commit.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Histogram:
    """Counts by upper bound; the last count is of what lies above all bounds. Written by one thread, read by any."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[tuple[str, float]]:
        """(bound, number of values up to it), as Prometheus wants them; the last bound is +Inf."""
        running, buckets = 0, []
        for bound, count in zip((*map(repr, self.bounds), "+Inf"), tuple(self.counts), strict=True):
            running += count
            buckets.append((bound, float(running)))
        return buckets
