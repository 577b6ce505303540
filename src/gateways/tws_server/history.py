"""Historical bars over the wire, once or kept up to date."""

import asyncio
from dataclasses import dataclass, replace

from src.domain.market import Contract
from src.gateways.tws_codec import (
    CancelHistoricalData,
    HistoricalBar,
    HistoricalData,
    HistoricalDataUpdate,
    ReqHistoricalData,
)
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers
from src.gateways.tws_server.listed import has_trades
from src.gateways.tws_server.past import DAY, PastBar, Question, Steps, answer, daily_date, finished, parse
from src.gateways.tws_server.refusals import DUPLICATE_TICKER, RefusedError, invalid, no_trades
from src.gateways.tws_server.times import bar_time, parse_moment
from src.runtime.clock import NS


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request is about, and how its dates are written."""

    contract: Contract
    question: Question
    as_epoch: bool


@dataclass(slots=True)
class _Kept:
    """A request that is kept up to date, and the bar it was told last."""

    asked: _Asked
    last: PastBar


class History:
    """Answers questions about the past."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._under_way: dict[tuple[Connection, int], Steps[list[PastBar]]] = {}
        self._kept: dict[tuple[Connection, int], _Kept] = {}
        self.handlers: Handlers = {
            ReqHistoricalData: self._bars,
            CancelHistoricalData: self._cancel,
        }

    @property
    def is_followed(self) -> bool:
        """Whether anybody keeps bars up to date."""
        return bool(self._kept)

    def forget(self, client: Connection) -> None:
        """The client is gone."""
        for key in [key for key in (*self._kept, *self._under_way) if key[0] is client]:
            self._kept.pop(key, None)
            self._under_way.pop(key, None)

    def _cancel(self, client: Connection, message: CancelHistoricalData) -> None:
        self._kept.pop((client, message.req_id), None)
        self._under_way.pop((client, message.req_id), None)

    def _bars(self, client: Connection, message: ReqHistoricalData) -> None:
        key = client, message.req_id
        if key in self._kept or key in self._under_way:
            raise RefusedError(DUPLICATE_TICKER, "Error processing request.-'bM' : cause - Duplicate ticker id")
        listing = self._context.listing(message.contract)
        try:
            end = parse_moment(message.end_date_time) if message.end_date_time.strip() else None
        except ValueError as error:
            raise invalid(str(error), "bM") from None
        if message.keep_up_to_date and end is not None:
            raise invalid("End date not supported with keep up to date", "bM")
        size, duration, show = message.bar_size_setting, message.duration_str, message.what_to_show
        question = parse(size, duration, show, end, is_regular=message.use_rth)
        if question.is_of_trades and not has_trades(listing.contract):
            raise no_trades(listing.contract)
        steps = self._under_way[key] = answer(self._context.venue, listing.contract, question)
        self._go_on(client, message, _Asked(listing.contract, question, message.format_date == 2), steps)

    def _go_on(
        self, client: Connection, message: ReqHistoricalData, asked: "_Asked", steps: Steps[list[PastBar]]
    ) -> None:
        """Find one more piece of an answer; others have their turn before the next one."""
        key = client, message.req_id
        if self._under_way.get(key) is not steps:
            return  # cancelled, or the client is gone
        try:
            next(steps)
        except StopIteration as done:
            del self._under_way[key]
            self._send(client, message, asked, done.value)
        except RefusedError as refused:
            del self._under_way[key]
            client.error(message.req_id, refused.code, refused.text)
        else:
            asyncio.get_running_loop().call_soon(self._go_on, client, message, asked, steps)

    def _send(self, client: Connection, message: ReqHistoricalData, asked: "_Asked", bars: list[PastBar]) -> None:
        version = client.server_version
        rows = tuple(_row(bar, asked, version) for bar in bars)
        first, last = (bar_time(moment, version, as_epoch=False) for moment in (bars[0].start, bars[-1].end))
        client.send(HistoricalData(message.req_id, first, last, rows))
        if message.keep_up_to_date:
            self._kept[client, message.req_id] = _Kept(asked, bars[-1])
            self._context.wake()

    def tell(self) -> None:
        """Tell how the bars that are kept up to date have grown."""
        for (client, req_id), kept in self._kept.items():
            if client.is_slow:
                continue
            try:
                bars = finished(answer(self._context.venue, kept.asked.contract, _since(kept, self._context.now())))
            except RefusedError:
                continue
            for bar in bars:
                if bar.start >= kept.last.start and bar != kept.last:
                    client.send(_update(req_id, bar, kept.asked, client.server_version))
            kept.last = bars[-1]


def _since(kept: _Kept, now: int) -> Question:
    """The same question for the bars from the last one told on."""
    question = kept.asked.question
    start = kept.last.start
    if question.is_daily:
        days = (now - start) // (DAY * NS) + max(2, question.size // DAY)
        return replace(question, number=days, unit="D")
    return replace(question, number=(now - start) // NS + 1, unit="S")


def _date(bar: PastBar, asked: _Asked, version: int) -> str:
    if asked.question.is_daily:
        return f"{daily_date(bar):%Y%m%d}"
    return bar_time(bar.start, version, as_epoch=asked.as_epoch)


def _row(bar: PastBar, asked: _Asked, version: int) -> HistoricalBar:
    date = _date(bar, asked, version)
    return HistoricalBar(date, bar.open, bar.high, bar.low, bar.close, bar.volume, bar.average, bar.count)


def _update(req_id: int, bar: PastBar, asked: _Asked, version: int) -> HistoricalDataUpdate:
    date = _date(bar, asked, version)
    return HistoricalDataUpdate(
        req_id, bar.count, date, bar.open, bar.close, bar.high, bar.low, bar.average, bar.volume
    )
