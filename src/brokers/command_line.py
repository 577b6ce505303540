"""What every command of ours keeps to: its exit codes, one line instead of a traceback, and the true mode in words.

Answers go to standard output, everything else to standard error.
"""

import io
import logging
import sys
from collections.abc import Callable
from typing import Final

from src.domain.errors import (
    BrokerError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidOrderError,
    LiveTradingRefusedError,
    UnknownContractError,
)
from src.domain.market import Mode

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
_PERSONS_OWN: Final = (ConfigurationError, InvalidOrderError, UnknownContractError, LiveTradingRefusedError)


def mode_words(mode: Mode) -> str:
    """Return the mode as a person must not overlook it."""
    return _MODE_WORDS[mode]


def prepare_streams(*, verbose: bool = False) -> None:
    """Send the log to standard error, and let a terminal that knows no such sign print `?` in its place."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s: %(message)s")


def run_command(body: Callable[[], int]) -> int:
    """Run a command; an error becomes one line and its exit code."""
    prepare_streams()
    try:
        return body()
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001  # never a traceback at the command line
        sys.stderr.write(f"❌ {in_one_line(error)}\n")
        return exit_code_of(error)


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
    text = " ".join(str(error).split()) or "no further detail"
    return text if isinstance(error, BrokerError) else f"{type(error).__name__}: {text}"
