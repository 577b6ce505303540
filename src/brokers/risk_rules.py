"""The rules that an order is held to, one function each: `Asked` to a `Refusal` or None. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Final

from src.brokers.exposure import Exposure, same_contract
from src.brokers.quote_sanity import senseless
from src.domain.limits import RiskLimits
from src.domain.market import Contract, ShortLevel, Source
from src.domain.orders import Action, Order, OrderType

_ZERO: Final = Decimal(0)
_NS: Final = 1_000_000_000
#: IB's smallest and its usual commission, for what an order may cost: dollars, and dollars a share.
_LEAST_FEE, _FEE_A_SHARE = Decimal(1), Decimal("0.005")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order may not leave. `rule` is one of a closed set; `words` is the whole sentence."""

    rule: str
    limit: str
    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Asked:
    """An order, what it is held against, and whether it can only reduce a position."""

    order: Order
    exposure: Exposure
    limits: RiskLimits
    reduces: bool

    @property
    def price(self) -> Decimal | None:
        """Dollars a share that the order may cost, as far as can be told."""
        order = self.order
        return order.limit_price or order.stop_price or self._far_side()

    def _far_side(self) -> Decimal | None:
        quote = self.exposure.quote
        if quote is None:
            return None
        side = quote.ask if self.order.action is Action.BUY else quote.bid
        return _dollars(side) or self.reference

    @property
    def reference(self) -> Decimal | None:
        """The market's price: the middle of an uncrossed quote, else the last print."""
        quote = self.exposure.quote
        if quote is None:
            return None
        bid, ask = _dollars(quote.bid), _dollars(quote.ask)
        if bid is not None and ask is not None and bid <= ask:
            return (bid + ask) / 2
        return _dollars(quote.last)

    @property
    def value(self) -> Decimal | None:
        """Dollars."""
        price = self.price
        return None if price is None else price * self.order.quantity


Rule = Callable[[Asked], Refusal | None]


def first(rules: Iterable[Rule], asked: Asked) -> Refusal | None:
    """The first refusal of some rules."""
    for rule in rules:
        if (refusal := rule(asked)) is not None:
            return refusal
    return None


def refusal_of(rule: str, limit: str, value: str, words: str, setting: str = "") -> Refusal:
    """A refusal in a whole sentence; `setting` is the name under which a person sets the limit."""
    named = f" ({setting})" if setting else ""
    return Refusal(rule, limit, value, f"{rule}: {value} {words}, the limit is {limit}{named}; nothing was sent")


def _dollars(price: float) -> Decimal | None:
    return Decimal(str(price)) if isfinite(price) and price > 0 else None


def _halt(asked: Asked) -> Refusal | None:
    halt = asked.exposure.halt
    if not halt:
        return None
    return Refusal(
        "halt", "no new risk", halt, f"halt: {halt}; orders that only reduce a position pass; nothing was sent"
    )


def _symbol(asked: Asked) -> Refusal | None:
    allowed, contract = asked.limits.symbols, asked.order.contract
    if allowed is None or (contract.local_symbol in allowed and contract.sec_type in ("STK", "CASH")):
        return None
    what = f"{contract.local_symbol} {contract.sec_type}"
    return refusal_of("symbol", f"the shares {', '.join(sorted(allowed))}", what, "is not traded here", "IBKR_SYMBOLS")


def _quantity(asked: Asked) -> Refusal | None:
    most, quantity = asked.limits.max_order_quantity, asked.order.quantity
    if most is None or quantity <= most:
        return None
    return refusal_of("order_quantity", f"{most:,f}", f"{quantity:,f}", "shares in one order", "RISK_MAX_ORDER_QTY")


def _tick(asked: Asked) -> Refusal | None:
    tick = asked.exposure.tick
    if tick is None or not asked.limits.checks_tick:
        return None
    for price in (asked.order.limit_price, asked.order.stop_price):
        if price is not None and price % tick:
            return refusal_of("tick", f"multiples of {tick:f}", f"{price:f}", "is a price that is not traded")
    return None


