"""The trials that `make test` runs with a few seeds and `make prove` with as many as there is time for.

Each takes a folder and a seed, and answers how often it has tried and what it found: sentences that begin with the
invariant they break. One seed does the same again, as far as threads and sockets do.
"""

import logging
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Final

from src.brokers import kill
from src.domain.codes import CODES, NOT_ALLOWED
from src.domain.errors import BrokerError, NotConnectedError, OrderOutcomeUnknownError, OrderRefusedError
from src.domain.events import Event, Filled
from src.domain.market import BarSize
from src.domain.orders import OrderChange, OrderId
from src.domain.outcomes import execution_family
from src.runtime.clock import monotonic
from tests.faults import oracle
from tests.faults.crowds import crowd, race
from tests.faults.fuzz import fuzz
from tests.faults.harness import GRACE, NVDA, Answer, FaultStage, pause, wait_for
from tests.faults.hostile import hostile_values
from tests.faults.journals import fail_the_journal
from tests.faults.machine import any_order
from tests.faults.proxy import PLACE_ORDER, Do, Fault, Way
from tests.faults.results import Proof, Result, chance_of
from tests.faults.ruler import Ruler
from tests.faults.storms import fall_silent, lose_the_gateway
from tests.faults.trader import ANYWHERE, POINTS, lent

#: The messages that answer an order, by their numbers: openOrder, orderStatus, execDetails, commissionReport.
OPEN_ORDER, ORDER_STATUS, EXEC_DETAILS, COMMISSION = "5", "3", "11", "59"
_WAYS_BACK: Final = ("reconnect", "restart", "crash")
_WHOLE: Final = 100_000


@contextmanager
def _heard(logger: str = "src") -> Iterator[list[str]]:
    """What is logged meanwhile."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    listener, found = Listener(), logging.getLogger(logger)
    found.addHandler(listener)
    try:
        yield lines
    finally:
        found.removeHandler(listener)


def come_back(stage: FaultStage, how: str) -> None:
    """Reconnect the same session, begin a new one, or begin a new one after the old was killed."""
    if how != "reconnect":
        stage.restart(crash=how == "crash")
        return

    broker = stage.broker
    assert wait_for(lambda: broker.is_connected, 60.0), "not connected again after 60 s"
    # It may not have noticed yet that it was gone: what is settled is settled in the end.


def late(answer: Answer, began: float, deadline: float, ruler: Ruler) -> list[str]:
    """I12: whether a call outlasted its deadline by more than a quarter of a second, the machine's own lag aside."""
    over = answer.seconds - deadline - GRACE
    if over <= 0 or over <= ruler.late(began + deadline):
        return []
    return [f"I12: {answer.seconds:.3f} s, with {deadline:g} s to answer"]


# --- T1 ---------------------------------------------------------------------------------------------------------------


def cut_orders(folder: Path, seed: int, *, rounds: int = 12) -> Result:
    """T1: the connection is spoiled after any byte of an order or of an answer to it; then we come back.

    Nothing is guessed meanwhile, and nothing more leaves on that side; afterwards journal and gateway agree.
    """
    chance, result = chance_of("T1", seed), Result()
    with FaultStage(folder, seed=seed) as stage, Ruler() as ruler:
        stage.open()
        for number in range(rounds):
            do = chance.choice([Do.RESET, Do.FIN, Do.SILENCE, Do.HALF_OPEN])
            way, kind = chance.choice(
                [(Way.OUT, PLACE_ORDER)] * 2 + [(Way.IN, each) for each in (OPEN_ORDER, ORDER_STATUS, EXEC_DETAILS)]
            )
            at, back = chance.choice([chance.randrange(8), chance.randrange(260), _WHOLE]), chance.choice(_WAYS_BACK)
            action, ref = chance.choice(["BUY", "SELL"]), f"cut-{number}"
            shares, away = chance.randint(1, 200), chance.choice([None, None, 1.0])
            order = stage.order(action, shares, away=None if kind == EXEC_DETAILS else away, ref=ref)
            fault = Fault(do, way, kind, at=at)
            if is_slow := chance.random() < 0.15:  # as with a dialog on TWS's screen: the order comes about, but late
                back, do = "nothing", Do.DELAY
                stage.gateway.play(f"- {{on: newOrder, action: delay, seconds: {0.5 + chance.random():.2f}, count: 1}}")
            else:
                stage.proxy.arm(fault)
            began = monotonic()
            answer = stage.attempt(order)
            found = late(answer, began, stage.settings.order_timeout, ruler)
            if isinstance(answer.error, OrderOutcomeUnknownError):
                found += _blocked(stage, action, ref)
            is_sent = answer.trade is not None or isinstance(answer.error, OrderOutcomeUnknownError)
            if is_slow and is_sent:
                wait_for(lambda: bool(oracle.orders_of(stage.truth()).get(ref)), 20.0)  # noqa: B023
            elif not is_slow:
                stage.proxy.behave()
                come_back(stage, back)
            found += stage.settled()
            said = f"T1 seed {seed}, round {number}: {do} {way} {kind} at {at}, {back}"
            result.count(found, said, tried=is_sent if is_slow else fault.count == 0)
            if found:
                break
    return result


