"""What is looked at over HTTP: who may look, and that nobody who looks badly is in anybody's way."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, RemoteDisconnected

import pytest

from src.runtime.http_server import HttpServer, Page, PatientServer, Request, is_loopback

Start = Callable[..., HttpServer]
PATIENCE = 40.0


def echo(request: Request) -> Page:
    """Say what was asked for."""
    if request.path == "/broken":
        raise ZeroDivisionError("no page")
    return Page(200, "text/plain", f"{request.path}?{request.query}".encode())


@pytest.fixture
def start() -> Iterator[Start]:
    """Start servers that end with the test."""
    servers: list[HttpServer] = []

    def serve(host: str = "127.0.0.1", port: int = 0, token: str = "") -> HttpServer:
        servers.append(HttpServer(host, port, echo, token))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


def get(server: HttpServer, path: str = "/a?b=1", **headers: str) -> tuple[int, str]:
    """Status and text; a header given here replaces the client's own."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_a_page_is_served_on_the_address_that_was_asked_for_and_nowhere_else(start: Start) -> None:
    """Any free port, on loopback alone."""
    server = start()
    assert get(server) == (200, "/a?b=1")
    with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123
        rows = [line.split() for line in table.readlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{server.port:04X}")]
    assert listening == [f"0100007F:{server.port:04X}"]


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:8000", "host.docker.internal:8000", "10.0.0.7"])
def test_a_host_header_that_is_an_address_or_our_name_is_answered(start: Start, host: str) -> None:
    """Prometheus on this machine, or in a container of it."""
    assert get(start(), Host=host) == (200, "/a?b=1")


@pytest.mark.parametrize("host", ["rebound.example", "", "[", "127.0.0.1.example"])
def test_a_host_header_with_somebody_elses_name_is_refused(start: Start, host: str) -> None:
    """A web page whose name was pointed at this machine reads nothing."""
    assert get(start(), Host=host)[0] == 403


def test_with_a_token_only_who_bears_it_is_answered(start: Start) -> None:
    """No token, another one, the right one."""
    server = start(token="a long enough one")
    assert get(server)[0] == 401
    assert get(server, Authorization="Bearer another")[0] == 401
    assert get(server, Authorization="Bearer a long enough one")[0] == 200


def test_a_page_that_fails_is_an_answer_and_a_line_in_the_log(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """The next page is served as ever, and the client learns nothing of the inside."""
    server = start()
    with caplog.at_level(logging.ERROR):
        status, text = get(server, "/broken")
    assert status == 500
    assert "ZeroDivisionError" not in text
    assert "/broken could not be made" in caplog.text
    assert get(server)[0] == 200


def test_clients_that_say_nothing_hold_only_their_own_threads(start: Start) -> None:
    """Seven hang, the eighth is answered; with eight that hang, the ninth is turned away at once."""
    server = start()
    with ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        assert get(server)[0] == 200
        for _ in range(8):  # more than there are threads, whatever has ended meanwhile
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        with pytest.raises((RemoteDisconnected, ConnectionResetError)):
            get(server)


def test_a_port_that_is_taken_is_an_error(start: Start) -> None:
    """Two programs never share one."""
    with pytest.raises(OSError, match="in use"):
        start(port=start().port)


def test_a_server_that_waits_takes_its_port_once_it_is_free() -> None:
    """It is told of once, knocks meanwhile, and serves when the other one has left."""
    first = HttpServer("127.0.0.1", 0, echo)
    taken: list[OSError] = []
    knocked, served = threading.Event(), threading.Event()
    patient = PatientServer(
        lambda: HttpServer("127.0.0.1", first.port, echo),
        taken.append,
        lambda _: served.set(),
        knocked.set,
        every=0.01,
    )
    try:
        assert knocked.wait(PATIENCE)
        assert not served.is_set()
        first.close()
        assert served.wait(PATIENCE)
        assert patient.server is not None
        assert get(patient.server)[0] == 200
        assert len(taken) == 1
    finally:
        patient.close()


def test_a_server_that_is_closed_waits_no_longer() -> None:
    """The port is free afterwards, and stays so."""
    first = HttpServer("127.0.0.1", 0, echo)
    knocked = threading.Event()
    patient = PatientServer(
        lambda: HttpServer("127.0.0.1", first.port, echo), lambda _: None, lambda _: None, knocked.set, every=0.01
    )
    assert knocked.wait(PATIENCE)
    patient.close()
    first.close()
    assert patient.server is None


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("192.168.1.2", False), ("nas", False)],
)
def test_what_is_this_machine_alone(host: str, *, loopback: bool) -> None:
    """A name that is not localhost may be anything."""
    assert is_loopback(host) is loopback
