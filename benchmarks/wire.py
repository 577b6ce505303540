"""Measure the TWS backend and the paper gateway, each beside its peer or its floor in the same run. `make bench-wire`.

Every figure is a ratio of medians, both sides taken in turn, client and server on one core; what needs no other thread
is measured in processor time. Exits 1 when a goal is missed.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from select import select
from statistics import median
from time import perf_counter, thread_time

from benchmarks.wire_servers import ACCOUNTS
from src.brokers.tws.broker import TwsBroker
from src.gateways.tws_codec import (
    ClientHello,
    ErrorMessage,
    FrameReader,
    OpenOrder,
    OrderStatusMessage,
    PlaceOrder,
    StartApi,
    WireContract,
    WireOrder,
    decode_reply,
    encode_client_hello,
    encode_request,
    frame,
)
from src.runtime.bridge import LoopThread
from src.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
VERSION = 178
ROUNDS = 5


@dataclass(frozen=True)
class Figure:
    """What was measured, against what is wanted; `at_most` says on which side of the goal is good."""

    name: str
    value: float
    goal: float | None  # None: it is what another figure stands beside
    unit: str = "x"
    at_most: bool = True

    @property
    def is_reached(self) -> bool:
        """Whether the goal is."""
        if self.goal is None:
            return True
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def __str__(self) -> str:
        if self.goal is None:
            return f"{self.name:<58}{self.value:>12,.2f} {self.unit}"
        sign, verdict = "<=" if self.at_most else ">=", "ok" if self.is_reached else "MISSED"
        return f"{self.name:<58}{self.value:>12,.2f} {self.unit:<9}{sign} {self.goal:<10,g}{verdict}"


@contextmanager
def server(*what: str) -> Iterator[int]:
    """A server in a process of its own; its port."""
    with serving(*what) as (port, _):
        yield port


@contextmanager
def serving(*what: str) -> Iterator[tuple[int, int]]:
    """The same; its port and its process id."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.wire_servers", *what], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None  # noqa: S101  # for the type
            yield int(process.stdout.readline()), process.pid
        finally:
            process.kill()


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process has taken, all its threads (Linux)."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def orders(side: str, port: int, count: int) -> tuple[list[float], float]:
    """One client's acknowledgement times, seconds, and its processor time of an order."""
    command = [sys.executable, "-m", "benchmarks.wire_clients", side, str(port), str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{side} failed:\n{done.stderr}")
    found = json.loads(done.stdout)
    return [float(each) for each in found["seconds"]], float(found["processor"])


def acknowledgements(count: int) -> Iterator[Figure]:
    """`place_market_order` of the facade and `place_order` beneath it, beside ib_insync; and the tail of many."""
    waits: dict[str, list[float]] = {"facade": [], "broker": []}
    work: dict[str, list[float]] = {"facade": [], "broker": []}
    for _ in range(ROUNDS):
        with server("gateway", "1") as port:  # a new one: who connects is told all executions of the day
            theirs, their_work = orders("library", port, count // 20)
            for side, found in waits.items():
                ours, our_work = orders(side, port, count // 20)
                found.append(median(ours) / median(theirs))
                work[side].append(our_work / their_work)
    for side, name in (("facade", "place_market_order"), ("broker", "place_order")):
        yield Figure(f"{name} to ack / ib_insync in its own loop", median(waits[side]), 1.15)
        yield Figure("  the same, processor time of the client", median(work[side]), 1.15)
    for side, goal, name in (
        ("facade", 3.0, "place_market_order to ack"),
        ("library", None, "  ib_insync in its own loop"),
    ):
        with server("gateway", "1") as port:
            found = sorted(orders(side, port, count)[0])
        yield Figure(f"{name}, p99.9 / p50 of {count}", found[count * 999 // 1000] / median(found), goal)


# --- the gateway ----------------------------------------------------------------------------------------------------


class Wire:
    """A blocking client of plain frames."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.frames = FrameReader()

    def greet(self) -> None:
        """As client 1."""
        self.socket.sendall(encode_client_hello(ClientHello(100, VERSION)))
        next(iter(self.payloads()))
        self.socket.sendall(frame(encode_request(StartApi(1), VERSION)))
        self.wait_for(lambda message: isinstance(message, ErrorMessage) and message.error_code == 2158)  # the last one

    def payloads(self) -> list[bytes]:
        """What has come."""
        return list(self.frames.feed(self.socket.recv(65_536)))

    def wait_for(self, is_it: Callable[[object], bool]) -> None:
        """Read up to a message."""
        while not any(is_it(decode_reply(payload, VERSION)) for payload in self.payloads()):
            pass


def resting(order_id: int, account: int) -> bytes:
    """A limit order far below the market, encoded."""
    contract = WireContract(symbol="NVDA", sec_type="STK", exchange="SMART", currency="USD")
    order = WireOrder("BUY", Decimal(1), "LMT", Decimal("1.50"), tif="DAY", account=ACCOUNTS[account])
    return frame(encode_request(PlaceOrder(order_id, contract, order), VERSION))


#: openOrder and orderStatus, Submitted: without latency an order rests in the moment in which it is taken.
MESSAGES_PER_ORDER = 2


def gateway_orders(count: int) -> Iterator[Figure]:
    """One order at a time beside an echo; then many at once, until all is told of every one."""
    with serving("gateway", str(len(ACCOUNTS))) as (port, pid), server("echo") as echo_port:
        wire, echo = Wire(port), Wire(echo_port)
        wire.greet()
        requests = [resting(number + 1, number // 20) for number in range(count + 1000)]
        ours, floor = [], []
        for request in requests[:1000]:
            started = perf_counter()
            echo.socket.sendall(request)
            echo.socket.recv(65_536)
            floor.append(perf_counter() - started)
            started = perf_counter()
            wire.socket.sendall(request)
            seen = 0
            while seen < MESSAGES_PER_ORDER:
                seen += len(wire.payloads())
            ours.append(perf_counter() - started)
        yield Figure("gateway, order to ack / bare asyncio echo", median(ours) / median(floor), 2)
        data, sent, seen = b"".join(requests[1000:]), 0, 0
        kinds: list[bytes] = []
        wire.socket.setblocking(False)  # noqa: FBT003  # the socket's own word
        started, taken = perf_counter(), processor_time(pid)
        while seen < MESSAGES_PER_ORDER * count:
            writes = [wire.socket] if sent < len(data) else []
            reads, writes, _ = select([wire.socket], writes, [])  # the gateway has the core while there is nothing
            if writes:
                sent += wire.socket.send(data[sent : sent + 65_536])
            if reads:
                found = wire.payloads()
                seen += len(found)
                kinds += found[:1]
        seconds, taken = perf_counter() - started, processor_time(pid) - taken
        if not {type(decode_reply(each, VERSION)) for each in kinds} <= {OpenOrder, OrderStatusMessage}:
            sys.exit("the gateway refused some of the orders: nothing was measured")
        yield Figure("gateway, resting limit orders pipelined", count / seconds, 10_000, "orders/s", at_most=False)
        yield Figure("the same, of its processor time", count / taken, 10_000, "orders/s", at_most=False)


# --- within a process -----------------------------------------------------------------------------------------------


async def _nothing() -> None:
    pass


def bridge() -> Iterator[Figure]:
    """A call into the loop's thread beside the standard library's."""
    thread = LoopThread("bench")

    def floor() -> None:
        asyncio.run_coroutine_threadsafe(_nothing(), thread.loop).result()

    yield Figure("bridge call / run_coroutine_threadsafe", ratio(lambda: thread.call(_nothing()), floor, 2000), 1.15)
    thread.stop()


def ratio(ours: Callable[[], None], theirs: Callable[[], None], count: int) -> float:
    """The median of one over that of the other, call by call in turn."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(count):
        for call, found in ((ours, times[0]), (theirs, times[1])):
            started = perf_counter()
            call()
            found.append(perf_counter() - started)
    return median(times[0]) / median(times[1])


def connecting() -> Iterator[Figure]:
    """From `connect()` to synchronised; the library is imported by then. And a price that is known, read."""
    with server("gateway", "1") as port:
        broker = TwsBroker(Settings(state_dir=Path()), "127.0.0.1", port, client_id=1)
        times = []
        for _ in range(21):
            started = perf_counter()
            broker.connect()
            times.append(perf_counter() - started)
            broker.disconnect()
        yield Figure("connect to ready over loopback", median(times[1:]) * 1e3, 50, "ms")


def reading() -> Iterator[Figure]:
    """A price the facade knows already, over the gateway."""
    from src.brokers.ib_gateway import IBGatewayClient
    from src.settings import load_settings

    state = ROOT / "benchmarks" / "out" / "state"
    with server("gateway", "1") as port:
        settings = load_settings(
            environ={}, backend="tws", host="127.0.0.1", port=port, state_dir=state, metrics_port="off"
        )
        with IBGatewayClient(settings=settings) as client:
            client.get_current_price("NVDA")
            times = []
            for _ in range(ROUNDS):
                started = thread_time()
                for _ in range(2000):
                    client.get_current_price("NVDA")
                times.append((thread_time() - started) / 2000)
        yield Figure("get_current_price of the facade, known", median(times) * 1e6, 1, "us")


def main() -> int:
    """Measure all, print each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=10_000, help="orders of the long runs")
    parser.add_argument("--only", help="the name of one part")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    from benchmarks.wire_codec import encoding

    parts: dict[str, Callable[[], Iterator[Figure]]] = {
        "acks": lambda: acknowledgements(arguments.orders),
        "gateway": lambda: gateway_orders(arguments.orders),
        "encoding": encoding,
        "bridge": bridge,
        "connect": connecting,
        "read": reading,
    }
    missed = 0
    for name, part in parts.items():
        if arguments.only in (None, name):
            for figure in part():
                print(figure, flush=True)
                missed += not figure.is_reached
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
