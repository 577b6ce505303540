"""The screen of a session: every size, every mode, and nothing shown that is not known."""

import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from src.brokers.broker import BrokerHealth
from src.brokers.headroom import Headroom
from src.console.screen import screen_of
from src.console.view import Lookout, QuoteView, SessionView
from src.domain.market import Contract, Mode, Quote, Source
from src.domain.orders import Action, Order, OrderId, OrderStatus, OrderType, Trade
from src.runtime.clock import NS
from src.trading.watch import EventLine, Holding, SessionFacts, Tone

NOW = 1_748_876_400 * NS
NVDA, MSFT = Contract("NVDA", con_id=1), Contract("MSFT", con_id=2)
FACTS = SessionFacts(
    session="abc",
    contracts=(NVDA, MSFT),
    started_at=NOW - 600 * NS,
    ends_at=NOW + 1200 * NS,
    now=NOW,
    bars=20,
    orders=3,
    fills=2,
    refused=1,
    commissions=2.0,
    realized_pnl=-3.5,
    unrealized_pnl=12.0,
    equity=100_008.5,
    max_drawdown=0.0123,
    holdings=(
        Holding("NVDA", Decimal(100), 172.25, 172.37, 12.0, 0.0),
        Holding("MSFT", Decimal(0), 0.0, None, 0.0, -3.5),
    ),
    explanation="NVDA closed at 172.3: mean of 10 above mean of 50",
    events=tuple(EventLine(NOW - n * NS, Tone.PLAIN, f"event {n}") for n in range(30, 0, -1)),
)
HEALTH = BrokerHealth(Mode.PAPER, True, "127.0.0.1", 7497, 1, "ib_insync 0.9.86", 176, (), "delayed", 0.2, 1, 0)
VIEW = SessionView(
    facts=FACTS,
    mode=Mode.PAPER,
    account="DU****67",
    where="127.0.0.1:7497 as client 1",
    strategy="sma",
    now=NOW,
    health=HEALTH,
    quotes={"NVDA": QuoteView(Quote(NVDA, NOW, 172.36, 172.38, 100, 100, 172.37, Source.DELAYED), 0.4)},
    positions=(),
    working=(
        Trade(
            OrderId(7),
            Order(NVDA, Action.SELL, Decimal(100), OrderType.LIMIT, Decimal("175.5")),
            OrderStatus.SUBMITTED,
            Decimal(0),
            Decimal(100),
            Decimal(0),
            NOW,
        ),
    ),
    summary=None,
    headroom=(Headroom("open orders", "1", "10"),),
    stopped=None,
    closes_in=3 * 3600.0,
)


def drawn(view: SessionView, width: int = 80, height: int = 24, **console: object) -> list[str]:
    """The screen's lines as a terminal of that size shows them."""
    out = io.StringIO()
    terminal = Console(file=out, width=width, height=height, force_terminal=True, **console)  # type: ignore[arg-type]
    terminal.print(screen_of(view, width, height))
    return out.getvalue().rstrip("\n").split("\n")


def plain(view: SessionView, width: int = 80, height: int = 24) -> str:
    """The screen without colours."""
    return "\n".join(drawn(view, width, height, color_system=None))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 16), (132, 50), (40, 10)])
def test_the_screen_fits_its_terminal(width: int, height: int) -> None:
    """No line is wrapped, and the newest events take what the rest leaves."""
    lines = plain(VIEW, width, height).split("\n")
    assert max(map(len, lines)) <= width
    assert len(lines) <= max(height, 13)
    if height >= 24:
        assert "event 1" in lines[-1]


def test_everything_that_matters_is_on_eighty_by_twenty_four() -> None:
    """Mode, account, connection, age of data, shares, orders, limits, the decision with its reason, the close."""
    text = plain(VIEW)
    for words in (
        "PAPER - play money at IB",
        "DU****67",
        "connected",
        "delayed prices, 0 s old",
        "market closes in 3 h 00 min",
        "ends in 20 min",
        "sma: NVDA closed at 172.3",
        "172.36",
        "SELL NVDA",
        "175.50",
        "Submitted",
        "refused 1",
        "drawdown 1.23%",
        "open orders 1/10",
    ):
        assert words in text, words


def test_every_limit_is_on_the_screen_however_narrow_it_is() -> None:
    """The day's loss is the last but one, and the one that matters most."""
    names = ("open orders", "orders a minute", "round trips", "largest position", "day's loss", "drawdown")
    view = replace(VIEW, headroom=tuple(Headroom(name, "0", "1,000") for name in names))
    lines = plain(view).split("\n")
    first = next(index for index, line in enumerate(lines) if line.startswith("limits  open orders 0/1,000"))
    shown = " ".join(" ".join(lines[first : first + 2]).split())
    assert all(f"{name} 0/1,000" in shown for name in names)
    assert len(lines) <= 24


def test_the_modes_look_different_and_say_so_without_colours() -> None:
    """Three first lines that nobody can take for each other."""
    modes = (Mode.SIMULATED, Mode.PAPER, Mode.LIVE)
    coloured = {drawn(replace(VIEW, mode=mode), color_system="standard")[0] for mode in modes}
    words = {plain(replace(VIEW, mode=mode)).split("\n")[0].split("   ")[0].strip() for mode in modes}
    assert len(coloured) == 3
    assert words == {"SIMULATED - not real money", "PAPER - play money at IB", "LIVE - REAL MONEY"}


def test_what_is_not_known_is_a_dash_and_never_a_number() -> None:
    """No price of MSFT, no account values, no list of orders, no positions."""
    text = plain(replace(VIEW, positions=None, working=None))
    row = next(line for line in text.split("\n") if line.startswith("MSFT"))
    assert row.split()[1:] == ["-", "-", "-", "-", "0", "-", "-", "-"]
    assert "working orders: not known now" in text
    assert "- net liquidation, - available" in text


def test_a_lost_connection_and_a_stop_stand_out() -> None:
    """In words, above everything that could be taken for fresh."""
    lost = replace(HEALTH, connected=False, error="TWS has lost its connection to IB (1100)")
    assert "NOT CONNECTED" in plain(replace(VIEW, health=lost))
    assert "TWS has lost its connection to IB (1100)" in plain(replace(VIEW, health=lost))
    assert "the kill switch is on" in plain(replace(VIEW, stopped="the kill switch is on"))


def test_more_orders_than_there_is_room_for_are_counted() -> None:
    """Four are shown."""
    assert "and 3 more" in plain(replace(VIEW, working=VIEW.working * 7 if VIEW.working else ()))


def test_a_lookout_reads_what_the_broker_tells(simulated: Callable[[], Lookout]) -> None:
    """Quotes with their age, positions, orders and account of the simulated broker; nothing is asked of a market."""
    lookout = simulated()
    contract = lookout.broker.qualify(Contract("MSFT"))
    view = lookout.look(replace(FACTS, contracts=(contract,)))
    assert (view.mode, view.account, view.where) == (Mode.SIMULATED, "SIM0001", "simulated exchange")
    assert view.quotes["MSFT"].quote.source is Source.SIMULATED
    assert (view.positions, view.working) == ((), ())
    assert view.summary is not None
    assert view.summary.net_liquidation == 100_000
