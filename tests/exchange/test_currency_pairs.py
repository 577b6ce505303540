"""Currency pairs: their tick and sizes, what they cost and bind, and that a currency held is cash."""

from dataclasses import replace
from decimal import Decimal
from math import isnan

import pytest

from src.domain.events import Notice
from src.domain.market import Contract
from src.domain.orders import OrderStatus
from src.exchange.commission import fee_schedule
from src.exchange.exchange import Exchange
from src.exchange.fill_models import IDEAL
from src.exchange.listings import Listing, listing
from src.exchange.prices import SeededSource
from src.exchange.sessions import Sessions
from src.exchange.terms import Listed
from src.exchange.units import UNITS_PER_DOLLAR
from tests.exchange.examples import at, at_prices, bar, buy, codes, executions, give, quote, sell, send, traded
from tests.exchange.markets import ACCOUNT, T0, new_exchange, preset_of


def known(name: str) -> Listing:
    found = listing(name)
    assert found is not None
    return found


def pair_exchange(name: str = "EUR.USD", *, cash: int = 100_000) -> Exchange:
    """The pair beside NVDA, at what both cost."""
    listed = [Listed.of(each, "fixed") for each in (known(name), known("NVDA"))]
    exchange = Exchange(listed, IDEAL, Sessions.always(), fee_schedule("fixed"))
    exchange.open_account(ACCOUNT, Decimal(cash))
    return exchange


EURUSD = known("EUR.USD").contract


def bought(quantity: int, *, cash: int = 100_000) -> Exchange:
    """Holds that many euros at 1.1."""
    exchange = pair_exchange(cash=cash)
    exchange.quote(quote(0, 1.1, 1.1, 5_000_000, contract=EURUSD))
    assert traded(exchange.submit(ACCOUNT, buy(quantity, contract=EURUSD), at(1))) == at_prices((quantity, "1.1"))
    return exchange


def test_a_fill_is_exact_to_half_a_tick() -> None:
    """A twentieth of a pip and half of it: no price is rounded."""
    exchange = new_exchange(preset_of("realistic"))
    pair = Contract("EUR", "CASH", "IDEALPRO", "USD", con_id=4)
    exchange.submit(ACCOUNT, buy(100, contract=pair), at(0))
    assert traded(give(exchange, bar(1, 1.083475, contract=pair))) == at_prices((100, "1.083525"))


@pytest.mark.parametrize(
    ("name", "limit", "taken"),
    [
        ("EUR.USD", "1.08345", True),
        ("EUR.USD", "1.08343", False),
        ("AUD.USD", "0.61945", True),
        ("AUD.USD", "0.6194", True),
        ("AUD.USD", "0.61941", False),  # a stock below a dollar could be that: a pair keeps its tick
    ],
)
def test_its_tick_is_the_same_below_one_and_above(name: str, limit: str, *, taken: bool) -> None:
    exchange = pair_exchange(name)
    events = exchange.submit(ACCOUNT, buy(25_000, limit, contract=known(name).contract), at(0))
    assert codes(events) == ([] if taken else [110])


@pytest.mark.parametrize(("quantity", "told"), [(1, [399]), (19_999, [399]), (20_000, []), (6_000_001, [201])])
def test_below_its_smallest_an_order_is_an_odd_lot_and_beyond_its_largest_refused(
    quantity: int, told: list[int]
) -> None:
    """399 is a warning in IB's words: the order goes its way."""
    exchange = pair_exchange(cash=10_000_000)
    events = exchange.submit(ACCOUNT, buy(quantity, "0.5", contract=EURUSD), at(0))
    assert codes(events) == told
    if told == [399]:
        notice = next(event for event in events if isinstance(event, Notice))
        assert f"BUY {quantity} EUR.USD Forex" in notice.text
        assert "EUR 20000 IdealPro minimum" in notice.text
        assert [trade.status for trade in exchange.open_trades(ACCOUNT)] != [OrderStatus.INACTIVE]


@pytest.mark.parametrize(("quantity", "cost"), [(100, "2"), (90_000, "2"), (100_000, "2.2"), (1_000_000, "22")])
def test_the_commission_is_a_fifth_of_a_basis_point_and_two_dollars_at_least(quantity: int, cost: str) -> None:
    """Of a value at 1.1, on both sides alike; parts of an order pay one minimum."""
    exchange = pair_exchange(cash=1_000_000)
    exchange.quote(quote(0, 1.1, 1.1, 5_000_000, contract=EURUSD))
    for order in (buy(quantity, contract=EURUSD), sell(quantity, contract=EURUSD)):
        order_id = send(exchange, order, 1)
        assert exchange.trade(order_id).commission == Decimal(cost)
    assert fee_schedule("none", "CASH").total(order.action, 10**6, 10**12, 0) == 0


def test_a_stock_beside_it_costs_what_stocks_cost() -> None:
    exchange = pair_exchange()
    nvda = known("NVDA").contract
    exchange.quote(quote(0, 100, 100, contract=nvda))
    assert exchange.trade(send(exchange, buy(100, contract=nvda), 1)).commission == 1


