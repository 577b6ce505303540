"""Count the instructions that a replay executes, with valgrind's callgrind: `python benchmarks/instructions.py`.

On a busy machine seconds differ from run to run; instructions hardly do, so that a change of one percent can be seen.
Three tapes tell bars from orders: prices that rise a hundred bars and then fall (`sma` buys, sells and is flat), prices
that fall and then rise (it buys and holds, so that its shares are valued at every close), and the tape of `make bench`.
What start-up and loading take is counted by itself and taken off.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)

from benchmarks.prices import BARS, SYMBOLS, tape, turning  # noqa: E402  # found only now

OUT = ROOT / "benchmarks" / "out"
_HIGH, _MIDDLE, _LOW = 450.0, 250.0, 60.0


class Count(NamedTuple):
    """Instructions of a whole process, and the fills it made."""

    instructions: int
    fills: int


def count(name: str, arrays: dict[str, np.ndarray]) -> Count:
    """Replay a tape under callgrind."""
    print(f"{name}: {len(arrays['start']):,} bars of each symbol ...", file=sys.stderr)
    file = OUT / f"{name}.npz"
    np.savez(file, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
    done = subprocess.run(
        [
            *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"),
            *(sys.executable, "-m", "benchmarks.understudy_replay", str(file)),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or collected is None:
        sys.exit(f"the replay under callgrind failed:\n{done.stderr}")
    return Count(int(collected[1]), json.loads(done.stdout)["fills"])


def main() -> None:
    """Count, and show what a bar and an order take."""
    parser = argparse.ArgumentParser(description="Count the instructions of a replay under valgrind's callgrind.")
    parser.add_argument("--bars", type=int, default=BARS, metavar="N", help=f"of each symbol (default {BARS:,})")
    bars = parser.parse_args().bars
    if shutil.which("valgrind") is None:
        print("valgrind is not installed, so that nothing was counted: sudo apt install valgrind")
        return
    OUT.mkdir(parents=True, exist_ok=True)
    start = count("start-up", turning(1, _HIGH, _HIGH, _HIGH)).instructions
    falls = count("falling", turning(bars, _MIDDLE, _HIGH, _LOW)).instructions - start
    rises = count("rising", turning(bars, _MIDDLE, _LOW, _HIGH)).instructions - start
    walk = count("walking", tape(bars))
    whole, shown = walk.instructions - start, len(SYMBOLS) * bars
    print(f"a whole replay of {shown:,} bars and {walk.fills:,} orders   {whole / 1e6:10,.0f} million")
    print(f"a bar while nothing is held                     {falls / shown:10,.0f}")
    print(f"valuing a held share at a bar's close           {(rises - falls) / shown:10,.0f}")
    print(f"an order, with what its shares take until sold  {(whole - falls) / max(walk.fills, 1):10,.0f}")


if __name__ == "__main__":
    main()
