"""What the doctor makes of the facts, and what it says must be changed: no socket is opened here."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from src.brokers.advice import cure, stale_address
from src.brokers.doctor import account, connection, surroundings
from src.brokers.doctor.report import Check, Diagnosis, Status, as_text
from src.brokers.findings import Finding, Network, Origin, Outcome
from src.domain.errors import BrokerError, NoMarketDataError, RequestTimeoutError, UnknownContractError
from src.domain.market import Contract, Mode, Quote, Source
from src.runtime.clock import to_nanoseconds
from src.settings import Settings

NOON = datetime(2026, 1, 5, 12, 0, 0, 400_000, tzinfo=UTC)
WINDOWS = Finding("172.24.32.1", 7497, Outcome.OK, Origin.GATEWAY, Network.NAT, our_address="172.24.46.63")
HERE = Finding("127.0.0.1", 7497, Outcome.NOT_LISTENING, Origin.LOCAL, Network.NAT, our_address="127.0.0.1")


def windows(outcome: Outcome) -> Finding:
    return replace(WINDOWS, outcome=outcome)


def text(lines: tuple[str, ...]) -> str:
    return "\n".join(lines)


# --- Cures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [each for each in Outcome if each not in {Outcome.OK, Outcome.LISTENING}])
@pytest.mark.parametrize("network", list(Network))
@pytest.mark.parametrize("host", ["127.0.0.1", "172.24.32.1"])
def test_everything_that_may_be_found_has_a_cure(outcome: Outcome, network: Network, host: str) -> None:
    """A sentence first that says what to do, without a full stop, as it is put into others."""
    what, *_ = cure(Finding(host, 7497, outcome, network=network))
    assert what[0].isupper()
    assert not what.endswith(".")
    assert len(what) < 160


def test_the_address_to_trust_is_our_own_and_not_the_one_we_call() -> None:
    """The classic mistake: the host that is connected to is put into Trusted IPs."""
    for outcome in (Outcome.CLOSED_AFTER_ACCEPT, Outcome.SILENT):
        said = text(cure(windows(outcome)))
        assert 'add 172.24.46.63 to "Trusted IPs"' in said
        assert "IB Gateway refuses ranges" in said


def test_what_lasts_beyond_a_restart_of_windows_is_said_behind_nat() -> None:
    """Mirrored networking, or a port proxy so that TWS sees 127.0.0.1."""
    said = cure(windows(Outcome.CLOSED_AFTER_ACCEPT))
    assert "    networkingMode=mirrored" in said
    [proxy] = [line for line in said if "portproxy" in line]
    assert proxy.strip() == (
        "netsh interface portproxy add v4tov4 listenport=17497 connectaddress=127.0.0.1 connectport=7497"
    )
    assert any("IBKR_PORT=17497" in line for line in said)
    elsewhere = text(cure(replace(windows(Outcome.CLOSED_AFTER_ACCEPT), network=Network.NATIVE)))
    assert "portproxy" not in elsewhere
    assert "mirrored" not in elsewhere


def test_behind_a_firewall_there_is_a_rule_to_paste_in_two_forms() -> None:
    """For the port that was tried, by address and by adapter."""
    rules = [line for line in cure(windows(Outcome.FILTERED)) if line.startswith("    New-NetFirewallRule")]
    by_address, by_adapter = rules[0], rules[1]
    assert "-LocalPort 7497 -Action Allow -RemoteAddress 172.16.0.0/12" in by_address
    assert '-LocalPort 7497 -Action Allow -InterfaceAlias "vEthernet (WSL*)"' in by_adapter


def test_in_mirrored_mode_no_answer_is_no_firewall_s_doing() -> None:
    """Start TWS; and if it runs, WSL's own network hangs."""
    what, *more = cure(Finding("127.0.0.1", 7497, Outcome.FILTERED, Origin.LOCAL, Network.MIRRORED))
    assert what.startswith("Start TWS")
    assert "    wsl --shutdown" in more
    assert "NetFirewallRule" not in text(tuple(more))


def test_a_stale_address_is_replaced_by_the_one_that_answers() -> None:
    """Or by none."""
    said = text(stale_address(replace(HERE, host="172.20.0.1", origin=Origin.NAMED), WINDOWS))
    assert "IBKR_HOST_IP=172.24.32.1, or IBKR_HOST_IP=auto" in said


