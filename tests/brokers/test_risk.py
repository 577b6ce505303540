"""The pre-trade checks, rule by rule, and what holds of all of them together."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.brokers.exposure import Commitment, Exposure
from src.brokers.risk import check, check_bracket, check_change, lost_too_much
from src.brokers.risk_rules import Refusal
from src.domain.account import Position
from src.domain.limits import Cap, RiskLimits, limits_for
from src.domain.market import Contract, Mode, Quote, Shortability, ShortLevel, Source
from src.domain.orders import AccountId, Action, Bracket, Order, OrderChange, OrderId, OrderStatus, OrderType, Trade

NS = 1_000_000_000
NOW = 1_748_876_400 * NS
NVDA, MSFT = Contract("NVDA", con_id=1), Contract("MSFT", con_id=2)
LIVE = limits_for(Mode.LIVE, {}, symbols=("NVDA", "MSFT"))
PAPER = limits_for(Mode.PAPER, {})
BUY, SELL = Action.BUY, Action.SELL


def quote(bid: float = 99.99, ask: float = 100.01, age: float = 0.0, source: Source = Source.LIVE) -> Quote:
    """A quote of NVDA that is `age` seconds old."""
    return Quote(NVDA, NOW - int(age * NS), bid, ask, 100, 100, 100.0, source)


def held(shares: int, contract: Contract = NVDA) -> Position:
    """A position at 100 dollars a share."""
    amount = Decimal(shares)
    return Position(contract, AccountId("U1"), amount, Decimal(100), Decimal(100), amount * 100, Decimal(0), Decimal(0))


def exposure(**what: Any) -> Exposure:
    """A flat account of a million dollars in the middle of the day, with what is different."""
    usual: dict[str, Any] = {
        "now": NOW,
        "quote": quote(),
        "tick": Decimal("0.01"),
        "sessions": ((NOW - 3600 * NS, NOW + 3600 * NS),),
        "net_liquidation": Decimal(1_000_000),
        "available_funds": Decimal(1_000_000),
    }
    return Exposure(**usual | what)


def order(action: Action = BUY, quantity: int = 100, limit: str | None = None, stop: str | None = None) -> Order:
    """An order for NVDA whose prices tell its type."""
    kinds = {(False, False): OrderType.MARKET, (True, False): OrderType.LIMIT, (False, True): OrderType.STOP}
    kind = kinds.get((limit is not None, stop is not None), OrderType.STOP_LIMIT)
    limit_price, stop_price = (None if price is None else Decimal(price) for price in (limit, stop))
    return Order(NVDA, action, Decimal(quantity), kind, limit_price, stop_price)


def working(which: Order, number: int = 1, filled: int = 0) -> Commitment:
    """An order of ours that works."""
    return Commitment(which, which.quantity - filled, order_id=OrderId(number), filled=Decimal(filled))


def rule(refusal: Refusal | None) -> str | None:
    """The rule of a refusal."""
    return None if refusal is None else refusal.rule


def _sent(count: int) -> tuple[tuple[int, Order], ...]:
    return tuple((NOW - 9 * NS - number, order(quantity=number + 1)) for number in range(count))


_ASKED = order(SELL, limit="100.50")
_CASES: list[tuple[str | None, Order, dict[str, Any]]] = [
    (None, order(), {}),
    (None, order(limit="100.50"), {}),
    ("symbol", replace(order(), contract=Contract("TSLA", con_id=9)), {}),
    ("symbol", replace(order(), contract=Contract("NVDA", "OPT", con_id=9)), {}),
    ("order_quantity", order(quantity=501), {}),
    ("order_quantity", order(SELL, 501), {"positions": (held(1000),)}),
    ("order_value", order(quantity=251), {}),
    (None, order(quantity=249), {}),
    ("order_value", order(quantity=100), {"net_liquidation": Decimal(39_000)}),
    ("order_value", order(), {"net_liquidation": None}),
    ("tick", order(limit="100.005"), {}),
    ("tick", order(SELL, limit="100.005"), {"positions": (held(100),)}),
    ("hours", order(), {"sessions": ((NOW - 10, NOW + 299 * NS),)}),
    (None, order(), {"sessions": ((NOW - 10, NOW + 301 * NS),)}),
    ("hours", order(), {"sessions": ((NOW + NS, NOW + 3600 * NS),)}),
    ("hours", order(), {"sessions": ()}),
    (None, order(SELL), {"sessions": (), "positions": (held(100),)}),
    ("quote", order(), {"quote": None}),
    (None, order(SELL), {"quote": None, "positions": (held(100),)}),
    ("quote", order(), {"quote": quote(age=5.1)}),
    (None, order(), {"quote": quote(age=4.9)}),
    ("quote", order(), {"quote": quote(source=Source.DELAYED)}),
    ("senseless_quote", order(limit="100"), {"quote": quote(100.2, 100.1)}),
    (None, order(limit="100"), {"quote": quote(100.1, 100.1)}),
    ("senseless_quote", order(limit="100"), {"quote": quote()._replace(last=130.0)}),
    ("senseless_quote", order(limit="100"), {"quote": quote()._replace(last=70.0)}),
    (None, order(limit="100"), {"quote": quote()._replace(last=129.0)}),
    (None, order(limit="100"), {"quote": quote()._replace(last=float("nan"))}),
    ("senseless_quote", order(), {"suspect": "2 that make sense must come"}),
    (None, order(SELL), {"suspect": "2 that make sense must come", "positions": (held(100),)}),
    ("quote", order(), {"quote": quote(float("nan"), -1.0)._replace(last=float("nan"))}),
    ("spread", order(), {"quote": quote(99, 100.1)}),
    ("spread", order(), {"quote": quote(float("nan"), 100.01)}),
    (None, order(limit="99.00"), {"quote": quote(99, 100.1)}),
    ("price_collar", order(limit="103.01"), {}),
    ("price_collar", order(limit="96.99"), {}),
    (None, order(limit="102.99"), {}),
    (None, order(limit="111.00", stop="110.00"), {}),
    ("price_collar", order(limit="115.00", stop="110.00"), {}),
    (None, order(SELL, limit="150.00"), {"positions": (held(100),)}),
    ("price_collar", order(SELL, limit="50.00"), {"positions": (held(100),)}),
    ("position", order(), {"positions": (held(901),)}),
    (None, order(), {"positions": (held(900),), "net_liquidation": Decimal(10**7)}),
    ("position", order(), {"positions": (held(801),), "commitments": (working(order(limit="99.00")),)}),
    (None, order(SELL, 100), {"positions": (held(5000),)}),
    ("short_sale", order(SELL, 1), {}),
    ("short_sale", order(SELL, 101), {"positions": (held(100),)}),
    ("short_sale", order(SELL, 1), {"positions": (held(100),), "commitments": (working(order(SELL, stop="90.00")),)}),
    ("gross", order(), {"positions": (held(9_950, MSFT),), "available_funds": Decimal(10**7)}),
    ("buying_power", order(), {"available_funds": Decimal(10_500)}),
    (None, order(), {"available_funds": Decimal(10_540)}),
    ("self_cross", order(limit="100.50"), {"positions": (held(100),), "commitments": (working(_ASKED),)}),
    (None, order(limit="100.49"), {"positions": (held(100),), "commitments": (working(_ASKED),)}),
    ("self_cross", order(SELL), {"positions": (held(100),), "commitments": (working(order(limit="99.99")),)}),
    (None, order(), {"positions": (held(100),), "commitments": (working(order(SELL, stop="90.00")),)}),
    ("duplicate", order(), {"sent": ((NOW - NS, order()),)}),
    (None, order(), {"sent": ((NOW - 3 * NS, order()), (NOW, order(quantity=99)))}),
    ("symbol_orders_per_minute", order(), {"sent": _sent(10)}),
    ("orders_per_minute", order(), {"sent": _sent(30)}),
    ("round_trips", order(), {"round_trips": 20}),
    (None, order(SELL), {"round_trips": 20, "positions": (held(100),)}),
    ("halt", order(), {"halt": "the kill switch"}),
    (None, order(SELL), {"halt": "the kill switch", "positions": (held(100),)}),
    ("halt", order(SELL, 101), {"halt": "the kill switch", "positions": (held(100),)}),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "asked", "what"), _CASES)
def test_a_rule_refuses_what_it_is_for_and_nothing_else(
    expected: str | None, asked: Order, what: dict[str, Any]
) -> None:
    assert rule(check(asked, exposure(**what), LIVE)) == expected


def test_a_refusal_names_rule_limit_and_value() -> None:
    refusal = check(order(quantity=501), exposure(), LIVE)
    assert refusal is not None
    assert (refusal.rule, refusal.limit, refusal.value) == ("order_quantity", "500", "501")
    assert "RISK_MAX_ORDER_QTY" in refusal.words
    assert "nothing was sent" in refusal.words


def test_too_many_open_orders_in_all_and_of_one_side() -> None:
    same = tuple(working(order(quantity=1, limit=f"99.{i}0"), i) for i in range(1, 4))
    assert rule(check(order(quantity=1), exposure(commitments=same), LIVE)) == "open_orders"
    other = replace(order(quantity=1, limit="99.00"), contract=MSFT)
    others = tuple(working(other, number) for number in range(10))
    assert rule(check(order(quantity=1), exposure(commitments=others), LIVE)) == "open_orders"
    theirs = tuple(replace(each, ours=False) for each in same)
    assert check(order(quantity=1), exposure(commitments=theirs), LIVE) is None


@pytest.mark.parametrize(("left", "refused"), [(-1, None), (0, "day_trades"), (1, None), (3, None)])
def test_no_position_is_opened_that_could_not_be_closed_today(left: int, refused: str | None) -> None:
    """Where TWS counts day trades: -1 is no limit. What closes a position is let through, whatever is left."""
    what = exposure(day_trades_remaining=left, positions=(held(100),))
    assert rule(check(order(), what, LIVE)) == refused
    assert rule(check(order(SELL), what, LIVE)) is None
    assert rule(check(order(), what, replace(PAPER, round_trips_per_day=None))) is None
    euros = replace(order(), contract=Contract("EUR", "CASH", con_id=7))
    assert rule(check(euros, what, PAPER)) is None
    if refusal := check(order(), what, LIVE):
        assert "1 day trade" in refusal.words
        assert "the limit is 0 (DayTradesRemaining" in refusal.words


def test_delayed_quotes_are_traded_on_with_play_money_only() -> None:
    delayed = exposure(quote=quote(age=30, source=Source.DELAYED))
    assert check(order(), delayed, PAPER) is None
    assert rule(check(order(), exposure(quote=quote(age=61, source=Source.DELAYED)), PAPER)) == "quote"
    assert rule(check(order(), exposure(quote=quote(age=30)), PAPER)) == "quote"


def test_exits_count_once_and_not_before_their_entry_has_filled() -> None:
    entry = order(quantity=100, limit="99.00")
    target = replace(order(SELL, 100, limit="102.00"), parent_id=OrderId(1))
    stop = replace(order(SELL, 100, stop="95.00"), parent_id=OrderId(1))
    waiting = exposure(commitments=(working(entry, 1), working(target, 2), working(stop, 3)))
    assert waiting.committed(NVDA, SELL) == 0
    partly = exposure(commitments=(working(entry, 1, filled=40), working(target, 2), working(stop, 3)))
    assert partly.committed(NVDA, SELL) == 40
    entered = exposure(positions=(held(100),), commitments=(working(target, 2), working(stop, 3)))
    assert entered.committed(NVDA, SELL) == 100


def test_a_bracket_is_held_to_its_entry_and_its_exits_prices() -> None:
    bracket = Bracket.around(order(limit="100.00"), Decimal("120.00"), Decimal("80.00"))
    assert check_bracket(bracket, exposure(), LIVE) is None
    crooked = Bracket.around(order(limit="100.00"), Decimal("120.005"), Decimal("80.00"))
    assert rule(check_bracket(crooked, exposure(), LIVE)) == "tick"
    large = Bracket.around(order(quantity=501, limit="100.00"), Decimal("120.00"), Decimal("80.00"))
    assert rule(check_bracket(large, exposure(), LIVE)) == "order_quantity"


def test_a_change_is_held_to_the_same_limits_on_what_it_brings_more() -> None:
    asked = order(limit="99.00")
    trade = Trade(OrderId(1), asked, OrderStatus.SUBMITTED, Decimal(0), asked.quantity, Decimal(0), NOW)

    def changed(what: Exposure, *change: Any) -> str | None:
        return rule(check_change(trade, OrderChange(*change).applied_to(asked), what, LIVE))

    usual = exposure(commitments=(working(asked),), sent=((NOW, asked),))
    assert changed(usual, Decimal(200)) is None
    assert changed(usual, Decimal(501)) == "order_quantity"
    assert changed(usual, Decimal(260)) == "order_value"
    assert changed(usual, None, Decimal("104.00")) == "price_collar"
    assert changed(usual, None, Decimal("99.005")) == "tick"
    assert changed(replace(usual, positions=(held(890),)), Decimal(111)) == "position"
    assert changed(replace(usual, positions=(held(890),)), Decimal(110)) is None
    halted = replace(usual, halt="the kill switch", positions=(held(5000),))
    assert changed(halted, Decimal(101)) == "halt"
    assert changed(halted, Decimal(50)) is None


def test_losses_are_counted_against_what_the_account_had_this_morning() -> None:
    limits = RiskLimits(max_daily_loss=Cap(fraction=Decimal("0.02")))
    assert lost_too_much(Decimal(-1999), None, Decimal(98_001), limits) is None
    refusal = lost_too_much(Decimal(-2000), None, Decimal(98_000), limits)
    assert refusal is not None
    assert (refusal.rule, refusal.limit, refusal.value) == ("daily_loss", "$2,000.00", "$2,000.00")
    assert rule(lost_too_much(None, Decimal(100_000), Decimal(97_000), limits)) == "drawdown"
    assert lost_too_much(Decimal(-(10**9)), Decimal(10**9), None, limits) is None


def test_play_money_is_checked_for_slips_of_the_keyboard_only() -> None:
    simulated = limits_for(Mode.SIMULATED, {})
    bare = Exposure(quote=quote(age=10**6))
    assert check(order(SELL, 900_000), bare, simulated) is None
    assert rule(check(order(quantity=1_000_001), bare, simulated)) == "order_quantity"
    assert rule(check(order(limit="1001.00"), bare, simulated)) == "price_collar"


_shares = st.integers(min_value=1, max_value=2000)
_price = st.integers(min_value=9_000, max_value=11_000).map(lambda cents: f"{cents / 100:.2f}")
_orders = st.builds(order, st.sampled_from(Action), _shares, st.none() | _price, st.none())
_commitments = st.lists(_orders, max_size=4).map(
    lambda orders: tuple(working(each, number) for number, each in enumerate(orders, 1))
)
_held = st.integers(min_value=-2000, max_value=2000)


@given(asked=_orders, shares=_held, commitments=_commitments, halt=st.sampled_from(["", "killed"]))
def test_what_passes_leaves_no_limit_exceeded_even_if_all_of_it_fills(
    asked: Order, shares: int, commitments: tuple[Commitment, ...], halt: str
) -> None:
    what = exposure(positions=(held(shares),), commitments=commitments, halt=halt)
    if check(asked, what, LIVE) is not None:
        return
    would = what.would_hold(asked)
    reduces = abs(would) <= abs(shares) and would * shares >= 0
    assert reduces or (not halt and abs(would) <= 1000)
    assert asked.action is BUY or would >= 0
    assert asked.quantity <= 500
    assert reduces or asked.quantity * Decimal("99.99") <= 25_000 or asked.limit_price is not None


@given(asked=_orders, shares=_held, commitments=_commitments)
def test_what_reduces_can_never_turn_a_position_round(
    asked: Order, shares: int, commitments: tuple[Commitment, ...]
) -> None:
    what = exposure(positions=(held(shares),), commitments=commitments)
    if what.reduces(asked):
        same_side = [each for each in commitments if each.order.action is asked.action]
        after = shares + asked.action.sign * (asked.quantity + sum(each.remaining for each in same_side))
        assert after * shares >= 0
        assert abs(after) < abs(shares)


@given(bid=st.floats(), ask=st.floats(), last=st.floats(), age=st.floats(0, 10))
def test_no_price_that_is_none_is_ever_traded_on(bid: float, ask: float, last: float, age: float) -> None:
    what = exposure(quote=Quote(NVDA, NOW - int(age * NS), bid, ask, 1, 1, last, Source.LIVE))
    if check(order(quantity=1), what, LIVE) is None:
        assert 0 < bid <= ask < float("inf")
        assert not abs(last - (bid + ask) / 2) > 0.31 * ask or not 0 < last < float("inf")
        assert (ask - bid) / ((ask + bid) / 2) <= 0.0101
        assert age <= 5


# --- short sales ----------------------------------------------------------------------------------------------------

_ON_PAPER = limits_for(Mode.PAPER, {"RISK_SHORT_SALES": "allow"})


def told(level: ShortLevel, shares: int | None = None) -> Shortability:
    """What the venue has said of borrowing."""
    return Shortability(level, shares, NOW)


@pytest.mark.parametrize(
    ("found", "sold", "before", "refused"),
    [
        (None, 10, 0, ("shares to borrow", "unknown")),
        (told(ShortLevel.UNAVAILABLE), 10, 0, ("0", "10")),
        (told(ShortLevel.UNAVAILABLE, 5000), 10, 0, ("0", "10")),
        (told(ShortLevel.LOCATE, 0), 10, 0, None),  # TWS holds it until they are found
        (told(ShortLevel.AVAILABLE), 10, 0, None),
        (told(ShortLevel.AVAILABLE, 10), 10, 0, None),
        (told(ShortLevel.AVAILABLE, 9), 10, 0, ("9", "10")),
        (told(ShortLevel.AVAILABLE, 10), 30, 20, None),  # those held need not be borrowed
        (told(ShortLevel.AVAILABLE, 10), 31, 20, ("10", "11")),
        (told(ShortLevel.AVAILABLE, 10), 10, -50, None),  # nor those borrowed before
        (told(ShortLevel.AVAILABLE, 10), 11, -50, ("10", "11")),
    ],
)
def test_what_is_sold_short_must_be_there_to_borrow(
    found: Shortability | None, sold: int, before: int, refused: tuple[str, str] | None
) -> None:
    positions = (held(before),) if before else ()
    refusal = check(order(SELL, sold), exposure(positions=positions, shortability=found), _ON_PAPER)
    assert rule(refusal) == (None if refused is None else "short_sale")
    if refusal is not None:
        assert (refusal.limit, refusal.value) == refused
        assert "nothing was sent" in refusal.words


def test_who_buys_or_closes_borrows_nothing() -> None:
    """Whatever the venue says of borrowing, or does not."""
    flat = exposure(shortability=None)
    assert check(order(BUY), flat, _ON_PAPER) is None
    assert check(order(SELL), exposure(positions=(held(100),)), _ON_PAPER) is None


def test_a_currency_is_sold_without_being_borrowed() -> None:
    pair = replace(order(SELL), contract=Contract("EUR", "CASH", "IDEALPRO", con_id=1))
    assert check(pair, exposure(), _ON_PAPER) is None


def test_a_change_may_not_bring_more_than_can_be_borrowed() -> None:
    before = order(SELL, 10, "100.00")
    trade = Trade(OrderId(1), before, OrderStatus.SUBMITTED, Decimal(0), Decimal(10), Decimal(0), NOW)
    changed = replace(before, quantity=Decimal(20))
    with_ten = exposure(commitments=(working(before),), shortability=told(ShortLevel.AVAILABLE, 10))
    refusal = check_change(trade, changed, with_ten, _ON_PAPER)
    assert rule(refusal) == "short_sale"
