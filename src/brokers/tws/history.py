"""Historical bars: the question IB wants, asked no oftener than it allows, and only what is closed in the answer."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

from src.brokers.tws.convert import bar_start, market_price, market_size
from src.brokers.tws.library import RequestFailedError, Wire
from src.brokers.tws.pacing import IDENTICAL_SECONDS, HistoryPacer, MessagePacer
from src.domain.codes import Meaning, RequestKind, meaning
from src.domain.errors import NoMarketDataError, PacingViolationError, RequestTimeoutError, UnknownContractError
from src.domain.market import Bar, BarSize, Contract
from src.runtime.clock import NS, monotonic, to_datetime

Bars = tuple[Bar, ...]
_DAY: Final = 86_400
#: A regular session, in seconds; and its length from the open for a daily bar.
_SESSION: Final = 23_400
#: IB takes durations of more than a year in years.
_MOST_DAYS: Final = 365
_TRADING_DAYS: Final = 250


def duration(size: BarSize, count: int) -> str:
    """How far back to ask for so many bars: whole trading days, one more than they fill."""
    days = count + 1 if size is BarSize.DAY_1 else math.ceil(count * size.seconds / _SESSION) + 1
    return f"{days} D" if days <= _MOST_DAYS else f"{math.ceil(days / _TRADING_DAYS)} Y"


def closed_bars(contract: Contract, size: BarSize, found: list[Any], until: int) -> Bars:
    """The library's bars as ours, oldest first: those that had ended at `until` (epoch ns), and are bars.

    The first bar of a session may be shorter than the others: no bar reaches into the next.
    """
    length = (_SESSION if size is BarSize.DAY_1 else size.seconds) * NS
    starts = [bar_start(each.date) for each in found]
    bars = []
    for index, each in enumerate(found):
        end = starts[index] + length
        if index + 1 < len(starts) and starts[index] < starts[index + 1] < end:
            end = starts[index + 1]
        prices = [market_price(value) for value in (each.open, each.high, each.low, each.close)]
        if end <= until and not any(map(math.isnan, prices)):
            open_, high, low, close = prices
            bars.append(Bar(contract, starts[index], end, open_, high, low, close, market_size(each.volume)))
    return tuple(bars)


class History:
    """Asks for bars over the open connection that `wire` returns."""

    def __init__(self, wire: Callable[[], Wire], now: Callable[[], int], pacer: MessagePacer) -> None:
        self._wire, self._now, self._messages = wire, now, pacer
        self._pacer = HistoryPacer(monotonic)
        self._answers: dict[tuple[int, str, str, BarSize], tuple[float, int, list[Any]]] = {}

    async def bars(self, contract: Contract, size: BarSize, count: int, end: int | None, timeout: float) -> Bars:  # noqa: ASYNC109
        """Up to `count` closed bars, oldest first, that ended by `end` (epoch ns, None for now)."""
        if count <= 0:
            return ()
        now = self._now()
        until = now if end is None else min(end, now)
        stamp = "" if end is None or end >= now else to_datetime(end).strftime("%Y%m%d-%H:%M:%S")
        span = duration(size, count)
        key = (contract.con_id, stamp, span, size)
        found = self._given_before(key, now)
        if found is None:
            deadline = monotonic() + timeout
            await self._pacer.turn(contract.con_id, deadline)
            try:
                await self._messages.turn()
                found = await _in_time(self._wire().history(contract, stamp, span, size.seconds), deadline, contract)
            finally:
                self._pacer.release()
            self._answers[key] = (monotonic(), now, found)
        return closed_bars(contract, size, found, until)[-count:]

    def _given_before(self, key: tuple[int, str, str, BarSize], now: int) -> list[Any] | None:
        """The answer to the same question a moment ago, which IB would take for a violation to be asked again.

        Unless a bar has closed since: then it is not the same question to us, and IB allows it for bars of a minute.
        """
        recent = monotonic() - IDENTICAL_SECONDS
        self._answers = {each: answer for each, answer in self._answers.items() if answer[0] > recent}
        answer = self._answers.get(key)
        length = key[3].seconds * NS
        return answer[2] if answer is not None and answer[1] // length == now // length else None


async def _in_time(answer: Awaitable[list[Any]], deadline: float, contract: Contract) -> list[Any]:
    try:
        return await asyncio.wait_for(answer, max(deadline - monotonic(), 0.001))
    except TimeoutError:
        raise RequestTimeoutError(f"TWS has not sent bars of {contract.symbol} in time") from None
    except RequestFailedError as error:
        text = error.text
        if "no data" in text.lower():
            return []
        if "pacing" in text.lower() or error.code == 420:
            raise PacingViolationError(text, code=error.code) from None
        if meaning(error.code, RequestKind.DATA) is Meaning.NO_CONTRACT:
            raise UnknownContractError(text) from None
        raise NoMarketDataError(f"no bars of {contract.symbol}: {text}", code=error.code) from None
