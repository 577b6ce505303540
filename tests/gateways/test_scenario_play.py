"""The course of a scenario: which rule acts on what, and when."""

from decimal import Decimal

from src.gateways.scenario import Moment, Play, scenario_of
from src.gateways.tws_codec import OrderStatusMessage, TickPrice

START = Moment(0.0, 10 * 3600)


def status(word: str) -> OrderStatusMessage:
    return OrderStatusMessage(1, word, Decimal(0), Decimal(10))


def acted(play: Play, matches: int, now: Moment = START, client: int = 1) -> list[bool]:
    return [play.judge(("orderStatus",), status("Filled"), client, now) is not None for _ in range(matches)]


def test_after_lets_matches_pass_and_count_ends_it() -> None:
    play = Play(scenario_of("- {on: orderStatus, action: drop, after: 2, count: 3}"))
    assert acted(play, 7) == [False, False, True, True, True, False, False]


def test_the_first_rule_that_is_due_decides() -> None:
    play = Play(scenario_of("- {on: orderStatus, action: drop, count: 1}\n- {on: orderStatus, action: duplicate}"))
    told = [play.judge(("orderStatus",), status("Filled"), 1, START) for _ in range(2)]
    assert [rule.action if rule else None for rule in told] == ["drop", "duplicate"]


def test_where_and_client_narrow_it() -> None:
    play = Play(scenario_of("- {on: orderStatus, where: {status: Cancelled, orderId: 1}, client: 2, action: drop}"))
    assert play.judge(("orderStatus",), status("Filled"), 2, START) is None
    assert play.judge(("orderStatus",), status("Cancelled"), 1, START) is None
    assert play.judge(("tickPrice",), TickPrice(1, 1, 5.0), 2, START) is None
    assert play.judge(("orderStatus",), status("Cancelled"), 2, START) is not None


def test_with_on_at_is_when_a_rule_awakes() -> None:
    play = Play(scenario_of("- {on: orderStatus, action: drop, at: 5}"))
    assert acted(play, 1, Moment(4.9, 0)) == [False]
    assert acted(play, 1, Moment(5.0, 0)) == [True]
    play = Play(scenario_of("- {on: orderStatus, action: drop, at: 10:00:01}"))
    assert acted(play, 1, START) == [False]
    assert acted(play, 1, Moment(0.0, 10 * 3600 + 1)) == [True]


def test_the_same_seed_gives_the_same_faults() -> None:
    text = "- {on: orderStatus, action: drop, probability: 0.5}"
    one, same, other = (acted(Play(scenario_of(text), seed), 200) for seed in (7, 7, 8))
    assert one == same != other
    assert 70 < sum(one) < 130


def test_another_rule_does_not_move_a_rules_chances() -> None:
    text = "- {on: orderStatus, action: drop, probability: 0.5}"
    play = Play(scenario_of(text + "\n- {on: tickPrice, action: drop, probability: 0.5}"), 7)
    found = []
    for _ in range(100):
        play.judge(("tickPrice",), TickPrice(1, 1, 5.0), 1, START)
        found += acted(play, 1)
    assert found == acted(Play(scenario_of(text), 7), 100)


def test_a_rule_without_on_acts_when_its_moment_has_come() -> None:
    play = Play(scenario_of("- {at: 3, code: 1100, count: 2}\n- {at: 8, code: 1102}"))
    assert play.wait(START) == 3
    assert list(play.due(Moment(2.9, 0))) == []
    assert [rule.code for rule in play.due(Moment(3.0, 0))] == [1100, 1100]
    assert [rule.code for rule in play.due(Moment(3.1, 0))] == []
    assert play.wait(Moment(3.1, 0)) == 8 - 3.1
    assert [rule.code for rule in play.due(Moment(9.0, 0))] == [1102]
    assert not play.has_timed


def test_a_time_of_day_that_has_passed_already_is_tomorrows() -> None:
    play = Play(scenario_of("- {at: 09:30, code: 1100}"))
    assert list(play.due(START)) == []
    assert list(play.due(Moment(60.0, 9 * 3600))) == []
    assert [rule.code for rule in play.due(Moment(61.0, 9 * 3600 + 1800))] == [1100]


def test_rules_added_later_count_their_seconds_from_then() -> None:
    play = Play(scenario_of(""))
    play.add(scenario_of("- {at: 1, code: 1100}"), 100.0)
    assert list(play.due(Moment(100.5, 0))) == []
    assert len(list(play.due(Moment(101.0, 0)))) == 1
