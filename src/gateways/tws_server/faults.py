"""What a scenario does to the gateway: the one place that stands between the clients and the rest of it.

Requests come through `lets_in` before they are served, answers through `send` before they are written. Without a
scenario answers do not come by here at all.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Final, Protocol

from src.domain.errors import BrokerError
from src.domain.market import Contract
from src.domain.orders import AccountId, Order
from src.gateways.scenario import Action, ByHand, Moment, Play, Rule, Scenario, answer_name, request_names
from src.gateways.scenario.words import CONNECT, GREETING, with_value
from src.gateways.tws_codec import ErrorMessage, ExecutionData, PlaceOrder, Reply, Request, ServerHello, StartApi
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context
from src.gateways.tws_server.orders import OrderDesk
from src.gateways.tws_server.refusals import RefusedError
from src.gateways.tws_server.times import new_york
from src.gateways.tws_server.truth import TruthLog

_log = logging.getLogger(__name__)
#: Requests whose refusal ends the connection as well: there is nothing without them.
_ENDS_CONNECTION: Final = (StartApi,)
#: NaN and infinities cannot be encoded: each is encoded as a number that nothing else has, and put in its place.
_STAND_INS: Final = {
    "nan": ("NaN", 938271605.2471),
    "inf": ("Infinity", 938271605.2473),
    "-inf": ("-Infinity", 938271605.2479),
}
_FIRST: Final = ".01"  # how the id of an execution ends that was not corrected


class Gateway(Protocol):
    """The server, as far as a fault reaches."""

    def restart(self, seconds: float) -> None:
        """Close every connection, listen again after `seconds`."""
        ...

    def serve(self, connection: Connection, message: Request) -> None:
        """Answer a request."""
        ...

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Every connection there is."""
        ...


@dataclass(slots=True)
class _Course:
    """What a scenario has done to one connection."""

    held: list[tuple[Rule, Reply]] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)  # request ids under which nothing more is said