# --- The connection ---------------------------------------------------------------------------------------------------


def test_only_the_finding_nearest_to_a_connection_fails_and_it_stands_last() -> None:
    """One cure, not one for each address."""
    checks = connection.addresses([windows(Outcome.CLOSED_AFTER_ACCEPT), HERE])
    assert [(each.id, each.status) for each in checks] == [
        ("not_listening", Status.WARN),
        ("closed_after_accept", Status.FAIL),
    ]
    assert [bool(each.fix) for each in checks] == [False, True]


def test_where_tws_answers_nothing_else_is_amiss() -> None:
    """A port at which nothing listens is nobody's concern then."""
    checks = connection.addresses([HERE, WINDOWS])
    assert {each.status for each in checks} == {Status.PASS}
    assert not any(each.fix for each in checks)


def test_a_stale_address_fails_although_tws_answers() -> None:
    """The settings point elsewhere, even where another one is at the door."""
    stale = replace(HERE, host="172.20.0.1", origin=Origin.NAMED, outcome=Outcome.FILTERED)
    checks = connection.addresses([stale, windows(Outcome.SILENT), WINDOWS])
    failed = checks[-1]
    assert (failed.id, failed.status) == ("filtered", Status.FAIL)
    assert "IBKR_HOST_IP=172.24.32.1" in failed.fix
    assert ("ok", Status.PASS) in {(each.id, each.status) for each in checks}


@pytest.mark.parametrize(
    ("server_time", "skew", "known"),
    [
        ("20260105 12:00:00 GMT", 0, True),
        ("20260105 12:00:03 Greenwich Mean Time", 3, True),
        ("20260105 07:00:00 EST", 0, True),
        ("20260105 08:30:00 EST", 5400, True),
        ("20260105-12:00:00 UTC", 0, True),
        ("20260105 17:30:00 India Standard Time", 0, False),
        ("20260105 17:45:02 Nepal Time", 2, False),
        ("20260105 19:58:20 China Standard Time", -100, False),
        ("20260105 12:05:00 ", 300, False),
        ("yesterday", None, False),
        ("", None, False),
        ("20261399 12:00:00 GMT", None, False),
    ],
)
def test_clocks_are_compared_in_any_zone(server_time: str, skew: int | None, known: bool) -> None:
    """By its name where TWS's zone is known, else by the minutes that all zones share."""
    assert connection.skew_seconds(server_time, to_nanoseconds(NOON)) == (skew, known)


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, Status.PASS), (5, Status.PASS), (-6, Status.WARN), (90, Status.WARN)]
)
def test_a_clock_that_is_off_is_worth_knowing_and_stops_nobody(seconds: int, status: Status) -> None:
    """Under WSL it lags after a sleep."""
    stamp = (NOON + timedelta(seconds=seconds)).strftime("%Y%m%d %H:%M:%S UTC")
    check = connection.clock(replace(WINDOWS, server_time=stamp, heard_at=to_nanoseconds(NOON)))
    assert check.status is status
    assert ("behind" in check.title) is (seconds == 90)
    assert ("ahead of" in check.title) is (seconds == -6)
    assert bool(check.fix) is (status is Status.WARN)


# --- This side --------------------------------------------------------------------------------------------------------

INSYNC = {"ib_insync": "0.9.86", "eventkit": "1.0.3"}
ASYNC = {"ib_async": "2.1.0", "aeventkit": "2.1.0"}


