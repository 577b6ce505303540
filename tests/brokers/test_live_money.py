"""D9 and T7: real money needs three agreeing facts, for every account, mode and port; else not an order is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from src.brokers import guarding, opening
from src.brokers.findings import Finding, Outcome
from src.brokers.opening import NoBrokerError, Play, open_broker
from src.domain.errors import BrokerError, ConfigurationError, LiveTradingRefusedError
from src.domain.market import Contract, Mode
from src.domain.orders import AccountId, Action, Order
from src.gateways.tws_server import PaperGateway
from src.runtime.market import MarketRules, seeded_market
from src.settings import Settings

LIVE, OTHER_LIVE, PAPER, OURS = "U1234567", "U7654321", "DU1234567", "DUSIM01"
#: What TWS is logged in to, and what a person has set: the kind of money, the account allowed, the account wanted.
_LOGINS = [(LIVE,), (OTHER_LIVE,), (PAPER,), (OURS,), (LIVE, OTHER_LIVE), (LIVE, PAPER)]
_KINDS = ["paper", "live"]
_ALLOWED = ["", LIVE, OTHER_LIVE, PAPER, LIVE.lower(), f" {LIVE}", f"{LIVE},{OTHER_LIVE}"]
_WANTED = ["", LIVE, PAPER]
MATRIX = list(product(_LOGINS, _KINDS, _ALLOWED, _WANTED))
#: Ports that TWS and IB Gateway listen on, and one that nobody does: a hint, and nothing more.
PORTS = [7496, 7497, 4001, 4002, 5000]


def expected(login: tuple[str, ...], kind: str, allowed: str, wanted: str) -> Mode | None:
    """What may be traded, by the words of D9; None: nothing."""
    account = wanted or (login[0] if len(login) == 1 else "")
    if account not in login:
        return None
    if account.startswith("U"):
        return Mode.LIVE if kind == "live" and allowed == account else None
    if kind == "live":
        return None
    return Mode.SIMULATED if account == OURS else Mode.PAPER


@contextmanager
def gateway_of(login: tuple[str, ...]) -> Iterator[PaperGateway]:
    rules = MarketRules(preset="ideal", hours="always", seed=3)
    market = seeded_market(rules, ["NVDA"], dict.fromkeys(map(AccountId, login), Decimal(10**6)))
    with PaperGateway(market) as found:
        yield found


@pytest.fixture(scope="module", params=_LOGINS, ids=",".join)
def login(request: pytest.FixtureRequest) -> Iterator[tuple[tuple[str, ...], PaperGateway]]:
    """TWS, logged in to these accounts."""
    with gateway_of(request.param) as gateway:
        yield request.param, gateway


def settings_of(port: int, folder: Path, kind: str, allowed: str, wanted: str, **others: Any) -> Settings:
    written = {"host": "127.0.0.1", "port": port, "state_dir": folder, "connect_timeout": 20.0}
    return Settings(account_type=kind, allow_live=allowed, account_id=wanted, **written, **others)  # type: ignore[arg-type]


def test_only_facts_that_agree_may_trade(
    login: tuple[tuple[str, ...], PaperGateway], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole matrix of one login."""
    accounts, gateway = login
    outcomes = set()
    for number, (kind, allowed, wanted) in enumerate(product(_KINDS, _ALLOWED, _WANTED)):
        settings = settings_of(gateway.port, tmp_path / str(number), kind, allowed, wanted)
        may = expected(accounts, kind, allowed, wanted)
        outcomes.add(may)
        if may is not None:
            broker = open_broker(settings, Play()).broker
            assert (broker.mode, broker.account_id) == (may, wanted or accounts[0])
            broker.disconnect()
            continue
        with pytest.raises((LiveTradingRefusedError, ConfigurationError)) as caught:
            open_broker(settings, Play())
        sentence = str(caught.value)
        assert "IBKR_" in sentence, sentence  # what to set
        assert LIVE not in sentence
        assert OTHER_LIVE not in sentence
    assert None in outcomes
    truth = gateway.truth()
    assert not truth.orders
    assert not truth.named("placeOrder", "newOrder", "modifyOrder", "whatIfOrder")
    assert LIVE not in caplog.text


def test_the_matrix_has_every_outcome() -> None:
    assert {expected(*row) for row in MATRIX} == {None, Mode.LIVE, Mode.PAPER, Mode.SIMULATED}
    assert len(MATRIX) == 252


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize(("account", "kind"), [(LIVE, "paper"), (PAPER, "live"), (PAPER, "paper"), (LIVE, "live")])
def test_a_port_is_no_fact(port: int, account: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever port TWS is said to be on, its account decides; real money's process leaves no core dump."""
    without_dumps: list[bool] = []
    monkeypatch.setattr(guarding, "leave_none", lambda: without_dumps.append(True))
    with gateway_of((account,)) as gateway:
        real = Finding("127.0.0.1", gateway.port, Outcome.OK)
        monkeypatch.setattr(opening, "_search", lambda _: (real,))
        settings = settings_of(port, tmp_path, kind, account if kind == "live" else "", "")
        if expected((account,), kind, account if kind == "live" else "", "") is None:
            with pytest.raises(LiveTradingRefusedError):
                open_broker(settings, Play())
        else:
            broker = open_broker(settings, Play()).broker
            assert broker.mode is (Mode.LIVE if account == LIVE else Mode.PAPER)
            assert without_dumps == [True] * (account == LIVE)
            broker.disconnect()
        assert not gateway.truth().orders


def test_real_money_trades_what_is_listed_and_never_on_delayed_prices(tmp_path: Path) -> None:
    """With all three facts, too."""
    with gateway_of((LIVE,)) as gateway:
        settings = settings_of(gateway.port, tmp_path, "live", LIVE, "", symbols=("MSFT",))
        broker = open_broker(settings, Play()).broker
        with pytest.raises(BrokerError, match="symbol: NVDA STK is not traded here"):
            broker.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(1)))
        broker.disconnect()
        settings = settings_of(gateway.port, tmp_path, "live", LIVE, "", market_data_type=3)
        broker = open_broker(settings, Play()).broker
        with pytest.raises(BrokerError, match="delayed prices are none to trade real money on"):
            broker.place_order(Order(Contract("NVDA"), Action.BUY, Decimal(1)))
        broker.disconnect()
        assert not gateway.truth().orders


@pytest.mark.parametrize("fallback", ["auto", "ask", "never"])
def test_real_money_is_never_simulated(fallback: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Finding("127.0.0.1", 7496, Outcome.NOT_LISTENING)
    monkeypatch.setattr(opening, "_search", lambda _: (nobody,))
    settings = settings_of(7496, tmp_path, "live", LIVE, LIVE, fallback=fallback)
    with pytest.raises(NoBrokerError, match="real money is never simulated"):
        open_broker(settings, Play())
