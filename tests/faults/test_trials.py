"""The trials with a few seeds each, and every seed that has ever failed; `make prove` runs them as long as you like."""

from pathlib import Path

import pytest

from src.runtime.clock import monotonic
from tests.faults import trader
from tests.faults.harness import CALM, PATIENT, FaultStage, wait_for
from tests.faults.prove import Schedule, keep, regressions
from tests.faults.proxy import Do, Fault, Way
from tests.faults.record import Record, bound, table
from tests.faults.results import Result, Sizes
from tests.faults.trials import PROOFS
from tests.faults.workers import one, work

SEEDS = dict.fromkeys(PROOFS, (1,)) | {"T1": (1, 2), "T9": (1, 2, 3)}  # T9: each weather


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name, found in SEEDS.items() for seed in found])
def test_a_trial_finds_nothing(name: str, seed: int) -> None:
    result = one(name, seed)
    assert result.failures == []
    assert result.trials >= 1


_NONE = pytest.param("", 0, {}, marks=pytest.mark.skip("no seed has failed yet"))


@pytest.mark.parametrize(("name", "seed", "sizes"), regressions() or [_NONE])
def test_what_has_failed_once_does_not_fail_again(name: str, seed: int, sizes: Sizes) -> None:
    assert one(name, seed, sizes).failures == []


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


def test_a_cancelled_order_stays_so_when_an_execution_of_it_is_corrected_after_a_restart(tmp_path: Path) -> None:
    """The venue says nothing more of an order that has long ended: the new session must not take it for open."""
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        stage.open()
        stage.gateway.play("- {on: newOrder, action: partial, shares: 46, count: 1}")
        trade = stage.attempt(stage.order("SELL", 47, ref="a-1")).trade
        assert trade is not None
        stage.broker.cancel_order(trade.order_id)
        for price in (116.73, 116.59):
            stage.gateway.play(f"- {{at: 0, action: correct, price: {price}, shares: 2}}")
            assert wait_for(lambda: float(stage.truth().orders[0].executions[0].price) == price, 60.0)  # noqa: B023
            assert stage.settled() == []
            stage.restart()


@pytest.mark.parametrize("point", trader.POINTS)
def test_a_trader_comes_to_every_point_where_it_is_to_die(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    owner, name, _ = trader.POINTS[point]
    monkeypatch.setattr(owner, name, getattr(owner, name))  # is put back
    died: list[str] = []
    monkeypatch.setattr(trader, "_die", lambda: died.append(point))
    with FaultStage(tmp_path, timing=CALM, settings=PATIENT) as stage:
        begin = trader._die_at(point, 1)
        stage.open()
        assert died == []
        begin()
        assert stage.attempt(stage.order(ref="a-1")).trade is not None
        assert wait_for(lambda: died == [point], 60.0)


def test_what_was_not_tried_is_no_trial_but_what_it_found_counts() -> None:
    result = Result()
    result.count([], "T1", tried=False)
    result.count(["I1: two orders"], "T1", tried=False)
    assert (result.trials, len(result.failures)) == (1, 1)


def test_failed_seeds_are_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "regressions.txt"
    for _ in range(2):
        keep("T1", 7, "I1: two orders", path)
        keep("T3", 8, "I10: less", path, sizes={"steps": 50})
    assert regressions(path) == [("T1", 7, {}), ("T3", 8, {"steps": 50})]


def test_the_bound_is_three_in_n() -> None:
    assert bound(3000, 0) == "< 0.1 %"
    assert bound(1, 0) == "< 100 %"
    assert bound(10, 1) == "1 in 10"
    assert bound(0, 0) == "nothing"


def test_who_is_furthest_behind_is_next_and_seeds_go_on_where_they_ended(tmp_path: Path) -> None:
    record = Record(tmp_path / "record.json", "code")
    record.add("T2", 40, Result(PROOFS["T2"].wanted // 2), 1.0)
    record.add("T1", 70, Result(PROOFS["T1"].wanted // 4), 1.0)
    schedule = Schedule(record, ["T1", "T2"], None, monotonic() + 1000)
    turns = [schedule.following(each) for each in (True, True, False)]
    assert [turn and turn[:2] for turn in turns] == [("T1", 71), ("T1", 72), ("T2", 41)]
    assert (
        Schedule(record, ["T1", "T2"], None, monotonic() + 0.5).following(True) is None
    )  # no seed of them is as quick


def test_counts_of_other_code_are_added_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    Record(path, "old", "commit-1").add("T4", 1, Result(8, ["I14: twice"]), 1.0)
    record = Record(path, "new", "commit-2")
    record.add("T4", 1, Result(4), 1.0)
    assert record.of(["T4"]) == (4, 0)
    assert list(record.others) == ["commit-1 (code old)"]
    assert record.of(["T4"], *record.others.values()) == (12, 1)
    assert "0%" not in next(line for line in table(record, PROOFS).splitlines() if line.startswith("T4"))[:30]


def test_a_process_that_dies_is_a_finding_and_another_goes_on(tmp_path: Path) -> None:
    """No trial is called so; the process says why on its own and ends."""
    tasks = iter([("T12", 1, {"nothing": 1}), ("NONE", 1, {}), ("T12", 1, {"examples": 1})])
    found: list[Result] = []
    work(1, str(tmp_path), lambda _: next(tasks, None), lambda *done: found.append(done[2]))
    assert [bool(each.failures) for each in found] == [True, True, False]
