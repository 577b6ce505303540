"""What can be asked for by name: the listed instruments, found as clients name them, and what TWS says of each."""

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Final

from src.domain.market import Contract
from src.exchange.listings import Listing

#: IB's older names of exchanges.
_SAME_EXCHANGE = {"ISLAND": "NASDAQ"}
#: Where a US stock may be sent, as TWS lists it.
_VENUES = ("SMART", "NYSE", "ARCA", "BATS", "IEX", "EDGEX", "AMEX", "MEMX")
#: Where market depth of stocks comes from.
DEPTH_VENUES = ("NSDQ", "ARCA", "BATS", "IEX", "EDGEX")
_FUNDS = frozenset({"SPY", "QQQ", "IWM", "DIA"})
#: The rule of prices in cents has IB's number; the others are unchecked.
_STOCK_RULE: Final = 26
_PAIR_RULES: Final = {Decimal("0.00005"): 239, Decimal("0.005"): 240}
ORDER_TYPES = "ACTIVETIM,FOK,GTC,IOC,LMT,MIT,MKT,OCA,STP,STPLMT,WHATIF"
_MATCHES = 16


class Catalogue:
    """The instruments of one market, found by con_id, symbol or local symbol."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        self._listings = tuple(listings)
        self._by_con_id = {each.con_id: each for each in self._listings}
        self._by_name = {each.local_symbol: each for each in self._listings}

    def find(
        self, con_id: int, symbol: str, local_symbol: str, sec_type: str, exchange: str, primary: str, currency: str
    ) -> Listing | None:
        """The instrument that a contract names, by its id or by symbol or local symbol alone; None when none fits."""
        symbol, local_symbol = symbol.strip().upper(), local_symbol.strip().upper()
        if con_id:
            found = self._by_con_id.get(con_id)
        else:
            name = Contract(symbol, sec_type, currency=currency).local_symbol if symbol else local_symbol
            found = self._by_name.get(name)
        if found is None or symbol not in (found.symbol, "") or local_symbol not in (found.local_symbol, ""):
            return None
        if sec_type not in (found.sec_type, "") or currency not in (found.currency, ""):
            return None
        primary = _SAME_EXCHANGE.get(primary, primary)
        if primary not in ("", found.exchange, found.primary_exchange):
            return None
        exchange = _SAME_EXCHANGE.get(exchange, exchange)
        return found if not exchange or exchange in venues(found) else None

    def matching(self, pattern: str) -> Sequence[Listing]:
        """The instruments whose symbol begins with `pattern`, or whose name has it, best first."""
        wanted = pattern.strip().upper()
        if not wanted:
            return ()
        by_symbol = [each for each in self._listings if each.local_symbol.startswith(wanted)]
        by_name = [each for each in self._listings if wanted in each.long_name.upper() and each not in by_symbol]
        return sorted(by_symbol, key=lambda each: len(each.symbol))[:_MATCHES] + by_name[:_MATCHES]

    def increments(self, rule: int) -> Sequence[tuple[Decimal, Decimal]]:
        """A market rule: from which price on, which tick; empty where nothing listed follows it."""
        for each in self._listings:
            if market_rule(each) == rule:
                below = (Decimal(0), each.min_tick_below_one)
                return (below,) if below[1] == each.min_tick else (below, (Decimal(1), each.min_tick))
        return ()


@lru_cache(maxsize=4096)
def venues(listing: Listing) -> tuple[str, ...]:
    """Where orders for an instrument may go."""
    if listing.exchange != "SMART":
        return (listing.exchange,)
    primary = listing.primary_exchange
    return _VENUES if primary in _VENUES else (*_VENUES, primary)


def market_rule(listing: Listing) -> int:
    """The number of the rule that an instrument's ticks follow."""
    return _STOCK_RULE if has_trades(listing.contract) else _PAIR_RULES[listing.min_tick]


def has_trades(contract: Contract) -> bool:
    """Whether somebody prints its trades: nobody does of currency pairs."""
    return contract.sec_type != "CASH"


def trading_class(contract: Contract) -> str:
    """TWS's trading class: of a US stock that of its exchange's list, else the local symbol."""
    return "NMS" if contract.primary_exchange == "NASDAQ" else contract.local_symbol


def stock_type(listing: Listing) -> str:
    """Common stock or fund; empty of what is neither."""
    if listing.sec_type != "STK":
        return ""
    return "ETF" if listing.symbol in _FUNDS else "COMMON"
