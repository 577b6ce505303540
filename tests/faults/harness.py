"""A stage for faults: the paper gateway in this process, the fault proxy before it, a guarded TwsBroker behind.

The broker is opened as a session of a paper account opens it, with a journal in a folder of the stage's, so that all
that a real account's session does is done: durable intents, reconciliation, positions explained. Its intervals are
scaled down, since a fault is as good after milliseconds. The gateway's log judges (`oracle`).

    with FaultStage(folder, seed=7) as stage:
        broker = stage.open()
        stage.proxy.arm(Fault(Do.RESET, Way.OUT, PLACE_ORDER, at=9))
        answer = stage.attempt(stage.order("BUY", ref="a-1"))
        stage.proxy.behave()
        broker = stage.restart()
        assert stage.settled() == []
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from sqlite3 import connect
from threading import Thread
from time import sleep
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from src.brokers import kill, watching
from src.brokers.egress import Egress
from src.brokers.guarded import GuardedBroker
from src.brokers.guarding import guarded
from src.brokers.tws import orders
from src.brokers.tws.broker import TwsBroker
from src.brokers.tws.timing import Timing
from src.domain.errors import BrokerError
from src.domain.events import Event
from src.domain.market import Contract, Mode
from src.domain.orders import AccountId, Action, Order, OrderType, Trade
from src.gateways.tws_server import GatewayOptions, PaperGateway
from src.gateways.tws_server.truth import Truth
from src.records.journal_file import journal_name, prepare_folder
from src.runtime.clock import monotonic
from src.runtime.market import MarketRules, seeded_market
from src.settings import Settings
from tests.faults import oracle
from tests.faults.proxy import PLACE_ORDER, FaultProxy, Way

_T = TypeVar("_T")
#: An account that is a paper account by its name, and nobody's.
ACCOUNT: Final = AccountId("DU000001")
CASH: Final = Decimal(10_000_000)
NVDA: Final = Contract("NVDA")
MSFT: Final = Contract("MSFT")
#: The reference of an order that is only asked about: no intent stands behind it.
PREVIEW: Final = "preview"
#: I12: seconds that a call may take beyond its deadline.
GRACE: Final = 0.25
_SETTLED_SECONDS: Final = 40.0
#: What can never be mended, whatever is heard later.
_FOR_EVER: Final = ("I1:", "I6:", "I10:")
#: Silence is noticed soon, and now and then on a busy machine where there was none: trials bear it.
TIMING: Final = Timing(heartbeat=0.2, reconcile=0.3, look=1.0, confirm=0.05, values=0.05, longest_pause=0.2)
#: Of what is no matter of silence: every answer is waited for, and nobody is taken for dead.
CALM: Final = replace(TIMING, heartbeat=2.0, look=20.0)
PATIENT: Final[dict[str, Any]] = dict.fromkeys(("connect_timeout", "order_timeout", "read_timeout"), 20.0)
#: Limits that would stop a storm of trials are lifted; the collar, the shares of an order and the blocks stay.
LIFTED: Final = dict.fromkeys(
    (
        *("RISK_MAX_POSITION", "RISK_MAX_GROSS", "RISK_MAX_OPEN_ORDERS", "RISK_ORDERS_PER_MINUTE", "RISK_HOURS"),
        *("RISK_DUPLICATE_SECONDS", "RISK_ROUND_TRIPS_PER_DAY", "RISK_MAX_DAILY_LOSS", "RISK_MAX_DRAWDOWN"),
        *("RISK_REJECT_STREAK", "RISK_MAX_QUOTE_AGE", "RISK_MAX_ORDER_VALUE"),
    ),
    "off",
) | {"RISK_SHORT_SALES": "allow"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: a trade, or the error that it raised; and the seconds that it took."""

    trade: Trade | None
    error: BrokerError | None
    seconds: float


@contextmanager
def scaled() -> Iterator[None]:
    """The guards' intervals scaled down to tens of milliseconds; the connection's are `TIMING`."""
    intervals: dict[tuple[Any, str], float] = {
        (watching, "LOOK_SECONDS"): 0.05,
        (watching, "HEAR_SECONDS"): 0.01,
        (watching, "SETTLE_SECONDS"): 0.1,
        (watching, "POSITIONS_SECONDS"): 0.3,
        (kill, "_FRESH"): 0.01,
        (orders, "_GRACE"): 0.03,
    }
    before = {place: getattr(*place) for place in intervals}
    for (module, name), seconds in intervals.items():
        setattr(module, name, seconds)
    try:
        yield
    finally:
        for (module, name), seconds in before.items():
            setattr(module, name, seconds)


