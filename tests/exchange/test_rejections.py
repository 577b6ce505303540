"""What the exchange refuses, with IB's codes and reason classes; a refusal changes nothing."""

from decimal import Decimal

import pytest

from src.domain.events import Notice, OrderChanged
from src.domain.market import Contract
from src.domain.orders import AccountId, Bracket, Order, OrderChange, OrderId, TimeInForce, Trade
from src.domain.rejections import RejectClass, classify
from src.exchange.exchange import Exchange
from tests.exchange.examples import at, bar, buy, codes, give, quote, sell, send, statuses
from tests.exchange.markets import ACCOUNT, BBB, new_exchange, sessions_of


def refused(exchange: Exchange, wanted: Order, minute: float = 1) -> tuple[int | None, RejectClass]:
    """Submit an order that must be refused: Inactive, then a notice, and nothing at work."""
    working = len(exchange.open_trades(ACCOUNT))
    changed, notice = exchange.submit(ACCOUNT, wanted, at(minute))
    assert isinstance(changed, OrderChanged)
    assert isinstance(notice, Notice)
    trade = changed.trade
    assert [trade.status, trade.filled] == ["Inactive", 0]
    assert (notice.code, notice.text, notice.order_id) == (trade.code, trade.reason, trade.order_id)
    assert len(exchange.open_trades(ACCOUNT)) == working
    return trade.code, classify(trade.code, trade.reason)


def traded_at(price: float, **fields: object) -> Exchange:
    exchange = new_exchange(**fields)  # type: ignore[arg-type]
    exchange.advance(at(1), (bar(0, price), bar(0, price, contract=BBB)))
    return exchange


def test_an_order_beyond_the_accounts_means_is_refused_for_margin() -> None:
    """$100,000 carry $400,000 of shares at 25 percent, and not one share more."""
    exchange = traded_at(100)
    assert refused(exchange, buy(4_001)) == (201, RejectClass.MARGIN)
    assert statuses(exchange.submit(ACCOUNT, buy(4_000), at(1))) == ["PreSubmitted"]


def test_a_short_sale_needs_thirty_percent() -> None:
    """3,333 shares at 100 need $99,990."""
    exchange = traded_at(100)
    assert refused(exchange, sell(3_334)) == (201, RejectClass.MARGIN)
    assert statuses(exchange.submit(ACCOUNT, sell(3_333), at(1))) == ["PreSubmitted"]


def test_what_works_already_counts() -> None:
    """Two orders that the account could carry one by one: the second is refused; in one OCA group they count once."""
    exchange = traded_at(100)
    send(exchange, buy(3_000, "99.00"), 1)
    assert refused(exchange, buy(3_000, "99.00", contract=BBB)) == (201, RejectClass.MARGIN)
    grouped = traded_at(100)
    for _ in range(2):
        assert statuses(grouped.submit(ACCOUNT, buy(3_000, "99.00", oca_group="one"), at(1))) == ["PreSubmitted"]


def test_below_two_thousand_dollars_everything_is_paid_in_full() -> None:
    """$1,500 buy fifteen shares at 100, not sixteen, and not fifteen twice."""
    exchange = traded_at(100, cash=1_500)
    assert refused(exchange, buy(16)) == (201, RejectClass.MARGIN)
    assert statuses(exchange.submit(ACCOUNT, buy(10, "100.00"), at(1))) == ["PreSubmitted"]
    assert refused(exchange, buy(10, "100.00", contract=BBB)) == (201, RejectClass.MARGIN)
    assert statuses(exchange.submit(ACCOUNT, buy(5, "100.00", contract=BBB), at(1))) == ["PreSubmitted"]


def test_cash_pays_for_all_purchases_that_work_at_the_market_or_at_their_limits() -> None:
    """Where nothing can be borrowed: limits below the market count at it, those above at themselves; and commission."""
    exchange = traded_at(100, cash=1_500)
    assert statuses(exchange.submit(ACCOUNT, buy(5, "60.00"), at(1))) == ["PreSubmitted"]
    assert statuses(exchange.submit(ACCOUNT, buy(5, "120.00", contract=BBB), at(1))) == ["PreSubmitted"]
    assert refused(exchange, buy(5, "1.00")) == (201, RejectClass.MARGIN)
    assert statuses(exchange.submit(ACCOUNT, buy(3, "120.00", contract=BBB), at(1))) == ["PreSubmitted"]
    assert refused(exchange, buy(1, "120.00", contract=BBB)) == (201, RejectClass.MARGIN)
    with_fees = traded_at(100, cash=1_500, fees="fixed")
    assert statuses(with_fees.submit(ACCOUNT, buy(10, "100.00"), at(1))) == ["PreSubmitted"]
    assert refused(with_fees, buy(5, "100.00")) == (201, RejectClass.MARGIN)
    assert statuses(with_fees.submit(ACCOUNT, buy(4, "100.00"), at(1))) == ["PreSubmitted"]


