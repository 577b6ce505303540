"""A person is told of what matters, once, in the words of each service; nobody who listens badly holds a session up."""

import json
import logging
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from src.brokers.guarded import GuardedBroker
from src.brokers.kill import throw
from src.brokers.opening import Play, open_broker
from src.brokers.simulated import SimulatedBroker
from src.console.notify import Notifier, notifier
from src.console.outbox import Outbox
from src.console.webhooks import Message, format_of, masked_address, post, request, run
from src.domain.errors import ConfigurationError, OrderRefusedError
from src.domain.events import ConnectionChanged
from src.domain.market import Bar, Contract, Mode
from src.domain.orders import Action, Order
from src.runtime.clock import NS
from src.runtime.worker import wait_until
from src.settings import Settings, load_settings
from src.trading.portfolio import Portfolio
from src.trading.trader import Trader
from tests.trading.test_trader import Scripted, at_bar, buy, plan

Script = Callable[[Bar, Portfolio], Sequence[Order]]
Market = Callable[..., SimulatedBroker]
PATIENCE = 40.0
SECRET = "s3cret-part-of-the-address"


@dataclass
class Receiver:
    """A web server of this machine that keeps what it is sent; `answers` are its next status codes, 200 after them."""

    address: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, str], str]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def await_requests(self, number: int) -> None:
        """Until so many have come."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= number, PATIENCE), self.requests


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Listening on any free port."""
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status = kept.answers.pop(0) if kept.answers else 200
            self.send_response(status)
            self.end_headers()
            with kept.arrived:
                kept.requests.append((dict(self.headers), text))
                kept.arrived.notify_all()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    kept.address = f"http://127.0.0.1:{server.server_address[1]}/{SECRET}"
    yield kept
    server.shutdown()
    server.server_close()
    thread.join(PATIENCE)


def settings(**given: Any) -> Settings:
    """Those of a session."""
    return load_settings(environ={}, symbols="MSFT", **given)


class Kept(Outbox):
    """An outbox that sends nothing."""

    def __init__(self) -> None:
        super().__init__((), 6)
        self.messages: list[Message] = []

    def put(self, message: Message) -> None:
        """Keep it."""
        self.messages.append(message)


def told(
    market: Market, prices: Sequence[float] = (10, 11, 12), script: Script | None = None, **given: Any
) -> tuple[list[Message], Notifier]:
    """What a session tells."""
    outbox = Kept()
    with Notifier(settings(**given), outbox) as watcher:
        Trader(market(MSFT=prices), Scripted(script or at_bar(1, buy)), plan("MSFT"), [watcher]).run()
        return outbox.messages, watcher


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("discord", {"content": "<b> & it\nis", "allowed_mentions": {"parse": []}}),
        ("slack", {"text": "&lt;b&gt; &amp; it\nis"}),
    ],
)
def test_discord_and_slack_get_their_own_json(form: str, body: dict[str, Any]) -> None:
    """Nothing of a broker's text is markup, a mention or a terminal's control."""
    sent = request("http://127.0.0.1/x", form, Message("kill", "<b> & it\nis"))
    assert isinstance(sent.data, bytes)
    assert json.loads(sent.data) == body
    assert sent.get_header("Content-type") == "application/json"


def test_ntfy_gets_the_text_with_a_title_and_a_priority() -> None:
    """A kill wakes somebody; the summary does not."""
    urgent = request("http://127.0.0.1/topic", "ntfy", Message("kill", "it \x1b[31mis"))
    assert (urgent.data, urgent.get_header("Priority")) == (b"it  [31mis", "5")
    assert request("http://127.0.0.1/topic", "ntfy", Message("summary", "x")).get_header("Priority") == "3"


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("https://discord.com/api/webhooks/1/x", "discord"),
        ("https://hooks.slack.com/services/x", "slack"),
        ("https://ntfy.sh/topic", "ntfy"),
        ("https://ntfy.example/topic", "ntfy"),
    ],
)
def test_the_form_is_told_by_the_host_unless_it_is_named(address: str, form: str) -> None:
    """Auto, and one's own."""
    assert format_of(address, "auto") == form
    assert format_of(address, "slack") == "slack"


