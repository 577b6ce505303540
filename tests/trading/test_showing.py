"""What a strategy is shown, what of its wishes is sent, and what halts it."""

from collections.abc import Sequence
from decimal import Decimal
from types import TracebackType

import pytest

from src.domain.market import Bar, Contract
from src.domain.orders import Action, Order
from src.trading.portfolio import Portfolio
from src.trading.showing import Showing

MSFT = Contract("MSFT", con_id=1)
BUY = Order(MSFT, Action.BUY, Decimal(1))
BARS = tuple(Bar(MSFT, minute, minute + 1, 100.0, 100.0, 100.0, 100.0, 1.0) for minute in range(3))


class Buyer:
    """Wants to buy at every bar, until one at which it fails."""

    warm_up = 0

    def __init__(self, fails_at: int | None = None) -> None:
        self.seen: list[Bar] = []
        self._fails_at = fails_at

    def on_bar(self, bar: Bar, portfolio: Portfolio) -> Sequence[Order]:  # noqa: ARG002  # it looks at none
        """Buy."""
        self.seen.append(bar)
        if bar.start == self._fails_at:
            raise LookupError("no idea")
        return (BUY,)

    def explain(self) -> str:
        """Say nothing of use."""
        return "because"


def shown(strategy: Buyer) -> tuple[Showing, list[str], list[Sequence[Order]]]:
    """What shows it, and where mistakes and orders go."""
    halts: list[str] = []

    def halt(message: str, error: BaseException, trace: TracebackType | None) -> None:
        assert trace is None or trace.tb_frame.f_code.co_filename == __file__
        halts.append(message % error)

    return Showing(strategy, Portfolio({}), halt), halts, []


def test_only_what_is_wanted_at_a_bar_that_closes_is_sent(caplog: pytest.LogCaptureFixture) -> None:
    """The bars before the session and those it has missed are seen, and the second kind is counted."""
    strategy = Buyer()
    showing, halts, sent = shown(strategy)
    showing.before(BARS[:1])
    assert showing.missed(BARS[1:2])
    assert not sent
    assert "that it has missed" in caplog.text
    showing.closed(BARS[2:], {"MSFT"}, sent.append)
    assert (sent, strategy.seen, showing.bars, halts) == ([(BUY,)], list(BARS), 2, [])


def test_a_mistake_halts_it_and_shows_it_no_more_of_the_instant() -> None:
    """Wherever it is made; the message says whether it was on history, and the trace begins at the strategy."""
    for first, message in ((0, "the strategy failed on its history"), (1, "the strategy failed and")):
        strategy = Buyer(fails_at=first)
        showing, halts, sent = shown(strategy)
        (showing.before if first == 0 else showing.missed)(BARS)
        assert len(strategy.seen) == first + 1
        assert [each.startswith(message) and "no idea" in each for each in halts] == [True]
        assert (sent, showing.bars) == ([], 0)


def test_an_order_for_another_contract_halts_it() -> None:
    """Nothing of it is sent."""
    showing, halts, sent = shown(Buyer())
    showing.closed(BARS, {"AAPL"}, sent.append)
    assert (len(halts), sent) == (1, [])
