"""What a journal counts of itself."""

from src.records.metrics.histogram import SECONDS, Histogram


class JournalCounts:
    """Commits, those that failed, and how long they took. Written under the journal's own turn."""

    __slots__ = ("commits", "failures", "seconds")

    def __init__(self) -> None:
        self.commits = self.failures = 0
        self.seconds = Histogram(SECONDS)