def _hours(asked: Asked) -> Refusal | None:
    closing, sessions, now = asked.limits.closing_minutes, asked.exposure.sessions, asked.exposure.now
    if closing is None or sessions is None:
        return None
    last = int(closing * 60 * _NS)
    if any(start <= now < end - last for start, end in sessions):
        return None
    limit = f"regular hours up to {closing:f} minutes before the close"
    value = (
        "the last minutes before the close" if any(start <= now < end for start, end in sessions) else "closed hours"
    )
    if not sessions:
        value = "a venue that does not tell its hours"
    return refusal_of("hours", limit, value, "are no time for new risk", "RISK_HOURS")


def _quote(asked: Asked) -> Refusal | None:
    """A usable quote, young enough, from a permitted source."""
    limits, exposure = asked.limits, asked.exposure
    most = limits.max_quote_age
    if most is None:
        return None
    quote, name = exposure.quote, "RISK_MAX_QUOTE_AGE"
    if quote is None or asked.reference is None:
        return refusal_of("quote", "a price of the market", "none", "to hold the order against", name)
    if quote.source in (Source.DELAYED, Source.FROZEN):
        if limits.max_delayed_age is None:
            return refusal_of("quote", "live prices", quote.source.value, "prices are none to trade real money on")
        most = max(limits.max_delayed_age, most)
    age = Decimal(exposure.now - quote.time) / _NS
    if age > most:
        return refusal_of("quote", f"{most:f} s", f"{age:.1f} s", "since the last quote", name)
    if why := asked.exposure.suspect or senseless(quote):
        return Refusal("senseless_quote", "a quote that makes sense", why, f"senseless_quote: {why}; nothing was sent")
    return None


def _spread(asked: Asked) -> Refusal | None:
    most, quote = asked.limits.max_spread, asked.exposure.quote
    if most is None or quote is None or asked.order.order_type is not OrderType.MARKET:
        return None
    bid, ask, middle = _dollars(quote.bid), _dollars(quote.ask), asked.reference
    if bid is None or ask is None or middle is None:
        return refusal_of("spread", f"{most:.2%}", "one-sided", "is the quote of a market order", "RISK_MAX_SPREAD")
    spread = (ask - bid) / middle
    if spread > most:
        return refusal_of("spread", f"{most:.2%}", f"{spread:.2%}", "between bid and ask", "RISK_MAX_SPREAD")
    return None


def _collar(asked: Asked) -> Refusal | None:
    """How far a limit lies from the market, or from the stop that arms it; of what reduces, only the losing side."""
    most, order = asked.limits.price_collar, asked.order
    if most is None or order.limit_price is None:
        return None
    reference = order.stop_price or asked.reference
    if reference is None:
        return None
    away = (order.limit_price - reference) / reference
    if (asked.reduces or asked.limits.is_plain) and away * order.action.sign < 0:
        return None
    if abs(away) > most:
        return refusal_of(
            "price_collar", f"{most:.2%}", f"{abs(away):.2%}",
            f"between the limit {order.limit_price:f} and {reference:f}", "RISK_PRICE_COLLAR",
        )  # fmt: skip
    return None


def _value(asked: Asked) -> Refusal | None:
    cap = asked.limits.max_order_value
    if cap is None:
        return None
    value, net = asked.value, asked.exposure.net_liquidation
    if value is None or net is None:
        return _unpriced(asked, "order_value", "RISK_MAX_ORDER_VALUE")
    most = cap.of(net)
    if value > most:
        return refusal_of("order_value", f"${most:,.2f}", f"${value:,.2f}", "in one order", "RISK_MAX_ORDER_VALUE")
    return None


def _position(asked: Asked) -> Refusal | None:
    most, would = asked.limits.max_position, asked.exposure.would_hold(asked.order)
    if most is None or abs(would) <= most:
        return None
    return refusal_of(
        "position", f"{most:,f}", f"{abs(would):,f}", f"shares of {asked.order.contract.symbol} with what works",
        "RISK_MAX_POSITION",
    )  # fmt: skip


def _short(asked: Asked) -> Refusal | None:
    if asked.order.action is Action.BUY or asked.limits.is_plain:  # a simulated venue refuses by itself
        return None
    would = asked.exposure.would_hold(asked.order)
    if would >= 0:
        return None
    symbol = asked.order.contract.symbol
    if asked.limits.short_sales:
        return _borrow(asked, min(asked.exposure.held(asked.order.contract), _ZERO) - would)
    return refusal_of(
        "short_sale", "0", f"{would:,f}", f"shares of {symbol} with the sales that work: cancel those that close the "
        "position a second time", "RISK_SHORT_SALES",
    )  # fmt: skip


