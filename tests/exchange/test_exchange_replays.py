"""The same commands give the same events: again, with time cut finer, without guards, in a careless Decimal context."""

from collections.abc import Iterator
from decimal import Inexact, getcontext, localcontext
from math import inf
from random import Random

import pytest

from src.domain.events import Event, Filled, OrderChanged
from src.domain.orders import OrderStatus
from src.exchange.book import Book
from src.exchange.working import Working
from tests.exchange.markets import MINUTE, NS, T0, Command, Recorded, play, recorded

SESSIONS = range(60)
FILLS = 2_500


def sessions() -> Iterator[Recorded]:
    return map(recorded, SESSIONS)


def fills(events: tuple[Event, ...]) -> int:
    return sum(isinstance(event, Filled) for event in events)


def assert_equal(session: Recorded, events: tuple[Event, ...]) -> int:
    """The first difference is named; returns the number of fills."""
    for index, (was, now) in enumerate(zip(session.events, events, strict=False)):
        assert was == now, (session.seed, session.setup, index)
    assert repr(session.events) == repr(events)
    return fills(events)


def test_the_same_commands_give_the_same_events() -> None:
    """Byte for byte, on an exchange of their own."""
    assert sum(assert_equal(s, play(s.setup.exchange(), s.commands)) for s in sessions()) >= FILLS


def test_a_low_ambient_precision_changes_nothing() -> None:
    """The caller's Decimal context is the caller's: three digits, and a trap for every rounding."""
    total = 0
    for session in sessions():
        with localcontext() as context:
            context.prec = 3
            context.traps[Inexact] = True
            events = play(session.setup.exchange(), session.commands)
            assert getcontext() is context
        total += assert_equal(session, events)
    assert total >= FILLS


def test_without_guards_the_log_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bar and every quote on the slow path: the guards hide nothing that could act."""

    def never_open(book: Book) -> None:
        book.dirty = False
        book.low_guard, book.high_guard = inf, -inf

    monkeypatch.setattr(Book, "set_guards", never_open)
    total = 0
    for session in sessions():
        exchange = session.setup.exchange()
        for book in exchange._books.values():
            book.set_guards()
        total += assert_equal(session, play(exchange, session.commands))
    assert total >= FILLS


def test_an_order_that_rests_at_once_comes_to_what_an_arrival_would(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every order on its way through the arrivals: the log is the same."""
    played = list(sessions())
    really, at_once = Book.lets_rest, 0

    def never(book: Book, order: Working) -> bool:
        nonlocal at_once
        at_once += really(book, order)
        return False

    monkeypatch.setattr(Book, "lets_rest", never)
    for session in played:
        assert_equal(session, play(session.setup.exchange(), session.commands))
    assert at_once >= 25


def cut_finer(session: Recorded, random: Random) -> Iterator[Command]:
    """The session's commands with time alone passing here and there in between.

    Not while something is on its way in a market made by bars: a cancel or a change that has arrived is confirmed by
    time alone, and an order meets a quote that stands, before the bar of another contract is known.
    """
    now = T0 - 10 * MINUTE
    hurried = False
    for command in session.commands:
        if not hurried:
            start = command.time - MINUTE if _bars(command) else command.time
            moments = sorted(random.randint(now, max(now, start)) for _ in range(random.randrange(3)))
            if _bars(command):
                moments.append(random.randint(max(now, start), max(now, command.time)))
            for moment in moments:
                yield Command("advance", (moment,))
        yield command
        now = command.time
        if _bars(command):
            hurried = False
        elif session.setup.latency and (session.setup.quoted or command.method in ("cancel", "modify")):
            hurried = True


def _bars(command: Command) -> bool:
    return command.method == "advance" and len(command.arguments) > 1


def test_cutting_time_finer_changes_nothing() -> None:
    """Extra calls of `advance` without bars, up to just before the next command, give the same log."""
    total = extra = 0
    for session in sessions():
        commands = list(cut_finer(session, Random(session.seed)))  # noqa: S311  # the same each time, not secret
        extra += len(commands) - len(session.commands)
        total += assert_equal(session, play(session.setup.exchange(), commands))
    assert total >= FILLS
    assert extra >= 3_000


def test_time_alone_confirms_a_cancel_before_the_bar_is_known() -> None:
    """The one departure: without it a cancel would be confirmed only by the next bar."""
    confirmed = 0
    for session in sessions():
        if not session.setup.latency or session.setup.quoted:
            continue
        exchange = session.setup.exchange()
        for command in session.commands:
            events = command(exchange)
            if command.method == "cancel" and any(
                isinstance(e, OrderChanged) and e.trade.status is OrderStatus.PENDING_CANCEL for e in events
            ):
                later = exchange.advance(command.time + NS)
                confirmed += any(isinstance(e, OrderChanged) and e.trade.is_done for e in later)
                break
    assert confirmed >= 5
