"""Why an order is rejected: TWS's codes and texts, and the reason class they fall into."""

from enum import StrEnum
from typing import Final, NamedTuple


class RejectClass(StrEnum):
    """What a rejection is about."""

    MARGIN = "margin"
    SIZE = "size"
    PRICE = "price"
    CLOSED = "closed"
    SHORT = "short"
    TICK = "tick"
    CONTRACT = "contract"
    OTHER = "other"


class Rejection(NamedTuple):
    """A venue's refusal: its TWS code and text."""

    code: int
    text: str

    @property
    def reject_class(self) -> RejectClass:
        """The class of this rejection."""
        return classify(self.code, self.text)


REJECTED: Final = 201
TICK_SIZE: Final = 110
NO_CONTRACT: Final = 200
CANCELLED: Final = 202
HELD: Final = 399
HELD_TEXT: Final = "Order Message:\nWarning: Your order will not be placed at the exchange until the next open."
#: A warning of an order that goes its way; the code is that of `HELD`.
ORDER_MESSAGE: Final = 399
UNKNOWN_ORDER: Final = 135
CANCEL_UNKNOWN: Final = 10147
CANCEL_TOO_LATE: Final = 10148

_PREFIX: Final = "Order rejected - reason:"


def off_tick() -> Rejection:
    """110: the price does not lie on the contract's tick."""
    return Rejection(TICK_SIZE, "The price does not conform to the minimum price variation for this contract.")


def no_contract(symbol: str) -> Rejection:
    """200: the contract is not known here."""
    return Rejection(NO_CONTRACT, f"No security definition has been found for the request: {symbol}")


def insufficient_funds(needed: str, available: str) -> Rejection:
    """201, margin: the order would need more than the account has."""
    return Rejection(
        REJECTED,
        f"{_PREFIX}Available funds are insufficient: the initial margin with this order is {needed} USD, "
        f"equity with loan value {available} USD",
    )


def too_large(limit: int) -> Rejection:
    """201, size: more shares than the venue takes in one order."""
    return Rejection(REJECTED, f"{_PREFIX}The order size exceeds the maximum of {limit} shares")


def below_filled(filled: int) -> Rejection:
    """201, size: a change to less than what has traded."""
    return Rejection(REJECTED, f"{_PREFIX}The order size is below the {filled} shares already filled")


def price_too_far(percent: int) -> Rejection:
    """201, price: a price far through the market."""
    return Rejection(REJECTED, f"{_PREFIX}The price is more than {percent} percent through the market")


def exchange_closed() -> Rejection:
    """201, closed: an order that works at once or never, while nothing trades."""
    return Rejection(REJECTED, f"{_PREFIX}The exchange is closed, the order cannot be immediate")


def not_shortable(symbol: str) -> Rejection:
    """201, short: no shares to borrow, or short sales are off."""
    return Rejection(REJECTED, f"{_PREFIX}The contract is not available for short sale: {symbol}")


def in_dollars_only(name: str) -> Rejection:
    """201: the account's money is dollars, and a pair quoted in another currency would leave it with a debt in that."""
    return Rejection(REJECTED, f"{_PREFIX}Only pairs quoted in USD trade here: {name} has prices alone")


def orphan(parent_id: int) -> Rejection:
    """201: the order that an exit belongs to is not there any more."""
    return Rejection(REJECTED, f"{_PREFIX}The parent order {parent_id} is not working")


def no_exit(parent_id: int) -> Rejection:
    """201: a child that would not close what its parent opens, which is the only kind that is simulated."""
    return Rejection(REJECTED, f"{_PREFIX}The order does not close what its parent order {parent_id} opens")


def odd_lot(what: str, currency: str, lot: int) -> str:
    """The text of 399 for a pair's order below the exchange's smallest."""
    return (
        f"Order Message:\n{what} Forex\nWarning: Your order size is below the {currency} {lot} IdealPro minimum "
        "and will be routed as an odd lot order."
    )


def too_many_active(limit: int) -> Rejection:
    """201: more orders at work than IB takes on one side of a contract."""
    return Rejection(
        REJECTED, f"{_PREFIX}There are {limit} active orders already on this side of the contract in this account"
    )


def classify(code: int | None, text: str) -> RejectClass:
    """The class of a rejection, from its TWS code and, for 201, its English text."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    lowered = text.lower()
    for reject_class, words in _BY_WORDS:
        if any(word in lowered for word in words):
            return reject_class
    return RejectClass.OTHER


_BY_CODE: Final = {TICK_SIZE: RejectClass.TICK, NO_CONTRACT: RejectClass.CONTRACT}
_BY_WORDS: Final = (
    (RejectClass.SHORT, ("short",)),
    (RejectClass.MARGIN, ("margin", "funds", "buying power")),
    (RejectClass.SIZE, ("size",)),
    (RejectClass.CLOSED, ("closed",)),
    (RejectClass.PRICE, ("price",)),
)
