"""A real Prometheus, a real session over the real paper gateway, and the files of `ops/`."""

import contextlib
import importlib.util
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import IO

import pytest
import yaml

from tests.conftest import ROOT

OPS = ROOT / "ops"
PATIENCE = 60.0
REASON = "Debian's prometheus is not installed (.ci/run installs it)"
Start = Callable[..., "Process"]


def promtool(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool; skip where there is none."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip(REASON)
    return subprocess.run(
        [program, *arguments], input=given, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something outside of this process; fail when it does not come."""
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while not true():
        assert time.monotonic() < deadline, f"{what} has not come"
        pause.wait(0.1)


class Process:
    """A command that runs beside the test; what it says is kept, and can be waited for."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.said = ""
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self.said += line

    def find(self, pattern: str) -> str:
        """The first group of a pattern, once it has been said."""
        until(lambda: re.search(pattern, self.said) is not None or not self.is_alive, pattern)
        found = re.search(pattern, self.said)
        assert found, self.said
        return found[1]

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """Its exit code."""
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """At once, without a word."""
        self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start commands that end with the test; keywords are variables."""
    started: list[Process] = []

    def start_command(*command: str, **variables: str) -> Process:
        started.append(Process(list(command), {**environment, "PYTHONUNBUFFERED": "1", **variables}))
        return started[-1]

    yield start_command
    for process in reversed(started):
        process.kill()


@pytest.fixture
def gateway(start: Start) -> Process:
    """The paper gateway, whose market never closes."""
    return start(sys.executable, "-m", "src", "serve-tws", "--port", "0", "--market-hours", "always")


@pytest.fixture
def prometheus(start: Start, tmp_path: Path) -> Callable[[str], str]:
    """Start a Prometheus with our rules, a minute of which is a second here; returns its own address.

    It scrapes an address every second, and alerts wait a sixtieth of the time that they wait for elsewhere.
    """
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip(REASON)

    def start_prometheus(target: str) -> str:
        folder = tmp_path / "prometheus"
        shutil.copytree(OPS / "prometheus", folder)
        text = (folder / "prometheus.yml").read_text()
        for setting, other in (("scrape_interval: 5s", "1s"), ("evaluation_interval: 5s", "1s"), ("timeout: 4s", "1s")):
            assert setting in text
            text = text.replace(setting, f"{setting.partition(':')[0]}: {other}")
        alerts = folder / "rules" / "alerts.yml"
        rules, scaled = re.subn(r"(?m)^( +for: )(?:1m|30s)$", r"\g<1>1s", alerts.read_text())
        assert scaled == rules.count(" for: ") > 0
        alerts.write_text(rules)
        (folder / "prometheus.yml").write_text(text.replace('["127.0.0.1:9093"]', "[]"))
        (folder / "targets.yml").write_text(yaml.safe_dump([{"targets": [target]}]))
        for _ in range(5):  # somebody else may take the free port before Prometheus does
            with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
                address = f"127.0.0.1:{free.getsockname()[1]}"
            started = start(
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={address}",
            )
            until(lambda: "ready to receive" in started.said or not started.is_alive, "Prometheus")  # noqa: B023
            if started.is_alive:
                return address
        pytest.fail(started.said)

    return start_prometheus


@pytest.fixture(scope="session")
def monitor() -> ModuleType:
    """`ops/monitor.py`, which is a script."""
    spec = importlib.util.spec_from_file_location("monitor", OPS / "monitor.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["monitor"] = module
    spec.loader.exec_module(module)
    return module
