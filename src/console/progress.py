"""A progress bar on the terminal while a long session runs, on standard error."""

from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

from src.domain.market import Bar
from src.runtime.clock import NS, iso
from src.trading.observer import Observer

#: Bars between two looks: a replay at full speed has hundreds of thousands a second.
_BARS_PER_REPORT: Final = 2_000


class ProgressBar(Observer):
    """Shows market time and bars; with a duration in market minutes, how much of it has passed."""

    def __init__(self, minutes: float | None) -> None:
        from rich.console import Console  # only a terminal pays for it
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._shown = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._shown.add_task("waiting for the first bar", total=minutes)
        self._started: int | None = None
        self._bars = self._report_at = 0

    def bars(self, bars: Sequence[Bar], equity: float) -> None:
        """Count them, and show where the market is now and then."""
        del equity
        self._bars += len(bars)
        if self._bars < self._report_at:
            return
        self._report_at = self._bars + _BARS_PER_REPORT
        moment = bars[0].end
        if self._started is None:
            self._started = moment
        passed = (moment - self._started) / (60 * NS)
        self._shown.update(self._task, description=f"{iso(moment)}  {self._bars:,} bars", completed=passed)

    def __enter__(self) -> Self:
        self._shown.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._shown.stop()
