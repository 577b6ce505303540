"""The limits that every order is held to: what they are, their defaults in each mode, and how a person writes them.

A limit that is None is lifted. Simulated money has a check for slips of the keyboard and the kill switch, unless the
limits of real accounts are asked for; real money never has one lifted. Shares and dollars are `Decimal`, shares of a
whole are fractions (3 % is 0.03), times are seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Final

from src.domain.errors import ConfigurationError
from src.domain.facts import fact
from src.domain.market import Mode


@fact
class Cap:
    """Dollars, a fraction of the account's net liquidation value, or the lower of both."""

    dollars: Decimal | None = None
    fraction: Decimal | None = None

    def of(self, net_liquidation: Decimal) -> Decimal:
        """The cap in dollars."""
        amounts = [] if self.dollars is None else [self.dollars]
        if self.fraction is not None:
            amounts.append(self.fraction * net_liquidation)
        return min(amounts)


@fact
class RiskLimits:
    """What an order may not exceed; the defaults are those of real money. `docs/risk.md` has the table."""

    max_order_quantity: Decimal | None = Decimal(500)
    max_order_value: Cap | None = Cap(Decimal(25_000), Decimal("0.25"))
    max_position: Decimal | None = Decimal(1000)
    max_gross: Cap | None = Cap(fraction=Decimal(1))
    max_open_orders: tuple[int, int] | None = (10, 3)  # of the session; of one symbol and side
    price_collar: Decimal | None = Decimal("0.03")
    max_spread: Decimal | None = Decimal("0.01")
    max_quote_age: Decimal | None = Decimal(5)
    orders_per_minute: tuple[int, int] | None = (30, 10)  # of the session; of one symbol
    duplicate_seconds: Decimal | None = Decimal(2)
    round_trips_per_day: int | None = 20
    max_daily_loss: Cap | None = Cap(Decimal(1000), Decimal("0.02"))
    max_drawdown: Decimal | None = Decimal("0.03")
    reject_streak: int | None = 3  # within a minute
    closing_minutes: Decimal | None = Decimal(5)  # no new risk so long before the close, nor outside regular hours
    short_sales: bool = False
    #: Not settings of their own.
    symbols: frozenset[str] | None = None  # what may be traded at all
    max_delayed_age: Decimal | None = None  # seconds since a delayed quote came; None: not traded on
    funds_used: Decimal | None = Decimal("0.95")  # of the available funds
    checks_tick: bool = True

    @property
    def is_plain(self) -> bool:
        """Whether an order can be judged by itself and the market's price, without a look at the account."""
        of_the_account = (
            *(self.max_order_value, self.max_position, self.max_gross, self.max_open_orders, self.max_spread),
            *(self.max_quote_age, self.orders_per_minute, self.duplicate_seconds, self.round_trips_per_day),
            *(self.max_daily_loss, self.max_drawdown, self.reject_streak, self.closing_minutes, self.funds_used),
        )
        return self.short_sales and not self.checks_tick and all(each is None for each in of_the_account)


#: Simulated money: a slip of the keyboard, nothing else. A price ten times the market's is one.
_SANITY: Final = RiskLimits(
    max_order_quantity=Decimal(1_000_000),
    max_order_value=None,
    max_position=None,
    max_gross=None,
    max_open_orders=None,
    price_collar=Decimal(9),
    max_spread=None,
    max_quote_age=None,
    orders_per_minute=None,
    duplicate_seconds=None,
    round_trips_per_day=None,
    max_daily_loss=None,
    max_drawdown=None,
    reject_streak=None,
    closing_minutes=None,
    short_sales=True,
    funds_used=None,
    checks_tick=False,
)
#: IB's delayed quotes of a quiet share come seldom; they are traded on with one warning.
_PAPER: Final = RiskLimits(max_delayed_age=Decimal(60))
_LIVE: Final = RiskLimits()


def limits_for(
    mode: Mode, written: Mapping[str, str], *, symbols: tuple[str, ...] = (), full: bool = False
) -> RiskLimits:
    """The limits of a mode, with what a person has written (`RISK_...` names to text) in place of the defaults.

    `symbols` are those that real money may trade. `full` gives simulated money the limits of a paper account.
    ConfigurationError names what is unknown, malformed, or lifted where nothing may be.
    """
    limits = _SANITY if mode is Mode.SIMULATED and not full else _LIVE if mode is Mode.LIVE else _PAPER
    if mode is Mode.LIVE:
        limits = replace(limits, symbols=frozenset(symbols))
    values: dict[str, Any] = {}
    for name, text in written.items():
        values[FIELDS[name][0] if name in FIELDS else name] = _read(name, text, mode)
    return replace(limits, **values)