class Opener:
    """Opens a session's broker as `open_brokers` users do, for a gateway at a port of this machine."""

    def __init__(self, folder: Path, *, timing: Timing = TIMING, **settings: Any) -> None:
        self.settings = replace(
            Settings(
                connect_timeout=3.0, order_timeout=0.4, read_timeout=2.0, state_dir=folder, risk=LIFTED,
                reconnect_delay=0.05,
            ),
            **settings,
        )  # fmt: skip
        self.timing = timing

    def open_soon(self, port: int, patience: float = 40.0) -> GuardedBroker:
        """As `open`, as soon as there can be one; BrokerError when there cannot for so long."""
        return soon(lambda: self.open(port), patience)

    def open(self, port: int, *, limits: bool = True) -> GuardedBroker:
        """A connected, guarded broker; BrokerError when there cannot be one."""
        egress = Egress()
        broker = TwsBroker(self.settings, "127.0.0.1", port, egress=egress, timing=self.timing)
        broker.connect()
        guard = guarded(self.settings, broker, egress, limits=limits, lasting=True)
        broker.use_order_ids_above(guard.highest_order_id)
        wait_for(lambda: _asks(guard), 40.0)
        return guard


def _asks(guard: GuardedBroker) -> bool:
    """Whether there is a quote: what a first order would wait for. A busy machine may lose the connection meanwhile."""
    with suppress(BrokerError):
        guard.quote(NVDA)
        return True
    return False


def market_order(
    broker: GuardedBroker, action: str = "BUY", quantity: int = 10, away: float | None = None, ref: str = ""
) -> Order:
    """A market order; with `away`, one with a limit so many percent away from the market, so that it works."""
    limit = None
    if away is not None:
        quote = broker.quote(NVDA)
        side, sign = (quote.bid, -1) if action == "BUY" else (quote.ask, 1)
        limit = Decimal(str(round(side * (1 + sign * away / 100), 2)))
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    return Order(NVDA, Action(action), Decimal(quantity), kind, limit, order_ref=ref)


