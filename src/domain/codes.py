"""What TWS's message codes mean, by the request that was under way when they came. Pure data; no order state in it.

A code is a claim, not a fact: an order's state comes from its status and its executions. The table says what a claim
is about, so that the one who waits for an answer knows whether to go on waiting, to look at the venue, or to stop.
A code that is not in the table is never taken for a cancellation.
"""

from enum import StrEnum
from types import MappingProxyType
from typing import Final


class RequestKind(StrEnum):
    """What was asked of TWS under the id that a message bears; NONE when nothing was, or for a message without id."""

    NEW = "new"
    MODIFY = "modify"
    CANCEL = "cancel"
    DATA = "data"
    NONE = "none"


class Meaning(StrEnum):
    """What a message is about, and so what is to be done."""

    INFO = "info"  # good to know: log it
    ORDER_INFO = "order_info"  # of an order that stays as it is: a warning, a changed attribute
    HELD = "held"  # the order is live and waits: for the open, for shares to borrow
    REJECTED = "rejected"  # a new order is not taken; settled by its status, or by looking at the open orders
    UNCHANGED = "unchanged"  # a change is refused: the order stays as it was
    CANCEL_REFUSED = "cancel_refused"  # what became of the order is to be looked up
    CANCELLED = "cancelled"  # settled by the order's status
    UNKNOWN = "unknown"  # the outcome of an order request is not known: look before anything else is sent
    FAILED = "failed"  # a request for data got no answer
    NO_CONTRACT = "no_contract"
    NO_MARKET_DATA = "no_market_data"
    DELAYED = "delayed"  # delayed prices come instead of live ones
    COMPETING_SESSION = "competing_session"  # the same user trades elsewhere: no prices here
    STREAM_RESET = "stream_reset"  # subscribe anew
    PACING = "pacing"
    DATA_LIMIT = "data_limit"
    ACCOUNT_DATA = "account_data"  # the subscription of account values was replaced
    FARM_DOWN = "farm_down"  # prices that depend on one data farm are stale; no disconnection
    LINK_LOST = "link_lost"  # TWS has lost IB's servers
    LINK_BACK = "link_back"
    LINK_BACK_DATA_LOST = "link_back_data_lost"  # subscribe anew
    PORT_CHANGED = "port_changed"
    CLIENT_ID_IN_USE = "client_id_in_use"
    NOT_CONNECTED = "not_connected"
    FRAMING_LOST = "framing_lost"  # nothing that follows can be understood: connect anew


_ORDER_KINDS: Final = (RequestKind.NEW, RequestKind.MODIFY, RequestKind.CANCEL, RequestKind.NONE)

#: One meaning, whatever was asked.
_ALWAYS: Final = {
    Meaning.INFO: (102, 300, 501, 2104, 2106, 2107, 2108, 2119, 2158),
    Meaning.ORDER_INFO: (2109, 2137, 2148, 2161, 10311, 10349),
    Meaning.HELD: (399, 404),
    Meaning.CANCELLED: (202,),
    Meaning.CANCEL_REFUSED: (136, 161, 10147, 10148),
    Meaning.UNKNOWN: (103,),
    Meaning.FAILED: (162, 166, 366, 420, 430, 10187, 10189),
    Meaning.NO_MARKET_DATA: (354, 10089, 10168, 10186),
    Meaning.DELAYED: (10090, 10167),
    Meaning.COMPETING_SESSION: (10197,),
    Meaning.STREAM_RESET: (317, 10182, 10225),
    Meaning.PACING: (100,),
    Meaning.DATA_LIMIT: (101, 309, 10190),
    Meaning.ACCOUNT_DATA: (2100, 2101),
    Meaning.FARM_DOWN: (2103, 2105, 2157),
    Meaning.LINK_LOST: (1100, 2110),
    Meaning.LINK_BACK: (1102,),
    Meaning.LINK_BACK_DATA_LOST: (1101,),
    Meaning.PORT_CHANGED: (1300,),
    Meaning.CLIENT_ID_IN_USE: (326,),
    Meaning.NOT_CONNECTED: (502, 503, 504, 506, 520),
    Meaning.FRAMING_LOST: (505, 507, 508, 509),
}

#: A new order is not taken; a change is, and leaves the order as it was.
_INVALID: Final = (
    *(106, 107, 109, 110, 111, 113, 116, 125, 126, 133, 140, 141, 144, 145, 147, 163, 164),
    *(201, 203, 321, 387, 388, 434, 460, 463, 10006, 10289, 10293, 10318),
)
#: The account may not trade that: no repetition changes it.
NOT_ALLOWED: Final = frozenset({203, 460})
#: A change is refused.
_NOT_CHANGED: Final = (104, 105, 134, 329, 2102)
#: One request could not be sent, or TWS failed over it.
_NOT_SERVED: Final = (*range(510, 520), *range(521, 532), 542, 320, 322, 323)
_INFO_RANGE: Final = range(2100, 2200)


def _table() -> dict[tuple[int, RequestKind], Meaning]:
    rows = {(code, kind): meaning for meaning, codes in _ALWAYS.items() for code in codes for kind in RequestKind}
    for code in (*_INVALID, 200):
        rows[code, RequestKind.NEW] = Meaning.REJECTED
        rows[code, RequestKind.MODIFY] = Meaning.UNCHANGED
        rows[code, RequestKind.CANCEL] = rows[code, RequestKind.NONE] = Meaning.UNKNOWN
        rows[code, RequestKind.DATA] = Meaning.FAILED
    rows[200, RequestKind.DATA] = Meaning.NO_CONTRACT
    for code in _NOT_CHANGED:
        rows.update({(code, kind): Meaning.UNKNOWN for kind in _ORDER_KINDS})
        rows[code, RequestKind.MODIFY] = rows[code, RequestKind.NONE] = Meaning.UNCHANGED
        rows[code, RequestKind.DATA] = Meaning.FAILED
    for code in _NOT_SERVED:
        rows.update({(code, kind): Meaning.UNKNOWN for kind in _ORDER_KINDS})
        rows[code, RequestKind.DATA] = Meaning.FAILED
    for kind in _ORDER_KINDS:
        rows[135, kind] = Meaning.UNKNOWN
        rows[165, kind] = Meaning.INFO
    rows[135, RequestKind.MODIFY] = Meaning.UNCHANGED
    rows[135, RequestKind.CANCEL] = Meaning.CANCEL_REFUSED
    rows[135, RequestKind.DATA] = Meaning.FAILED
    rows[165, RequestKind.DATA] = Meaning.INFO
    return rows


#: (code, kind of request) -> meaning, for every code that is known.
MEANINGS: Final = MappingProxyType(_table())
#: Every code that is known.
CODES: Final = frozenset(code for code, _ in MEANINGS)
#: The words by which TWS says that its API is read-only (code 321).
_READ_ONLY: Final = ("read-only", "read only")


def meaning(code: int, kind: RequestKind) -> Meaning:
    """What `code` means under a request of this kind. An unknown one leaves an order's outcome unknown."""
    known = MEANINGS.get((code, kind))
    if known is not None:
        return known
    if code in _INFO_RANGE or kind is RequestKind.NONE:
        return Meaning.INFO
    return Meaning.FAILED if kind is RequestKind.DATA else Meaning.UNKNOWN


def is_information(code: int) -> bool:
    """Whether a code is known to be, or by its number must be, nothing that a person has to know."""
    return code in CODES or code in _INFO_RANGE


def says_read_only(code: int, text: str) -> bool:
    """Whether a message says that TWS's API is set to read-only."""
    lowered = text.lower()
    return code == 321 and any(words in lowered for words in _READ_ONLY)
