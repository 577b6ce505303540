"""What `place_market_order` costs with guards and journal, over the paper gateway: `python -m benchmarks.placing`.

By turns with the least that could be called durable: ib_insync alone, one append and one fdatasync, then the order, and
the wait for its fill. Both talk to one gateway in a process of its own, which answers after 20 ms as by default (a real
TWS takes 100 to 190), and at once. The account is a paper one, so that the journal is flushed. Exits 1 when it takes
more than 1.15 times as long at 20 ms, or when guards and journal's bookkeeping take more than 5 % of such a call.
"""

import argparse
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from src.brokers.contracts import Contracts
from src.brokers.ib_gateway import IBGatewayClient
from src.brokers.order_desk import OrderDesk
from src.domain.market import Contract
from src.domain.orders import Action, Order
from src.settings import Settings

WANTED, GUARDS_WANTED = 1.15, 0.05
_ROOT = Path(__file__).resolve().parent.parent
_OUT = Path(__file__).resolve().parent / "out"
_LIFTED = ("ORDERS_PER_MINUTE", "DUPLICATE_SECONDS", "ROUND_TRIPS_PER_DAY", "MAX_DAILY_LOSS", "MAX_DRAWDOWN", "HOURS")


@contextmanager
def gateway(latency: int) -> Iterator[int]:
    """A paper gateway in a process of its own; its port."""
    command = [sys.executable, "-m", "src", "serve-tws", "--port", "0", "--account", "DU1111111"]
    command += ["--latency", str(latency), "--preset", "ideal", "--cash", "1000000"]
    with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101  # it was asked for
            yield int(process.stdout.readline().rpartition(":")[2])
        finally:
            process.terminate()


@contextmanager
def ours(port: int, folder: Path) -> Iterator[Callable[[str], None]]:
    """Places one share through the facade, and waits for its fill."""
    risk = {f"RISK_{name}": "off" for name in _LIFTED}
    settings = Settings(host="127.0.0.1", port=port, state_dir=folder, account_id="DU1111111", risk=risk)
    with IBGatewayClient(settings=settings) as client:

        def place(action: str) -> None:
            if (answer := client.place_market_order("NVDA", 1, action))["status"] != "Filled":
                raise RuntimeError(answer)

        place.guards = lambda: guards(client)  # type: ignore[attr-defined]
        place.bare = lambda file: bare(client, file)  # type: ignore[attr-defined]
        yield place


def bare(client: IBGatewayClient, file: int) -> Callable[[str], None]:
    """Places one share through the same broker without guards and journal, after one append and one fdatasync."""
    guarded: Any = client.broker
    inner, egress = guarded._inner, guarded._guards.egress  # noqa: SLF001  # nobody else has them, and nobody should
    desk = OrderDesk(inner, Contracts(inner), 5.0)
    contract = inner.qualify(Contract("NVDA"))

    def place(action: str) -> None:
        os.write(file, b"x" * 200)
        os.fdatasync(file)
        egress.permit()
        desk.place(Order(contract, Action[action], Decimal(1), account=inner.account_id), 2.0)

    return place


def guards(client: IBGatewayClient) -> float:
    """Seconds that the gate takes of a call: the check of an order and its reservation, and their end."""
    broker: Any = client.broker
    contract = broker.qualify(client.broker.positions()[0].contract)
    order = Order(contract, Action.BUY, Decimal(1))
    taken = []
    for number in range(300):
        begun = perf_counter()
        own = broker._own(replace(order, order_ref=f"gate-{number}"))  # noqa: SLF001  # the parts are no one else's
        broker._admission.order(own)  # noqa: SLF001
        broker._admission.release((own,))  # noqa: SLF001
        taken.append(perf_counter() - begun)
    return median(taken)


@contextmanager
def theirs(port: int, file: int) -> Iterator[Callable[[str], None]]:
    """Places one share through ib_insync alone, after one append and one fdatasync, and waits for its fill."""
    from ib_insync import IB, MarketOrder, Stock

    ib: Any = IB()
    ib.connect("127.0.0.1", port, clientId=2)
    contract = Stock("NVDA", "SMART", "USD")
    ib.qualifyContracts(contract)
    ib.reqMarketDataType(3)
    ib.reqMktData(contract)
    ib.sleep(0.5)

    def place(action: str) -> None:
        os.write(file, b"x" * 200)
        os.fdatasync(file)
        trade = ib.placeOrder(contract, MarketOrder(action, 1))
        while trade.orderStatus.status != "Filled":
            ib.waitOnUpdate(timeout=5)

    yield place
    ib.disconnect()


def measure(latency: int, orders: int) -> tuple[float, float, float, float]:
    """Median seconds of a call: ours, ours without guards and journal, theirs, and of our gate."""
    _OUT.mkdir(exist_ok=True)
    taken: dict[str, list[float]] = {"ours": [], "theirs": [], "bare": []}
    with (
        gateway(latency) as port,
        tempfile.TemporaryDirectory(dir=_OUT) as folder,
        tempfile.TemporaryFile(dir=_OUT, buffering=0) as file,
        ours(port, Path(folder)) as place_ours,
        theirs(port, file.fileno()) as place_theirs,
    ):
        place_bare = place_ours.bare(file.fileno())  # type: ignore[attr-defined]
        for number in range(orders):
            action = "SELL" if number % 2 else "BUY"
            for name, place in (("theirs", place_theirs), ("bare", place_bare), ("ours", place_ours)):
                begun = perf_counter()
                place(action)
                taken[name].append(perf_counter() - begun)
        gate = place_ours.guards()  # type: ignore[attr-defined]
    return median(taken["ours"]), median(taken["bare"]), median(taken["theirs"]), gate


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=200)
    orders = parser.parse_args().orders
    logging.basicConfig(level=logging.ERROR)
    failures = []
    for latency in (20, 0):
        own, unguarded, least, gate = measure(latency, orders)
        print(
            f"gateway at {latency:>2} ms: {own * 1e3:6.2f} ms, unguarded {unguarded * 1e3:6.2f} ms, "
            f"ib_insync and one fdatasync {least * 1e3:6.2f} ms, "
            f"{own / least:.2f} times; the gate {gate * 1e6:.0f} us, {gate / own:.1%} of a call"
        )
        if latency and own / least > WANTED:
            failures.append(f"{WANTED} times is wanted")
        if latency and gate / own > GUARDS_WANTED:
            failures.append(f"{GUARDS_WANTED:.0%} for the gate is wanted")
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
