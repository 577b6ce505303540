"""`make prove MINUTES=n`: the trials with random seeds for as long as is wanted, and what they prove so far.

    python -m tests.faults.prove --minutes 5 [--only T1,T4] [--seed 1] [--record FILE]

What is counted is added to what earlier runs have counted (`.prove/record.json`, which git ignores): of no failures in
N trials follows, with 95 % confidence, that fewer than 3 in N fail. A seed that fails is kept in `regressions.txt`,
which `make test` repeats for ever.
"""

import argparse
import json
import os
import platform
import secrets
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from src.runtime.clock import monotonic, to_datetime, wall_clock
from tests.faults.harness import quiet
from tests.faults.results import Proof, Result
from tests.faults.trials import PROOFS

_ROOT: Final = Path(__file__).resolve().parents[2]
REGRESSIONS: Final = Path(__file__).with_name("regressions.txt")
RECORD: Final = _ROOT / ".prove" / "record.json"
_CONFIDENCE: Final = 3.0  # -ln(0.05): the rule of three


def regressions(path: Path = REGRESSIONS) -> list[tuple[str, int]]:
    """The trials and seeds that have failed once."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    wanted = [line.split("#", 1)[0].split() for line in lines]
    return [(words[0], int(words[1])) for words in wanted if words]


def keep(name: str, seed: int, failure: str, path: Path = REGRESSIONS) -> None:
    """Keep a seed that has failed."""
    if (name, seed) not in regressions(path):
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{name} {seed}  # {failure[:150]}\n")


def one(name: str, seed: int) -> Result:
    """The trials of one seed, in a folder of their own; an error of the harness is a failure as well."""
    with tempfile.TemporaryDirectory(prefix="prove-") as folder:
        try:
            return PROOFS[name].run(Path(folder), seed)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            return Result(1, [f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"])


def seeds(first: int | None) -> Iterator[int]:
    """`first` and those after it, or random ones."""
    while True:
        yield secrets.randbelow(2**31) if first is None else first
        first = None if first is None else first + 1


class Record:
    """What all runs together have counted, by trial: trials, failures, seconds, seeds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.counts: dict[str, dict[str, Any]] = {}
        with suppress(FileNotFoundError):
            self.counts = json.loads(path.read_text(encoding="utf-8"))

    def add(self, name: str, seed: int, result: Result, seconds: float) -> None:
        """Count one seed's trials, and write it down."""
        count = self.counts.setdefault(name, {"trials": 0, "failures": 0, "seeds": 0, "seconds": 0.0, "failed": []})
        count["trials"] += result.trials
        count["failures"] += bool(result.failures)
        count["seeds"] += 1
        count["seconds"] = round(count["seconds"] + seconds, 1)
        count["failed"] += [[seed, each] for each in result.failures[:1]]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self.counts, indent=1), encoding="utf-8")
        fresh.replace(self._path)

    def of(self, names: Sequence[str]) -> tuple[int, int]:
        """Trials and failures of these trials together."""
        counted = [self.counts[name] for name in names if name in self.counts]
        return sum(each["trials"] for each in counted), sum(each["failures"] for each in counted)


def bound(trials: int, failures: int) -> str:
    """The failure rate that so many trials leave possible, at 95 %."""
    if not trials:
        return "nothing"
    return f"< {_CONFIDENCE / trials:.2%}" if not failures else f"{failures} in {trials}"


def table(record: Record, proofs: Mapping[str, Proof]) -> str:
    """What is proven so far, by trial and by invariant."""
    lines = [f"{'trial':<7}{'seeds':>7}{'trials':>9}{'failures':>10}  failure rate at 95 %"]
    for name in proofs:
        trials, failures = record.of([name])
        count = record.counts.get(name, {"seeds": 0})
        lines.append(f"{name:<7}{count['seeds']:>7}{trials:>9}{failures:>10}  {bound(trials, failures)}")
    lines.append(f"{'invariant':<14}{'trials':>9}{'failures':>10}  failure rate at 95 %    by")
    invariants = sorted(
        {each for proof in proofs.values() for each in proof.invariants}, key=lambda each: int(each[1:])
    )
    for invariant in invariants:
        names = [name for name, proof in proofs.items() if invariant in proof.invariants]
        trials, failures = record.of(names)
        lines.append(f"{invariant:<14}{trials:>9}{failures:>10}  {bound(trials, failures):<22}  {', '.join(names)}")
    return "\n".join(lines)


def machine() -> str:
    """Where and when, for the record."""
    today = to_datetime(wall_clock()).astimezone(UTC)
    assert isinstance(today, datetime)
    return f"{today:%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} processors, {platform.system()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 0 when nothing failed in this run."""
    parser = argparse.ArgumentParser(prog="prove", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--only", default=",".join(PROOFS), help="trials, separated by commas")
    parser.add_argument("--seed", type=int, help="begin with this one, and count up; else seeds are random")
    parser.add_argument("--record", type=Path, default=RECORD)
    wish = parser.parse_args(arguments)
    quiet()
    record, ended, failed = Record(wish.record), monotonic() + 60 * wish.minutes, 0
    names = wish.only.split(",")
    for seed in seeds(wish.seed):
        for name in names:
            if monotonic() > ended:
                print(f"\n{machine()}\n{table(record, PROOFS)}")
                return 1 if failed else 0
            started = monotonic()
            result = one(name, seed)
            record.add(name, seed, result, monotonic() - started)
            if result.failures:
                failed += 1
                keep(name, seed, result.failures[0])
                print(f"\n{name} {seed}: " + "\n  ".join(result.failures[:4]), file=sys.stderr)
            print(".", end="", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
