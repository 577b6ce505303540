"""`sma` decides at every bar exactly what its definition says, however its sums are kept."""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.domain.errors import ConfigurationError
from src.domain.market import Bar, Contract
from src.domain.orders import Action, Execution, Fill, Order, OrderId
from src.trading.portfolio import Portfolio
from src.trading.sma import MovingAverageCross

MSFT, AAPL = Contract("MSFT", con_id=1), Contract("AAPL", con_id=2)
MINUTE = 60_000_000_000


def bar(close: float, contract: Contract = MSFT) -> Bar:
    """A bar of which only the close matters."""
    return Bar(contract, 0, MINUTE, close, close, close, close, 100.0)


class Fills:
    """Fills each order at once, as the market would before the next bar."""

    def __init__(self, portfolio: Portfolio) -> None:
        self.portfolio, self.count = portfolio, 0

    def __call__(self, order: Order) -> None:
        """Send the order and fill all of it at 1 dollar."""
        self.count += 1
        reference = f"test-{self.count}"
        sent = Order(order.contract, order.action, order.quantity, order_ref=reference)
        self.portfolio.sent(sent)
        price = Decimal(1)
        execution = Execution(
            reference, OrderId(1), order.contract, order.account, order.action, order.quantity, price, 0,
            order.quantity, price, reference,
        )  # fmt: skip
        self.portfolio.filled(Fill(execution))


def decisions(closes: Sequence[float], fast: int = 10, slow: int = 50) -> list[str]:
    """What the strategy does at each bar: B, S or a dot."""
    portfolio, strategy = Portfolio(), MovingAverageCross(fast, slow)
    fill, out = Fills(portfolio), []
    for close in closes:
        orders = strategy.on_bar(bar(close), portfolio)
        out.append(orders[0].action.value[0] if orders else ".")
        for order in orders:
            fill(order)
    return out


def by_definition(closes: Sequence[float], fast: int, slow: int) -> list[str]:
    """The same, from exact means of each window."""
    window: deque[Fraction] = deque(maxlen=slow)
    long, out = False, []
    for close in closes:
        window.append(Fraction(close))
        decision = "."
        if len(window) == slow:
            last = list(window)
            d = float(round(sum(last[-fast:], Fraction()) / fast - sum(last, Fraction()) / slow, 9))
            if d > 0 and not long:
                decision, long = "B", True
            elif d < 0 and long:
                decision, long = "S", False
        out.append(decision)
    return out


cents = st.integers(1, 2_000).map(lambda n: n / 100)
finer = st.integers(1, 200_000_000).map(lambda n: n / 10_000)
anything = st.floats(0.01, 1e6)
# None whose averages lie half of 1e-9 apart: there the ninth decimal hangs on the last bit of a sum.
near_ties = st.sampled_from([100.0, 100.01, 100.01 + 1e-13, 100.0 + 6e-9])
walks = st.lists(st.integers(-2, 2), min_size=60, max_size=400).map(
    lambda steps: [round(100 + sum(steps[: i + 1]) / 100, 2) for i in range(len(steps))]
)


@given(
    st.one_of(walks, *(st.lists(prices, min_size=12, max_size=150) for prices in (cents, finer, anything, near_ties))),
    st.sampled_from([(10, 50), (2, 5), (1, 2), (3, 7)]),
)
def test_it_decides_as_defined_at_every_bar(closes: list[float], lengths: tuple[int, int]) -> None:
    """Against exact arithmetic on each window, for cents, finer prices, floats without end, and near ties."""
    assert decisions(closes, *lengths) == by_definition(closes, *lengths)


