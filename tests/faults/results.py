"""What a trial answers, and the chance that it draws on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random


@dataclass(slots=True)
class Result:
    """How many trials were made, and every difference found in them."""

    trials: int = 0
    failures: list[str] = field(default_factory=list)

    def count(self, found: list[str], what: str) -> None:
        """One more trial, with what it found."""
        self.trials += 1
        self.failures += [f"{each} [{what}]" for each in found]


Trial = Callable[[Path, int], Result]


@dataclass(frozen=True, slots=True)
class Proof:
    """A trial, and the invariants that its trials count for."""

    run: Trial
    invariants: tuple[str, ...]


def chance_of(name: str, seed: int) -> Random:
    """Chance that can be repeated."""
    return Random(f"{name} {seed}")  # noqa: S311  # no secret
