"""What a scenario says: rules, each of one fault. Frozen; how often they have acted is a `Play`'s affair."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from src.domain.orders import Action as Side
from src.domain.orders import OrderType
from src.gateways.scenario.words import ANSWER_CLASSES, CONNECT, GREETING, REQUEST_WORDS, value_at


class Action(StrEnum):
    """What a rule does."""

    REFUSE = "refuse"  # a request: its code instead of its effect; an answer: the code instead of it, and the end
    WARN = "warn"  # the code beside what happens anyway; by itself: to every client, under no request's id
    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    REORDER = "reorder"  # held back until right after the answer that `until` names
    CHANGE = "change"
    PARTIAL = "partial"  # only `shares` are on offer until the next quote
    CORRECT = "correct"  # the execution is corrected after it was told
    BUST = "bust"  # it is annulled: corrected to no shares
    ORDER = "order"  # an order that no client of the test has asked for
    LIQUIDATE = "liquidate"  # the position in `symbol` is closed for want of margin
    CANCEL = "cancel"  # every working order is cancelled, unasked
    RESET = "reset"  # RST
    CLOSE = "close"  # FIN
    HANG = "hang"  # neither read nor written, for `seconds` or for ever
    RESTART = "restart"  # every connection closed, nobody listening for `seconds`, orders kept


_ANYWHERE: Final = frozenset({Action.RESET, Action.CLOSE, Action.HANG, Action.RESTART})
_BY_ITSELF: Final = _ANYWHERE | {
    Action.WARN,
    Action.CORRECT,
    Action.BUST,
    Action.ORDER,
    Action.LIQUIDATE,
    Action.CANCEL,
}
_ON_REQUEST: Final = _ANYWHERE | {Action.REFUSE, Action.WARN, Action.DROP, Action.DELAY}
_ON_ANSWER: Final = _ON_REQUEST | {Action.DUPLICATE, Action.REORDER, Action.CHANGE}
_ON_EXECUTION: Final = _ON_ANSWER | {Action.CORRECT, Action.BUST}
_ORDERS: Final = frozenset({"placeOrder", "newOrder", "modifyOrder"})


def allowed_on(name: str) -> frozenset[Action]:
    """What can be done to what bears this name; "" for a rule that acts by itself."""
    if not name:
        return _BY_ITSELF
    if name == CONNECT:
        return _ANYWHERE
    if name == GREETING:
        return _ANYWHERE | {Action.DROP, Action.CHANGE}
    if name in REQUEST_WORDS:
        return _ON_REQUEST | {Action.PARTIAL} if name in _ORDERS else _ON_REQUEST
    return _ON_EXECUTION if name == "execDetails" else _ON_ANSWER


@dataclass(frozen=True, slots=True)
class Matching:
    """Which messages: by name, and by the values of fields (IB's name -> value)."""

    names: frozenset[str]
    where: Mapping[str, object] = field(default_factory=dict)
    #: Where those fields stand, by the message's class.
    paths: Mapping[type, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def fits(self, names: tuple[str, ...], message: object) -> bool:
        """Whether a message that bears `names` is meant."""
        if self.names.isdisjoint(names):
            return False
        if not self.where:
            return True
        paths = self.paths.get(type(message), {})
        return all(name in paths and value_at(message, paths[name]) == value for name, value in self.where.items())

    @property
    def is_answer(self) -> bool:
        """Whether it names answers only."""
        return self.names <= ANSWER_CLASSES.keys()


@dataclass(frozen=True, slots=True)
class ByHand:
    """An order that the gateway places by itself: of somebody at its screen, or of another client."""

    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    account: str = ""
    client_id: int = 0  # 0: made by hand, without an order id


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One fault. `on` None: the rule acts by itself when `at` has come; else it awakes then.

    `after` matches pass unharmed; each further one is hit with `probability`, `count` times in all (None: always).
    """

    action: Action
    on: Matching | None = None
    client: int | None = None
    code: int | None = None
    text: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    until: Matching | None = None
    seconds: float | None = None
    times: int = 2
    shares: Decimal | None = None
    price: Decimal | None = None
    order: ByHand | None = None
    symbol: str = ""
    at: float = 0.0  # seconds after the gateway's start
    at_time: int | None = None  # or the market's time of day, in seconds of New York's
    after: int = 0
    probability: float = 1.0
    count: int | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Rules in the order in which they are asked: the first that fits and is due decides."""

    rules: tuple[Rule, ...] = ()


NOTHING: Final = Scenario()
