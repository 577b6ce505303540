"""Who is at a port, by the answer to TWS's greeting: real servers on this machine, and answers of any bytes."""

import logging
import os
import selectors
import socket
import threading
from collections.abc import Callable
from time import monotonic

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.brokers import discovery, handshake
from src.brokers.discovery import Candidate, probe
from src.brokers.findings import Finding, Origin, Outcome
from src.brokers.handshake import read_answer, shake_hands
from tests.listeners import (
    GREETING,
    Address,
    Handler,
    closing,
    dripping,
    hello,
    http_server,
    listening,
    resetting,
    saying,
    silent,
    tws,
)

#: For who stays silent; and for answers, which come far sooner, on a busy machine too.
SHORT, PATIENCE = 0.4, 20.0


def candidate(address: Address) -> Candidate:
    return Candidate(Origin.NAMED, *address)


def found(*addresses: Address, patience: float = PATIENCE) -> tuple[Finding, ...]:
    return probe(map(candidate, addresses), patience=patience)


def test_tws_answers_with_its_version_and_time() -> None:
    """Both are in the finding, and so is our own end of the connection, which is what Trusted IPs need."""
    with listening(tws(176)) as server:
        [finding] = found(server.address)
    assert (finding.outcome, finding.server_version, finding.server_time) == (Outcome.OK, 176, "20260105 09:31:02 EST")
    assert finding.our_address == "127.0.0.1"
    assert finding.heard_at > 0


def test_the_api_is_not_started_and_no_client_id_is_used() -> None:
    """Nothing follows the greeting: TWS sees a visitor who came and left."""
    heard: list[bytes] = []
    with listening(tws(heard=heard)) as server:
        found(server.address)
    assert (heard, server.connections) == ([], 1)


def test_an_answer_in_pieces_is_an_answer() -> None:
    """TCP knows no frames."""
    with listening(dripping(hello(178), 0.001)) as server:
        [finding] = found(server.address)
    assert (finding.outcome, finding.server_version) == (Outcome.OK, 178)


def test_a_tws_that_is_too_old_is_not_called_missing() -> None:
    """156 is the last version that the libraries do not talk to."""
    with listening(tws(156)) as server:
        [finding] = found(server.address)
    assert (finding.outcome, finding.server_version) == (Outcome.TOO_OLD, 156)


@pytest.mark.parametrize("handler", [resetting, closing])
def test_an_address_that_is_not_trusted_is_told_from_a_closed_port(handler: Handler) -> None:
    """Accepted and then closed: document 004's "connection reset by peer"."""
    begun = monotonic()
    with listening(handler) as server:
        [finding] = found(server.address)
    assert finding.outcome is Outcome.CLOSED_AFTER_ACCEPT
    assert monotonic() - begun < PATIENCE / 2


def test_a_reset_that_is_quicker_than_we_are_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection stood, and was gone when we looked."""
    gone = threading.Event()

    def handle(connection: socket.socket) -> None:
        resetting(connection)
        connection.close()
        gone.set()

    class Late(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            assert gone.wait(PATIENCE)
            return super().select(timeout)

    monkeypatch.setattr(selectors, "DefaultSelector", Late)
    with listening(handle) as server:
        [finding] = found(server.address)
    assert finding.outcome is Outcome.CLOSED_AFTER_ACCEPT


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n<html>", "HTTP/1.1 400 Bad Request"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0-OpenSSH_9.6"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "......."),
        (b"\xff" * 60, "." * 40),
        (b"\0\0\0\0", "...."),
        (b"\0\0\0\x05hello", "....hello"),
        (b"\0\0\0\x08176 now\0", "....176 now."),
        (b"\0\0\0\x07-1\0now\0", "....-1.now."),
        (b"\x1b[2J\x07", ".[2J."),
    ],
)
def test_another_program_is_known_by_its_first_words(words: bytes, seen: str) -> None:
    """At once, and in signs that a terminal does not obey."""
    with listening(saying(words)) as server:
        [finding] = found(server.address)
    assert (finding.outcome, finding.seen) == (Outcome.NOT_TWS, seen)


@pytest.fixture
def long_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly all of the wait is left for who speaks when our side of the connection is closed."""
    monkeypatch.setattr(handshake, "_LAST_SECONDS", PATIENCE)
    monkeypatch.setattr(handshake, "_LAST_PART", 0.99)


@pytest.mark.usefixtures("long_end")
def test_a_web_server_that_waits_for_a_whole_line_is_found_out_at_the_end() -> None:
    """It answers when our side of the connection is closed; until then it might be TWS with a dialog."""
    with http_server() as address:
        [finding] = found(address)
    assert finding.outcome is Outcome.NOT_TWS
    assert "400" in finding.seen or "HTML" in finding.seen.upper()


@pytest.mark.parametrize("words", [hello(176), b"\0\0\0\x40" + b"1" * 60])
def test_a_server_that_drips_does_not_outlast_our_patience(words: bytes) -> None:
    """What has not become TWS's answer by then is none."""
    begun = monotonic()
    with listening(dripping(words, 0.5)) as server:
        [finding] = found(server.address, patience=1.0)
        took = monotonic() - begun
    assert finding.outcome is Outcome.NOT_TWS
    assert took < PATIENCE / 2 < 0.5 * len(words)


def never_reading(ended: threading.Event) -> Handler:
    def handle(connection: socket.socket) -> None:
        ended.wait(PATIENCE)

    return handle


