"""What may be shown of somebody else's text: no account id, and nothing that a terminal or a log takes for more."""

import re
from typing import Final

from src.domain.account_ids import masked

# Texts, which `re` compiles at their first use and remembers: an import of the facade needs neither.
#: IB's account ids: a letter or two for the kind, then digits. Ours of play money (`DUSIM01`) are nobody's.
_ACCOUNT_ID: Final = r"(?<![A-Za-z0-9])[A-Z]{1,2}[0-9]{5,10}(?![A-Za-z0-9])"
_CONTROL: Final = r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]"


def without_ids(text: str) -> str:
    """The text with every account id masked."""
    return re.sub(_ACCOUNT_ID, lambda found: masked(found[0]), text)


def in_one_line(text: str) -> str:
    """The text as one printable line: a line break in it begins no line of ours."""
    return " ".join(re.sub(_CONTROL, " ", text).split())


def printable(text: str) -> str:
    """The text with its lines, and without what else a terminal takes for a command."""
    return re.sub(_CONTROL, " ", text)