def _borrow(asked: Asked, shares: Decimal) -> Refusal | None:
    """Whether the venue says that so many shares can be borrowed. What may be located it holds until they are (404)."""
    found, symbol = asked.exposure.shortability, asked.order.contract.symbol
    if asked.order.contract.sec_type != "STK":
        return None
    if found is None:
        return Refusal(
            "short_sale", "shares to borrow", "unknown",
            f"short_sale: the venue has not said whether shares of {symbol} can be borrowed, and without that none are "
            "sold short (RISK_SHORT_SALES); nothing was sent",
        )  # fmt: skip
    if found.level is ShortLevel.UNAVAILABLE:
        return refusal_of("short_sale", "0", f"{shares:,f}", f"shares of {symbol} to borrow, which nobody lends")
    if found.level is ShortLevel.AVAILABLE and found.shares is not None and shares > found.shares:
        return refusal_of("short_sale", f"{found.shares:,}", f"{shares:,f}", f"shares of {symbol} to borrow")
    return None


def _gross(asked: Asked) -> Refusal | None:
    cap, exposure = asked.limits.max_gross, asked.exposure
    if cap is None:
        return None
    value, net = asked.value, exposure.net_liquidation
    if value is None or net is None:
        return _unpriced(asked, "gross", "RISK_MAX_GROSS")
    total = sum((abs(each.market_value) for each in exposure.positions), _ZERO) + _working_value(asked) + value
    most = cap.of(net)
    if total > most:
        return refusal_of("gross", f"${most:,.2f}", f"${total:,.2f}", "held and working", "RISK_MAX_GROSS")
    return None


def _funds(asked: Asked) -> Refusal | None:
    part, available, value = asked.limits.funds_used, asked.exposure.available_funds, asked.value
    if part is None:
        return None
    if value is None or available is None:
        return _unpriced(asked, "buying_power", "")
    cost = value + max(_LEAST_FEE, _FEE_A_SHARE * asked.order.quantity) + _working_value(asked)
    most = part * available
    if cost > most:
        return refusal_of("buying_power", f"${most:,.2f}", f"${cost:,.2f}", "with fees and working orders")
    return None


def _working_value(asked: Asked) -> Decimal:
    """Dollars that may still be spent by orders which do not merely reduce."""
    total = _ZERO
    prices: dict[tuple[Contract, Action], Decimal] = {}
    exposure = asked.exposure
    for each in exposure.commitments:
        key = each.order.contract, each.order.action
        price = each.order.limit_price or each.order.stop_price or each.price or _last_known(asked, each.order.contract)
        prices[key] = max(prices.get(key, _ZERO), price)
    for (contract, action), price in prices.items():
        shares, held = exposure.committed(contract, action), exposure.held(contract)
        closing = min(abs(held), shares) if held * action.sign < 0 else _ZERO
        total += (shares - closing) * price
    return total


def _last_known(asked: Asked, contract: Contract) -> Decimal:
    if same_contract(contract, asked.order.contract) and (price := asked.price) is not None:
        return price
    return next(
        (each.market_price for each in asked.exposure.positions if same_contract(each.contract, contract)), _ZERO
    )


def _unpriced(asked: Asked, rule: str, setting: str) -> Refusal:
    what = "the account's values are not known" if asked.exposure.net_liquidation is None else "the market has no price"
    return refusal_of(rule, "an order that can be valued", "nothing", f"to go by: {what}", setting)


def _open_orders(asked: Asked) -> Refusal | None:
    most = asked.limits.max_open_orders
    if most is None:
        return None
    order = asked.order
    ours = [each.order for each in asked.exposure.commitments if each.ours]
    same = [each for each in ours if each.action is order.action and same_contract(each.contract, order.contract)]
    for limit, count, words in (
        (most[0], len(ours), "orders work already"),
        (most[1], len(same), f"orders to {order.action} {order.contract.symbol} work already"),
    ):
        if count >= limit:
            return refusal_of("open_orders", str(limit), str(count), words, "RISK_MAX_OPEN_ORDERS")
    return None


