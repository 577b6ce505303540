"""What the doctor says: one check after another for a person, one object for a program, and the exit code."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from src.brokers.command_line import DONE, FAILED, NO_CONNECTION, WRONG_USE, mode_words
from src.brokers.findings import Finding, Outcome
from src.domain.market import Mode

CONFIGURATION: Final = "configuration"
NOT_CHECKED: Final = "not checked: "
_INDENT: Final = "      "
#: The id of a connection that TWS began, and did not let this client finish.
REFUSED: Final = "connection"
_CONNECTION: Final = frozenset({*Outcome, REFUSED})


class Status(StrEnum):
    """PASS: as it should be. WARN: worth knowing, or not checked. FAIL: trading would not work."""

    PASS = "PASS"  # noqa: S105  # no password
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `fix` is what to change, its first line on its own saying what."""

    id: str
    status: Status
    title: str
    detail: str = ""
    fix: str = ""

    @property
    def unchecked(self) -> str:
        """Why the check was not made; nothing when it was."""
        return self.detail.removeprefix(NOT_CHECKED) if self.detail.startswith(NOT_CHECKED) else ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Everything that was looked at, and what it comes to."""

    mode: Mode
    checks: tuple[Check, ...]
    found: Finding | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """What stands in the way, in the order in which it is to be changed."""
        return tuple(each for each in self.checks if each.status is Status.FAIL)

    @property
    def ok(self) -> bool:
        """Whether trading would work."""
        return not self.failed

    @property
    def exit_code(self) -> int:
        """0: trading would work. 2: a setting is wrong. 3: there is no TWS. 1: something else stands in the way."""
        ids = {each.id for each in self.failed}
        if not ids:
            return DONE
        if ids & {CONFIGURATION, Outcome.NOT_ALLOWED}:
            return WRONG_USE
        return NO_CONNECTION if ids & _CONNECTION else FAILED

    def as_json(self) -> str:
        """Return the diagnosis as one line of JSON."""
        facts = {"ok": self.ok, "mode": self.mode, "findings": [asdict(each) for each in self.checks]}
        return json.dumps(facts, allow_nan=False)

    def conclusion(self) -> str:
        """What it comes to, and as the last line the one thing to do."""
        if self.ok:
            return f"✅ Trading would work: {mode_words(self.mode, self.found)}"
        first = self.failed[0]
        what, *_ = first.fix.splitlines() or [first.title]
        return f"❌ Trading on TWS would not work.\n👉 {what}."


def as_text(checks: Sequence[Check]) -> str:
    """Return checks as a person reads them; those that were not made share a line."""
    lines: list[str] = []
    for (status, unchecked), group in groupby(checks, key=lambda each: (each.status, each.unchecked)):
        if unchecked:
            lines.append(f"{status}  not checked, {unchecked}: {', '.join(each.title for each in group)}")
            continue
        for each in group:
            lines.append(f"{each.status}  {each.title}")
            lines += [_INDENT + line for line in (*each.detail.splitlines(), *each.fix.splitlines())]
    return "\n".join(lines)