class Faults:
    """Plays a scenario on a gateway. `begin` starts its time."""

    def __init__(self, context: Context, gateway: Gateway, desk: OrderDesk, truth: TruthLog) -> None:
        self._context, self._gateway, self._desk, self._truth = context, gateway, desk, truth
        self._play = Play(context.options.scenario, context.options.seed)
        self._courses: dict[Connection, _Course] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._started = 0.0
        self.is_played = bool(context.options.scenario.rules)

    # --- time ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Let the scenario's time run."""
        self._started = asyncio.get_running_loop().time()
        self.look()

    def end(self) -> None:
        """Let nothing more happen."""
        self._play.clear()
        if self._timer is not None:
            self._timer.cancel()

    def add(self, scenario: Scenario) -> None:
        """Play further rules from now on; their seconds count from here."""
        self._play.add(scenario, self._moment().since_start)
        self.is_played = True
        self.look()

    def clear(self) -> None:
        """Behave from now on; what was held back is lost, what hangs still hangs."""
        self._play.clear()
        self._courses.clear()
        self.is_played = False

    def _moment(self) -> Moment:
        local = new_york(self._context.now())
        seconds = local.hour * 3600 + local.minute * 60 + local.second
        return Moment(asyncio.get_running_loop().time() - self._started, seconds)

    def look(self) -> None:
        """Do what is due by itself."""
        if not self._play.has_timed:
            return
        now = self._moment()
        for rule in self._play.due(now):
            self._truth.fault(rule, "")
            self._try(rule, partial(self._by_itself, rule))
        if self._timer is not None:
            self._timer.cancel()
        wait = self._play.wait(now)
        self._timer = None if wait is None else asyncio.get_running_loop().call_later(wait + 0.001, self.look)

    def _try(self, rule: Rule, do: Callable[[], None]) -> None:
        """Do what a rule asks of the exchange; a rule that cannot be carried out is said in the log, and no more."""
        try:
            do()
        except (BrokerError, RefusedError) as error:
            _log.warning("%s: %s could not be done: %s", rule.place, rule.action, error)

    # --- in and out ------------------------------------------------------------------------------------------------

    def meets(self, connection: Connection) -> None:
        """A socket was accepted."""
        rule = self._play.judge((CONNECT,), None, -1, self._moment())
        if rule is not None:
            self._truth.fault(rule, CONNECT)
            self._to_connection(rule, connection)

    def greeting(self, connection: Connection, hello: ServerHello) -> ServerHello | None:
        """The first words to a client, as the scenario wants them; None: none."""
        rule = self._play.judge((GREETING,), hello, -1, self._moment())
        if rule is None:
            return hello
        self._truth.fault(rule, GREETING)
        if rule.action is Action.CHANGE:
            for path, value in rule.changes.items():
                hello = with_value(hello, path, value)
            return hello
        self._to_connection(rule, connection)
        return None

    def lets_in(self, connection: Connection, message: Request) -> bool:
        """Whether a request is to be served now; its own answer, if any, has been given."""
        is_known = isinstance(message, PlaceOrder) and self._desk.orders.knows(connection.client_id, message.order_id)
        names = request_names(message, is_known_order=is_known)
        client_id = message.client_id if isinstance(message, StartApi) else connection.client_id
        course = self._courses.get(connection)
        if course is not None:
            course.ended.discard(getattr(message, "req_id", -1))
        rule = self._play.judge(names, message, client_id, self._moment())
        self._truth.heard(client_id, names[-1], message, rule.action.value if rule is not None else "")
        if rule is None:
            return True
        return self._to_request(rule, connection, message)

    def send(self, connection: Connection, message: Reply) -> None:
        """Send an answer, or do to it what the scenario wants."""
        course = self._courses.get(connection)
        if course is not None and not isinstance(message, ErrorMessage):
            request_id = getattr(message, "req_id", -1)
            if request_id in course.ended and request_id >= 0:
                return
        name = answer_name(message)
        rule = self._play.judge((name,), message, connection.client_id, self._moment())
        if rule is None:
            self._put(connection, message)
            return
        self._truth.fault(rule, name)
        self._to_answer(rule, connection, message)

    def forget(self, connection: Connection) -> None:
        """The connection is over."""
        self._courses.pop(connection, None)

    def _course(self, connection: Connection) -> _Course:
        return self._courses.setdefault(connection, _Course())

    # --- deeds -----------------------------------------------------------------------------------------------------

    def _to_request(self, rule: Rule, connection: Connection, message: Request) -> bool:
        request_id = getattr(message, "req_id", getattr(message, "order_id", -1))
        code = rule.code or 0
        match rule.action:
            case Action.REFUSE if isinstance(message, PlaceOrder):
                self._desk.refuse(connection, message, RefusedError(code, rule.text))
            case Action.REFUSE:
                connection.put(ErrorMessage(request_id, code, rule.text))
                if isinstance(message, _ENDS_CONNECTION):
                    connection.close()
            case Action.WARN:
                self._serve(connection, message)
                connection.put(ErrorMessage(request_id, code, rule.text))
            case Action.DELAY:
                asyncio.get_running_loop().call_later(rule.seconds or 0.0, self._serve, connection, message)
            case Action.PARTIAL if isinstance(message, PlaceOrder):
                self._try(rule, partial(self._thin, rule, message))
                return True
            case Action.DROP:
                pass
            case _:
                self._to_connection(rule, connection)
        return False

    def _serve(self, connection: Connection, message: Request) -> None:
        if connection.is_open:
            self._gateway.serve(connection, message)
            connection.flush()

    def _to_answer(self, rule: Rule, connection: Connection, message: Reply) -> None:
        request_id = getattr(message, "req_id", getattr(message, "order_id", -1))
        match rule.action:
            case Action.REFUSE:
                connection.put(ErrorMessage(request_id, rule.code or 0, rule.text))
                self._course(connection).ended.add(getattr(message, "req_id", -1))
            case Action.WARN:
                self._put(connection, message)
                connection.put(ErrorMessage(request_id, rule.code or 0, rule.text))
            case Action.DROP:
                pass
            case Action.DELAY:
                asyncio.get_running_loop().call_later(rule.seconds or 0.0, self._put, connection, message)
            case Action.DUPLICATE:
                for _ in range(rule.times):
                    self._put(connection, message)
            case Action.REORDER:
                self._course(connection).held.append((rule, message))
            case Action.CHANGE:
                self._put_changed(rule, connection, message)
            case Action.CORRECT | Action.BUST if isinstance(message, ExecutionData):
                self._put(connection, message)
                self._correct_told(rule, message)
            case _:
                self._to_connection(rule, connection)

    def _correct_told(self, rule: Rule, told: ExecutionData) -> None:
        """Correct an execution that has just been told; a correction is not corrected again."""
        if told.req_id < 0 and told.exec_id.endswith(_FIRST):
            self._try(rule, partial(self._correct, rule, told.exec_id))

    def _put(self, connection: Connection, message: Reply) -> None:
        """Send an answer, and behind it what waited for it."""
        connection.put(message)
        self._release(connection, message)

    def _release(self, connection: Connection, message: Reply) -> None:
        course = self._courses.get(connection)
        if course is None or not course.held:
            return
        names = (answer_name(message),)
        waited = [each for rule, each in course.held if rule.until is None or rule.until.fits(names, message)]
        course.held = [(rule, each) for rule, each in course.held if not any(each is gone for gone in waited)]
        for each in waited:
            self._put(connection, each)

    def _put_changed(self, rule: Rule, connection: Connection, message: Reply) -> None:
        texts: dict[bytes, bytes] = {}
        for path, value in rule.changes.items():
            if isinstance(value, (float, Decimal)) and not math.isfinite(value):
                text, stand_in = _STAND_INS["nan" if math.isnan(value) else str(float(value))]
                texts[f"\0{stand_in}\0".encode()] = f"\0{text}\0".encode()
                message = with_value(message, path, type(value)(str(stand_in)))
            else:
                message = with_value(message, path, value)
        connection.put(message, texts)
        self._release(connection, message)

    def _to_connection(self, rule: Rule, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        match rule.action:
            case Action.RESET:  # soon: we may be in the middle of its own writing
                loop.call_soon(connection.reset)
            case Action.CLOSE:
                loop.call_soon(connection.finish)
            case Action.HANG:
                connection.hang(rule.seconds)
            case Action.RESTART:
                loop.call_soon(self._gateway.restart, rule.seconds or 0.0)

    def _by_itself(self, rule: Rule) -> None:
        match rule.action:
            case Action.WARN:
                for client in tuple(self._context.clients.values()):
                    client.put(ErrorMessage(-1, rule.code or 0, rule.text))
            case Action.ORDER if rule.order is not None:
                self._place(rule.order)
            case Action.LIQUIDATE:
                for account in self._context.accounts:
                    self._context.venue.liquidate(account, self._contract(rule.symbol))
                asyncio.get_running_loop().call_soon(self._context.deliver)
            case Action.CANCEL:
                self._desk.withdraw_all()
            case Action.CORRECT | Action.BUST:
                self._correct(rule, self._last_execution())
            case Action.RESTART:
                self._gateway.restart(rule.seconds or 0.0)
            case _:
                for connection in self._gateway.connections:
                    self._to_connection(rule, connection)

    # --- at the exchange -------------------------------------------------------------------------------------------

    def _last_execution(self) -> str:
        fills = [fill.execution for account in self._context.accounts for fill in self._context.fills(account)]
        if not fills:
            raise RefusedError(0, "nothing has traded")
        return max(fills, key=lambda each: each.time).exec_id

    def _thin(self, rule: Rule, message: PlaceOrder) -> None:
        self._context.venue.thin(self._context.listing(message.contract).contract, int(rule.shares or 0))

    def _correct(self, rule: Rule, exec_id: str) -> None:
        shares = Decimal(0) if rule.action is Action.BUST else rule.shares
        self._context.venue.correct(exec_id, None if shares is None else int(shares), rule.price)
        asyncio.get_running_loop().call_soon(self._context.deliver)

    def _contract(self, symbol: str) -> Contract:
        listing = self._context.catalogue.find(0, symbol, "", "STK", "", "", "USD")
        if listing is None:
            raise RefusedError(200, f"no security {symbol} is listed here")
        return listing.contract

    def _place(self, wish: ByHand) -> None:
        account = self._context.account(wish.account or self._context.accounts[0])
        order = Order(
            self._contract(wish.symbol),
            wish.side,
            wish.quantity,
            wish.order_type,
            limit_price=wish.limit_price,
            stop_price=wish.stop_price,
            account=AccountId(account),
        )
        self._desk.place_unasked(order, wish.client_id)
