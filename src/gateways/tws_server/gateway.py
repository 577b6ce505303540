"""The gateway on a thread of its own, for tests and programs; and as a command that runs until it is stopped."""

import asyncio
import signal
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

from src.gateways.scenario import Scenario, scenario_of
from src.gateways.tws_server.options import GatewayOptions
from src.gateways.tws_server.server import Server
from src.gateways.tws_server.truth import Truth
from src.runtime.bridge import LoopThread
from src.runtime.heap import settle_heap
from src.runtime.market import Market

_T = TypeVar("_T")
_PATIENCE: Final = 10.0


class PaperGateway:
    """A gateway that runs inside `with`, on a free port unless the options name one."""

    def __init__(self, market: Market, options: GatewayOptions | None = None) -> None:
        self._market = market
        self._options = GatewayOptions(port=0, latency=0.0) if options is None else options
        self._thread: LoopThread | None = None
        self._server: Server | None = None
        self.host, self.port = self._options.host, 0

    def start(self) -> Self:
        """Listen. OSError when the port is taken."""
        self._thread = LoopThread("paper-gateway")
        try:
            self._server = self._thread.call(self._start(), _PATIENCE)
        except BaseException:
            self._thread.stop()
            raise
        self.port = self._server.port
        return self

    async def _start(self) -> Server:
        server = Server(self._market, self._options)
        await server.start()
        return server

    def stop(self) -> None:
        """End every connection and stop listening; idempotent."""
        if self._thread is not None and self._server is not None:
            self._thread.call(self._server.stop(), _PATIENCE)
            self._thread.stop()
        self._thread = self._server = None

    def call(self, what: Callable[[Server], _T]) -> _T:
        """Call `what` with the server on its own thread, between two messages."""
        if self._thread is None or self._server is None:
            raise RuntimeError("the gateway is not running")
        server = self._server

        async def run() -> _T:
            return what(server)

        return self._thread.call(run(), _PATIENCE)

    def truth(self) -> Truth:
        """What has really happened: orders, requests, faults."""
        return self.call(lambda server: server.tell_truth())

    def play(self, scenario: Scenario | str) -> None:
        """Misbehave from now on as these rules say (a scenario, or its YAML); seconds of `at` count from here."""
        rules = scenario_of(scenario) if isinstance(scenario, str) else scenario
        self.call(lambda server: server.play(rules))

    def behave(self) -> None:
        """Forget every rule."""
        self.call(lambda server: server.behave())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def serve(market: Market, options: GatewayOptions, banner: Callable[[int], str]) -> int:
    """Run the gateway until a signal; return its number. The first line on stdout says where it listens."""
    return asyncio.run(_serve(market, options, banner))


async def _serve(market: Market, options: GatewayOptions, banner: Callable[[int], str]) -> int:
    server = Server(market, options)
    port = await server.start()
    settle_heap(in_real_time=True)  # no order is to wait for a large collection
    sys.stdout.write(f"listening on {options.host}:{port}\n{banner(port)}\n")
    sys.stdout.flush()
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if not stopped.done():
            stopped.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda given, _: loop.call_soon_threadsafe(stop, given))
    try:
        return await stopped
    finally:
        await server.stop()
