"""What is on its way to the exchange: orders, cancels and changes, each with the moment at which it arrives."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

from src.exchange.working import Working

#: What an arrival does when it lands; True when its order is to meet the market anew.
Act = Callable[[Working, int], bool]
_FAR: Final = 1 << 62


class Arrival(NamedTuple):
    """Something that reaches the exchange at `active_at`. An `entry` is an order itself, not a cancel or change."""

    active_at: int
    seq: int
    order: Working
    act: Act
    entry: bool


class Arrivals:
    """Arrivals by contract, in time order and, at one time, in the order they were sent."""

    def __init__(self, may_enter: Callable[[int], bool]) -> None:
        """`may_enter` tells of a contract (by con_id) whether a market stands for an order to meet."""
        self._may_enter = may_enter
        self._heaps: dict[int, list[Arrival]] = {}  # only those with something in them
        self._next = 1
        #: When the first of all arrives; a moment beyond any market when nothing is on its way.
        self.earliest = _FAR
        #: When the first of those arrives that time alone lets land.
        self.lands = _FAR

    def send(self, order: Working, active_at: int, act: Act, *, entry: bool = False) -> None:
        """Put something on its way."""
        heappush(self._heaps.setdefault(order.con_id, []), Arrival(active_at, self._next, order, act, entry))
        self._next += 1
        if active_at < self.earliest:
            self.earliest = active_at
        if active_at < self.lands and (not entry or self._may_enter(order.con_id)):
            self.lands = active_at

    def pop_due(self, con_id: int, moment: int) -> list[Arrival]:
        """Take everything of a contract that arrives by `moment`, in order."""
        heap = self._heaps.get(con_id)
        due: list[Arrival] = []
        if heap is None:
            return due
        while heap and heap[0].active_at <= moment:
            due.append(heappop(heap))
        self._tidy(con_id)
        return due

    def first(self) -> Arrival | None:
        """Return what lands next by time alone: an order only where a market stands for it to meet."""
        found: Arrival | None = None
        for con_id, heap in self._heaps.items():
            landing: Arrival | None = heap[0]
            if heap[0].entry and not self._may_enter(con_id):
                landing = min((each for each in heap if not each.entry), default=None) if len(heap) > 1 else None
            if landing is not None and (found is None or landing < found):
                found = landing
        return found

    def take(self, arrival: Arrival) -> None:
        """Take one off its way."""
        con_id = arrival.order.con_id
        heap = self._heaps[con_id]
        if heap[0] is arrival:
            heappop(heap)
        else:
            heap.remove(arrival)
            heapify(heap)
        self._tidy(con_id)

    def has_entry(self, order: Working, after: int) -> bool:
        """Whether the order itself arrives only after a moment."""
        heap = self._heaps.get(order.con_id, ())
        return any(each.order is order and each.entry and each.active_at > after for each in heap)

    def withdraw(self, order: Working, moment: int) -> bool:
        """Take an order off its way that was to arrive by `moment` and has met no print yet; whether there was one."""
        heap = self._heaps.get(order.con_id, ())
        waiting = [each for each in heap if each.order is order and each.entry and each.active_at <= moment]
        for each in waiting:
            self.take(each)
        return bool(waiting)

    def enters_later(self, order: Working) -> bool:
        """Whether the order itself is still on its way."""
        heap = self._heaps.get(order.con_id, ())
        return any(each.order is order and each.entry for each in heap)

    def _tidy(self, con_id: int) -> None:
        if not self._heaps[con_id]:
            del self._heaps[con_id]
        self.look_again()

    def look_again(self) -> None:
        """Find anew what comes first: something was taken, or a market has begun to stand."""
        if not self._heaps:
            self.earliest = self.lands = _FAR
            return
        self.earliest = min(heap[0].active_at for heap in self._heaps.values())
        landing = self.first()
        self.lands = _FAR if landing is None else landing.active_at
