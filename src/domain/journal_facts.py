"""What a journal keeps of a session beside its intents: what happened to them, and around them. Frozen.

Quantities are shares, money dollars, times epoch nanoseconds. No fact names the account: a journal has one. `reason`
is the one field for a text of somebody else's.
"""

from decimal import Decimal

from src.domain.facts import fact
from src.domain.intents import CancelStep, Intent, IntentState
from src.domain.market import Mode
from src.domain.orders import Action, CommissionReport, Execution, OrderId


@fact
class Sending:
    """An order id is reserved for an intent, which leaves under it now."""

    order_ref: str
    time: int
    order_id: OrderId


@fact
class Acknowledged:
    """The venue has the order."""

    order_ref: str
    time: int
    order_id: OrderId
    perm_id: int = 0


@fact
class StateChanged:
    """News of an intent: cancelled, rejected, unknown, not sent, found working again."""

    order_ref: str
    time: int
    state: IntentState
    reason: str = ""


@fact
class Amended:
    """What an order is asked to be from now on, whole; a change that the venue refuses is followed by one back."""

    order_ref: str
    time: int
    quantity: Decimal
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@fact
class CancelNoted:
    """A step of a cancel: asked for, kept while the venue is away, sent after that, or dropped."""

    order_ref: str
    time: int
    step: CancelStep
    reason: str = ""


@fact
class Executed:
    """An execution, of whatever order: one that is not ours has an `order_ref` that no intent bears.

    A correction bears the same `exec_id` but for its last part, and replaces; `reconciled` says that it was learned
    of afterwards.
    """

    exec_id: str
    time: int
    order_ref: str
    order_id: OrderId
    symbol: str
    con_id: int
    action: Action
    shares: Decimal
    price: Decimal
    liquidation: bool = False
    reconciled: bool = False

    @staticmethod
    def of(execution: Execution, *, reconciled: bool = False) -> "Executed":
        """The fact of `execution`."""
        return Executed(
            execution.exec_id,
            execution.time,
            execution.order_ref,
            execution.order_id,
            execution.contract.symbol,
            execution.contract.con_id,
            execution.side,
            execution.shares,
            execution.price,
            execution.liquidation,
            reconciled,
        )


@fact
class Charged:
    """The commission of one execution, regulatory fees included."""

    exec_id: str
    time: int
    commission: Decimal
    realized_pnl: Decimal | None
    currency: str

    @staticmethod
    def of(report: CommissionReport, time: int) -> "Charged":
        """The fact of `report`, heard at `time`."""
        return Charged(report.exec_id, time, report.commission, report.realized_pnl, report.currency)


@fact
class Adjusted:
    """A position moved by `shares` without an execution that explains it; the venue's position counts."""

    time: int
    symbol: str
    con_id: int
    shares: Decimal
    reason: str


@fact
class Refused:
    """A limit of ours refused an intent, and nothing was sent: the rule, its limit and the value that broke it."""

    order_ref: str
    time: int
    rule: str
    limit: str
    value: str


@fact
class ConnectionNoted:
    """The connection came, went or is in doubt."""

    time: int
    mode: Mode
    connected: bool
    reason: str = ""


@fact
class KillNoted:
    """The kill switch was thrown (`engaged`) or released."""

    time: int
    engaged: bool
    reason: str = ""


@fact
class EquityMarked:
    """What the account was worth, in dollars."""

    time: int
    equity: Decimal


@fact
class SessionFacts:
    """A session that writes a journal: which configuration and which code it runs, by their hashes."""

    session: str
    client_id: int
    configuration_hash: str
    code_hash: str
    version: str


@fact
class SessionBegan:
    """A session began to write the journal."""

    session: str
    time: int
    client_id: int
    configuration_hash: str
    code_hash: str
    version: str


@fact
class SessionEnded:
    """A session closed its journal; one that was killed has no such fact."""

    session: str
    time: int
    reason: str


@fact
class SessionRecord:
    """A session and how it ended; `ended` is None for one that still runs, or was killed."""

    facts: SessionFacts
    mode: Mode
    started: int
    ended: int | None = None
    how: str = ""

    @property
    def ended_cleanly(self) -> bool:
        """Whether it closed its journal itself."""
        return self.ended is not None


JournalFact = (
    SessionBegan
    | SessionEnded
    | Intent
    | Sending
    | Acknowledged
    | StateChanged
    | Amended
    | CancelNoted
    | Executed
    | Charged
    | Adjusted
    | Refused
    | ConnectionNoted
    | KillNoted
    | EquityMarked
)
