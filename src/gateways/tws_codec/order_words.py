"""What an order is on the wire: all fields of IB's Order and OrderState, and the conditions of an order."""

from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from src.domain.facts import fact
from src.gateways.tws_codec.contracts import TagValue
from src.gateways.tws_codec.fields import Amount, UnsetAmount

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class PriceCondition:
    """True above or below a price. `conjunction` is "a" (and) or "o" (or), as in all conditions."""

    conjunction: str = "a"
    is_more: bool = True
    price: Amount = ZERO
    con_id: int = 0
    exch: str = ""
    trigger_method: int = 0


@dataclass(frozen=True, slots=True)
class TimeCondition:
    """True after or before a time."""

    conjunction: str = "a"
    is_more: bool = True
    time: str = ""


@dataclass(frozen=True, slots=True)
class MarginCondition:
    """True above or below a margin cushion in percent."""

    conjunction: str = "a"
    is_more: bool = True
    percent: int = 0


@dataclass(frozen=True, slots=True)
class ExecutionCondition:
    """True once something was executed in a contract."""

    conjunction: str = "a"
    sec_type: str = ""
    exch: str = ""
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class VolumeCondition:
    """True above or below a volume."""

    conjunction: str = "a"
    is_more: bool = True
    volume: int = 0
    con_id: int = 0
    exch: str = ""


@dataclass(frozen=True, slots=True)
class PercentChangeCondition:
    """True above or below a change of the price in percent."""

    conjunction: str = "a"
    is_more: bool = True
    change_percent: Amount = ZERO
    con_id: int = 0
    exch: str = ""


OrderCondition = (
    PriceCondition | TimeCondition | MarginCondition | ExecutionCondition | VolumeCondition | PercentChangeCondition
)


@dataclass(frozen=True, slots=True)
class OrderComboLeg:
    """The price of one leg of a combination."""

    price: UnsetAmount = None


