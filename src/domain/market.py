"""What is traded and what was seen of it: contracts, bars, quotes.

Market data are `float` dollars, as wires and files give them; sizes and volumes are shares.
Times are epoch nanoseconds, UTC. A bar's `start` is IB's stamp.
"""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from src.domain.facts import fact


class Mode(StrEnum):
    """What a session trades on; fixed from the first connection to the last line (decision D7)."""

    DISCONNECTED = "disconnected"
    SIMULATED = "simulated"
    PAPER = "paper"
    LIVE = "live"


class Source(StrEnum):
    """Where a price comes from. A simulated price never bears another name."""

    LIVE = "live"
    DELAYED = "delayed"
    FROZEN = "frozen"
    SIMULATED = "simulated"


class BarSize(StrEnum):
    """Bar sizes by their short names; `seconds` is the length of one bar."""

    MIN_1 = "1m"
    MIN_5 = "5m"
    MIN_15 = "15m"
    MIN_30 = "30m"
    HOUR_1 = "1h"
    DAY_1 = "1d"

    @property
    def seconds(self) -> int:
        """Length of one bar in seconds."""
        count, unit = int(self.value[:-1]), self.value[-1]
        return count * {"m": 60, "h": 3600, "d": 86400}[unit]


@fact
class Contract:
    """What an order names. `con_id` is 0 until a broker has qualified the contract.

    A currency pair is a CASH contract of its first currency, in its second: EUR.USD is EUR in USD.
    """

    symbol: str
    sec_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    primary_exchange: str = ""
    con_id: int = 0

    @property
    def local_symbol(self) -> str:
        """IB's own name of it, which tells pairs of one currency apart: EUR.USD; of a stock its symbol."""
        return f"{self.symbol}.{self.currency}" if self.sec_type == "CASH" else self.symbol


def contract_named(name: str) -> Contract:
    """The contract that a name in capitals means: EUR.USD the pair, NVDA and BRK.B a US stock."""
    symbol, _, currency = name.partition(".")
    is_pair = len(symbol) == len(currency) == 3 and (symbol + currency).isalpha()
    return Contract(symbol, "CASH", "IDEALPRO", currency) if is_pair else Contract(name)


@fact
class ContractDetails:
    """What a venue says of a contract: its name, its tick (dollars), its zone and its regular hours.

    `sessions` are the coming ones, (open, close) in epoch ns; empty where the venue does not list them.
    """

    contract: Contract
    long_name: str
    min_tick: Decimal
    time_zone_id: str = "America/New_York"
    sessions: tuple[tuple[int, int], ...] = ()


class ShortLevel(StrEnum):
    """How hard shares are to borrow, in the three steps of TWS's shortable tick."""

    AVAILABLE = "available"  # on the shelf
    LOCATE = "locate"  # may be found: TWS holds the order meanwhile (404)
    UNAVAILABLE = "unavailable"


@fact
class Shortability:
    """What a venue has said of borrowing a contract's shares for a short sale, at `as_of` (epoch ns).

    `shares` are those on offer, None where they were not told.
    """

    level: ShortLevel
    shares: int | None
    as_of: int


class Bar(NamedTuple):
    """Prices traded in [start, end): dollars, volume in shares, times in epoch nanoseconds."""

    contract: Contract
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Quote(NamedTuple):
    """Best bid and ask at one instant: dollars, sizes in shares. `last` is the last print, NaN when there was none."""

    contract: Contract
    time: int
    bid: float
    ask: float
    bid_size: float
    ask_size: float
    last: float
    source: Source
