"""What every command of ours keeps to: its exit codes, one line instead of a traceback, and the true mode in words.

Answers go to standard output, everything else to standard error.
"""

import errno
import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from src.domain.errors import (
    BrokerError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidOrderError,
    LiveTradingRefusedError,
    UnknownContractError,
)
from src.domain.market import Mode

if TYPE_CHECKING:
    from src.brokers.findings import Finding

DONE: Final = 0
FAILED: Final = 1
WRONG_USE: Final = 2
#: A real connection was wanted, and there was none.
NO_CONNECTION: Final = 3
INTERRUPTED: Final = 130

_MODE_WORDS: Final = {
    Mode.DISCONNECTED: "DISCONNECTED",
    Mode.SIMULATED: "SIMULATED (prices are invented)",
    Mode.PAPER: "PAPER",
    Mode.LIVE: "LIVE (real money)",
}
_OF_THE_OUTPUT: Final = (errno.EPIPE, errno.ENOSPC)
_STANDARD_ERROR: Final = 2
_PERSONS_OWN: Final = (ConfigurationError, InvalidOrderError, UnknownContractError, LiveTradingRefusedError)


def mode_words(mode: Mode, found: "Finding | None" = None) -> str:
    """Return the mode as a person must not overlook it; `found` is the TWS or paper gateway behind the session."""
    if mode is Mode.SIMULATED and found is not None:
        return f"SIMULATED (on the paper gateway at {found.where}: no money, no market)"
    return _MODE_WORDS[mode]


def prepare_streams(*, verbose: bool = False, as_json: bool = False) -> None:
    """Send the log to standard error, and let a terminal that knows no such sign print `?` in its place.

    `as_json`: an object a line, for machines: time (ISO 8601 UTC), level, logger, message.
    """
    from src.brokers.redaction import begin_log  # whoever asks for help alone needs no log, nor patience for its import

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    begin_log(verbose=verbose, as_json=as_json)


def run_command(body: Callable[[], int]) -> int:
    """Run a command; an error becomes one line and its exit code."""

    def prepared() -> int:
        prepare_streams()
        try:
            return body()
        except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001  # never a traceback at the command line
            return told(error, "❌ ")

    return with_output(prepared)


def with_output(body: Callable[[], int]) -> int:
    """Run a whole command and see its output off: the one place that answers for the standard streams.

    A closed one is as good as none. Where nobody reads any more, nobody is told: 1. A full disk is one line, and 1.
    """
    _replace_closed_streams()
    try:
        try:
            return body()
        except KeyboardInterrupt as error:  # while the command is still being loaded, or as it ends
            return told(error)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        with suppress(OSError):
            sys.stderr.write(f"standard output cannot be written: {error.strerror}\n")
    _abandon_output()
    return FAILED


def told(error: BaseException, mark: str = "") -> int:
    """Say in one line what ended a command, and return its exit code; what the output itself raised goes on."""
    if isinstance(error, OSError) and error.errno in _OF_THE_OUTPUT:
        raise error
    sys.stderr.write(f"{mark}{in_one_line(error)}\n")
    return exit_code_of(error)


def _replace_closed_streams() -> None:
    """Let nothing that is opened later take a closed stream's place, and be written to by mistake."""
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        pass
    os.close(descriptor)
    from pathlib import Path

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # until the process ends


def _abandon_output() -> None:
    """Throw away what could not be written, or the interpreter would try again as it ends, and complain."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code that an error ends a command with."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, (*_PERSONS_OWN, ModuleNotFoundError)):
        return WRONG_USE
    return NO_CONNECTION if isinstance(error, ConnectionFailedError) else FAILED


def in_one_line(error: BaseException) -> str:
    """Return what an error means to the person at the command line."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, ModuleNotFoundError):
        return f"the package {error.name} is missing here: run `make`, or activate .venv"
    from src.domain import privacy

    text = privacy.in_one_line(privacy.without_ids(str(error))) or "no further detail"
    return text if isinstance(error, BrokerError) else f"{type(error).__name__}: {text}"
