"""Trials of whole sessions: the gateway away and back, a silent peer, a crowd of threads, a journal that fails."""

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

from src.brokers.tws.connection import MOST_PATIENCE
from src.brokers.tws.market_data import FIRST_QUOTE_SECONDS
from src.domain.errors import BrokerError, NotConnectedError, OrderOutcomeUnknownError, OrderRefusedError
from src.domain.market import Mode, Source
from src.domain.orders import OrderStatus
from src.gateways.tws_codec import ReqMktData
from src.runtime.clock import monotonic
from tests.faults.harness import CALM, GRACE, MSFT, NVDA, PATIENT, PREVIEW, TIMING, FaultStage, Ruler, pause, wait_for
from tests.faults.proxy import Do, Shape, Way
from tests.faults.results import Result, chance_of

_THREADS: Final = 64
_CALLS: Final = 12


def _files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


# --- T8 and T14 -------------------------------------------------------------------------------------------------------


def lose_the_gateway(folder: Path, seed: int, rounds: int = 6) -> Result:
    """T8, T14: the gateway goes away for a while, again and again.

    Nothing is simulated meanwhile, attempts follow the back-off, what was subscribed to is asked for once, trading goes
    on, and nothing has leaked.
    """
    chance, result = chance_of("T14", seed), Result()
    with FaultStage(folder, seed=seed, timing=CALM) as stage:
        broker = stage.open()
        broker.quote(MSFT)
        baseline: tuple[int, int] | None = None
        for number in range(rounds):
            away, how = 0.1 + chance.random() * 0.5, chance.choice([Do.RESET, Do.FIN])
            stage.proxy.target, port = 1, stage.proxy.target  # nobody listens there
            before = stage.proxy.accepted
            stage.proxy.end(how)
            found = [] if wait_for(lambda: not broker.is_connected, 20.0) else ["I13: the end was not noticed"]
            found += _nothing_is_pretended(stage, away, f"away-{number}")
            attempts = stage.proxy.accepted - before
            if attempts > 3 + (away + 0.5) / (0.8 * 0.1):
                found.append(f"I13: {attempts} attempts within {away:.2f} s")
            asked = _subscriptions(stage)
            stage.proxy.target = port
            if not wait_for(lambda: broker.is_connected, 40.0):
                found.append("I13: not back after forty seconds")
            wait_for(lambda: sum((_subscriptions(stage) - asked).values()) >= 2, 20.0)  # noqa: B023
            pause(0.02)
            if (now := _subscriptions(stage) - asked) != Counter({"NVDA": 1, "MSFT": 1}):
                found.append(f"I13: subscribed anew to {dict(now)}")
            answer = stage.attempt(stage.order(chance.choice(["BUY", "SELL"]), 5, ref=f"back-{number}"))
            if answer.trade is None and not isinstance(answer.error, OrderOutcomeUnknownError):
                found.append(f"I13: no trading after the return: {answer.error!r}")
            found += stage.settled()
            have = threading.active_count(), _files()
            if baseline is None:
                baseline = have
            elif have[0] > baseline[0] + 1 or have[1] > baseline[1] + 4:
                found.append(f"I21: threads and files grew from {baseline} to {have}")
            result.count(found, f"T14 seed {seed}, round {number}: {how}, {away:.2f} s away")
            if found:
                break
    return result


def _subscriptions(stage: FaultStage) -> Counter[str]:
    messages = [each.message for each in stage.truth().named("reqMktData")]
    return Counter(each.contract.symbol for each in messages if isinstance(each, ReqMktData))


def _nothing_is_pretended(stage: FaultStage, seconds: float, ref: str) -> list[str]:
    """I3, I4, I15: what is answered while nobody is there."""
    broker, found, ended = stage.broker, list[str](), monotonic() + seconds
    before, number = stage.proxy.order_bytes, 0
    while monotonic() < ended and not found:
        number += 1
        calls: dict[str, Callable[[], object]] = {
            "quote": lambda: broker.quote(NVDA),
            "positions": broker.positions,
            "an order": lambda: broker.place_order(stage.order("BUY", 1, ref=f"{ref}-{number}")),  # noqa: B023
            "open orders": broker.open_trades,
        }
        for name, call in calls.items():
            try:
                found.append(f"I15: {name} while TWS is away: {call()!r}")
            except (NotConnectedError, OrderRefusedError):
                continue
            except BrokerError as error:
                found.append(f"I3: {name} while TWS is away: {error!r}")
        latest = broker.latest_quote(NVDA)
        if latest is not None and latest.source is Source.SIMULATED:
            found.append("I3: a simulated quote in a paper session")
        if broker.mode is not Mode.PAPER:
            found.append(f"I3: the mode is {broker.mode}")
        pause(0.01)
    return found if stage.proxy.order_bytes == before else [*found, "I2: bytes of an order left"]


