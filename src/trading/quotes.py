"""Quotes for those who only look on: somebody has to ask for them once, or there are none to be seen."""

from collections.abc import Iterable
from functools import partial

from src.brokers.broker import Broker
from src.domain.market import Contract
from src.runtime.worker import call_in_parallel


def want_quotes(broker: Broker, contracts: Iterable[Contract]) -> None:
    """Have quotes come of what nobody has asked for yet; waits for none of them, and what cannot be had is left."""
    call_in_parallel([partial(broker.quote, one) for one in contracts if broker.latest_quote(one) is None], timeout=0.0)
