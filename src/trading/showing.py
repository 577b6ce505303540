"""How a strategy is shown its bars: those before the session, those that it has missed, and each that closes.

Only what it wants at a bar that has just closed is sent; what it does wrong halts it.
"""

import logging
from collections.abc import Callable, Container, Sequence
from types import TracebackType

from src.domain.market import Bar
from src.domain.orders import Order
from src.runtime.clock import iso
from src.trading.mistakes import MISTAKES, Explanations, checked_orders, trace_outside
from src.trading.portfolio import Portfolio
from src.trading.strategy import Strategy

_log = logging.getLogger(__name__)

#: Told of a strategy's mistake: a message with a place for the error, the error, and where the strategy made it.
Halt = Callable[[str, BaseException, TracebackType | None], None]


class Showing:
    """Shows one strategy its bars, and counts those of the session in `bars`."""

    def __init__(self, strategy: Strategy, portfolio: Portfolio, halt: Halt) -> None:
        self._strategy, self._portfolio, self._halt = strategy, portfolio, halt
        self._explanations = Explanations(strategy, _log)
        self._explains = _log.isEnabledFor(logging.DEBUG)
        self.bars = 0

    def before(self, history: Sequence[Bar]) -> None:
        """Show the bars before the session; what the strategy would have ordered then is not sent."""
        try:
            for bar in history:
                tuple(self._strategy.on_bar(bar, self._portfolio) or ())
        except MISTAKES as error:
            self._halted("the strategy failed on its history and is halted: %s", error)

    def missed(self, bars: Sequence[Bar]) -> bool:
        """Show bars of an instant that is past; what the strategy wants then is not sent. False when it is halted."""
        for bar in bars:
            try:
                wanted = tuple(self._strategy.on_bar(bar, self._portfolio) or ())
            except MISTAKES as error:
                self._halted("the strategy failed and is halted: %s", error)
                return False
            if wanted:
                _log.warning("not sent: the strategy wanted it at a bar of %s that it has missed", iso(bar.end))
        self.bars += len(bars)
        return True

    def closed(self, bars: Sequence[Bar], symbols: Container[str], send: Callable[[Sequence[Order]], None]) -> None:
        """Ask the strategy about each bar of an instant, and send what it wants, which is for one of `symbols`."""
        strategy, portfolio, explains = self._strategy, self._portfolio, self._explains
        for bar in bars:
            try:
                orders = strategy.on_bar(bar, portfolio)
                if orders:
                    orders = checked_orders(orders, symbols)
            except MISTAKES as error:
                self._halted("the strategy failed and is halted: %s", error)
                return
            if orders:
                send(orders)
            if explains:
                self._explanations.tell(logging.DEBUG)
        self.bars += len(bars)

    def explain(self) -> None:
        """Log why the strategy wants what is about to be sent."""
        self._explanations.tell(logging.INFO)

    def _halted(self, message: str, error: BaseException) -> None:
        self._halt(message, error, trace_outside(error, __file__))
