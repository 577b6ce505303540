"""`make soak HOURS=8`: a session that trades for hours, with its connection cut now and then; what grows is said.

    python -m tests.faults.soak --hours 8 [--every 15] [--pause 3] [--stretch 300] [--cut 120]

The gateway is a process of its own, so that what is measured is the trader alone, with a session's own intervals. It
trades in stretches and rests in between, its connection cut in both: so what grows with the orders can be told from
what grows by itself. A session keeps the orders of its day, here and in the library: what an order takes is said and
bounded. Beyond that nothing may grow after a warm-up (a tenth of the time): neither threads nor open files, memory by a
megabyte an hour at most, the journal by its facts (I21). A rate that the memory's own ups and downs hide is called so.
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
from typing import Final

import numpy as np

from src.brokers.tws.timing import Timing
from src.domain.errors import BrokerError
from src.runtime.clock import monotonic
from tests.faults.harness import ACCOUNT, Opener, market_order, pause, quiet
from tests.faults.prove import machine
from tests.faults.proxy import Do, FaultProxy

_ROOT: Final = Path(__file__).resolve().parents[2]
_MOST_GROWTH: Final = 1.0  # megabytes an hour, beyond the orders
_MOST_AN_ORDER: Final = 32_000  # bytes of memory; two thirds are the library's own Trade, Order and events
_MOST_WRITTEN: Final = 2_000  # bytes of journal an order
#: Standard errors to each side of a rate that hold it, 95 times in a hundred.
_SPREAD: Final = 2.0


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


@dataclass(frozen=True, slots=True)
class Growth:
    """How memory grew: bytes an order, and megabytes an hour beyond the orders, each with its standard error."""

    an_order: float
    an_order_error: float
    an_hour: float
    an_hour_error: float

    @staticmethod
    def of(samples: Sequence[Sample]) -> "Growth":
        """Least squares: memory = a + b * orders + c * hours."""
        table = np.array([(1.0, each.orders, each.hours) for each in samples])
        memory = np.array([each.memory for each in samples])
        found, *_ = np.linalg.lstsq(table, memory, rcond=None)
        rest = memory - table @ found
        variance = rest @ rest / max(len(samples) - 3, 1)
        errors = np.sqrt(np.diag(np.linalg.pinv(table.T @ table)) * variance)
        return Growth(found[1] * 2**20, errors[1] * 2**20, found[2], errors[2])


def sample(began: float, folder: Path, orders: int) -> Sample:
    """Look at this process. Linux alone tells."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    size = sum(each.stat().st_size for each in folder.rglob("*.sqlite3"))
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
    """What has grown since the warm-up and should not have."""
    warm = samples[max(1, len(samples) // 10) :]
    if len(warm) < 6:
        return ["too few samples to tell"]
    first, last, found = warm[0], warm[-1], list[str]()
    # What lasts: a file that is open for the moment of a look is no growth.
    threads, files = min(each.threads for each in warm[-3:]), min(each.files for each in warm[-3:])
    if threads > max(each.threads for each in warm[:3]):
        found.append(f"I21: threads grew from {first.threads} to {threads}")
    if files > max(each.files for each in warm[:3]):
        found.append(f"I21: open files grew from {first.files} to {files}")
    grew = Growth.of(warm)
    written = (last.journal - first.journal) * 2**20 / max(last.orders - first.orders, 1)
    spread = _SPREAD * grew.an_hour_error
    print(
        f"memory: {grew.an_order:,.0f} (+- {_SPREAD * grew.an_order_error:,.0f}) bytes an order, at most "
        f"{_MOST_AN_ORDER:,}; beyond the orders {grew.an_hour:+.2f} (+- {spread:.2f}) MB an hour, at most "
        f"{_MOST_GROWTH:g}; journal: {written:,.0f} bytes an order"
    )
    if grew.an_order - _SPREAD * grew.an_order_error > _MOST_AN_ORDER:
        found.append(f"I21: an order takes {grew.an_order:,.0f} bytes of memory")
    if grew.an_hour - spread > _MOST_GROWTH:
        found.append(f"I21: memory grows by {grew.an_hour:.2f} MB an hour beyond the orders")
    elif grew.an_hour + spread > _MOST_GROWTH:
        print(f"too short to tell whether memory grows by less than {_MOST_GROWTH:g} MB an hour: trade for longer")
    if written > _MOST_WRITTEN:
        found.append(f"I21: the journal grows by {written:,.0f} bytes an order")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Trade, sample, and say what grew; 0 when nothing did that should not."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--every", type=float, default=15.0, help="seconds between two samples")
    parser.add_argument("--pause", type=float, default=3.0, help="seconds between two orders")
    parser.add_argument("--stretch", type=float, default=300.0, help="seconds of trading, and of rest after them")
    parser.add_argument("--cut", type=float, default=120.0, help="seconds between two ends of the connection")
    wish = parser.parse_args(arguments)
    quiet()
    samples, chance, orders = list[Sample](), Random(1), 0  # noqa: S311  # chance that can be repeated
    usual = {"connect_timeout": 10.0, "order_timeout": 5.0, "read_timeout": 30.0, "reconnect_delay": 1.0}
    with tempfile.TemporaryDirectory(prefix="soak-") as name, gateway() as port, FaultProxy(port) as proxy:
        folder = Path(name)
        proxy.remembers = False  # the proxy's memory is none of the trader's
        broker = Opener(folder, timing=Timing(), **usual).open(proxy.port)
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
            if (now - began) // wish.stretch % 2 == 0:
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
