"""TwsBroker on a stage: over a socket to a paper gateway in this process, whose market time the test moves.

Market time stands still until it is moved, but for as long as an order is on its way.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.timing import Timing
from src.domain.orders import Order, OrderChange, OrderId, Trade
from src.gateways.tws_server import GatewayOptions, PaperGateway
from src.runtime.clock import NS, monotonic
from src.runtime.market import Market
from src.settings import Settings


class StageClock:
    """Moved by hand; it runs by itself inside `running`."""

    def __init__(self, start: int) -> None:
        self._time, self._since, self._runs = start, monotonic(), 0
        self._lock = Lock()

    def begin(self) -> None:
        """Nothing: it runs."""

    def now(self) -> int:
        """Market time."""
        with self._lock:
            return self._settle()

    def _settle(self) -> int:
        now = monotonic()
        if self._runs:
            self._time += int((now - self._since) * NS)
        self._since = now
        return self._time

    def move(self, nanoseconds: int) -> None:
        """Let so much time pass at once."""
        with self._lock:
            self._settle()
            self._time += nanoseconds

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let time pass by itself."""
        self._run(1)
        try:
            yield
        finally:
            self._run(-1)

    def _run(self, more: int) -> None:
        with self._lock:
            self._settle()
            self._runs += more

    def seconds_until(self, moment: int) -> float:
        """Real seconds until market time `moment`, if it comes by itself."""
        return max((moment - self.now()) / NS, 0.0)


class StagedBroker(TwsBroker):
    """Its events' reader moves the market on when it has read all, as a replay's does; it stops its gateway too."""

    def __init__(self, market: Market, clock: StageClock) -> None:
        self._market_clock, self._latency = clock, market.latency
        self._hearing = Lock()
        self._gateway = PaperGateway(market, GatewayOptions(port=0, latency=0.0)).start()
        settings = Settings(order_timeout=40.0)
        patient = Timing(oldest_order=40.0, shortable=40.0)  # a busy machine may be late with it
        super().__init__(settings, "127.0.0.1", self._gateway.port, timing=patient)

    def pass_time(self, seconds: int) -> None:
        """Let market seconds pass one by one, and return once their news have arrived."""
        for _ in range(seconds):
            self._move(NS)
        self._hear()

    def _move(self, nanoseconds: int) -> None:
        self._market_clock.move(nanoseconds)
        self._gateway.call(lambda server: server.wake())

    def _hear(self) -> None:
        """Return once the gateway has told all that it has to tell."""
        with self._hearing:  # the library keeps one such question at a time
            if self._session.is_up:
                self.tws(lambda ib: ib.reqCurrentTimeAsync())

    def place_order(self, order: Order) -> Trade:
        """Send an order, while time passes."""
        with self._market_clock.running():
            return super().place_order(order)

    def modify_order(self, order_id: OrderId, change: OrderChange) -> Trade:
        """Change an order, while time passes."""
        with self._market_clock.running():
            return self._arrived(super().modify_order(order_id, change))

    def cancel_order(self, order_id: OrderId) -> Trade:
        """Cancel an order, while time passes."""
        with self._market_clock.running():
            return self._arrived(super().cancel_order(order_id))

    def _arrived(self, trade: Trade) -> Trade:
        """All that was sent before has reached the exchange too, as on the simulated stage."""
        self._move(self._latency)
        self._hear()
        return trade

    def close(self) -> None:
        """Leave the stage."""
        self.disconnect()
        self._gateway.stop()

    def _wait_for_events(self) -> float | None:
        if super()._wait_for_events() is None:
            return None
        self.pass_time(1)
        return 0.0