def test_a_failure_is_told_without_the_address(receiver: Receiver) -> None:
    """Who has it can write there."""
    receiver.answers = [404]
    failure = post(receiver.address, "ntfy", Message("kill", "x"))
    assert failure == "http://127.0.0.1/*** answers 404"
    assert masked_address("https://user:word@ntfy.sh/topic?x=1") == "https://ntfy.sh/***"
    assert post(receiver.address, "ntfy", Message("kill", "x")) == ""
    assert SECRET not in repr(settings(notify_webhook=receiver.address))


def test_a_command_gets_the_text_and_the_event_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit code tells whether it went well."""
    monkeypatch.setenv("NOTIFY_WEBHOOK", SECRET)
    script = tmp_path / "hook.py"
    script.write_text(
        "import os, sys, pathlib\n"
        "text = f\"{os.environ['NOTIFY_EVENT']}:{sys.stdin.read()}:{os.environ.get('NOTIFY_WEBHOOK')}\"\n"
        f"pathlib.Path({str(tmp_path / 'out')!r}).write_text(text)\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    assert run(f"{sys.executable} {script} 0", Message("kill", "it is")) == ""
    assert (tmp_path / "out").read_text() == "kill:it is\n:None"
    assert run(f"{sys.executable} {script} 3", Message("kill", "it is")) == "NOTIFY_COMMAND ended with 3"
    assert run(str(tmp_path / "nowhere"), Message("kill", "it is")) == "NOTIFY_COMMAND: FileNotFoundError"


def test_a_receiver_that_fails_is_tried_again_and_then_given_up(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """The second attempt comes through; three failures are one line."""
    outbox = Outbox([lambda message: post(receiver.address, "ntfy", message)], 6, retry_after=0.01)
    receiver.answers = [500, 200, 500, 500, 500]
    outbox.put(Message("kill", "one"))
    receiver.await_requests(2)
    with caplog.at_level(logging.WARNING):
        outbox.put(Message("kill", "two"))
        receiver.await_requests(5)
        outbox.close()
    assert [text for _, text in receiver.requests] == ["one", "one", "two", "two", "two"]
    assert caplog.text.count("could not be sent") == 1
    assert SECRET not in caplog.text


def test_too_many_are_left_out_and_counted_but_never_the_kill() -> None:
    """Two a minute; the third is left out, the kill tells of it."""
    sent: list[Message] = []

    def send(message: Message) -> str:
        sent.append(message)
        return ""

    outbox = Outbox([send], 2)
    for number in range(4):
        outbox.put(Message("rejected", str(number)))
    outbox.put(Message("kill", "thrown"))
    outbox.close()
    assert [message.text for message in sent] == ["0", "1", "thrown\n(2 more were not sent)"]


def test_a_flood_of_one_kind_does_not_take_the_place_of_another() -> None:
    """Orders are rejected by the dozen because the connection is going: that it has gone is told all the same."""
    sent: list[Message] = []

    def send(message: Message) -> str:
        sent.append(message)
        return ""

    outbox = Outbox([send], 1)
    for event in ("rejected", "rejected", "disconnected"):
        outbox.put(Message(event, "x"))
    outbox.close()
    assert [message.event for message in sent] == ["rejected", "disconnected"]


def test_one_way_that_hangs_does_not_hold_up_the_other() -> None:
    """The webhook's server is dead; the command runs."""
    release, sent = threading.Event(), threading.Event()

    def send(_: Message) -> str:
        sent.set()
        return ""

    outbox = Outbox([lambda _: str(release.wait(PATIENCE))[:0], send], 6)
    outbox.put(Message("kill", "x"))
    assert sent.wait(PATIENCE)
    release.set()
    outbox.close()


