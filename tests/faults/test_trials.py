"""The trials with a few seeds each, and every seed that has ever failed; `make prove` runs them as long as you like."""

from pathlib import Path

import pytest

from tests.faults.harness import CALM, PATIENT, FaultStage, wait_for
from tests.faults.prove import bound, keep, one, regressions
from tests.faults.proxy import Do, Fault, Way

SEEDS = {
    "T1": (1, 2, 3),
    "T2": (1,),
    "T3": (1, 11),
    "T4": (1, 2),
    "T5": (1, 2),
    "T6": (1, 2),
    "T9": (1, 2, 3),
    "T10": (1,),
    "T11": (1,),
    "T12": (1,),
    "T13": (1,),
    "T14": (1,),
}


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name, found in SEEDS.items() for seed in found])
def test_a_trial_finds_nothing(name: str, seed: int) -> None:
    result = one(name, seed)
    assert result.failures == []
    assert result.trials >= 1


_NONE = pytest.param("", 0, marks=pytest.mark.skip("no seed has failed yet"))


@pytest.mark.parametrize(("name", "seed"), regressions() or [_NONE])
def test_what_has_failed_once_does_not_fail_again(name: str, seed: int) -> None:
    assert one(name, seed).failures == []


def test_a_lost_commission_is_asked_for(tmp_path: Path) -> None:
    """It moves no position, so that nobody looked for it."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        stage.open()
        stage.proxy.arm(Fault(Do.DROP, Way.IN, "59"))
        assert stage.attempt(stage.order(ref="a-1")).trade is not None
        assert stage.settled() == []


def test_an_order_is_done_although_an_execution_of_it_was_annulled(tmp_path: Path) -> None:
    """It was annulled before the order had filled, so that the executions never came to all of its shares."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        stage.open()
        stage.gateway.play("- {on: newOrder, action: partial, shares: 64, count: 1}")
        stage.gateway.play("- {on: execDetails, action: bust, count: 1}")
        assert stage.attempt(stage.order(quantity=94, ref="a-1")).trade is not None
        assert wait_for(lambda: stage.truth().orders[0].status == "Filled", 60.0)
        assert stage.settled() == []


def test_failed_seeds_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "regressions.txt"
    for _ in range(2):
        keep("T1", 7, "I1: two orders", path)
    keep("T4", 8, "I14: nobody said so", path)
    assert regressions(path) == [("T1", 7), ("T4", 8)]


def test_the_bound_is_three_in_n() -> None:
    assert bound(3000, 0) == "< 0.10%"
    assert bound(10, 1) == "1 in 10"
    assert bound(0, 0) == "nothing"