def _blocked(stage: FaultStage, action: str, ref: str) -> list[str]:
    """I2: while an outcome is not known, no other order leaves on that side of that symbol."""
    before = stage.proxy.order_bytes
    other = stage.attempt(stage.order(action, 1, ref=f"{ref}-other"))
    record = stage.broker._admission.books.outcomes.of(ref)
    if other.trade is not None or not isinstance(other.error, OrderRefusedError | NotConnectedError):
        resolved = record is not None and not stage.broker._admission.unsettled
        return [] if resolved else [f"I2: {ref} is in doubt, and another order came through: {other.error!r}"]
    return [] if stage.proxy.order_bytes == before else [f"I2: bytes of an order left although {other.error}"]


# --- T2 ---------------------------------------------------------------------------------------------------------------


def kill_traders(folder: Path, seed: int, *, rounds: int = 3) -> Result:
    """T2: a trader's process is killed, at a point of its code or at any moment; the next session finds the truth."""
    chance, result = chance_of("T2", seed), Result()
    with FaultStage(folder, seed=seed) as stage, lent() as traders:
        for number in range(rounds):
            point, count = chance.choice([*POINTS, ANYWHERE, ANYWHERE, ANYWHERE]), chance.randint(1, 8)
            pid = traders.start(stage.proxy.port, folder, point, count, chance.randrange(2**31))
            if point == ANYWHERE:
                before = stage.proxy.order_bytes
                wait_for(lambda: stage.proxy.order_bytes > before, 20.0)  # noqa: B023
                pause(chance.random() * 0.3)
                with suppress(ProcessLookupError):  # it has placed all of its orders, and is dead
                    os.kill(pid, signal.SIGKILL)
            ended = traders.wait()
            stage.restart()
            found = stage.settled()
            if ended != -signal.SIGKILL:
                found.append("T2: the process ended by itself")
            result.count(found, f"T2 seed {seed}, round {number}: killed at {point!r}, {count}; ended {ended}")
            if found:
                break
            stage.leave()
    return result


# --- T4 ---------------------------------------------------------------------------------------------------------------


def fill_while_away(folder: Path, seed: int, *, rounds: int = 8) -> Result:
    """T4: k of n shares fill while the connection is down; they are booked once, and announced once."""
    chance, result = chance_of("T4", seed), Result()
    with FaultStage(folder, seed=seed) as stage:
        stage.open()
        for number in range(rounds):
            total = chance.randint(2, 40)
            filled, back = chance.randint(1, total), chance.choice(_WAYS_BACK)
            action, ref = chance.choice(["BUY", "SELL"]), f"away-{number}"
            stage.gateway.play(f"- {{on: newOrder, action: partial, shares: {filled}, count: 1}}")
            stage.proxy.arm(Fault(chance.choice([Do.RESET, Do.FIN]), Way.OUT, PLACE_ORDER, at=_WHOLE))
            with _heard() as said, stage.events() as told:
                stage.attempt(stage.order(action, total, ref=ref))
                wait_for(lambda: bool(oracle.executions_of(stage.truth(), ref)), 20.0)  # noqa: B023
                stage.proxy.behave()
                come_back(stage, back)
                found = stage.settled()
                if back == "reconnect":  # an event is there for its reader; that the reader runs is the machine's
                    wait_for(lambda: bool(_families(told, ref)), 20.0)  # noqa: B023
            families = _families(told, ref)
            found += [f"I14: {each} was announced {families.count(each)} times" for each in {*families}
                      if families.count(each) > 1]  # fmt: skip
            said_of_it = [line for line in said if "filled while nobody watched" in line and line.endswith(ref)]
            if len(said_of_it) > len(oracle.executions_of(stage.truth(), ref)):
                found.append(f"I14: the fill of {ref} was announced {len(said_of_it)} times")
            if back == "reconnect" and not families:
                found.append(f"I14: the fill of {ref} was no event")
            if not any(
                "filled while this session did not watch" in line or "is known: FILLED" in line for line in said
            ):
                found += [] if families else [f"I14: nobody said that {ref} has filled"]
            result.count(found, f"T4 seed {seed}, round {number}: {filled} of {total}, {back}")
            if found:
                break
    return result


