"""What the doctor sees of a TWS that is not as it should be."""

from collections.abc import Iterator

import pytest

from src.brokers.doctor.inspection import TwsInspection
from src.brokers.findings import Finding, Outcome
from src.domain.errors import ConnectionFailedError
from src.gateways.tws_codec import (
    PlaceOrder,
    ReqAllOpenOrders,
    ReqCompletedOrders,
    ReqOpenOrders,
    ReqPositions,
)
from src.settings import Settings
from tests.brokers.tws.scripted import Client, ScriptedTws

FARM = (2104, "Market data farm connection is OK:usfarm")


@pytest.fixture
def tws() -> Iterator[ScriptedTws]:
    """A TWS with an empty account."""
    with ScriptedTws() as found:
        yield found


def inspected(tws: ScriptedTws, settings: Settings | None = None) -> TwsInspection:
    """The doctor's connection to it."""
    return TwsInspection(settings or Settings(connect_timeout=20.0), Finding("127.0.0.1", tws.port, Outcome.OK))


def refuses(client: Client, asked: object) -> None:
    """As TWS does with `Read-Only API` ticked."""
    del asked
    client.error(-1, 321, "Error validating request.-'cp' : cause - The API interface is currently in Read-Only mode.")


@pytest.mark.parametrize("read_only", [False, True])
def test_a_read_only_api_is_seen_whatever_our_own_setting_says(tws: ScriptedTws, read_only: bool) -> None:
    """Asking for orders is what shows it, and no order is sent."""
    for kind in (ReqOpenOrders, ReqAllOpenOrders, ReqCompletedOrders):
        tws.on(kind, refuses)
    inspection = inspected(tws, Settings(connect_timeout=20.0, read_only=read_only))
    assert (inspection.is_read_only, inspection.is_refused) == (True, False)
    assert inspection.managed_accounts == ("DUSIM01",)
    inspection.close()
    assert not tws.asked(PlaceOrder)


def test_a_tws_that_takes_orders_is_not_read_only(tws: ScriptedTws) -> None:
    """On the check client id; its messages about no request are kept."""
    tws.on_positions_first(*FARM)
    inspection = inspected(tws)
    assert (inspection.is_read_only, inspection.open_orders) == (False, 0)
    assert tws.clients[-1].client_id == 101
    assert inspection.messages == (FARM,)
    inspection.close()


def test_an_account_that_is_not_allowed_is_named_all_the_same(tws: ScriptedTws) -> None:
    """Real money: the doctor tells whose it is, and stays out."""
    tws.accounts = ["U7654321"]
    inspection = inspected(tws)
    assert (inspection.is_refused, inspection.managed_accounts) == (True, ("U7654321",))
    inspection.close()


def test_an_answer_that_is_missing_is_an_error(tws: ScriptedTws) -> None:
    """It is not an empty account."""
    tws.on(ReqPositions, None)
    with pytest.raises(ConnectionFailedError, match="positions"):
        inspected(tws, Settings(connect_timeout=1.0))
