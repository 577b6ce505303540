"""`python -m src serve-tws`: its first line, its banner, its end, and what it refuses."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from src.gateways.tws_codec import ClientHello, decode_server_hello, encode_client_hello
from tests.conftest import ROOT, Run


@contextmanager
def serving(environment: dict[str, str], *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The command as a process that ends with the test."""
    command = [sys.executable, "-m", "src", "serve-tws", "--port", "0", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_says_where_it_listens_speaks_and_ends(environment: dict[str, str], number: int, code: int) -> None:
    with serving(environment, "--account", "DUSIM01", "DUSIM02", "--seed", "3") as process:
        host, _, port = first_line(process).removeprefix("listening on ").partition(":")
        assert host == "127.0.0.1"
        assert first_line(process).startswith("PAPER GATEWAY: this is not TWS.")
        assert "accounts DUSIM01, DUSIM02; invented prices, seed 3" in first_line(process)
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(encode_client_hello(ClientHello(100, 178)))
            length = int.from_bytes(client.recv(4))
            assert decode_server_hello(client.recv(length)).server_version == 178
        process.send_signal(number)
        assert process.wait(60) == code


REFUSED = {
    "a live port": (["--port", "7496"], "where a live TWS listens"),
    "IB Gateway's live port": (["--port", "4001"], "where a live IB Gateway listens"),
    "all interfaces": (["--host", "0.0.0.0"], "--allow-remote"),  # noqa: S104
    "a strange account": (["--account", "x"], "account id"),
    "a version of no kind": (["--max-server-version", "158"], "server version"),
    "no cash": (["--cash", "0"], "dollars above zero"),
    "haste without an end": (["--speed", "max"], "--replay"),
    "a market that is not there": (["--replay", "nowhere.csv"], "nowhere.csv"),
    "a word too many": (["now"], "unrecognized arguments"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_wrong_use_is_one_line_and_exit_code_two(run: Run, arguments: list[str], words: str) -> None:
    done = run("-m", "src", "serve-tws", *arguments, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_help_tells_the_risk(run: Run) -> None:
    done = run("-m", "src", "serve-tws", "--help", cwd=ROOT)
    assert done.returncode == 0
    assert "whoever reaches it can trade" in " ".join(done.stdout.split())
