# ruff: noqa: ANN401
"""The defects of the libraries that are worked around: each test fails when its defect goes away, and so may the cure.

Where a defect is of one library only, the test says what the other does instead.
"""

import asyncio
import importlib.util
import subprocess
import sys
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from src.brokers.tws import library
from src.brokers.tws.broker import TwsBroker
from src.domain.errors import ConnectionFailedError
from src.domain.orders import OrderStatus, Trade
from src.gateways.tws_codec import CommissionReportMessage, ReqPositions
from tests.brokers.tws.scripted import Client, ScriptedTws

UNSET = 1.7976931348623157e308


def is_async(broker: TwsBroker) -> bool:
    return (broker.health().library or "").startswith("ib_async")


def theirs(broker: TwsBroker) -> Any:
    """The library's own Trade."""
    broker.tws(lambda ib: ib.reqCurrentTimeAsync())
    return broker.tws(lambda ib: ib.trades()[0])


@pytest.mark.parametrize("code", [10349, 103, 161, 10148])
def test_an_information_cancels_their_trade(tws: ScriptedTws, broker: TwsBroker, placed: Trade, code: int) -> None:
    tws.say(lambda client: client.error(placed.order_id, code, "Order TIF was set to DAY based on order preset."))
    assert theirs(broker).orderStatus.status == "Cancelled"
    assert broker.trade(placed.order_id).status is OrderStatus.SUBMITTED