@pytest.mark.parametrize(
    ("installed", "wanted", "status", "part"),
    [
        (INSYNC, "auto", Status.PASS, "ib_insync 0.9.86"),
        (ASYNC, "ib_async", Status.PASS, "ib_async 2.1.0"),
        (INSYNC | ASYNC, "auto", Status.FAIL, "in one environment"),
        (INSYNC | ASYNC, "ib_async", Status.FAIL, "in one environment"),
        (INSYNC | {"aeventkit": "2.1.0"}, "auto", Status.FAIL, "aeventkit and eventkit"),
        ({"ib_async": "2.1.0"}, "auto", Status.FAIL, "no eventkit"),
        ({"ib_async": "2.1.0", "eventkit": "1.0.3"}, "auto", Status.FAIL, "eventkit"),
        ({}, "auto", Status.FAIL, "none"),
        (INSYNC, "ib_async", Status.FAIL, "IBKR_LIBRARY=ib_async"),
    ],
)
def test_one_client_library_with_the_eventkit_of_its_own(
    installed: dict[str, str], wanted: str, status: Status, part: str
) -> None:
    """Both in one environment overwrite each other's `eventkit`, and removing one leaves the other broken."""
    check = surroundings.library(installed, wanted)
    assert check.status is status
    assert part in check.title
    assert bool(check.fix) is (status is Status.FAIL)


MOUNTS = """\
/dev/sdc / ext4 rw,relatime 0 0
none /mnt/wsl tmpfs rw 0 0
C:\\134 /mnt/c 9p rw,noatime,aname=drvfs;path=C:\\134 0 0
//nas/share /home/me/nas cifs rw 0 0
D:\\134 /mnt/my\\040disk drvfs rw 0 0
broken line
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me/.local/state", "ext4"),
        ("/mnt/c/Users/me", "9p"),
        ("/mnt/c", "9p"),
        ("/mnt/cdrom", "ext4"),
        ("/mnt/my disk/state", "drvfs"),
        ("/home/me/nas/x", "cifs"),
    ],
)
def test_a_folder_s_file_system_is_that_of_the_nearest_mount(folder: str, kind: str) -> None:
    """Names with blanks as well, and in whatever order they were mounted."""
    assert surroundings.file_system(Path(folder), MOUNTS) == kind
    assert surroundings.file_system(Path(folder), "\n".join(reversed(MOUNTS.splitlines()))) == kind


@pytest.mark.parametrize(
    ("folder", "network", "writable", "status"),
    [
        ("/home/me", Network.NAT, True, Status.PASS),
        ("/mnt/c/state", Network.NAT, True, Status.FAIL),
        ("/mnt/my disk", Network.WSL1, True, Status.FAIL),
        ("/mnt/c/state", Network.NATIVE, True, Status.PASS),
        ("/home/me/nas", Network.NATIVE, True, Status.WARN),
        ("/home/me", Network.NATIVE, False, Status.FAIL),
    ],
)
def test_no_journal_on_a_windows_drive_in_wsl(folder: str, network: Network, writable: bool, status: Status) -> None:
    """Its locks do not hold there; elsewhere 9p is somebody's own affair."""
    check = surroundings.state_folder(Path(folder), MOUNTS, network, writable=writable)
    assert check.status is status
    assert bool(check.fix) is (status is not Status.PASS)


def test_the_configuration_says_where_each_value_is_from_and_keeps_account_ids() -> None:
    """Enough of an id to know it by."""
    settings = Settings(account_id="DU9876543", port=4002, check_client_id=107)
    written = {
        "account_id": ("IBKR_ACCOUNT_ID", "DU9876543", ".env line 3"),
        "port": ("IB_PORT", "4002", "the environment"),
    }
    check = surroundings.configuration(settings, written, ["one and", "one and"], None)
    assert "DU9876543" not in json.dumps([check.title, check.detail, check.fix])
    assert "IBKR_ACCOUNT_ID=DU*****43 (.env line 3)" in check.detail.splitlines()
    assert "IB_PORT=4002 (the environment)" in check.detail.splitlines()
    assert "client id of this check: 107" in check.detail
    assert (check.status, check.fix) == (Status.WARN, "one and")


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        (Settings(), Status.PASS),
        (Settings(port=7496), Status.WARN),
        (Settings(port=7496, account_type="live", allow_live="U1"), Status.PASS),
        (Settings(account_type="live"), Status.FAIL),
    ],
)
def test_real_money_has_to_be_meant(settings: Settings, status: Status) -> None:
    """A live port with a paper account is suspicious, and a live account wants its id in IBKR_ALLOW_LIVE."""
    assert surroundings.configuration(settings, {}, [], None).status is status


