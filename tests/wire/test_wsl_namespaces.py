"""WSL's NAT network for real: two network namespaces, "wsl" and "win", and TWS in the Windows one.

The addresses are those of document 004. Nothing leaves the namespaces.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.conftest import ROOT

WSL_ADDRESS, WINDOWS_ADDRESS, NOBODY = "172.24.46.63", "172.24.32.1", "172.24.40.40"
#: TWS as far as its greeting goes. Says when it listens, then from where it was called.
TWS = """
import socket
with socket.create_server(("0.0.0.0", 7497)) as server:
    print("listening", flush=True)
    connection, peer = server.accept()
    with connection:
        connection.recv(100)
        payload = b"176\\x0020260105 09:31:02 EST\\x00"
        connection.sendall(len(payload).to_bytes(4, "big") + payload)
        rest = connection.recv(100)
    print(peer[0], len(rest), flush=True)
"""
SEARCH = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from src.brokers.discovery import search
from src.brokers.wsl import Machine

def nobody_knows(name):
    raise OSError(name)

machine = Machine(root=Path(sys.argv[1]), environ={"PATH": ""}, hostname=lambda: "DESK", resolve=nobody_knows)
begun = monotonic()
findings = search(None, None, machine=machine)
print(json.dumps({"seconds": monotonic() - begun, "findings": [asdict(each) for each in findings]}))
"""


def ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=60, check=True)


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """WSL and Windows, joined by a cable; the default route of the one leads to the other."""
    if shutil.which("ip") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("network namespaces need root and the command `ip`")
    wsl, windows = (f"understudy-{os.getpid()}-{name}" for name in ("wsl", "win"))
    try:
        ip("netns", "add", wsl)
        ip("netns", "add", windows)
        ip("link", "add", "eth0", "netns", wsl, "type", "veth", "peer", "name", "eth0", "netns", windows)
        for name, address in ((wsl, WSL_ADDRESS), (windows, WINDOWS_ADDRESS)):
            ip("-n", name, "address", "add", f"{address}/20", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", wsl, "route", "add", "default", "via", WINDOWS_ADDRESS)
    except subprocess.CalledProcessError as error:
        _remove(wsl, windows)
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    yield wsl, windows
    _remove(wsl, windows)


def _remove(*names: str) -> None:
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=60, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """WSL2's files; the routes are those of the namespace that reads them."""
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc/sys/kernel/osrelease").write_text("5.15.167.4-microsoft-standard-WSL2\n")
    (tmp_path / "proc/net").symlink_to("/proc/self/net")
    (tmp_path / "etc/resolv.conf").write_text(f"nameserver {NOBODY}\n")
    return tmp_path


def search_in(namespace: str, disk: Path) -> tuple[float, dict[tuple[str, int], dict[str, Any]]]:
    command = ["ip", "netns", "exec", namespace, sys.executable, "-c", SEARCH, str(disk)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return answer["seconds"], {(each["host"], each["port"]): each for each in answer["findings"]}


def next_line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline().strip()


def test_from_wsl_tws_is_found_on_windows(namespaces: tuple[str, str], disk: Path) -> None:
    """At the default gateway, with the address that TWS must trust; an address nobody has is filtered, not refused."""
    wsl, windows = namespaces
    server = subprocess.Popen(
        ["ip", "netns", "exec", windows, sys.executable, "-c", TWS], stdout=subprocess.PIPE, text=True
    )
    try:
        assert next_line(server.stdout) == "listening"
        seconds, findings = search_in(wsl, disk)
        caller = next_line(server.stdout)
    finally:
        server.kill()
        server.communicate()
    found = findings[WINDOWS_ADDRESS, 7497]
    assert (found["outcome"], found["server_version"], found["network"]) == ("ok", 176, "nat")
    assert found["our_address"] == WSL_ADDRESS
    assert caller == f"{WSL_ADDRESS} 0"  # TWS saw that address, and nothing after the greeting
    assert {address: each["outcome"] for address, each in findings.items()} == {
        ("127.0.0.1", 7497): "not_listening",
        ("127.0.0.1", 4002): "not_listening",
        (WINDOWS_ADDRESS, 7497): "ok",
        (WINDOWS_ADDRESS, 4002): "not_listening",
        (NOBODY, 7497): "filtered",
        (NOBODY, 4002): "filtered",
    }
    assert seconds < 10  # that the silent ones are waited for together: tests/brokers/test_discovery.py


def test_without_tws_the_search_ends_within_about_a_second(namespaces: tuple[str, str], disk: Path) -> None:
    """Windows refuses; what answers nothing costs the one second of all."""
    seconds, findings = search_in(namespaces[0], disk)
    assert findings[WINDOWS_ADDRESS, 7497]["outcome"] == "not_listening"
    assert {each["outcome"] for each in findings.values()} == {"not_listening", "filtered"}
    assert seconds < 10  # that the silent ones are waited for together: tests/brokers/test_discovery.py