def test_purchases_with_a_sale_or_a_short_position_among_them_are_no_matter_of_cash_alone() -> None:
    """$100,000 pay for 401 shares; with 3,300 sold short, or to be sold, the margin of both is looked at."""
    for stop in (None, "90.00"):
        exchange = traded_at(100)
        assert statuses(exchange.submit(ACCOUNT, sell(3_300, stop=stop), at(1))) == ["PreSubmitted"]
        give(exchange, bar(1, 100))
        assert bool(exchange.positions(ACCOUNT)) == (stop is None)
        assert refused(exchange, buy(401, "100.00", contract=BBB), 2) == (201, RejectClass.MARGIN)


def test_an_order_that_only_closes_always_passes() -> None:
    """Even in an account that could open nothing."""
    exchange = traded_at(100)
    send(exchange, buy(4_000), 1)
    give(exchange, bar(1, 100))
    assert refused(exchange, buy(1), 2) == (201, RejectClass.MARGIN)
    assert statuses(exchange.submit(ACCOUNT, sell(4_000), at(2))) == ["PreSubmitted"]


def test_commission_counts_against_the_means() -> None:
    """At 4,000 shares the commission of $20 is missing."""
    exchange = traded_at(100, fees="commission")
    assert refused(exchange, buy(4_000)) == (201, RejectClass.MARGIN)


def test_too_many_shares_are_refused_for_size() -> None:
    """A million is the most."""
    exchange = traded_at(100, cash=10**12)
    assert refused(exchange, buy(1_000_001)) == (201, RejectClass.SIZE)
    assert statuses(exchange.submit(ACCOUNT, buy(1_000_000), at(1))) == ["PreSubmitted"]


@pytest.mark.parametrize("wanted", [buy(1, "150.01"), sell(1, "49.99")])
def test_a_limit_far_through_the_market_is_refused_for_price(wanted: Order) -> None:
    """More than half of the price: a slip of the finger. Away from the market it may stand where it likes."""
    exchange = traded_at(100)
    assert refused(exchange, wanted) == (201, RejectClass.PRICE)
    assert statuses(exchange.submit(ACCOUNT, buy(1, "150.00"), at(1))) == ["PreSubmitted"]
    assert statuses(exchange.submit(ACCOUNT, buy(1, "0.01"), at(1))) == ["PreSubmitted"]


def test_an_immediate_order_is_refused_while_the_exchange_is_closed() -> None:
    """Held orders wait for the open; an IOC cannot."""
    exchange = new_exchange(sessions=sessions_of("table"))
    assert refused(exchange, buy(1, tif=TimeInForce.IOC), -10) == (201, RejectClass.CLOSED)
    allowed = exchange.submit(ACCOUNT, buy(1, "9.00", tif=TimeInForce.IOC, outside_rth=True), at(-10))
    assert statuses(allowed) == ["PreSubmitted"]


def test_a_short_sale_is_refused_where_nothing_can_be_borrowed() -> None:
    """What is held may be sold once, whatever works already; the two exits of a group count once."""
    exchange = traded_at(100, shortable=False)
    assert refused(exchange, sell(1)) == (201, RejectClass.SHORT)
    send(exchange, buy(100), 1)
    give(exchange, bar(1, 100))
    send(exchange, sell(60, "110.00"), 2)
    assert refused(exchange, sell(41, "110.00"), 2) == (201, RejectClass.SHORT)
    assert statuses(exchange.submit(ACCOUNT, sell(40, "110.00", oca_group="one"), at(2))) == ["PreSubmitted"]
    assert statuses(exchange.submit(ACCOUNT, sell(40, stop="90.00", oca_group="one"), at(2))) == ["PreSubmitted"]


def test_a_partly_filled_sale_of_all_shares_can_still_be_changed() -> None:
    """What it has sold already is not to be sold again."""
    exchange = new_exchange(shortable=False)
    exchange.quote(quote(0, 99.9, 100.1, 100))
    send(exchange, buy(100), 0)
    order_id = send(exchange, sell(100, "101.00"), 0)
    exchange.quote(quote(1, 101.0, 101.2, 40))
    assert exchange.trade(order_id).filled == 40
    assert codes(exchange.modify(ACCOUNT, order_id, OrderChange(limit_price=Decimal("102.00")), at(2))) == []


