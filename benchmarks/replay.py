"""Replay the same bars through Understudy and through backtrader, in turn, and compare. Run by `make bench`.

Exits 1 when fills or final equity differ, or when Understudy is not ten times as fast.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TAPE = ROOT / "benchmarks" / "out" / "tape.npz"
WANTED = 10.0
_SCRIPTS = "Scripts" if os.name == "nt" else "bin"
THEIRS = ROOT / ".venv-bench" / _SCRIPTS / "python"

Result = dict[str, Any]


def run(python: Path, module: str) -> str:
    """Run one side in its own process; what it prints."""
    done = subprocess.run([python, "-m", module, TAPE], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{module} failed:\n{done.stderr}")
    return done.stdout


def measure(rounds: int) -> tuple[list[Result], list[Result]]:
    """Both sides' results, one of each a round, so that a busy machine is as unkind to both."""
    ours, theirs = [], []
    for number in range(rounds):
        print(f"round {number + 1} of {rounds} ...", file=sys.stderr)
        ours.append(json.loads(run(Path(sys.executable), "benchmarks.understudy_replay")))
        theirs.append(json.loads(run(THEIRS, "benchmarks.backtrader_replay")))
    return ours, theirs


def show(name: str, results: list[Result]) -> None:
    """One line of the table, from medians."""
    speed = median(result["bars_per_second"] for result in results)
    memory = max(result["peak_memory_mb"] or 0 for result in results)
    fills, equity = results[0]["fills"], results[0]["final_equity"]
    print(f"{name:<12}{speed:>14,.0f}{memory:>12,.0f}{fills:>10,}{equity:>18,.2f}")


def faults(ours: list[Result], theirs: list[Result], ratio: float) -> list[str]:
    """What is wrong, in words; empty when all is well."""
    found = [
        f"{key} differs: Understudy {sorted({r[key] for r in ours})}, backtrader {sorted({r[key] for r in theirs})}"
        for key in ("fills", "final_equity")
        if len({r[key] for r in (*ours, *theirs)}) > 1
    ]
    if not theirs[0]["fills"]:
        found.append("nothing was filled, so nothing was compared")
    if ratio < WANTED:
        found.append(f"Understudy is {ratio:.1f} times as fast, and {WANTED:.0f} times is wanted")
    return found


def main() -> int:
    """Write the tape, measure, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 11), metavar="N")
    rounds = parser.parse_args().rounds
    run(THEIRS, "benchmarks.prices")
    ours, theirs = measure(rounds)
    ratio = median(a["bars_per_second"] / b["bars_per_second"] for a, b in zip(ours, theirs, strict=True))
    print(f"{'':<12}{'bars/second':>14}{'peak MB':>12}{'fills':>10}{'final equity':>18}")
    show("Understudy", ours)
    show("backtrader", theirs)
    print(f"median ratio {ratio:.1f}")
    problems = faults(ours, theirs, ratio)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
