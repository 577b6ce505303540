"""Trials of many threads at one client: mixed calls in every weather, and a race for the last of a limit."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

from src.brokers.tws.connection import MOST_PATIENCE
from src.brokers.tws.market_data import FIRST_QUOTE_SECONDS
from src.domain.errors import BrokerError, OrderRefusedError
from src.domain.orders import Action, Order, OrderType
from src.runtime.clock import monotonic
from tests.faults import oracle
from tests.faults.harness import CALM, GRACE, LIFTED, NVDA, PATIENT, PREVIEW, FaultStage, soon, wait_for
from tests.faults.proxy import Do, Shape, Way
from tests.faults.results import Result, chance_of
from tests.faults.ruler import Ruler

_THREADS: Final = 64
_WEATHERS: Final = ("peace", "stall", "resets")
#: Of a hundred calls so many are of a kind, once a storm is long; the rest only look.
_OF_A_HUNDRED: Final = {"an order": 5, "a preview": 2, "values": 3, "synchronise": 0.3}


# --- T9 ---------------------------------------------------------------------------------------------------------------


def crowd(folder: Path, seed: int, *, calls: int = 12) -> Result:
    """T9: 64 threads with mixed calls against one broker: at peace, while the peer stalls, under a storm of resets.

    Each call ends in time, with an answer or a typed error; each accepted order is on the wire once; ids ascend.
    """
    chance, result = chance_of("T9", seed), Result()
    weather = _WEATHERS[seed % len(_WEATHERS)]
    patience = {"order_timeout": 2.0, "read_timeout": 2.0}
    with (
        FaultStage(folder, seed=seed, settings={**patience, "max_requests_per_second": 1000}) as stage,
        Ruler() as ruler,
    ):
        stage.open()
        found, accepted, lock = list[str](), set[str](), threading.Lock()

        def call(thread: int) -> None:
            own = Random(f"{seed} {thread}")  # noqa: S311
            for number in range(calls):
                name, what, deadline = _call(stage, own, f"c{thread}-{number}", often=calls < 100)
                began = monotonic()
                try:
                    answer = what()
                except BrokerError:
                    answer = None
                except Exception as error:  # noqa: BLE001  # the finding
                    with lock:
                        found.append(f"I11: {name} raised {error!r}")
                    return
                took = monotonic() - began
                over = took - deadline - GRACE
                with lock:
                    if answer is not None and name == "an order":
                        accepted.add(f"c{thread}-{number}")
                    if over > 0 and over > ruler.late(began + deadline):
                        found.append(f"I12: {name} took {took:.2f} s, with {deadline:g} s to answer")

        with _weather(stage, weather, chance), ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(call, range(_THREADS)))
        stage.proxy.behave()
        if not wait_for(lambda: stage.broker.is_connected, 60.0):
            found.append("I13: not back after the storm")
        found += stage.settled(60.0)
        found += _on_the_wire(stage, accepted)
        result.count(found, f"T9 seed {seed}: {weather}")
        result.trials += _THREADS * calls - 1
    return result


def _call(stage: FaultStage, chance: Random, ref: str, *, often: bool) -> tuple[str, Callable[[], object], float]:
    """A call with its name and its deadline; `often` an order."""
    broker, settings = stage.broker, stage.settings
    order = stage.order(chance.choice(["BUY", "SELL"]), chance.randint(1, 5), ref=ref)
    first = FIRST_QUOTE_SECONDS + 1
    calls: dict[str, tuple[Callable[[], object], float]] = {
        "an order": (lambda: broker.place_order(order), settings.order_timeout + first),
        "a preview": (lambda: broker.preview_order(replace(order, order_ref=PREVIEW)), settings.order_timeout + 0.2),
        "values": (broker.account_summary, settings.read_timeout + 0.2),
        "synchronise": (broker.synchronise, 2 * MOST_PATIENCE * settings.connect_timeout + 0.2),
        "quote": (lambda: broker.quote(NVDA), first),
        "positions": (broker.positions, 0.1),
        "open orders": (broker.open_trades, 0.1),
        "fills": (broker.fills, 0.1),
        "health": (broker.health, 0.1),
    }
    if often:
        name = "an order" if chance.random() < 0.3 else chance.choice(list(calls))
    else:
        looks = (100 - sum(_OF_A_HUNDRED.values())) / (len(calls) - len(_OF_A_HUNDRED))
        name = chance.choices(list(calls), [_OF_A_HUNDRED.get(each, looks) for each in calls])[0]
    return name, *calls[name]


@contextmanager
def _weather(stage: FaultStage, weather: str, chance: Random) -> Iterator[None]:
    ended = threading.Event()

    def storm() -> None:
        while not ended.wait(0.1 + chance.random() * 0.4):
            stage.proxy.end(Do.RESET)

    def stall() -> None:
        stage.proxy.shape(Way.IN, Shape(later=0.002))
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


# --- the race ---------------------------------------------------------------------------------------------------------


def race(folder: Path, seed: int, *, rounds: int = 2) -> Result:
    """RACE: 64 threads, each of which would be one too many, for the last of a limit; none too many comes through."""
    chance, result = chance_of("RACE", seed), Result()
    name, rule = chance.choice([("RISK_MAX_POSITION", "position"), ("RISK_MAX_OPEN_ORDERS", "open_orders")])
    most = chance.randint(1, 9)
    limits = {**LIFTED, name: str(most)}
    settings = {**PATIENT, "risk": limits, "max_requests_per_second": 1000}
    with FaultStage(folder, seed=seed, timing=CALM, settings=settings) as stage:
        broker = stage.open()
        for number in range(rounds):
            price = round(Decimal(str(soon(lambda: broker.quote(NVDA)).bid)) * Decimal("0.99"), 2)
            orders = [
                Order(NVDA, Action.BUY, Decimal(1), OrderType.LIMIT, price, order_ref=f"race-{number}-{each}")
                for each in range(_THREADS)
            ]
            gate = threading.Barrier(_THREADS)

            def place(order: Order) -> str:
                gate.wait(30)  # noqa: B023
                try:
                    broker.place_order(order)
                except OrderRefusedError as error:
                    return str(error)
                return ""

            with ThreadPoolExecutor(_THREADS) as pool:
                answers = list(pool.map(place, orders))
            made = [ref for ref in oracle.orders_of(stage.truth()) if ref.startswith(f"race-{number}-")]
            found = []
            if len(made) != most or answers.count("") != most:
                found.append(f"{name}: {len(made)} orders at the gateway, {answers.count('')} accepted, {most} allowed")
            found += [f"{name}: refused by {each!r}" for each in {*answers} if each and rule not in each]
            stage.clear()
            found += stage.settled()
            result.count(found, f"RACE seed {seed}, round {number}")
            if found:
                break
    return result
