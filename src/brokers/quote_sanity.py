"""Quotes that make no sense, and when a symbol that had one is traded again. Pure.

One such quote is a feed's mistake that is often followed by others: no new risk is held against prices of that symbol
until three quotes that make sense have come after it.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Final

from src.domain.market import Contract, Quote

#: Quotes that make sense, one after another, before a symbol is trusted again.
GOOD_QUOTES: Final = 3
#: How far the last price may lie from the middle of bid and ask, as a fraction of the middle.
FARTHEST_LAST: Final = 0.3


def senseless(quote: Quote, *, had_spread: bool = False) -> str:
    """Why a quote with two sides cannot be one, for a person; empty when it can, and where a side is missing.

    A market made of bars may have no spread at all; where it `had_spread`, a locked quote is wrong or about to be.
    """
    bid, ask, last = quote.bid, quote.ask, quote.last
    if not (_is_price(bid) and _is_price(ask)):
        return ""
    if bid > ask:
        return f"{bid:g}/{ask:g} is a crossed quote"
    if bid == ask and had_spread:
        return f"{bid:g}/{ask:g} is a locked quote"
    middle = bid / 2 + ask / 2
    away = abs(last - middle) / middle
    if _is_price(last) and away >= FARTHEST_LAST:
        return f"the last price {last:g} lies {away:.0%} from {middle:g}, the middle of the quote"
    return ""


def _is_price(value: float) -> bool:
    return isfinite(value) and value > 0


@dataclass(slots=True, eq=False)
class _Seen:
    contract: Contract
    time: int = -1
    needed: int = 0
    had_spread: bool = False
    why: str = ""


class QuoteSanity:
    """What the quotes of each contract have been worth so far. One caller at a time."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}

    @property
    def contracts(self) -> tuple[Contract, ...]:
        """All whose quotes have been taken."""
        return tuple(each.contract for each in self._seen.values())

    @property
    def suspects(self) -> tuple[Contract, ...]:
        """Those that are not traded at present."""
        return tuple(each.contract for each in self._seen.values() if each.needed)

    def take(self, contract: Contract, quote: Quote) -> str:
        """Take a quote; why no order may be held against this contract's prices now, empty when one may.

        A quote counts once, by its time, and only when it has two sides.
        """
        seen = self._seen.setdefault(contract.con_id, _Seen(contract))
        if quote.time <= seen.time:
            return self.standing(contract)
        seen.time = quote.time
        if why := senseless(quote, had_spread=seen.had_spread):
            seen.needed, seen.why = GOOD_QUOTES, why
        elif _is_price(quote.bid) and _is_price(quote.ask):
            seen.needed = max(seen.needed - 1, 0)
            seen.had_spread = seen.had_spread or quote.bid < quote.ask
        return self.standing(contract)

    def standing(self, contract: Contract) -> str:
        """What stands against a contract's prices; empty when nothing does."""
        seen = self._seen.get(contract.con_id)
        if seen is None or not seen.needed:
            return ""
        return f"{seen.why}; {seen.needed} that make sense must come before {contract.symbol} is traded"
