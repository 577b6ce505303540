"""Historical bars as clients ask for them: bar sizes, durations and what to show, over the venue's history.

A duration of days means trading days, the last one as far as it has come. Bids and asks of the past lie half a spread
around the trades; a market that never closes has no hours but regular ones.
"""

import re
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, TypeVar

from src.domain.errors import NoMarketDataError, UnknownContractError
from src.domain.market import Bar, Contract
from src.gateways.tws_server.refusals import NO_DATA, RefusedError, invalid
from src.gateways.tws_server.times import midnight, new_york, trading_date
from src.runtime.clock import NS
from src.runtime.venue import Venue

DAY: Final = 86_400
_WEEK, _MONTH = 7 * DAY, 30 * DAY  # names, not lengths
_UNITS: Final = {"sec": 1, "min": 60, "hour": 3600, "day": DAY, "week": _WEEK, "w": _WEEK, "month": _MONTH, "m": _MONTH}
_SIZES: Final = frozenset(
    [1, 5, 10, 15, 30]
    + [60 * minutes for minutes in (1, 2, 3, 5, 10, 15, 20, 30)]
    + [3600 * hours for hours in (1, 2, 3, 4, 8)]
    + [DAY, _WEEK, _MONTH]
)
_TRADES: Final = frozenset({"TRADES", "ADJUSTED_LAST"})
_QUOTES: Final = {"MIDPOINT": (0, 0), "BID": (-1, -1), "ASK": (1, 1), "BID_ASK": (-1, 1)}
#: What a TWS has besides: told that there is none, because ib_async takes 321 for a warning and waits on.
_NOT_HERE: Final = frozenset(
    {
        "AGGTRADES", "FEE_RATE", "HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY", "SCHEDULE",
        "YIELD_ASK", "YIELD_BID", "YIELD_BID_ASK", "YIELD_LAST",
    }
)  # fmt: skip
_TOO_MANY: Final = 50_000
#: Sessions whose invented prices are made in one go: each takes some hundredths of a second.
_LEAST_CHUNK: Final = 4
_FINE: Final = 5
_PREFIX: Final = "Historical Market Data Service error message:"


_T = TypeVar("_T")
#: Work in pieces, between which others have their turn; at the end its result.
Steps = Generator[None, None, _T]


