"""Bad input is a typed error and never sent; good input may come from everywhere."""

import asyncio
import threading
from collections.abc import Callable
from datetime import date
from decimal import Decimal, localcontext

import pytest

from src.brokers import ib_gateway
from src.brokers.ib_gateway import IBGatewayClient
from src.brokers.opening import Opening, Play, open_broker
from src.domain.errors import (
    BrokerError,
    ConfigurationError,
    InvalidOrderError,
    UnknownContractError,
)
from src.domain.market import Contract
from src.domain.orders import Action, Order
from src.settings import Settings
from tests.brokers.conftest import THURSDAY, nothing_was_sent


@pytest.mark.parametrize(
    "quantity",
    [
        0,
        -5,
        float("nan"),
        float("inf"),
        None,
        True,
        False,
        "five",
        1.5,
        [5],
        10**15,
        pytest.param(10**5000, id="endless"),
    ],
)
def test_a_wrong_quantity_is_never_sent(client: IBGatewayClient, quantity: int) -> None:
    """Whichever kind of order it is in."""
    calls: list[Callable[[], object]] = [
        lambda: client.place_market_order("NVDA", quantity, "BUY"),
        lambda: client.place_limit_order("NVDA", quantity, 100.0, "BUY"),
        lambda: client.place_stop_order("NVDA", quantity, 100.0, "BUY"),
        lambda: client.place_bracket_order("NVDA", quantity, "BUY", 900.0, 1.0),
    ]
    for place in calls:
        with pytest.raises(InvalidOrderError, match="quantity"):
            place()
    assert nothing_was_sent(client)


@pytest.mark.parametrize("action", ["HOLD", "", None, 1, True, "BUY ", b"BUY"])
def test_a_wrong_action_is_never_sent(client: IBGatewayClient, action: str) -> None:
    """BUY or SELL, and nothing that looks like it."""
    with pytest.raises(InvalidOrderError, match="BUY or SELL"):
        client.place_market_order("NVDA", 5, action)
    assert nothing_was_sent(client)


@pytest.mark.parametrize(
    "price",
    [
        0,
        -1.0,
        float("nan"),
        float("inf"),
        None,
        True,
        "cheap",
        100.005,
        100.00001,
        Decimal("99.999"),
        1e15,
        "1e400",
        pytest.param(10**5000, id="endless"),
    ],
)
def test_a_wrong_price_is_never_sent(client: IBGatewayClient, price: float) -> None:
    """Off the tick is wrong, too: nothing is rounded in silence."""
    calls: list[Callable[[], object]] = [
        lambda: client.place_limit_order("NVDA", 5, price, "BUY"),
        lambda: client.place_stop_order("NVDA", 5, price, "BUY"),
        lambda: client.place_stop_limit_order("NVDA", 5, price, 100.0, "BUY"),
        lambda: client.place_stop_limit_order("NVDA", 5, 100.0, price, "BUY"),
    ]
    for place in calls:
        with pytest.raises(InvalidOrderError, match="price"):
            place()
    assert nothing_was_sent(client)


def test_a_price_off_the_tick_is_told_the_nearest_one(client: IBGatewayClient) -> None:
    """The person decides, knowing the tick."""
    with pytest.raises(InvalidOrderError, match=r"100\.007 is off the tick of NVDA, 0\.01: try 100\.01"):
        client.place_limit_order("NVDA", 5, 100.007, "BUY")


@pytest.mark.parametrize(
    "symbol", ["NOSUCH", "", "  ", None, 5, True, "NV\x00DA", "N" * 50, "NVDA\nMSFT", "\N{GREEK CAPITAL LETTER NU}VDA"]
)
def test_an_unknown_symbol_is_never_sent(client: IBGatewayClient, symbol: str) -> None:
    """Neither a stranger, nor what can be no symbol at all."""
    calls: list[Callable[[], object]] = [
        lambda: client.place_market_order(symbol, 5, "BUY"),
        lambda: client.get_current_price(symbol),
        lambda: client.get_quote(symbol),
        lambda: client.get_bars(symbol),
        lambda: client.close_position(symbol),
        lambda: client.stream(symbol),
    ]
    for call in calls:
        with pytest.raises(UnknownContractError):
            call()
    assert nothing_was_sent(client)


@pytest.mark.parametrize("wait", [-1, float("nan"), None, True, "long"])
def test_a_wrong_wait_is_never_sent(client: IBGatewayClient, wait: float) -> None:
    """An order is not placed by a call that cannot be made."""
    with pytest.raises(InvalidOrderError, match="wait"):
        client.place_market_order("NVDA", 5, "BUY", wait=wait)
    assert nothing_was_sent(client)


@pytest.mark.parametrize("order_id", [None, "1", 1.0, True, [1], 2**31, pytest.param(10**5000, id="endless")])
@pytest.mark.parametrize("method", ["cancel_order", "get_order", "modify_order", "wait_for_order"])
def test_an_order_id_is_a_whole_number(client: IBGatewayClient, method: str, order_id: object) -> None:
    """Anything else is a slip, not an unknown order."""
    with pytest.raises(InvalidOrderError, match="order id"):
        getattr(client, method)(*([order_id, 1] if method == "wait_for_order" else [order_id]))


