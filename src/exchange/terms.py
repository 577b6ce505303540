"""What a contract is traded on: its ticks, the sizes of its orders, and what they cost."""

from decimal import Decimal
from typing import NamedTuple, Self

from src.domain.market import Contract
from src.exchange.commission import FeeSchedule, fee_schedule
from src.exchange.listings import Listing
from src.exchange.units import UNITS_PER_DOLLAR, exact_units


class Terms(NamedTuple):
    """The terms in the exchange's own measures: ticks in units, sizes in shares."""

    tick: int
    tick_below_one: int
    round_lot: int
    max_size: int
    fees: FeeSchedule
    shortable: bool

    def tick_at(self, level: int | None) -> int:
        """The tick at a price."""
        return self.tick_below_one if level is not None and level < UNITS_PER_DOLLAR else self.tick


class Listed(NamedTuple):
    """A contract that trades, and its ticks in dollars: from one dollar up, and below (SEC Rule 612).

    An order takes at most `max_size`; one below `round_lot` is told so. Without `fees` it costs what most do.
    Of what is not `shortable` nobody lends shares; of all else as many as are asked for.
    """

    contract: Contract
    tick: Decimal
    tick_below_one: Decimal = Decimal("0.0001")
    round_lot: int = 1
    max_size: int = 1_000_000
    fees: FeeSchedule | None = None
    shortable: bool = True

    @classmethod
    def of(cls, listing: Listing, fees: str, *, shortable: bool = True) -> Self:
        """A listing at the schedule called `fees`."""
        return cls(
            listing.contract,
            listing.min_tick,
            listing.min_tick_below_one,
            listing.round_lot,
            listing.max_size,
            fee_schedule(fees, listing.sec_type),
            shortable,
        )

    def terms(self, fees: FeeSchedule) -> Terms:
        """Its terms where most contracts cost `fees`."""
        ticks = exact_units(self.tick), exact_units(self.tick_below_one)
        return Terms(*ticks, self.round_lot, self.max_size, self.fees or fees, self.shortable)
