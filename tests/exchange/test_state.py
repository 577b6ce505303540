"""Saved through the account file's JSON and restored, an exchange goes on as if nothing had happened."""

from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.events import Event, Filled
from src.domain.market import Quote, Source
from src.domain.orders import Bracket, OrderChange, TimeInForce
from src.exchange.exchange import Exchange
from src.records.simulated_account import SimulatedAccountFile
from tests.exchange.examples import at, at_prices, bar, buy, give, quote, sell, send, statuses, traded
from tests.exchange.markets import (
    AAA,
    ACCOUNT,
    CLOSES,
    HOUR,
    OPENS,
    Command,
    Recorded,
    new_exchange,
    play,
    preset_of,
    recorded,
    sessions_of,
)

GTC = TimeInForce.GTC


def reborn(exchange: Exchange, like: Exchange, folder: Path, now: int | None = None) -> Exchange:
    """Give `like` the state of `exchange`, by way of the file."""
    file = SimulatedAccountFile(folder)
    file.save(exchange.save())
    state = file.load()
    file.close()
    assert state is not None
    like.restore(state, state.now if now is None else now)
    return like


def cut(session: Recorded) -> int | None:
    """Where a session can be interrupted: after a bar, with nothing on the wire, past its middle."""
    for index in range(len(session.commands) // 2, len(session.commands)):
        command = session.commands[index]
        if command.method == "advance" and len(command.arguments) > 1:
            before = session.commands[max(0, index - 6) : index]
            if not any(each.method in ("cancel", "modify") for each in before):
                return index + 1
    return None


def told(events: tuple[Event, ...]) -> list[Event]:
    """Without the answers to cancels and changes of orders that ended yesterday: those are forgotten."""
    return [event for event in events if getattr(event, "code", 0) not in (135, 10147, 10148)]


def test_any_session_goes_on_with_the_same_events(tmp_path: Path) -> None:
    """Half of it before, half of it after; money, orders, brackets, groups, margin and counters are all there."""
    fills = compared = 0
    for seed in range(60):
        session = recorded(seed)
        index = cut(session)
        if index is None or session.setup.quoted:
            continue
        before, after = session.commands[:index], session.commands[index:]
        first = session.setup.exchange()
        play(first, before)
        second = reborn(first, session.setup.exchange(), tmp_path)
        expected, events = told(play(first, after)), told(play(second, after))
        compared += 1
        fills += sum(isinstance(event, Filled) for event in events)
        for was, now in zip(expected, events, strict=False):
            assert was == now, seed
        assert len(events) == len(expected)
        assert second.account_summary(ACCOUNT, 0) == first.account_summary(ACCOUNT, 0)
        assert second.pnl(ACCOUNT) == first.pnl(ACCOUNT)
    assert compared >= 10
    assert fills >= 300


def test_a_bracket_whose_parent_filled_yesterday_is_still_a_bracket(tmp_path: Path) -> None:
    """The stop that sells tomorrow must cancel the target: else it would open a short one day."""
    exchange = new_exchange(sessions=sessions_of("table"))
    exchange.submit_bracket(ACCOUNT, Bracket.around(buy(10), Decimal("110.00"), Decimal("95.00")), at(0))
    give(exchange, *(bar(minute, 100) for minute in range(30)))
    exchange.advance(OPENS[1] + HOUR // 4)
    second = reborn(exchange, new_exchange(sessions=sessions_of("table")), tmp_path)
    assert len(second.open_trades(ACCOUNT)) == 2
    falls = bar(0, 90)._replace(start=OPENS[1] + HOUR // 4, end=OPENS[1] + HOUR // 3)
    assert traded(second.advance(falls.end, (falls,))) == at_prices((-10, "90"))
    assert second.open_trades(ACCOUNT) == ()


def test_a_cancel_on_its_way_is_confirmed_after_the_restart(tmp_path: Path) -> None:
    """It would stay PendingCancel for ever otherwise."""
    exchange = new_exchange(preset_of("realistic"))
    order_id = send(exchange, buy(10, "90.00"), 0)
    give(exchange, bar(0, 100))
    assert statuses(exchange.cancel(ACCOUNT, order_id, at(2))) == ["PendingCancel"]
    second = reborn(exchange, new_exchange(preset_of("realistic")), tmp_path)
    second.advance(at(3))
    assert second.trade(order_id).status == "Cancelled"


def test_a_held_order_is_still_held(tmp_path: Path) -> None:
    """Placed in the evening: a quote of the night does not fill it, the morning's does."""
    exchange = new_exchange(sessions=sessions_of("table"))
    exchange.advance(CLOSES[0] + HOUR)
    exchange.submit(ACCOUNT, buy(1), CLOSES[0] + HOUR)
    second = reborn(exchange, new_exchange(sessions=sessions_of("table")), tmp_path)
    night = Quote(AAA, CLOSES[0] + 2 * HOUR, 99.9, 100.1, 100, 100, 100.0, Source.SIMULATED)
    assert traded(second.quote(night)) == []
    assert traded(second.advance(OPENS[1])) == []
    assert traded(second.quote(night._replace(time=OPENS[1] + 1))) == at_prices((1, "100.1"))


def test_what_fell_due_while_nobody_watched_is_caught_up_on(tmp_path: Path) -> None:
    """A DAY order of yesterday has expired, at yesterday's close; the GTC order is there."""
    exchange = new_exchange(sessions=sessions_of("table"))
    day, kept = (send(exchange, buy(1, "90.00", tif=tif), 0) for tif in (TimeInForce.DAY, GTC))
    give(exchange, bar(0, 100))
    second = reborn(exchange, new_exchange(sessions=sessions_of("table")), tmp_path, OPENS[1] + HOUR // 4)
    assert (second.trade(day).status, second.trade(day).time) == ("Cancelled", CLOSES[0])
    assert not second.trade(kept).is_done


def test_margin_is_watched_from_the_first_price_on(tmp_path: Path) -> None:
    """The guards are set by the restoring itself."""
    exchange = new_exchange()
    send(exchange, buy(3_000), 0)
    give(exchange, bar(0, 100))
    second = reborn(exchange, new_exchange(), tmp_path)
    assert second.account_summary(ACCOUNT, at(1)) == exchange.account_summary(ACCOUNT, at(1))
    events: tuple[Event, ...] = give(second, bar(1, 80))
    assert [event for event in events if getattr(event, "code", None) == 2100]


def test_fills_and_finished_orders_of_the_day_are_kept(tmp_path: Path) -> None:
    """Ids go on where they were; a day later only what works is kept."""
    exchange = new_exchange()
    send(exchange, buy(1), 0)
    give(exchange, bar(0, 100))
    second = reborn(exchange, new_exchange(), tmp_path)
    assert second.fills(ACCOUNT) == exchange.fills(ACCOUNT)
    assert second.trades(ACCOUNT) == exchange.trades(ACCOUNT)
    assert send(second, sell(1), 1) == 2
    second.advance(at(60 * 48))
    third = reborn(second, new_exchange(), tmp_path)
    assert third.fills(ACCOUNT) == ()
    assert [trade.order_id for trade in third.trades(ACCOUNT)] == [2]


def test_an_empty_exchange_can_be_saved_before_its_first_moment(tmp_path: Path) -> None:
    """A process that ends at once."""
    second = reborn(new_exchange(cash=5), new_exchange(), tmp_path, at(0))
    assert second.account_summary(ACCOUNT, at(0)).total_cash_value == 5


@pytest.mark.parametrize("change", [OrderChange(quantity=Decimal(7)), OrderChange(limit_price=Decimal("95.00"))])
def test_restored_orders_can_be_changed(change: OrderChange, tmp_path: Path) -> None:
    """They are orders like any other, with their places."""
    exchange = new_exchange()
    exchange.quote(quote(0, 99.9, 100.1))
    order_id = send(exchange, buy(10, "90.00"), 0)
    second = reborn(exchange, new_exchange(), tmp_path)
    second.modify(ACCOUNT, order_id, change, at(1))
    assert second.trade(order_id).order == change.applied_to(exchange.trade(order_id).order)
    assert Command("advance", (at(2),))(second) == ()
