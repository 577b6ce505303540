"""`python -m src serve-tws`: the paper gateway from the command line."""

import argparse
import math
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from src.domain.errors import ConfigurationError
from src.domain.orders import AccountId
from src.gateways.scenario import NOTHING, read_scenario
from src.gateways.tws_codec import NEWEST
from src.gateways.tws_server import DEFAULT_ACCOUNT, DEFAULT_PORT, GatewayOptions, checked_account, serve
from src.runtime.clock import wall_clock
from src.runtime.market import Market, MarketRules, recorded_market, seeded_market
from src.settings import Settings, load_settings

_MILLISECOND: Final = 1_000_000  # ns


def main(arguments: Sequence[str], prog: str) -> int:
    """Serve until a signal; return the exit code that it asks for."""
    wish = _parser(prog).parse_args(arguments)
    settings = load_settings()
    seed = settings.sim_seed if wish.seed is None else wish.seed
    options = GatewayOptions(
        host=wish.host,
        port=wish.port,
        latency=wish.latency / 1000,
        max_server_version=wish.max_server_version,
        master_client_id=wish.master_client_id,
        two_step_what_if=wish.two_step_what_if,
        allow_remote=wish.allow_remote,
        scenario=read_scenario(wish.scenario) if wish.scenario else NOTHING,
        seed=seed,
        log=wish.log,
        first_number=wall_clock() // _MILLISECOND % 2**32,  # no two runs have the same
    )
    names = [name for given in wish.account or [DEFAULT_ACCOUNT] for name in given.split(",") if name]
    cash = settings.initial_capital if wish.cash is None else wish.cash
    accounts = {AccountId(checked_account(name)): cash for name in names}
    market, prices = _market(wish, settings, seed, accounts)
    try:
        stopped_by = serve(market, options, lambda port: _banner(port, names, prices, wish))
    except OSError as error:
        raise ConfigurationError(f"{wish.host}:{wish.port} cannot be listened on: {error.strerror}") from None
    return 128 + stopped_by


def _market(
    wish: argparse.Namespace, settings: Settings, seed: int, accounts: dict[AccountId, Decimal]
) -> tuple[Market, str]:
    rules = MarketRules(
        preset=wish.preset or settings.sim_preset,
        hours=wish.market_hours or settings.sim_market_hours,
        fees=settings.sim_fees,
        seed=seed,
        hard_to_borrow=settings.sim_hard_to_borrow,
    )
    if wish.replay:
        from src.runtime.files import load

        speed = math.inf if wish.speed is None else wish.speed
        return recorded_market(rules, load(wish.replay), accounts, speed), "recorded prices"
    if wish.speed == math.inf:
        raise ConfigurationError("--speed max needs --replay: invented prices have no end to hurry to")
    market = seeded_market(rules, settings.symbols, accounts, speed=wish.speed or 1.0)
    return market, f"invented prices, seed {rules.seed}"


def _banner(port: int, names: list[str], prices: str, wish: argparse.Namespace) -> str:
    lines = [
        "PAPER GATEWAY: this is not TWS. Orders trade in a simulation only; no money, no market, no data of IB's.",
        f"  accounts {', '.join(names)}; {prices}; connect a TWS API program to port {port}; Ctrl-C ends it",
    ]
    if any(not name.startswith(("DU", "DF", "SIM")) for name in names):
        lines.append("  WARNING: an account id that looks like real money's was named; programs may believe it.")
    if wish.scenario:
        lines.append(f"  MISBEHAVES ON PURPOSE, as {wish.scenario} says.")
    if wish.allow_remote:
        lines.append("  WARNING: --allow-remote: anybody who reaches this address can trade here, without a password.")
    return "\n".join(lines)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog, description="A TWS on simulated prices: any TWS API program connects to it and trades offline."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (default 127.0.0.1)")
    add("--port", type=int, default=DEFAULT_PORT, metavar="N", help=f"default {DEFAULT_PORT}; 0 takes a free one")
    add("--account", nargs="+", action="extend", metavar="ID", help=f"account ids (default {DEFAULT_ACCOUNT})")
    add("--cash", type=_dollars, metavar="DOLLARS", help="cash of each account (default INITIAL_CAPITAL)")
    add("--seed", type=int, metavar="N", help="of the invented prices and of a scenario's chances (default SIM_SEED)")
    add("--replay", type=Path, nargs="+", action="extend", metavar="PATH", help="price files or folders")
    add("--speed", type=_speed, metavar="real|N|max", help="market time (default real; max in a replay)")
    add("--preset", choices=("ideal", "realistic"), help="how orders fill (default SIM_PRESET)")
    add("--latency", type=float, default=20.0, metavar="MS", help="before each answer, in milliseconds (default 20)")
    add("--market-hours", choices=("always", "nyse"), help="when the market is open (default SIM_MARKET_HOURS)")
    add("--max-server-version", type=int, default=NEWEST, metavar="N", help=f"newest version spoken (default {NEWEST})")
    add("--master-client-id", type=int, metavar="N", help="a client that sees, and may cancel, the orders of all")
    add("--two-step-what-if", action="store_true", help="answer a what-if order in two frames, as a real TWS does")
    add("--scenario", type=Path, metavar="FILE", help="misbehave on purpose as this file says (docs/paper_gateway.md)")
    add("--log", type=Path, metavar="FILE", help="append every order, execution and request there, as JSON lines")
    add("--allow-remote", action="store_true", help="listen beyond this machine: whoever reaches it can trade, unasked")
    return parser


def _dollars(text: str) -> Decimal:
    try:
        cash = Decimal(text)
    except InvalidOperation:
        cash = Decimal("NaN")
    if not (cash.is_finite() and cash > 0):
        raise argparse.ArgumentTypeError(f"expected dollars above zero, not {text!r}")
    return cash


def _speed(text: str) -> float:
    speed = {"real": 1.0, "max": math.inf}.get(text.lower())
    if speed is None:
        try:
            speed = float(text)
        except ValueError:
            speed = 0.0
    if not speed > 0:
        raise argparse.ArgumentTypeError(f"expected real, max or a number above zero, not {text!r}")
    return speed
