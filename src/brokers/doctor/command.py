"""`python -m src doctor [--json]`: gathers the facts, runs the checks, prints them as they come, and concludes.

Nothing is ordered and nothing is changed: files are read, addresses are tried, TWS is greeted.
"""

import argparse
import logging
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from src.brokers.command_line import run_command
from src.brokers.discovery import search
from src.brokers.doctor import account, connection, surroundings
from src.brokers.doctor.inspection import TwsInspection
from src.brokers.doctor.report import Check, Diagnosis, Status, as_text
from src.brokers.findings import Finding, Network, answering
from src.brokers.wsl import Machine
from src.domain.account_ids import mode_of
from src.domain.errors import BrokerError, ConfigurationError
from src.domain.market import Mode
from src.runtime.clock import wall_clock
from src.settings import Settings, load_settings, written_settings

_HEADING: Final = "🩺 Would trading on TWS work from here?"


def main(arguments: Sequence[str] | None = None, prog: str = "doctor") -> int:
    """Examine, print, and return the exit code: 0 only when trading would work."""
    parser = argparse.ArgumentParser(prog=prog, description="Find out whether trading would work, and what to change.")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    options = parser.parse_args(arguments)
    return run_command(lambda: _print(Examination(Machine()), as_json=options.json))


def _print(examination: "Examination", *, as_json: bool) -> int:
    checks: list[Check] = []
    if not as_json:
        sys.stdout.write(f"{_HEADING}\n\n")
    for part in examination.parts():
        checks += part
        if not as_json:
            sys.stdout.write(f"{as_text(part)}\n")
            sys.stdout.flush()
    diagnosis = Diagnosis(examination.mode, tuple(checks), examination.found)
    if as_json:
        sys.stdout.write(f"{diagnosis.as_json()}\n")
    else:
        sys.stdout.write(f"\n{diagnosis.conclusion()}\n")
    return diagnosis.exit_code


class Examination:
    """One examination; `mode` is what trading would be, and `found` the TWS it would be on, as far as it is known."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.mode = Mode.DISCONNECTED
        self.found: Finding | None = None

    def parts(self) -> Iterator[tuple[Check, ...]]:
        """The checks as they are made, in the order in which things are to be put right."""
        settings, configuration = _configuration()
        network = self._machine.network
        windows = [host for _, host in self._machine.windows(network)]
        wanted = "auto" if settings is None else settings.library
        yield (
            configuration,
            surroundings.python(sys.version_info[:3], platform.system()),
            surroundings.library(_installed(), wanted),
            surroundings.network(network, windows),
        )
        if settings is None:
            return
        yield (self._state_folder(settings.state_dir, network),)
        if settings.backend == "simulated":
            self.mode = Mode.SIMULATED
            yield (Check("backend", Status.PASS, "IBKR_BACKEND=simulated: TWS is not looked for"),)
            return
        yield from self._tws(settings)

    def _tws(self, settings: Settings) -> Iterator[tuple[Check, ...]]:
        host = None if settings.host == "auto" else settings.host
        findings = search(
            host, settings.port, settings.allowed_hosts, patience=settings.connect_timeout, machine=self._machine
        )
        checks = connection.addresses(findings)
        yield checks
        found = answering(findings)
        if found is None or any(each.status is Status.FAIL for each in checks):
            yield account.not_checked("there is no TWS to ask" if found is None else "TWS is at another address")
            return
        yield (connection.clock(found),)
        try:
            inspection = TwsInspection(settings, found)
        except BrokerError as error:
            yield (connection.refused(error), *account.not_checked("there is no connection"))
            return
        try:
            yield account.checks(inspection, settings, wall_clock)
            if not inspection.is_refused:
                self.found, self.mode = found, mode_of(settings.account_id or inspection.managed_accounts[0])
        finally:
            inspection.close()

    def _state_folder(self, folder: Path, network: Network) -> Check:
        folder = folder.resolve()
        there = next(each for each in (folder, *folder.parents) if each.exists())
        writable = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
        return surroundings.state_folder(folder, self._machine.text("proc/mounts"), network, writable=writable)


def _installed() -> dict[str, str]:
    found = {}
    for name in (*surroundings.LIBRARIES, *surroundings.LIBRARIES.values()):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _configuration() -> tuple[Settings | None, Check]:
    """Read the settings, and keep what their reading has to say for the check rather than for the log."""
    collected = _Collected()
    log = logging.getLogger("src.settings")
    log.addHandler(collected)
    log.propagate = False
    try:
        settings, error = load_settings(), None
        written = {field: (given.name, given.value, given.place) for field, given in written_settings().items()}
    except ConfigurationError as wrong:
        settings, error, written = None, str(wrong), {}
    finally:
        log.removeHandler(collected)
        log.propagate = True
    return settings, surroundings.configuration(settings, written, collected.lines, error)


class _Collected(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
