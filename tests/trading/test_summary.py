"""What a session came to, for a person and for a program."""

import json

import pytest

from src.trading.summary import Prices, SessionSummary, text

SUMMARY = SessionSummary(
    "simulated", ("MSFT", "AAPL"), "2019-02-11T14:30:00Z", "2019-02-15T21:00:00Z", 3896, 117, 117, 117.0, -306.7, 24.0,
    99_717.3, 0.0045, 0.0251, 155_000.4,
)  # fmt: skip


def test_the_json_has_exactly_the_promised_names() -> None:
    """Their order, their types, and nothing else."""
    document = json.loads(json.dumps(SUMMARY.as_json()))
    assert " ".join(document) == (
        "mode symbols start end bars orders fills commissions realized_pnl unrealized_pnl final_equity max_drawdown"
        " seconds bars_per_second"
    )
    assert document["symbols"] == ["MSFT", "AAPL"]
    assert all(isinstance(document[name], int) for name in ("bars", "orders", "fills"))


def test_a_person_finds_every_figure() -> None:
    """With its unit."""
    shown = text(SUMMARY, Prices.RECORDED, ("Still held: 100 MSFT.",))
    for part in (
        "simulated", "MSFT AAPL", "2019-02-11 14:30:00 to 2019-02-15 21:00:00 UTC", "3,896 in 0.03 s",
        "155,000 bars per second", "$117.00", "-$306.70 net of commissions", "$24.00", "$99,717.30", "0.45%",
        "Still held: 100 MSFT.",
    ):  # fmt: skip
        assert part in shown


@pytest.mark.parametrize(
    ("prices", "says"),
    [
        (Prices.SEEDED, "the P&L says nothing about the strategy"),
        (Prices.RECORDED, "Prices are recorded, fills are simulated"),
        (Prices.MARKET, ""),
    ],
)
def test_it_says_what_the_prices_are_worth(prices: Prices, says: str) -> None:
    """Invented and recorded prices are named; a real market needs no word."""
    shown = text(SUMMARY, prices)
    assert says in shown
    assert ("rices are" in shown) == bool(says)
