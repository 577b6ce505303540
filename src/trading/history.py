"""The bars before a session: those a strategy is to see before it decides, and whether it ever saw enough."""

import logging
from collections.abc import Iterable

from src.brokers.broker import Broker
from src.domain.errors import BrokerError, NoMarketDataError, NotSupportedError
from src.domain.market import Bar, BarSize, Contract

_log = logging.getLogger(__name__)


def bars_before(broker: Broker, contracts: Iterable[Contract], size: BarSize, needed: int) -> list[Bar]:
    """The last `needed` bars of each contract until now, all in the order of time; what is missing is logged."""
    history: list[Bar] = []
    for contract in contracts if needed > 0 else ():
        try:
            bars = broker.bars(contract, size, needed)
        except (NoMarketDataError, NotSupportedError) as error:
            _log.warning("no history of %s: %s", contract.symbol, error)
            bars = ()
        if len(bars) < needed:
            missing = needed - len(bars)
            _log.info("%s: %d bars of history are missing; no decision before them", contract.symbol, missing)
        history.extend(bars)
    history.sort(key=lambda bar: bar.end)
    return history


def never_decided(broker: Broker, contracts: Iterable[Contract], size: BarSize, needed: int) -> dict[str, int]:
    """The bars until now of each contract that has had no more than the `needed` ones before a first decision."""
    seen = {}
    for contract in contracts if needed > 0 else ():
        try:
            bars = len(broker.bars(contract, size, needed + 1))
        except BrokerError as error:
            _log.debug("%s: its bars cannot be counted: %s", contract.symbol, error)
            continue
        if bars <= needed:
            seen[contract.symbol] = bars
    return seen