def test_a_warning_changes_their_status_in_one_of_them(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    tws.say(lambda client: client.error(placed.order_id, 399, "will not be placed at the exchange until 09:30"))
    assert theirs(broker).orderStatus.status == ("ValidationError" if is_async(broker) else "Submitted")
    assert broker.trade(placed.order_id).status is OrderStatus.SUBMITTED


def test_a_correction_is_counted_twice_by_them(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    def tell(client: Client) -> None:
        client.execution(placed.order_id, "0000a.0001.01.01", 4, "120")
        client.execution(placed.order_id, "0000a.0001.01.02", 3, "120")

    tws.say(tell)
    assert theirs(broker).filled() == 7
    assert broker.trade(placed.order_id).filled == 3


def test_no_realized_profit_is_zero_to_them(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    def tell(client: Client) -> None:
        client.execution(placed.order_id, "0000a.0001.01.01", 10, "120")
        client.send(CommissionReportMessage("0000a.0001.01.01", Decimal(1), "USD", None))

    tws.say(tell)
    assert theirs(broker).fills[0].commissionReport.realizedPNL == 0.0
    [fill] = broker.fills()
    assert fill.commission_report is not None
    assert fill.commission_report.realized_pnl is None


def test_their_trades_are_written_out_for_a_log_that_nobody_reads(broker: TwsBroker, placed: Trade) -> None:
    def told(ib: Any) -> int:
        wrapper, known, written = type(ib)().wrapper, ib.trades()[0], list[str]()

        class Watched(type(known)):  # type: ignore[misc]  # untyped
            def __format__(self, how: str) -> str:
                written.append(how)
                return ""

        status = type(known.orderStatus)(orderId=placed.order_id, status="PendingSubmit")
        wrapper.trades[1, placed.order_id] = Watched(known.contract, known.order, status, [], [])
        wrapper.tcpDataArrived()
        wrapper.orderStatus(placed.order_id, "Submitted", 0.0, 10.0, 0.0, 77, 0, 0.0, 1, "", 0.0)
        return len(written)

    assert broker.tws(told) == 1


def test_an_order_of_ours_is_one_of_theirs_and_short_in_their_log(broker: TwsBroker, placed: Trade) -> None:
    [trade] = broker.tws(lambda ib: ib.trades())
    assert (trade.order.orderId, trade.order.permId, trade.order.clientId) == (placed.order_id, placed.perm_id, 1)
    assert trade.orderStatus.status == "Submitted"
    assert f"{trade}" == f"Trade of order {placed.order_id}: Submitted"
    assert "totalQuantity" in repr(trade) == str(trade)


def test_fills_and_positions_are_theirs_and_short_in_their_log(
    tws: ScriptedTws, broker: TwsBroker, placed: Trade
) -> None:
    tws.say(lambda client: client.execution(placed.order_id, "0000a.0001.01.01", 10, "120"))
    [fill], kind = broker.tws(lambda ib: (ib.fills(), type(ib.fills()[0]).__mro__[1]))
    assert fill == kind(*fill)
    assert repr(fill) == repr(kind(*fill))
    assert f"{fill}" == "Fill"
    assert [each.fills for each in broker.tws(lambda ib: ib.trades())] == [[fill]]


def test_their_throttle_is_off(broker: TwsBroker) -> None:
    assert broker.tws(lambda ib: (type(ib.client).MaxRequests, ib.client.MaxRequests)) == (45, 0)


def plain(broker: TwsBroker) -> Any:
    """A wrapper of the library as it comes."""
    return broker.tws(lambda ib: type(ib)().wrapper)


def test_a_validation_error_leaves_a_request_pending_in_one_of_them(broker: TwsBroker) -> None:
    wrapper = plain(broker)

    async def run() -> bool:
        future = wrapper.startReq(5)
        wrapper.error(5, 321, "Error validating request", "")
        return bool(future.done())

    assert broker.tws(lambda _: run()) is not is_async(broker)


def test_the_empty_frame_ends_a_what_if_in_one_of_them(broker: TwsBroker) -> None:
    wrapper = plain(broker)

    async def run() -> bool:
        future = wrapper.startReq(5)
        order = SimpleNamespace(whatIf=True, orderId=5)
        state = SimpleNamespace(initMarginChange="1.7976931348623157E308")  # as TWS writes it
        wrapper.openOrder(5, None, order, state)
        return bool(future.done())

    assert broker.tws(lambda _: run()) is not is_async(broker)


def test_they_connect_though_the_positions_are_not_known(tws: ScriptedTws, broker: TwsBroker) -> None:
    tws.on(ReqPositions, None)

    async def run(ib: Any) -> tuple[bool, int]:
        other = type(ib)()
        await other.connectAsync("127.0.0.1", tws.port, clientId=9, timeout=0.3)
        found = other.isConnected(), len(other.positions())
        other.disconnect()
        await asyncio.sleep(0)
        return found

    assert broker.tws(run) == (True, 0)


def test_a_wrong_service_is_only_told_after_the_whole_timeout_by_them(broker: TwsBroker) -> None:
    """They have no word for a connection that ends before it is ready: `asyncio.TimeoutError` at the deadline."""

    async def run(ib: Any) -> str:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            await type(ib)().connectAsync("127.0.0.1", port, clientId=9, timeout=0.3)
        except TimeoutError as error:
            return type(error).__name__
        finally:
            server.close()
        return ""

    assert broker.tws(run) == "TimeoutError"


def test_their_encoder_sends_what_is_no_price(broker: TwsBroker) -> None:
    """An unset one as an empty field, NaN as a word."""

    def send(ib: Any) -> list[str]:
        client, sent = type(ib)().client, list[str]()
        client.connState, client.sendMsg = client.CONNECTED, sent.append
        client.send(3, UNSET, float("nan"))
        client.connState = client.DISCONNECTED
        return sent

    assert broker.tws(send) == ["3\0\0nan\0"]


def test_fills_that_were_asked_for_are_no_events_to_them(tws: ScriptedTws, broker: TwsBroker, placed: Trade) -> None:
    """One of a known order that was missed while away, for instance."""

    async def run(ib: Any) -> list[Any]:
        wrapper, told = ib.wrapper, list[Any]()
        ib.execDetailsEvent += lambda *values: told.append(values)
        [trade] = ib.trades()
        module = sys.modules[type(ib).__module__.split(".")[0]]
        execution = module.Execution(
            execId="0000a.0009.01.01", orderId=placed.order_id, clientId=1, shares=1, price=120
        )
        execution.permId, execution.acctNumber, execution.side = trade.order.permId, "DU1234567", "BOT"
        wrapper.startReq(77, container=[])
        base: Any = type(wrapper).__mro__[1]
        base.execDetails(wrapper, 77, trade.contract, execution)
        assert len(trade.fills) == 1
        return told

    assert broker.tws(run) == []


# --- which one ------------------------------------------------------------------------------------------------------


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in names else None)


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (("ib_insync",), "auto", "ib_insync"),
        (("ib_async",), "auto", "ib_async"),
        (("ib_async",), "ib_async", "ib_async"),
        (("ib_insync", "ib_async"), "auto", "ib_insync"),
        (("ib_insync", "ib_async"), "ib_async", "ib_async"),
    ],
)
def test_what_is_installed_is_used(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    names: tuple[str, ...],
    wanted: str,
    expected: str,
) -> None:
    """Both of them clash, and that is said."""
    installed(monkeypatch, *names)
    assert library.choose(wanted) == expected
    assert ("eventkit" in caplog.text) == (len(names) == 2)


@pytest.mark.parametrize(("names", "wanted"), [((), "auto"), (("ib_insync",), "ib_async")])
def test_a_missing_library_is_a_failed_connection(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], wanted: str
) -> None:
    installed(monkeypatch, *names)
    with pytest.raises(ConnectionFailedError, match="make") as caught:
        library.choose(wanted)
    assert caught.value.phase == "library"


def test_importing_the_backend_imports_no_library() -> None:
    """They look up an event loop when they are imported: only the connection's thread may do it."""
    code = (
        "import sys; import src.brokers.tws, src.brokers.tws.broker\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('ib_insync', 'ib_async', 'eventkit')])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout.strip() == "[]"
