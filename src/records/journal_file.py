"""Where journals are: one file for a mode and an account, in a folder of their own, for their owner's eyes.

The file's name bears a hash of the account id, never the id. SQLite's write-ahead log needs locks and shared memory
that a Windows drive mounted in WSL, or a network drive, does not give: there, a journal is refused.
"""

import hashlib
import os
import stat
import sys
from pathlib import Path, PurePath
from typing import Final

from src.domain.errors import ConfigurationError, JournalError
from src.domain.market import Mode
from src.domain.orders import AccountId

FOLDER: Final = "journal"
SUFFIX: Final = ".sqlite3"
_MOUNTS: Final = Path("/proc/self/mounts")
_WINDOWS: Final = frozenset({"9p", "v9fs", "drvfs"})
_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs"})
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)  # Windows has none, and asks for a privilege to make links


def account_hash(account: AccountId) -> str:
    """What stands for an account id in a journal and in its name."""
    return hashlib.sha256(f"understudy journal of {account}".encode()).hexdigest()[:16]


def journal_name(mode: Mode, account: AccountId) -> str:
    """The file's name for an account in a mode."""
    return f"{mode.value}-{account_hash(account)}{SUFFIX}"


def drive_problem(folder: PurePath, mounts: str) -> str | None:
    """Why `folder` (absolute, no link) can hold no journal, by the text of /proc/self/mounts; None when it can."""
    nearest: tuple[str, str, str, str] | None = None
    for line in mounts.splitlines():
        source, where, kind, options, *_ = (*line.split(), "", "", "", "")
        where = where.replace("\\040", " ")
        if folder.is_relative_to(where) and (nearest is None or len(where) >= len(nearest[1])):
            nearest = source, where, kind, options
    if nearest is None:
        return None
    source, where, kind, options = nearest
    if kind in _WINDOWS or "aname=drvfs" in options or source.startswith("drvfs"):
        return (
            f"{folder} is on {where}, a Windows drive mounted in WSL, where SQLite's locks do not hold: set "
            "IBKR_STATE_DIR to a folder of the Linux file system, such as ~/.local/state/understudy"
        )
    if kind in _NETWORK:
        return (
            f"{folder} is on {where}, a network drive, where SQLite's locks do not hold: set IBKR_STATE_DIR to a "
            "folder of this machine"
        )
    return None


def prepare_folder(state_dir: Path) -> Path:
    """The journals' folder in `state_dir`, made for its owner only; ConfigurationError when it cannot be used."""
    folder = state_dir / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = folder.resolve(strict=True)
        if sys.platform != "win32":
            folder.chmod(0o700)
        mounts = _MOUNTS.read_text() if _MOUNTS.exists() else ""
    except OSError as error:
        raise ConfigurationError(f"IBKR_STATE_DIR: {folder} cannot be used: {error.strerror}") from None
    if problem := drive_problem(folder, mounts):
        raise ConfigurationError(problem)
    return folder


def claim_file(path: Path) -> None:
    """Make the file when it is missing, empty and for its owner only. A link is refused; JournalError."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o600)
        try:
            facts = os.fstat(descriptor)
            if stat.S_ISREG(facts.st_mode) and sys.platform != "win32" and facts.st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise JournalError(f"the journal {path} cannot be opened: {error.strerror}; see who owns it") from None
    if not stat.S_ISREG(facts.st_mode):
        raise JournalError(f"the journal {path} is not a file: move it away")


def identity(path: Path) -> tuple[int, int] | None:
    """Which file bears this name now; None when there is none."""
    try:
        facts = os.stat(path, follow_symlinks=False)  # noqa: PTH116  # before each commit: a Path's costs twice as much
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
