"""Level one of a seeded path: what each calendar day adds to a log price, as if drawn day after day since 1990.

Two numbers a day, the gap before the open and the return from open to close, each normal with mean zero and a variance
of its own: log volatility is an AR(1), so quiet and wild days come in clusters, and it knows nothing of the returns.
Whoever makes a price of them subtracts half the accumulated variance: then the price is a martingale. Every name
(a symbol, or the market factor) has its own generator, so no path depends on who else is there.

Holidays are no business of this level: a weekday without a session moves the next open. Weekends move little.
With `always` every day is a trading day of 24 hours, and there are no gaps.
"""

from typing import TYPE_CHECKING, Final
from zlib import crc32

from src.domain.errors import ConfigurationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

#: Days since 1970 of 1990-01-01 and 2110-12-31: what the walk covers.
FIRST_DAY: Final = 7305
LAST_DAY: Final = 51_499
_LEVEL: Final = 1
_PERSISTENCE: Final = 0.97
_LOG_VOLATILITY_SPREAD: Final = 0.45
_GAP_SHARE: Final = 0.25
_WEEKEND: Final = 0.1
_TRADING_DAYS: Final = 261 + _WEEKEND * 104


def generator(seed: int, name: str, *level: int) -> "np.random.Generator":
    """The source of chance of one name at one level: the same numbers in every process, on every machine."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, crc32(name.encode()), *level])))


def clustered(shocks: "Floats", persistence: float, spread: float) -> "Floats":
    """An AR(1) through `shocks`, stationary with standard deviation `spread`, as a factor on variance of mean one."""
    import numpy as np

    logs = shocks * (spread * (1 - persistence**2) ** 0.5)
    logs[0] = shocks[0] * spread
    lag = 1
    while lag < len(logs) and persistence**lag > 1e-9:  # each pass doubles how far back a value remembers
        logs[lag:] += persistence**lag * logs[:-lag]
        lag *= 2
    factor: Floats = np.exp(2 * logs - 2 * spread**2)
    return factor


class DailyWalk:
    """Gaps and day returns of one name, with their variances, for every day from FIRST_DAY to LAST_DAY."""

    __slots__ = ("_sums", "_variance_sums", "activity", "day", "day_variance", "gap", "gap_variance")

    def __init__(self, seed: int, name: str, annual_volatility: float, *, always: bool) -> None:
        import numpy as np

        days = np.arange(FIRST_DAY, LAST_DAY + 1)
        shocks, gaps, returns = generator(seed, name, _LEVEL).standard_normal((3, len(days)))
        self.activity = clustered(shocks, _PERSISTENCE, _LOG_VOLATILITY_SPREAD)
        if always:
            variance = annual_volatility**2 / 365 * self.activity
        else:
            weekend = (days + 3) % 7 >= 5
            variance = annual_volatility**2 / _TRADING_DAYS * self.activity * np.where(weekend, _WEEKEND, 1.0)
        self.gap_variance = variance * (0.0 if always else _GAP_SHARE)
        self.day_variance = variance - self.gap_variance
        self.gap, self.day = gaps * np.sqrt(self.gap_variance), returns * np.sqrt(self.day_variance)
        self._sums = np.append(0.0, np.cumsum(self.gap + self.day))
        self._variance_sums = np.append(0.0, np.cumsum(variance))

    def at_open(self, day: int, base: int) -> tuple[float, float]:
        """Log return and variance from the close of day `base` to the open of `day`, which is later."""
        i, j = index_of(day), index_of(base) + 1
        moved = self._sums[i] - self._sums[j] + self.gap[i]
        return float(moved), float(self._variance_sums[i] - self._variance_sums[j] + self.gap_variance[i])


def index_of(day: int) -> int:
    """Where a day (days since 1970) stands in the walk."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ConfigurationError("seeded prices exist from 1990 to 2110 only")
    return day - FIRST_DAY
