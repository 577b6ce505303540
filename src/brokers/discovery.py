"""Where TWS may be, and what answers there. Probing opens a TCP connection and closes it; not a byte is sent.

Candidates: the host that was named, alone; otherwise 127.0.0.1 and, under WSL2 with its default NAT network, Windows'
own address, which is the default gateway. In WSL's mirrored mode the gateway is the router of the local network, which
is nobody's TWS and is never probed. Ports: the one that was named, otherwise those of paper trading; never a live one.
TWS's socket is neither encrypted nor authenticated: a public address is not even tried unless it is allowed by name.
"""

import errno
import ipaddress
import shutil
import socket
import subprocess
from functools import partial
from pathlib import Path
from typing import Final

from src.brokers.findings import LOCAL_HOST, PAPER_PORTS, Finding, Outcome
from src.runtime.worker import call_in_parallel

#: Seconds for all probes together. A firewall that drops packets answers nothing, so this is the price of asking.
PROBE_SECONDS: Final = 1.0
_PROC: Final = Path("/proc")
_ROUTE_IS_GATEWAY: Final = 0x2
_COMMAND_SECONDS: Final = 0.5


def search(host: str | None, port: int | None, allowed: tuple[str, ...] = ()) -> tuple[Finding, ...]:
    """Probe every candidate at once; None stands for "not named". Takes about a second at most."""
    return probe(candidates(host, port, windows_host() if host is None else None), allowed=allowed)


def candidates(host: str | None, port: int | None, gateway: str | None = None) -> tuple[tuple[str, int], ...]:
    """Every address to try, the likeliest first."""
    hosts = (host,) if host is not None else (LOCAL_HOST, gateway) if gateway else (LOCAL_HOST,)
    ports = PAPER_PORTS if port is None else (port,)
    return tuple((each_host, each_port) for each_host in hosts for each_port in ports)


def probe(
    addresses: tuple[tuple[str, int], ...], timeout: float = PROBE_SECONDS, allowed: tuple[str, ...] = ()
) -> tuple[Finding, ...]:
    """Try all addresses at once, and say of each what was found."""
    results = call_in_parallel([partial(_connect, host, port, timeout, allowed) for host, port in addresses], timeout)
    return tuple(
        Finding(host, port, Outcome.FILTERED if isinstance(result, Exception) else result)
        for (host, port), result in zip(addresses, results, strict=True)
    )


def _connect(host: str, port: int, timeout: float, allowed: tuple[str, ...]) -> Outcome:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Outcome.UNRESOLVED
    # A name may lead to an IPv6 address first, which TWS does not trust even from its own machine: IPv4 goes before.
    family, kind, protocol, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    if host not in allowed and not is_allowed(str(address[0]), allowed):
        return Outcome.NOT_ALLOWED
    try:
        with socket.socket(family, kind, protocol) as connection:
            connection.settimeout(timeout)
            connection.connect(address)
    except ConnectionRefusedError:
        return Outcome.NOT_LISTENING
    except TimeoutError:
        return Outcome.FILTERED
    except OSError as error:
        return Outcome.NOT_LISTENING if error.errno == errno.ECONNRESET else Outcome.UNREACHABLE
    return Outcome.LISTENING


def is_allowed(address: str, allowed: tuple[str, ...]) -> bool:
    """Whether an address is local, private, or within one of the addresses and networks of `allowed`."""
    where = ipaddress.ip_address(address)
    if where.is_private or where.is_loopback:
        return True
    for entry in allowed:
        try:
            if where in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:  # a host name: compared as it stands, by the caller
            continue
    return False


def windows_host(proc: Path = _PROC) -> str | None:
    """Return the address of Windows as seen from WSL2 behind NAT; None anywhere else."""
    try:
        kernel = (proc / "sys/kernel/osrelease").read_text(encoding="ascii", errors="replace").lower()
        if "wsl2" not in kernel and "microsoft-standard" not in kernel:  # WSL1 shares Windows' own network
            return None
        routes = (proc / "net/route").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return default_gateway(routes) if _wsl_is_behind_nat() else None


def _wsl_is_behind_nat() -> bool:
    """Whether WSL says `nat`. A WSL too old to have `wslinfo` knows nothing else; no answer counts as "no"."""
    command = shutil.which("wslinfo")
    if command is None:
        return True
    try:
        answer = subprocess.run(  # noqa: S603  # WSL's own program, without input of ours
            [command, "--networking-mode"], capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip().lower() == "nat"


def default_gateway(routes: str) -> str | None:
    """Return the gateway of the cheapest default route in the text of /proc/net/route; None when there is none."""
    found: list[tuple[int, str]] = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        try:
            destination, gateway, flags, metric = fields[1], fields[2], int(fields[3], 16), int(fields[6])
            if destination == "00000000" and flags & _ROUTE_IS_GATEWAY:
                # The kernel prints the address as an integer of this (little-endian) machine.
                found.append((metric, socket.inet_ntoa(bytes.fromhex(gateway)[::-1])))
        except (IndexError, ValueError, OSError):
            continue
    return min(found)[1] if found else None
