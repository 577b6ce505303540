"""One slow commit for several threads that wait for it at the same time."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_BROKEN_OFF: Final = InterruptedError("the commit broke off")
#: Seconds after which who waits looks whether anybody commits at all.
_PATIENCE: Final = 1.0


class _Group(Generic[T]):
    """Items that are committed together; until they are, none of them is."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.outcomes: Sequence[Exception | None] = ()
        self.begun = False  # what was begun once is not committed again, whatever became of it
        self.waiting: list[threading.Lock] = []  # a lock each: who is woken needs nothing of the others

    def tell(self) -> None:
        """Wake who waits; idempotent."""
        with suppress(IndexError):
            while True:
                self.waiting.pop().release()


class GroupCommit(Generic[T]):
    """One slow commit for all who wait for it: who comes first commits what others bring until it is his turn.

    `commit` takes what each of them brought, and returns an error or None for each; what it raises, all of them get.
    It calls what else it is given once all is prepared and the disk alone is left: only then are those of the commit
    before told that theirs is done, if others wait already. Else they would take the interpreter's lock at once for
    what they do next, and the disk would wait for them; so they do it while the disk works.

    Ctrl-C may break off whoever leads, at any point, and again while he cleans up. Nobody then waits for ever: who has
    waited for `patience` seconds does what is left; and nobody is told that it is done when it is not.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T], Callable[[], None]], Sequence[Exception | None]],
        patience: float = _PATIENCE,
    ) -> None:
        self._commit, self._patience = commit, patience
        self._turn, self._joining = threading.Lock(), threading.Lock()
        self._next: _Group[T] = _Group()
        self._untold: _Group[T] | None = None

    def submit(self, item: T) -> None:
        """Return once `item` is committed; raise what kept it from that.

        InterruptedError: the commit broke off, and whether all of it is there is not known.
        """
        gate = threading.Lock()
        gate.acquire()
        group, place, tells = self._next, -1, False
        try:
            with self._joining:
                group, place = self._next, len(self._next.items)
                tells = place == 0
                if not tells:
                    group.waiting.append(gate)
                group.items.append(item)
            if tells:
                with self._turn:
                    self._lead(group)
                    tells = not self._next_tells(group)
            elif not gate.acquire(timeout=self._patience):
                self._relieve(group)
        finally:
            if tells:
                self._end(group)
        error = group.outcomes[place] if group.outcomes else _BROKEN_OFF
        if error is not None:
            raise error

    def between(self, action: Callable[[], None]) -> None:
        """Do `action` while nothing is being committed."""
        with self._turn:
            self._tell()
            action()

    def _relieve(self, group: _Group[T]) -> None:
        """Do what is left to do for a group, once it has its turn: who leads it may have been broken off, twice."""
        with self._turn:
            self._lead(group)
        self._end(group)

    def _lead(self, group: _Group[T]) -> None:
        with self._joining:
            self._close(group)
            begun, group.begun = group.begun, True
        if begun:
            return
        try:
            group.outcomes = self._commit(group.items, self._tell)
        except Exception as error:  # noqa: BLE001  # each of them raises it in its own thread
            group.outcomes = [error] * len(group.items)

    def _next_tells(self, group: _Group[T]) -> bool:
        """Where others wait for their turn, let the first of them tell this group: whether it will."""
        self._tell()
        with self._joining:
            if self._next.items:
                self._untold = group
            return self._untold is group

    def _tell(self) -> None:
        """Tell the group before."""
        with self._joining:
            before, self._untold = self._untold, None
        if before is not None:
            before.tell()

    def _end(self, group: _Group[T]) -> None:
        if not group.outcomes:  # broken off; whoever commits it in spite of that is waited for
            with self._turn, self._joining:
                self._close(group)
                group.begun = True
        with self._joining:
            before, self._untold = self._untold, None
        for each in (before, group):
            if each is not None:
                each.tell()

    def _close(self, group: _Group[T]) -> None:
        if self._next is group:
            self._next = _Group()
