"""`hold`: buy each symbol's quantity at the first bar and keep it. The yardstick for every other strategy. Pure."""

from collections.abc import Sequence

from src.domain.market import Bar
from src.domain.orders import Action, Order
from src.trading.portfolio import Portfolio


class BuyAndHold:
    """Buys once, at market; a rejected purchase is tried again at the next bar."""

    warm_up = 0

    def __init__(self) -> None:
        self._last: tuple[Bar, bool] | None = None

    def on_bar(self, bar: Bar, portfolio: Portfolio) -> Sequence[Order]:
        """Buy when flat."""
        contract = bar.contract
        buys = not portfolio.position(contract) and not portfolio.is_working(contract)
        self._last = bar, buys
        return (Order(contract, Action.BUY, portfolio.quantity(contract)),) if buys else ()

    def explain(self) -> str:
        """What it did at the last bar."""
        if self._last is None:
            return "no bar yet"
        bar, bought = self._last
        return f"{bar.contract.symbol} at {bar.close}: " + (
            "flat, so it buys" if bought else "it holds, or is about to"
        )
