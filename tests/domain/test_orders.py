"""An order that exists is well formed, whoever makes it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from src.domain.errors import InvalidOrderError, shown
from src.domain.market import Contract
from src.domain.orders import AccountId, Action, Order, OrderId, OrderType, TimeInForce


def order(**fields: Any) -> Order:
    return Order(Contract("NVDA"), Action.BUY, Decimal(1), **fields)


@pytest.mark.parametrize("ref", [None, 5, b"ref", "a\0b", "a\nb", "a" * 41, "\N{GREEK SMALL LETTER ALPHA}"])
def test_a_reference_is_a_short_word(ref: object) -> None:
    """A NUL in it would be a field's end to TWS, and shift all that follow."""
    with pytest.raises(InvalidOrderError, match="order_ref"):
        order(order_ref=ref)


@pytest.mark.parametrize("group", [None, 5, "a\0b"])
def test_a_group_has_no_end_within(group: object) -> None:
    with pytest.raises(InvalidOrderError, match="oca_group"):
        order(oca_group=group)


def test_a_plain_reference_and_group_are_taken() -> None:
    made = order(order_ref="my-strategy 1", oca_group="either, or")
    assert (made.order_ref, made.oca_group) == ("my-strategy 1", "either, or")


def test_a_message_shows_any_value_in_short() -> None:
    """Python itself refuses to write out an integer of so many digits."""
    assert shown("five") == "'five'"
    assert shown("x" * 99) == "'" + "x" * 56 + "..."
    assert shown(10**5000) == "an int of thousands of digits"


ASKED = Order(
    Contract("MSFT"),
    Action.SELL,
    Decimal(7),
    OrderType.STOP_LIMIT,
    Decimal("99.5"),
    Decimal("99.75"),
    TimeInForce.GTC,
    outside_rth=True,
    oca_group="exits",
    parent_id=OrderId(3),
)


def test_an_addressed_order_differs_in_contract_account_and_reference_alone() -> None:
    qualified = Contract("MSFT", con_id=272093)
    assert ASKED.addressed(qualified, AccountId("SIM0001"), "s1-7") == replace(
        ASKED, contract=qualified, account=AccountId("SIM0001"), order_ref="s1-7"
    )


@pytest.mark.parametrize("reference", ["x" * 41, "s\u00e9ance"])
def test_no_order_is_addressed_with_a_reference_that_tws_does_not_take(reference: str) -> None:
    with pytest.raises(InvalidOrderError, match="order_ref"):
        ASKED.addressed(Contract("MSFT"), AccountId("SIM0001"), reference)
