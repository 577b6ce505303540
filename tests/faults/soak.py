"""`make soak HOURS=8`: a session that trades for hours, with its connection cut now and then; what grows is said.

    python -m tests.faults.soak --hours 8 [--every 60] [--pause 0.5] [--cut 120]

The gateway is a process of its own, so that what is measured is the trader alone. After a warm-up (a tenth of the time)
neither threads nor open files may grow, memory by a megabyte an hour at most, the journal with its facts alone (I21).
"""

import argparse
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import linear_regression
from typing import Final

from src.domain.errors import BrokerError
from src.runtime.clock import monotonic
from tests.faults.harness import ACCOUNT, Opener, market_order, pause, quiet
from tests.faults.prove import machine
from tests.faults.proxy import Do, FaultProxy

_ROOT: Final = Path(__file__).resolve().parents[2]
_MOST_GROWTH: Final = 1.0  # megabytes an hour


@dataclass(frozen=True, slots=True)
class Sample:
    """The trader's process at one moment; memory in megabytes."""

    hours: float
    threads: int
    files: int
    memory: float
    journal: float
    orders: int

    def __str__(self) -> str:
        return (
            f"{self.hours * 60:8.1f} min  {self.threads} threads  {self.files} files  {self.memory:.1f} MB"
            f"  journal {self.journal:.2f} MB  {self.orders} orders"
        )


def sample(began: float, folder: Path, orders: int) -> Sample:
    """Look at this process. Linux alone tells."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    size = sum(each.stat().st_size for each in folder.rglob("*.sqlite3*"))
    files = len(list(Path("/proc/self/fd").iterdir()))
    return Sample(
        (monotonic() - began) / 3600, threading.active_count(), files, int(found[1]) / 1024, size / 2**20, orders
    )


@contextmanager
def gateway() -> Iterator[int]:
    """The paper gateway as a process; its port."""
    command = [sys.executable, "-m", "src", "serve-tws", "--port", "0", "--account", ACCOUNT, "--latency", "0"]
    with subprocess.Popen(
        [*command, "--cash", "10000000", "--market-hours", "always", "--preset", "ideal"],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().rsplit(":", 1)[1])
        finally:
            process.terminate()


def findings(samples: Sequence[Sample]) -> list[str]:
    """What has grown since the warm-up."""
    warm = samples[max(1, len(samples) // 10) :]
    if len(warm) < 3:
        return ["too few samples to tell"]
    first, last, found = warm[0], warm[-1], list[str]()
    # What lasts: a file that is open for the moment of a look is no growth.
    threads, files = min(each.threads for each in warm[-3:]), min(each.files for each in warm[-3:])
    if threads > max(each.threads for each in warm[:3]):
        found.append(f"I21: threads grew from {first.threads} to {threads}")
    if files > max(each.files for each in warm[:3]):
        found.append(f"I21: open files grew from {first.files} to {files}")
    slope = linear_regression([each.hours for each in warm], [each.memory for each in warm]).slope
    per_order = (last.memory - first.memory) * 2**20 / max(last.orders - first.orders, 1)
    written = (last.journal - first.journal) * 2**20 / max(last.orders - first.orders, 1)
    print(f"memory {slope:+.2f} MB an hour, {per_order:+.0f} bytes an order; journal {written:.0f} bytes an order")
    if slope > _MOST_GROWTH:
        found.append(f"I21: memory grows by {slope:.2f} MB an hour")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Trade, sample, and say what grew; 0 when nothing did."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two samples")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two orders")
    parser.add_argument("--cut", type=float, default=120.0, help="seconds between two ends of the connection")
    wish = parser.parse_args(arguments)
    quiet()
    samples, chance, orders = list[Sample](), Random(1), 0  # noqa: S311  # chance that can be repeated
    with tempfile.TemporaryDirectory(prefix="soak-") as name, gateway() as port, FaultProxy(port) as proxy:
        folder = Path(name)
        proxy.remembers = False  # the proxy's memory is none of the trader's
        broker = Opener(folder).open(proxy.port)
        began = monotonic()
        ended, sample_at, cut_at = began + 3600 * wish.hours, began, began + wish.cut
        while (now := monotonic()) < ended:
            if now >= sample_at:
                sample_at += wish.every
                samples.append(sample(began, folder, orders))
                print(samples[-1], flush=True)
            if now >= cut_at:
                cut_at += wish.cut
                proxy.end(chance.choice([Do.RESET, Do.FIN]))
            with suppress(BrokerError):
                broker.place_order(market_order(broker, chance.choice(["BUY", "SELL"]), chance.randint(1, 9)))
                orders += 1
            pause(wish.pause)
        broker.disconnect()
    found = findings(samples)
    print(machine(), *found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
