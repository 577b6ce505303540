"""The checks a person runs: `--test connect|account|positions|price|order|health`, one connection, one answer.

They use the check client id, so that they run beside a trader, and the simulated account that outlives the process,
so that an order placed by one is a position in the next. With `--json`, standard output is one object and nothing
else. Exit codes: 0 passed, 1 failed, 2 wrong use, 3 no TWS where one was wanted.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn

from src.brokers.answers import OrderAnswer, PositionAnswer
from src.brokers.command_line import (
    DONE,
    FAILED,
    NO_CONNECTION,
    WRONG_USE,
    exit_code_of,
    in_one_line,
    mode_words,
    prepare_streams,
    with_output,
)
from src.brokers.findings import Finding
from src.brokers.opening import Play
from src.domain.errors import InvalidOrderError
from src.domain.market import Mode, contract_named
from src.domain.orders import OrderStatus, checked_action, checked_quantity
from src.settings import load_settings

if TYPE_CHECKING:
    from src.brokers.ib_gateway import IBGatewayClient

#: Seconds that `--test order` gives its fill.
ORDER_SECONDS: Final = 10.0
_WORKING: Final = frozenset(status.value for status in OrderStatus if not status.is_done)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found: `result` for a program, `lines` for a person, `error` when it failed."""

    result: Mapping[str, object]
    lines: Sequence[str]
    error: str | None = None
    exit_code: int = DONE


@dataclass(frozen=True, slots=True)
class Report:
    """The object that `--json` prints."""

    test: str | None
    passed: bool
    mode: str
    result: Mapping[str, object] | None
    error: str | None
    exit_code: int
    lines: Sequence[str] = field(default=(), compare=False)
    found: Finding | None = field(default=None, compare=False)

    def as_json(self) -> str:
        """Return the report as one line of JSON; what is for a person stays out of it."""
        facts = asdict(self)
        del facts["lines"], facts["found"]
        return json.dumps(facts, allow_nan=False)

    def as_text(self) -> str:
        """Return the report as a person reads it."""
        verdict = f"❌ {self.test or 'check'}: {self.error}" if self.error else f"✅ {self.test}: {self.mode_words}"
        return "\n".join([verdict, *(f"   {line}" for line in self.lines)])

    @property
    def mode_words(self) -> str:
        """The mode as a person must not overlook it."""
        return mode_words(Mode(self.mode), self.found)


class _WrongUseError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _WrongUseError(message)


def command(client_type: "type[IBGatewayClient]", arguments: Sequence[str] | None, prog: str) -> int:
    """Run the check that the arguments ask for, print its report, return its exit code."""
    return with_output(lambda: _command(client_type, arguments, prog))


def _command(client_type: "type[IBGatewayClient]", arguments: Sequence[str] | None, prog: str) -> int:
    given, parser = sys.argv[1:] if arguments is None else list(arguments), _parser(prog)
    try:
        options = parser.parse_args(given)
    except _WrongUseError as error:
        prepare_streams()
        sys.stderr.write(parser.format_usage())
        named = dict(pairwise(given)).get("--test")
        report = Report(named, passed=False, mode=Mode.DISCONNECTED, result=None, error=str(error), exit_code=WRONG_USE)
        return _print(report, as_json="--json" in given)
    prepare_streams(verbose=options.verbose)
    return _print(_run(client_type, options), as_json=options.json)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=prog, description="Check the connection to Interactive Brokers, one thing at a time.")
    parser.add_argument("--test", required=True, choices=sorted(_CHECKS), help="what to check")
    parser.add_argument("--symbol", default="NVDA", help="symbol of the price and order checks (default: NVDA)")
    parser.add_argument(
        "--quantity", type=_quantity, default=1, metavar="N", help="shares of the order check (default: 1)"
    )
    parser.add_argument("--action", type=_action, default="BUY", metavar="BUY|SELL", help="side of the order check")
    parser.add_argument("--keep", action="store_true", help="leave an order working that does not fill in ten seconds")
    parser.add_argument("--require", choices=["tws"], help="exit with 3 unless TWS is connected")
    parser.add_argument("--json", action="store_true", help="print one JSON object, and nothing else")
    parser.add_argument("--verbose", action="store_true", help="say more, on standard error")
    return parser


def _quantity(text: str) -> int:
    try:
        return int(checked_quantity(text))
    except InvalidOrderError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _action(text: str) -> str:
    try:
        return checked_action(text).value
    except InvalidOrderError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _run(client_type: "type[IBGatewayClient]", options: argparse.Namespace) -> Report:
    client: IBGatewayClient | None = None
    mode = Mode.DISCONNECTED
    try:
        settings = load_settings()
        client = client_type(settings=replace(settings, client_id=settings.check_client_id), play=Play(persistent=True))
        connected, mode = client.connect(), client.mode
        if not connected:
            cause = client.health_check()["error"]
            found = CheckResult({}, _tried(client), cause, NO_CONNECTION)
        elif options.require == "tws" and client.found is None:
            found = CheckResult({}, _tried(client), "TWS is required, and this is the simulator", NO_CONNECTION)
        else:
            found = _CHECKS[options.test](client, options)
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001  # never a traceback at the command line
        found = CheckResult({}, (), in_one_line(error), exit_code_of(error))
    finally:
        if client is not None:
            client.disconnect()
    return Report(
        test=options.test,
        passed=found.error is None,
        mode=mode.value,
        result=found.result or None,
        error=found.error,
        exit_code=found.exit_code,
        lines=found.lines,
        found=None if client is None else client.found,
    )


