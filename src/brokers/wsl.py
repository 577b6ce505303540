"""Where this process runs, and where Windows may be from there. Files are read and names are asked for, no more.

Files come before environment variables, which `sudo` and systemd lose. A container shows its host's kernel: inside
one, the default route leads to Docker and not to Windows. `docs/wsl.md` is the guide.
"""

import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from src.brokers.findings import LOCAL_HOST, Network, Origin

_ROUTE_IS_GATEWAY: Final = 0x2
_COMMAND_SECONDS: Final = 0.5
#: The resolver of WSL's DNS tunnelling: an address at which nobody else lives.
_DNS_TUNNEL: Final = "10.255.255.254"
_DOCKER_HOST: Final = "host.docker.internal"


def resolve(name: str) -> str:
    """Return an address of a host, IPv4 before IPv6, which TWS does not trust even from its own machine; OSError."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    family_first = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return str(family_first[4][0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine as far as a search for TWS looks at it; `root` is where its file system begins."""

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    hostname: Callable[[], str] = socket.gethostname
    resolve: Callable[[str], str] = resolve

    @property
    def network(self) -> Network:
        """How this process and Windows share the network. Asks WSL, which takes half a second at most."""
        kernel = self.text("proc/sys/kernel/osrelease").lower()
        microsoft = "microsoft" in kernel or "microsoft" in self.text("proc/version").lower()
        if (self.root / ".dockerenv").exists():
            # Docker Desktop alone has a machine of its own beneath, and a name for what is beyond.
            return Network.CONTAINER if microsoft or "linuxkit" in kernel else Network.NATIVE
        if "WSL_INTEROP" not in self.environ and "WSL_DISTRO_NAME" not in self.environ and not microsoft:
            return Network.NATIVE
        if microsoft and "wsl2" not in kernel and "microsoft-standard" not in kernel:
            return Network.WSL1
        return self._wsl2_mode()

    def windows(self, network: Network) -> tuple[tuple[Origin, str], ...]:
        """Hosts that may be Windows, the likeliest first: addresses, and names that may not exist."""
        if network is Network.CONTAINER:
            return ((Origin.DOCKER, _DOCKER_HOST),)
        if network is not Network.NAT:
            return ()
        gateway = default_gateway(self.text("proc/net/route"))
        nameserver = windows_nameserver(self.text("etc/resolv.conf"))
        name = self.hostname().partition(".")[0]
        guesses = (
            (Origin.GATEWAY, gateway),
            (Origin.MDNS, f"{name}.local" if name else None),
            (Origin.DOCKER, _DOCKER_HOST),
            (Origin.NAMESERVER, nameserver),
        )
        return tuple((origin, host) for origin, host in guesses if host)

    def text(self, path: str) -> str:
        """Return the text of a file beneath `root`; nothing where there is none."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _wsl2_mode(self) -> Network:
        """What WSL says. One too old to have `wslinfo` knows nothing but NAT."""
        command = shutil.which("wslinfo", path=self.environ.get("PATH", os.defpath))
        if command is None:
            return Network.NAT
        try:
            answer = subprocess.run(  # noqa: S603  # WSL's own program, without input of ours
                [command, "--networking-mode"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False,
            )  # fmt: skip
            return Network(answer.stdout.strip().lower())
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return Network.UNKNOWN


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


def windows_nameserver(resolv_conf: str) -> str | None:
    """Return the first name server that may be Windows: a private IPv4 address that is not WSL's DNS tunnel."""
    for line in resolv_conf.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[0] != "nameserver" or fields[1] in {_DNS_TUNNEL, LOCAL_HOST}:
            continue
        try:
            address = ipaddress.IPv4Address(fields[1])
        except ValueError:
            continue
        if address.is_private and not address.is_loopback and not address.is_link_local:
            return str(address)
    return None
