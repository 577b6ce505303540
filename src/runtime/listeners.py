"""Who listens to a venue, what each has asked for, and what it is told of the market."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from math import isfinite

from src.domain.aggregation import BarAggregator
from src.domain.errors import ConfigurationError
from src.domain.events import BarClosed, CommissionCharged, Event, Filled, Notice, OrderChanged, QuoteChanged
from src.domain.market import Bar, BarSize, Contract, Quote
from src.domain.orders import AccountId
from src.exchange.prices import Instant, PriceSource
from src.exchange.sessions import Sessions
from src.runtime.bridge import EventStream

#: The market around a bar's close.
QuoteAfter = Callable[[Bar], Quote]

bar_closed = partial(tuple.__new__, BarClosed)


@dataclass(slots=True, eq=False)
class Listener:
    """A stream and what it asked for. `aggregators` join the bars of contracts whose own are shorter."""

    stream: EventStream
    tell: Callable[[Event], None]
    account: AccountId
    con_ids: frozenset[int]
    everything: bool  # it asked for every contract there is, at the source's own bar size
    wants_bars: bool
    aggregators: dict[int, BarAggregator] = field(default_factory=dict)

    def hear(self, instant: Instant, quote_after: QuoteAfter) -> None:
        """Take an instant: its bars, in the size that was asked for, or the quotes of its contracts."""
        _, quotes, bars = instant
        if not self.wants_bars:
            self._hear_quotes(quotes, bars, quote_after)
            return
        chosen = bars
        if not self.everything:
            chosen = [bar for bar in bars if bar.contract.con_id in self.con_ids]
        if self.aggregators:
            chosen = [larger for bar in chosen for larger in self._joined(bar)]
        if chosen:
            self.tell(bar_closed((tuple(chosen),)))

    def hear_end(self, sessions: Sessions, now: int) -> None:
        """No more prices: tell the larger bars that lack only time after `now` in which the market is closed."""
        over: list[Bar] = []
        for aggregator in self.aggregators.values():
            ends = aggregator.ends
            if ends is not None and not sessions.is_always and not sessions.between(now, ends):
                over += aggregator.flush()
        over.sort(key=_end)
        for _, bars in groupby(over, _end):
            self.tell(bar_closed((tuple(bars),)))

    def _joined(self, bar: Bar) -> tuple[Bar, ...]:
        aggregator = self.aggregators.get(bar.contract.con_id)
        return (bar,) if aggregator is None else aggregator.add(bar)

    def _hear_quotes(self, quotes: Sequence[Quote], bars: Sequence[Bar], quote_after: QuoteAfter) -> None:
        for quote in quotes:
            if quote.contract.con_id in self.con_ids and isfinite(quote.bid + quote.ask):
                self.stream.publish(QuoteChanged(quote))
        if not quotes:
            for bar in bars:
                if bar.contract.con_id in self.con_ids:
                    self.stream.publish(QuoteChanged(quote_after(bar)))


def aggregators(
    source: PriceSource, contracts: Iterable[Contract], size: BarSize, now: int
) -> dict[int, BarAggregator]:
    """An aggregator, by con_id, for each contract whose own bars are shorter than `size`.

    They have seen what is past of the bar under way, so that their first bar is whole. ConfigurationError, with a size
    that suits all contracts, when the bars of one cannot be joined to `size`.
    """
    own = {contract: source.bar_seconds_of(contract) for contract in contracts}
    found: dict[int, BarAggregator] = {}
    for contract, seconds in own.items():
        if size.seconds % seconds:
            suits = next(each for each in BarSize if not any(each.seconds % length for length in own.values()))
            raise ConfigurationError(f"{contract.local_symbol} is in {_name(seconds)} bars: use --timeframe {suits}")
        if size.seconds != seconds:
            found[contract.con_id] = aggregator = BarAggregator(size.seconds)
            for bar in source.history(contract, seconds, size.seconds // seconds, now):
                aggregator.add(bar)
    return found


def account_of(event: Event) -> AccountId:
    """Whose event it is; empty for everybody's."""
    if isinstance(event, OrderChanged):
        return event.trade.order.account
    if isinstance(event, Filled):
        return event.fill.execution.account
    if isinstance(event, (CommissionCharged, Notice)):
        return event.account
    return getattr(getattr(event, "position", None), "account", AccountId(""))


def _end(bar: Bar) -> int:
    return bar.end


def _name(seconds: int) -> str:
    units = ((86_400, "day"), (3_600, "h"), (60, "m"), (1, "s"))
    size, unit = next((size, unit) for size, unit in units if seconds % size == 0)
    return unit if unit == "day" else f"{seconds // size}{unit}"