def _read(name: str, text: str, mode: Mode) -> object:
    if name not in FIELDS:
        raise ConfigurationError(f"{name} is no limit; {nearest_limit(name)}")
    _, parse, form = FIELDS[name]
    word = text.strip().lower()
    lifted = word == "off" and name != _SHORT
    if mode is Mode.LIVE and (lifted or (name == _SHORT and word == "allow")):
        raise ConfigurationError(
            f"{name}: a limit of real money cannot be lifted; give it a value ({form}), or leave it out"
        )
    if lifted:
        return None
    try:
        return parse(word)
    except (ValueError, InvalidOperation):
        raise ConfigurationError(f"{name} must be {form}") from None


def nearest_limit(name: str) -> str:
    """A clause naming the limit that `name` must mean, or where all are listed."""
    near = get_close_matches(name.upper(), sorted(FIELDS), n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else "docs/risk.md lists them"


# --- how they are written ---------------------------------------------------------------------------------------------

_MOST: Final = Decimal(10) ** 12


def _positive(text: str) -> Decimal:
    number = Decimal(text.replace("_", ""))
    if not (number.is_finite() and 0 < number < _MOST):
        raise ValueError
    return number


def _fraction(text: str) -> Decimal:
    return _positive(text.removesuffix("%").strip()) / 100


def _whole(text: str) -> int:
    number = _positive(text)
    if number != number.to_integral_value():
        raise ValueError
    return int(number)


def _minutes(text: str) -> Decimal:
    return Decimal(0) if text == "0" else _positive(text)


def _pair(text: str) -> tuple[int, int]:
    first, _, second = text.partition(",")
    total = _whole(first.strip())
    return total, min(_whole(second.strip()), total) if second else total


def _cap(text: str) -> Cap:
    parts = [part.strip() for part in text.split(",")]
    shares = [_fraction(part) for part in parts if part.endswith("%")]
    dollars = [_positive(part.removeprefix("$")) for part in parts if not part.endswith("%")]
    if len(shares) > 1 or len(dollars) > 1:
        raise ValueError
    return Cap(dollars[0] if dollars else None, shares[0] if shares else None)


def _allowed(text: str) -> bool:
    if text not in ("refuse", "allow"):
        raise ValueError
    return text == "allow"


_SHORT: Final = "RISK_SHORT_SALES"
_CAP_FORM: Final = "dollars, a percentage of the account's value as 25%, or both as 25000,25%: the lower counts"
#: Name of a setting -> field of `RiskLimits`, how it is read, and how it must be written.
FIELDS: Final[Mapping[str, tuple[str, Callable[[str], Any], str]]] = {
    "RISK_MAX_ORDER_QTY": ("max_order_quantity", _positive, "shares above zero"),
    "RISK_MAX_ORDER_VALUE": ("max_order_value", _cap, _CAP_FORM),
    "RISK_MAX_POSITION": ("max_position", _positive, "shares above zero"),
    "RISK_MAX_GROSS": ("max_gross", _cap, _CAP_FORM),
    "RISK_MAX_OPEN_ORDERS": ("max_open_orders", _pair, "a count, or two as 10,3: in all, and of one symbol and side"),
    "RISK_PRICE_COLLAR": ("price_collar", _fraction, "a percentage above zero, as 3"),
    "RISK_MAX_SPREAD": ("max_spread", _fraction, "a percentage above zero, as 1"),
    "RISK_MAX_QUOTE_AGE": ("max_quote_age", _positive, "seconds above zero"),
    "RISK_ORDERS_PER_MINUTE": ("orders_per_minute", _pair, "a count, or two as 30,10: in all, and of one symbol"),
    "RISK_DUPLICATE_SECONDS": ("duplicate_seconds", _positive, "seconds above zero"),
    "RISK_ROUND_TRIPS_PER_DAY": ("round_trips_per_day", _whole, "a whole number above zero"),
    "RISK_MAX_DAILY_LOSS": ("max_daily_loss", _cap, _CAP_FORM),
    "RISK_MAX_DRAWDOWN": ("max_drawdown", _fraction, "a percentage above zero, as 3"),
    "RISK_REJECT_STREAK": ("reject_streak", _whole, "a whole number above zero"),
    "RISK_HOURS": ("closing_minutes", _minutes, "minutes before the close, 0 or more"),
    _SHORT: ("short_sales", _allowed, "refuse or allow"),
}
