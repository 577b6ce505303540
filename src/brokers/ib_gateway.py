"""`IBGatewayClient`: the user's way to Interactive Brokers, in plain dicts and bools. `docs/facade.md` is its guide.

Every method blocks until it has its answer and may be called from any thread, from a notebook and from inside a
running event loop. What is malformed is raised and never sent; what the venue makes of an order is returned, never
raised. Importing this loads nothing heavy: the broker is chosen, and its libraries imported, by `connect()`.

Run by path or as a module it is the command line of the checks: `python src/brokers/ib_gateway.py --test connect`.
"""

if __name__ == "__main__":
    # Run by path, sys.path[0] is this folder: put the root in its place, and use the one true copy of this module.
    import sys
    from pathlib import Path

    if not __package__:
        sys.path[0] = str(Path(__file__).resolve().parents[2])
    from src.brokers.ib_gateway import main as run

    sys.exit(run())

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from src.brokers import answers
from src.brokers.answers import (
    AccountAnswer,
    BarsAnswer,
    FillAnswer,
    HealthAnswer,
    OrderAnswer,
    PositionAnswer,
    QuoteAnswer,
)
from src.brokers.broker import Broker
from src.brokers.contracts import Contracts
from src.brokers.findings import LOCAL_HOST, PAPER_PORTS, Finding
from src.brokers.market_price import market_price
from src.brokers.opening import NoBrokerError, Opening, Play, open_broker
from src.brokers.order_desk import OrderDesk, Wish, checked_order_id, checked_seconds
from src.domain.errors import (
    BrokerError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidOrderError,
    NotConnectedError,
    NotSupportedError,
    shown,
)
from src.domain.facts import fact
from src.domain.market import BarSize, Mode
from src.domain.orders import Action, OrderType
from src.runtime.bridge import EventStream
from src.runtime.worker import new_lock

if TYPE_CHECKING:
    from src.settings import Settings

_log = logging.getLogger(__name__)
_MOST_BARS: Final = 100_000
T = TypeVar("T")
#: Shares or dollars as a person gives them. A float is read as it prints.
Number = float | Decimal


@fact
class _Session:
    """A broker and what is built on it; replaced as one, so that every thread sees a whole one."""

    opening: Opening
    broker: Broker
    contracts: Contracts
    desk: OrderDesk


