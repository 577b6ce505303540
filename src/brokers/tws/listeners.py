"""Who is told of events: streams, and what each of them wants."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from src.brokers.tws.live_bars import BarListener
from src.domain.events import Event, QuoteChanged
from src.domain.market import Contract
from src.runtime.bridge import EventStream
from src.runtime.worker import new_lock


@dataclass(slots=True, eq=False)
class _Listener:
    stream: EventStream
    quotes_of: frozenset[int]
    bars: BarListener | None

    def wants(self, event: Event) -> bool:
        """Whether an event is for this stream: quotes only of its contracts."""
        return type(event) is not QuoteChanged or event.quote.contract.con_id in self.quotes_of


class Listeners:
    """Told on the loop's thread; they come there, and leave on any thread."""

    def __init__(self) -> None:
        self._all: tuple[_Listener, ...] = ()
        self._lock = new_lock()

    def add(self, stream: EventStream, contracts: Iterable[Contract], bars: BarListener | None) -> None:
        """Tell a stream what happens, and either these contracts' quotes or, by `bars`, their bars."""
        quotes_of = frozenset(contract.con_id for contract in contracts) if bars is None else frozenset[int]()
        with self._lock:
            self._all = (*self._all, _Listener(stream, quotes_of, bars))

    def remove(self, stream: EventStream) -> BarListener | None:
        """Tell a stream nothing more; returns its bars, which the loop's thread has to forget."""
        with self._lock:
            gone = [each for each in self._all if each.stream is stream]
            self._all = tuple(each for each in self._all if each.stream is not stream)
        return gone[0].bars if gone else None

    def tell(self, events: Sequence[Event]) -> None:
        """Tell every stream what it wants of these, in order."""
        for listener in self._all:
            for event in events:
                if listener.wants(event):
                    listener.stream.publish(event)

    def close(self) -> None:
        """Every reader's loop ends."""
        for listener in self._all:
            listener.stream.close()
