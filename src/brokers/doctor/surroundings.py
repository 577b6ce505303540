"""What trading needs on this side of the connection: settings, Python, a client library, WSL, a place for the journal.

Each check is a function of facts that are handed to it; `command.py` gathers them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from src.brokers.doctor.report import CONFIGURATION, Check, Status
from src.brokers.findings import LIVE_PORTS, LOCAL_HOST, Network
from src.domain.account_ids import masked
from src.settings import Settings

#: Setting as written: name, value, place.
Written = tuple[str, str, str]
#: Client library -> the distribution that brings its `eventkit`: two packages of one name, for two libraries.
LIBRARIES: Final = {"ib_insync": "eventkit", "ib_async": "aeventkit"}
OLDEST_PYTHON: Final = (3, 11, 0)

_MASKED_FIELDS: Final = frozenset({"account_id", "allow_live"})
_SECRET_FIELDS: Final = frozenset({"metrics_token", "notify_webhook", "notify_command"})
_NEW_ENVIRONMENT: Final = (
    "Make the environment anew, with one client library: make clean, then make test\n"
    "Removing one of the two is not enough: what is left cannot be imported."
)
#: File systems behind which a Windows drive stands, when the kernel is WSL's.
_WINDOWS_DRIVES: Final = frozenset({"9p", "drvfs", "virtiofs", "v9fs"})
_NETWORK_DRIVES: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs"})
_WSL: Final = frozenset(Network) - {Network.NATIVE, Network.CONTAINER}


def configuration(
    settings: Settings | None, written: Mapping[str, Written], warnings: Sequence[str], error: str | None
) -> Check:
    """The settings that are given, with where each comes from; None in `settings` when they cannot be used."""
    if settings is None:
        title = f"configuration: {error or 'unusable'}"
        return Check(CONFIGURATION, Status.FAIL, title, fix="Correct that setting; .env.example explains each one")
    lines = [
        f"{name}={_shown(field, value)} ({place})"
        for field, (name, value, place) in sorted(written.items(), key=lambda entry: entry[1])
    ]
    lines.append(f"client id of this check: {settings.check_client_id}")
    title = f"configuration: {_count(len(written), 'setting')} given, the rest at their defaults"
    if settings.account_type == "live" and not settings.allow_live:
        fix = "Set IBKR_ALLOW_LIVE to the id of the account that may trade real money, or IBKR_ACCOUNT_TYPE=paper"
        return Check(CONFIGURATION, Status.FAIL, "configuration: real money is not allowed yet", "\n".join(lines), fix)
    if settings.account_type == "paper" and settings.port in LIVE_PORTS:
        warnings = [*warnings, f"port {settings.port} is where TWS or IB Gateway trades real money by default"]
    fix = "".join(f"{each}\n" for each in dict.fromkeys(warnings)).rstrip()
    return Check(CONFIGURATION, Status.WARN if fix else Status.PASS, title, "\n".join(lines), fix)


def _shown(field: str, value: str) -> str:
    """A setting's value, as far as it may be read over somebody's shoulder."""
    if field in _SECRET_FIELDS:
        return "***"
    return masked(value) if field in _MASKED_FIELDS else value


def python(version: tuple[int, int, int], system: str) -> Check:
    """The interpreter."""
    said = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        return Check("python", Status.FAIL, f"Python {said}", fix="Install Python 3.11 or newer, then: make")
    return Check("python", Status.PASS, f"Python {said} on {system}")


def library(installed: Mapping[str, str], wanted: str) -> Check:
    """The client library that speaks to TWS; `installed` maps distributions to versions."""
    found = [name for name in LIBRARIES if name in installed]
    versions = ", ".join(f"{name} {installed[name]}" for name in found)
    if len(found) > 1:
        title = f"client library: {versions} in one environment"
        return Check("library", Status.FAIL, title, "Both bring a package `eventkit`; one overwrites the other's.",
                     _NEW_ENVIRONMENT)  # fmt: skip
    if not found:
        return Check("library", Status.FAIL, "client library: none is installed", fix="Run: make test")
    [name] = found
    if wanted not in {"auto", name}:
        title = f"client library: IBKR_LIBRARY={wanted}, and {versions} is what is installed"
        return Check("library", Status.FAIL, title, fix=f"Set IBKR_LIBRARY=auto or {name}")
    kits = {kit for kit in LIBRARIES.values() if kit in installed}
    if kits != {LIBRARIES[name]}:
        title = f"client library: {versions} with {' and '.join(sorted(kits)) or 'no eventkit'}"
        detail = f"It needs {LIBRARIES[name]}, and that alone."
        return Check("library", Status.FAIL, title, detail, _NEW_ENVIRONMENT)
    return Check("library", Status.PASS, f"client library: {versions}")


def network(mode: Network, windows: Sequence[str]) -> Check:
    """How this process and Windows share the network."""
    status, detail, fix = Status.PASS, "", ""
    if mode is Network.NAT:
        detail = f"Windows may be {', '.join(windows) or 'nowhere: there is no default route'}"
    if mode is Network.NONE:
        status, fix = (
            Status.FAIL,
            "Set networkingMode=mirrored or nat in %UserProfile%\\.wslconfig; then: wsl --shutdown",
        )
    if mode is Network.UNKNOWN:
        status = Status.WARN
        detail = f"`wslinfo --networking-mode` gives no known answer: only {LOCAL_HOST} is tried."
        fix = "Update WSL, in PowerShell: wsl --update; or name Windows' address in IBKR_HOST_IP"
    return Check("wsl", status, _NETWORK_TITLES[mode], detail, fix)


_NETWORK_TITLES: Final = {
    Network.NATIVE: "not WSL: TWS is looked for on this machine",
    Network.CONTAINER: "in a container of Docker Desktop: TWS is looked for here and on Docker's host",
    Network.WSL1: f"WSL1, which shares Windows' network: TWS is at {LOCAL_HOST}",
    Network.NAT: "WSL2, NAT network: Windows is another machine",
    Network.MIRRORED: f"WSL2, mirrored network: TWS is at {LOCAL_HOST}",
    Network.VIRTIOPROXY: f"WSL2, virtioproxy network: TWS is looked for at {LOCAL_HOST}",
    Network.NONE: "WSL2 without a network",
    Network.UNKNOWN: "WSL2, in a network mode that is not known",
}


def state_folder(folder: Path, mounts: str, mode: Network, *, writable: bool) -> Check:
    """Whether a journal can be kept in the state folder; `mounts` is the text of /proc/mounts."""
    kind = file_system(folder, mounts)
    title = f"state folder: {folder}{f' ({kind})' if kind else ''}"
    if mode in _WSL and kind in _WINDOWS_DRIVES:
        detail = "A Windows drive mounted in WSL: the journal's locks do not hold there."
        fix = "Set IBKR_STATE_DIR to a folder of Linux's own, such as ~/.local/state/understudy, or leave it unset"
        return Check("state_dir", Status.FAIL, title, detail, fix)
    if not writable:
        fix = "Set IBKR_STATE_DIR to a folder that you may write, or change who owns this one"
        return Check("state_dir", Status.FAIL, title, "It cannot be written.", fix)
    if kind in _NETWORK_DRIVES:
        fix = "Set IBKR_STATE_DIR to a folder on a disk of this machine: a journal over a network may be damaged"
        return Check("state_dir", Status.WARN, title, "", fix)
    return Check("state_dir", Status.PASS, title)


def file_system(folder: Path, mounts: str) -> str:
    """Return the kind of file system a folder is on, by the longest mount point above it; "" where nothing says it."""
    place, depth, kind = PurePosixPath(folder), 0, ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = PurePosixPath(fields[1].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
        # A later mount lies over an earlier one of the same place.
        if len(point.parts) >= depth and (point == place or point in place.parents):
            depth, kind = len(point.parts), fields[2]
    return kind


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
