"""Where TWS is looked for, from which machine, and what is said of what was found."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from time import monotonic

import pytest

from src.brokers import discovery
from src.brokers import wsl as windows
from src.brokers.discovery import Candidate, candidates, is_allowed, probe, search
from src.brokers.findings import Finding, Network, Origin, Outcome, answering, nearest
from src.brokers.wsl import Machine, default_gateway, resolve, windows_nameserver
from tests.conftest import ROOT
from tests.listeners import Address, listening, tws

NAT_KERNEL = "5.15.167.4-microsoft-standard-WSL2\n"
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t0020180A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0
eth0\t00000000\t012018AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
"""
BOTH = ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
#: What nobody has to wait for ends far sooner, on a busy machine too.
PATIENCE = 20.0
RESOLV_CONF = "# made by WSL\nnameserver 10.255.255.254\nsearch lan\n"


def nobody_knows(name: str) -> str:
    raise socket.gaierror(socket.EAI_NONAME, name)


class Disk:
    """The files by which one machine is told from another; TWS's is the one of document 004."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("proc/sys/kernel", "proc/net", "etc", "bin"):
            (root / folder).mkdir(parents=True)
        self.write("proc/sys/kernel/osrelease", NAT_KERNEL)
        self.write("proc/version", f"Linux version {NAT_KERNEL}")
        self.write("proc/net/route", ROUTES)
        self.write("etc/resolv.conf", RESOLV_CONF)

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def say_networking(self, answer: str) -> None:
        """Put a `wslinfo` into PATH that says this."""
        command = self.root / "bin/wslinfo"
        command.write_text(f'#!/bin/sh\n[ "$1" = --networking-mode ] && {answer}\n')
        command.chmod(0o755)

    def machine(self, environ: Mapping[str, str] | None = None) -> Machine:
        path = f"{self.root / 'bin'}"
        return Machine(
            root=self.root,
            environ={"PATH": path, **(environ or {})},
            hostname=lambda: "DESK",
            resolve=nobody_knows,
        )


@pytest.fixture
def wsl(tmp_path: Path) -> Disk:
    """WSL2 behind NAT, without `wslinfo`."""
    return Disk(tmp_path)


@pytest.fixture
def full_backlogs() -> Iterator[list[Address]]:
    """A dozen addresses that neither accept nor refuse: their queues of waiting connections are full."""
    with ExitStack() as sockets:
        addresses: list[Address] = []
        for _ in range(12):
            server = sockets.enter_context(socket.socket())
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            addresses.append(server.getsockname())
            for _ in range(4):
                waiting = sockets.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(addresses[-1])
        yield addresses


def named(*addresses: Address) -> list[Candidate]:
    return [Candidate(Origin.NAMED, *each) for each in addresses]


# --- Candidates -------------------------------------------------------------------------------------------------------


def test_without_names_the_paper_ports_of_this_machine_are_tried() -> None:
    """7497 and 4002, TWS before Gateway."""
    assert candidates(None, None) == ((Origin.LOCAL, "127.0.0.1", 7497), (Origin.LOCAL, "127.0.0.1", 4002))


def test_who_names_an_address_gets_it_tried_first_and_the_others_after_it() -> None:
    """Windows' address of yesterday is stale today: where TWS does answer is worth saying."""
    windows = ((Origin.GATEWAY, "172.24.32.1"),)
    assert candidates("10.0.0.5", 7777, windows) == (
        (Origin.NAMED, "10.0.0.5", 7777),
        (Origin.LOCAL, "127.0.0.1", 7777),
        (Origin.GATEWAY, "172.24.32.1", 7777),
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "172.24.32.1"])
def test_a_named_address_is_not_tried_twice(host: str) -> None:
    """It stands first, whatever it is besides."""
    tried = candidates(host, 7497, ((Origin.GATEWAY, "172.24.32.1"),))
    assert tried[0] == (Origin.NAMED, host, 7497)
    assert len(tried) == 2


def test_a_live_port_is_tried_only_when_it_is_named() -> None:
    """7496 and 4001 are real money."""
    windows = ((Origin.GATEWAY, "172.24.32.1"), (Origin.DOCKER, "host.docker.internal"))
    assert {port for *_, port in candidates(None, None, windows)} == {7497, 4002}
    assert candidates(None, 7496) == ((Origin.LOCAL, "127.0.0.1", 7496),)


# --- WSL --------------------------------------------------------------------------------------------------------------


def test_behind_nat_windows_is_the_default_gateway(wsl: Disk) -> None:
    """Document 004's machine, 172.24.32.1; then its names. WSL's own DNS tunnel is nobody."""
    machine = wsl.machine()
    assert machine.network is Network.NAT
    assert machine.windows(Network.NAT) == (
        (Origin.GATEWAY, "172.24.32.1"),
        (Origin.MDNS, "DESK.local"),
        (Origin.DOCKER, "host.docker.internal"),
    )


