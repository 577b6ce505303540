"""Where TWS is looked for, and what is said of what was found."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from src.brokers import discovery
from src.brokers.discovery import candidates, default_gateway, is_allowed, probe, search, windows_host
from src.brokers.findings import Finding, Outcome

Address = tuple[str, int]
NAT_KERNEL = "5.15.167.4-microsoft-standard-WSL2\n"
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t0020180A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0
eth0\t00000000\t012018AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
"""


@pytest.fixture
def wsl(tmp_path: Path) -> Path:
    """The part of /proc that tells WSL2 from the rest."""
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "net").mkdir()
    (tmp_path / "sys/kernel/osrelease").write_text(NAT_KERNEL)
    (tmp_path / "net/route").write_text(ROUTES)
    return tmp_path


@pytest.fixture
def no_wslinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH without WSL's own programs."""
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def full_backlog() -> Iterator[Address]:
    """An address that neither accepts nor refuses: its queue of waiting connections is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address: Address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(address)
            yield address
        finally:
            for each in waiting:
                each.close()


def say_networking(mode: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = folder / "wslinfo"
    command.write_text(f'#!/bin/sh\n[ "$1" = --networking-mode ] && echo {mode}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_a_named_host_and_port_are_the_only_candidate() -> None:
    """Who names an address means that one."""
    assert candidates("10.0.0.5", 7777, "172.24.32.1") == (("10.0.0.5", 7777),)


def test_without_names_the_paper_ports_of_this_machine_are_tried() -> None:
    """7497 and 4002, TWS before Gateway."""
    assert candidates(None, None) == (("127.0.0.1", 7497), ("127.0.0.1", 4002))


def test_behind_nat_windows_is_tried_too_and_never_on_a_live_port() -> None:
    """The gateway comes after this machine; 7496 and 4001 are real money."""
    tried = candidates(None, None, "172.24.32.1")
    assert tried[2:] == (("172.24.32.1", 7497), ("172.24.32.1", 4002))
    assert not {7496, 4001} & {port for _, port in tried}


def test_a_live_port_is_tried_when_it_is_named() -> None:
    """The port is honoured as given."""
    assert candidates(None, 7496) == (("127.0.0.1", 7496),)


def test_something_that_listens_is_found(listening_address: Address) -> None:
    """An open port is an open port; whether it is TWS is another question."""
    assert probe((listening_address,)) == (Finding(*listening_address, Outcome.LISTENING),)


def test_a_closed_port_is_reported_as_refused(quiet_address: Address) -> None:
    """The connection is refused at once: nothing listens."""
    assert probe((quiet_address,)) == (Finding(*quiet_address, Outcome.NOT_LISTENING),)


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses when the queue is full")
def test_silence_is_told_from_refusal_and_costs_the_timeout_once(full_backlog: Address, quiet_address: Address) -> None:
    """Two addresses that answer nothing are tried side by side, and the refused one is still seen as such."""
    begun = monotonic()
    findings = probe((full_backlog, quiet_address, full_backlog), timeout=0.3)
    assert monotonic() - begun < 0.6
    assert [each.outcome for each in findings] == [Outcome.FILTERED, Outcome.NOT_LISTENING, Outcome.FILTERED]


def test_an_unknown_name_is_not_a_closed_port() -> None:
    """A label of more than 63 characters can be no host: it is refused without asking a name server."""
    assert probe((("x" * 64, 7497),))[0].outcome is Outcome.UNRESOLVED


def test_a_public_address_is_not_tried() -> None:
    """TWS speaks in clear text: the answer comes at once, and without the network."""
    begun = monotonic()
    assert search("8.8.8.8", 7497)[0].outcome is Outcome.NOT_ALLOWED
    assert monotonic() - begun < 0.5


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


@pytest.mark.usefixtures("no_wslinfo")
def test_the_gateway_is_windows_under_wsl2(wsl: Path) -> None:
    """Seed 004's machine: 172.24.32.1."""
    assert windows_host(wsl) == "172.24.32.1"


@pytest.mark.parametrize("kernel", ["6.1.0-18-amd64", "4.4.0-19041-Microsoft"])
@pytest.mark.usefixtures("no_wslinfo")
def test_elsewhere_the_gateway_is_a_stranger(wsl: Path, kernel: str) -> None:
    """Plain Linux, and WSL1, which shares Windows' network."""
    (wsl / "sys/kernel/osrelease").write_text(kernel)
    assert windows_host(wsl) is None


def test_a_machine_without_proc_has_no_windows_beside_it(tmp_path: Path) -> None:
    """Windows and macOS."""
    assert windows_host(tmp_path) is None


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for wslinfo")
@pytest.mark.parametrize(("mode", "host"), [("nat", "172.24.32.1"), ("mirrored", None), ("virtioproxy", None)])
def test_only_behind_nat_is_the_gateway_windows(
    wsl: Path, mode: str, host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In mirrored mode the gateway is the router of the local network."""
    say_networking(mode, wsl, monkeypatch)
    assert windows_host(wsl) == host


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


def test_a_finding_reads_as_a_sentence() -> None:
    """What the warning shows."""
    assert str(Finding("127.0.0.1", 7497, Outcome.NOT_LISTENING)) == (
        "127.0.0.1:7497 (nothing listens: the connection was refused)"
    )


def test_the_search_takes_about_a_second_at_most() -> None:
    """A session that falls back has begun within two seconds."""
    assert discovery.PROBE_SECONDS <= 1.0
