"""Writes a report: as one HTML file that needs nothing else, as a CSV table of the fills, or as JSON.

The HTML holds its data, its script, its style and the charts' library; its policy lets it ask for nothing, so that it
can be kept, sent and opened anywhere.
"""

import csv
import io
import json
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from src.records.report import SessionReport
from src.records.statistics import DEFINITIONS, drawdown
from src.runtime.clock import NS, iso

_ASSETS: Final = Path(__file__).parent / "assets"
#: What the page of a running session draws with as well.
_SHARED: Final = Path(__file__).parent.parent / "page" / "assets"
_DAY_NS: Final = 86_400 * NS
_DIGITS: Final = 6
_COLUMNS: Final = (
    "time", "order_ref", "symbol", "action", "shares", "price", "commission", "decided_at", "slippage",
    "slippage_bps", "realized_pnl",
)  # fmt: skip


def as_json(report: SessionReport) -> dict[str, Any]:
    """Everything, by name: numbers are numbers, times ISO 8601 UTC; what is not known is None."""
    session = report.session
    return {
        "session": session.facts.session,
        "mode": session.mode.value,
        "began": iso(session.started),
        "ended": None if session.ended is None else iso(session.ended),
        "how_it_ended": session.how or "it runs, or was killed",
        "version": session.facts.version,
        "code_hash": session.facts.code_hash,
        "configuration_hash": session.facts.configuration_hash,
        "notes": dict(report.notes),
        "days": len({time // _DAY_NS for time in report.times}),
        "period": [iso(report.times[0]), iso(report.times[-1])] if report.times else None,
        "statistics": report.statistics.as_json(),
        "definitions": dict(DEFINITIONS),
        "fills": [_row(asdict(each)) for each in report.fills],
        "round_trips": [_row(asdict(each)) for each in report.trips],
        "refused": [_row(asdict(each)) for each in report.refused],
        "remarks": [_row(asdict(each)) for each in report.remarks],
    }


def as_csv(report: SessionReport) -> str:
    """The fills as a table, a row each, times ISO 8601 UTC."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(_COLUMNS)
    for each in report.fills:
        row = _row(asdict(each))
        table.writerow(["" if row[name] is None else row[name] for name in _COLUMNS])
    return out.getvalue()


def as_html(report: SessionReport) -> str:
    """One page, whole."""
    data = as_json(report) | {
        "curve": [
            [time // NS, value, fall]
            for time, value, fall in zip(report.times, report.equity, drawdown(report.equity), strict=True)
        ],
        "bars": {
            symbol: [
                [start // NS, *prices]
                for start, *prices in zip(
                    *(columns[name].tolist() for name in ("start", "open", "high", "low", "close")), strict=True
                )
            ]
            for symbol, columns in report.bars.items()
        },
        "marks": [
            [each.symbol, each.time // NS, each.action.value, float(each.shares), float(each.price)]
            for each in report.fills
        ],
    }
    text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")  # no text of a venue's can end the script
    page = (_ASSETS / "report.html").read_text(encoding="utf-8")
    for place, content in (
        ("/*style*/", (_ASSETS / "report.css").read_text(encoding="utf-8")),
        ("/*charts*/", (_SHARED / "lightweight-charts.standalone.production.js").read_text(encoding="utf-8")),
        ("/*drawing*/", (_SHARED / "drawing.js").read_text(encoding="utf-8")),
        ("/*script*/", (_ASSETS / "report.js").read_text(encoding="utf-8")),
        ("/*data*/", text),
    ):
        page = page.replace(place, content, 1)
    return page


def _row(values: dict[str, Any]) -> dict[str, Any]:
    times = {name: iso(values[name]) for name in ("time", "opened", "closed") if name in values}
    return {name: _plain(value) for name, value in values.items()} | times


def _plain(value: Any) -> Any:  # noqa: ANN401  # a field's value
    return round(float(value), _DIGITS) if isinstance(value, Decimal | float) else value