def finished(steps: Steps[_T]) -> _T:
    """Do all the pieces at once."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: _T = done.value
            return result


@dataclass(frozen=True, slots=True)
class PastBar:
    """One row of a historical answer; volume, average and count are -1 where nothing traded is shown."""

    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    average: float
    count: int
    last_start: int  # of the last day, for weeks and months; else `start`


@dataclass(frozen=True, slots=True)
class Question:
    """A request for bars: their length in seconds (a name for weeks and months), and how far back, to `end`."""

    size: int
    number: int
    unit: str
    show: str
    end: int | None  # None: now
    is_regular: bool  # nothing but regular hours

    @property
    def is_of_trades(self) -> bool:
        """Whether the bars are of prints."""
        return self.show in _TRADES

    @property
    def is_daily(self) -> bool:
        """Whether a bar is a day or more: its stamp is a date."""
        return self.size >= DAY


def parse(bar_size: str, duration: str, show: str, end: int | None, *, is_regular: bool) -> Question:
    """Read a request; RefusedError 321 for what TWS knows nothing of."""
    found = re.fullmatch(r"(\d+) ?([a-zA-Z]+)", bar_size.strip())
    unit = found[2].lower() if found else ""
    unit = unit[:-1] if len(unit) > 1 and unit.endswith("s") else unit
    size = int(found[1]) * _UNITS.get(unit, 0) if found and len(found[1]) < 4 else 0
    if size not in _SIZES:
        raise invalid(f"Invalid bar size setting: {bar_size!r}", "bM")
    period = re.fullmatch(r"(\d{1,6}) ?([SDWMY]?)", duration.strip().upper())
    if period is None or not int(period[1]):
        text = "Historical data query end date/time string or duration is invalid"
        raise invalid(f"{text}: {duration!r}", "bM")
    if show in _NOT_HERE:
        raise RefusedError(NO_DATA, f"{_PREFIX}HMDS query returned no data: no {show} on this gateway")
    if show not in _TRADES and show not in _QUOTES:
        raise invalid(f"Incorrect what to show: {show!r}", "bM")
    return Question(size, int(period[1]), period[2] or "S", show, end, is_regular)


def answer(venue: Venue, contract: Contract, question: Question) -> Steps[list[PastBar]]:
    """The bars asked for, oldest first, found a piece at a time; RefusedError 162 when there are none, or too many."""
    now = venue.now()
    end = now if question.end is None else min(question.end, now)
    base = min(question.size, DAY)
    daily = question.size >= DAY
    day = daily_date if daily else _date
    if question.unit == "D":
        bars = yield from _back_to(venue, contract, base, end, lambda found: len(_days(found, day)) > question.number)
    else:
        start = _start(question, end)
        bars = yield from _back_to(venue, contract, base, end, lambda found: found[0].start < start)
    if end == now:
        bars += _under_way(venue, contract, base, bars, now)
    if question.is_regular:
        bars = [part for bar in bars for part in _regular(venue, bar)]
    if question.unit == "D":
        days = sorted(_days(bars, day))[-question.number :]
        bars = [bar for bar in bars if days and day(bar) >= days[0]]
    elif daily:
        first = new_york(_start(question, end)).date()
        bars = [bar for bar in bars if day(bar) > first]
    else:
        bars = [bar for bar in bars if bar.start >= _start(question, end)]
    if not bars:
        what = f"{contract.local_symbol}@{contract.exchange} {question.show}"
        raise RefusedError(NO_DATA, f"{_PREFIX}HMDS query returned no data: {what}")
    if question.size <= DAY:
        return [shown(venue, bar, question.show, bar.start) for bar in bars]
    groups = _groups(bars, _week if question.size == _WEEK else _month)
    return [shown(venue, _joined(group), question.show, group[-1].start) for group in groups]


def daily_date(bar: Bar | PastBar) -> date:
    """The day of a daily bar, under way or not, and of the last day of a longer one; UTC's where the market goes on.

    A session of New York, or UTC's day, lasts until noon UTC at least.
    """
    start = bar.last_start if isinstance(bar, PastBar) else bar.start
    return new_york(start + DAY * NS // 2).date()


def shown(venue: Venue, bar: Bar, show: str, last_start: int) -> PastBar:
    """A bar of trades, or of the quotes around it."""
    if show in _TRADES:
        average = round((bar.high + bar.low + bar.close) / 3, 4)
        return PastBar(*bar[1:8], average, max(1, int(bar.volume // 100)), last_start)
    quote = venue.quote_after(bar)
    half = (quote.ask - quote.bid) / 2
    low, high = (round(side * half, 6) for side in _QUOTES[show])
    if show == "BID_ASK":  # the average bid opens, the average ask closes
        middle = (bar.open + bar.close) / 2
        prices = (middle + low, bar.high + high, bar.low + low, middle + high)
    else:
        prices = (bar.open + low, bar.high + low, bar.low + low, bar.close + low)
    opening, top, bottom, closing = (round(price, 6) for price in prices)
    return PastBar(bar.start, bar.end, opening, top, bottom, closing, -1, -1, -1, last_start)


def _back_to(
    venue: Venue, contract: Contract, size: int, end: int, is_enough: Callable[[list[Bar]], bool]
) -> Steps[list[Bar]]:
    """Complete bars to `end`, a piece at a time, until there are enough or no more."""
    piece = max(DAY // size, _LEAST_CHUNK)
    found: list[Bar] = []
    cursor = end
    try:
        while True:
            earlier = venue.bars(contract, size, piece, cursor)
            found = [*earlier, *found]
            if len(earlier) < piece or is_enough(found):
                return found
            if len(found) > _TOO_MANY:
                raise RefusedError(NO_DATA, f"{_PREFIX}query cancelled: Time length exceed max.")
            cursor = earlier[0].start
            yield
    except (NoMarketDataError, UnknownContractError) as error:
        raise RefusedError(NO_DATA, f"{_PREFIX}HMDS query returned no data: {error}") from None


def _under_way(venue: Venue, contract: Contract, size: int, complete: list[Bar], now: int) -> list[Bar]:
    """The bar that is not complete yet, of the shorter ones that are: the market's own, and then the finest."""
    since = complete[-1].end if complete else now - size * NS
    shorter: list[Bar] = []
    longest = min(size, venue.bar_seconds)
    for step, count in ((venue.bar_seconds, size // venue.bar_seconds), (_FINE, longest // _FINE)):
        begins = shorter[-1].end if shorter else since
        if step >= size or now - begins < step * NS:
            continue
        with suppress(NoMarketDataError):  # nothing finer in these files
            shorter += [bar for bar in venue.bars(contract, step, count, now) if bar.start >= begins]
    if size < DAY:
        bucket = now - now % (size * NS)
        shorter = [bar for bar in shorter if bar.start >= bucket]
    elif shorter and not venue.exchange.sessions.is_always:
        shorter = [bar for bar in shorter if _date(bar) == _date(shorter[-1])]
    return [_joined(shorter)] if shorter else []


def _regular(venue: Venue, bar: Bar) -> list[Bar]:
    """A bar as it is of regular hours alone; nothing where there are none. One that has others too is made anew."""
    sessions = venue.exchange.sessions
    if sessions.is_always:
        return [bar]
    found = sessions.between(bar.start, bar.end)
    if not found:
        return []
    opens, closes = found[0].open, found[-1].close
    length = bar.end - bar.start
    if (opens <= bar.start and bar.end <= closes) or length <= venue.bar_seconds * NS:
        return [bar]
    count = length // (venue.bar_seconds * NS)
    shorter = venue.bars(bar.contract, venue.bar_seconds, count, bar.end)
    inside = [each for each in shorter if max(opens, bar.start) <= each.start < closes]
    return [_joined(inside)] if inside else []


def _joined(bars: list[Bar]) -> Bar:
    high, low = max(bar.high for bar in bars), min(bar.low for bar in bars)
    volume = sum(bar.volume for bar in bars)
    first, last = bars[0], bars[-1]
    return Bar(first.contract, first.start, last.end, first.open, high, low, last.close, volume)


def _start(question: Question, end: int) -> int:
    """When a duration that is not in days begins."""
    if question.unit == "S":
        return end - question.number * NS
    today = new_york(end).date()
    if question.unit == "W":
        first = today - timedelta(weeks=question.number)
    else:
        months = question.number * (12 if question.unit == "Y" else 1)
        year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
        first = date(max(year, 1971), month + 1, min(today.day, 28))
    return midnight(first)


def _date(bar: Bar) -> date:
    return trading_date(bar.start, bar.end)


def _days(bars: list[Bar], day: Callable[[Bar], date]) -> set[date]:
    return {day(bar) for bar in bars}


def _week(day: date) -> tuple[int, int]:
    return day.isocalendar()[:2]


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month


def _groups(bars: list[Bar], period: Callable[[date], tuple[int, int]]) -> list[list[Bar]]:
    """Daily bars by their week or month."""
    groups: dict[tuple[int, int], list[Bar]] = {}
    for bar in bars:
        groups.setdefault(period(daily_date(bar)), []).append(bar)
    return list(groups.values())