def test_a_receiver_that_talks_no_http_is_given_up_and_the_next_message_goes_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It answers with something else, or the address makes no request: neither stays in the queue for good."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_babble, args=(server,))
        thread.start()
        failure = post(f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}", "ntfy", Message("kill", "x"))
        thread.join(PATIENCE)
    assert failure == "http://127.0.0.1/***: BadStatusLine"
    assert post(f"http://127.0.0.1/{SECRET} x", "ntfy", Message("kill", "x")) == "http://127.0.0.1/***: InvalidURL"
    sent: list[str] = []

    def send(message: Message) -> str:
        if message.text == "bad":
            raise LookupError(SECRET)
        sent.append(message.text)
        return ""

    outbox = Outbox([send], 6, retry_after=0.01)
    with caplog.at_level(logging.WARNING):
        outbox.put(Message("kill", "bad"))
        outbox.put(Message("kill", "good"))
        outbox.close()
    assert sent == ["good"]
    assert "a notification (kill) could not be sent: LookupError" in caplog.text
    assert SECRET not in caplog.text


def _babble(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(b"what do you want\r\n\r\n")


def test_a_receiver_that_hangs_holds_nobody_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To put is to go on; at the end it is waited for, not long."""
    monkeypatch.setattr("src.console.outbox._LAST_WORDS", 0.05)
    release = threading.Event()
    outbox = Outbox([lambda _: str(release.wait(PATIENCE))[:0]], 60)

    def let_go() -> None:
        wait_until(lambda: "could not be sent" in caplog.text, PATIENCE)
        release.set()

    for number in range(100):
        outbox.put(Message("rejected", str(number)))
    with caplog.at_level(logging.WARNING):
        release_later = threading.Thread(target=let_go)
        release_later.start()
        outbox.close()
    release_later.join()
    assert "50 notifications could not be sent in time" in caplog.text


def test_the_summary_says_the_mode_the_orders_and_the_change(market: Market) -> None:
    """Bought at 10 for a dollar, worth 12 at the end."""
    messages, _ = told(market)
    [summary] = messages
    assert summary.event == "summary"
    assert summary.text.startswith("[SIMULATED] session test: the session is over\n1 orders, 1 fills, commissions 1.00")
    assert "(+199.00)" in summary.text
    assert "holds 100 MSFT" in summary.text


def test_a_rejected_order_is_told_once(market: Market) -> None:
    """By its error and by its status, it is one."""
    messages, _ = told(market, script=at_bar(1, lambda bar: buy(bar, 900_000)))
    [rejected, summary] = messages
    assert (rejected.event, summary.event) == ("rejected", "summary")
    assert "BUY 900000 MSFT MKT rejected: " in rejected.text


def test_what_is_not_wanted_is_not_told(market: Market) -> None:
    """Only what NOTIFY_EVENTS names."""
    messages, _ = told(market, script=at_bar(1, lambda bar: buy(bar, 900_000)), notify_events="kill,rejected")
    assert [message.event for message in messages] == ["rejected"]
    assert notifier(settings(notify_command="true", notify_events="none")) is None
    assert notifier(settings()) is None


def test_a_refusal_of_ours_is_told_with_the_account_masked(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real account's id stays here."""
    messages, watcher = told(market)
    monkeypatch.setattr(SimulatedBroker, "account_id", "U1234567")
    order = Order(Contract("MSFT"), Action.BUY, Decimal(100), order_ref="test-9")
    watcher.answered(order, OrderRefusedError("too large for U1234567"))
    assert messages[-1].event == "refused"
    assert "BUY 100 MSFT MKT refused: too large for " in messages[-1].text
    assert "U1234567" not in messages[-1].text


def test_a_kill_is_told_once_however_long_it_lasts(tmp_path: Path) -> None:
    """By the file that throws the switch."""
    given = settings(backend="simulated", state_dir=str(tmp_path), sim_market_hours="always")
    broker = open_broker(given, Play(persistent=True)).broker
    assert isinstance(broker, GuardedBroker)
    outbox = Kept()
    with Notifier(given, outbox) as watcher:
        watcher.began(Trader(broker, Scripted(lambda _, __: ()), plan("MSFT")), 100_000.0)
        watcher.idle()
        assert outbox.messages == []
        throw(tmp_path, "a test")
        for _ in range(2):
            assert wait_until(lambda: broker.is_killed, PATIENCE)
            watcher.idle()
    broker.disconnect()
    assert [message.event for message in outbox.messages] == ["kill"]
    assert "the kill switch is thrown" in outbox.messages[0].text


def test_guards_that_take_no_new_risk_are_told_of_with_the_reason(tmp_path: Path) -> None:
    """A strategy that ran away is halted: nothing is thrown, and nothing leaves."""
    given = settings(backend="simulated", state_dir=str(tmp_path), sim_market_hours="always")
    broker = open_broker(given, Play(persistent=True)).broker
    assert isinstance(broker, GuardedBroker)
    outbox = Kept()
    with Notifier(given, outbox) as watcher:
        watcher.began(Trader(broker, Scripted(lambda _, __: ()), plan("MSFT")), 100_000.0)
        broker._guards.latches.halt("too many orders a minute")  # as the guards do
        for _ in range(2):
            watcher.idle()
    broker.disconnect()
    assert [message.event for message in outbox.messages] == ["kill"]
    assert "no new risk is taken: too many orders a minute" in outbox.messages[0].text


def test_a_day_is_summed_up_when_it_is_over(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not with the first bar of the next one, which may be three nights away."""
    messages, watcher = told(market)
    messages.clear()
    broker = watcher._session.broker if watcher._session else None
    assert broker is not None
    later = broker.now() + 86_400 * NS
    monkeypatch.setattr(SimulatedBroker, "now", lambda _: later)
    watcher.idle()
    watcher.idle()
    assert [message.event for message in messages] == ["summary"]
    assert " is over\n1 orders, 1 fills" in messages[0].text


def test_two_losses_in_a_row_are_one_absence(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """TWS loses IB, then it goes itself: the time counts from the first."""
    messages, watcher = told(market)
    messages.clear()
    now = 0.0
    monkeypatch.setattr("src.console.notify.monotonic", lambda: now)
    watcher.heard(ConnectionChanged(Mode.PAPER, connected=False, reason="1100 gone"))
    now = 50.0
    watcher.heard(ConnectionChanged(Mode.PAPER, connected=False, reason="the socket is closed"))
    now = 61.0
    watcher.idle()
    assert [message.text.partition(": ")[2] for message in messages] == ["no connection for 60 s: the socket is closed"]


def test_a_connection_that_stays_lost_is_told_and_its_return_too(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before its time; one that comes back sooner is nobody's business."""
    messages, watcher = told(market)
    messages.clear()
    now = 0.0
    monkeypatch.setattr("src.console.notify.monotonic", lambda: now)
    watcher.heard(ConnectionChanged(Mode.PAPER, connected=False, reason="1100 gone"))
    now = 59.0
    watcher.idle()
    watcher.heard(ConnectionChanged(Mode.PAPER, connected=True))
    assert messages == []
    watcher.heard(ConnectionChanged(Mode.PAPER, connected=False, reason="1100 gone"))
    now = 119.5
    watcher.idle()
    watcher.idle()
    now = 130.0
    watcher.heard(ConnectionChanged(Mode.PAPER, connected=True))
    assert [message.text.partition(": ")[2] for message in messages] == [
        "no connection for 60 s: 1100 gone",
        "the connection is back after 71 s",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [("notify_webhook", "ftp://x"), ("notify_webhook", "topic"), ("notify_events", "fills"), ("notify_per_minute", 0)],
)
def test_a_wrong_setting_is_an_error_that_does_not_repeat_it(name: str, value: object) -> None:
    """As with every other one."""
    with pytest.raises(ConfigurationError, match=name) as raised:
        settings(**{name: value})
    assert "ftp" not in str(raised.value)
