"""Our side: `sma` 10/50 over the tape, through the exchange, ledger, broker and trader of every session.

`python -m benchmarks.understudy_replay FILE`. Nothing is left out that a session has but the console.
"""

import logging
import sys
from decimal import Decimal
from time import perf_counter

import numpy as np

from benchmarks.measuring import report
from benchmarks.prices import MINUTE, SYMBOLS
from src.brokers.simulation import open_recorded
from src.domain.market import Contract
from src.runtime.files import BarColumns, Recording
from src.runtime.heap import settle_heap
from src.settings import load_settings
from src.trading.plan import SessionPlan
from src.trading.sma import MovingAverageCross
from src.trading.trader import Trader


def load(file: str) -> Recording:
    """The tape as a recording."""
    with np.load(file) as tape:
        start = tape["start"]
        return Recording(
            {
                symbol: BarColumns(
                    60,
                    start,
                    start + MINUTE,
                    *(tape[f"{symbol}.{name}"] for name in ("open", "high", "low", "close", "volume")),
                )
                for symbol in SYMBOLS
            },
            {},
        )


def main() -> None:
    """Replay and report."""
    logging.basicConfig(level=logging.WARNING)
    settings = load_settings(
        environ={},
        symbols=SYMBOLS,
        initial_capital=Decimal(1_000_000),
        sim_preset="ideal",
        sim_fees="commission",
        sim_market_hours="always",
    )
    recording = load(sys.argv[1])
    broker = open_recorded(settings, recording)
    broker.connect()
    contracts = tuple(broker.qualify(Contract(symbol)) for symbol in SYMBOLS)
    trader = Trader(broker, MovingAverageCross(), SessionPlan("bench", contracts))
    settle_heap()
    started = perf_counter()
    summary = trader.run()
    seconds = perf_counter() - started
    report(fills=summary.fills, final_equity=summary.final_equity, bars=recording.bar_count, seconds=seconds)


if __name__ == "__main__":
    main()
