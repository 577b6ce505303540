"""backtrader's side: `sma` 10/50 over the tape, as lean as backtrader goes.

`python -m benchmarks.backtrader_replay FILE`. The feed fills backtrader's own arrays in one stroke, outside the
measured time. There are no observers or analyzers, no cash check, and data are preloaded for `runonce`, its fastest
way (`--next` measures the other).
"""

import sys
from array import array
from time import perf_counter

import backtrader as bt
import numpy as np

from benchmarks.measuring import report
from benchmarks.prices import COLUMNS, SYMBOLS

CASH = 1_000_000.0
QUANTITY = 100
_DAY = 86_400_000_000_000
_EPOCH = 719_163  # 1970-01-01 in days, as backtrader counts them


class Tape(bt.feed.DataBase):
    """A feed whose lines are the columns themselves."""

    params = (("columns", None),)

    def preload(self) -> None:
        """Fill every line at once."""
        columns = self.p.columns
        size = len(columns["datetime"])
        for name in self.getlinealiases():
            line = getattr(self.lines, name)
            line.array = array("d", columns[name].tobytes() if name in columns else bytes(8 * size))
            line.idx, line.lencount = size - 1, size
        self._last()
        self.home()


class Fixed(bt.CommInfoBase):
    """IBKR's fixed schedule: half a cent a share, at least a dollar an order, at most one percent of its value."""

    params = (("stocklike", True), ("commtype", bt.CommInfoBase.COMM_FIXED))

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:  # noqa: ARG002, FBT001  # its signature
        shares = abs(size)
        return min(max(0.005 * shares, 1.0), 0.01 * shares * price)


class Sma(bt.Strategy):
    """Long while the fast average is above the slow one, flat while it is below."""

    def __init__(self) -> None:
        self.pairs = [
            (data, bt.indicators.SMA(data.close, period=10), bt.indicators.SMA(data.close, period=50))
            for data in self.datas
        ]

    def next(self) -> None:
        """Decide on one closed bar of each symbol."""
        for data, fast, slow in self.pairs:
            difference = round(fast[0] - slow[0], 9)
            held = self.getposition(data).size
            if difference > 0 and not held:
                self.buy(data, size=QUANTITY)
            elif difference < 0 and held > 0:
                self.sell(data, size=held)


class Measured(Sma):
    """The strategy, which counts its fills and notes when loading was over."""

    def __init__(self) -> None:
        super().__init__()
        self.fills = 0

    def notify_order(self, order: bt.Order) -> None:
        """Count what was executed; with its cash check off the broker keeps no list."""
        self.fills += order.status == order.Completed

    def _start(self) -> None:
        self.started = perf_counter()
        super()._start()


def main() -> None:
    """Replay and report."""
    tape = np.load(sys.argv[1])
    cerebro = bt.Cerebro(stdstats=False, preload=True, runonce="--next" not in sys.argv)
    cerebro.broker = bt.brokers.BackBroker(cash=CASH, checksubmit=False)
    cerebro.broker.addcommissioninfo(Fixed())
    days = tape["start"] / _DAY + _EPOCH
    for symbol in SYMBOLS:
        columns = {"datetime": days} | {column: tape[f"{symbol}.{column}"] for column in COLUMNS}
        cerebro.adddata(Tape(columns=columns), name=symbol)
    cerebro.addstrategy(Measured)
    (strategy,) = cerebro.run()
    seconds = perf_counter() - strategy.started
    report(
        fills=strategy.fills,
        final_equity=cerebro.broker.getvalue(),
        bars=len(SYMBOLS) * len(days),
        seconds=seconds,
    )


if __name__ == "__main__":
    main()
