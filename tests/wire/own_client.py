# ruff: noqa: E402  # it must find the repository first
"""Trades once with TwsBroker over a socket: run under any Python that has one of the libraries. Warnings are errors.

    python own_client.py PORT

Prints what it found as one JSON object.
"""

import json
import sys
import warnings
from decimal import Decimal
from pathlib import Path

warnings.simplefilter("error")
sys.path.insert(0, str(Path(__file__).parents[2]))

from src.brokers.tws.broker import TwsBroker
from src.domain.events import PositionChanged
from src.domain.market import Contract
from src.domain.orders import Action, Order
from src.settings import Settings


def main(port: int) -> None:
    """Connect, order, wait for the fill, leave."""
    broker = TwsBroker(Settings(state_dir=Path(), connect_timeout=60, order_timeout=60), "127.0.0.1", port)
    broker.connect()
    with broker.events() as stream:
        placed = broker.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(10)))
        while not isinstance(event := stream.next(timeout=60), PositionChanged):
            assert event is not None, "no fill"
    trade, [fill] = broker.trade(placed.order_id), broker.fills()
    found = {
        "python": "{}.{}".format(*sys.version_info),
        "library": broker.health().library,
        "status": trade.status,
        "commission": fill.commission_report and str(fill.commission_report.commission),
        "position": [str(position.quantity) for position in broker.positions()],
    }
    broker.disconnect()
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]))
