"""What the soak calls growth: the day's orders are none, whatever else there is is."""

from collections.abc import Callable
from random import Random

import pytest

from tests.faults.soak import Growth, Sample, findings


def session(
    hours: float, memory: Callable[[float, int], float], *, threads: int = 5, written: int = 600
) -> list[Sample]:
    """Samples of a session that trades for five minutes and rests for five; `memory` by hours and orders."""
    found, orders, chance = list[Sample](), 0, Random(3)  # noqa: S311  # chance that can be repeated
    for number in range(int(hours * 240)):  # one each quarter of a minute
        hour = number / 240
        orders += 5 if number // 20 % 2 == 0 else 0
        noise = chance.gauss(0, 0.3)
        found.append(Sample(hour, threads, 24, 80 + noise + memory(hour, orders), written * orders / 2**20, orders))
    return found


def test_the_orders_of_the_day_are_no_growth(capsys: pytest.CaptureFixture[str]) -> None:
    """So many bytes each, which are said."""
    samples = session(8, lambda _, orders: 20_000 * orders / 2**20)
    assert findings(samples) == []
    assert 19_500 < Growth.of(samples).an_order < 20_500
    assert "too short" not in capsys.readouterr().out


def test_what_grows_by_itself_is_found_beside_the_orders() -> None:
    """Two megabytes an hour in the eight hours of a soak, with orders that take five times as much."""
    [found] = findings(session(8, lambda hour, orders: 20_000 * orders / 2**20 + 2 * hour))
    assert "beyond the orders" in found


def test_orders_that_take_too_much_are_found() -> None:
    """Forty kilobytes are more than a session needs."""
    [found] = findings(session(2, lambda _, orders: 40_000 * orders / 2**20))
    assert "an order takes" in found


def test_a_short_run_says_that_it_cannot_tell(capsys: pytest.CaptureFixture[str]) -> None:
    """It calls neither success what it has not seen, nor failure."""
    assert findings(session(0.2, lambda _, orders: 20_000 * orders / 2**20)) == []
    assert "too short to tell" in capsys.readouterr().out


def test_threads_and_a_journal_that_grow_are_found() -> None:
    """Whatever memory does."""
    samples = session(1, lambda _hour, _orders: 0.0, written=3_000)
    grown = [*samples[:-5], *(Sample(s.hours, 6, 24, s.memory, s.journal, s.orders) for s in samples[-5:])]
    assert [each.partition(" grew")[0] for each in findings(grown)] == ["I21: threads", findings(samples)[0]]
