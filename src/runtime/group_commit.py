"""One slow commit for several threads that wait for it at the same time."""

import threading
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_BROKEN_OFF: Final = InterruptedError("the commit broke off")


class _Group(Generic[T]):
    """Items that are committed together; until they are, none of them is."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.outcomes: Sequence[Exception | None] = ()
        self.settled = threading.Event()


class GroupCommit(Generic[T]):
    """One slow commit for all who wait for it: who comes first commits what others bring until it is his turn.

    `commit` takes what each of them brought, and returns an error or None for each; what it raises, all of them get.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[Exception | None]]) -> None:
        self._commit = commit
        self._turn, self._joining = threading.Lock(), threading.Lock()
        self._next: _Group[T] = _Group()

    def submit(self, item: T) -> None:
        """Return once `item` is committed; raise what kept it from that, InterruptedError when the commit broke off."""
        with self._joining:
            group, place = self._next, len(self._next.items)
            group.items.append(item)
        if place == 0:
            self._lead(group)
        else:
            group.settled.wait()
        error = group.outcomes[place] if group.outcomes else _BROKEN_OFF
        if error is not None:
            raise error

    def between(self, action: Callable[[], None]) -> None:
        """Do `action` while nothing is being committed."""
        with self._turn:
            action()

    def _lead(self, group: _Group[T]) -> None:
        try:
            with self._turn:
                self._close(group)
                try:
                    group.outcomes = self._commit(group.items)
                except Exception as error:  # noqa: BLE001  # each of them raises it in its own thread
                    group.outcomes = [error] * len(group.items)
        finally:
            # Also when Ctrl-C breaks off the wait or the commit: nobody waits for ever, and nobody is told a falsehood.
            self._close(group)
            group.settled.set()

    def _close(self, group: _Group[T]) -> None:
        with self._joining:
            if self._next is group:
                self._next = _Group()
