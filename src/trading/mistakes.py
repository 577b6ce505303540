"""What a strategy may do wrong, and what a session makes of it: one line, never the end of the process."""

import logging
from collections.abc import Container, Iterable
from types import TracebackType
from typing import Final

from src.brokers.command_line import in_one_line
from src.domain.errors import InvalidOrderError
from src.domain.events import TOLD
from src.domain.orders import Order
from src.trading.strategy import Strategy

#: Whatever a strategy raises; Ctrl-C is the person's.
MISTAKES: Final = (Exception, SystemExit)


def checked_orders(answer: object, symbols: Container[str]) -> tuple[Order, ...]:
    """What `on_bar` returned, once it is orders for `symbols`. It is read once, since it may be a generator."""
    orders = tuple(answer) if isinstance(answer, (tuple, Iterable)) else (answer,)
    for order in orders:
        if type(order) is not Order or order.contract.symbol not in symbols:
            raise InvalidOrderError(f"on_bar() must return orders for the session's contracts, not {order!r}")
    return orders


def trace_outside(error: BaseException, *files: str) -> TracebackType | None:
    """An error's traceback from the first line that is not in `files` on; None when all of it is."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in (__file__, *files):
        trace = trace.tb_next
    return trace


class Explanations:
    """Logs what a strategy says of its decisions. One that cannot say trades on: logging decides nothing."""

    def __init__(self, strategy: Strategy, log: logging.Logger) -> None:
        self._strategy, self._log = strategy, log
        self._failed = False

    def tell(self, level: int) -> None:
        """Ask, and log the answer; a failure is told the first time."""
        try:
            self._log.log(level, "%s", self._strategy.explain())
        except MISTAKES as error:
            if not self._failed:
                self._log.warning("explain() failed, which is not told again: %s", in_one_line(error))
            self._failed = True


class Repeated:
    """Counts what may come many times and observers hear of each time, and warns of the first few only."""

    def __init__(self, log: logging.Logger, what: str, most: int) -> None:
        self._log, self._what, self._most = log, what, most
        self.count = 0

    def warn(self, message: str, *arguments: object) -> None:
        """Count one more, and say it unless that has been said often enough."""
        self.count += 1
        level = logging.WARNING if self.count <= self._most else logging.DEBUG
        self._log.log(level, message, *arguments, extra=TOLD)
        if self.count == self._most:
            self._log.warning("further %s are only counted", self._what)