def test_an_older_wsl_names_windows_as_its_name_server(wsl: Disk) -> None:
    """The last guess, since it may be a company's."""
    wsl.write("etc/resolv.conf", "nameserver 172.20.0.1\n")
    assert wsl.machine().windows(Network.NAT)[-1] == (Origin.NAMESERVER, "172.20.0.1")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", None),
        ("nameserver 10.255.255.254\n", None),
        ("nameserver 127.0.0.42\n", None),
        ("nameserver 8.8.8.8\nnameserver 172.20.0.1 # Windows\n", "172.20.0.1"),
        ("nameserver fe80::1\nnameserver\nnameserver what\nname 10.0.0.1\n", None),
        ("nameserver 169.254.1.1\n", None),
    ],
)
def test_a_name_server_is_windows_only_if_it_is_private(text: str, address: str | None) -> None:
    """Nobody else's machine is knocked at."""
    assert windows_nameserver(text) == address


@pytest.mark.parametrize(
    ("kernel", "environ", "network"),
    [
        ("6.1.0-18-amd64", {}, Network.NATIVE),
        ("4.4.0-19041-Microsoft", {}, Network.WSL1),
        ("4.4.0-19041-Microsoft", {"WSL_DISTRO_NAME": "Ubuntu"}, Network.WSL1),
        ("5.15.90.1-Microsoft-Standard-WSL2", {}, Network.NAT),
        ("6.6.0-our-own-kernel", {"WSL_INTEROP": "/run/WSL/1_interop"}, Network.NAT),
        ("6.6.0-our-own-kernel", {"WSL_DISTRO_NAME": "Debian"}, Network.NAT),
    ],
)
def test_wsl_is_known_by_its_kernel_and_a_kernel_of_ones_own_by_wsl_s_variables(
    wsl: Disk, kernel: str, environ: dict[str, str], network: Network
) -> None:
    """The kernel first: sudo loses the variables. WSL1 shares Windows' network, and so does plain Linux its own."""
    wsl.write("proc/sys/kernel/osrelease", kernel)
    wsl.write("proc/version", f"Linux version {kernel}")
    machine = wsl.machine(environ)
    assert machine.network is network
    assert bool(machine.windows(network)) is (network is Network.NAT)


def test_a_machine_without_proc_has_no_windows_beside_it(tmp_path: Path) -> None:
    """Windows and macOS."""
    machine = Machine(root=tmp_path, environ={})
    assert machine.network is Network.NATIVE
    assert machine.windows(Network.NATIVE) == ()


