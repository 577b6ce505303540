"""Whether shares can be borrowed, as TWS tells it: asked for once, apart from the quotes, and never guessed."""

from collections.abc import Callable
from decimal import Decimal
from math import nan

import pytest

from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.lending import level_of
from src.brokers.tws.timing import Timing
from src.domain.market import Contract, ContractDetails, ShortLevel, Source
from src.gateways.tws_codec import MarketDataTypeMessage, ReqMktData, TickGeneric, TickPrice, TickSize
from tests.brokers.tws.scripted import PATIENCE, Client, ScriptedTws, wait_until

NVDA = Contract("NVDA")
#: A shortable tick is waited for as long as a busy machine may take, or not at all.
PATIENT, HASTY = Timing(shortable=PATIENCE), Timing(shortable=0.05)


def lends(level: float | None, shares: int | None = None) -> Callable[[Client, ReqMktData], None]:
    """Quotes for who asks for no generic tick, and for 236 a shortable tick beside such quotes."""

    def answer(client: Client, message: ReqMktData) -> None:
        client.send(MarketDataTypeMessage(message.req_id, 1))
        client.send(TickPrice(message.req_id, 1, 120.5, 100), TickPrice(message.req_id, 2, 120.6, 100))
        if message.generic_tick_list == "236":
            if shares is not None:
                client.send(TickSize(message.req_id, 89, shares))
            if level is not None:
                client.send(TickGeneric(message.req_id, 46, level))

    return answer


def connected(tws: ScriptedTws, timing: Timing = PATIENT) -> TwsBroker:
    """A broker at this TWS; the fixture's end leaves it."""
    made = tws.broker(timing=timing)
    made.connect()
    return made


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (3.0, ShortLevel.AVAILABLE),
        (2.5, ShortLevel.LOCATE),
        (2.0, ShortLevel.LOCATE),
        (1.5, ShortLevel.UNAVAILABLE),
        (1.0, ShortLevel.UNAVAILABLE),
        (0.0, None),
        (-1.0, None),
        (nan, None),
    ],
)
def test_the_ticks_three_steps(value: float, level: ShortLevel | None) -> None:
    """A number below them means nothing: it is neither a yes nor a no."""
    assert level_of(value) is level


def test_level_and_shares_are_asked_for_once_and_follow_the_tick(tws: ScriptedTws) -> None:
    tws.on(ReqMktData, lends(3.0, 25_000))
    broker = connected(tws)
    before = broker.now()
    found = broker.shortability(NVDA)
    assert found is not None
    assert (found.level, found.shares) == (ShortLevel.AVAILABLE, 25_000)
    assert before <= found.as_of <= broker.now()
    [asked] = tws.asked(ReqMktData)
    tws.say(lambda client: client.send(TickGeneric(asked.req_id, 46, 1.0), TickSize(asked.req_id, 89, 0)))
    wait_until(lambda: (now := broker.shortability(NVDA)) is not None and now.shares == 0)
    assert (broker.shortability(NVDA) or found).level is ShortLevel.UNAVAILABLE
    tws.say(lambda client: client.send(TickGeneric(asked.req_id, 46, 0.0)))
    wait_until(lambda: broker.shortability(NVDA) is None)
    assert len(tws.asked(ReqMktData)) == 1
    broker.disconnect()


def test_shares_without_a_level_say_nothing(tws: ScriptedTws) -> None:
    tws.on(ReqMktData, lends(None, 25_000))
    broker = connected(tws, HASTY)
    assert broker.shortability(NVDA) is None
    broker.disconnect()


def test_a_tick_that_does_not_come_is_waited_for_once(tws: ScriptedTws) -> None:
    """What comes later counts all the same."""
    tws.on(ReqMktData, lends(None))
    broker = connected(tws, HASTY)
    assert broker.shortability(NVDA) is None
    assert broker.shortability(NVDA) is None
    [asked] = tws.asked(ReqMktData)
    tws.say(lambda client: client.send(TickGeneric(asked.req_id, 46, 2.0)))
    wait_until(lambda: broker.shortability(NVDA) is not None)
    broker.disconnect()


def test_the_quotes_are_a_request_of_their_own(tws: ScriptedTws) -> None:
    """What TWS says of the request for the tick ends and renames no quote: neither 354 nor "a part of it" (10090)."""
    tws.accounts = ["DU0000001"]
    tws.on(ReqMktData, lends(3.0))
    broker = connected(tws)
    assert broker.quote(NVDA).source is Source.LIVE
    assert broker.shortability(NVDA) is not None
    [quotes, short] = tws.asked(ReqMktData)
    assert (quotes.generic_tick_list, short.generic_tick_list) == ("", "236")
    tws.say(lambda client: client.error(short.req_id, 10090, "Part of requested market data is not subscribed."))
    tws.say(lambda client: client.send(TickPrice(quotes.req_id, 1, 120.4, 100), TickPrice(short.req_id, 1, 1.0, 100)))
    wait_until(lambda: broker.quote(NVDA).bid == 120.4)
    assert broker.quote(NVDA).source is Source.LIVE
    assert broker.shortability(NVDA) is not None
    broker.disconnect()


def test_a_refused_request_is_no_answer_and_made_anew_at_the_next_question(tws: ScriptedTws) -> None:
    def refuse(client: Client, message: ReqMktData) -> None:
        client.error(message.req_id, 354, "Requested market data is not subscribed.")

    tws.on(ReqMktData, refuse)
    broker = connected(tws)
    assert broker.shortability(NVDA) is None
    tws.on(ReqMktData, lends(3.0))
    assert broker.shortability(NVDA) is not None
    assert len(tws.asked(ReqMktData)) == 2
    broker.disconnect()


def test_what_was_told_over_a_lost_connection_is_asked_for_again(tws: ScriptedTws) -> None:
    tws.on(ReqMktData, lends(3.0))
    broker = connected(tws)
    assert broker.shortability(NVDA) is not None
    tws.on(ReqMktData, lends(1.0))
    broker.disconnect()
    broker.connect()
    found = broker.shortability(NVDA)
    assert found is not None
    assert found.level is ShortLevel.UNAVAILABLE
    broker.disconnect()


def test_data_that_tws_has_lost_are_asked_for_again(tws: ScriptedTws) -> None:
    """1101: the old request ends, and what it told with it."""
    tws.on(ReqMktData, lends(3.0))
    broker = connected(tws)
    assert broker.shortability(NVDA) is not None
    tws.on(ReqMktData, lends(1.0))
    tws.say(lambda client: client.error(-1, 1100, "Connectivity between IB and TWS has been lost."))
    tws.say(lambda client: client.error(-1, 1101, "Connectivity has been restored, data lost."))
    wait_until(lambda: (now := broker.shortability(NVDA)) is not None and now.level is ShortLevel.UNAVAILABLE)
    broker.disconnect()


def test_a_currency_is_not_borrowed(tws: ScriptedTws) -> None:
    broker = connected(tws)
    pair = Contract("EUR", "CASH", "IDEALPRO", con_id=9)
    broker._details[pair] = ContractDetails(pair, "European Monetary Union Euro", Decimal("0.00005"))
    assert broker.shortability(pair) is None
    assert tws.asked(ReqMktData) == []
    broker.disconnect()