# --- T10 --------------------------------------------------------------------------------------------------------------


def fall_silent(folder: Path, seed: int, rounds: int = 4) -> Result:
    """T10: the peer neither reads nor writes, or swallows all; within two heartbeats it is noticed, then mended."""
    chance, result = chance_of("T10", seed), Result()
    # A heartbeat that stands a moment's delay of the machine: one that was held up itself judges nobody.
    calm = replace(TIMING, heartbeat=0.6)
    with FaultStage(folder, seed=seed, timing=calm) as stage, Ruler() as ruler:
        broker = stage.open()
        for number in range(rounds):
            how = chance.choice([Do.HALF_OPEN, Do.SILENCE])
            pause(chance.random() * 0.3)
            stage.gateway.behave()
            began, lost = monotonic(), ruler.lost
            stage.proxy.end(how)
            if not wait_for(lambda: not broker.is_connected, 40.0):
                result.count(["I12: a dead peer was not noticed"], f"T10 seed {seed}, round {number}: {how}")
                break
            took, allowed = monotonic() - began, 2 * stage.timing.heartbeat + GRACE + ruler.lost - lost
            found = [] if took <= allowed else [f"I12: noticed after {took:.2f} s, {allowed:.2f} s allowed"]
            stage.proxy.behave()
            if not wait_for(lambda: broker.is_connected, 40.0):
                found.append("I13: not back after forty seconds")
            found += stage.settled()
            result.count(found, f"T10 seed {seed}, round {number}: {how}")
            if found:
                break
    return result


# --- T9 ---------------------------------------------------------------------------------------------------------------


def crowd(folder: Path, seed: int) -> Result:
    """T9: 64 threads with mixed calls against one broker: at peace, while the peer stalls, under a storm of resets.

    Each call ends in time, with an answer or a typed error; each accepted order is on the wire once; ids ascend.
    """
    chance, result = chance_of("T9", seed), Result()
    weather = chance.choice(["peace", "stall", "resets"])
    patience = {"order_timeout": 2.0, "read_timeout": 2.0}
    with (
        FaultStage(folder, seed=seed, settings={**patience, "max_requests_per_second": 1000}) as stage,
        Ruler() as ruler,
    ):
        stage.open()
        found, accepted, lock = list[str](), set[str](), threading.Lock()

        def call(thread: int) -> None:
            own = Random(f"{seed} {thread}")  # noqa: S311
            for number in range(_CALLS):
                name, what, deadline = _call(stage, own, f"c{thread}-{number}")
                began, lost = monotonic(), ruler.lost
                try:
                    answer = what()
                except BrokerError:
                    answer = None
                except Exception as error:  # noqa: BLE001  # the finding
                    with lock:
                        found.append(f"I11: {name} raised {error!r}")
                    return
                took, lost = monotonic() - began, ruler.lost - lost
                with lock:
                    if answer is not None and name.startswith("an order"):
                        accepted.add(f"c{thread}-{number}")
                    if took > deadline + GRACE + lost:
                        found.append(f"I12: {name} took {took:.2f} s, with {deadline:g} s to answer")

        with _weather(stage, weather, chance), ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(call, range(_THREADS)))
        stage.proxy.behave()
        if not wait_for(lambda: stage.broker.is_connected, 60.0):
            found.append("I13: not back after the storm")
        found += stage.settled(30.0)
        found += _on_the_wire(stage, accepted)
        result.count(found, f"T9 seed {seed}: {weather}")
        result.trials += _THREADS * _CALLS - 1
    return result


