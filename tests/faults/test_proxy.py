"""The fault proxy does what it says, byte for byte."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from src.runtime.clock import monotonic, wall_clock
from tests.brokers.tws.scripted import wait_until
from tests.faults.proxy import Do, Fault, FaultProxy, Shape, Way


def frame(*fields: str) -> bytes:
    """A message as it goes over the wire."""
    payload = "".join(f"{each}\0" for each in fields).encode()
    return struct.pack(">I", len(payload)) + payload


class Ends:
    """The two ends of a proxied connection."""

    def __init__(self, proxy: FaultProxy, listener: socket.socket) -> None:
        self.proxy = proxy
        self.client = socket.create_connection(("127.0.0.1", proxy.port), timeout=40)
        self.gateway, _ = listener.accept()
        self.gateway.settimeout(40)

    def greet(self) -> None:
        """Let the greeting pass."""
        self.client.sendall(b"API\0")
        assert read(self.gateway, 4) == b"API\0"


def read(end: socket.socket, count: int) -> bytes:
    """So many bytes."""
    found = b""
    while len(found) < count:
        data = end.recv(count - len(found))
        assert data, f"the connection ended after {found!r}"
        found += data
    return found


def is_quiet(end: socket.socket, seconds: float = 0.1) -> bool:
    """Whether nothing comes, not even an end."""
    end.settimeout(seconds)
    try:
        end.recv(1)
    except TimeoutError:
        return True
    finally:
        end.settimeout(40)
    return False


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A client's and a gateway's socket, with the proxy between."""
    with connected() as found:
        yield found


@contextmanager
def connected() -> Iterator[Ends]:
    """The same, inside `with`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(40)
        with FaultProxy(listener.getsockname()[1]) as proxy:
            found = Ends(proxy, listener)
            with found.client, found.gateway:
                found.greet()
                yield found


def test_what_passes_is_unchanged_and_remembered(ends: Ends) -> None:
    before = wall_clock()
    ends.client.sendall(frame("3", "7") + frame("49"))
    assert read(ends.gateway, len(frame("3", "7") + frame("49"))) == frame("3", "7") + frame("49")
    ends.gateway.sendall(frame("4", "x"))
    assert read(ends.client, len(frame("4", "x"))) == frame("4", "x")
    assert [(each.way, each.kind) for each in ends.proxy.passed] == [
        (Way.OUT, "API"), (Way.OUT, "3"), (Way.OUT, "49"), (Way.IN, "4"),
    ]  # fmt: skip
    assert ends.proxy.order_bytes == len(frame("3", "7"))
    assert before <= ends.proxy.sent("49")[0].time <= wall_clock()


@pytest.mark.parametrize("at", range(len(frame("3", "77")) + 1))
@pytest.mark.parametrize("do", [Do.RESET, Do.FIN, Do.SILENCE, Do.HALF_OPEN])
def test_a_connection_is_cut_after_the_byte_that_was_named(ends: Ends, do: Do, at: int) -> None:
    ends.proxy.arm(Fault(do, Way.OUT, "3", nth=2, at=at))
    whole = frame("3", "77")
    ends.client.sendall(frame("3", "1") + frame("9") + whole)
    assert read(ends.gateway, len(frame("3", "1") + frame("9")) + at).endswith(whole[:at])
    if do in (Do.SILENCE, Do.HALF_OPEN):
        ends.client.sendall(frame("49"))
        assert is_quiet(ends.gateway, 0.01)
        assert is_quiet(ends.client, 0.01)
    else:
        for end in (ends.gateway, ends.client):
            if do is Do.FIN:
                assert end.recv(1) == b""
            else:
                with pytest.raises(ConnectionResetError):
                    end.recv(1)
    assert sum(len(each.frame) for each in ends.proxy.sent("3")) == len(frame("3", "1")) + at


def test_half_open_stops_reading_until_it_behaves(ends: Ends) -> None:
    ends.proxy.end(Do.HALF_OPEN)
    ends.client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        ends.client.sendall(frame("49", "x" * 10_000) * 2_000)
    ends.proxy.behave()
    assert read(ends.gateway, len(frame("49"))) == frame("49", "x" * 10_000)[: len(frame("49"))]


def test_silence_reads_on_and_passes_nothing(ends: Ends) -> None:
    ends.proxy.end(Do.SILENCE)
    ends.client.sendall(frame("49", "x" * 10_000) * 2_000)
    assert is_quiet(ends.gateway)


def test_messages_are_dropped_duplicated_truncated_and_replaced(ends: Ends) -> None:
    ends.proxy.arm(
        Fault(Do.DROP, Way.IN, "5"),
        Fault(Do.DUPLICATE, Way.IN, "11", nth=2),
        Fault(Do.TRUNCATE, Way.IN, "3", at=5),
        Fault(Do.GARBAGE, Way.IN, "9", at=4, data=b"\xff\xff"),
    )
    ends.gateway.sendall(b"".join(frame(kind) for kind in ("5", "11", "11", "3", "9", "5")))
    wanted = frame("11") * 3 + frame("3")[:5] + frame("9")[:4] + b"\xff\xff" + frame("5")
    assert read(ends.client, len(wanted)) == wanted


def test_a_fault_meets_as_many_messages_as_it_says(ends: Ends) -> None:
    ends.proxy.arm(Fault(Do.DROP, Way.IN, "5", count=3))
    ends.gateway.sendall(frame("5") * 3 + frame("5", "last"))
    assert read(ends.client, len(frame("5", "last"))) == frame("5", "last")


def test_bytes_drip_split_gathered_and_late(ends: Ends) -> None:
    ends.proxy.shape(Way.OUT, Shape(piece=1, pause=0.002))
    started = monotonic()
    ends.client.sendall(frame("49") * 3)
    assert read(ends.gateway, 3 * len(frame("49"))) == frame("49") * 3
    assert monotonic() - started > 0.002 * (3 * len(frame("49")) - 1)
    ends.proxy.shape(Way.OUT, Shape(gather=3))
    ends.client.sendall(frame("49") * 2)
    assert is_quiet(ends.gateway)
    ends.client.sendall(frame("49"))
    assert read(ends.gateway, 3 * len(frame("49"))) == frame("49") * 3
    ends.proxy.shape(Way.OUT, Shape(later=0.1))
    started = monotonic()
    ends.client.sendall(frame("49"))
    read(ends.gateway, len(frame("49")))
    assert monotonic() - started >= 0.1


def test_one_message_is_late_and_all_behind_it(ends: Ends) -> None:
    ends.proxy.arm(Fault(Do.DELAY, Way.IN, "5", seconds=0.1))
    started = monotonic()
    ends.gateway.sendall(frame("5") + frame("3"))
    assert read(ends.client, 2 * len(frame("5"))) == frame("5") + frame("3")
    assert monotonic() - started >= 0.1


def test_it_refuses_and_listens_again_on_its_port(ends: Ends) -> None:
    ends.proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ends.proxy.port), timeout=40)
    port = ends.proxy.port
    ends.proxy.listen()
    assert ends.proxy.port == port
    socket.create_connection(("127.0.0.1", port), timeout=40).close()
    wait_until(lambda: len(ends.proxy.links) == 2)  # the fixture's own, and this one


def test_an_end_on_one_side_ends_the_other(ends: Ends) -> None:
    ends.client.close()
    assert ends.gateway.recv(1) == b""
