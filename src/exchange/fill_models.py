"""How a price becomes a fill: the presets `ideal` and `realistic`. Asked on the slow path only.

`ideal`: no spread, no latency, unlimited size. A market order decided on a close fills at the next open; a limit
fills when a print touches it. Where quotes make the market they keep their own bid, ask and sizes, whatever the
preset: there `ideal` takes away the latency and nothing else.

`realistic`: half a spread on each side of every trade print, an order takes what is displayed at each point of the
bar's path and no more, and it reaches the exchange after a latency. A resting limit therefore fills only when the
market trades through it by half the spread: queue position at the limit itself is not modelled, it is taken as last.
Departures: the spread does not widen with volatility; our own orders do not move the market.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from src.domain.market import Bar


class FillModel(Protocol):
    """The spread and size around a trade print. Prices in units, sizes in shares."""

    def reach(self, con_id: int) -> int:
        """The largest half spread of a contract that it ever returns; it widens the guards of its book."""
        ...

    def half_spread(self, bar: Bar) -> int:
        """Half the bid-ask spread while `bar` was traded."""
        ...

    def displayed(self, bar: Bar) -> int | None:
        """Shares on offer at each point of the bar's path and side; None for no limit."""
        ...


@dataclass(frozen=True, slots=True)
class Frictionless:
    """No spread and unlimited size."""

    def reach(self, con_id: int) -> int:
        """Zero."""
        del con_id
        return 0

    def half_spread(self, bar: Bar) -> int:
        """Zero."""
        del bar
        return 0

    def displayed(self, bar: Bar) -> int | None:
        """No limit."""
        del bar
        return None


@dataclass(frozen=True, slots=True)
class Liquidity:
    """A contract's usual market: half spread in price units, shares displayed on each side."""

    half_spread: int
    displayed: int


@dataclass(frozen=True, slots=True)
class DisplayedLiquidity:
    """Each contract's own spread and size, the size at most a tenth of what the bar traded."""

    by_con_id: Mapping[int, Liquidity]

    def reach(self, con_id: int) -> int:
        """Half the contract's usual spread; of one that has none, nothing trades."""
        market = self.by_con_id.get(con_id)
        return market.half_spread if market is not None else 0

    def half_spread(self, bar: Bar) -> int:
        """Half the contract's usual spread."""
        return self.by_con_id[bar.contract.con_id].half_spread

    def displayed(self, bar: Bar) -> int | None:
        """The contract's usual size, or a tenth of a thin bar's volume, at least one share."""
        usual = self.by_con_id[bar.contract.con_id].displayed
        return max(1, min(usual, int(bar.volume) // 10)) if bar.volume else usual


@dataclass(frozen=True, slots=True)
class Preset:
    """A fill model and the time (ns) an order, change or cancel takes to reach the exchange."""

    name: str
    fill_model: FillModel
    latency: int


IDEAL: Final = Preset("ideal", Frictionless(), 0)
_REALISTIC_LATENCY: Final = 50_000_000


def realistic(liquidity: Mapping[int, Liquidity], *, latency: int = _REALISTIC_LATENCY) -> Preset:
    """The preset `realistic` over each contract's usual market; `latency` in nanoseconds."""
    return Preset("realistic", DisplayedLiquidity(dict(liquidity)), latency)
