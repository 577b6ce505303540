"""What is used of the limits, for who looks on."""

from decimal import Decimal

from src.brokers.headroom import Use, headroom
from src.domain.limits import RiskLimits, limits_for
from src.domain.market import Contract, Mode

D = Decimal


def test_each_limit_that_is_set_has_a_row_with_both_sides() -> None:
    """Two hundred lost of a thousand, one percent fallen of three."""
    use = Use(
        open_trades=(),
        sent_last_minute=4,
        round_trips=2,
        positions=((Contract("MSFT"), D(-300)), (Contract("NVDA"), D(100))),
        net_liquidation=D(99_000),
        peak=D(100_000),
        daily=D(-200),
    )
    assert [(row.rule, row.used, row.limit) for row in headroom(RiskLimits(), use)] == [
        ("open orders", "0", "10"),
        ("orders a minute", "4", "30"),
        ("round trips", "2", "20"),
        ("largest position", "300", "1,000"),
        ("day's loss", "$200", "$1,000"),
        ("drawdown", "1.00%", "3%"),
    ]


def test_what_is_not_known_is_a_dash_and_a_gain_is_no_loss() -> None:
    """No account values yet; then a day that went well."""
    rows = {row.rule: (row.used, row.limit) for row in headroom(RiskLimits(), Use())}
    assert rows["open orders"] == ("-", "10")
    assert rows["largest position"] == ("-", "1,000")
    assert rows["day's loss"] == ("-", "-")
    assert rows["drawdown"] == ("-", "3%")
    rows = {
        row.rule: (row.used, row.limit) for row in headroom(RiskLimits(), Use(daily=D(50), net_liquidation=D(1000)))
    }
    assert rows["day's loss"] == ("$0", "$20")


def test_play_money_has_no_such_limits() -> None:
    """A slip of the keyboard is all it is held against."""
    assert headroom(limits_for(Mode.SIMULATED, {}), Use()) == ()
