"""An order as the gateway keeps it, and what is told of it."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from typing import Final

from src.domain.account import OrderPreview
from src.domain.market import Contract
from src.domain.orders import Action, CommissionReport, Execution, Order, OrderId, OrderStatus, Trade
from src.gateways.tws_codec import (
    CommissionReportMessage,
    CompletedOrder,
    ExecutionData,
    OpenOrder,
    OrderState,
    OrderStatusMessage,
    WireContract,
    WireOrder,
)
from src.gateways.tws_server.context import wire_contract
from src.gateways.tws_server.placing import echo
from src.gateways.tws_server.times import ZONE_ID, execution_time, new_york

ZERO: Final = Decimal(0)
_STATES: Final = {status: OrderState(status=status.value) for status in OrderStatus}
_SIDES: Final = {Action.BUY: "BOT", Action.SELL: "SLD"}


@dataclass(slots=True, eq=False)
class Placed:
    """One order of one client. `order_id` is the client's; `exchange_id` is None until it is transmitted.

    `trade` is the exchange's last word; before there is one, `status` is the gateway's own.
    """

    client_id: int
    order_id: int
    perm_id: int
    asked: WireOrder
    order: Order
    parent: "Placed | None" = None
    children: "list[Placed]" = field(default_factory=list)
    exchange_id: OrderId | None = None
    trade: Trade | None = None
    ended: OrderStatus | None = None  # ended by the gateway, without having reached the exchange
    last_price: Decimal = ZERO
    told_filled: Decimal = ZERO
    rested: bool = False
    _echo: WireOrder | None = None

    @property
    def status(self) -> OrderStatus:
        """Where it stands."""
        if self.trade is not None:
            return self.trade.status
        return self.ended or OrderStatus.PRE_SUBMITTED

    @property
    def is_done(self) -> bool:
        """Whether it can no longer act."""
        return self.status.is_done

    @property
    def is_by_hand(self) -> bool:
        """Whether no API client has placed it."""
        return not self.client_id and self.order_id <= 0

    @property
    def is_held(self) -> bool:
        """Whether it waits for its own or its family's transmission."""
        return self.exchange_id is None and self.ended is None

    def take(self, trade: Trade) -> None:
        """Take the exchange's word."""
        if trade.order is not self.order:
            self.order, self._echo = trade.order, None
        self.trade = trade

    def ask(self, asked: WireOrder, order: Order) -> None:
        """Take the client's latest wish for an order that is not transmitted."""
        self.asked, self.order, self._echo = asked, order, None

    def echoed(self) -> WireOrder:
        """The order as the client is told it."""
        if self._echo is None:
            self._echo = echo(self.asked, self.order)
        return self._echo


def open_order(placed: Placed, *, with_commission: bool = False) -> OpenOrder:
    """The order and its status; with what it has cost so far."""
    state = _STATES[placed.status]
    if with_commission and placed.trade is not None:
        state = OrderState(status=placed.status.value, commission=placed.trade.commission, commission_currency="USD")
    contract = _in_order(placed.order.contract)
    return OpenOrder(placed.order_id, contract, placed.echoed(), state, placed.client_id, placed.perm_id)


def status_of(placed: Placed) -> OrderStatusMessage:
    """Where the order stands."""
    trade = placed.trade
    return OrderStatusMessage(
        placed.order_id,
        placed.status.value,
        trade.filled if trade else ZERO,
        trade.remaining if trade else placed.order.quantity,
        trade.average_fill_price if trade else ZERO,
        placed.perm_id,
        placed.asked.parent_id,
        placed.last_price,
        placed.client_id,
    )


def what_if(placed: Placed, preview: OrderPreview, equity_before: Decimal) -> OpenOrder:
    """What the order would do to the account, in one frame."""
    initial, maintenance = preview.init_margin_after, preview.maint_margin_after
    equity = preview.equity_with_loan_after
    before = preview.init_margin_before
    state = OrderState(
        status=OrderStatus.PRE_SUBMITTED.value,
        init_margin_before=before,
        maint_margin_before=before,
        equity_with_loan_before=equity_before,
        init_margin_change=initial - before,
        maint_margin_change=maintenance - before,
        equity_with_loan_change=equity - equity_before,
        init_margin_after=initial,
        maint_margin_after=maintenance,
        equity_with_loan_after=equity,
        commission=preview.commission,
        commission_currency="USD",
        warning_text=preview.warning,
    )
    return _asked_what_if(placed, state)


def what_if_unanswered(placed: Placed) -> OpenOrder:
    """The first frame of a real server's two: nothing but a warning."""
    text = "The margin impact of this order is being calculated."
    return _asked_what_if(placed, OrderState(status=OrderStatus.PRE_SUBMITTED.value, warning_text=text))


def _asked_what_if(placed: Placed, state: OrderState) -> OpenOrder:
    order = placed.echoed()._replace(what_if=True)
    return OpenOrder(placed.order_id, _in_order(placed.order.contract), order, state, placed.client_id)


def completed(placed: Placed) -> CompletedOrder:
    """The order once it is done."""
    trade = placed.trade
    filled, when = (trade.filled, trade.time) if trade else (ZERO, 0)
    done = f"{new_york(when):%Y%m%d %H:%M:%S} {ZONE_ID}"
    words = f"Filled Size: {filled}" if placed.status is OrderStatus.FILLED else f"{placed.status.value} by Trader"
    state = OrderState(status=placed.status.value, completed_time=done, completed_status=words)
    contract = _in_order(placed.order.contract)
    parent = placed.parent.perm_id if placed.parent else 0
    return CompletedOrder(
        contract, placed.echoed(), state, placed.perm_id, filled_quantity=filled, parent_perm_id=parent
    )


@lru_cache(maxsize=4096)
def _in_order(contract: Contract) -> WireContract:
    """A contract as TWS writes it with orders: with a question mark for the right that a stock has not."""
    return replace(wire_contract(contract), right="?")


def execution_data(req_id: int, placed: Placed, execution: Execution, server_version: int) -> ExecutionData:
    """One execution. Its venue is the contract's own exchange."""
    venue = execution.contract.primary_exchange or execution.contract.exchange
    return ExecutionData(
        req_id,
        placed.order_id,
        wire_contract(execution.contract, exchange=venue),
        execution.exec_id,
        execution_time(execution.time, server_version),
        execution.account,
        venue,
        _SIDES[execution.side],
        execution.shares,
        execution.price,
        placed.perm_id,
        placed.client_id,
        int(execution.liquidation),
        execution.cumulative,
        execution.average_price,
        execution.order_ref,
        last_liquidity=1 if placed.rested else 2,
    )


def commission_report(report: CommissionReport) -> CommissionReportMessage:
    """What an execution cost, regulatory fees included."""
    return CommissionReportMessage(report.exec_id, report.commission, report.currency, report.realized_pnl)
