"""The US stocks, funds and currency pairs that the simulator knows, with what it needs to invent their prices.

Last closes: official closes of 2024-12-31, unadjusted, in dollars. AAPL (250.42) and NVDA (134.29) were found in
public tables (a copy of Alpha Vantage's monthly series; a market-structure table). The others are from memory and were
not checked: nothing but the level of invented prices depends on them.

Pairs: the cross rates of the ECB's euro reference rates of the same day, from memory and not checked. Nobody prints
their trades: they have quotes, no last price and no volume. Sizes are IDEALPRO's smallest and largest order in the
first currency, as public code has them (IB's table of 2011 to 2023); below the smallest an order is an odd lot.
Ticks of 0.00005, and 0.005 in yen, were seen in IB's own contract data. Pairs that are not quoted in dollars have
prices but do not trade: the account's money is dollars (decision 021).

con_id: IB's own, seen in public code, but for JPM. From 2,000,000,000 up they are ours; IB had none there.

Estimates of 2024, not measurements: half spread and displayed size (NVDA, MSFT and the large funds are bound by the
tick: one to two cents wide, deep), annual volatility, beta to the market factor, average daily volume. The quote
samples of 2013 to 2015 are no guide to them: shares cost more then, and books were thinner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
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
    """One stock, fund or pair. Prices in `currency`; sizes and volume in shares; volatility a year, as a ratio.

    `min_tick_below_one` is the tick of prices below one (SEC Rule 612). An order takes at most `max_size`; one below
    `round_lot` is told so. A `daily_volume` of 0 says that nobody prints trades.
    """

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
    min_tick_below_one: Decimal = Decimal("0.0001")
    sec_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    round_lot: int = 1
    max_size: int = 1_000_000

    @property
    def contract(self) -> Contract:
        """The contract as IB qualifies it."""
        return _contract(self.symbol, self.sec_type, self.exchange, self.currency, self.primary_exchange, self.con_id)

    @property
    def local_symbol(self) -> str:
        """What it is called here: no other instrument has the name."""
        return self.contract.local_symbol

    @property
    def details(self) -> ContractDetails:
        """What the venue says of it."""
        return ContractDetails(self.contract, self.long_name, self.min_tick)


@lru_cache(maxsize=4096)
def _contract(symbol: str, sec_type: str, exchange: str, currency: str, primary: str, con_id: int) -> Contract:
    return Contract(symbol, sec_type, exchange, currency, primary, con_id)


def _pair(
    name: str, con_id: int, long_name: str, close: float, volatility: float, lot: tuple[int, int], tick: str = "0.00005"
) -> Listing:
    """A currency pair, one tick wide; `lot` is the smallest and the largest order."""
    symbol, currency = name.split(".")
    size = Decimal(tick)
    return Listing(
        symbol, con_id, long_name, "", close, float(size) / 2, 2_000_000, volatility, 0.0, 0,
        min_tick=size, min_tick_below_one=size, sec_type="CASH", exchange="IDEALPRO", currency=currency,
        round_lot=lot[0], max_size=lot[1],
    )  # fmt: skip


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
    Listing("IBM", 8314, "INTL BUSINESS MACHINES CORP", "NYSE", 219.83, 0.02, 200, 0.22, 0.8, 4_000_000),
    Listing("IBKR", 43645865, "INTERACTIVE BROKERS GRO-CL A", "NASDAQ", 176.67, 0.04, 100, 0.30, 1.2, 1_500_000),
    Listing("JPM", 2_000_000_000, "JPMORGAN CHASE & CO", "NYSE", 239.71, 0.02, 200, 0.23, 1.0, 9_000_000),
    _pair("EUR.USD", 12087792, "European Monetary Union Euro", 1.0389, 0.08, (20_000, 6_000_000)),
    _pair("GBP.USD", 12087797, "British pound", 1.25295, 0.085, (20_000, 5_000_000)),
    _pair("AUD.USD", 14433401, "Australian dollar", 0.61945, 0.10, (25_000, 6_000_000)),
    _pair("NZD.USD", 39453441, "New Zealand dollar", 0.5606, 0.105, (35_000, 8_000_000)),
    _pair("EUR.GBP", 12087807, "European Monetary Union Euro", 0.82918, 0.055, (20_000, 6_000_000)),
    _pair("USD.JPY", 15016059, "United States dollar", 156.955, 0.10, (25_000, 7_000_000), "0.005"),
    _pair("USD.CHF", 12087820, "United States dollar", 0.90595, 0.075, (25_000, 7_000_000)),
    _pair("USD.CAD", 15016062, "United States dollar", 1.43885, 0.065, (25_000, 7_000_000)),
)
_BY_NAME: Final[Mapping[str, Listing]] = MappingProxyType({listing.local_symbol: listing for listing in _TABLE})


def listing(symbol: str) -> Listing | None:
    """The known instrument of this (local) symbol, in any case: NVDA, EUR.USD; None when there is none."""
    return _BY_NAME.get(symbol.upper())


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