def _self_cross(asked: Asked) -> Refusal | None:
    """Whether the order would trade against one of ours: a simulated trade of the account with itself."""
    order = asked.order
    if asked.limits.max_open_orders is None or order.order_type.has_stop:
        return None
    sign, reach = order.action.sign, asked.price
    for each in asked.exposure.commitments:
        other = each.order
        if (
            other.action is order.action
            or other.order_type.has_stop
            or not same_contract(other.contract, order.contract)
        ):
            continue
        if each.remaining <= 0 or (other.parent_id is not None and not asked.exposure.held(order.contract)):
            continue
        if reach is None or other.limit_price is None or (reach - other.limit_price) * sign >= 0:
            shown = "the market" if other.limit_price is None else f"{other.limit_price:f}"
            return refusal_of(
                "self_cross", "no trade with oneself", f"{other.action} {each.remaining:,f} at {shown}",
                "works against it: cancel that one first",
            )  # fmt: skip
    return None


def _duplicate(asked: Asked) -> Refusal | None:
    seconds, order = asked.limits.duplicate_seconds, asked.order
    if seconds is None:
        return None
    since = asked.exposure.now - int(seconds * _NS)
    for time, other in asked.exposure.sent:
        if time >= since and _same(order, other):
            ago = Decimal(asked.exposure.now - time) / _NS
            return refusal_of(
                "duplicate", f"{seconds:f} s", f"{ago:.2f} s", "since the same order", "RISK_DUPLICATE_SECONDS"
            )
    return None


def _same(one: Order, other: Order) -> bool:
    return (one.contract, one.action, one.quantity, one.order_type, one.limit_price, one.stop_price) == (
        other.contract, other.action, other.quantity, other.order_type, other.limit_price, other.stop_price
    )  # fmt: skip


def _rate(asked: Asked) -> Refusal | None:
    most = asked.limits.orders_per_minute
    if most is None:
        return None
    since = asked.exposure.now - 60 * _NS
    recent = [order for time, order in asked.exposure.sent if time > since]
    same = [order for order in recent if order.contract == asked.order.contract]
    of = f" of {asked.order.contract.symbol}"
    for rule, limit, count, which in (
        ("orders_per_minute", most[0], len(recent), ""),
        ("symbol_orders_per_minute", most[1], len(same), of),
    ):
        if count >= limit:
            return refusal_of(
                rule, str(limit), str(count), f"orders{which} in the last minute", "RISK_ORDERS_PER_MINUTE"
            )
    return None


def _round_trips(asked: Asked) -> Refusal | None:
    """Those of ours, and for a share the day trades that TWS counts: closed today, a new position is one."""
    most, count = asked.limits.round_trips_per_day, asked.exposure.round_trips
    if most is None:
        return None
    if asked.exposure.day_trades_remaining == 0 and asked.order.contract.sec_type == "STK":
        words = "day trade, if the new position is closed today"
        return refusal_of("day_trades", "0", "1", words, "DayTradesRemaining of this account")
    if count < most:
        return None
    return refusal_of("round_trips", str(most), str(count), "round trips today", "RISK_ROUND_TRIPS_PER_DAY")


#: What even an order that reduces is held to: slips of the keyboard, and trades with oneself.
ALWAYS: Final[tuple[Rule, ...]] = (_quantity, _tick, _collar, _self_cross, _duplicate)
NEW_RISK: Final[tuple[Rule, ...]] = (
    *(_halt, _symbol, _quantity, _tick, _hours, _quote, _spread, _collar, _value, _position, _short, _gross, _funds),
    *(_open_orders, _self_cross, _duplicate, _rate, _round_trips),
)
#: What a change is held to: one of quantity, one of price, and either of them when it is more than less of a position.
GROWN: Final[tuple[Rule, ...]] = (_quantity,)
MOVED: Final[tuple[Rule, ...]] = (_tick, _collar, _self_cross)
CHANGED: Final[tuple[Rule, ...]] = (_halt, _symbol, _hours, _quote, _value, _position, _short, _gross, _funds)
#: What play money is held to.
SLIPS: Final[tuple[Rule, ...]] = (_quantity, _collar)
EXIT: Final[tuple[Rule, ...]] = (_tick,)