@pytest.mark.parametrize("fn", [None, 5, "fn"])
def test_what_is_no_function_cannot_be_run_on_tws(client: IBGatewayClient, fn: object) -> None:
    """It is said before anything is asked of a connection."""
    with pytest.raises(ConfigurationError, match="takes a function"):
        client.tws(fn)  # type: ignore[arg-type]  # that is the point


def test_bad_input_is_caught_by_one_except(client: IBGatewayClient) -> None:
    """Every error of ours has one root; a malformed order is a ValueError as well."""
    with pytest.raises(BrokerError):
        client.place_market_order("NVDA", 0, "BUY")
    with pytest.raises(ValueError, match="quantity"):
        client.place_market_order("NVDA", 0, "BUY")


def test_eight_threads_trade_at_once(client: IBGatewayClient) -> None:
    """Every order is placed once, ids are unique, and the position is the sum of the fills."""
    start, orders, errors = threading.Barrier(8), [], []

    def trade() -> None:
        try:
            start.wait(60)
            for _ in range(5):
                orders.append(client.place_market_order("NVDA", 1, "BUY", wait=10))
                client.get_positions()
                client.get_current_price("MSFT")
                client.health_check()
        except BaseException as error:  # noqa: BLE001  # a thread's error must reach the test
            errors.append(error)

    threads = [threading.Thread(target=trade) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert [order["status"] for order in orders] == ["Filled"] * 40
    assert len({order["order_id"] for order in orders}) == 40
    assert client.get_positions()["NVDA"]["position"] == 40


def test_eight_threads_may_connect_one_client(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """One opens a broker, which takes its time; the others wait for it and get the same."""
    client, start = IBGatewayClient(settings=settings, play=Play(start=THURSDAY)), threading.Barrier(8)
    opened: list[Opening] = []
    brokers: list[int] = []
    second = threading.Event()

    def open_slowly(settings: Settings, play: Play) -> Opening:
        if opened:
            second.set()
        opened.append(open_broker(settings, play))
        second.wait(0.2)
        return opened[-1]

    def connect() -> None:
        start.wait(60)
        if client.connect():
            brokers.append(id(client.broker))

    monkeypatch.setattr(ib_gateway, "open_broker", open_slowly)
    threads = [threading.Thread(target=connect) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(opened) == 1
    assert brokers == [id(opened[0].broker)] * 8
    client.disconnect()


@pytest.mark.parametrize("size", [["1m"], None, 1, {}])
def test_a_bar_size_of_another_kind_is_named(client: IBGatewayClient, size: object) -> None:
    """It says which there are."""
    with pytest.raises(ConfigurationError, match="a bar's size is one of 1m, 5m"):
        client.get_bars("MSFT", size, 3)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("since", ["2020", date(2020, 1, 1), 0])
def test_a_moment_of_another_kind_is_named(client: IBGatewayClient, since: object) -> None:
    """A datetime is expected, and what was given is shown."""
    with pytest.raises(ConfigurationError, match="since is a datetime"):
        client.get_fills(since)  # type: ignore[arg-type]  # that is the point


def test_it_works_inside_a_running_event_loop(settings: Settings) -> None:
    """As in a notebook: blocking calls, and no loop of its own in the way."""

    async def trade() -> str:
        with IBGatewayClient(settings=settings, play=Play(start=THURSDAY)) as client:
            return client.place_market_order("NVDA", 5, "BUY")["status"]

    assert asyncio.run(trade()) == "Filled"


def test_two_clients_in_one_process_have_two_accounts(settings: Settings) -> None:
    """What one buys, the other does not hold."""
    with (
        IBGatewayClient(settings=settings, play=Play(start=THURSDAY)) as first,
        IBGatewayClient(settings=settings, play=Play(start=THURSDAY)) as second,
    ):
        first.place_market_order("NVDA", 5, "BUY")
        assert first.get_positions()["NVDA"]["position"] == 5
        assert second.get_positions()["NVDA"]["position"] == 0


def test_a_caller_s_decimal_precision_changes_nothing(client: IBGatewayClient) -> None:
    """The context belongs to the caller's thread; the tick is checked in one of ours."""
    with localcontext() as context:
        context.prec = 3
        assert client.place_limit_order("NVDA", 5, 100.01, "BUY")["status"] in {"PreSubmitted", "Submitted"}
        with pytest.raises(InvalidOrderError, match="tick"):
            client.place_limit_order("NVDA", 5, 100.005, "BUY")


def test_the_broker_beneath_gives_exact_types(client: IBGatewayClient) -> None:
    """Who needs more than dicts has the protocol, and what it does shows in the dicts."""
    contract = client.broker.qualify(Contract("NVDA"))
    trade = client.broker.place_order(Order(contract, Action.BUY, Decimal(3)))
    assert trade.order.account == client.broker.account_id
    assert client.wait_for_order(trade.order_id, 10)["filled"] == 3
    assert client.get_positions()["NVDA"]["position"] == 3
