"""The page's server: what it tells, whom it tells it, and the one command it takes."""

import http.client
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from email.message import Message
from typing import Any, NamedTuple

import pytest

from src.console.page.server import PageServer
from src.console.view import SessionView
from src.domain.errors import ConfigurationError
from src.domain.market import Bar
from src.runtime.clock import NS
from src.runtime.worker import wait_until
from src.trading.chart import Chart
from tests.console.test_screen import FACTS, MSFT, NOW, NVDA, VIEW


class Answer(NamedTuple):
    """What the server said."""

    status: int
    headers: Message
    body: bytes


class Site:
    """A served page, and whether its kill button was pressed."""

    def __init__(self) -> None:
        self.view: SessionView | None = VIEW
        self.kills = 0
        self.failure: Exception | None = None
        self.chart = Chart()
        self.server = PageServer(self._look, self.chart, self._kill)
        self.address = self.server.start()

    def _look(self) -> SessionView | None:
        if self.failure is not None:
            raise self.failure
        return self.view

    def _kill(self) -> str:
        if isinstance(self.failure, OSError):
            raise self.failure
        self.kills += 1
        return "stopped"

    def ask(self, method: str, path: str, **headers: str) -> Answer:
        """A request under the page's own name unless `Host` says otherwise."""
        with closing(self._connected(method, path, headers)) as connection, connection.getresponse() as response:
            streams = response.headers.get_content_type() == "text/event-stream"
            return Answer(response.status, response.headers, b"" if streams else response.read())

    @contextmanager
    def stream(self) -> Iterator[Iterator[dict[str, Any]]]:
        """What the stream of events brings."""
        with closing(self._connected("GET", "/events", {})) as connection, connection.getresponse() as response:
            yield (json.loads(line[6:]) for line in iter(response.readline, b"") if line.startswith(b"data: "))

    def _connected(self, method: str, path: str, headers: dict[str, str]) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return connection


@pytest.fixture
def site() -> Iterator[Site]:
    """A page of a session on paper."""
    made = Site()
    yield made
    made.server.stop()


def bar(minute: int, close: float) -> Bar:
    """A minute bar of NVDA that ends so many minutes from now."""
    end = NOW + minute * 60 * NS
    return Bar(NVDA, end - 60 * NS, end, close, close + 1, close - 1, close, 100)


def test_the_page_and_its_parts_come_from_this_server_alone(site: Site) -> None:
    """No address of anywhere else but a link a person may follow, and a policy that would stop any."""
    page = site.ask("GET", "/")
    text = page.body.decode()
    assert page.status == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert text.count("http") == text.count('href="https://www.tradingview.com/"') == 1
    for name in ("page.js", "drawing.js", "page.css", "lightweight-charts.standalone.production.js"):
        assert f"/assets/{name}" in text
        assert site.ask("GET", f"/assets/{name}").status == 200
    for name in ("..%2fserver.py", "nothing.js", "lightweight-charts.LICENSE"):
        assert site.ask("GET", f"/assets/{name}").status == 404