def _call(stage: FaultStage, chance: Random, ref: str) -> tuple[str, Callable[[], object], float]:
    """A call with its name and its deadline."""
    broker, settings = stage.broker, stage.settings
    order = stage.order(chance.choice(["BUY", "SELL"]), chance.randint(1, 5), ref=ref)
    first = FIRST_QUOTE_SECONDS + 1
    calls: list[tuple[str, Callable[[], object], float]] = [
        ("an order", lambda: broker.place_order(order), settings.order_timeout + first),
        ("quote", lambda: broker.quote(NVDA), first),
        ("positions", broker.positions, 0.1),
        ("open orders", broker.open_trades, 0.1),
        ("fills", broker.fills, 0.1),
        ("values", broker.account_summary, settings.read_timeout + 0.2),
        ("a preview", lambda: broker.preview_order(replace(order, order_ref=PREVIEW)), settings.order_timeout + 0.2),
        ("synchronise", broker.synchronise, 2 * MOST_PATIENCE * settings.connect_timeout + 0.2),
        ("health", broker.health, 0.1),
    ]
    return calls[0] if chance.random() < 0.3 else chance.choice(calls)


@contextmanager
def _weather(stage: FaultStage, weather: str, chance: Random) -> Iterator[None]:
    ended = threading.Event()

    def storm() -> None:
        while not ended.wait(0.1 + chance.random() * 0.4):
            stage.proxy.end(Do.RESET)

    def stall() -> None:
        stage.proxy.shape(Way.IN, Shape(later=0.02))
        while not ended.wait(0.3):
            stage.proxy.end(Do.HALF_OPEN)
            ended.wait(0.15 + chance.random())
            stage.proxy.behave()

    body = {"resets": storm, "stall": stall}.get(weather)
    thread = threading.Thread(target=body, daemon=True) if body is not None else None
    if thread is not None:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if thread is not None:
            thread.join()


def _on_the_wire(stage: FaultStage, accepted: set[str]) -> list[str]:
    """I11: every accepted order is at the gateway once, and the ids of new orders ascend."""
    heard = stage.truth().named("newOrder")
    refs = Counter(each.order_ref for each in heard)
    found = [f"I11: {ref} was accepted, and is {refs[ref]} times on the wire" for ref in accepted if refs[ref] != 1]
    found += [f"I11: {ref} is {count} times on the wire" for ref, count in refs.items() if count > 1]
    ids = [each.order_id or 0 for each in heard]
    if any(later <= earlier for earlier, later in pairwise(ids)):
        found.append("I11: order ids do not ascend on the wire")
    return found


# --- T13 --------------------------------------------------------------------------------------------------------------


def fail_the_journal(folder: Path, seed: int, rounds: int = 6) -> Result:
    """T13: another program locks the journal, or the disk is read-only: nothing new leaves, and cancels pass."""
    chance, result = chance_of("T13", seed), Result()
    with FaultStage(folder, seed=seed, timing=CALM, settings=PATIENT) as stage:
        broker = stage.open()
        for number in range(rounds):
            stage.attempt(stage.order("BUY", 20, ref=f"held-{number}"))
            working = stage.attempt(stage.order("BUY", 1, away=1.0, ref=f"works-{number}")).trade
            found = stage.settled()
            how = chance.choice(["locked", "read-only"])
            before = stage.proxy.order_bytes
            with _unwritable(stage, how):
                refused = stage.attempt(stage.order("BUY", 3, ref=f"new-{number}"))
                if refused.trade is not None or stage.proxy.order_bytes != before:
                    found.append(f"I25: an order left although the journal is {how}: {refused.error!r}")
                if working is not None and broker.cancel_order(working.order_id).status is not OrderStatus.CANCELLED:
                    found.append(f"I25: no cancel while the journal is {how}")
            if how == "read-only":  # what the disk has nobody knows: the next session finds out
                broker = stage.restart()
            elif not wait_for(lambda: stage.broker._admission.books.unavailable is None, 40.0):
                found.append(f"I25: the journal stays failed after it was {how}")
            found += stage.settled()
            result.count(found, f"T13 seed {seed}, round {number}: {how}")
            if found:
                break
    return result


@contextmanager
def _unwritable(stage: FaultStage, how: str) -> Iterator[None]:
    journal = stage.broker._admission.books.journal
    assert journal is not None
    if how == "locked":
        with closing(sqlite3.connect(journal.path, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            yield
            holder.execute("ROLLBACK")
        return
    connection = journal._writer._connection

    def make(read_only: str) -> None:
        journal._group.between(lambda: connection.execute(f"PRAGMA query_only = {read_only}").close())

    make("ON")
    yield
    make("OFF")