def _print(report: Report, *, as_json: bool) -> int:
    sys.stdout.write((report.as_json() if as_json else report.as_text()) + "\n")
    return report.exit_code


def _tried(client: "IBGatewayClient") -> list[str]:
    return [f"tried {each.line}" for each in client.attempts]


def _check_connect(client: "IBGatewayClient", options: argparse.Namespace) -> CheckResult:
    del options
    health = client.health_check()
    result = {
        "account_id": client.broker.account_id,
        "host": health["host"],
        "port": health["port"],
        "client_id": health["client_id"],
        "data_source": health["data_source"],
        "attempts": health["attempts"],
        "fallback_reason": health["fallback_reason"],
    }
    account = f"account {client.broker.account_id}"
    if client.found is not None:
        return CheckResult(result, [account, f"TWS answers at {client.found.where}, {health['library']}"])
    if (reason := health["fallback_reason"]) is None:
        return CheckResult(result, [account])
    error = f"no TWS ({reason}); {mode_words(client.mode)} instead. IBKR_BACKEND=simulated asks for that by name"
    return CheckResult(result, [account, *_tried(client)], error, NO_CONNECTION)


def _check_account(client: "IBGatewayClient", options: argparse.Namespace) -> CheckResult:
    del options
    account = client.get_account_info()
    return CheckResult(
        account,
        [
            f"account {account['account_id']}, {account['currency']}, as of {account['as_of']}",
            f"net liquidation ${account['net_liquidation']:,.2f}, cash ${account['total_cash']:,.2f}",
            f"available funds ${account['available_funds']:,.2f}, buying power ${account['buying_power']:,.2f}",
        ],
    )


def _check_positions(client: "IBGatewayClient", options: argparse.Namespace) -> CheckResult:
    del options
    positions = client.get_positions()
    return CheckResult(dict(positions), [_position_line(symbol, position) for symbol, position in positions.items()])


def _position_line(symbol: str, position: PositionAnswer) -> str:
    if position["market_price"] is None:
        return f"{symbol}: flat"
    return (
        f"{symbol}: {position['position']} shares at {_price(position['average_cost'], symbol)}, "
        f"worth {_dollars(position['market_value'])}, unrealized {_dollars(position['unrealized_pnl'])}"
    )


def _dollars(amount: float) -> str:
    return f"{'-' if amount < 0 else ''}${abs(amount):,.2f}"


def _price(amount: float, symbol: str) -> str:
    """A price with its last decimal, two of them at least; one in dollars is shown as such."""
    whole, _, part = f"{amount:,.6f}".partition(".")
    sign = "$" if contract_named(symbol).currency == "USD" else ""
    return f"{sign}{whole}.{part.rstrip('0'):0<2}"


def _check_price(client: "IBGatewayClient", options: argparse.Namespace) -> CheckResult:
    price, quote = client.get_current_price(options.symbol), client.get_quote(options.symbol)
    shown = _price(price, quote["symbol"])
    line = f"{quote['symbol']}: {shown} ({quote['source']}), bid {quote['bid']}, ask {quote['ask']}"
    return CheckResult({"price": price, **quote}, [line])


def _check_order(client: "IBGatewayClient", options: argparse.Namespace) -> CheckResult:
    order = client.place_market_order(options.symbol, options.quantity, options.action, wait=ORDER_SECONDS)
    error = (
        None if order["status"] == OrderStatus.FILLED else f"{order['status']}: {order['reason'] or 'no reason given'}"
    )
    if order["status"] in _WORKING and (order_id := order["order_id"]) is not None:
        waiting = f"not filled within {ORDER_SECONDS:g} s" + (f" ({order['reason']})" if order["reason"] else "")
        if options.keep:
            error = None
        elif client.cancel_order(order_id):
            order, error = client.get_order(order_id), f"{waiting}, so it was cancelled; --keep leaves it working"
        else:
            order = client.get_order(order_id)
            filled = order["status"] == OrderStatus.FILLED
            error = None if filled else f"{waiting}, and the cancel is not confirmed: it is {order['status']}"
    if order["symbol"] not in client.supported_symbols:
        client.supported_symbols.append(order["symbol"])
    position = client.get_positions()[order["symbol"]]
    lines = [_order_line(order), _position_line(order["symbol"], position)]
    return CheckResult({"order": order, "position": position}, lines, error, FAILED if error else DONE)


def _order_line(order: OrderAnswer) -> str:
    price = f" at {_price(order['avg_fill_price'], order['symbol'])}" if order["filled"] else ""
    return (
        f"order {order['order_id'] or 'without id'}: {order['action']} {order['quantity']} {order['symbol']}, "
        f"{order['status']}, {order['filled']} filled{price}"
    )


def _check_health(client: "IBGatewayClient", options: argparse.Namespace) -> CheckResult:
    del options
    health = client.health_check()
    return CheckResult(health, [f"{name}: {value}" for name, value in health.items()])


_CHECKS: Final[Mapping[str, Callable[["IBGatewayClient", argparse.Namespace], CheckResult]]] = {
    "connect": _check_connect,
    "account": _check_account,
    "positions": _check_positions,
    "price": _check_price,
    "order": _check_order,
    "health": _check_health,
}