def test_a_currency_held_is_cash() -> None:
    """Dollars went, euros came: the total cash moves with the rate, and no security is held."""
    exchange = bought(50_000)
    exchange.quote(quote(2, 1.12, 1.12, contract=EURUSD))
    summary = exchange.account_summary(ACCOUNT, at(2))
    assert summary.net_liquidation == summary.total_cash_value == 100_000 - 2 + Decimal("0.02") * 50_000
    assert summary.gross_position_value == 0
    assert exchange.ledger.accounts[ACCOUNT].cash == 100_000 - 55_000 - 2
    (position,) = exchange.positions(ACCOUNT)
    assert [position.quantity, position.unrealized_pnl] == [50_000, 998]


@pytest.mark.parametrize(("name", "share"), [("EUR.USD", "0.025"), ("NZD.USD", "0.0333")])
def test_it_binds_a_fortieth_of_its_value(name: str, share: str) -> None:
    """Forty times the equity can be held, and no more; there is no half for the night."""
    contract = known(name).contract
    exchange = pair_exchange(name, cash=10_000)
    exchange.quote(quote(0, 1, 1, 5_000_000, contract=contract))
    most = int((10_000 - 10) / Decimal(share))
    assert codes(exchange.submit(ACCOUNT, sell(most + 1_000, contract=contract), at(1))) == [201]
    assert exchange.preview(ACCOUNT, buy(100_000, contract=contract), at(1)).init_margin_after == Decimal(share) * 10**5
    send(exchange, sell(most, contract=contract), 1)
    summary = exchange.account_summary(ACCOUNT, at(1))
    assert summary.init_margin_req == summary.reg_t_margin == Decimal(share) * most


def test_what_it_can_no_longer_carry_is_liquidated() -> None:
    """350,000 euros on 10,000 dollars: excess is gone after a fall by some tenths of a cent."""
    exchange = bought(350_000, cash=10_000)
    assert exchange.quote(quote(2, 1.0990, 1.0990, 5_000_000, contract=EURUSD)) == ()
    events = exchange.quote(quote(3, 1.0985, 1.0985, 5_000_000, contract=EURUSD))
    assert [each.order_ref for each in executions(events)] == ["LIQUIDATION"]


def test_a_pair_in_another_currency_has_prices_and_takes_no_order() -> None:
    """The account's money is dollars: it could not carry the yen it would owe."""
    contract = known("USD.JPY").contract
    exchange = pair_exchange("USD.JPY")
    exchange.quote(quote(0, 157.25, 157.255, 1_000_000, contract=contract))
    assert exchange.mark(contract.con_id) == Decimal("157.2525") * UNITS_PER_DOLLAR
    order = buy(25_000, contract=contract)
    events = exchange.submit(ACCOUNT, order, at(1))
    assert codes(events) == [201]
    assert "quoted in USD" in exchange.preview(ACCOUNT, order, at(1)).warning


@pytest.mark.parametrize("name", ["EUR.USD", "USD.JPY"])
def test_invented_prices_lie_on_its_tick_and_one_tick_apart_without_a_print(name: str) -> None:
    """Bars are of the middle and have no volume."""
    pair = known(name)
    start = T0
    source = SeededSource((pair,), 1, Sessions.always(), start, end=start + 600 * 10**9)
    instants = list(source.instants())
    quotes = [q for instant in instants for q in instant.quotes]
    assert len(quotes) > 500
    tick = float(pair.min_tick)
    for q in quotes:
        assert isnan(q.last)
        assert round((q.ask - q.bid) / tick, 6) == 1
        for price in (q.bid, q.ask):
            assert Decimal(str(price)) % pair.min_tick == 0
        assert q.bid_size > 0
    middles = {q.time: (q.bid + q.ask) / 2 for q in quotes}
    bars = [b for instant in instants for b in instant.bars]
    assert {b.volume for b in bars} == {0.0}
    assert [b.close for b in bars[1:]] == pytest.approx([middles[b.end - 10**9] for b in bars[1:]], rel=1e-12)
    assert abs(quotes[0].bid / pair.last_close - 1) < 0.5


def test_pairs_of_one_currency_move_apart() -> None:
    """USD.CHF and USD.CAD share a symbol, and nothing else."""
    pairs = known("USD.CHF"), known("USD.CAD")
    source = SeededSource(pairs, 1, Sessions.always(), T0)
    franc, canadian = ([b.close / b.open for b in source.history(p.contract, 60, 100, T0)] for p in pairs)
    assert franc != canadian
    assert source.history(pairs[1].contract, 60, 1, T0)[0].close > 1.1


def test_a_state_of_larger_units_is_taken_over() -> None:
    """An account saved when a unit was 0.0001 dollar keeps its marks and its orders' average prices."""
    exchange = new_exchange()
    give(exchange, bar(0, 100))
    order_id = send(exchange, buy(10), 1)
    give(exchange, bar(1, 101))
    state = exchange.save()
    assert state.units_per_dollar == UNITS_PER_DOLLAR
    factor = UNITS_PER_DOLLAR // 10_000
    (account,) = state.accounts
    held = tuple(replace(h, mark=h.mark // factor) for h in account.holdings if h.mark is not None)
    orders = tuple(replace(order, value=order.value // factor) for order in state.orders)
    old = replace(state, accounts=(replace(account, holdings=held),), orders=orders, units_per_dollar=10_000)
    again = new_exchange()
    again.restore(old, at(2))
    assert again.trade(order_id).average_fill_price == 101
    assert again.positions(ACCOUNT) == exchange.positions(ACCOUNT)
