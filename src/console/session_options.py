"""The options of `live_trader.py`: read, checked against each other, and told in one line when they are wrong.

Nothing heavy is imported here: `--help` answers at once.
"""

import argparse
from collections.abc import Sequence
from decimal import Decimal
from math import inf, isfinite
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from pathlib import Path

_PAGE_PORT: Final = 8765
_TIMEFRAMES: Final = ("1m", "5m", "15m", "30m", "1h", "1d")


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and exits with 2."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help lists the options)\n")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of a session; SystemExit 2, after one line, when they are wrong."""
    parser = _Parser(prog="live_trader.py", description="A trading session: on TWS, or on the simulated exchange.")
    add = parser.add_argument
    add("--duration", type=_minutes, metavar="MINUTES", help="market minutes (default 30; a replay ends with its data)")
    add("--symbols", type=_symbols, nargs="+", action="extend", metavar="A", help="A B or A,B (in a replay: all)")
    add("--timeframe", choices=_TIMEFRAMES, default="1m", help="length of a bar (default 1m)")
    add("--strategy", metavar="NAME", help="sma, hold, or your own as package.module:ClassName")
    add("--strategy-option", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    add("--quantity", type=_quantity, action="append", default=[], metavar="SYMBOL=N", help="shares (default 100)")
    add("--initial-capital", metavar="DOLLARS", help="cash of a new simulated account")
    add("--backend", choices=("auto", "tws", "simulated"))
    add("--replay", type=_path, nargs="+", action="extend", default=[], metavar="FILE", help="price files or folders")
    add("--speed", type=_speed, metavar="real|N|max", help="of a simulated market (default real; max in a replay)")
    add("--preset", choices=("ideal", "realistic"), help="how the simulated exchange fills")
    add("--fees", choices=("fixed", "commission", "none"), help="what the simulated exchange charges")
    add("--seed", type=int, metavar="N", help="of invented prices")
    add(
        "--on-exit",
        choices=("cancel", "keep", "flatten"),
        help="working orders; flatten sells the session's shares too",
    )
    add("--flat-before-close", type=_minutes, metavar="MIN", help="sell the session's shares before each close")
    add("--json", type=_path, metavar="FILE", help="write the summary there, too; -: in place of the text")
    add("--limits", action="store_true", help="hold simulated orders to the limits of a paper account")
    add("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    add(
        "--dashboard",
        type=_port,
        nargs="?",
        const=_PAGE_PORT,
        metavar="PORT",
        help=f"serve a page to this machine's browsers (default port {_PAGE_PORT}; 0: any)",
    )
    add("--quiet", action="store_true", help="no live view and no progress; warnings only")
    add("--log-format", choices=("text", "json"), default="text", help="of the log on standard error")
    add("--no-report", dest="report", action="store_false", help="write no journal of a replay, and no report")
    add("--config", type=_path, metavar="FILE", help="a YAML file with settings")
    add("--require", choices=("tws",), help="exit with 3 rather than simulate")
    wish = parser.parse_args(arguments)
    wish.symbols = [symbol for group in wish.symbols or () for symbol in group]
    wish.quantity = dict(wish.quantity)
    if wish.speed is None:
        wish.speed = inf if wish.replay else 1.0
    real = "--backend tws" if wish.backend == "tws" else "--require tws" if wish.require else ""
    if real and wish.replay:
        parser.error(f"--replay trades on recorded prices, never on TWS: leave out {real}")
    if real and wish.speed != 1:
        parser.error(f"--speed: a real market runs at its own speed: leave it out, or leave out {real}")
    named = wish.json is not None and str(wish.json) != "-"
    if named and (wish.json.is_dir() or not wish.json.absolute().parent.is_dir()):
        parser.error(f"--json: there is no folder to write {wish.json} into, or it is one itself")
    return wish


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number, not {text!r}") from None
    if not (isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"expected a number above zero, not {text!r}")
    return number


def _path(text: str) -> "Path":
    from pathlib import Path

    return Path(text)


def _minutes(text: str) -> float:
    return _number(text)


def _speed(text: str) -> float:
    return {"real": 1.0, "max": inf}.get(text.lower()) or _number(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, not {text!r}")
    return int(text)


def _symbols(text: str) -> list[str]:
    symbols = [symbol.strip().upper() for symbol in text.split(",") if symbol.strip()]
    if not symbols:
        raise argparse.ArgumentTypeError("expected symbols, as in --symbols NVDA,MSFT")
    return symbols


def _quantity(text: str) -> tuple[str, Decimal]:
    symbol, _, number = text.partition("=")
    if not symbol.strip() or not number.strip().isdecimal() or not int(number) > 0:
        raise argparse.ArgumentTypeError(f"expected SYMBOL=N with N whole shares above zero, not {text!r}")
    return symbol.strip().upper(), Decimal(int(number))
