"""What stops new risk over the end of a process: files in the state folder, until a person clears them.

    KILL                     the kill switch, for every account of this folder
    KILL-<account>           the kill switch of one account
    HALT-<account>           a strategy ran away: too many orders a minute, or round trips a day
    REDUCING-<account>       too much was lost; holds until the day that is named in it is over
    BLOCKED-<account>-<id>   a position moved and nothing explains it; holds for that contract

`<account>` is a hash, never the id. To throw the switch it is enough to make the file. A trader beside it says in
`TRADER-<account>-<session>` who it is and how far it has come with a kill, for who throws the switch from outside.
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from src.runtime.clock import monotonic
from src.runtime.file_lock import FileLock
from src.runtime.worker import new_lock

_log: Final = logging.getLogger(__name__)
_KILL, _HALT, _REDUCING, _BLOCKED, _TRADER = "KILL", "HALT", "REDUCING", "BLOCKED", "TRADER"
_LATCHES: Final = (_KILL, _HALT, _REDUCING, _BLOCKED)
#: Real seconds for which a look at the folder counts.
_FRESH: Final = 0.2
_MOST_TEXT: Final = 500
_CLEAR: Final = "python -m src resume lets it trade again"


@dataclass(frozen=True, slots=True)
class Kill:
    """An order to stop: why, and whether positions are to be closed as well."""

    reason: str
    flatten: bool = False


class Latches:
    """The latches of one account. `today` names the session's day; `lasting` is False for play that is forgotten."""

    def __init__(self, folder: Path, account: str, today: Callable[[], str], *, lasting: bool = True) -> None:
        self._folder, self._account, self._today, self._lasting = folder, account, today, lasting
        self._lock = new_lock()
        self._held: dict[str, str] = {}  # what could not be written, or is not to last
        self._looked = -_FRESH
        self._kill: Kill | None = None
        self._halt = ""
        self._blocked: dict[int, str] = {}

    @property
    def kill(self) -> Kill | None:
        """The kill switch, when it is thrown."""
        self._look()
        return self._kill

    @property
    def standing(self) -> str:
        """Why no new risk is taken, for a person; empty when it is."""
        self._look()
        return f"the kill switch is thrown ({self._kill.reason}); {_CLEAR}" if self._kill is not None else self._halt

    def blocked(self, con_id: int) -> str:
        """Why nothing more of one contract is traded; empty when it is."""
        self._look()
        return self._blocked.get(con_id, "")

    def throw(self, reason: str) -> None:
        """Throw the kill switch of this account."""
        self._write(f"{_KILL}-{self._account}", reason)

    def halt(self, reason: str) -> None:
        """Take no new risk until a person says so."""
        self._write(f"{_HALT}-{self._account}", reason)

    def reduce(self, reason: str) -> None:
        """Take no new risk today."""
        self._write(f"{_REDUCING}-{self._account}", f"{self._today()} {reason}")

    def block(self, con_id: int, reason: str) -> None:
        """Trade nothing more of one contract until a person says so."""
        self._write(f"{_BLOCKED}-{self._account}-{con_id}", reason)

    def _write(self, name: str, text: str) -> None:
        if self._lasting:
            try:
                write(self._folder / name, text)
            except OSError as error:
                _log.error("%s could not be written and holds until this process ends only: %s", name, error)
                self._held[name] = text
        else:
            self._held[name] = text
        with self._lock:  # who looks at this moment may have looked before this was written
            self._looked = -_FRESH

    def _look(self) -> None:
        """Look at the folder, unless somebody just has: then what he saw is taken in already."""
        if monotonic() - self._looked < _FRESH:
            return
        with self._lock:
            if (now := monotonic()) - self._looked >= _FRESH:
                self._take(self._found())
                self._looked = now

    def _found(self) -> dict[str, str]:
        found = dict(self._held)
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.startswith(_LATCHES) and (entry.name == _KILL or self._account in entry.name):
                        found.setdefault(entry.name, _read(Path(entry.path)))
        except FileNotFoundError:
            pass
        except OSError as error:  # nobody knows what stands in it
            found[_KILL] = f"the folder {self._folder} cannot be read: {error.strerror}"
        return found

    def _take(self, found: dict[str, str]) -> None:
        kills = [found[name] for name in (_KILL, f"{_KILL}-{self._account}") if name in found]
        self._kill = _kill_of(kills) if kills else None
        halt = found.get(f"{_HALT}-{self._account}", "")
        self._halt = f"{halt}; {_CLEAR}" if halt else ""
        day, _, lost = found.get(f"{_REDUCING}-{self._account}", "").partition(" ")
        if not self._halt and day and day == self._today():
            self._halt = f"{lost}; new risk is taken again tomorrow, or after python -m src resume"
        start = f"{_BLOCKED}-{self._account}-"
        self._blocked = {
            int(name[len(start) :]): f"{text}; {_CLEAR}"
            for name, text in found.items()
            if name.startswith(start) and name[len(start) :].isdecimal()
        }


