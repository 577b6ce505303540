"""A session's screen, laid out for a width and a height. Pure.

Mode, connection, prices, shares, orders, limits, the last decision and the last events. The mode is the first thing on
the screen and has a colour of its own: blue where everything is simulated, yellow for paper, white on red for real
money. Where colours are not wanted (`NO_COLOR`) the words still say it.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from src.brokers.headroom import Headroom
from src.console.view import STALE_SECONDS, SessionView
from src.domain.market import Mode
from src.domain.orders import Trade
from src.runtime.clock import NS, to_datetime
from src.trading.watch import EventLine, Tone
from src.trading.words import price_shown, shares_shown

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

_MODE_STYLE: Final = {
    Mode.SIMULATED: "bold white on blue",
    Mode.PAPER: "bold black on yellow",
    Mode.LIVE: "bold white on red",
    Mode.DISCONNECTED: "bold black on bright_black",
}
_TONE_STYLE: Final = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.WARNING: "yellow", Tone.ERROR: "bold red"}
_DASH: Final = "-"
#: Columns above which the date stands beside the time.
_WIDE: Final = 100
#: Working orders shown before the rest is only counted.
_MOST_ORDERS: Final = 4


def screen_of(view: SessionView, width: int, height: int) -> "RenderableType":
    """Everything of a session on `height` lines of `width` columns; the events take what is left."""
    from rich.console import Group

    parts = [*_head(view, width), *_decision(view, width), _market(view), *_orders(view, width), *_account(view, width)]
    used = sum(_lines(part) for part in parts)
    return Group(*parts, *_events(view.facts.events, height - used - 1, width))


def _lines(part: "RenderableType") -> int:
    """How many lines a part takes: a table its rows and its heading, a text one."""
    rows = getattr(part, "row_count", None)
    return 1 if rows is None else rows + 1


def _one_line(words: Iterable[tuple[str, str]], width: int) -> "Text":
    from rich.text import Text

    text = Text.assemble(*words, overflow="ellipsis", no_wrap=True)
    text.truncate(width, overflow="ellipsis")
    return text


# --- the parts, from the top ------------------------------------------------------------------------------------------


def _head(view: SessionView, width: int) -> "list[Text]":
    from rich.text import Text

    facts, health = view.facts, view.health
    left, moment = f" {view.mode_words}   {view.account}   {view.where}", to_datetime(view.now)
    clock = f" {moment:%Y-%m-%d %H:%M:%S} UTC " if width > _WIDE else f" {moment:%H:%M:%S} UTC "
    room = max(width - len(clock), 0)
    bar = Text(left.ljust(room)[:room] + clock, _MODE_STYLE[view.mode])
    state = ("connected", "green") if health.connected else ("NOT CONNECTED", "bold red")
    age = view.data_age
    data = "no price yet" if age is None else f"{health.data_source} prices, {age:.0f} s old"
    stale = "bold red" if age is None or age > STALE_SECONDS else ""
    rest = [("  ends ", "dim"), (_span(facts.ends_at, view.now), "")] if facts.ends_at else []
    close = [("  market closes ", "dim"), (_duration(view.closes_in), "")] if view.closes_in is not None else []
    line = _one_line([state, ("  ", ""), (data, stale), *close, *rest], width)
    trouble = view.stopped or health.error
    return [bar, line, *([_one_line([(trouble, "bold red")], width)] if trouble else [])]


def _decision(view: SessionView, width: int) -> "list[Text]":
    said = view.facts.explanation or "no bar yet"
    return [_one_line([(f"{view.strategy}: ", "bold"), (said, "")], width)]


def _market(view: SessionView) -> "Table":
    table = _table(("", "last", "bid", "ask", "age", "own", "cost", "open P&L", "account"), left=1)
    held = {each.contract.symbol: each.quantity for each in view.positions or ()}
    for holding in view.facts.holdings:
        quote = view.quotes.get(holding.symbol)
        last = view.last_price(holding)
        old = quote is not None and quote.age > STALE_SECONDS
        table.add_row(
            holding.symbol,
            _DASH if last is None else price_shown(last),
            _DASH if quote is None else price_shown(quote.quote.bid),
            _DASH if quote is None else price_shown(quote.quote.ask),
            _DASH if quote is None else f"{quote.age:.0f}s",
            shares_shown(holding.shares),
            price_shown(holding.average_cost) if holding.shares else _DASH,
            _money(holding.unrealized_pnl) if holding.shares else _DASH,
            _DASH if view.positions is None else shares_shown(held.get(holding.symbol, Decimal(0))),
            style="dim" if old else "",
        )
    return table


def _orders(view: SessionView, width: int) -> "list[RenderableType]":
    if view.working is None:
        return [_one_line([("working orders: not known now", "yellow")], width)]
    if not view.working:
        return [_one_line([("no working orders", "dim")], width)]
    table = _table(("order", "", "quantity", "type", "price", "filled", "status", "of"), left=2)
    for trade in view.working[:_MOST_ORDERS]:
        table.add_row(*_order_row(trade))
    more = len(view.working) - _MOST_ORDERS
    return [table, *([_one_line([(f"and {more} more", "dim")], width)] if more > 0 else [])]


def _order_row(trade: Trade) -> tuple[str, ...]:
    order = trade.order
    levels = [price_shown(level) for level in (order.stop_price, order.limit_price) if level is not None]
    return (
        str(trade.order_id),
        f"{order.action} {order.contract.symbol}",
        shares_shown(order.quantity),
        str(order.order_type),
        " / ".join(levels) or _DASH,
        shares_shown(trade.filled),
        str(trade.status),
        str(trade.origin),
    )


def _account(view: SessionView, width: int) -> "list[Text]":
    facts, summary = view.facts, view.summary
    worth = _DASH if summary is None else _money(float(summary.net_liquidation))
    free = _DASH if summary is None else _money(float(summary.available_funds))
    money = [
        ("session ", "dim"),
        *_signed(facts.realized_pnl + facts.unrealized_pnl),
        (f"  costs {_money(facts.commissions)}  drawdown {facts.max_drawdown:.2%}", ""),
        (f"  orders {facts.orders} fills {facts.fills} refused {facts.refused}", ""),
    ]
    account = [("account ", "dim"), (f"{worth} net liquidation, {free} available", "")]
    return [_one_line(words, width) for words in (money, account, *_limits(view.headroom, width))]


def _limits(rows: Sequence[Headroom], width: int) -> list[list[tuple[str, str]]]:
    """What is used of each limit, on as many lines as that takes."""
    lines: list[list[tuple[str, str]]] = []
    used = width
    for row in rows:
        text = f"{row.rule} {row.used}/{row.limit}  "
        if used + len(text.rstrip()) > width:
            lines.append([("        " if lines else "limits  ", "dim")])
            used = len("limits  ")
        lines[-1].append((text, ""))
        used += len(text)
    return lines


def _events(events: Sequence[EventLine], room: int, width: int) -> "list[Text]":
    shown = events[-room:] if room > 0 else ()
    lines = [("events", "dim")] if shown else []
    return [
        *(_one_line([each], width) for each in lines),
        *(
            _one_line([(f"{to_datetime(each.time):%H:%M:%S} ", "dim"), (each.text, _TONE_STYLE[each.tone])], width)
            for each in shown
        ),
    ]


# --- words ------------------------------------------------------------------------------------------------------------


def _table(headings: Sequence[str], left: int) -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", expand=True)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index < left else "right", no_wrap=True, overflow="ellipsis")
    return table


def _money(dollars: float) -> str:
    return f"{'-' if dollars < 0 else ''}${abs(dollars):,.2f}"


def _signed(dollars: float) -> list[tuple[str, str]]:
    return [(_money(dollars), "green" if dollars > 0 else "red" if dollars < 0 else "")]


def _span(until: int, now: int) -> str:
    return _duration(max(until - now, 0) / NS)


def _duration(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes >= 60:
        return f"in {minutes // 60} h {minutes % 60:02} min"
    return f"in {minutes} min" if minutes else f"in {int(seconds)} s"
