"""`make prove MINUTES=n`: the trials with random seeds for as long as is wanted, and what they prove so far.

    python -m tests.faults.prove --minutes 5 [--workers 6] [--only T1,T4] [--seed 1] [--record FILE] [--all-code]

Several processes try at once. Who is furthest behind its number of wanted trials is next, so that all come near it
together. What is counted is added to what earlier runs have counted of the same code (`.prove/record.json`, which git
ignores): of no failures in N trials follows, with 95 % confidence, that fewer than 3 in N fail. With --all-code the
counts of other code are added as well, and the table says of which. Two tables say it: by trial, and by promise with
the trials that test it; with --minutes 0 nothing is tried, and they are all that is done. A seed that fails is kept in
`regressions.txt`, which `make test` repeats for ever.
"""

import argparse
import os
import platform
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Final

from src.runtime.clock import monotonic, to_datetime, wall_clock
from tests.faults.record import Record, code, commit, table
from tests.faults.results import AS_IN_TESTS, Result, Sizes
from tests.faults.trials import PROOFS
from tests.faults.workers import folder_for_trials, work

_ROOT: Final = Path(__file__).resolve().parents[2]
REGRESSIONS: Final = Path(__file__).with_name("regressions.txt")
RECORD: Final = _ROOT / ".prove" / "record.json"
#: Trials wait more than they compute: so many processes for each processor keep it busy.
_WORKERS_EACH: Final = 4


def regressions(path: Path = REGRESSIONS) -> list[tuple[str, int, Sizes]]:
    """The trials and seeds that have failed once, and how large they were."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    wanted = [line.split("#", 1)[0].split() for line in lines]
    return [(words[0], int(words[1]), dict(map(_size, words[2:]))) for words in wanted if words]


def _size(word: str) -> tuple[str, int]:
    name, _, number = word.partition("=")
    return name, int(number)


def keep(name: str, seed: int, failure: str, path: Path = REGRESSIONS, *, sizes: Sizes = AS_IN_TESTS) -> None:
    """Keep a seed that has failed."""
    if (name, seed, sizes) not in regressions(path):
        words = [name, str(seed), *(f"{each}={number}" for each, number in sizes.items())]
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{' '.join(words)}  # {failure[:150]}\n")


class Schedule:
    """Whose turn it is: the trial that is furthest behind, by what is counted and what is being tried."""

    def __init__(self, record: Record, names: Sequence[str], first: int | None, ends: float) -> None:
        self._record, self._names, self._ends = record, names, ends
        begin = secrets.randbelow(2**30) if first is None else first
        self._seeds = {name: record.next_seed(name, begin) if first is None else first for name in names}
        self._trying: Counter[str] = Counter()
        self._lock = Lock()
        self.failed = 0

    def following(self, goes_first: bool) -> tuple[str, int, Sizes] | None:
        """The next trial and seed; None when none could end in time.

        A process that goes before others takes what is held against the clock, as long as enough of that is wanted.
        """
        with self._lock:
            left = self._ends - monotonic()
            names = [name for name in self._names if left > self._each(name, "seconds", 0.0)]
            if goes_first:
                names = [name for name in names if PROOFS[name].is_timed and self._share(name) < 1] or names
            else:
                names = [name for name in names if not PROOFS[name].is_timed] or names
            if left <= 0 or not names:
                return None
            name = min(names, key=self._share)
            seed, self._seeds[name] = self._seeds[name], self._seeds[name] + 1
            self._trying[name] += 1
            return name, seed, PROOFS[name].at_length

    def done(self, name: str, seed: int, result: Result, seconds: float) -> None:
        """Count what came of it, and keep what has failed."""
        with self._lock:
            self._trying[name] -= 1
            self._record.add(name, seed, result, seconds)
            if result.failures:
                self.failed += 1
                keep(name, seed, result.failures[0], sizes=PROOFS[name].at_length)
                print(f"\n{name} {seed}: " + "\n  ".join(result.failures[:4]), file=sys.stderr)
            print(".", end="", flush=True)

    def _share(self, name: str) -> float:
        (trials, _), wanted = self._record.of([name]), PROOFS[name].wanted
        return (trials + self._trying[name] * self._each(name, "trials", wanted / 100)) / wanted

    def _each(self, name: str, what: str, unknown: float) -> float:
        """What a seed of it has come to so far."""
        count = self._record.counts.get(name)
        return count[what] / count["seeds"] if count else unknown


def machine() -> str:
    """Where and when, for the record."""
    today = to_datetime(wall_clock()).astimezone(UTC)
    assert isinstance(today, datetime)
    return f"{today:%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} processors, {platform.system()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 when nothing failed in this run."""
    parser = argparse.ArgumentParser(prog="prove", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=_WORKERS_EACH * (os.cpu_count() or 1), help="processes at once")
    parser.add_argument("--only", default=",".join(PROOFS), help="trials, separated by commas")
    parser.add_argument("--seed", type=int, help="begin with this one; else after those tried before, or by chance")
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--folder", default=folder_for_trials(), help="where journals are made; else in memory")
    parser.add_argument("--all-code", action="store_true", help="add what was counted of other code")
    wish = parser.parse_args(arguments)
    tried = code()
    record = Record(wish.record, tried, commit())
    began = monotonic()
    schedule = Schedule(record, wish.only.split(","), wish.seed, began + 60 * wish.minutes)
    work(wish.workers, wish.folder, schedule.following, schedule.done)
    minutes, load = (monotonic() - began) / 60, f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"\n{machine()}, {wish.workers} processes in {wish.folder}, {minutes:.1f} minutes{load}")
    others = record.others
    if others and wish.all_code:
        print(f"Of commit {commit()} (code {tried}), and added to it, of other code: {', '.join(others)}")
    else:
        print(f"Of commit {commit()} (code {tried})" + "; other code was tried as well: --all-code" * bool(others))
    print(table(record, PROOFS, *(others.values() if wish.all_code else ())))
    return 1 if schedule.failed else 0


if __name__ == "__main__":
    sys.exit(main())
