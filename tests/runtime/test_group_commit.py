"""Commits that are shared: nobody waits twice, and nobody is told a falsehood."""

import sys
import threading
from collections.abc import Callable, Sequence

import pytest

from src.runtime import group_commit
from src.runtime.group_commit import GroupCommit
from tests.interrupting import CtrlC, at_every_point, on_its_own_thread

PATIENCE = 40.0


class Ledger:
    """A commit that can be held up, and that remembers what it committed together."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_commit, self.committing = threading.Event(), threading.Event()
        self.may_commit.set()

    def commit(self, items: Sequence[int], prepared: Callable[[], None]) -> Sequence[Exception | None]:
        prepared()
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

    def commit(items: Sequence[int], _: object) -> Sequence[None]:
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
    group: GroupCommit[int] = GroupCommit(lambda items, _: [None] * len(items))
    group._next.items.append(0)  # somebody who leads, and is interrupted before the commit
    led = group._next
    outcomes: list[object] = []
    follower = threading.Thread(target=lambda: outcomes.extend(submit_all(group, [1])))
    follower.start()
    while len(led.items) < 2:
        threading.Event().wait(0.001)
    group._end(led)
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


def held() -> threading.Lock:
    """A lock that somebody waits for."""
    gate = threading.Lock()
    gate.acquire()
    return gate


def test_those_of_a_commit_are_told_when_the_next_one_leaves_the_rest_to_the_disk() -> None:
    """Neither before it is prepared, nor only once it is done."""
    order, steps = list[str](), {name: threading.Semaphore(0) for name in ("begun", "first", "second", "last")}

    def commit(items: Sequence[str], prepared: Callable[[], None]) -> Sequence[None]:
        name = "first" if "lead" in items else "second" if "follow" in items else "last"
        steps["begun"].release()
        assert steps[name].acquire(timeout=PATIENCE)
        order.append(f"{name} is prepared")
        prepared()
        if name == "last":
            assert told.acquire(timeout=PATIENCE)
        order.append(f"{name} is done")
        return [None] * len(items)

    group, told = GroupCommit(commit), threading.Semaphore(0)

    def submit(name: str) -> None:
        group.submit(name)
        if name == "follower":
            order.append("the follower is told")
            told.release()

    def begin(name: str, waiting: int) -> threading.Thread:
        thread = threading.Thread(target=submit, args=(name,))
        thread.start()
        while len(group._next.items) < waiting:
            threading.Event().wait(0.001)
        return thread

    threads = [begin("lead", 0)]
    assert steps["begun"].acquire(timeout=PATIENCE)
    threads += [begin("follow", 1), begin("follower", 2)]
    steps["first"].release()
    assert steps["begun"].acquire(timeout=PATIENCE)
    threads.append(begin("another", 1))
    steps["second"].release()
    assert steps["begun"].acquire(timeout=PATIENCE)
    steps["last"].release()
    for thread in threads:
        thread.join(PATIENCE)
    assert order[2:] == [
        "second is prepared", "second is done", "last is prepared", "the follower is told", "last is done",
    ]  # fmt: skip


def test_what_is_done_between_commits_keeps_nobody_waiting_for_his_own() -> None:
    """Whoever has the turn next tells those before."""
    group = GroupCommit(Ledger().commit)
    group._untold, gate = group._next, held()
    group._next.waiting.append(gate)
    group.between(lambda: None)
    assert gate.acquire(timeout=PATIENCE)


def test_a_leader_that_is_interrupted_tells_those_before() -> None:
    """They have their commit, whoever was to say so."""

    def interrupted(items: Sequence[int], _: object) -> Sequence[None]:
        raise KeyboardInterrupt

    group, gate = GroupCommit(interrupted), held()
    group._untold = GroupCommit(interrupted)._next
    group._untold.waiting.append(gate)
    with pytest.raises(KeyboardInterrupt):
        group.submit(1)
    assert gate.acquire(timeout=PATIENCE)


def test_a_crowd_is_served_whoever_leads() -> None:
    """Each of a thousand items is committed once, and everybody returns."""
    committed: list[int] = []

    def commit(items: Sequence[int], prepared: Callable[[], None]) -> Sequence[None]:
        if items[0] % 3:
            prepared()
        committed.extend(items)
        return [None] * len(items)

    group = GroupCommit(commit)

    def submit(first: int) -> None:
        for item in range(first, 1000, 16):
            group.submit(item)

    threads = [threading.Thread(target=submit, args=(first,)) for first in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(committed) == list(range(1000))
    assert group._untold is None


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------

FIRST = ["anywhere in the leader's call", "in the commit, and again in what follows", "in what follows the commit"]


class Turn:
    """The turn, before which a follower joins whoever asks for it first."""

    def __init__(self, before: Callable[[], None]) -> None:
        self._lock, self._before = threading.Lock(), before

    def __enter__(self) -> None:
        self._before()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Shared:
    """A commit of a leader on this thread and of a follower on another, with Ctrl-C at one point of the leader's."""

    def __init__(self, ctrl_c: CtrlC, first: str) -> None:
        self._ctrl_c, self._first, self._leader = ctrl_c, first, threading.current_thread()
        self.group = GroupCommit(self._commit, patience=0.01)
        self.group._turn = Turn(self._follow)  # type: ignore[assignment]
        self.committed: list[str] = []
        self.told: dict[str, str] = {}
        self._threads: list[threading.Thread] = []

    def _commit(self, items: Sequence[str], prepared: Callable[[], None]) -> Sequence[None]:
        prepared()
        is_leader = threading.current_thread() is self._leader
        if is_leader and self._first != FIRST[0]:
            self._ctrl_c.arm()
        if is_leader and self._first == FIRST[1]:
            raise KeyboardInterrupt
        self.committed.extend(items)
        return [None] * len(items)

    def lead(self) -> None:
        """Submit, and come back whatever happens."""
        try:
            if self._first == FIRST[0]:
                self._ctrl_c.arm()
            self.group.submit("leader")
            self.told["leader"] = "committed"
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)

    def submit(self, name: str) -> None:
        """Submit on a thread of its own."""

        def run() -> None:
            try:
                self.group.submit(name)
                self.told[name] = "committed"
            except InterruptedError:
                self.told[name] = "broken off"

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def _follow(self) -> None:
        if not self._threads:
            group = self.group._next
            self.submit("follower")
            while len(group.items) < 2 and self.group._next is group:
                threading.Event().wait(0.0005)

    def join(self) -> None:
        """Come back once everybody has."""
        for thread in self._threads:
            thread.join(PATIENCE)


@pytest.mark.parametrize("first", FIRST)
@on_its_own_thread
def test_ctrl_c_at_any_point_leaves_nobody_waiting_and_tells_nobody_that_it_is_done_when_it_is_not(first: str) -> None:
    """Once and twice: each item is committed once at most, and who comes next is served."""
    points = 0
    for ctrl_c in at_every_point(group_commit.__file__):
        shared = Shared(ctrl_c, first)
        shared.lead()
        if not shared._threads:
            shared.submit("follower")
        shared.join()
        shared.submit("next")
        shared.join()
        assert shared.told.get("next") == "committed", points
        assert shared.told.get("follower") in ("committed", "broken off"), points
        assert shared.told["follower"] != "committed" or "follower" in shared.committed, points
        assert max(shared.committed.count(each) for each in ("leader", "follower", "next")) == 1, points
        points += 1
    assert points > 10