class FaultStage:
    """Gateway, proxy and broker, inside `with`. `folder` keeps the journal over restarts; `seed` decides the prices."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 1,
        preset: str = "ideal",
        timing: Timing = TIMING,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self._opener = Opener(folder, timing=timing, **(settings or {}))
        self.settings, self.timing = self._opener.settings, self._opener.timing
        rules = MarketRules(preset=preset, hours="always", fees="fixed", seed=seed)
        market = seeded_market(rules, ["NVDA", "MSFT"], {ACCOUNT: CASH})
        self.gateway = PaperGateway(market, GatewayOptions(port=0, latency=0.0, seed=seed))
        self.chance = Random(seed)  # noqa: S311  # chance that can be repeated
        self.proxy: FaultProxy
        self._broker: GuardedBroker | None = None
        self._scaled = scaled()
        self.undurable: list[str] = []
        self._path = prepare_folder(folder) / journal_name(Mode.PAPER, ACCOUNT)

    # --- life -------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._scaled.__enter__()
        self.gateway.start()
        self.proxy = FaultProxy(self.gateway.port).__enter__()
        self.proxy.witness = self._witness
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.proxy.witness = None
        with suppress(BrokerError):
            self.leave()
        self.proxy.__exit__(None, None, None)
        self.gateway.stop()
        self._scaled.__exit__(None, None, None)

    def open(self, *, limits: bool = True) -> GuardedBroker:
        """Open the broker, as a new session does; BrokerError when it cannot be."""
        self._broker = self._opener.open(self.proxy.port, limits=limits)
        return self._broker

    @property
    def broker(self) -> GuardedBroker:
        """The session's broker."""
        assert self._broker is not None
        return self._broker

    @property
    def is_read_only(self) -> bool:
        """Whether TWS has said that its API is, after which it lists no orders."""
        inner = self.broker._inner
        assert isinstance(inner, TwsBroker)
        return inner.is_read_only

    def leave(self) -> None:
        """End the session in order."""
        broker, self._broker = self._broker, None
        if broker is not None:
            broker.disconnect()

    def crash(self) -> None:
        """End the session as if its process were killed: nothing more is written, the sockets end, the lock is free."""
        broker, self._broker = self._broker, None
        if broker is None:
            return
        journal = broker._admission.books.journal
        watch = broker._watch
        assert journal is not None
        assert watch is not None
        journal._waiting.clear()  # what was not committed is lost with the process
        journal._closed = True
        assert watch._ticker is not None
        watch._ticker.stop()
        if journal._worker is not None:
            journal._worker.stop()
        journal._release()
        broker._inner.disconnect()

    def restart(self, *, crash: bool = False, patience: float = 40.0) -> GuardedBroker:
        """End the session and begin the next, as soon as the gateway lets it in again."""
        self.crash() if crash else self.leave()
        self._broker = self._opener.open_soon(self.proxy.port, patience)
        return self._broker

    # --- orders -----------------------------------------------------------------------------------------------------

    def order(self, action: str = "BUY", quantity: int = 10, *, away: float | None = None, ref: str = "") -> Order:
        """As `market_order`, once the broker is connected."""
        return soon(lambda: market_order(self.broker, action, quantity, away, ref))

    def attempt(self, order: Order, patience: float | None = None) -> Answer:
        """Place an order; whatever comes of it, within its deadline, or one of `patience` seconds."""
        if patience is not None:
            inner = self.broker._inner
            assert isinstance(inner, TwsBroker)
            inner._session.orders._timeout = patience
            try:
                return self.attempt(order)
            finally:
                inner._session.orders._timeout = self.settings.order_timeout
        started = monotonic()
        try:
            trade = self.broker.place_order(order)
        except BrokerError as error:
            return Answer(None, error, monotonic() - started)
        return Answer(trade, None, monotonic() - started)

    @contextmanager
    def events(self) -> Iterator[list[Event]]:
        """What this session's broker tells meanwhile."""
        told: list[Event] = []
        assert wait_for(lambda: self.broker.is_connected, 60.0), "not connected"
        with soon(self.broker.events) as stream:
            reader = Thread(target=lambda: told.extend(stream), daemon=True)
            reader.start()
            yield told
        reader.join()
        told += stream.unread  # what came as its reader left was told all the same

    def clear(self) -> None:
        """Cancel what works."""
        for trade in soon(self.broker.open_trades):
            with suppress(BrokerError):
                self.broker.cancel_order(trade.order_id)

    # --- truth ------------------------------------------------------------------------------------------------------

    def truth(self) -> Truth:
        """What really happened."""
        return self.gateway.truth()

    def written(self) -> oracle.Written:
        """What the journal's file says."""
        return oracle.Written.read(self._path)

    def cash(self) -> Decimal:
        """What is really in the account."""
        return self.gateway.call(lambda server: server.accounts.view(ACCOUNT).summary.total_cash_value)

    def differences(self, also: Callable[[oracle.Written], list[str]] | None = None) -> list[str]:
        """Where journal and gateway disagree now, and what `also` finds in the journal."""
        truth, written = self.truth(), self.written()
        found = also(written) if also is not None else []
        found += oracle.differences(truth, written) + oracle.in_doubt(written) + self.undurable
        found += [f"I2: {ref} blocks its side still" for ref in self.broker._admission.unsettled]
        found += oracle.one_mode(written, self.broker.mode)
        return found or oracle.cash_differences(CASH, self.cash(), written)

    def settled(
        self, patience: float = _SETTLED_SECONDS, also: Callable[[oracle.Written], list[str]] | None = None
    ) -> list[str]:
        """The differences once nothing is in doubt any more: what reconciliation has not mended in time."""
        deadline = monotonic() + patience
        while True:
            began = monotonic()
            found = self.differences(also)
            if not found or monotonic() > deadline or any(each.startswith(_FOR_EVER) for each in found):
                return found
            pause(max(0.02, monotonic() - began))  # to look costs the program time as well

    def _witness(self, way: Way, kind: str, frame: bytes) -> None:
        """I6: when the first byte of an order leaves, its intent is in the journal's file, committed."""
        if way is not Way.OUT or kind != PLACE_ORDER:
            return
        with closing(connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=2.0)) as reader:
            known = {PREVIEW.encode(), *(ref.encode() for (ref,) in reader.execute("SELECT order_ref FROM intents"))}
        if known.isdisjoint(frame.split(b"\0")):
            self.undurable.append(f"I6: an order left before its intent was durable: {frame[:40]!r}")


def pause(seconds: float) -> None:
    """Let real time pass: a fault, or its cure, takes some."""
    sleep(seconds)


def soon(what: Callable[[], _T], patience: float = 40.0) -> _T:
    """What it answers, as soon as it does: a busy machine may lose the connection at any moment."""
    deadline = monotonic() + patience
    while True:
        try:
            return what()
        except BrokerError:
            if monotonic() > deadline:
                raise
            pause(0.01)


def wait_for(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds; whether it does."""
    deadline = monotonic() + seconds
    while not true():
        if monotonic() > deadline:
            return False
        pause(0.005)
    return True


def quiet() -> None:
    """Say nothing of warnings that a storm of faults brings by the thousand."""
    for name in ("src", "ib_insync", "ib_async"):
        logging.getLogger(name).propagate = False
        logging.getLogger(name).addHandler(logging.NullHandler())
