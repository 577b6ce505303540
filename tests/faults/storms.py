"""Trials of whole sessions: the gateway away and back, a silent peer."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from src.domain.errors import BrokerError, NotConnectedError, OrderOutcomeUnknownError, OrderRefusedError
from src.domain.market import Mode, Source
from src.gateways.tws_codec import ReqMktData
from src.runtime.clock import monotonic
from tests.faults.harness import CALM, GRACE, MSFT, NVDA, TIMING, FaultStage, pause, wait_for
from tests.faults.proxy import Do
from tests.faults.results import Result, chance_of
from tests.faults.ruler import Ruler


def _held() -> tuple[int, int]:
    """Threads, and open files where the system tells."""
    folder = Path("/proc/self/fd")
    return threading.active_count(), len(list(folder.iterdir())) if folder.is_dir() else 0


def _grown(baseline: tuple[int, int]) -> bool:
    threads, files = _held()
    return threads > baseline[0] + 1 or files > baseline[1] + 4


# --- T8 and T14 -------------------------------------------------------------------------------------------------------


def lose_the_gateway(folder: Path, seed: int, *, rounds: int = 6) -> Result:
    """T8, T14: the gateway goes away for a while, again and again.

    Nothing is simulated meanwhile, attempts follow the back-off, what was subscribed to is asked for once, trading goes
    on, and nothing has leaked.
    """
    chance, result = chance_of("T14", seed), Result()
    with FaultStage(folder, seed=seed, timing=CALM) as stage:
        broker = stage.open()
        assert wait_for(lambda: _answers(stage), 10.0), "no quote of MSFT"
        baseline: tuple[int, int] | None = None
        for number in range(rounds):
            away, how = 0.1 + chance.random() * 0.5, chance.choice([Do.RESET, Do.FIN])
            stage.proxy.target, port = 1, stage.proxy.target  # nobody listens there
            before, began = stage.proxy.accepted, monotonic()
            stage.proxy.end(how)
            found = [] if wait_for(lambda: not broker.is_connected, 20.0) else ["I13: the end was not noticed"]
            found += _nothing_is_pretended(stage, away, f"away-{number}")
            attempts, took = stage.proxy.accepted - before, monotonic() - began
            if attempts > 3 + (took + 0.5) / (0.8 * 0.1):
                found.append(f"I13: {attempts} attempts within {took:.2f} s")
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
            if baseline is None:
                baseline = _held()
            elif not wait_for(lambda: not _grown(baseline), 20.0):  # noqa: B023  # what has just ended lets go soon
                found.append(f"I21: threads and files grew from {baseline} to {_held()}")
            result.count(found, f"T14 seed {seed}, round {number}: {how}, {away:.2f} s away")
            if found:
                break
    return result


def _answers(stage: FaultStage) -> bool:
    """Whether there is a quote of the second symbol; a busy machine may lose the connection meanwhile."""
    with suppress(BrokerError):
        stage.broker.quote(MSFT)
        return True
    return False


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


def fall_silent(folder: Path, seed: int, *, rounds: int = 4) -> Result:
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
            began = monotonic()
            stage.proxy.end(how)
            if not wait_for(lambda: not broker.is_connected, 40.0):
                result.count(["I12: a dead peer was not noticed"], f"T10 seed {seed}, round {number}: {how}")
                break
            took = monotonic() - began
            # A heartbeat that was itself held up judges nobody: it asks once more.
            beats = 2 + ruler.interruptions(began)
            allowed = beats * stage.timing.heartbeat + GRACE + ruler.late(began)
            found = [] if took <= allowed else [f"I12: noticed after {took:.2f} s, {allowed:.2f} s allowed"]
            stage.proxy.behave()
            if not wait_for(lambda: broker.is_connected, 40.0):
                found.append("I13: not back after forty seconds")
            found += stage.settled()
            result.count(found, f"T10 seed {seed}, round {number}: {how}")
            if found:
                break
    return result