class WireOrder(NamedTuple):
    """IB's order. Each message carries some of these fields; None is unset.

    A tuple, as orders differ in few of their hundred fields: one is made of another by copying. Those up to `hidden`
    stand as placeOrder has them, what may differ from one order to the next; the others repeat (`compiled`).
    """

    action: str = ""
    total_quantity: Decimal | None = ZERO
    order_type: str = ""
    lmt_price: Decimal | None = None
    aux_price: Decimal | None = None
    tif: str = ""
    oca_group: str = ""
    account: str = ""
    open_close: str = ""
    origin: int = 0
    order_ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    block_order: bool = False
    sweep_to_fill: bool = False
    display_size: int | None = 0
    trigger_method: int = 0
    outside_rth: bool = False
    hidden: bool = False
    order_combo_legs: tuple[OrderComboLeg, ...] = ()
    smart_combo_routing_params: tuple[TagValue, ...] = ()
    shares_allocation: str = ""
    discretionary_amt: Decimal = ZERO
    good_after_time: str = ""
    good_till_date: str = ""
    fa_group: str = ""
    fa_method: str = ""
    fa_percentage: str = ""
    fa_profile: str = ""
    model_code: str = ""
    short_sale_slot: int = 0
    designated_location: str = ""
    exempt_code: int = -1
    oca_type: int = 0
    rule_80a: str = ""
    settling_firm: str = ""
    all_or_none: bool = False
    min_qty: int | None = None
    percent_offset: Decimal | None = None
    e_trade_only: bool = False
    firm_quote_only: bool = False
    nbbo_price_cap: Decimal | None = None
    auction_strategy: int = 0
    starting_price: Decimal | None = None
    stock_ref_price: Decimal | None = None
    delta: Decimal | None = None
    stock_range_lower: Decimal | None = None
    stock_range_upper: Decimal | None = None
    override_percentage_constraints: bool = False
    volatility: Decimal | None = None
    volatility_type: int | None = None
    delta_neutral_order_type: str = ""
    delta_neutral_aux_price: Decimal | None = None
    delta_neutral_con_id: int = 0
    delta_neutral_settling_firm: str = ""
    delta_neutral_clearing_account: str = ""
    delta_neutral_clearing_intent: str = ""
    delta_neutral_open_close: str = ""
    delta_neutral_short_sale: bool = False
    delta_neutral_short_sale_slot: int = 0
    delta_neutral_designated_location: str = ""
    continuous_update: bool = False
    reference_price_type: int | None = None
    trail_stop_price: Decimal | None = None
    trailing_percent: Decimal | None = None
    basis_points: Decimal | None = None
    basis_points_type: int | None = None
    scale_init_level_size: int | None = None
    scale_subs_level_size: int | None = None
    scale_price_increment: Decimal | None = None
    scale_price_adjust_value: Decimal | None = None
    scale_price_adjust_interval: int | None = None
    scale_profit_offset: Decimal | None = None
    scale_auto_reset: bool = False
    scale_init_position: int | None = None
    scale_init_fill_qty: int | None = None
    scale_random_percent: bool = False
    scale_table: str = ""
    active_start_time: str = ""
    active_stop_time: str = ""
    hedge_type: str = ""
    hedge_param: str = ""
    opt_out_smart_routing: bool = False
    clearing_account: str = ""
    clearing_intent: str = ""
    not_held: bool = False
    algo_strategy: str = ""
    algo_params: tuple[TagValue, ...] = ()
    algo_id: str = ""
    what_if: bool = False
    order_misc_options: str = ""
    solicited: bool = False
    randomize_size: bool = False
    randomize_price: bool = False
    reference_contract_id: int = 0
    is_pegged_change_amount_decrease: bool = False
    pegged_change_amount: Decimal = ZERO
    reference_change_amount: Decimal = ZERO
    reference_exchange_id: str = ""
    conditions: tuple[OrderCondition, ...] = ()
    conditions_ignore_rth: bool = False
    conditions_cancel_order: bool = False
    adjusted_order_type: str = ""
    trigger_price: Decimal | None = None
    lmt_price_offset: Decimal | None = None
    adjusted_stop_price: Decimal | None = None
    adjusted_stop_limit_price: Decimal | None = None
    adjusted_trailing_amount: Decimal | None = None
    adjustable_trailing_unit: int = 0
    ext_operator: str = ""
    soft_dollar_tier_name: str = ""
    soft_dollar_tier_val: str = ""
    soft_dollar_tier_display_name: str = ""
    cash_qty: Decimal | None = None
    mifid2_decision_maker: str = ""
    mifid2_decision_algo: str = ""
    mifid2_execution_trader: str = ""
    mifid2_execution_algo: str = ""
    dont_use_auto_price_for_hedge: bool = False
    is_oms_container: bool = False
    discretionary_up_to_limit_price: bool = False
    use_price_mgmt_algo: bool | None = None
    duration: int | None = None
    post_to_ats: int | None = None
    auto_cancel_parent: bool = False
    advanced_error_override: str = ""
    manual_order_time: str = ""
    min_trade_qty: int | None = None
    min_compete_size: int | None = None
    compete_against_best_offset: Decimal | None = None
    mid_offset_at_whole: Decimal | None = None
    mid_offset_at_half: Decimal | None = None


@fact
class OrderState:
    """What the server adds to an order: its status, and for a what-if order the margins. None is unset."""

    status: str = ""
    init_margin_before: Decimal | None = None
    maint_margin_before: Decimal | None = None
    equity_with_loan_before: Decimal | None = None
    init_margin_change: Decimal | None = None
    maint_margin_change: Decimal | None = None
    equity_with_loan_change: Decimal | None = None
    init_margin_after: Decimal | None = None
    maint_margin_after: Decimal | None = None
    equity_with_loan_after: Decimal | None = None
    commission: Decimal | None = None
    min_commission: Decimal | None = None
    max_commission: Decimal | None = None
    commission_currency: str = ""
    warning_text: str = ""
    completed_time: str = ""
    completed_status: str = ""
