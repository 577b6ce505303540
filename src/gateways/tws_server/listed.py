"""What can be asked for by name: the listed instruments, found as clients name them, and what TWS says of each."""

from collections.abc import Sequence
from functools import lru_cache

from src.domain.market import Contract
from src.exchange.listings import Listing

#: IB's older names of exchanges.
_SAME_EXCHANGE = {"ISLAND": "NASDAQ"}
#: Where a US stock may be sent, as TWS lists it.
_VENUES = ("SMART", "NYSE", "ARCA", "BATS", "IEX", "EDGEX", "AMEX", "MEMX")
#: Where market depth comes from.
DEPTH_VENUES = ("NSDQ", "ARCA", "BATS", "IEX", "EDGEX")
_FUNDS = frozenset({"SPY", "QQQ", "IWM", "DIA"})
#: IB's rule of prices in cents.
MARKET_RULE = 26
ORDER_TYPES = "ACTIVETIM,FOK,GTC,IOC,LMT,MIT,MKT,OCA,STP,STPLMT,WHATIF"
_MATCHES = 16


class Catalogue:
    """The instruments of one market, found by con_id, symbol or local symbol."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._listings = tuple(listings)
        self._by_con_id = {each.con_id: each for each in self._listings}
        self._by_symbol = {each.symbol: each for each in self._listings}

    def find(
        self, con_id: int, symbol: str, local_symbol: str, sec_type: str, exchange: str, primary: str, currency: str
    ) -> Listing | None:
        """The instrument that a contract names, by its id or by symbol or local symbol alone; None when none fits."""
        name = (symbol or local_symbol).strip().upper()
        found = self._by_con_id.get(con_id) if con_id else self._by_symbol.get(name)
        if found is None or (name and found.symbol != name):
            return None
        if sec_type not in ("STK", "") or currency not in ("USD", ""):
            return None
        if local_symbol and local_symbol.upper() != found.symbol:
            return None
        primary = _SAME_EXCHANGE.get(primary, primary)
        if primary not in ("", "SMART", found.primary_exchange):
            return None
        exchange = _SAME_EXCHANGE.get(exchange, exchange)
        return found if not exchange or exchange in venues(found) else None

    def matching(self, pattern: str) -> Sequence[Listing]:
        """The instruments whose symbol begins with `pattern`, or whose name has it, best first."""
        wanted = pattern.strip().upper()
        if not wanted:
            return ()
        by_symbol = [each for each in self._listings if each.symbol.startswith(wanted)]
        by_name = [each for each in self._listings if wanted in each.long_name.upper() and each not in by_symbol]
        return sorted(by_symbol, key=lambda each: len(each.symbol))[:_MATCHES] + by_name[:_MATCHES]


@lru_cache(maxsize=4096)
def venues(listing: Listing) -> tuple[str, ...]:
    """Where orders for an instrument may go."""
    primary = listing.primary_exchange
    return _VENUES if primary in _VENUES else (*_VENUES, primary)


def trading_class(contract: Contract) -> str:
    """TWS's trading class of a US stock: that of its exchange's list."""
    return "NMS" if contract.primary_exchange == "NASDAQ" else contract.symbol


def stock_type(listing: Listing) -> str:
    """Common stock or fund."""
    return "ETF" if listing.symbol in _FUNDS else "COMMON"
