"""Keeps the simulated account in a file, so that an order is there in the next process.

One process owns the account at a time, by a lock the system releases when the process ends, however it ends. A second
one works on a copy that is not kept, and says so. The file is JSON, replaced as a whole, readable by its owner only.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from src.domain.errors import ConfigurationError
from src.exchange.state import ExchangeState
from src.runtime.file_lock import FileLock

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_log = logging.getLogger(__name__)
_FILE: Final = "simulated_account.json"


class SimulatedAccountFile:
    """The file of one simulated account in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._saved = b""
        self._closed = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = FileLock(folder / f"{_FILE}.lock")
            self._owned = self._lock.acquire()
        except OSError as error:
            raise ConfigurationError(f"IBKR_STATE_DIR: {folder} cannot be used: {error.strerror}") from None
        if not self._owned:
            _log.warning(
                "another process is using the simulated account: this one trades on a copy that is not kept. "
                "Set IBKR_STATE_DIR to give it an account of its own"
            )

    def reopen(self) -> None:
        """Own the account again after `close`; a copy that is not kept when others have had it meanwhile."""
        if self._closed:
            self._closed = False
            unchanged = self._path.read_bytes() == self._saved if self._path.exists() else not self._saved
            self._owned = self._lock.acquire() and unchanged
            if not self._owned:
                self._lock.release()
                _log.warning(
                    "another client has had the simulated account meanwhile: this one goes on with a copy that is "
                    "not kept. Make a new client to take it over"
                )

    def load(self) -> ExchangeState | None:
        """The account as it was left; None when there is none. ConfigurationError when the file is damaged."""
        try:
            content = self._saved = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"{self._path} cannot be read: {error.strerror}") from None
        from pydantic import ValidationError

        try:
            return _adapter().validate_json(content)
        except ValidationError:
            raise ConfigurationError(
                f"{self._path} is not a simulated account: python -m src sim reset starts a new one"
            ) from None

    def save(self, state: ExchangeState) -> None:
        """Replace the account; nothing is written by a process that does not own it. OSError leaves it as it was."""
        if not self._owned or self._closed:
            return
        content = _adapter().dump_json(state)
        draft = self._path.with_suffix(".new")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(content)
            draft.replace(self._path)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise
        self._saved = content

    def close(self) -> None:
        """Let another process have the account."""
        self._closed = True
        self._lock.release()


def clear(folder: Path) -> bool:
    """Forget the simulated account; True when there was one. ConfigurationError when it cannot be, as while in use."""
    account, guard = folder / _FILE, folder / f"{_FILE}.lock"
    if not account.exists() and not guard.exists():  # one that is in use may not have been written yet
        return False
    lock = FileLock(guard)
    if not lock.acquire():
        raise ConfigurationError("the simulated account is in use by another process: stop that one first")
    try:
        was_there = account.exists()
        account.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{account} cannot be removed: {error.strerror}") from None
    finally:
        lock.release()
    return was_there


def _adapter() -> "TypeAdapter[ExchangeState]":
    from pydantic import TypeAdapter

    return TypeAdapter(ExchangeState)
