"""What a trial answers, the chance that it draws on, and how often it is wanted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Final

#: How large one seed's trials are: how many rounds, steps, frames, calls; by the name of the trial's argument.
Sizes = Mapping[str, int]
AS_IN_TESTS: Final[Sizes] = MappingProxyType({})


@dataclass(slots=True)
class Result:
    """How many trials were made, and every difference found in them."""

    trials: int = 0
    failures: list[str] = field(default_factory=list)

    def count(self, found: list[str], what: str, *, tried: bool = True) -> None:
        """One more trial, with what it found; none where nothing was `tried` after all, and nothing found."""
        self.trials += tried or bool(found)
        self.failures += [f"{each} [{what}]" for each in found]


#: Makes one seed's trials: takes a folder of their own, the seed, and its sizes by name.
Trial = Callable[..., Result]


@dataclass(frozen=True, slots=True)
class Proof:
    """A trial, the invariants that its trials count for, what one trial is, and how many are aimed at.

    `at_length` is how large one seed's trials are in `make prove`; in `make test` they are as small as they can be.
    One that `is_timed` is held against the clock: it goes before others that the machine could do meanwhile.
    """

    run: Trial
    invariants: tuple[str, ...]
    unit: str
    wanted: int
    at_length: Sizes = field(default_factory=dict)
    is_timed: bool = False


def chance_of(name: str, seed: int) -> Random:
    """Chance that can be repeated."""
    return Random(f"{name} {seed}")  # noqa: S311  # no secret
