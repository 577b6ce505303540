"""The intervals of a connection, in real seconds, as one value: a test runs with all of them scaled down."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """How often a connection is looked after, and how long things may take that no setting names."""

    #: Silence after which TWS is asked for a word; twice as long, and the connection counts as dead.
    heartbeat: float = 5.0
    #: Between two looks at TWS's lists of orders and executions.
    reconcile: float = 30.0
    #: TWS's answer to such a look.
    look: float = 4.0
    #: After executions: TWS's confirmation of the positions, and the account's values.
    confirm: float = 2.0
    values: float = 1.0
    #: After a stock is first asked for: its shortable tick.
    shortable: float = 2.0
    #: An order that could not be written within this time is too old to be sent.
    oldest_order: float = 2.0
    #: The longest pause between two attempts to reconnect, and between two words about it.
    longest_pause: float = 60.0
    reminder: float = 900.0
    #: Before prices are asked for again that another session of the same user has taken (10197).
    competing: float = 60.0
    #: A gap in the day's time, or in our own, that means the computer has slept.
    slept: float = 30.0
    #: Seconds by which TWS's clock and ours may differ: said, and then refused on a real account.
    skew_told: float = 2.0
    skew_refused: float = 30.0