def _families(told: Sequence[Event], ref: str) -> list[str]:
    """The executions of an order that were announced, by their families."""
    return [
        execution_family(each.fill.execution.exec_id)[0]
        for each in told
        if isinstance(each, Filled) and each.fill.execution.order_ref == ref
    ]


# --- T5 ---------------------------------------------------------------------------------------------------------------


def lose_an_execution(folder: Path, seed: int, *, rounds: int = 8) -> Result:
    """T5: an execution's message, and others of that order, are lost on the way; all heals within a periodic look."""
    chance, result = chance_of("T5", seed), Result()
    with FaultStage(folder, seed=seed) as stage:
        stage.open()
        for number in range(rounds):
            lost = [EXEC_DETAILS, *chance.sample([COMMISSION, ORDER_STATUS, OPEN_ORDER], chance.randrange(3))]
            stage.proxy.arm(*(Fault(Do.DROP, Way.IN, each) for each in lost))
            stage.attempt(stage.order(chance.choice(["BUY", "SELL"]), chance.randint(1, 99), ref=f"lost-{number}"))
            pause(chance.random() * 0.1)
            stage.proxy.behave()
            found = stage.settled()
            result.count(found, f"T5 seed {seed}, round {number}: messages {lost} dropped")
            if found:
                break
    return result


# --- T6 ---------------------------------------------------------------------------------------------------------------

#: Codes of the connection itself, which end or suspend it; and one that nobody knows.
_OF_THE_CONNECTION: Final = frozenset({326, 502, 503, 504, 505, 506, 507, 508, 509, 520, 1100, 1101, 1102, 1300, 2110})
#: Said of an order id, each of these and one unknown.
ORDER_CODES: Final = (*sorted(CODES - _OF_THE_CONNECTION), 19_999)
_SAID: Final = ("refuse", "warn")
#: No divisor of the number of cells: neighbours are of different kinds.
_STRIDE: Final = 997


#: Every cell: a code said of a request instead of doing it, or besides, by what the order was.
CELLS: Final = (
    *((code, "newOrder", action, state) for code in ORDER_CODES for action in _SAID for state in ("works", "filled")),
    *(
        (code, kind, action, state)
        for code in ORDER_CODES
        for kind in ("modifyOrder", "cancelOrder")
        for action in _SAID
        for state in ("works", "filled", "gone")
    ),
    *((code, "reqHistoricalData", "refuse", state) for code in ORDER_CODES for state in ("works", "filled", "gone")),
)


def say_codes(folder: Path, seed: int, *, rounds: int = 12) -> Result:
    """T6: TWS says a code of a new, changed or cancelled order or of data, and does it all the same or does it not.

    What is believed in the end is what is so at the gateway, and nothing is sent a second time. A seed takes as many
    cells of the matrix as there are rounds, the next one those that follow.
    """
    result = Result()
    with FaultStage(folder, seed=seed, settings={"historical_data_timeout": 0.5}) as stage:
        stage.open()
        for number in range(rounds):
            code, kind, action, state = CELLS[(seed * rounds + number) * _STRIDE % len(CELLS)]
            found = say_code(stage, kind, code, action, state, f"code-{number}")
            result.count(found, f"T6 seed {seed}, round {number}: {code} {action} {kind}, order {state}")
            if found:
                break
    return result


