"""The last question before real money: asked on a terminal, and answered with a part of the account's id.

Without a terminal nobody can be asked; there `IBKR_ALLOW_LIVE` has named the account already (decision D9), and the log
says what begins.
"""

import logging
import sys
from typing import Final

from src.domain.account_ids import masked

_log: Final = logging.getLogger(__name__)
_TAIL: Final = 2


def agrees_to_live(account: str) -> bool:
    """Whether the person at the terminal means it: the last characters of the account's id, typed."""
    shown = masked(account)
    if sys.stdin is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        _log.warning("REAL MONEY: this session trades on account %s", shown)
        return True
    sys.stderr.write(
        f"This session trades REAL MONEY on account {shown}.\n"
        f"Type the last {_TAIL} characters of its id to begin, anything else to leave: "
    )
    sys.stderr.flush()
    return sys.stdin.readline().strip().upper() == account[-_TAIL:].upper()
