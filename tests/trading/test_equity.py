"""The equity curve of a session at bar closes."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from src.domain.market import Bar, Contract
from src.trading.equity import Equity

MSFT = Contract("MSFT")


def bar(close: float, symbol: str = "MSFT") -> Bar:
    """A bar of which only the close matters."""
    return Bar(Contract(symbol), 0, 1, close, close, close, close, 1.0)


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=50))
def test_the_drawdown_is_the_deepest_fall_from_a_peak(closes: list[float]) -> None:
    """Against the definition, for 100 shares held through every close."""
    equity = Equity(100_000.0)
    equity.traded("MSFT", Decimal(100), Decimal(100))
    equity.paid(Decimal(-10_000))
    curve = [100_000.0] + [90_000 + 100 * close for close in closes]
    for close in closes:
        equity.mark([bar(close)])
    deepest = max((max(curve[: i + 1]) - value) / max(curve[: i + 1]) for i, value in enumerate(curve))
    assert abs(equity.max_drawdown - deepest) < 1e-12
    assert abs(equity.value - curve[-1]) < 1e-6


def test_a_flat_session_needs_no_marking_after_the_bar_that_saw_its_sale() -> None:
    """What the sale cost shows at the next close; then nothing can change."""
    equity = Equity(1000.0)
    assert equity.idle
    equity.traded("MSFT", Decimal(0), Decimal(10))
    equity.paid(Decimal(-100))
    assert not equity.idle
    equity.mark([bar(10)])
    assert (equity.idle, equity.value, equity.max_drawdown) == (True, 900.0, 0.1)


def test_a_symbol_without_a_bar_keeps_its_last_price() -> None:
    """Two symbols, one of which does not trade in this minute."""
    equity = Equity(0.0)
    for symbol in ("MSFT", "AAPL"):
        equity.traded(symbol, Decimal(1), Decimal(10))
    equity.paid(Decimal(-20))
    equity.mark([bar(20, "MSFT")])
    assert equity.value == 10
