"""What a person sees of a session: its figures, its shares, its last events and what the strategy says."""

from collections.abc import Callable
from decimal import Decimal

from src.brokers.simulated import SimulatedBroker
from src.domain.errors import OrderOutcomeUnknownError
from src.domain.events import ConnectionChanged, Notice
from src.domain.market import Contract, Mode
from src.domain.orders import Action, Order
from src.runtime.clock import NS
from src.trading.trader import Trader
from src.trading.watch import SessionWatch, Tone, told
from tests.trading.test_trader import Scripted, at_bar, buy, plan

Market = Callable[..., SimulatedBroker]


def test_the_facts_of_a_session_are_those_of_its_summary(market: Market) -> None:
    """Bought 100 at 11 for a dollar, marked at 14."""
    watch = SessionWatch()
    assert watch.facts is None
    summary = Trader(market(MSFT=[10, 11, 12, 13, 14]), Scripted(at_bar(2, buy)), plan("MSFT"), [watch]).run()
    facts = watch.facts
    assert facts is not None
    assert (facts.session, facts.is_over, facts.ends_at) == ("test", True, None)
    assert (facts.bars, facts.orders, facts.fills, facts.refused) == (5, 1, 1, 0)
    assert (facts.commissions, facts.realized_pnl, facts.unrealized_pnl) == (1.0, 0.0, 299.0)
    assert facts.equity == summary.final_equity == 100_299.0
    [held] = facts.holdings
    assert (held.symbol, held.shares, held.average_cost, held.last) == ("MSFT", Decimal(100), 11.01, 14.0)
    assert facts.explanation == "as the test says"
    lines = [line.text for line in facts.events]
    assert lines == [
        "BUY 100 MSFT MKT is sent",
        "BUY 100 MSFT filled at 11.00",
        "commission 1.00 USD",
        "the session is over: in good order",
    ]


def test_a_refused_order_and_a_failure_are_seen(market: Market) -> None:
    """Each with its reason, in a tone that stands out."""
    watch = SessionWatch()

    def broken(bar: object, portfolio: object) -> list[object]:
        raise ZeroDivisionError("my own mistake")

    Trader(market({"initial_capital": "100"}, MSFT=[10, 10]), Scripted(at_bar(1, buy)), plan("MSFT"), [watch]).run()
    assert watch.facts is not None
    assert watch.facts.refused == 1
    lines = [line.text for line in watch.facts.events]
    assert lines[0].startswith("BUY 100 MSFT MKT is not accepted: Order rejected")
    assert not any("is sent" in line for line in lines)
    assert watch.facts.events[0].tone is Tone.WARNING
    watch = SessionWatch()
    Trader(market(MSFT=[10, 10]), Scripted(broken), plan("MSFT"), [watch]).run()  # type: ignore[arg-type]
    assert watch.facts is not None
    assert watch.facts.events[-1].tone is Tone.ERROR
    assert "my own mistake" in watch.facts.events[-1].text


def test_a_loss_between_two_bars_has_the_time_at_which_it_was_heard(market: Market) -> None:
    """Not that of the last bar, which may be a minute old."""
    watch, broker = SessionWatch(), market(MSFT=[10, 11])
    trader = Trader(broker, Scripted(at_bar(9, buy)), plan("MSFT"), [watch])
    trader.run()
    watch.heard(ConnectionChanged(Mode.PAPER, connected=False, reason="1100 no link"))
    assert watch.facts is not None
    assert watch.facts.events[-1].time == broker.now()
    later = broker.now() + 30 * NS
    broker.now = lambda: later  # type: ignore[method-assign]
    watch.heard(ConnectionChanged(Mode.PAPER, connected=True))
    assert watch.facts.events[-1].time == later


def test_an_order_without_an_answer_is_seen_as_such(market: Market) -> None:
    """It may be at the venue."""
    watch = SessionWatch()
    Trader(market(MSFT=[10, 11]), Scripted(at_bar(9, buy)), plan("MSFT"), [watch]).run()
    watch.answered(Order(Contract("MSFT"), Action.BUY, Decimal(1)), OrderOutcomeUnknownError("no answer within 5 s"))
    watch.idle()
    assert watch.facts is not None
    line = watch.facts.events[-1]
    assert (line.tone, line.text) == (
        Tone.ERROR,
        "BUY 1 MSFT MKT: what became of it is not known: no answer within 5 s",
    )


def test_a_lost_connection_and_a_message_of_the_venue_are_lines() -> None:
    """What bears no time gets the session's."""
    lost = told(ConnectionChanged(Mode.PAPER, connected=False, reason="1100 no link"), 7)
    assert lost is not None
    assert (lost.time, lost.tone, lost.text) == (7, Tone.ERROR, "the connection is LOST: 1100 no link")
    notice = told(Notice(9, 2103, "a farm is down"), 7)
    assert notice is not None
    assert (notice.time, notice.text) == (9, "2103: a farm is down")
