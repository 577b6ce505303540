"""The library's objects and our facts, each as the other. Pure; the only place that knows both vocabularies.

The library's objects are `Any`: both libraries' have the same attributes. A value that means "there is none" - an
empty text, NaN, -1 as a price, the largest double or integer - becomes None and goes no further.
"""

# ruff: noqa: ANN401  # the library has no types that both of it share
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from src.domain.account import OrderPreview
from src.domain.facts import fact
from src.domain.market import Contract, ContractDetails
from src.domain.orders import (
    PRICE_DECIMALS,
    AccountId,
    Action,
    CommissionReport,
    Execution,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from src.runtime.clock import NS, to_nanoseconds

#: IB's words for "no value" are near the largest double; no price, size or sum of money comes near this.
_BEYOND_VALUES: Final = 1e100
#: A whole number below this is written without a point or an exponent.
_BEYOND_WHOLE: Final = 10**15
_UNSET_INTEGER: Final = 2**31 - 1
_NEW_YORK: Final = "America/New_York"
#: Names that TWS uses for zones and the time-zone data may lack.
_ZONES: Final = {"EST": _NEW_YORK, "EST5EDT": _NEW_YORK, "US/Eastern": _NEW_YORK, "EDT": _NEW_YORK}
#: IB's other name for this exchange.
_EXCHANGES: Final = {"ISLAND": "NASDAQ"}


@fact
class OpenOrder:
    """An order as TWS echoes it, with whose it is; `status` as of the echo."""

    order_id: OrderId
    client_id: int
    perm_id: int
    order: Order
    status: OrderStatus | None


@fact
class StatusReport:
    """TWS's orderStatus; `average_price` is of what was filled, None when nothing was."""

    order_id: OrderId
    client_id: int
    perm_id: int
    status: OrderStatus
    filled: Decimal
    average_price: Decimal | None


@fact
class Executed:
    """An execution with whose order it was of."""

    execution: Execution
    client_id: int
    perm_id: int


@fact
class PortfolioRow:
    """A position's worth, as TWS values it."""

    account: AccountId
    contract: Contract
    quantity: Decimal
    average_cost: Decimal
    market_price: Decimal
    market_value: Decimal
    unrealized_pnl: Decimal
    realized_pnl: Decimal


# --- numbers --------------------------------------------------------------------------------------------------------


def number(value: object) -> Decimal | None:
    """A finite number that means something, exactly as it was written; None for every "no value" of IB's."""
    if type(value) is float:  # as nearly all of them are
        if -_BEYOND_WHOLE < value < _BEYOND_WHOLE:
            return Decimal(int(value)) if value.is_integer() else Decimal(repr(value))
        if not -_BEYOND_VALUES < value < _BEYOND_VALUES:  # unset, or no number
            return None
    if value is None or isinstance(value, bool):
        return None
    try:
        found = value if isinstance(value, Decimal) else Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if not found.is_finite() or abs(found) >= _BEYOND_VALUES:
        return None
    return found.to_integral_value() if found == found.to_integral_value() and abs(found) < _BEYOND_WHOLE else found


def money(value: object) -> Decimal:
    """A number, zero where there is none."""
    return number(value) or Decimal(0)


def price(value: object) -> Decimal | None:
    """A number above zero, else None."""
    found = number(value)
    return found if found is not None and found > 0 else None


def market_price(value: float) -> float:
    """A price above zero as it came, NaN for all that is none: -1, 0, infinite, unset."""
    return value if 0 < value < _BEYOND_VALUES else math.nan


def market_size(value: float | Decimal | None) -> float:
    """A size as it came, zero where there is none."""
    size = float(value) if value is not None else 0.0
    return size if 0 <= size < _BEYOND_VALUES else 0.0


def whole(value: Any) -> int:
    """An id: zero when it is unset."""
    found = int(value or 0)
    return 0 if found == _UNSET_INTEGER else found


# --- contracts ------------------------------------------------------------------------------------------------------


def contract_from(found: Any) -> Contract:
    """A contract that orders can be sent for: routed SMART where TWS names the exchange of a listing."""
    listed = _EXCHANGES.get(found.primaryExchange, found.primaryExchange) or ""
    kind = found.secType or "STK"
    named = _EXCHANGES.get(found.exchange, found.exchange) or ""
    if kind == "STK" and named not in ("SMART", ""):
        named, listed = "SMART", listed or named
    named = named or ("IDEALPRO" if kind == "CASH" else "SMART")  # a position bears no exchange
    return Contract(found.symbol, kind, named, found.currency or "USD", listed, int(found.conId or 0))


def contract_to(library: Any, contract: Contract) -> Any:
    """The library's contract; by con_id once it is known."""
    return library.Contract(
        conId=contract.con_id,
        symbol=contract.symbol,
        secType=contract.sec_type,
        exchange=contract.exchange,
        currency=contract.currency,
        primaryExchange=contract.primary_exchange,
    )


def details_from(found: Any) -> ContractDetails:
    """What TWS says of a contract."""
    return ContractDetails(
        contract_from(found.contract),
        found.longName or found.contract.symbol,
        price(found.minTick) or Decimal("0.01"),
        _ZONES.get(found.timeZoneId, found.timeZoneId) or _NEW_YORK,
        sessions(found.liquidHours or "", found.timeZoneId or _NEW_YORK),
    )


def candidate(contract: Contract) -> str:
    """A contract as a person would name it."""
    where = f" {contract.primary_exchange}" if contract.primary_exchange else ""
    return f"{contract.symbol} {contract.sec_type}{where} {contract.currency} (con_id {contract.con_id})"


def sessions(hours: str, zone_name: str) -> tuple[tuple[int, int], ...]:
    """TWS's hours, `20250324:0930-20250324:1600;20250329:CLOSED`, as (open, close) in epoch ns; () when unreadable."""
    try:
        zone = ZoneInfo(_ZONES.get(zone_name, zone_name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ()
    found = []
    for entry in hours.split(";"):
        match = re.fullmatch(r"(\d{8}):(\d{4})-(\d{8}):(\d{4})", entry.strip())
        if match is None:
            continue
        try:
            opens, closes = (
                datetime.strptime(match[index] + match[index + 1], "%Y%m%d%H%M").replace(tzinfo=zone)
                for index in (1, 3)
            )
        except ValueError:
            continue
        if opens < closes:
            found.append((to_nanoseconds(opens), to_nanoseconds(closes)))
    return tuple(sorted(found))


# --- orders ---------------------------------------------------------------------------------------------------------

#: TWS's statuses and the ones the libraries make up, in our words.
_STATUSES: Final[Mapping[str, OrderStatus]] = {
    **{status.value: status for status in OrderStatus},
    "ApiPending": OrderStatus.PENDING_SUBMIT,
}


def status_from(text: str) -> OrderStatus | None:
    """A status by TWS's name; None for a word that is not one."""
    return _STATUSES.get(text)


def order_to(library: Any, order: Order, *, transmit: bool = True) -> Any:
    """The library's order, with account, time in force and reference always said."""
    made = library.Order(
        action=order.action.value,
        totalQuantity=int(order.quantity),
        orderType=order.order_type.value,
        tif=order.tif.value,
        account=order.account,
        orderRef=order.order_ref,
        outsideRth=order.outside_rth,
        parentId=order.parent_id or 0,
        transmit=transmit,
    )
    if order.limit_price is not None:
        made.lmtPrice = float(order.limit_price)
    if order.stop_price is not None:
        made.auxPrice = float(order.stop_price)
    if order.oca_group:
        made.ocaGroup, made.ocaType = order.oca_group, 1  # 1: cancel the others, one route at a time
    return made


def order_from(contract: Contract, found: Any) -> Order:
    """An order as we say it. Another's type that we do not place is told by its prices; InvalidOrderError if none fits.

    TWS fills in prices that a type does not have, so the type decides which ones count.
    """
    limit, stop = price(found.lmtPrice), price(found.auxPrice) or price(getattr(found, "trailStopPrice", None))
    try:
        kind = OrderType(found.orderType)
    except ValueError:
        kinds = {(True, True): OrderType.STOP_LIMIT, (True, False): OrderType.LIMIT, (False, True): OrderType.STOP}
        kind = kinds.get((limit is not None, stop is not None), OrderType.MARKET)
    try:
        tif = TimeInForce(found.tif)
    except ValueError:
        tif = TimeInForce.GTC if found.tif == "GTD" else TimeInForce.DAY
    return Order(
        contract,
        Action.BUY if found.action == "BUY" else Action.SELL,
        money(found.totalQuantity),
        kind,
        _in_decimals(limit) if kind.has_limit else None,
        _in_decimals(stop) if kind.has_stop else None,
        tif,
        bool(found.outsideRth),
        AccountId(found.account or ""),
        _reference(found.orderRef),
        found.ocaGroup or "",
        OrderId(whole(found.parentId)) or None,
    )


def _in_decimals(value: Decimal | None) -> Decimal | None:
    """A price with as many decimals as an order may have."""
    return None if value is None else number(round(value, PRICE_DECIMALS))


def _reference(text: str | None) -> str:
    """Another's reference may be longer than ours may be, and in any script."""
    if text and not (text.isascii() and text.isprintable()):
        text = "".join(letter for letter in text if letter.isascii() and letter.isprintable())
    return (text or "")[:40]


class OrderReader:
    """`order_from`, which makes nothing anew of what repeats the last: TWS tells an order three times as it fills."""

    def __init__(self) -> None:
        self._said: tuple[Any, ...] = ()
        self._order: Order | None = None

    def __call__(self, contract: Contract, found: Any) -> Order:
        """An order as we say it; InvalidOrderError."""
        said = (
            contract, found.lmtPrice, found.auxPrice, getattr(found, "trailStopPrice", None), found.orderType,
            found.tif, found.action, found.totalQuantity, found.outsideRth, found.account, found.orderRef,
            found.ocaGroup, found.parentId,
        )  # fmt: skip
        order = self._order
        if order is None or said != self._said:
            order = self._order = order_from(contract, found)
            self._said = said
        return order


def open_order_from(order_id: int, order: Order, found: Any, state: Any) -> OpenOrder:
    """An openOrder message, of an order as we say it."""
    return OpenOrder(
        OrderId(whole(order_id)), whole(found.clientId), whole(found.permId), order, status_from(state.status)
    )


def status_report_from(
    order_id: int, status: OrderStatus, filled: float, average_price: float, perm_id: int, client_id: int
) -> StatusReport:
    """An orderStatus message."""
    return StatusReport(
        OrderId(whole(order_id)), whole(client_id), whole(perm_id), status, money(filled), price(average_price)
    )


def preview_from(state: Any) -> OrderPreview | None:
    """What a what-if order would do; None for the frame without values that a real TWS sends before the real one."""
    after = number(state.initMarginAfter)
    if after is None:
        return None
    commission = number(state.commission)
    if commission is None:  # a range, until the order is routed
        commission = number(state.maxCommission)
    return OrderPreview(
        money(state.initMarginBefore),
        after,
        money(state.maintMarginAfter),
        money(state.equityWithLoanAfter),
        commission or Decimal(0),
        state.warningText or "",
    )


# --- executions -----------------------------------------------------------------------------------------------------


def executed_from(contract: Contract, found: Any) -> Executed:
    """An execution; its time has a zone already."""
    moment = found.time if isinstance(found.time, datetime) else datetime(1970, 1, 1, tzinfo=UTC)
    execution = Execution(
        found.execId,
        OrderId(whole(found.orderId)),
        contract,
        AccountId(found.acctNumber),
        Action.BUY if found.side in ("BOT", "BUY") else Action.SELL,
        money(found.shares),
        money(found.price),
        to_nanoseconds(moment),
        money(found.cumQty),
        money(found.avgPrice),
        _reference(found.orderRef),
        bool(int(found.liquidation or 0)),
    )
    return Executed(execution, whole(found.clientId), whole(found.permId))


def commission_from(report: Any) -> CommissionReport:
    """A commission report; without a realized profit or loss when the trade closed nothing."""
    return CommissionReport(
        report.execId, money(report.commission), number(report.realizedPNL), report.currency or "USD"
    )


# --- bars -----------------------------------------------------------------------------------------------------------


def bar_start(stamp: Any) -> int:
    """A bar's stamp in epoch ns: a moment, or for a daily bar its date, which stands for 09:30 in New York."""
    if isinstance(stamp, datetime):
        return to_nanoseconds(stamp)
    if isinstance(stamp, date):
        return to_nanoseconds(datetime.combine(stamp, time(9, 30), ZoneInfo(_NEW_YORK)))
    return int(stamp) * NS
