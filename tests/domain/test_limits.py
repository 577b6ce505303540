"""The limits: a table for each mode, what is written in place of a default, and what may never be lifted."""

from decimal import Decimal

import pytest

from src.domain.errors import ConfigurationError
from src.domain.limits import FIELDS, Cap, limits_for
from src.domain.market import Mode

_WRITTEN = {
    "RISK_MAX_ORDER_QTY": ("7", Decimal(7)),
    "RISK_MAX_ORDER_VALUE": ("25000,10%", Cap(Decimal(25_000), Decimal("0.1"))),
    "RISK_MAX_POSITION": ("1_000", Decimal(1000)),
    "RISK_MAX_GROSS": ("150%", Cap(fraction=Decimal("1.5"))),
    "RISK_MAX_OPEN_ORDERS": ("20, 4", (20, 4)),
    "RISK_PRICE_COLLAR": ("2.5", Decimal("0.025")),
    "RISK_MAX_SPREAD": ("1%", Decimal("0.01")),
    "RISK_MAX_QUOTE_AGE": ("0.5", Decimal("0.5")),
    "RISK_ORDERS_PER_MINUTE": ("5", (5, 5)),
    "RISK_DUPLICATE_SECONDS": ("1", Decimal(1)),
    "RISK_ROUND_TRIPS_PER_DAY": ("3", 3),
    "RISK_MAX_DAILY_LOSS": ("$200", Cap(Decimal(200))),
    "RISK_MAX_DRAWDOWN": ("5%", Decimal("0.05")),
    "RISK_REJECT_STREAK": ("2", 2),
    "RISK_HOURS": ("0", Decimal(0)),
    "RISK_SHORT_SALES": ("allow", True),
}


def test_every_limit_can_be_written() -> None:
    assert _WRITTEN.keys() == FIELDS.keys()
    for name, (text, value) in _WRITTEN.items():
        assert getattr(limits_for(Mode.PAPER, {name: text}), FIELDS[name][0]) == value


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "RISK_SHORT_SALES"])
def test_off_lifts_a_limit_of_play_money_and_never_of_real_money(name: str) -> None:
    for mode in (Mode.SIMULATED, Mode.PAPER):
        assert getattr(limits_for(mode, {name: "OFF"}), FIELDS[name][0]) is None
    with pytest.raises(ConfigurationError, match=name):
        limits_for(Mode.LIVE, {name: "off"})


def test_off_says_nothing_of_short_sales() -> None:
    """It could mean either: no short sales, or no limit on them."""
    with pytest.raises(ConfigurationError, match="RISK_SHORT_SALES must be refuse or allow"):
        limits_for(Mode.PAPER, {"RISK_SHORT_SALES": "off"})
    with pytest.raises(ConfigurationError, match="cannot be lifted"):
        limits_for(Mode.LIVE, {"RISK_SHORT_SALES": "allow"})


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "much", "1,2,3", "5%,6%", "1e999999999999"])
def test_what_cannot_be_meant_is_an_error_that_says_how_it_is_written(name: str, text: str) -> None:
    if name == "RISK_SHORT_SALES" or text != "5%,6%":
        with pytest.raises(ConfigurationError, match=f"{name} must be"):
            limits_for(Mode.PAPER, {name: text})


def test_the_modes_differ() -> None:
    simulated, paper, live = (
        limits_for(mode, {}, symbols=("NVDA",)) for mode in (Mode.SIMULATED, Mode.PAPER, Mode.LIVE)
    )
    assert simulated.max_order_value is None
    assert simulated.short_sales
    assert simulated.is_plain
    assert not limits_for(Mode.SIMULATED, {"RISK_MAX_POSITION": "10"}).is_plain
    assert not paper.is_plain
    assert simulated.max_order_quantity is not None
    assert paper.max_delayed_age is not None
    assert live.max_delayed_age is None
    assert paper.symbols is None
    assert live.symbols == frozenset({"NVDA"})
    assert limits_for(Mode.SIMULATED, {}, full=True) == paper


def test_a_cap_is_the_lower_of_dollars_and_a_part_of_the_account() -> None:
    cap = Cap(Decimal(25_000), Decimal("0.25"))
    assert cap.of(Decimal(40_000)) == 10_000
    assert cap.of(Decimal(400_000)) == 25_000
    assert Cap(fraction=Decimal("0.5")).of(Decimal(10)) == 5