@pytest.mark.parametrize("wanted", [buy(1, "99.005"), sell(1, stop="98.999"), buy(1, "101.00", "100.001")])
def test_a_price_off_the_tick_is_refused_with_110(wanted: Order) -> None:
    """A cent, for limits and stops alike."""
    assert refused(traded_at(100), wanted) == (110, RejectClass.TICK)


def test_below_a_dollar_the_tick_is_a_hundredth_of_a_cent() -> None:
    """SEC Rule 612."""
    exchange = traded_at(0.5)
    assert statuses(exchange.submit(ACCOUNT, buy(1, "0.4321"), at(1))) == ["PreSubmitted"]
    assert refused(exchange, sell(1, "1.0001")) == (110, RejectClass.TICK)


def test_an_unknown_contract_is_refused_with_200() -> None:
    """Not listed here."""
    assert refused(traded_at(100), buy(1, contract=Contract("ZZZ", con_id=9))) == (200, RejectClass.CONTRACT)


def test_the_reference_of_liquidations_is_the_exchanges_own() -> None:
    """An order that borrowed it would pass for a liquidation under way, and hold the real one up."""
    assert refused(traded_at(100), buy(1, "50.00", order_ref="LIQUIDATION")) == (201, RejectClass.OTHER)


@pytest.mark.parametrize(
    ("entry", "target", "stop", "code"),
    [
        (buy(10_000), "102.00", "99.00", 201),
        (buy(10), "102.005", "99.00", 110),
        (buy(10, contract=Contract("ZZZ", con_id=9)), "102.00", "99.00", 200),
    ],
)
def test_a_bracket_is_taken_whole_or_not_at_all(entry: Order, target: str, stop: str, code: int) -> None:
    """Whichever of the three is wrong, all three are Inactive with its reason."""
    exchange = traded_at(100)
    events = exchange.submit_bracket(ACCOUNT, Bracket.around(entry, Decimal(target), Decimal(stop)), at(1))
    assert statuses(events) == ["Inactive"] * 3
    assert codes(events) == [code] * 3
    assert exchange.open_trades(ACCOUNT) == ()


# --- changes and cancels --------------------------------------------------------------------------------------------


def resting(exchange: Exchange) -> Trade:
    exchange.quote(quote(1, 99.9, 100.1, 30))
    return exchange.trade(send(exchange, buy(100, "100.20"), 1))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (OrderChange(quantity=Decimal(30)), 201),
        (OrderChange(limit_price=Decimal("100.205")), 110),
        (OrderChange(limit_price=Decimal("200.00")), 201),
        (OrderChange(quantity=Decimal(50_000)), 201),
        (OrderChange(stop_price=Decimal("90.00")), 201),
    ],
)
def test_a_refused_change_leaves_the_order_as_it_is(change: OrderChange, code: int) -> None:
    """One notice with the order's id, no other event; thirty shares have traded already."""
    exchange = new_exchange()
    before = resting(exchange)
    assert before.filled == 30
    [notice] = exchange.modify(ACCOUNT, before.order_id, change, at(2))
    assert isinstance(notice, Notice)
    assert (notice.code, notice.order_id) == (code, before.order_id)
    assert exchange.trade(before.order_id) == before
    assert exchange.open_trades(ACCOUNT) == (before,)


def test_a_change_of_what_is_done_or_unknown_is_answered_with_135() -> None:
    """And so is a change of another account's order."""
    exchange = new_exchange()
    trade = resting(exchange)
    exchange.cancel(ACCOUNT, trade.order_id, at(2))
    change = OrderChange(quantity=Decimal(50))
    assert codes(exchange.modify(ACCOUNT, trade.order_id, change, at(2))) == [135]
    assert codes(exchange.modify(ACCOUNT, OrderId(77), change, at(2))) == [135]
    exchange.open_account(AccountId("SIM2"), Decimal(1))
    other = send(exchange, buy(1, "90.00"), 2)
    assert codes(exchange.modify(AccountId("SIM2"), other, change, at(2))) == [135]


