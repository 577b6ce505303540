"""Messages about orders: placing, cancelling, and what the server tells of them."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final

from src.domain.facts import fact
from src.gateways.tws_codec.contracts import C12, WireContract, is_bag
from src.gateways.tws_codec.fields import (
    AMOUNT,
    FLAG,
    INT,
    OFFSET,
    OPT_AMOUNT,
    OPT_FLAG,
    OPT_INT,
    OPT_QUANTITY,
    QUANTITY,
    SERIAL,
    TEXT,
    UNSET_AMOUNT,
    UNSET_LONG,
    Amount,
    Quantity,
    Serial,
)
from src.gateways.tws_codec.layout import Field, Layout, Span, When, fields, under
from src.gateways.tws_codec.order_parts import (
    ALGO,
    ALLOCATION,
    CLEARING,
    COMBO,
    COMPETING,
    CONDITIONS,
    DELTA_NEUTRAL_ORDER,
    DELTA_NEUTRAL_ORDER_DONE,
    FA_PROFILE,
    HEDGE,
    PEG_BENCH,
    REFERENCE_PRICES,
    SCALE,
    SCALE_ASKED,
    TERMS,
    TRAIL,
    VOLATILITY,
    is_peg_best,
    is_peg_mid,
    is_up_to_mid,
)
from src.gateways.tws_codec.order_words import OrderState, WireOrder
from src.gateways.tws_codec.registry import Reply, Request, reply, request

_NO_STATE: Final = OrderState()
_FROM_170: Final = Span(since=170)
_MID_OFFSETS: Final = fields("order.", [(OPT_AMOUNT, "mid_offset_at_whole mid_offset_at_half")])


def _is_ats(exchange: str) -> bool:
    return exchange == "IBKRATS"


_PLACE_ORDER: Final[Layout] = (
    Field("order_id", INT),
    *under("contract", (*C12, *fields("", [(TEXT, "sec_id_type sec_id")]))),
    *fields(
        "order.",
        [
            (TEXT, "action"),
            (OPT_QUANTITY, "total_quantity"),
            (TEXT, "order_type"),
            (OPT_AMOUNT, "lmt_price aux_price"),
            (TEXT, "tif oca_group account open_close"),
            (INT, "origin"),
            (TEXT, "order_ref"),
            (FLAG, "transmit"),
            (INT, "parent_id"),
            (FLAG, "block_order sweep_to_fill"),
            (OPT_INT, "display_size"),
            (INT, "trigger_method"),
            (FLAG, "outside_rth hidden"),
        ],
    ),
    When("contract.sec_type", is_bag, COMBO),
    *fields(
        "order.",
        [
            (TEXT, "shares_allocation"),
            (AMOUNT, "discretionary_amt"),
            (TEXT, "good_after_time good_till_date fa_group fa_method fa_percentage"),
        ],
    ),
    FA_PROFILE,
    *fields(
        "order.",
        [
            (TEXT, "model_code"),
            (INT, "short_sale_slot"),
            (TEXT, "designated_location"),
            (INT, "exempt_code oca_type"),
            (TEXT, "rule_80a settling_firm"),
            (FLAG, "all_or_none"),
            (OPT_INT, "min_qty"),
            (OPT_AMOUNT, "percent_offset"),
            (FLAG, "e_trade_only firm_quote_only"),
            (OPT_AMOUNT, "nbbo_price_cap"),
            (INT, "auction_strategy"),
        ],
    ),
    *REFERENCE_PRICES,
    Field("order.override_percentage_constraints", FLAG),
    *VOLATILITY,
    DELTA_NEUTRAL_ORDER,
    *TRAIL,
    *SCALE_ASKED,
    *fields("order.", [(TEXT, "scale_table active_start_time active_stop_time")]),
    *HEDGE,
    Field("order.opt_out_smart_routing", FLAG),
    *CLEARING,
    *ALGO,
    *fields("order.", [(TEXT, "algo_id"), (FLAG, "what_if"), (TEXT, "order_misc_options")]),
    *fields("order.", [(FLAG, "solicited randomize_size randomize_price")]),
    PEG_BENCH,
    *CONDITIONS,
    *fields(
        "order.",
        [
            (TEXT, "adjusted_order_type"),
            (OPT_AMOUNT, "trigger_price lmt_price_offset adjusted_stop_price adjusted_stop_limit_price"),
            (OPT_AMOUNT, "adjusted_trailing_amount"),
            (INT, "adjustable_trailing_unit"),
            (TEXT, "ext_operator soft_dollar_tier_name soft_dollar_tier_val"),
            (OPT_AMOUNT, "cash_qty"),
            (TEXT, "mifid2_decision_maker mifid2_decision_algo mifid2_execution_trader mifid2_execution_algo"),
            (FLAG, "dont_use_auto_price_for_hedge is_oms_container discretionary_up_to_limit_price"),
            (OPT_FLAG, "use_price_mgmt_algo"),
        ],
    ),
    Field("order.duration", OPT_INT, Span(since=159)),
    Field("order.post_to_ats", OPT_INT, Span(since=160)),
    Field("order.auto_cancel_parent", FLAG, Span(since=162)),
    Field("order.advanced_error_override", TEXT, Span(since=166)),
    Field("order.manual_order_time", TEXT, Span(since=169)),
    When("contract.exchange", _is_ats, (Field("order.min_trade_qty", OPT_INT),), _FROM_170),
    When(
        "order.order_type",
        is_peg_best,
        (
            Field("order.min_compete_size", OPT_INT),
            Field("order.compete_against_best_offset", OFFSET),
            When("order.compete_against_best_offset", is_up_to_mid, _MID_OFFSETS),
        ),
        _FROM_170,
    ),
    When("order.order_type", is_peg_mid, _MID_OFFSETS, _FROM_170),
)


@request(3, layout=_PLACE_ORDER)
@fact
class PlaceOrder(Request):
    """A new order, or the change of one that still works under the same client and order id."""

    order_id: int
    contract: WireContract
    order: WireOrder


@request(4, version="1")
@dataclass(frozen=True, slots=True)
class CancelOrder(Request):
    """Cancels an order of the same client."""

    order_id: int
    manual_cancel_order_time: Annotated[str, TEXT, Span(since=169)] = ""


@request(58, version="1")
@dataclass(frozen=True, slots=True)
class ReqGlobalCancel(Request):
    """Cancels all orders, of all clients."""


@request(5, version="1")
@dataclass(frozen=True, slots=True)
class ReqOpenOrders(Request):
    """Asks for the working orders of this client: OpenOrder and OrderStatusMessage for each, then OpenOrderEnd."""


@request(16, version="1")
@dataclass(frozen=True, slots=True)
class ReqAllOpenOrders(Request):
    """Asks for the working orders of all clients."""


@request(15, version="1")
@dataclass(frozen=True, slots=True)
class ReqAutoOpenOrders(Request):
    """Client 0 binds orders made by hand."""

    auto_bind: bool


@request(99)
@dataclass(frozen=True, slots=True)
class ReqCompletedOrders(Request):
    """Asks for the orders that are done: CompletedOrder for each, then CompletedOrdersEnd."""

    api_only: bool


@reply(3, hot=True)
@fact
class OrderStatusMessage(Reply):
    """Where an order stands. Its OpenOrder comes before it."""

    order_id: Serial
    status: str
    filled: Quantity
    remaining: Quantity
    avg_fill_price: Amount = Decimal(0)
    perm_id: Serial = 0
    parent_id: int = 0
    last_fill_price: Amount = Decimal(0)
    client_id: int = 0
    why_held: str = ""
    mkt_cap_price: Amount = Decimal(0)


_OPEN_ORDER: Final[Layout] = (
    Field("order_id", SERIAL),
    *TERMS,
    *fields("", [(INT, "client_id"), (SERIAL, "perm_id")]),
    *fields("order.", [(FLAG, "outside_rth hidden"), (QUANTITY, "discretionary_amt"), (TEXT, "good_after_time")]),
    Field("order.shares_allocation", TEXT),
    *ALLOCATION,
    Field("order.auction_strategy", INT),
    *REFERENCE_PRICES,
    *fields(
        "order.",
        [
            (OPT_INT, "display_size"),
            (FLAG, "block_order sweep_to_fill all_or_none"),
            (OPT_INT, "min_qty"),
            (INT, "oca_type"),
            (FLAG, "e_trade_only firm_quote_only"),
            (OPT_AMOUNT, "nbbo_price_cap"),
            (INT, "parent_id trigger_method"),
        ],
    ),
    *VOLATILITY,
    DELTA_NEUTRAL_ORDER,
    *TRAIL,
    *fields("order.", [(OPT_AMOUNT, "basis_points"), (OPT_INT, "basis_points_type")]),
    Field("contract.combo_legs_descrip", TEXT),
    *COMBO,
    *SCALE,
    *HEDGE,
    Field("order.opt_out_smart_routing", FLAG),
    *CLEARING,
    *ALGO,
    *fields("order.", [(FLAG, "solicited what_if")]),
    *fields(
        "state.",
        [
            (TEXT, "status"),
            (UNSET_AMOUNT, "init_margin_before maint_margin_before equity_with_loan_before"),
            (UNSET_AMOUNT, "init_margin_change maint_margin_change equity_with_loan_change"),
            (UNSET_AMOUNT, "init_margin_after maint_margin_after equity_with_loan_after"),
            (UNSET_AMOUNT, "commission min_commission max_commission"),
            (TEXT, "commission_currency warning_text"),
        ],
    ),
    *fields("order.", [(FLAG, "randomize_size randomize_price")]),
    PEG_BENCH,
    *CONDITIONS,
    *fields(
        "order.",
        [
            (TEXT, "adjusted_order_type"),
            (UNSET_AMOUNT, "trigger_price trail_stop_price lmt_price_offset adjusted_stop_price"),
            (UNSET_AMOUNT, "adjusted_stop_limit_price adjusted_trailing_amount"),
            (INT, "adjustable_trailing_unit"),
            (TEXT, "soft_dollar_tier_name soft_dollar_tier_val soft_dollar_tier_display_name"),
            (OPT_QUANTITY, "cash_qty"),
            (FLAG, "dont_use_auto_price_for_hedge is_oms_container discretionary_up_to_limit_price"),
            (OPT_FLAG, "use_price_mgmt_algo"),
        ],
    ),
    Field("order.duration", OPT_INT, Span(since=159)),
    Field("order.post_to_ats", OPT_INT, Span(since=160)),
    Field("order.auto_cancel_parent", FLAG, Span(since=162)),
    *COMPETING,
)


@reply(5, layout=_OPEN_ORDER, hot=True)
@fact
class OpenOrder(Reply):
    """An order as the server has it. An empty `delta_neutral_order_type` spares the eight fields that follow it."""

    order_id: int
    contract: WireContract
    order: WireOrder
    state: OrderState = _NO_STATE
    client_id: int = 0
    perm_id: int = 0


@reply(53, version="1")
@dataclass(frozen=True, slots=True)
class OpenOrderEnd(Reply):
    """The last OpenOrder of a request has been sent."""


_COMPLETED_ORDER: Final[Layout] = (
    *TERMS,
    Field("perm_id", INT),
    *fields("order.", [(FLAG, "outside_rth hidden"), (QUANTITY, "discretionary_amt"), (TEXT, "good_after_time")]),
    *ALLOCATION,
    *REFERENCE_PRICES,
    *fields("order.", [(OPT_INT, "display_size"), (FLAG, "sweep_to_fill all_or_none"), (OPT_INT, "min_qty")]),
    *fields("order.", [(INT, "oca_type trigger_method")]),
    *VOLATILITY,
    DELTA_NEUTRAL_ORDER_DONE,
    *TRAIL,
    Field("contract.combo_legs_descrip", TEXT),
    *COMBO,
    *SCALE,
    *HEDGE,
    *CLEARING,
    *ALGO,
    Field("order.solicited", FLAG),
    Field("state.status", TEXT),
    *fields("order.", [(FLAG, "randomize_size randomize_price")]),
    PEG_BENCH,
    *CONDITIONS,
    *fields("order.", [(OPT_AMOUNT, "trail_stop_price lmt_price_offset"), (OPT_QUANTITY, "cash_qty")]),
    *fields("order.", [(FLAG, "dont_use_auto_price_for_hedge is_oms_container")]),
    *fields("", [(TEXT, "auto_cancel_date"), (QUANTITY, "filled_quantity"), (INT, "ref_futures_con_id")]),
    Field("order.auto_cancel_parent", FLAG),
    *fields(
        "", [(TEXT, "shareholder"), (FLAG, "imbalance_only route_marketable_to_bbo"), (UNSET_LONG, "parent_perm_id")]
    ),
    *fields("state.", [(TEXT, "completed_time completed_status")]),
    *COMPETING,
)


@reply(101, layout=_COMPLETED_ORDER)
@dataclass(frozen=True, slots=True)
class CompletedOrder(Reply):
    """An order that is done."""

    contract: WireContract
    order: WireOrder
    state: OrderState
    perm_id: int = 0
    auto_cancel_date: str = ""
    filled_quantity: Decimal = Decimal(0)
    ref_futures_con_id: int = 0
    shareholder: str = ""
    imbalance_only: bool = False
    route_marketable_to_bbo: bool = False
    parent_perm_id: int | None = None


@reply(102)
@dataclass(frozen=True, slots=True)
class CompletedOrdersEnd(Reply):
    """The last CompletedOrder of a request has been sent."""
