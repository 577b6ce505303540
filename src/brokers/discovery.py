"""Where TWS may be, and what answers there.

Candidates: the host that was named; 127.0.0.1; and, under WSL2 with its default NAT network, Windows: the default
gateway, `<our name>.local`, Docker's host and the name server of resolv.conf, as far as they exist. In WSL's mirrored
mode the gateway is the router of the local network, which is nobody's TWS and is never probed. Ports: the one that
was named, otherwise those of paper trading; never a live one.

All candidates are connected to at once, within a second. Whoever accepts is greeted, in the order above and one at a
time, until one is TWS; each keeps the one connection it has accepted, since TWS may open a dialog for each. What
stays silent is waited for as long as a connection may take: TWS may be asking a person.

TWS's socket is neither encrypted nor authenticated: a public address is not even tried unless it is allowed by name.
"""

import errno
import ipaddress
import logging
import selectors
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from src.brokers.findings import LOCAL_HOST, PAPER_PORTS, Finding, Network, Origin, Outcome
from src.brokers.handshake import shake_hands
from src.brokers.wsl import Machine, resolve
from src.runtime.clock import monotonic
from src.runtime.worker import call_in_parallel

_log = logging.getLogger(__name__)
#: Seconds for all connections together. A firewall that drops packets answers nothing, so this is the price of asking.
PROBE_SECONDS: Final = 1.0
#: Seconds for the greeting, silence included, unless the settings say otherwise.
CONNECT_SECONDS: Final = 10.0
_GUESS_SECONDS: Final = 0.5
_NAME_SECONDS: Final = 2.0
_LEAST_SECONDS: Final = 0.5
_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN})
_ACCEPTED: Final = 0
_OUTCOMES: Final = {
    _ACCEPTED: Outcome.LISTENING,
    errno.ECONNREFUSED: Outcome.NOT_LISTENING,
    errno.ETIMEDOUT: Outcome.FILTERED,
    # A refusal is not a reset: whoever resets has accepted, and was quicker than we.
    errno.ECONNRESET: Outcome.CLOSED_AFTER_ACCEPT,
    errno.ECONNABORTED: Outcome.CLOSED_AFTER_ACCEPT,
}


class Candidate(NamedTuple):
    """An address to try, and why."""

    origin: Origin
    host: str
    port: int


def search(
    host: str | None,
    port: int | None,
    allowed: tuple[str, ...] = (),
    *,
    patience: float = CONNECT_SECONDS,
    machine: Machine | None = None,
) -> tuple[Finding, ...]:
    """Try every candidate; None stands for "not named". Takes a second, and `patience` where somebody stays silent.

    The log tells a person where to look meanwhile. A guessed host without an address is left out.
    """
    machine = Machine() if machine is None else machine
    network = machine.network
    addresses = candidates(host, port, machine.windows(network))
    return probe(addresses, allowed, patience=patience, network=network, resolve=machine.resolve)


def candidates(
    host: str | None, port: int | None, windows: tuple[tuple[Origin, str], ...] = ()
) -> tuple[Candidate, ...]:
    """Every address to try, the likeliest first, each once."""
    named = () if host is None else ((Origin.NAMED, host),)
    hosts: dict[str, Origin] = {}
    for origin, name in (*named, (Origin.LOCAL, LOCAL_HOST), *windows):
        hosts.setdefault(name, origin)
    ports = PAPER_PORTS if port is None else (port,)
    return tuple(Candidate(origin, name, each) for name, origin in hosts.items() for each in ports)


def probe(
    addresses: Iterable[Candidate],
    allowed: tuple[str, ...] = (),
    *,
    patience: float = CONNECT_SECONDS,
    network: Network = Network.NATIVE,
    resolve: Callable[[str], str] = resolve,
) -> tuple[Finding, ...]:
    """Connect to all addresses at once, greet those that accept, and say of each what was found."""
    begun = monotonic()
    findings = [_judged(each, allowed) for each in _distinct(_resolved(tuple(addresses), network, resolve))]
    with ExitStack() as sockets:
        accepted = _connect(findings, max(begun + PROBE_SECONDS - monotonic(), _LEAST_SECONDS), sockets)
        _greet(findings, accepted, patience)
    return tuple(findings)


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


