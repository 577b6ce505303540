"""What a session trades, and when and how it ends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from src.domain.market import BarSize, Contract


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What a session trades and when it ends. Durations are market minutes; None is "until the prices end".

    `close_after` tells the market's first close after a moment, None when it never closes; without it nothing is
    flattened before a close. In a dry run nothing is sent, and what would have been is kept.
    """

    session: str
    contracts: tuple[Contract, ...]
    timeframe: BarSize = BarSize.MIN_1
    quantities: Mapping[str, Decimal] = field(default_factory=dict)
    duration: float | None = None
    on_exit: Literal["cancel", "keep", "flatten"] = "cancel"
    flat_before_close: float | None = None
    close_after: Callable[[int], int | None] | None = None
    dry_run: bool = False
