"""Ctrl-C at every point of some functions at which Python takes one: after a call, at a jump back, at a beginning."""

import dis
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from types import CodeType, FrameType
from typing import Any, Final, ParamSpec

_P = ParamSpec("_P")

#: After these the interpreter looks whether a signal has come; between all others it does not.
_LOOKS: Final = ("CALL", "RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE")


class CtrlC:
    """Raises KeyboardInterrupt at the `point`-th place in code of these modules' files, on the thread that arms it."""

    def __init__(self, point: int, *files: str) -> None:
        self._left, self._files = point, files
        self._before: dict[FrameType, int] = {}
        self.has_come = False

    def arm(self) -> None:
        """From now on, also in what is under way."""
        frame: FrameType | None = sys._getframe(1)
        sys.settrace(self._trace)
        while frame is not None:
            if self._is_meant(frame.f_code):
                self._follow(frame)
            frame = frame.f_back

    def _is_meant(self, code: CodeType) -> bool:
        return code.co_filename in self._files

    def _follow(self, frame: FrameType) -> None:
        frame.f_trace, frame.f_trace_opcodes = self._trace, True

    def _trace(self, frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        if not self._is_meant(frame.f_code):
            return None
        if event == "call":
            self._follow(frame)
        elif event == "opcode":
            before = self._before.get(frame)
            self._before[frame] = frame.f_lasti
            if before is not None and dis.opname[frame.f_code.co_code[before]].startswith(_LOOKS):
                self._left -= 1
                if self._left < 0:
                    self.has_come = True
                    sys.settrace(None)
                    raise KeyboardInterrupt
        return self._trace


def at_every_point(*files: str) -> Iterator[CtrlC]:
    """One Ctrl-C after the other, each a point later, until there is no further point; disarmed in between."""
    point = 0
    while True:
        one = CtrlC(point, *files)
        yield one
        sys.settrace(None)
        if not one.has_come:
            return
        point += 1


def on_its_own_thread(test: Callable[_P, None]) -> Callable[_P, None]:
    """Where every test of `CtrlC` runs.

    What a trace function raises where an exception is being handled leaves that one on its thread as if it still were:
    later tests on the same thread would find it as the context of theirs.
    """

    @wraps(test)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(test, *args, **kwargs).result()

    return run
