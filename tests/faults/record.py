"""What the runs of `make prove` have counted, by the code that was tried, and what follows from it."""

import hashlib
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.faults.results import Proof, Result

_ROOT: Final = Path(__file__).resolve().parents[2]
_CONFIDENCE: Final = 3.0  # -ln(0.05): the rule of three
Counts = dict[str, dict[str, Any]]


def code() -> str:
    """What stands for the code that is tried, the program's and the trials' own: the same for the same files."""
    found = hashlib.sha256()
    for path in sorted((*(_ROOT / "src").rglob("*.py"), *(_ROOT / "tests" / "faults").glob("*.py"))):
        found.update(f"{path.relative_to(_ROOT).as_posix()}\0".encode() + path.read_bytes())
    return found.hexdigest()[:10]


def commit() -> str:
    """The commit that the code is of, as git names it; with a plus where files differ from it."""
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(command, cwd=_ROOT, capture_output=True, check=True, encoding="utf-8").stdout.strip()
    return "no commit"


class Record:
    """The counts in a file, by code and trial: trials, failures, seeds, seconds. `tried` is the code at hand."""

    def __init__(self, path: Path, tried: str, name: str = "") -> None:
        self._path, self._tried = path, tried
        self._all: dict[str, dict[str, Any]] = {}
        with suppress(FileNotFoundError):
            self._all = json.loads(path.read_text(encoding="utf-8"))
        own = self._all.setdefault(tried, {"commit": name, "counts": {}})
        own["commit"] = name or own["commit"]
        self.counts: Counts = own["counts"]

    @property
    def others(self) -> dict[str, Counts]:
        """What was counted of other code, by its commit."""
        return {
            f"{each['commit']} (code {tried})": each["counts"]
            for tried, each in self._all.items()
            if tried != self._tried and each["counts"]
        }

    def next_seed(self, name: str, first: int) -> int:
        """The seed after those that were tried; `first` when none was."""
        return int(self.counts.get(name, {}).get("next", first))

    def add(self, name: str, seed: int, result: Result, seconds: float) -> None:
        """Count one seed's trials, and write it down."""
        fresh = {"trials": 0, "failures": 0, "seeds": 0, "seconds": 0.0, "first": seed, "next": seed, "failed": []}
        count = self.counts.setdefault(name, fresh)
        count["trials"] += result.trials
        count["failures"] += bool(result.failures)
        count["seeds"] += 1
        count["seconds"] = round(count["seconds"] + seconds, 1)
        count["next"] = max(count["next"], seed + 1)
        count["failed"] += [[seed, each] for each in result.failures[:1]]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh_file = self._path.with_suffix(".new")
        fresh_file.write_text(json.dumps(self._all, indent=1), encoding="utf-8")
        fresh_file.replace(self._path)

    def of(self, names: Iterable[str], *more: Counts) -> tuple[int, int]:
        """Trials and failures of these trials together; with `more`, of other code as well."""
        counted = [counts[name] for counts in (self.counts, *more) for name in names if name in counts]
        return sum(each["trials"] for each in counted), sum(each["failures"] for each in counted)


def bound(trials: int, failures: int) -> str:
    """The failure rate that so many trials leave possible, at 95 %, in per cent."""
    if not trials:
        return "nothing"
    return f"< {min(100.0, 100 * _CONFIDENCE / trials):.3g} %" if not failures else f"{failures} in {trials:,}"


def table(record: Record, proofs: Mapping[str, Proof], *more: Counts) -> str:
    """What is proven so far, by trial and by invariant; `more` is of other code, and is added."""
    head = f"{'trial':<6}{'trials':>10}{'wanted':>11}{'done':>6}{'failures':>10}  {'rate, 95 %':<12}"
    lines = [f"{head}{'seeds from':>11}{'':>7}  a trial is"]
    for name, proof in proofs.items():
        trials, failures = record.of([name], *more)
        count = record.counts.get(name, {"seeds": 0, "first": ""})
        lines.append(
            f"{name:<6}{trials:>10,}{proof.wanted:>11,}{trials / proof.wanted:>6.0%}{failures:>10}"
            f"  {bound(trials, failures):<12}{count['first']:>11}{'+' + str(count['seeds']):>7}  {proof.unit}"
        )
    lines.append(f"{'promise':<16}{'trials':>11}{'':>6}{'failures':>10}  {'rate, 95 %':<12}by")
    for invariant in _invariants(proofs.values()):
        names = [name for name, proof in proofs.items() if invariant in proof.invariants]
        trials, failures = record.of(names, *more)
        lines.append(
            f"{invariant:<16}{trials:>11,}{'':>6}{failures:>10}  {bound(trials, failures):<12}{', '.join(names)}"
        )
    return "\n".join(lines)


def _invariants(proofs: Iterable[Proof]) -> Sequence[str]:
    return sorted({each for proof in proofs for each in proof.invariants}, key=lambda each: int(each[1:]))