def test_the_stream_brings_the_view_and_only_what_is_new_of_the_charts(site: Site) -> None:
    """Numbers as numbers, and nothing that is not known as one."""
    site.chart.bars([bar(0, 172)], 100_000.0)
    with site.stream() as stream:
        first = next(stream)
        assert first["view"]["mode"] == "paper"
        assert first["view"]["account"] == "DU****67"
        assert first["view"]["net_liquidation"] is None
        assert [row["bid"] for row in first["view"]["holdings"]] == [172.36, None]
        assert [row["last"] for row in first["view"]["holdings"]] == [172.37, None]
        assert [row[:3] for row in first["chart"]["candles"]] == [["NVDA", NOW // NS - 60, 172]]
        site.chart.bars([bar(1, 171)], 99_000.0)
        later = next(each for each in stream if each["chart"]["candles"])
    assert [row[5] for row in later["chart"]["candles"]] == [171]
    assert later["chart"]["curve"] == [[NOW // NS + 60, 99_000.0, -0.01]]


def test_before_the_session_begins_the_stream_says_nothing(site: Site) -> None:
    """It waits, and then tells."""
    site.view = None
    with site.stream() as stream:
        site.view = replace(VIEW, facts=replace(FACTS, contracts=(NVDA, MSFT)))
        assert next(stream)["view"]["session"] == "abc"


@pytest.mark.parametrize("host", ["evil.example:80", "127.0.0.1", "localhost:1", ""])
def test_a_request_under_another_name_is_refused(site: Site, host: str) -> None:
    """A page of the internet that points its name here gets nothing, and can stop nothing."""
    for method, path in (("GET", "/"), ("GET", "/events"), ("POST", "/kill")):
        assert site.ask(method, path, Host=host, X_Understudy_Token=site.server.token).status == 421
    assert site.kills == 0


def test_only_a_post_with_the_token_throws_the_switch(site: Site) -> None:
    """The token is in the address's fragment, which no browser sends."""
    assert site.address.endswith(f"#{site.server.token}")
    assert site.ask("GET", "/kill").status == 405
    assert site.ask("POST", "/kill").status == 403
    assert site.ask("POST", "/kill", X_Understudy_Token="wrong").status == 403
    assert site.kills == 0
    answer = site.ask("POST", "/kill", X_Understudy_Token=site.server.token)
    assert (answer.status, json.loads(answer.body)["words"], site.kills) == (200, "stopped", 1)


def test_a_switch_that_cannot_be_thrown_says_so_and_what_to_do_instead(site: Site) -> None:
    """The disk is full, and the person who pressed must not believe that it is done."""
    site.failure = OSError(28, "No space left on device")
    answer = site.ask("POST", "/kill", X_Understudy_Token=site.server.token)
    told = json.loads(answer.body)
    assert (answer.status, told["done"]) == (500, False)
    assert told["words"].startswith("NOT STOPPED: [Errno 28] No space left on device. Ctrl-C")


def test_the_switch_is_thrown_at_once_while_looks_hang(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many pages as there are threads to look for them wait for a broker."""
    release, hanging = threading.Event(), threading.Semaphore(0)

    def hang() -> SessionView | None:
        hanging.release()
        release.wait(60)
        return None

    monkeypatch.setattr(site.server, "_look", hang)
    pages = min(32, (os.cpu_count() or 1) + 4)  # asyncio's default
    with ExitStack() as streams:
        for _ in range(pages):
            streams.enter_context(site.stream())
        for _ in range(pages):
            assert hanging.acquire(timeout=60)
        try:
            assert site.ask("POST", "/kill", X_Understudy_Token=site.server.token).status == 200
        finally:
            release.set()


def test_one_bad_look_does_not_end_the_stream(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """It is told of once; the next good one is shown."""
    site.failure = LookupError("of a moment")
    with site.stream() as stream:
        assert wait_until(lambda: "cannot look" in caplog.text, 60)
        site.failure = None
        assert next(stream)["view"]["session"] == "abc"
    assert caplog.text.count("the page cannot look at the session") == 1


def test_what_is_no_number_is_null(site: Site) -> None:
    """JSON has no NaN; a browser would stop at it."""
    site.view = replace(VIEW, facts=replace(FACTS, equity=float("nan")))
    site.chart.bars([bar(0, 172)], float("nan"))
    with site.stream() as stream:
        first = next(stream)
    assert first["view"]["equity"] is None
    assert first["chart"]["curve"] == []


def test_a_taken_port_and_another_host_are_said_in_one_line(site: Site) -> None:
    """As wrong use, before the session trades."""
    nobody: Callable[[], str] = str
    with pytest.raises(ConfigurationError, match=f"port {site.server.port} cannot be had"):
        PageServer(lambda: None, Chart(), nobody).start(site.server.port)
    with pytest.raises(ConfigurationError, match="this machine only"):
        PageServer(lambda: None, Chart(), nobody).start(0, "0.0.0.0")  # noqa: S104  # refused


def test_it_listens_on_loopback_only_and_stops(site: Site) -> None:
    """Nobody answers afterwards, and stopping twice is once."""
    port = site.server.port
    with site.stream() as stream:
        next(stream)
        site.server.stop()
        site.server.stop()
        assert list(stream) == []
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0
