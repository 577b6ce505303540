"""A histogram in plain slots: one `bisect` and two additions an observation, and no lock."""

from bisect import bisect_left
from collections.abc import Sequence


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
