"""A look at a session as JSON for the page. Pure: numbers are numbers, and what is not known is null, never NaN."""

import math
from typing import Any, Final

from src.console.view import SessionView
from src.domain.orders import Trade
from src.runtime.clock import iso
from src.trading.chart import Chart

#: Events a page shows.
_EVENTS: Final = 100


def view_as_json(view: SessionView) -> dict[str, Any]:
    """Everything but the charts."""
    facts, health, summary = view.facts, view.health, view.summary
    held = {each.contract.symbol: each for each in view.positions or ()}
    return {
        "mode": str(view.mode),
        "mode_words": view.mode_words,
        "account": view.account,
        "where": view.where,
        "strategy": view.strategy,
        "session": facts.session,
        "now": iso(view.now),
        "connected": health.connected,
        "trouble": view.stopped or health.error,
        "stopped": view.stopped,
        "library": health.library,
        "server_version": health.server_version,
        "reconnects": health.reconnects,
        "data_source": health.data_source,
        "data_age": _number(view.data_age),
        "message_age": _number(health.last_message_age),
        "closes_in": _number(view.closes_in),
        "ends_at": iso(facts.ends_at) if facts.ends_at else None,
        "is_over": facts.is_over,
        "bars": facts.bars,
        "orders": facts.orders,
        "fills": facts.fills,
        "refused": facts.refused,
        "commissions": _number(facts.commissions),
        "realized_pnl": _number(facts.realized_pnl),
        "unrealized_pnl": _number(facts.unrealized_pnl),
        "equity": _number(facts.equity),
        "max_drawdown": _number(facts.max_drawdown),
        "net_liquidation": None if summary is None else float(summary.net_liquidation),
        "available_funds": None if summary is None else float(summary.available_funds),
        "explanation": facts.explanation,
        "positions_known": view.positions is not None,
        "holdings": [
            {
                "symbol": each.symbol,
                "own": float(each.shares),
                "cost": _number(each.average_cost) if each.shares else None,
                "last": _number(view.last_price(each)),
                "pnl": _number(each.unrealized_pnl) if each.shares else None,
                "account": None
                if view.positions is None
                else float(held[each.symbol].quantity if each.symbol in held else 0),
                **_quote(view, each.symbol),
            }
            for each in facts.holdings
        ],
        "working": None if view.working is None else [_order(trade) for trade in view.working],
        "limits": [{"rule": each.rule, "used": each.used, "limit": each.limit} for each in view.headroom],
        "events": [
            {"time": iso(line.time), "tone": str(line.tone), "text": line.text} for line in facts.events[-_EVENTS:]
        ],
    }


def chart_since(chart: Chart, seen: tuple[int, int, int]) -> tuple[dict[str, Any], tuple[int, int, int]]:
    """What has come to the charts since so many candles, points and marks, and how many there are now."""
    now = len(chart.candles), len(chart.curve), len(chart.marks)
    return {
        "candles": [list(each) for each in chart.candles[seen[0] : now[0]] if all(map(math.isfinite, each[2:]))],
        "curve": [list(each) for each in chart.curve[seen[1] : now[1]] if math.isfinite(each.equity)],
        "marks": [list(each) for each in chart.marks[seen[2] : now[2]]],
        "is_full": chart.is_full,
    }, now


def _quote(view: SessionView, symbol: str) -> dict[str, Any]:
    found = view.quotes.get(symbol)
    if found is None:
        return {"bid": None, "ask": None, "age": None}
    return {"bid": _number(found.quote.bid), "ask": _number(found.quote.ask), "age": _number(found.age)}


def _order(trade: Trade) -> dict[str, Any]:
    order = trade.order
    return {
        "order_id": trade.order_id,
        "action": str(order.action),
        "symbol": order.contract.symbol,
        "quantity": float(order.quantity),
        "type": str(order.order_type),
        "limit": None if order.limit_price is None else float(order.limit_price),
        "stop": None if order.stop_price is None else float(order.stop_price),
        "filled": float(trade.filled),
        "status": str(trade.status),
        "origin": str(trade.origin),
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