def test_it_decides_as_defined_over_a_long_walk_with_wild_prices() -> None:
    """Running sums that drift would be found out: a million dollars, then a cent, then back, for 20,000 bars."""
    closes = [(1e6, 0.01, 123.456)[(i // 37) % 3] + (i * 7919 % 101) / 100 for i in range(20_000)]
    made = decisions(closes)
    assert made == by_definition(closes, 10, 50)
    assert made.count("B") > 100


def test_a_flat_market_is_never_bought() -> None:
    """Equal averages are neither above nor below, whatever binary fractions make of 0.1."""
    assert set(decisions([0.1] * 500 + [171.1] * 500)[60:500]) == {"."}
    assert set(decisions([171.07] * 1000)) == {"."}


def test_the_first_decision_falls_on_the_fiftieth_bar() -> None:
    """Rising from the start: nothing before the slow average is full, and the purchase on the bar that fills it."""
    assert decisions([100.0 + i for i in range(60)]) == ["."] * 49 + ["B"] + ["."] * 10
    assert MovingAverageCross().warm_up == 49


def test_it_buys_the_quantity_of_the_symbol_and_sells_all_it_holds() -> None:
    """The session's number for MSFT, whole, both ways."""
    portfolio, strategy = Portfolio({"MSFT": Decimal(7)}), MovingAverageCross(1, 2)
    fill = Fills(portfolio)
    strategy.on_bar(bar(100), portfolio)
    (buy,) = strategy.on_bar(bar(101), portfolio)
    assert (buy.action, buy.quantity, buy.contract) == (Action.BUY, Decimal(7), MSFT)
    fill(buy)
    (sell,) = strategy.on_bar(bar(99), portfolio)
    assert (sell.action, sell.quantity) == (Action.SELL, Decimal(7))


def test_an_order_that_still_works_is_never_doubled() -> None:
    """Above, flat, and a purchase under way: it waits."""
    portfolio, strategy = Portfolio(), MovingAverageCross(1, 2)
    strategy.on_bar(bar(100), portfolio)
    (buy,) = strategy.on_bar(bar(101), portfolio)
    portfolio.sent(Order(MSFT, buy.action, buy.quantity, order_ref="test-1"))
    assert list(strategy.on_bar(bar(102), portfolio)) == []
    portfolio.refused(Order(MSFT, buy.action, buy.quantity, order_ref="test-1"))
    assert len(strategy.on_bar(bar(103), portfolio)) == 1


def test_symbols_do_not_mix() -> None:
    """Two symbols in turn decide as each alone."""
    portfolio, strategy = Portfolio(), MovingAverageCross(1, 2)
    strategy.on_bar(bar(100, MSFT), portfolio)
    assert not strategy.on_bar(bar(500, AAPL), portfolio)
    assert not strategy.on_bar(bar(400, AAPL), portfolio)
    (order,) = strategy.on_bar(bar(101, MSFT), portfolio)
    assert order.contract is MSFT


def test_it_says_what_it_saw_decided_and_why() -> None:
    """Too early, a purchase, and nothing to do."""
    portfolio, strategy = Portfolio(), MovingAverageCross(1, 2)
    assert strategy.explain() == "no bar yet"
    strategy.on_bar(bar(100), portfolio)
    assert "needs 1 bars more" in strategy.explain()
    (order,) = strategy.on_bar(bar(101), portfolio)
    assert strategy.explain() == (
        "MSFT closed at 101: mean of 1 101.0000 above mean of 2 100.5000 (d +0.5); flat, so it buys"
    )
    Fills(portfolio)(order)
    strategy.on_bar(bar(102), portfolio)
    assert "nothing to do" in strategy.explain()
    strategy.on_bar(bar(90), portfolio)
    assert strategy.explain().endswith("below mean of 2 96.0000 (d -6); long, so it sells all")


@pytest.mark.parametrize(("fast", "slow"), [(50, 10), (10, 10), (0, 5), (-1, 5)])
def test_lengths_that_make_no_cross_are_refused(fast: int, slow: int) -> None:
    """The fast average must be the shorter one."""
    with pytest.raises(ConfigurationError, match="0 < fast < slow"):
        MovingAverageCross(fast, slow)
