"""Commits that are shared: nobody waits twice, and nobody is told a falsehood."""

import threading
from collections.abc import Sequence

import pytest

from src.runtime.group_commit import GroupCommit

PATIENCE = 40.0


class Ledger:
    """A commit that can be held up, and that remembers what it committed together."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_commit, self.committing = threading.Event(), threading.Event()
        self.may_commit.set()

    def commit(self, items: Sequence[int]) -> Sequence[Exception | None]:
        self.committing.set()
        self.may_commit.wait(PATIENCE)
        self.groups.append(sorted(items))
        if 13 in items:
            raise RuntimeError("the disk is gone")
        return [ValueError(f"not {item}") if item < 0 else None for item in items]


def submit_all(group: GroupCommit[int], items: Sequence[int]) -> list[object]:
    """Submit each in a thread of its own; what became of each, in order."""
    outcomes: dict[int, object] = {}

    def submit(item: int) -> None:
        try:
            outcomes[item] = group.submit(item)  # type: ignore[func-returns-value]
        except Exception as error:  # noqa: BLE001
            outcomes[item] = error

    threads = [threading.Thread(target=submit, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return [outcomes[item] for item in items]


def waiting_together(ledger: Ledger, items: Sequence[int]) -> list[object]:
    """What becomes of `items` when all of them have come while another commit was under way."""
    group = GroupCommit(ledger.commit)
    ledger.may_commit.clear()
    first = threading.Thread(target=group.submit, args=(0,))
    first.start()
    assert ledger.committing.wait(PATIENCE)
    outcomes: list[object] = []
    others = threading.Thread(target=lambda: outcomes.extend(submit_all(group, items)))
    others.start()
    while len(group._next.items) < len(items):
        threading.Event().wait(0.001)
    ledger.may_commit.set()
    first.join(PATIENCE)
    others.join(PATIENCE)
    return outcomes


def test_who_waits_for_a_commit_shares_the_next_one() -> None:
    """One for the first, one for all who came meanwhile."""
    ledger = Ledger()
    assert waiting_together(ledger, range(1, 9)) == [None] * 8
    assert ledger.groups == [[0], list(range(1, 9))]


def test_each_gets_his_own_error_and_a_commit_that_fails_is_everybodys() -> None:
    """Nobody is told that something is committed which is not."""
    mine, theirs = waiting_together(Ledger(), [-1, 2])
    assert isinstance(mine, ValueError)
    assert theirs is None
    assert all(isinstance(outcome, RuntimeError) for outcome in waiting_together(Ledger(), [13, 2, 3]))


def test_ctrl_c_within_a_commit_is_told_to_all_and_holds_up_nobody() -> None:
    """The one who committed is interrupted; the next is served."""
    interrupt = True

    def commit(items: Sequence[int]) -> Sequence[None]:
        if interrupt:
            raise KeyboardInterrupt
        return [None] * len(items)

    group = GroupCommit(commit)
    with pytest.raises(KeyboardInterrupt):
        group.submit(1)
    interrupt = False
    group.submit(2)


def test_a_follower_of_an_interrupted_commit_is_not_told_that_it_is_done() -> None:
    """InterruptedError instead."""
    group: GroupCommit[int] = GroupCommit(lambda items: [None] * len(items))
    group._next.items.append(0)  # somebody who leads, and is interrupted before the commit
    led = group._next
    outcomes: list[object] = []
    follower = threading.Thread(target=lambda: outcomes.extend(submit_all(group, [1])))
    follower.start()
    while len(led.items) < 2:
        threading.Event().wait(0.001)
    led.settled.set()
    follower.join(PATIENCE)
    assert [type(outcome) for outcome in outcomes] == [InterruptedError]


def test_nothing_is_committed_while_another_action_is_done() -> None:
    """A checkpoint, say."""
    ledger = Ledger()
    group = GroupCommit(ledger.commit)
    other = threading.Thread(target=group.submit, args=(1,))

    def action() -> None:
        other.start()
        assert not ledger.committing.wait(0.05)

    group.between(action)
    other.join(PATIENCE)
    assert ledger.groups == [[1]]