def test_a_cancel_of_an_unknown_order_is_answered_with_10147_and_of_a_done_one_with_10148() -> None:
    """Nothing else happens; another account's order is unknown."""
    exchange = new_exchange()
    trade = resting(exchange)
    exchange.open_account(AccountId("SIM2"), Decimal(1))
    assert codes(exchange.cancel(ACCOUNT, OrderId(77), at(2))) == [10147]
    assert codes(exchange.cancel(AccountId("SIM2"), trade.order_id, at(2))) == [10147]
    exchange.cancel(ACCOUNT, trade.order_id, at(2))
    [notice] = exchange.cancel(ACCOUNT, trade.order_id, at(2))
    assert isinstance(notice, Notice)
    assert (notice.code, notice.order_id) == (10148, trade.order_id)
    assert "Cancelled" in notice.text


def test_a_twenty_first_order_of_one_side_is_refused() -> None:
    """IB takes twenty active orders for each contract, side and account; one that has ended makes room."""
    exchange = traded_at(100)
    first = send(exchange, buy(1, "90.00"), 1)
    for _ in range(19):
        send(exchange, buy(1, "90.00"), 1)
    assert refused(exchange, buy(1, "90.00")) == (201, RejectClass.OTHER)
    assert "20 active orders" in exchange.trades(ACCOUNT)[-1].reason
    assert statuses(exchange.submit(ACCOUNT, sell(1, "110.00"), at(1))) == ["PreSubmitted"]
    assert statuses(exchange.submit(ACCOUNT, buy(1, "90.00", contract=BBB), at(1))) == ["PreSubmitted"]
    exchange.cancel(ACCOUNT, first, at(1))
    assert statuses(exchange.submit(ACCOUNT, buy(1, "90.00"), at(1))) == ["PreSubmitted"]


def test_the_active_orders_of_another_account_are_its_own() -> None:
    """Twenty of theirs leave room for twenty of ours, and their buys tie up nothing of our money."""
    exchange = traded_at(100)
    theirs = AccountId("SIM2")
    exchange.open_account(theirs, Decimal(100_000))
    for _ in range(20):
        assert statuses(exchange.submit(theirs, buy(200, "90.00"), at(1))) == ["PreSubmitted"]
    assert statuses(exchange.submit(theirs, buy(1, "90.00"), at(1))) == ["Inactive"]
    assert statuses(exchange.submit(ACCOUNT, buy(4_000), at(1))) == ["PreSubmitted"]
    for _ in range(19):
        assert statuses(exchange.submit(ACCOUNT, sell(1, "110.00"), at(1))) == ["PreSubmitted"]


def test_a_brackets_exits_count_as_active_orders() -> None:
    """Ten brackets have twenty exits: an eleventh is refused as a whole."""
    exchange = traded_at(100)
    wanted = Bracket.around(buy(1, "95.00"), Decimal(110), Decimal(90))
    for _ in range(10):
        assert statuses(exchange.submit_bracket(ACCOUNT, wanted, at(1))) == ["PreSubmitted"] * 3
    assert statuses(exchange.submit_bracket(ACCOUNT, wanted, at(1))) == ["Inactive"] * 3
    send(exchange, sell(1, "110.00", contract=BBB), 1)
    assert len(exchange.open_trades(ACCOUNT)) == 31


def test_an_order_whose_parent_is_not_there_is_refused() -> None:
    """It is no plain order."""
    exchange = traded_at(100)
    assert refused(exchange, sell(5, "110.00", parent_id=OrderId(4711))) == (201, RejectClass.OTHER)
    assert "parent order 4711" in exchange.trades(ACCOUNT)[-1].reason


def test_an_order_of_a_parent_that_works_is_its_exit() -> None:
    """However it is sent: it waits for its parent's first fill and closes no more than that."""
    exchange = traded_at(100)
    parent = send(exchange, buy(10, "95.00"), 1)
    leg = send(exchange, sell(10, "94.00", parent_id=parent), 1)
    give(exchange, bar(1, 96))
    assert exchange.trade(leg).filled == 0
    give(exchange, bar(2, 94.5))
    give(exchange, bar(3, 94.5))
    assert [exchange.trade(each).status for each in (parent, leg)] == ["Filled", "Filled"]


def test_a_child_that_would_not_close_its_parent_is_refused() -> None:
    """The same side, or another contract: an exit passes without margin, so it must be one."""
    exchange = traded_at(100)
    parent = send(exchange, buy(10, "95.00"), 1)
    assert refused(exchange, buy(10, "94.00", parent_id=parent)) == (201, RejectClass.OTHER)
    assert refused(exchange, sell(10, "94.00", contract=BBB, parent_id=parent)) == (201, RejectClass.OTHER)
