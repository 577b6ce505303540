"""A progress bar on the terminal while a long session runs, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from src.runtime.clock import NS, iso
from src.trading.trader import Progress


@contextmanager
def progress_bar(minutes: float | None) -> Iterator[Progress]:
    """Show market time and bars; with a duration in market minutes, how much of it has passed."""
    from rich.console import Console  # only a terminal pays for it
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("waiting for the first bar", total=minutes)
        started: list[int] = []

        def report(moment: int, bars: int) -> None:
            if not started:
                started.append(moment)
            passed = (moment - started[0]) / (60 * NS)
            shown.update(task, description=f"{iso(moment)}  {bars:,} bars", completed=passed)

        yield report