@pytest.mark.parametrize(
    ("kernel", "network"),
    [
        (NAT_KERNEL, Network.CONTAINER),
        ("6.6.31-linuxkit", Network.CONTAINER),
        ("6.1.0-18-amd64", Network.NATIVE),
    ],
)
def test_inside_a_container_the_gateway_is_docker_and_not_windows(wsl: Disk, kernel: str, network: Network) -> None:
    """Docker Desktop has a name for its host; plain Docker has none, and no name server is asked for it."""
    wsl.write(".dockerenv", "")
    wsl.write("proc/sys/kernel/osrelease", kernel)
    wsl.write("proc/version", kernel)
    machine = wsl.machine()
    assert machine.network is network
    hosts = [host for _, host in machine.windows(network)]
    assert hosts == (["host.docker.internal"] if network is Network.CONTAINER else [])


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for wslinfo")
@pytest.mark.parametrize(
    ("answer", "network"),
    [
        ("echo nat", Network.NAT),
        ("echo NAT", Network.NAT),
        ("echo mirrored", Network.MIRRORED),
        ("echo virtioproxy", Network.VIRTIOPROXY),
        ("echo none", Network.NONE),
        ("echo something new", Network.UNKNOWN),
        ("exit 1", Network.UNKNOWN),
        ("read forever < /dev/zero", Network.UNKNOWN),
    ],
)
def test_only_behind_nat_is_the_gateway_windows(
    wsl: Disk, answer: str, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In mirrored mode the gateway is the router of the local network; so it may be where WSL does not say."""
    wsl.say_networking(answer)
    if "forever" not in answer:
        monkeypatch.setattr(windows, "_COMMAND_SECONDS", PATIENCE)
    begun = monotonic()
    assert wsl.machine().network is network
    assert monotonic() - begun < PATIENCE / 2
    assert bool(wsl.machine().windows(network)) is (network is Network.NAT)


@pytest.mark.parametrize(
    ("routes", "gateway"),
    [
        ("", None),
        ("header only\n", None),
        ("h\neth0 00000000 not-hex 0003 0 0 0 00000000\n", None),
        ("h\neth0 00000000\n", None),
        ("h\neth0 00000000 00000000 0001 0 0 0 00000000\n", None),
        ("h\neth1 00000000 0102A8C0 0003 0 0 600 0\neth0 00000000 012018AC 0003 0 0 100 0\n", "172.24.32.1"),
    ],
)
def test_the_cheapest_default_route_is_read_and_nothing_is_guessed(routes: str, gateway: str | None) -> None:
    """A table that cannot be read names no gateway."""
    assert default_gateway(routes) == gateway


# --- The search -------------------------------------------------------------------------------------------------------


def test_tws_on_this_machine_is_found_from_wsl(wsl: Disk) -> None:
    """Mirrored, WSL1 and IB Gateway inside WSL alike; names that nobody knows are left out of the findings."""
    wsl.write("proc/net/route", "header\n")
    with listening(tws()) as server:
        findings = search(None, server.address[1], machine=wsl.machine())
    [finding] = findings
    assert (finding.host, finding.outcome, finding.origin) == ("127.0.0.1", Outcome.OK, Origin.LOCAL)
    assert finding.network is Network.NAT


def test_windows_is_found_by_a_name_that_leads_to_it(wsl: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The finding has the name and the address; an address under two names is connected to once."""
    monkeypatch.setattr(discovery, "_GUESS_SECONDS", PATIENCE)
    wsl.write("proc/net/route", "header\n")
    names = {"DESK.local": "127.0.0.2", "host.docker.internal": "127.0.0.2"}
    machine = Machine(root=wsl.root, environ={"PATH": ""}, hostname=lambda: "DESK.lan", resolve=names.__getitem__)
    with listening(tws(), "127.0.0.2") as server:
        findings = search(None, server.address[1], machine=machine)
    assert [each.origin for each in findings] == [Origin.LOCAL, Origin.MDNS]
    assert server.connections == 1
    found = answering(findings)
    assert found is not None
    assert (found.host, found.address) == ("DESK.local", "127.0.0.2")


def test_a_name_server_that_is_silent_costs_half_a_second(wsl: Disk, quiet_address: Address) -> None:
    """Guessed names are guessed: nobody waits for them."""
    ended = threading.Event()

    def never(name: str) -> str:
        ended.wait(PATIENCE)
        raise OSError(name)

    wsl.write("proc/net/route", "header\n")
    machine = Machine(root=wsl.root, environ={"PATH": ""}, hostname=lambda: "DESK", resolve=never)
    begun = monotonic()
    findings = search(None, quiet_address[1], machine=machine)
    seconds = monotonic() - begun
    ended.set()
    assert [each.outcome for each in findings] == [Outcome.NOT_LISTENING]
    assert 0.4 < seconds < PATIENCE / 2


def test_a_closed_port_is_reported_as_refused(quiet_address: Address) -> None:
    """The connection is refused at once: nothing listens."""
    [finding] = probe(named(quiet_address))
    assert (finding.host, finding.port, finding.outcome) == (*quiet_address, Outcome.NOT_LISTENING)


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses when the queue is full")
def test_silence_is_told_from_refusal_and_costs_a_second_once(
    full_backlogs: list[Address], quiet_address: Address
) -> None:
    """Addresses that answer nothing are tried side by side, and the refused one is still seen as such."""
    begun = monotonic()
    outcomes = [each.outcome for each in probe(named(*full_backlogs, quiet_address))]
    assert discovery.PROBE_SECONDS - 0.1 < monotonic() - begun < 12 * discovery.PROBE_SECONDS / 2
    assert outcomes == [Outcome.FILTERED] * 12 + [Outcome.NOT_LISTENING]


def test_a_machine_that_stood_still_meanwhile_takes_nobody_for_silent(
    monkeypatch: pytest.MonkeyPatch, quiet_address: Address
) -> None:
    """The second has passed before anybody was looked at, and they have answered all the same."""
    ticks = count(0, 100)
    monkeypatch.setattr(discovery, "monotonic", lambda: float(next(ticks)))
    with listening(tws()) as server:
        outcomes = [each.outcome for each in probe(named(server.address, quiet_address))]
    assert outcomes == [Outcome.OK, Outcome.NOT_LISTENING]


def test_no_answer_from_this_very_machine_is_no_firewall() -> None:
    """In mirrored mode and on Windows a closed port hangs: it means that TWS is not running, or is blocked."""
    here = Finding("127.0.0.1", 7497, Outcome.FILTERED, Origin.LOCAL, Network.MIRRORED)
    assert "TWS is not running, or it is blocked" in here.words
    assert "firewall" in Finding("172.24.32.1", 7497, Outcome.FILTERED, Origin.GATEWAY, Network.NAT).words


def test_an_unknown_name_is_not_a_closed_port() -> None:
    """A label of more than 63 characters can be no host: it is refused without asking a name server."""
    assert probe(named(("x" * 64, 7497)))[0].outcome is Outcome.UNRESOLVED


def test_ipv4_goes_before_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """TWS does not trust ::1, which many a resolver names first."""
    both = [(family, socket.SOCK_STREAM, 6, "", (address, 0)) for family, address in BOTH]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert resolve("localhost") == "127.0.0.1"
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both[:1])
    assert resolve("localhost") == "::1"