def _resolved(addresses: tuple[Candidate, ...], network: Network, resolve: Callable[[str], str]) -> Iterator[Finding]:
    """Every candidate with its address. A named host that nobody knows in time is unresolved; a guess is left out."""
    names = list(dict.fromkeys(each.host for each in addresses if not _is_literal(each.host)))
    named = any(each.origin is Origin.NAMED and each.host in names for each in addresses)
    calls = [partial(resolve, name) for name in names]
    found = dict(zip(names, call_in_parallel(calls, _NAME_SECONDS if named else _GUESS_SECONDS), strict=True))
    for origin, host, port in addresses:
        address = found.get(host, "")
        if not isinstance(address, Exception):
            yield Finding(host, port, Outcome.LISTENING, origin, network, address)
        elif origin is Origin.NAMED:
            yield Finding(host, port, Outcome.UNRESOLVED, origin, network)


def _distinct(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Each address once, under the first of its names: two connections may be two dialogs on TWS's screen."""
    seen: set[tuple[str, int]] = set()
    for each in findings:
        target = each.address or each.host, each.port
        if target not in seen:
            seen.add(target)
            yield each


def _judged(finding: Finding, allowed: tuple[str, ...]) -> Finding:
    if finding.outcome is Outcome.UNRESOLVED or finding.host in allowed:
        return finding
    if is_allowed(finding.address or finding.host, allowed):
        return finding
    return replace(finding, outcome=Outcome.NOT_ALLOWED)


def _connect(findings: list[Finding], seconds: float, sockets: ExitStack) -> dict[int, socket.socket]:
    """Connect to every address at once; return the connections that were accepted, and note what became of the rest."""
    connections: dict[int, socket.socket] = {}
    codes: dict[int, int] = {}
    with selectors.DefaultSelector() as waiting:
        for index, finding in enumerate(findings):
            if finding.outcome is not Outcome.LISTENING:
                continue
            host = finding.address or finding.host
            try:
                connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
                sockets.enter_context(connection)
                connection.settimeout(0)
                codes[index] = connection.connect_ex((host, finding.port))
            except OSError as error:
                codes[index] = error.errno or errno.EHOSTUNREACH
                continue
            connections[index] = connection
            if codes[index] in _UNDER_WAY:
                codes[index] = errno.ETIMEDOUT  # unless something is heard
                waiting.register(connection, selectors.EVENT_WRITE, index)
        end = monotonic() + seconds
        while waiting.get_map():
            left = end - monotonic()
            heard = waiting.select(max(left, 0.0))  # at least once: this machine itself may have stood still
            for key, _ in heard:
                codes[key.data] = connections[key.data].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                waiting.unregister(key.fileobj)
            if left <= 0 and not heard:
                break
    for index, code in codes.items():
        ours = _own_address(connections[index]) if index in connections else ""
        findings[index] = replace(findings[index], outcome=_OUTCOMES.get(code, Outcome.UNREACHABLE), our_address=ours)
    return {index: connection for index, connection in connections.items() if codes[index] == _ACCEPTED}


def _own_address(connection: socket.socket) -> str:
    """Our end as the system chose it for this route, which is also there before anybody has answered."""
    try:
        address = str(connection.getsockname()[0])
    except OSError:
        return ""
    return "" if ipaddress.ip_address(address).is_unspecified else address


def _greet(findings: list[Finding], accepted: Mapping[int, socket.socket], patience: float) -> None:
    """Greet those that accepted, in their order, until one is TWS or may be, being silent; note who they are."""
    end = monotonic() + patience
    for index in sorted(accepted):
        left = max(end - monotonic(), _LEAST_SECONDS)
        finding = findings[index]
        answer = shake_hands(accepted[index], left, partial(_tell_where_to_look, finding, left))
        accepted[index].close()
        findings[index] = replace(
            finding,
            outcome=answer.outcome,
            server_version=answer.server_version,
            server_time=answer.server_time,
            heard_at=answer.heard_at,
            seen=answer.seen,
        )
        if answer.outcome in {Outcome.OK, Outcome.SILENT}:
            return


def _tell_where_to_look(finding: Finding, seconds: float) -> None:
    _log.warning(
        "%s has accepted the connection and says nothing: look at TWS's screen for a dialog that asks whether to "
        "accept it, and say yes. Waiting up to %g s",
        finding.where,
        round(seconds, 1),
    )


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