@pytest.mark.parametrize("mode", list(Network))
def test_every_network_mode_has_words(mode: Network) -> None:
    """And those that are no way to TWS have a cure."""
    check = surroundings.network(mode, ["172.24.32.1"])
    assert check.title
    assert bool(check.fix) is (mode in {Network.NONE, Network.UNKNOWN})
    assert ("172.24.32.1" in check.detail) is (mode is Network.NAT)


def test_python_has_an_age() -> None:
    """3.11 is the oldest."""
    assert surroundings.python((3, 11, 0), "Linux").status is Status.PASS
    assert surroundings.python((3, 10, 14), "Linux").status is Status.FAIL


# --- What a connected TWS can tell ------------------------------------------------------------------------------------


class Desk:
    """A TWS as a backend shows it to the doctor."""

    is_read_only = is_refused = False
    open_orders = 0
    messages: tuple[tuple[int, str], ...] = ((2104, "Market data farm connection is OK:usfarm"),)

    def __init__(self, *managed_accounts: str, answer: Quote | BrokerError | None = None) -> None:
        self.managed_accounts = managed_accounts
        self.answer = answer or quote(Source.DELAYED)

    def quote(self, symbol: str) -> Quote:
        assert symbol == "NVDA"
        if isinstance(self.answer, BrokerError):
            raise self.answer
        return self.answer

    def close(self) -> None:
        pass


def quote(source: Source) -> Quote:
    return Quote(Contract("NVDA"), to_nanoseconds(NOON), 178.3, 178.5, 1, 1, 178.4, source)


def examined(desk: Desk, settings: Settings) -> dict[str, Check]:
    now = to_nanoseconds(NOON + timedelta(seconds=2))
    return {each.id: each for each in account.checks(desk, settings, lambda: now)}


def test_a_paper_account_with_delayed_quotes_would_trade() -> None:
    """All passes, the account is masked, and the table says what a subscription would give."""
    checks = examined(Desk("DU1234567"), Settings())
    assert {each.status for each in checks.values()} == {Status.PASS}
    assert checks["accounts"].title == "accounts: DU*****67 (paper)"
    assert checks["quote"].title == "quote: NVDA 178.3 to 178.5, delayed, 2 s old"
    assert "NYSE (Network A/CTA)" in checks["market_data"].detail


@pytest.mark.parametrize(
    ("managed", "settings", "part"),
    [
        ((), Settings(), "Log in"),
        (("DU1", "DU2"), Settings(), "IBKR_ACCOUNT_ID"),
        (("DU1", "DU2"), Settings(account_id="DU3"), "is not of this login"),
        (("U7654321",), Settings(), "real money"),
        (("X1",), Settings(), "real money"),
        (("DU1",), Settings(account_type="live", allow_live="DU1"), "IBKR_ACCOUNT_TYPE=paper"),
        (("DUSIM01",), Settings(account_type="live", allow_live="DUSIM01"), "IBKR_ACCOUNT_TYPE=paper"),
        (("U1", "U2"), Settings(account_type="live", account_id="U1", allow_live="U2"), "IBKR_ALLOW_LIVE"),
        (("DU1",), Settings(), ""),
        (("DU1", "DU2"), Settings(account_id="DU2"), ""),
        (("DUSIM01",), Settings(), ""),
        (("U1",), Settings(account_type="live", allow_live="U1"), ""),
    ],
)
def test_paper_or_live_is_what_the_account_says(managed: tuple[str, ...], settings: Settings, part: str) -> None:
    """What is unknown is real money; and real money takes three agreeing facts."""
    check = examined(Desk(*managed), settings)["accounts"]
    assert check.status is (Status.FAIL if part else Status.PASS)
    assert part in check.fix


