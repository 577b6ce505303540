"""Between threads: events out of a source to the one thread that reads them, and calls into an event loop.

No callbacks: a reader takes events when it wants them, on its own thread. Quotes are conflated per contract while
the reader is away; orders, fills, commissions, bars and connection events never are.
asyncio is imported by who makes a `LoopThread`: a simulated session needs none.
"""

import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from src.domain.events import Event, QuoteChanged
from src.runtime.clock import monotonic

if TYPE_CHECKING:
    import asyncio

_T = TypeVar("_T")
_STOP_SECONDS: Final = 5.0

#: Brings the source up to date; returns real seconds until it has more, None when it never will.
Pump = Callable[[], float | None]
#: Hands the reader of a stream its next event; None sends it to what is unread and the pump.
Take = Callable[["EventStream"], Event | None]


class EventStream:
    """Events in order, for one reader. A context manager and an iterator that ends with its source or on `close()`."""

    def __init__(self, pump: Pump, on_close: Callable[["EventStream"], None], take: Take | None = None) -> None:
        self._pump, self._on_close = pump, on_close
        #: What waits for the reader: events; an int stands for "the newest quote of that con_id".
        self.unread: deque[Any] = deque()
        #: `publish` for a source that its own reader pumps: nobody waits, and it makes no quotes.
        self.put: Callable[[Event], None] = self.unread.append
        self._quotes: dict[int, QuoteChanged] = {}
        self._arrived = threading.Condition()
        self._waiting = False
        self._closed = False
        self.ended = False
        self._take = take

    def publish(self, event: Event) -> None:
        """Append an event; called by the source, from any thread."""
        if type(event) is QuoteChanged:
            con_id = event.quote.contract.con_id
            with self._arrived:
                known = con_id in self._quotes
                self._quotes[con_id] = event
                if not known:
                    self.unread.append(con_id)
        else:
            self.unread.append(event)
        if self._waiting:
            with self._arrived:
                self._arrived.notify_all()

    def next(self, timeout: float | None = None) -> Event | None:
        """Return the next event; None after `timeout` real seconds, at the source's end (`ended`) or once closed."""
        queue, take, deadline = self.unread, self._take, None
        while not self._closed:
            if queue:
                item: Event | int = queue.popleft()
                return self._newest(item) if isinstance(item, int) else item
            if take is not None and (event := take(self)) is not None:
                return event
            wait = None if queue else self._pump()
            if queue:
                continue
            if wait is None:
                self.ended = True
                return None
            if timeout is not None:
                deadline = deadline or monotonic() + timeout
                wait = min(wait, deadline - monotonic())
                if wait < 0:
                    return None
            self._wait(wait)
        return None

    def arrived(self) -> Iterator[Event]:
        """What has come and is unread, without asking the source for more."""
        while self.unread and not self._closed:
            item: Event | int = self.unread.popleft()
            yield self._newest(item) if isinstance(item, int) else item

    def _newest(self, con_id: int) -> QuoteChanged:
        with self._arrived:
            return self._quotes.pop(con_id)

    def _wait(self, seconds: float) -> None:
        if seconds <= 0:
            return
        with self._arrived:
            self._waiting = True
            try:
                if not self.unread and not self._closed:
                    self._arrived.wait(seconds)
            finally:
                self._waiting = False

    def close(self) -> None:
        """Stop: a reader that waits returns None. Idempotent."""
        self._closed = True
        with self._arrived:
            self._arrived.notify_all()
        self._on_close(self)

    def __iter__(self) -> Iterator[Event]:
        while (event := self.next()) is not None:
            yield event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Reply(Generic[_T]):
    """What one thread waits for and the loop's thread gives: once, whatever comes later."""

    __slots__ = ("_answered", "_error", "_value", "is_abandoned", "is_given", "on_abandon")

    def __init__(self) -> None:
        self._answered = threading.Lock()  # that a lock is let go of is the cheapest word between two threads
        self._answered.acquire()
        self._value: Any = None
        self._error: BaseException | None = None
        self.is_given = False
        #: Whether its caller has given up: what has not begun need not.
        self.is_abandoned = False
        #: What ends the work then; on the loop's thread.
        self.on_abandon: Callable[[], object] | None = None

    def give(self, value: _T) -> None:
        """Answer."""
        if not self.is_given:
            self.is_given, self._value = True, value
            self._answered.release()

    def fail(self, error: BaseException) -> None:
        """Say what keeps it from being answered: the caller gets it raised."""
        if not self.is_given:
            self.is_given, self._error = True, error
            self._answered.release()

    def give_outcome(self, task: "asyncio.Task[_T]") -> None:
        """Answer with what became of a task; CancelledError when it was cancelled."""
        from concurrent.futures import CancelledError  # no BaseException, as asyncio's is

        if task.cancelled():
            self.fail(CancelledError())
        elif (error := task.exception()) is not None:
            self.fail(error)
        else:
            self.give(task.result())

    def wait(self, seconds: float | None) -> _T:
        """Return the answer, or raise it; TimeoutError. Once, on the caller's thread."""
        if not self._answered.acquire(timeout=-1 if seconds is None else max(seconds, 0.0)):
            raise TimeoutError
        error, self._error = self._error, None
        if error is None:
            return self._value  # type: ignore[no-any-return]
        try:
            raise error
        finally:
            del error  # else it would hold this frame, and this frame it


class UnaskedError(RuntimeError):
    """The loop's thread cannot be asked, and nothing was begun."""


class LoopThread:
    """A daemon thread with an event loop of its own, which runs from the constructor on until `stop`."""

    def __init__(self, name: str = "event-loop") -> None:
        import asyncio

        self.loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this thread."""
        return threading.current_thread() is self._thread

    def call(self, coroutine: Coroutine[Any, Any, _T], timeout: float | None = None) -> _T:
        """Run a coroutine on the loop and return its result; after `timeout` seconds cancel it, TimeoutError.

        UnaskedError when the loop has stopped, or on the loop's own thread, which would wait for itself.
        """

        def begin(reply: Reply[_T]) -> None:
            task = self.loop.create_task(coroutine)
            reply.on_abandon = task.cancel
            task.add_done_callback(reply.give_outcome)

        try:
            return self.ask(begin, timeout)
        except UnaskedError:
            coroutine.close()
            raise

    def ask(self, begin: Callable[[Reply[_T]], None], timeout: float | None = None) -> _T:
        """Run `begin` on the loop, and return what its reply is given; TimeoutError after `timeout` seconds.

        `begin` must not raise. Errors as `call`: the reply is abandoned then.
        """
        if self.is_current or not self._thread.is_alive():
            raise UnaskedError("the event loop would wait for itself" if self.is_current else "the loop has stopped")
        reply: Reply[_T] = Reply()
        try:
            self.loop.call_soon_threadsafe(begin, reply)
        except RuntimeError as error:
            raise UnaskedError(str(error)) from None
        try:
            return reply.wait(timeout)
        except BaseException:
            if not reply.is_given:
                reply.is_abandoned = True
                with suppress(RuntimeError):  # the loop is closed, and with it all that ran in it
                    self.loop.call_soon_threadsafe(_abandon, reply)
            raise

    def stop(self) -> None:
        """Cancel what still runs and end the thread; idempotent. A call that waits gets CancelledError."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            if not self.is_current:
                self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        import asyncio

        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()


def _abandon(reply: Reply[Any]) -> None:
    """On the loop's thread: after `begin`, whatever the caller's thread was at."""
    if reply.on_abandon is not None:
        reply.on_abandon()