def say_code(stage: FaultStage, kind: str, code: int, action: str, state: str, ref: str) -> list[str]:
    """One cell of the matrix: `code` said of a request of `kind`, of an order that works, has filled, or is gone.

    Of the fill and of the end the client has not heard when it asks.
    """
    rule = f"- {{on: {kind}, action: {action}, code: {code}, count: 1}}"
    before, sent = _requests(stage), 1
    if kind == "newOrder":
        order = stage.order("BUY", 5, away=1.0 if state == "works" else None, ref=ref)
        stage.gateway.play(rule)
        stage.attempt(order)
    else:
        if state == "filled":
            stage.gateway.play(_UNTOLD)
        order = stage.order("BUY", 5, away=-0.5 if state == "filled" else 1.0, ref=ref)
        answer = stage.attempt(order, patience=20.0)
        made = answer.trade
        if made is None:
            return [f"T6: the order of {ref} was not made: {answer.error!r}"]
        if state == "gone":
            stage.gateway.play("- {on: [openOrder, orderStatus], action: drop}")
            stage.gateway.play("- {at: 0, action: cancel}")
        stage.gateway.play(rule)
        sent += _ask(stage, kind, made.order_id, order.limit_price)
    stage.gateway.behave()
    found = stage.settled(2.0)
    if found and (stage.broker._admission.unsettled or stage.is_read_only):  # silence: a new connection ends the doubt
        stage.restart()
    found = found and stage.settled()
    heard = _requests(stage) - before
    if heard > sent:
        found.append(f"I1: {heard} requests arrived of {sent} that were made")
    stage.clear()
    kill.resume(stage.settings.state_dir)  # a fill that was kept from the client for long is a position unexplained
    pause(2 * kill._FRESH)  # for so long a latch is taken for what it was
    if stage.is_read_only or code in NOT_ALLOWED:  # until the next session nothing is ordered, or not of that symbol
        stage.restart()
    return found


#: The client hears of an order, and not that it has filled.
_UNTOLD: Final = """
- {on: [execDetails, commissionReport], action: drop}
- {on: [orderStatus, openOrder], where: {status: Filled}, action: drop}
"""


_CHANGES: Final = ("modifyOrder", "cancelOrder")


def _requests(stage: FaultStage) -> int:
    return len(stage.truth().named("newOrder", "modifyOrder", "cancelOrder"))


def _ask(stage: FaultStage, kind: str, order_id: OrderId, price: Decimal | None) -> int:
    try:
        if kind == "reqHistoricalData":
            stage.broker.bars(NVDA, BarSize.MIN_1, 5)
            return 0
        if kind == "cancelOrder":
            stage.broker.cancel_order(order_id)
        else:
            assert price is not None
            stage.broker.modify_order(order_id, OrderChange(limit_price=price - 1))
    except BrokerError as error:  # whatever comes of it: what it was is found out
        return 0 if kind not in _CHANGES or isinstance(error, OrderRefusedError | NotConnectedError) else 1
    return 1


PROOFS: Final[Mapping[str, Proof]] = {
    "T1": Proof(
        cut_orders, ("I1", "I2", "I3", "I6", "I7", "I8", "I9", "I12", "I14"),
        "an order, a fault at a byte of it or of an answer, a return", 3_000, is_timed=True,
    ),
    "T2": Proof(
        kill_traders, ("I1", "I2", "I6", "I7", "I8", "I9", "I14", "I27"),
        "a process killed, a new session", 1_000, {"rounds": 8},
    ),
    "T3": Proof(
        any_order, ("I1", "I2", "I6", "I7", "I8", "I9", "I10", "I14"),
        "a step; 2,000 lives of 50 are wanted", 100_000, {"steps": 50},
    ),
    "T4": Proof(fill_while_away, ("I1", "I7", "I8", "I9", "I14"), "k of n shares fill while away, a return", 300),
    "T5": Proof(lose_an_execution, ("I7", "I8", "I9", "I14"), "an execution that is never told", 300),
    "T6": Proof(say_codes, ("I1", "I2", "I10"), "a cell: code, request, reply, order; each once", len(CELLS)),
    "T9": Proof(
        crowd, ("I11", "I12"),
        "a call; 20 storms in each weather, of 64 threads with 500 calls, are wanted", 1_920_000,
        {"calls": 500}, is_timed=True,
    ),
    "T10": Proof(fall_silent, ("I12", "I13"), "a peer that falls silent", 100, is_timed=True),
    "T11": Proof(fuzz, ("I18",), "a spoiled frame", 1_000_000, {"frames": 20_000}),
    "T12": Proof(hostile_values, ("I16",), "a call with a value that is wrong", 5_000, {"examples": 250}),
    "T13": Proof(fail_the_journal, ("I6", "I25"), "a fault of the journal's file", 300),
    "T14": Proof(
        lose_the_gateway, ("I3", "I4", "I13", "I15", "I21"), "a gateway away and back (T8: 100, T14: 40)", 100
    ),
    "RACE": Proof(race, ("I11",), "64 threads for the last of a limit", 1_000, {"rounds": 10}),
}  # fmt: skip