@pytest.mark.parametrize(
    ("code", "status", "part"),
    [
        (354, Status.FAIL, "IBKR_MARKET_DATA_TYPE=3"),
        (10089, Status.FAIL, "subscribe"),
        (10197, Status.FAIL, "Log out"),
        (None, Status.WARN, "market is open"),
    ],
)
def test_without_a_quote_the_cause_has_its_cure(code: int | None, status: Status, part: str) -> None:
    """A closed market is no fault."""
    checks = examined(Desk("DU1", answer=NoMarketDataError("nothing came", code=code)), Settings())
    assert (checks["market_data"].status, checks["quote"].status) == (status, status)
    assert part in checks["market_data"].fix


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (UnknownContractError("no such contract"), "IBKR_SYMBOLS"),
        (RequestTimeoutError("not within 30 s"), "restart TWS"),
    ],
)
def test_a_symbol_that_cannot_be_asked_for_fails_with_its_cure(error: BrokerError, part: str) -> None:
    """It is no matter of subscriptions."""
    checks = examined(Desk("DU1", answer=error), Settings())
    assert (checks["quote"].status, checks["market_data"].unchecked) == (Status.FAIL, "there was no quote")
    assert part in checks["quote"].fix


def test_delayed_quotes_where_live_ones_were_asked_for_are_worth_knowing() -> None:
    """With the table and where to subscribe."""
    check = examined(Desk("DU1"), Settings(market_data_type=1))["market_data"]
    assert check.status is Status.WARN
    assert "Subscriptions" in check.fix
    live = Desk("DU1", answer=quote(Source.LIVE))
    assert examined(live, Settings(market_data_type=1))["market_data"].status is Status.PASS


def test_a_read_only_api_would_refuse_every_order() -> None:
    """It names the box to untick."""
    desk = Desk("DU1")
    desk.is_read_only = True
    check = examined(desk, Settings())["read_only"]
    assert check.status is Status.FAIL
    assert 'untick "Read-Only API"' in check.fix
    assert examined(Desk("DU1"), Settings(read_only=True))["read_only"].status is Status.WARN


def test_messages_in_another_language_are_noticed() -> None:
    """The reasons of rejections are read from them."""
    desk = Desk("DU1")
    desk.messages = ((2104, "Die Verbindung zum Datenserver ist in Ordnung"),)
    assert examined(desk, Settings())["language"].status is Status.WARN


# --- The report -------------------------------------------------------------------------------------------------------


def check(status: Status, name: str = "x", fix: str = "") -> Check:
    return Check(name, status, f"about {name}", fix=fix)


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ((check(Status.PASS), check(Status.WARN)), 0),
        ((check(Status.FAIL, "library"),), 1),
        ((check(Status.FAIL, "configuration"), check(Status.FAIL, "silent")), 2),
        ((check(Status.FAIL, "not_allowed"),), 2),
        ((check(Status.FAIL, "library"), check(Status.FAIL, "not_listening")), 3),
    ],
)
def test_zero_only_when_trading_would_work(checks: tuple[Check, ...], code: int) -> None:
    """2 for a wrong setting, 3 for no TWS, 1 for the rest."""
    diagnosis = Diagnosis(Mode.DISCONNECTED, checks)
    assert diagnosis.exit_code == code
    assert diagnosis.ok is (code == 0)


def test_the_last_line_is_the_one_thing_to_do() -> None:
    """The first of what failed, and of its cure the first line."""
    first, second = check(Status.FAIL, "a", "Start TWS\nhow"), check(Status.FAIL, "b", "Later")
    conclusion = Diagnosis(Mode.DISCONNECTED, (check(Status.WARN), first, second)).conclusion()
    assert conclusion.splitlines()[-1] == "👉 Start TWS."
    assert "PAPER" in Diagnosis(Mode.PAPER, (check(Status.PASS),)).conclusion()


def test_the_json_has_the_promised_shape() -> None:
    """`{ok, mode, findings: [{id, status, title, detail, fix}]}`."""
    facts = json.loads(Diagnosis(Mode.DISCONNECTED, (check(Status.FAIL, "silent", "Look"),)).as_json())
    finding = {"id": "silent", "status": "FAIL", "title": "about silent", "detail": "", "fix": "Look"}
    assert facts == {"ok": False, "mode": "disconnected", "findings": [finding]}


def test_checks_that_were_not_made_share_a_line() -> None:
    """And the program still gets each."""
    unchecked = account.not_checked("there is no TWS to ask")
    assert {each.status for each in unchecked} == {Status.WARN}
    assert {"accounts", "read_only", "market_data", "quote"} <= {each.id for each in unchecked}
    [line] = as_text(unchecked).splitlines()
    assert line.startswith("WARN  not checked, there is no TWS to ask: accounts")