def throw(folder: Path, reason: str, *, flatten: bool = False) -> None:
    """Throw the kill switch of every account that trades with this state folder. OSError when it cannot be."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write(folder / _KILL, json.dumps({"reason": reason, "flatten": flatten}))


def resume(folder: Path) -> list[str]:
    """Clear every latch; return the reasons of those that stood. OSError when one cannot be cleared."""
    reasons = []
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        if path.name.startswith(_LATCHES):
            reasons.append(f"{path.name.partition('-')[0]}: {_kill_of([_read(path)]).reason}")
            path.unlink(missing_ok=True)
    return reasons


def _kill_of(texts: list[str]) -> Kill:
    reason, flatten = "", False
    for text in texts:
        content: object = text
        with suppress(ValueError):
            content = json.loads(text)
        if isinstance(content, dict):
            reason = reason or str(content.get("reason", ""))
            flatten = flatten or content.get("flatten") is True
        else:
            reason = reason or text
    return Kill(reason or "the file KILL", flatten)


# --- who trades -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TraderNote:
    """A trader that runs with this state folder: its process, its connection, and how far it has come with a kill.

    `host` is None for a simulator in its own process. `working` counts its working orders after it has cancelled.
    """

    pid: int
    client_id: int
    host: str | None
    port: int | None
    session: str
    killed: bool = False
    working: int = 0


class TraderFile:
    """The note of one trader, kept while it runs."""

    def __init__(self, folder: Path, account: str, note: TraderNote) -> None:
        self._path = folder / f"{_TRADER}-{account}-{note.session}"
        self._lock = FileLock(_lock_of(self._path))
        self._last: TraderNote | None = None
        try:
            self._lock.acquire()
        except OSError as error:
            _log.warning("who trades could not be written down: %s", error)
        self.say(note)

    def say(self, note: TraderNote) -> None:
        """Replace the note; a folder that cannot be written is logged, not raised."""
        if note == self._last:
            return
        try:
            write(self._path, json.dumps(asdict(note)))
        except OSError as error:
            _log.warning("who trades could not be written down: %s", error)
        self._last = note

    def close(self) -> None:
        """The trader has gone in good order."""
        self._lock.release()
        forget(self._path)


def is_gone(path: Path) -> bool:
    """Whether the process of a trader's note has ended: its lock ends with it, whoever bears its number now."""
    lock = FileLock(_lock_of(path))
    gone = lock.acquire()
    lock.release()
    return gone


def forget(path: Path) -> None:
    """Remove the note of a trader that has gone."""
    for each in (path, _lock_of(path)):
        with suppress(OSError):
            each.unlink(missing_ok=True)


def forget_those_gone(folder: Path, account: str) -> None:
    """Remove the notes of one account's traders that have gone without a word."""
    for path, _ in list(traders(folder)):
        if path.name.startswith(f"{_TRADER}-{account}-") and is_gone(path):
            forget(path)


def _lock_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


def traders(folder: Path) -> Iterator[tuple[Path, TraderNote]]:
    """Every trader's note in the folder, also of those whose process is gone."""
    for path in sorted(folder.glob(f"{_TRADER}-*")) if folder.is_dir() else ():
        with suppress(OSError, ValueError, TypeError):
            yield path, TraderNote(**json.loads(_read(path)))


def write(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only; OSError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _read(path: Path) -> str:
    """A file's text; a latch that cannot be read is a latch all the same."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return "".join(each if each.isprintable() else " " for each in file.read(_MOST_TEXT)).strip()
    except OSError:
        return ""
