"""The log of truth: what the gateway was asked, and what became of every order, whatever it told its clients.

Tests of a client hold what it believes against this. `--log FILE` writes the same as JSON lines as it happens.
"""

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TextIO

from src.domain.errors import ConfigurationError
from src.domain.events import Event, Filled, OrderChanged
from src.domain.facts import fact
from src.domain.orders import Execution
from src.gateways.scenario import Rule
from src.gateways.tws_codec import CancelOrder, PlaceOrder, Request
from src.gateways.tws_server.order_news import Placed
from src.runtime.clock import to_datetime, wall_clock

#: Requests and faults that are remembered; the file has them all.
_KEPT: Final = 100_000
#: Characters of one field that the file gets, and the integers that it gets no more of than their length.
_LONGEST: Final = 200
_HUGE: Final = 10**30


@fact
class Heard:
    """A request as it came. `time` is wall clock, epoch ns; `name` IB's, newOrder or modifyOrder for placeOrder.

    `fault` is what the scenario did with it ("drop", "refuse", ...); empty: it was served.
    """

    time: int
    client_id: int
    name: str
    message: Request
    fault: str = ""

    @property
    def order_id(self) -> int | None:
        """The client's order id, where the request is about an order."""
        return self.message.order_id if isinstance(self.message, PlaceOrder | CancelOrder) else None

    @property
    def order_ref(self) -> str:
        """The orderRef of a placeOrder; empty otherwise."""
        return self.message.order.order_ref if isinstance(self.message, PlaceOrder) else ""


@dataclass(frozen=True, slots=True)
class TrueOrder:
    """An order as it really stands. Client 0 without order id: made by hand, or by the exchange itself."""

    client_id: int
    order_id: int
    perm_id: int
    order_ref: str
    account: str
    symbol: str
    action: str
    quantity: Decimal
    order_type: str
    status: str
    filled: Decimal
    executions: tuple[Execution, ...]  # as they stand now, corrections made


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that has acted: when (wall clock, epoch ns), where it stands, what it did, on what ("": by itself)."""

    time: int
    place: str
    action: str
    on: str


@dataclass(frozen=True, slots=True)
class Truth:
    """A snapshot: every order, every request, every fault, each in the order in which they came."""

    orders: tuple[TrueOrder, ...]
    heard: tuple[Heard, ...]
    faults: tuple[Fault, ...]
    positions: dict[tuple[str, str], int]  # (account, symbol) -> shares; flat ones are left out

    def perm_ids(self, order_ref: str) -> set[int]:
        """The orders that were really made of one intent."""
        return {order.perm_id for order in self.orders if order.order_ref == order_ref}

    def named(self, *names: str) -> tuple[Heard, ...]:
        """The requests of these names."""
        return tuple(each for each in self.heard if each.name in names)


class TruthLog:
    """Takes notes. `path`: also as JSON lines there; ConfigurationError when it cannot be written."""

    def __init__(self, path: Path | None = None) -> None:
        #: What each `Heard` is made of when somebody asks: most are never asked for.
        self._heard: deque[tuple[int, int, str, Request, str]] = deque(maxlen=_KEPT)
        self._faults: deque[Fault] = deque(maxlen=_KEPT)
        self._file: TextIO | None = None
        if path is not None:
            try:
                self._file = path.open("a", encoding="utf-8")
            except OSError as error:
                raise ConfigurationError(f"the log {path} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def heard(self, client_id: int, name: str, message: Request, fault: str = "") -> None:
        """A request has come."""
        heard = wall_clock(), client_id, name, message, fault
        self._heard.append(heard)
        if self._file is not None:
            note = Heard(*heard)
            req_id = getattr(message, "req_id", None)
            about = {"order_id": note.order_id, "order_ref": note.order_ref, "req_id": req_id, "fault": fault}
            self._write(note.time, "request", client_id=client_id, name=name, **about)

    def fault(self, rule: Rule, on: str) -> None:
        """A rule has acted."""
        note = Fault(wall_clock(), rule.place, rule.action.value, on)
        self._faults.append(note)
        self._write(note.time, "fault", place=note.place, action=note.action, on=on)

    @property
    def is_written(self) -> bool:
        """Whether there is a file."""
        return self._file is not None

    def took(self, event: Event, placed: Placed | None) -> None:
        """The exchange has told of an order."""
        if placed is None:
            return
        about = {"client_id": placed.client_id, "order_id": placed.order_id, "perm_id": placed.perm_id}
        if isinstance(event, OrderChanged):
            trade = event.trade
            state = {"status": trade.status.value, "filled": str(trade.filled), "reason": trade.reason or None}
            terms = {"order_ref": trade.order.order_ref, "symbol": trade.order.contract.symbol}
            terms |= {"action": trade.order.action.value, "quantity": str(trade.order.quantity)}
            self._write(wall_clock(), "order", **about, **state, **terms)
        elif isinstance(event, Filled):
            done = event.fill.execution
            trade_terms = {"exec_id": done.exec_id, "side": done.side.value, "shares": str(done.shares)}
            trade_terms |= {"price": str(done.price), "symbol": done.contract.symbol, "order_ref": done.order_ref}
            trade_terms |= {"market_time": to_datetime(done.time).isoformat()}
            self._write(wall_clock(), "execution", **about, **trade_terms)

    def _write(self, time: int, kind: str, **about: Any) -> None:
        if self._file is not None:
            known = {name: _short(value) for name, value in about.items() if value not in (None, "")}
            line = {"time": to_datetime(time).isoformat(), "kind": kind, **known}
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def snapshot(
        self,
        orders: Iterable[Placed],
        executions: Callable[[Placed], tuple[Execution, ...]],
        positions: dict[tuple[str, str], int],
    ) -> Truth:
        """Everything known now."""
        return Truth(
            tuple(_true(placed, executions(placed)) for placed in orders),
            tuple(Heard(*each) for each in self._heard),
            tuple(self._faults),
            positions,
        )


def _short(value: object) -> object:
    """A field as a line of the log has it: what a client has sent may be of any length."""
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}... ({len(value)} characters)"
    if isinstance(value, int) and abs(value) >= _HUGE:
        return f"an integer of {value.bit_length()} bits"
    return value


def _true(placed: Placed, executions: tuple[Execution, ...]) -> TrueOrder:
    order = placed.order
    return TrueOrder(
        placed.client_id,
        placed.order_id,
        placed.perm_id,
        order.order_ref,
        order.account,
        order.contract.symbol,
        order.action.value,
        order.quantity,
        order.order_type.value,
        placed.status.value,
        placed.trade.filled if placed.trade else Decimal(0),
        executions,
    )
