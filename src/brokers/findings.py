"""What a search for TWS has found, in words for machines and for people; `discovery.py` is the search itself."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Where TWS is when nothing else is said.
LOCAL_HOST: Final = "127.0.0.1"
#: TWS and IB Gateway, paper trading.
PAPER_PORTS: Final = (7497, 4002)


class Outcome(StrEnum):
    """What a probe found; the ids are those of the doctor's connection findings."""

    LISTENING = "listening"
    NOT_LISTENING = "not_listening"
    FILTERED = "filtered"
    UNREACHABLE = "unreachable"
    UNRESOLVED = "unresolved"
    NOT_ALLOWED = "not_allowed"

    @property
    def words(self) -> str:
        """The outcome as a person says it."""
        return _WORDS[self]


_WORDS: Final = {
    Outcome.LISTENING: "something listens",
    Outcome.NOT_LISTENING: "nothing listens: the connection was refused",
    Outcome.FILTERED: "no answer: a firewall, a wrong address, or a host that is off",
    Outcome.UNREACHABLE: "no route to this address",
    Outcome.UNRESOLVED: "the host name is not known",
    Outcome.NOT_ALLOWED: "a public address, which was not tried",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe of one address found."""

    host: str
    port: int
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({self.outcome.words})"