def test_a_public_address_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """TWS speaks in clear text: the answer comes without the network."""
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a socket was opened"))
    assert probe(named(("8.8.8.8", 7497)))[0].outcome is Outcome.NOT_ALLOWED


def test_a_name_that_leads_to_a_public_address_is_not_followed() -> None:
    """Unless the name itself is allowed: then somebody has thought of it."""
    [finding] = probe(named(("desk.example", 7497)), resolve=lambda _: "8.8.8.8")
    assert finding.outcome is Outcome.NOT_ALLOWED
    with listening(tws()) as server:
        port = server.address[1]
        [finding] = probe(named(("desk.example", port)), ("desk.example",), resolve=lambda _: "127.0.0.1")
    assert finding.outcome is Outcome.OK


@pytest.mark.parametrize(
    ("address", "allowed", "verdict"),
    [
        ("127.0.0.1", (), True),
        ("::1", (), True),
        ("172.24.32.1", (), True),
        ("8.8.8.8", (), False),
        ("8.8.8.8", ("8.8.8.8",), True),
        ("8.8.8.8", ("8.8.8.0/24", "gateway.example"), True),
        ("8.8.8.8", ("gateway.example", "9.9.9.9"), False),
    ],
)
def test_only_local_private_and_allowed_addresses_are_tried(
    address: str, allowed: tuple[str, ...], verdict: bool
) -> None:
    """An entry that is a name never stands for an address."""
    assert is_allowed(address, allowed) is verdict


# --- Findings ---------------------------------------------------------------------------------------------------------


def test_a_finding_reads_as_a_sentence() -> None:
    """What the warning shows, and what stands on a line of its own."""
    finding = Finding("172.24.32.1", 7497, Outcome.NOT_LISTENING, Origin.GATEWAY)
    assert str(finding) == "172.24.32.1:7497 (nothing listens: the connection was refused)"
    assert finding.line == (
        "172.24.32.1:7497 (Windows, by the default route): nothing listens: the connection was refused"
    )
    assert Finding("::1", 7497, Outcome.OK, Origin.LOCAL).line == "[::1]:7497: TWS answers"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_words(outcome: Outcome) -> None:
    """For a person."""
    assert Finding("10.0.0.5", 7497, outcome).words == outcome.words


def finding(outcome: Outcome, origin: Origin) -> Finding:
    return Finding("10.0.0.5", 7497, outcome, origin)


@pytest.mark.parametrize(
    ("findings", "which"),
    [
        ([(Outcome.NOT_LISTENING, Origin.LOCAL), (Outcome.FILTERED, Origin.GATEWAY)], 1),
        ([(Outcome.FILTERED, Origin.LOCAL), (Outcome.SILENT, Origin.GATEWAY)], 1),
        ([(Outcome.NOT_LISTENING, Origin.NAMED), (Outcome.FILTERED, Origin.GATEWAY)], 0),
        ([(Outcome.NOT_LISTENING, Origin.NAMED), (Outcome.CLOSED_AFTER_ACCEPT, Origin.GATEWAY)], 1),
        ([(Outcome.CLOSED_AFTER_ACCEPT, Origin.NAMED), (Outcome.SILENT, Origin.GATEWAY)], 0),
        ([(Outcome.UNRESOLVED, Origin.NAMED), (Outcome.NOT_LISTENING, Origin.LOCAL)], 0),
    ],
)
def test_where_to_begin_is_where_somebody_is_at_the_door_else_the_address_that_was_set(
    findings: list[tuple[Outcome, Origin]], which: int
) -> None:
    """One thing to do, and not one for each address."""
    made = [finding(*each) for each in findings]
    assert nearest(made) is made[which]


def test_searching_loads_no_library_of_ib(wsl: Disk) -> None:
    """Sockets and names are enough."""
    script = (
        "import sys, src.brokers.discovery; print([n for n in ('ib_insync', 'asyncio', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert json.loads(done.stdout) == []
