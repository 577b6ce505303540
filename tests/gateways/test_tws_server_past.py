"""History of files that hold more than regular hours, over the wire."""

from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.orders import AccountId
from src.gateways.tws_codec import HistoricalData, ReqHistoricalData, WireContract
from src.gateways.tws_server import PaperGateway
from src.runtime.clock import NS
from src.runtime.files import load
from src.runtime.market import MarketRules, recorded_market
from tests.gateways.tws_stage import Frames

AAPL = WireContract(symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
#: 2019-02-11, a Monday: 04:00, 09:29, 09:30, 09:59, 15:59 and 16:00 in New York; each minute trades ten times as much.
TIMES = ("09:00", "14:29", "14:30", "14:59", "20:59", "21:00")
OF_ALL_HOURS = {
    "1 min": [1, 10, 100, 1_000, 10_000, 100_000],
    "1 hour": [1, 1_110, 10_000, 100_000],
    "1 day": [111_111],
}
OF_REGULAR_HOURS = {"1 min": [100, 1_000, 10_000], "1 hour": [1_100, 10_000], "1 day": [11_100]}


@pytest.mark.parametrize("is_regular", [True, False])
@pytest.mark.parametrize("size", OF_ALL_HOURS)
async def test_history_of_regular_hours_has_nothing_of_others(tmp_path: Path, size: str, *, is_regular: bool) -> None:
    rows = [f"2019-02-11T{time}:00Z,10,{11 + n},9,10,{10**n}" for n, time in enumerate(TIMES)]
    (tmp_path / "AAPL.csv").write_text("\n".join(["time,open,high,low,close,volume", *rows]))
    market = recorded_market(MarketRules(preset="ideal"), load([tmp_path]), {AccountId("DUSIM01"): Decimal(100_000)})
    while market.venue.step() is not None:
        pass
    market.venue.settle(10 * 3600 * NS)  # New York's day is over
    asked = ReqHistoricalData(9, AAPL, "", size, "1 D", is_regular, "TRADES")
    with PaperGateway(market) as gateway:
        client = await Frames.started(gateway)
        client.send(asked)
        told = await client.until(HistoricalData)
    volumes = OF_REGULAR_HOURS if is_regular else OF_ALL_HOURS
    assert [bar.volume for bar in told.bars] == volumes[size]