class IBGatewayClient:
    """One session with one broker: TWS when it is there, the simulator when it is not and the settings allow it.

    `host` and `port` are what is asked for (unnamed: what is tried first), then what was found.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        client_id: int | None = None,
        *,
        settings: "Settings | None" = None,
        play: Play | None = None,
    ) -> None:
        """Take `settings`, or else read them from the environment; an argument that is given stands above both."""
        from src.settings import load_settings

        given: dict[str, Any] = {"host": host, "port": port, "client_id": client_id}
        if settings is None:
            settings = load_settings(**given)
        elif names := [name for name, value in given.items() if value is not None]:
            from dataclasses import replace

            checked = load_settings(environ={}, **given)
            settings = replace(settings, **{name: getattr(checked, name) for name in names})
        self._settings, self._play = settings, Play() if play is None else play
        self.host = LOCAL_HOST if settings.host == "auto" else settings.host
        self.port = PAPER_PORTS[0] if settings.port is None else settings.port
        self.client_id = settings.client_id
        self.supported_symbols = list(settings.symbols)
        self._positions = answers.PositionAnswers()
        self._connecting = new_lock()
        self._session: _Session | None = None
        self._attempts: tuple[Finding, ...] = ()
        self._error: str | None = None

    # --- Connection ---------------------------------------------------------------------------------------------

    def connect(self) -> bool:
        """Connect: True on TWS and on the simulator alike (`mode` tells which); False when there is neither.

        Raises ConfigurationError for wrong settings and LiveTradingRefusedError for an account of real money that is
        not allowed by name.
        Once connected, a client keeps its broker: to connect again never changes the mode.
        """
        with self._connecting:
            try:
                if self._session is None:
                    opening = open_broker(self._settings, self._play)
                    contracts = Contracts(opening.broker)
                    desk = OrderDesk(opening.broker, contracts, self._settings.order_timeout)
                    self._session, self._attempts = _Session(opening, opening.broker, contracts, desk), opening.attempts
                    if opening.found is not None:
                        self.host, self.port = opening.found.host, opening.found.port
                elif not self._session.broker.is_connected:
                    self._session.broker.connect()
                self._check_can_trade(self._session.broker)
            except BrokerError as error:
                self._error = str(error)
                if isinstance(error, NoBrokerError):
                    self._attempts = error.attempts
                if not isinstance(error, ConnectionFailedError):
                    raise
                _log.error("%s", error)  # one line, as promised: the message is whole without a traceback
                return False
            self._error = None
            return True

    @staticmethod
    def _check_can_trade(broker: Broker) -> None:
        """TWS may answer and have lost IB: ConnectionFailedError, and the connection stays for its return."""
        if not broker.is_connected:
            raise ConnectionFailedError("connect", broker.health().error or "no order can be sent now")

    def disconnect(self) -> None:
        """Leave the broker. May be called twice, and never raises."""
        if (session := self._session) is not None:
            session.broker.disconnect()

    def __enter__(self) -> Self:
        if not self.connect():
            self.disconnect()  # TWS may have let us in all the same, and have lost IB
            raise ConnectionFailedError("connect", self._error or "no broker")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.disconnect()

    @property
    def connected(self) -> bool:
        """Whether orders can be sent now."""
        session = self._session
        return session is not None and session.broker.is_connected

    @property
    def mode(self) -> Mode:
        """`disconnected`, `simulated`, `paper` or `live`."""
        session = self._session
        return session.broker.mode if session is not None and session.broker.is_connected else Mode.DISCONNECTED

    @property
    def simulation_mode(self) -> bool:
        """Whether this session trades on the simulator."""
        return self.mode is Mode.SIMULATED

    @property
    def found(self) -> Finding | None:
        """The TWS, or paper gateway, behind this session; None for the simulator of this process."""
        session = self._session
        return None if session is None else session.opening.found

    @property
    def attempts(self) -> tuple[Finding, ...]:
        """What the last `connect()` has tried, and found, in its search for TWS."""
        return self._attempts

    @property
    def broker(self) -> Broker:
        """The broker beneath, with everything in exact types; NotConnectedError."""
        return self._ready().broker

    @property
    def session_id(self) -> str:
        """The session's id: the references of its orders begin with it, and journal and report know it by it."""
        return self._ready().opening.broker.session

    def health_check(self) -> HealthAnswer:
        """How the connection is, how it was come by, and why it is not there; also before `connect()`."""
        session = self._session
        if session is None:
            return answers.no_health_answer((self.host, self.port, self.client_id), self._attempts, self._error)
        opening = self._attempts, session.opening.fallback_reason
        return answers.health_answer(session.broker.health(), self.client_id, opening, self._error)

    def tws(self, fn: Callable[[Any], T]) -> T:
        """Run `fn(ib)` on the thread that owns the connection to TWS, and return what it returns (awaited if need be).

        `ib` is the library's own `IB` object, for what is not wrapped here; `fn` must not block. Orders do not leave
        that way: OrderRefusedError, since no limit of ours would have seen them. NotSupportedError where there is no
        TWS.
        """
        session = self._ready()
        if not callable(fn):
            raise ConfigurationError(f"tws() takes a function of the library's IB object, not {shown(fn)}")
        if session.opening.tws is None:
            raise NotSupportedError(f"tws({fn!r}): there is no TWS behind a session in mode {session.broker.mode}")
        answer: T = session.opening.tws(fn)
        return answer

    # --- Account ------------------------------------------------------------------------------------------------

    def get_account_info(self) -> AccountAnswer:
        """Return the account's id, equity, funds, buying power and cash, in dollars."""
        broker = self._ready().broker
        return answers.account_answer(broker.account_summary(), broker.mode)

    def get_positions(self) -> dict[str, PositionAnswer]:
        """Return the positions by symbol: every supported symbol, also when flat, and whatever else is held."""
        return self._positions(self.supported_symbols, self._ready().broker.positions())

    # --- Market data --------------------------------------------------------------------------------------------

    def get_current_price(self, symbol: str) -> float:
        """Return last if inside the spread, else the middle, else the last close; NoMarketDataError, never 0 or NaN."""
        session = self._ready()
        return market_price(session.broker, session.contracts.find(symbol))

    def get_quote(self, symbol: str) -> QuoteAnswer:
        """Return the best bid and ask, with their source and age."""
        session = self._ready()
        quote = session.broker.quote(session.contracts.find(symbol))
        return answers.quote_answer(quote, session.broker.now(), session.broker.mode)

    def get_bars(self, symbol: str, size: str = "1m", count: int = 100) -> BarsAnswer:
        """Return up to `count` closed bars as columns, oldest first; `size` is one of 1m, 5m, 15m, 30m, 1h, 1d."""
        session = self._ready()
        if size not in tuple(BarSize):
            raise ConfigurationError(f"a bar's size is one of {', '.join(BarSize)}, not {shown(size)}")
        if isinstance(count, bool) or not isinstance(count, int) or not 0 < count <= _MOST_BARS:
            raise ConfigurationError(f"the count of bars is a whole number from 1 to {_MOST_BARS}, not {shown(count)}")
        return answers.bars_answer(session.broker.bars(session.contracts.find(symbol), BarSize(size), count))

    def stream(self, *symbols: str) -> EventStream:
        """Events as they come: orders and fills, and quotes of `symbols` (none given: of every supported one).

        Iterate over it, or call `next(timeout)`; it is a context manager, too, and `close()` ends it.
        """
        session = self._ready()
        return session.broker.events(*map(session.contracts.find, symbols or self.supported_symbols))

    def is_market_open(self) -> bool:
        """Whether the stock market is open now, on the session's clock.

        New York's hours; on the simulator `SIM_MARKET_HOURS`, on a paper gateway what it says.
        """
        from src.runtime.calendars import sessions_between  # brings pandas

        session, hours = self._ready(), self._settings.sim_market_hours
        broker, now = session.broker, session.broker.now()
        if session.opening.found is None:
            if hours == "always" or (hours == "auto" and not self._play.replay):
                return True
        elif broker.mode is Mode.SIMULATED:
            details = broker.contract_details(session.contracts.find(self._settings.symbols[0]))
            return any(opens <= now < closes for opens, closes in details.sessions)
        return sessions_between(now, now).is_open(now)

    # --- Orders -------------------------------------------------------------------------------------------------

    def place_market_order(self, symbol: str, quantity: Number, action: str, *, wait: float = 2.0) -> OrderAnswer:
        """Buy or sell at the market; wait up to `wait` seconds for the fill (0: return on acknowledgement)."""
        desk, seconds = self._ready().desk, checked_seconds(wait, "wait")
        return desk.place(desk.order(Wish(symbol, quantity, action)), seconds)

    def place_limit_order(self, symbol: str, quantity: Number, price: Number, action: str) -> OrderAnswer:
        """Buy or sell at `price` or better."""
        return self._place(Wish(symbol, quantity, action, price, None, OrderType.LIMIT))

    def place_stop_order(self, symbol: str, quantity: Number, stop_price: Number, action: str) -> OrderAnswer:
        """Buy or sell at the market once it has reached `stop_price`."""
        return self._place(Wish(symbol, quantity, action, None, stop_price, OrderType.STOP))

    def place_stop_limit_order(
        self, symbol: str, quantity: Number, stop_price: Number, limit_price: Number, action: str
    ) -> OrderAnswer:
        """Buy or sell at `limit_price` or better once the market has reached `stop_price`."""
        return self._place(Wish(symbol, quantity, action, limit_price, stop_price, OrderType.STOP_LIMIT))

    def place_bracket_order(
        self,
        symbol: str,
        quantity: Number,
        action: str,
        take_profit: Number,
        stop_loss: Number,
        limit_price: Number | None = None,
    ) -> list[OrderAnswer]:
        """Enter at `limit_price` (None: at the market) with two exits that cancel each other: [entry, target, stop]."""
        desk = self._ready().desk
        kind = OrderType.MARKET if limit_price is None else OrderType.LIMIT
        return desk.place_bracket(
            desk.order(Wish(symbol, quantity, action, limit_price, None, kind)), take_profit, stop_loss
        )

    def close_position(self, symbol: str, *, wait: float = 2.0) -> OrderAnswer:
        """Sell, or buy back, at the market all that is held of `symbol`; InvalidOrderError when nothing is.

        Working orders stay: cancel those first that would close the position a second time.
        """
        session, seconds = self._ready(), checked_seconds(wait, "wait")
        contract = session.contracts.find(symbol)
        held = sum((each.quantity for each in session.broker.positions() if each.contract == contract), Decimal(0))
        if not held:
            raise InvalidOrderError(f"there is no position in {contract.local_symbol} to close")
        action = Action.SELL if held > 0 else Action.BUY
        return session.desk.place(session.desk.order(Wish(contract.local_symbol, abs(held), action)), seconds)

    def modify_order(
        self,
        order_id: int,
        quantity: Number | None = None,
        price: Number | None = None,
        stop_price: Number | None = None,
    ) -> OrderAnswer:
        """Change a working order's total quantity, limit price or stop price. A rejected change leaves it as it was."""
        return self._ready().desk.modify(checked_order_id(order_id), quantity, price, stop_price)

    def wait_for_order(self, order_id: int, timeout: float) -> OrderAnswer:
        """Wait up to `timeout` seconds until an order is filled, cancelled or rejected; return its state then."""
        desk, seconds = self._ready().desk, checked_seconds(timeout, "timeout")
        return desk.wait(checked_order_id(order_id), seconds)

    def get_order(self, order_id: int) -> OrderAnswer:
        """Return an order's state now; UnknownOrderError."""
        return self._ready().desk.answer(checked_order_id(order_id))

    def get_open_orders(self) -> list[OrderAnswer]:
        """Return the account's working orders, whoever placed them."""
        broker = self._ready().broker
        return [answers.order_answer(trade, broker.mode) for trade in broker.open_trades()]

    def get_fills(self, since: datetime | None = None) -> list[FillAnswer]:
        """Return the executions, oldest first; only those from `since` on, which is UTC when it names no zone."""
        broker = self._ready().broker
        if not (since is None or isinstance(since, datetime)):
            raise ConfigurationError(f"since is a datetime, or None for all of them, not {shown(since)}")
        return [answers.fill_answer(fill, broker.mode) for fill in broker.fills(since=since)]

    def cancel_order(self, order_id: int) -> bool:
        """Cancel an order; True only when the venue has confirmed it. The log says why it was not."""
        return self._ready().desk.cancel(checked_order_id(order_id))

    def cancel_all_orders(self) -> list[OrderAnswer]:
        """Cancel every working order of this client, nobody else's; return what became of each."""
        return self._ready().desk.cancel_all()

    def _place(self, wish: Wish) -> OrderAnswer:
        desk = self._ready().desk
        return desk.place(desk.order(wish), 0)

    def _ready(self) -> _Session:
        session = self._session
        if session is None or not session.broker.is_connected:
            raise NotConnectedError("not connected: call connect() first")
        return session


def main(arguments: Sequence[str] | None = None, prog: str = "ib_gateway.py") -> int:
    """Run the checks from the command line; return the exit code."""
    from src.brokers.checks import command  # argparse and json are the command line's

    return command(IBGatewayClient, arguments, prog)
