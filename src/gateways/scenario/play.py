"""The course of a scenario: which rule acts on a message, or by itself. Pure: time and chance come from outside.

The same rules, seed and messages give the same faults: each rule draws from its own sequence, so that one rule's
matches do not move another's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from src.gateways.scenario.rules import Rule, Scenario


@dataclass(frozen=True, slots=True)
class Moment:
    """Now: real seconds since the gateway's start, and the market's time of day in seconds of New York's."""

    since_start: float
    time_of_day: int


@dataclass(slots=True)
class _Course:
    """How far one rule has come."""

    rule: Rule
    chance: Random
    begun: float  # the moment from which its `at` counts
    matches: int = 0
    acted: int = 0
    was_before: bool = False  # the day has been seen before its `at_time`

    def is_awake(self, now: Moment) -> bool:
        """Whether its moment has come."""
        at_time = self.rule.at_time
        if at_time is not None:
            return now.time_of_day >= at_time
        return now.since_start - self.begun >= self.rule.at

    def hits(self) -> bool:
        """Whether this match is one that it acts on."""
        rule = self.rule
        if rule.count is not None and self.acted >= rule.count:
            return False
        self.matches += 1
        if self.matches <= rule.after or (rule.probability < 1 and self.chance.random() >= rule.probability):
            return False
        self.acted += 1
        return True


class Play:
    """A scenario that is being played."""

    def __init__(self, scenario: Scenario, seed: int = 1) -> None:
        self._seed = seed
        self._asked: list[_Course] = []
        self._timed: list[_Course] = []
        self._known = 0
        self.add(scenario, 0.0)

    def add(self, scenario: Scenario, now: float) -> None:
        """Play further rules; their `at` counts from `now` (seconds since the gateway's start)."""
        for rule in scenario.rules:
            self._known += 1
            course = _Course(rule, Random(f"{self._seed} {self._known}"), now)  # noqa: S311  # faults, no secrets
            (self._timed if rule.on is None else self._asked).append(course)

    def clear(self) -> None:
        """Forget every rule."""
        self._asked.clear()
        self._timed.clear()

    @property
    def has_timed(self) -> bool:
        """Whether a rule waits for its moment."""
        return bool(self._timed)

    def wait(self, now: Moment) -> float | None:
        """Seconds until a rule acts by itself; None when no rule counts seconds."""
        waits = [each.begun + each.rule.at - now.since_start for each in self._timed if each.rule.at_time is None]
        return max(min(waits), 0.0) if waits else None

    def due(self, now: Moment) -> Iterator[Rule]:
        """The rules that act by themselves now, each as often as it is to."""
        for course in tuple(self._timed):
            if course.rule.at_time is None:
                is_due = course.is_awake(now)
            else:  # a time of day that passes, not one that has long passed
                is_due = course.was_before and course.is_awake(now)
                course.was_before = not course.is_awake(now)
            if is_due:
                self._timed.remove(course)
                for _ in range(course.rule.count or 1):
                    if course.hits():
                        yield course.rule

    def judge(self, names: Sequence[str], message: object, client_id: int, now: Moment) -> Rule | None:
        """The rule that acts on a message; None: it goes its way."""
        bears = tuple(names)
        for course in self._asked:
            rule = course.rule
            if (
                rule.on is not None
                and rule.on.fits(bears, message)
                and rule.client in (None, client_id)
                and course.is_awake(now)
                and course.hits()
            ):
                return rule
        return None
