"""A scenario's file: what it says, and the error for what it cannot say."""

import math
import re
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.errors import ConfigurationError
from src.gateways.scenario import Action, Rule, read_scenario, scenario_of
from tests.conftest import ROOT


def only(text: str) -> Rule:
    (rule,) = scenario_of(text).rules
    return rule


def test_a_rule_names_messages_by_ibs_words() -> None:
    rule = only("- on: execDetails\n  action: drop\n  after: 2\n  count: 1\n  client: 3\n")
    assert rule.on is not None
    assert set(rule.on.names) == {"execDetails"}
    assert (rule.action, rule.after, rule.count, rule.client) == (Action.DROP, 2, 1, 3)
    assert rule.place == "scenario line 1"


def test_on_stands_for_itself_and_a_colon_for_the_time_of_day() -> None:
    """YAML 1.1 would make of them a truth value and a number."""
    rule = only("- {on: ticks, at: 10:30, action: drop}")
    assert rule.at_time == 10 * 3600 + 30 * 60
    assert rule.on is not None
    assert {"tickPrice", "tickSize", "tickString", "tickByTickBidAsk"} <= rule.on.names


@pytest.mark.parametrize(
    ("code", "action"),
    [
        (201, "refuse"),
        (110, "refuse"),
        (354, "refuse"),
        (10148, "refuse"),
        (7, "refuse"),
        (10349, "warn"),
        (399, "warn"),
    ],
)
def test_a_code_refuses_unless_tws_tells_it_of_what_goes_on(code: int, action: str) -> None:
    assert only(f"- {{on: newOrder, code: {code}}}").action == action
    assert only(f"- {{on: newOrder, code: {code}, action: warn}}").action == Action.WARN


def test_a_code_by_itself_is_told_to_all_in_tws_words() -> None:
    rule = only("- {at: 2.5, code: 1100, count: 4}")
    assert (rule.on, rule.action, rule.at, rule.count) == (None, Action.WARN, 2.5, 4)
    assert rule.text.startswith("Connectivity between IB")
    assert only("- {at: 0, code: 1100, text: gone}").text == "gone"


def test_values_have_the_type_of_their_field() -> None:
    rule = only("- {on: tickPrice, where: {tickType: 4}, action: change, set: {price: .nan}}")
    assert rule.on is not None
    assert rule.on.where == {"tickType": 4}
    assert math.isnan(rule.changes["price"])
    placed = only("- {on: placeOrder, where: {orderType: LMT, totalQuantity: 10, transmit: true}, action: drop}")
    assert placed.on is not None
    assert placed.on.where == {"orderType": "LMT", "totalQuantity": Decimal(10), "transmit": True}


def test_an_order_by_hand() -> None:
    rule = only("- {at: 0, action: order, order: {symbol: NVDA, action: SELL, quantity: 5, clientId: 7}}")
    assert rule.order is not None
    assert (rule.order.symbol, rule.order.side, rule.order.quantity, rule.order.client_id) == (
        "NVDA", "SELL", Decimal(5), 7
    )  # fmt: skip


WRONG = {
    "- {onn: x}": "line 1: no such key 'onn': did you mean on?",
    "\n- {on: execDetail, action: drop}": "line 2: unknown word 'execDetail': did you mean execDetails?",
    "- {on: execDetails}": "line 1: a rule needs an `action`, or a `code`",
    "- {on: execDetails, action: explode}": "unknown word 'explode': expected ",
    "- {at: 3, action: drop}": "drop cannot be done by a rule without `on`",
    "- {on: newOrder, action: duplicate}": "duplicate cannot be done by newOrder",
    "- {on: connect, code: 201}": "there is no request to answer yet",
    "- {on: execDetails, action: drop, seconds: 3}": "`seconds`: belongs to delay, hang, restart, not to drop",
    "- {on: execDetails, action: delay}": "delay needs `seconds`",
    "- {on: tickPrice, where: {ticktype: 3}, action: drop}": "no such field 'ticktype': did you mean tickType?",
    "- {on: tickPrice, action: change, set: {prize: 3}}": "no such field 'prize': did you mean price?",
    "- {on: [tickPrice, tickSize], action: change, set: {size: 3}}": "the fields of one kind of answer",
    "- {on: orderStatus, action: change, set: {filled: many}}": "expected decimal, not 'many'",
    "- {on: commissionReport, action: reorder, until: newOrder}": "`until`: names an answer",
    "- {action: reset}": "a rule needs `on` (which message) or `at` (when)",
    "- {at: 25:00, code: 1100}": "'25:00' is no time of day",
    "- {at: soon, code: 1100}": "expected a number from 0.0 on, not 'soon'",
    "- {on: newOrder, code: 201, probability: 2}": "`probability`: is above 0 and at most 1",
    "- {on: newOrder, code: 201, count: 0}": "`count`: expected a whole number from 1 on, not '0'",
    "- {at: 1, code: 1100, after: 1}": "`after`: needs `on`",
    "- {at: 1, action: order, order: {symbol: NVDA}}": "an order needs `action`",
    "- {at: 1, action: order}": "order needs `order`",
    "- {at: 1, action: correct}": "correct needs `price`, `shares` or both",
    "- {on: a, on: b}": "`on` is given twice",
    "- drop": "a rule is a mapping",
    "on: x": "must be a list of rules",
    "- [": "is not valid YAML",
}


@pytest.mark.parametrize(("text", "words"), WRONG.items(), ids=range(len(WRONG)))
def test_what_it_cannot_say_is_an_error_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        scenario_of(text, "storm.yaml")
    assert words in str(caught.value)
    assert str(caught.value).startswith("storm.yaml")


def test_every_example_of_the_guide_is_a_scenario() -> None:
    guide = (ROOT / "docs" / "paper_gateway.md").read_text(encoding="utf-8")
    rules = [rule for text in guide.split("```yaml\n")[1:] for rule in scenario_of(text.split("```")[0]).rules]
    rules += [rule for line in re.findall(r'gateway.play\("(.+)"\)', guide) for rule in scenario_of(line).rules]
    assert len(rules) > 30
    told = {action for action in Action if f"| `{action}`" in guide or f", `{action}` |" in guide}
    assert told == set(Action)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_scenario(tmp_path / "nowhere.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_scenario(tmp_path / "empty.yaml").rules == ()
