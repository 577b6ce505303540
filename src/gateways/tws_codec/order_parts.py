"""The stretches of fields that placeOrder, openOrder and completedOrder have in common."""

from decimal import Decimal
from typing import Final

from src.gateways.tws_codec.contracts import C11, DELTA_NEUTRAL, FULL_LEGS, TagValue
from src.gateways.tws_codec.fields import (
    AMOUNT,
    FLAG,
    INT,
    OFFSET,
    OPT_AMOUNT,
    OPT_INT,
    OPT_QUANTITY,
    TEXT,
    UNSET_INT,
)
from src.gateways.tws_codec.layout import Field, Layout, Repeat, Span, When, fields, layout_of, rows, under
from src.gateways.tws_codec.order_words import (
    ExecutionCondition,
    MarginCondition,
    OrderComboLeg,
    PercentChangeCondition,
    PriceCondition,
    TimeCondition,
    VolumeCondition,
)

#: Dropped by version 177.
FA_PROFILE: Final = Field("order.fa_profile", TEXT, Span(until=176))


def is_set(value: object) -> bool:
    """Whether a text is not empty, or a list has items: what follows it is there."""
    return bool(value)


def is_positive(value: Decimal | None) -> bool:
    """Whether an increment is set and above zero: the rest of the scale follows."""
    return value is not None and value > 0


def is_peg_bench(order_type: str) -> bool:
    """Pegged to a benchmark, in both spellings."""
    return order_type in {"PEG BENCH", "PEGBENCH"}


def is_peg_best(order_type: str) -> bool:
    """Pegged to best, in both spellings."""
    return order_type in {"PEG BEST", "PEGBEST"}


def is_peg_mid(order_type: str) -> bool:
    """Pegged to the midpoint, in both spellings."""
    return order_type in {"PEG MID", "PEGMID"}


def is_up_to_mid(offset: Decimal | None) -> bool:
    """Whether an order competes up to the midpoint, so that its offsets follow."""
    return offset is not None and offset.is_infinite()


#: Contract, side, quantity, type, prices: the head of replies about orders, after the order id.
TERMS: Final[Layout] = (
    *under("contract", C11),
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
        ],
    ),
)
ALLOCATION: Final[Layout] = (
    *fields("order.", [(TEXT, "fa_group fa_method fa_percentage")]),
    FA_PROFILE,
    *fields("order.", [(TEXT, "model_code good_till_date rule_80a"), (OPT_AMOUNT, "percent_offset")]),
    *fields("order.", [(TEXT, "settling_firm"), (INT, "short_sale_slot"), (TEXT, "designated_location")]),
    Field("order.exempt_code", INT),
)
REFERENCE_PRICES: Final = fields(
    "order.", [(OPT_AMOUNT, "starting_price stock_ref_price delta stock_range_lower stock_range_upper")]
)
VOLATILITY: Final = fields(
    "order.",
    [
        (OPT_AMOUNT, "volatility"),
        (OPT_INT, "volatility_type"),
        (TEXT, "delta_neutral_order_type"),
        (OPT_AMOUNT, "delta_neutral_aux_price"),
    ],
)
DELTA_NEUTRAL_ORDER: Final = When(
    "order.delta_neutral_order_type",
    is_set,
    fields(
        "order.delta_neutral_",
        [
            (INT, "con_id"),
            (TEXT, "settling_firm clearing_account clearing_intent open_close"),
            (FLAG, "short_sale"),
            (INT, "short_sale_slot"),
            (TEXT, "designated_location"),
        ],
    ),
)
DELTA_NEUTRAL_ORDER_DONE: Final = When(
    "order.delta_neutral_order_type",
    is_set,
    fields("order.delta_neutral_", [(INT, "con_id"), (FLAG, "short_sale"), (INT, "short_sale_slot")])
    + fields("order.delta_neutral_", [(TEXT, "designated_location")]),
)
TRAIL: Final = fields(
    "order.",
    [(FLAG, "continuous_update"), (OPT_INT, "reference_price_type"), (OPT_AMOUNT, "trail_stop_price trailing_percent")],
)
COMBO: Final[Layout] = (
    *under("contract", (FULL_LEGS,)),
    rows("order.order_combo_legs", OrderComboLeg),
    rows("order.smart_combo_routing_params", TagValue),
)
_SCALE_REST: Final = When(
    "order.scale_price_increment",
    is_positive,
    fields(
        "order.scale_",
        [
            (OPT_AMOUNT, "price_adjust_value"),
            (OPT_INT, "price_adjust_interval"),
            (OPT_AMOUNT, "profit_offset"),
            (FLAG, "auto_reset"),
            (OPT_INT, "init_position init_fill_qty"),
            (FLAG, "random_percent"),
        ],
    ),
)
SCALE_ASKED: Final[Layout] = (
    *fields("order.scale_", [(OPT_INT, "init_level_size subs_level_size"), (OPT_AMOUNT, "price_increment")]),
    _SCALE_REST,
)
#: As asked, but a real server writes unset sizes out.
SCALE: Final[Layout] = (
    *fields("order.scale_", [(UNSET_INT, "init_level_size subs_level_size"), (OPT_AMOUNT, "price_increment")]),
    _SCALE_REST,
)
HEDGE: Final[Layout] = (
    Field("order.hedge_type", TEXT),
    When("order.hedge_type", is_set, (Field("order.hedge_param", TEXT),)),
)
CLEARING: Final[Layout] = (
    *fields("order.", [(TEXT, "clearing_account clearing_intent"), (FLAG, "not_held")]),
    *under("contract", (DELTA_NEUTRAL,)),
)
ALGO: Final[Layout] = (
    Field("order.algo_strategy", TEXT),
    When("order.algo_strategy", is_set, (rows("order.algo_params", TagValue),)),
)
PEG_BENCH: Final = When(
    "order.order_type",
    is_peg_bench,
    fields(
        "order.",
        [
            (INT, "reference_contract_id"),
            (FLAG, "is_pegged_change_amount_decrease"),
            (AMOUNT, "pegged_change_amount reference_change_amount"),
            (TEXT, "reference_exchange_id"),
        ],
    ),
)
CONDITIONS: Final[Layout] = (
    Repeat(
        "order.conditions",
        {
            number: (condition, layout_of(condition))
            for number, condition in {
                1: PriceCondition,
                3: TimeCondition,
                4: MarginCondition,
                5: ExecutionCondition,
                6: VolumeCondition,
                7: PercentChangeCondition,
            }.items()
        },
        tagged=True,
    ),
    When("order.conditions", is_set, fields("order.", [(FLAG, "conditions_ignore_rth conditions_cancel_order")])),
)
#: In replies all five follow; in placeOrder they depend on the order's type.
COMPETING: Final = fields(
    "order.",
    [
        (OPT_INT, "min_trade_qty min_compete_size"),
        (OFFSET, "compete_against_best_offset"),
        (OPT_AMOUNT, "mid_offset_at_whole mid_offset_at_half"),
    ],
    Span(since=170),
)
