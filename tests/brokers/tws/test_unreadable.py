"""What comes over the connection and cannot be read: it ends the connection at most, and is said in a line."""

from contextlib import suppress

import pytest

from src.brokers.tws.broker import TwsBroker
from src.domain.errors import NotConnectedError
from tests.faults.harness import wait_for


def hear(broker: TwsBroker, data: bytes) -> None:
    """Let bytes arrive."""
    broker.tws(lambda ib: ib.client.conn.data_received(data))


@pytest.mark.parametrize("length", [2**24, 2**32 - 1])
def test_a_length_beyond_any_message_is_not_waited_for(broker: TwsBroker, length: int) -> None:
    """It would be gathered in memory until the heartbeat ends it."""
    hear(broker, length.to_bytes(4) + b"x")
    assert f"its length would be {length} bytes" in str(broker.health().error)
    assert wait_for(lambda: broker.is_connected, 20.0)


def test_a_long_message_is_waited_for(broker: TwsBroker) -> None:
    hear(broker, (2**24 - 1).to_bytes(4) + b"x")
    assert broker.is_connected


def test_an_unreadable_message_is_one_line_without_what_was_in_it(
    broker: TwsBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """The library would log it whole, with a traceback."""
    for payload in (b"5\0broken\0U1234567\0", b"61\x003\0U1234567\0", b"no number\0", b"\0"):
        hear(broker, len(payload).to_bytes(4) + payload)
    lines = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
    assert len(lines) == 4
    assert "U1234567" not in caplog.text
    assert broker.is_connected


def test_a_packet_that_cannot_be_taken_in_ends_the_connection(
    broker: TwsBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it left half done is looked up anew on the next connection."""

    def fail() -> None:
        monkeypatch.undo()
        raise KeyError

    monkeypatch.setattr(broker._session, "finish", fail)
    with suppress(NotConnectedError):  # another packet of TWS's may have come before this one
        hear(broker, b"\0\0\0\x0449\x001")
    assert "could not be taken in: KeyError" in caplog.text
    assert wait_for(lambda: broker.health().reconnects == 1 and broker.is_connected, 20.0)
