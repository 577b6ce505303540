"""Processes that try one seed after the other, several at a time: each trial has its gateway, ports and folder there.

A process is told a trial and a seed in a line on its input, and answers in a line what came of it. One that ends by
itself, or says nothing for ten minutes, is a finding, and another takes its place.
"""

import faulthandler
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self

from src.runtime.clock import monotonic
from tests.faults.harness import quiet
from tests.faults.results import AS_IN_TESTS, Result, Sizes
from tests.faults.trials import PROOFS

_ROOT: Final = Path(__file__).resolve().parents[2]
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # a folder in memory, where there is one
_SILENCE_SECONDS: Final = 600
#: Seeds that one process tries before a fresh one takes its place.
_SEEDS: Final = 60
#: Of so many processes one goes before the others: what it holds against the clock is not late for their sake.
_ONE_IN: Final = 4
_YIELDS: Final = "yields"

#: Which trial is next, and its seed, for a process that goes before others, or for one that does not; None: no more.
Next = Callable[[bool], tuple[str, int, Sizes] | None]
Done = Callable[[str, int, Result, float], None]


def one(name: str, seed: int, sizes: Sizes = AS_IN_TESTS) -> Result:
    """The trials of one seed, in a folder of their own; an error of the harness is a failure as well."""
    with tempfile.TemporaryDirectory(prefix="prove-") as folder:
        try:
            return PROOFS[name].run(Path(folder), seed, **sizes)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is a finding
            where = traceback.extract_tb(error.__traceback__)[-1]
            return Result(1, [f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"])


def folder_for_trials() -> str:
    """A folder in memory where the system has one, so that many processes do not wait for one disk."""
    return str(_MEMORY) if os.access(_MEMORY, os.W_OK) else tempfile.gettempdir()


class Worker:
    """One such process, inside `with`."""

    def __init__(self, folder: str, *, goes_first: bool) -> None:
        self._folder, self._goes_first = folder, goes_first

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.workers", *([] if self._goes_first else [_YIELDS])], cwd=_ROOT,
            env={**os.environ, "TMPDIR": self._folder},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        return self

    def one(self, name: str, seed: int, sizes: Sizes) -> Result:
        """What came of the trials of one seed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([name, seed, dict(sizes)]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            line = ""
        else:
            line = self._process.stdout.readline()
        if not line:
            return Result(1, [f"the process of the trial has ended with {self._process.wait()}"])
        return Result(**json.loads(line))

    @property
    def has_ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process.poll() is not None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.communicate()


def work(count: int, folder: str, following: Next, done: Done) -> None:
    """Let `count` processes try what is next, until nothing is."""

    def slot(goes_first: bool) -> None:
        task = following(goes_first)
        while task is not None:
            with Worker(folder, goes_first=goes_first) as worker:
                for _ in range(_SEEDS):
                    if task is None or worker.has_ended:
                        break
                    name, seed, sizes = task
                    began = monotonic()
                    done(name, seed, worker.one(name, seed, sizes), monotonic() - began)
                    task = following(goes_first)

    slots = [Thread(target=slot, args=(number % _ONE_IN == 0,), daemon=True) for number in range(count)]
    for each in slots:
        each.start()
    for each in slots:
        each.join()


def main() -> None:
    """Be such a process."""
    quiet()
    if sys.argv[1:] == [_YIELDS] and hasattr(os, "nice"):
        os.nice(10)
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        faulthandler.dump_traceback_later(_SILENCE_SECONDS, exit=True)
        name, seed, sizes = json.loads(line)
        result: Any = one(name, seed, sizes)
        faulthandler.cancel_dump_traceback_later()
        answers.write(json.dumps({"trials": result.trials, "failures": result.failures}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
