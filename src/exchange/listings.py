"""The US instruments that the simulator knows, with what it needs to invent prices and quotes of them.

Last closes: official closes of 2024-12-31, unadjusted, in dollars. AAPL (250.42) and NVDA (134.29) were found in
public tables (a copy of Alpha Vantage's monthly series; a market-structure table). The others are from memory and were
not checked: nothing but the level of invented prices depends on them.

con_id: IB's own, seen in public code, but for JPM. From 2,000,000,000 up they are ours; IB had none there.

Estimates of 2024, not measurements: half spread and displayed size (NVDA, MSFT and the large funds are bound by the
tick: one to two cents wide, deep), annual volatility, beta to the market factor, average daily volume. The quote
samples of 2013 to 2015 are no guide to them: shares cost more then, and books were thinner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from zlib import crc32

from src.domain.market import Contract, ContractDetails

#: The date of every `last_close` of the table.
LAST_CLOSE_DATE: Final = date(2024, 12, 31)
_OURS: Final = 2_000_001_000
_OURS_COUNT: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Listing:
    """One US stock or fund. Dollars; sizes and volume in shares; volatility a year, as a ratio."""

    symbol: str
    con_id: int
    long_name: str
    primary_exchange: str
    last_close: float
    half_spread: float
    displayed_size: int
    annual_volatility: float
    beta: float
    daily_volume: int
    last_close_date: date = LAST_CLOSE_DATE
    min_tick: Decimal = Decimal("0.01")

    @property
    def contract(self) -> Contract:
        """The contract as IB qualifies it."""
        return Contract(self.symbol, primary_exchange=self.primary_exchange, con_id=self.con_id)

    @property
    def details(self) -> ContractDetails:
        """What the venue says of it."""
        return ContractDetails(self.contract, self.long_name, self.min_tick)


# symbol, con_id, name, exchange, close, half spread, displayed, volatility, beta, volume
_TABLE: Final = (
    Listing("NVDA", 4815747, "NVIDIA CORP", "NASDAQ", 134.29, 0.005, 1200, 0.50, 1.8, 220_000_000),
    Listing("MSFT", 272093, "MICROSOFT CORP", "NASDAQ", 421.50, 0.005, 300, 0.22, 1.1, 20_000_000),
    Listing("AAPL", 265598, "APPLE INC", "NASDAQ", 250.42, 0.005, 500, 0.24, 1.1, 50_000_000),
    Listing("SPY", 756733, "SPDR S&P 500 ETF TRUST", "ARCA", 586.08, 0.005, 1000, 0.15, 1.0, 50_000_000),
    Listing("QQQ", 320227571, "INVESCO QQQ TRUST SERIES 1", "NASDAQ", 511.23, 0.005, 800, 0.20, 1.2, 32_000_000),
    Listing("IWM", 9579970, "ISHARES RUSSELL 2000 ETF", "ARCA", 220.96, 0.005, 1500, 0.21, 1.2, 28_000_000),
    Listing("DIA", 73128548, "SPDR DJIA TRUST", "ARCA", 425.50, 0.02, 400, 0.12, 0.8, 3_000_000),
    Listing("GOOG", 208813720, "ALPHABET INC-CL C", "NASDAQ", 190.44, 0.01, 300, 0.28, 1.1, 18_000_000),
    Listing("GOOGL", 208813719, "ALPHABET INC-CL A", "NASDAQ", 189.30, 0.005, 400, 0.28, 1.1, 27_000_000),
    Listing("AMZN", 3691937, "AMAZON.COM INC", "NASDAQ", 219.39, 0.005, 400, 0.29, 1.3, 40_000_000),
    Listing("META", 107113386, "META PLATFORMS INC-CLASS A", "NASDAQ", 585.51, 0.04, 100, 0.34, 1.3, 14_000_000),
    Listing("TSLA", 76792991, "TESLA INC", "NASDAQ", 403.84, 0.02, 200, 0.62, 1.9, 95_000_000),
    Listing("AMD", 4391, "ADVANCED MICRO DEVICES", "NASDAQ", 120.79, 0.005, 700, 0.48, 1.7, 45_000_000),
    Listing("NFLX", 15124833, "NETFLIX INC", "NASDAQ", 891.32, 0.15, 50, 0.33, 1.2, 3_500_000),
    Listing("INTC", 270639, "INTEL CORP", "NASDAQ", 20.05, 0.005, 8000, 0.48, 1.2, 80_000_000),
    Listing("JPM", 2_000_000_000, "JPMORGAN CHASE & CO", "NYSE", 239.71, 0.02, 200, 0.23, 1.0, 9_000_000),
)
_BY_SYMBOL: Final[Mapping[str, Listing]] = MappingProxyType({listing.symbol: listing for listing in _TABLE})


def listing(symbol: str) -> Listing | None:
    """The known instrument of this symbol, in any case; None when there is none."""
    return _BY_SYMBOL.get(symbol.upper())


def listings() -> tuple[Listing, ...]:
    """All known instruments."""
    return _TABLE


def assumed_listing(symbol: str, con_id: int | None = None) -> Listing:
    """A US stock for a replayed symbol that is not in the table: an ordinary one at 100 dollars.

    Without a `con_id` it gets one of ours, the same in every process.
    """
    own = _OURS + crc32(symbol.upper().encode()) % _OURS_COUNT if con_id is None else con_id
    name = f"{symbol.upper()} (assumed US stock)"
    return Listing(symbol.upper(), own, name, "SMART", 100.0, 0.01, 300, 0.3, 1.0, 5_000_000)