def test_silence_is_waited_out_on_one_connection() -> None:
    """One dead dialog on TWS's screen, not many; the person may still say yes while it lasts."""
    ends: list[float] = []

    def handle(connection: socket.socket) -> None:
        silent(connection)
        ends.append(monotonic())

    begun = monotonic()
    with listening(handle) as server:
        [finding] = found(server.address, patience=SHORT)
        waited = monotonic() - begun
    assert finding.outcome is Outcome.SILENT
    assert finding.our_address == "127.0.0.1"
    assert SHORT * 0.7 <= waited < PATIENCE / 2
    assert server.connections == 1
    assert ends[0] - begun >= SHORT * 0.7


def test_a_server_that_does_not_even_read_is_silent() -> None:
    """It hangs, or is stopped in a debugger."""
    ended = threading.Event()
    with listening(never_reading(ended)) as server:
        [finding] = found(server.address, patience=SHORT)
        ended.set()
    assert finding.outcome is Outcome.SILENT


def test_a_person_who_says_yes_in_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint comes while the connection is open, and the answer after it counts."""
    monkeypatch.setattr(handshake, "HINT_SECONDS", 0.05)
    person_looks = threading.Event()

    def handle(connection: socket.socket) -> None:
        assert connection.recv(1024) == GREETING
        assert person_looks.wait(PATIENCE)
        connection.sendall(hello(176))
        silent(connection)

    with listening(handle) as server, socket.create_connection(server.address) as connection:
        answer = shake_hands(connection, PATIENCE, person_looks.set)
    assert (answer.outcome, answer.server_version) == (Outcome.OK, 176)


def test_silence_tells_a_person_where_to_look(caplog: pytest.LogCaptureFixture) -> None:
    """Once, in the log, which is on standard error at the command line."""
    with listening(silent) as server:
        found(server.address, patience=SHORT)
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"127.0.0.1:{server.address[1]}" in record.getMessage()
    assert "dialog" in record.getMessage()


def test_the_first_tws_in_order_is_the_one_and_the_rest_is_not_asked() -> None:
    """Each has been connected to, once, and only one has been greeted."""
    heard: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        while words := connection.recv(1024):
            heard.append(words)

    with listening(tws(177)) as first, listening(handle) as second:
        outcomes = [each.outcome for each in found(first.address, second.address)]
    assert outcomes == [Outcome.OK, Outcome.LISTENING]
    assert heard == []


@pytest.mark.parametrize("handler", [resetting, closing, saying(b"SSH-2.0\r\n"), tws(100)])
def test_behind_what_is_not_our_tws_another_one_is_found(handler: Handler) -> None:
    """An answer is no reason to stop looking; only silence uses the time up."""
    with listening(handler) as first, listening(tws()) as second:
        outcomes = [each.outcome for each in found(first.address, second.address)]
    assert outcomes[0] is not Outcome.OK
    assert outcomes[1] is Outcome.OK


@pytest.mark.usefixtures("long_end")
def test_a_web_server_on_the_first_port_does_not_hide_tws_on_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if it has used the time up."""
    monkeypatch.setattr(discovery, "_LEAST_SECONDS", PATIENCE)
    with http_server() as first, listening(tws()) as second:
        outcomes = [each.outcome for each in found(first, second.address, patience=0.0)]
    assert outcomes == [Outcome.NOT_TWS, Outcome.OK]


def test_no_second_dialog_is_opened_behind_a_silent_one() -> None:
    """The next one that listens is named, and left alone."""
    with listening(silent) as first, listening(silent) as second:
        outcomes = [each.outcome for each in found(first.address, second.address, patience=SHORT)]
    assert outcomes == [Outcome.SILENT, Outcome.LISTENING]


@pytest.mark.skipif(os.name == "nt", reason="Windows counts handles otherwise")
def test_no_connection_is_left_open(quiet_address: Address) -> None:
    """Whatever became of it."""
    kinds: list[Callable[[socket.socket], None]] = [resetting, closing, saying(b"x"), tws()]
    for kind in kinds:
        with listening(kind) as server:
            before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
            found(server.address, quiet_address)
            after = len(os.listdir("/proc/self/fd")) if before else 0  # noqa: PTH208
            assert after <= before + 1  # the server's own end may not be closed yet


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: b"\0\0\0\x20" + rest))
@example(hello(176))
@example(hello(1))
@example(b"\0\0\0\x02\0\0")
@example(b"\0\0\0\x03\xb2\0\0")
def test_any_bytes_get_a_verdict_and_keep_it(received: bytes) -> None:
    """Reading never fails, a verdict on the beginning is the verdict on the whole, and only TWS has a version."""
    verdicts = [read_answer(received[:length]) for length in range(len(received) + 1)]
    outcomes = [each.outcome for each in verdicts if each is not None]
    assert len(set(outcomes)) <= 1
    assert [each is None for each in verdicts] == sorted([each is None for each in verdicts], reverse=True)
    for each in filter(None, verdicts):
        assert (each.server_version is not None) is (each.outcome in {Outcome.OK, Outcome.TOO_OLD})
        assert all(sign.isprintable() and sign.isascii() for sign in each.seen + each.server_time)


@given(st.integers(0, 9999), st.from_regex(r"[ -~]{0,40}", fullmatch=True))
def test_every_answer_of_tws_is_understood(version: int, time: str) -> None:
    """Whatever the zone is called."""
    answer = read_answer(hello(version, time))
    assert answer is not None
    assert answer.server_version == version
    assert answer.server_time == time
    assert answer.outcome is (Outcome.OK if version >= 157 else Outcome.TOO_OLD)
