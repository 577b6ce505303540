"""A trader in a process of its own, to be killed: at a named point of the code, or whenever its parent likes.

The process itself only waits, with everything imported; for each line on its input, `port folder point number seed`,
it forks a trader, says its pid, and says when it has ended. A trader places orders until it is killed at its `number`th
arrival at `point`, or after the last of them.
"""

import atexit
import importlib
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from src.brokers.books import Books
from src.brokers.tws.library import Wire, choose
from src.domain.errors import BrokerError
from src.records.journal import Journal
from tests.faults.harness import Opener, market_order, quiet, scaled

#: Where a trader can be killed: a function, and whether on its way in or out.
POINTS: Final[dict[str, tuple[type, str, bool]]] = {
    "before the intent": (Books, "intend", True),
    "the intent is durable": (Books, "intend", False),
    "before the order is written": (Wire, "place", True),
    "the order is written": (Wire, "place", False),
    "before the acknowledgement is noted": (Books, "acknowledged", True),
    "the acknowledgement is noted": (Books, "acknowledged", False),
    "before a fill is booked": (Books, "book", True),
    "a fill is booked": (Books, "book", False),
    "before a commit": (Journal, "_commit", True),
    "after a commit": (Journal, "_commit", False),
}
ANYWHERE: Final = "anywhere"
_ORDERS: Final = 30


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(point: str, number: int) -> Callable[[], None]:
    """Kill this process when it comes to a point for the `number`th time after what is returned was called.

    To be called before a session is opened, whose parts hold each other's methods.
    """
    owner, name, on_the_way_in = POINTS[point]
    original: Callable[..., Any] = getattr(owner, name)
    left = [0]

    def arrive() -> None:
        left[0] -= 1
        if left[0] == 0:
            _die()

    def patched(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        if on_the_way_in:
            arrive()
        result = original(*arguments, **named)
        if not on_the_way_in:
            arrive()
        return result

    setattr(owner, name, patched)
    return lambda: left.__setitem__(0, number)


def trade(port: int, folder: Path, point: str, number: int, seed: int) -> None:
    """Open a session and place orders, one after the other."""
    chance = Random(seed)  # noqa: S311  # chance that can be repeated
    with scaled():
        begin = _die_at(point, number) if point != ANYWHERE else None
        broker = Opener(folder).open_soon(port)
        if begin is not None:  # from now on: opening a session commits as well
            begin()
        for _ in range(_ORDERS):
            action, quantity, away = chance.choice(["BUY", "SELL"]), chance.randint(1, 50), chance.choice([None, 1.0])
            with suppress(BrokerError):
                broker.place_order(market_order(broker, action, quantity, away))
        _die()


def main() -> None:
    """Fork a trader for each line."""
    quiet()
    importlib.import_module(choose("auto"))  # else each trader would, when it connects
    for line in sys.stdin:
        port, folder, point, number, seed = line.rstrip("\n").split("\t")
        pid = os.fork()
        if not pid:
            try:
                trade(int(port), Path(folder), point, int(number), int(seed))
            except BaseException:  # noqa: BLE001  # the trial hears that it was not killed
                traceback.print_exc()
            finally:
                os._exit(1)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


class Traders:
    """The process that forks traders, inside `with`."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.faults.trader"]
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        return self

    def start(self, port: int, folder: Path, point: str, number: int, seed: int) -> int:
        """Begin a trader; returns its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{port}\t{folder}\t{point}\t{number}\t{seed}\n")
        self._process.stdin.flush()
        return int(self._line())

    def wait(self) -> int:
        """How the trader has ended: minus the signal's number, or 1 by an error."""
        return int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


_KEPT: Final[list[Traders]] = []


@contextmanager
def lent() -> Iterator[Traders]:
    """A process that forks traders, for one trial; kept for the next one when all went well, for it costs a second."""
    with ExitStack() as at_fault:
        traders = _KEPT.pop() if _KEPT else Traders().__enter__()
        at_fault.push(traders.__exit__)
        yield traders
        at_fault.pop_all()
        _KEPT.append(traders)


@atexit.register
def _let_go() -> None:
    while _KEPT:
        _KEPT.pop().__exit__(None, None, None)


if __name__ == "__main__":
    main()
