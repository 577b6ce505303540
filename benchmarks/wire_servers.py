"""What the wire benchmark talks to, each in a process of its own: the paper gateway without latency, and a bare echo.

`python -m benchmarks.wire_servers gateway|echo`; the first line on stdout is the port.
"""

import asyncio
import sys
from decimal import Decimal
from threading import Event

from src.domain.orders import AccountId
from src.gateways.tws_server import GatewayOptions, PaperGateway
from src.runtime.heap import settle_heap
from src.runtime.market import MarketRules, seeded_market

#: The exchange takes twenty active orders of a contract, side and account: so many accounts let thousands rest.
ACCOUNTS = tuple(AccountId(f"DUSIM{number:03}") for number in range(1, 601))


class Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for the type
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Back it goes."""
        self.transport.write(data)


async def echo() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def gateway(accounts: int) -> None:
    """Serve until killed."""
    rules = MarketRules(preset="ideal", hours="always", seed=1)
    market = seeded_market(rules, ["NVDA", "MSFT"], dict.fromkeys(ACCOUNTS[:accounts], Decimal(10_000_000)))
    with PaperGateway(market, GatewayOptions(port=0, latency=0.0)) as served:
        settle_heap(in_real_time=True)
        print(served.port, flush=True)
        Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        asyncio.run(echo())
    else:
        gateway(int(sys.argv[2]))
