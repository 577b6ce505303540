"""What a search for TWS has found, in words for machines and for people; `discovery.py` is the search itself."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from src.domain.facts import fact

#: Where TWS is when nothing else is said.
LOCAL_HOST: Final = "127.0.0.1"
#: TWS and IB Gateway, paper trading.
PAPER_PORTS: Final = (7497, 4002)
#: TWS and IB Gateway, real money, unless somebody has changed them.
LIVE_PORTS: Final = (7496, 4001)
#: The oldest server version of TWS's API that the client libraries talk to, and the newest that is text throughout.
OLDEST_SERVER_VERSION: Final = 157
NEWEST_SERVER_VERSION: Final = 178


class Network(StrEnum):
    """How this process and Windows share the network; the WSL2 modes are `wslinfo`'s own words."""

    NATIVE = "native"
    CONTAINER = "container"
    WSL1 = "wsl1"
    NAT = "nat"
    MIRRORED = "mirrored"
    VIRTIOPROXY = "virtioproxy"
    NONE = "none"
    UNKNOWN = "unknown"


class Origin(StrEnum):
    """Why an address was tried, as a person says it."""

    NAMED = "as set"
    LOCAL = "this machine"
    GATEWAY = "Windows, by the default route"
    MDNS = "Windows, by its name"
    DOCKER = "Docker's host"
    NAMESERVER = "Windows, by resolv.conf"


class Outcome(StrEnum):
    """What a probe found; the ids are those of the doctor's connection findings."""

    OK = "ok"
    TOO_OLD = "too_old"
    SILENT = "silent"
    CLOSED_AFTER_ACCEPT = "closed_after_accept"
    NOT_TWS = "not_tws"
    LISTENING = "listening"
    FILTERED = "filtered"
    NOT_LISTENING = "not_listening"
    UNREACHABLE = "unreachable"
    UNRESOLVED = "unresolved"
    NOT_ALLOWED = "not_allowed"

    @property
    def words(self) -> str:
        """The outcome as a person says it."""
        return _WORDS[self]


_WORDS: Final = {
    Outcome.OK: "TWS answers",
    Outcome.TOO_OLD: "TWS answers, in a version of its API that is too old",
    Outcome.SILENT: "the connection is accepted, and then nothing is said",
    Outcome.CLOSED_AFTER_ACCEPT: "the connection is accepted, and then closed",
    Outcome.NOT_TWS: "something answers that is not TWS",
    Outcome.LISTENING: "something listens; it was not asked, another came first",
    Outcome.NOT_LISTENING: "nothing listens: the connection was refused",
    Outcome.FILTERED: "no answer: a firewall, a wrong address, or a host that is off",
    Outcome.UNREACHABLE: "no route to this address",
    Outcome.UNRESOLVED: "the host name is not known",
    Outcome.NOT_ALLOWED: "a public address, which was not tried",
}
#: In WSL's mirrored mode, and on Windows, a closed port of this machine may hang instead of being refused.
_NO_ANSWER_HERE: Final = "no answer: TWS is not running, or it is blocked"
#: Somebody is there who may be TWS, and does not let us in.
_AT_THE_DOOR: Final = frozenset({Outcome.SILENT, Outcome.CLOSED_AFTER_ACCEPT})
_NEAREST_FIRST: Final = tuple(Outcome)


@fact
class Finding:
    """What one probe of one address found.

    `address` is the literal where `host` is a name. `our_address` is our own socket's, as TWS sees it and as its
    Trusted IPs need it. A `server_time` is as TWS writes it, and `heard_at` the moment in epoch nanoseconds when it
    came. `seen` is the beginning of an answer that is not TWS's.
    """

    host: str
    port: int
    outcome: Outcome
    origin: Origin = Origin.NAMED
    network: Network = Network.NATIVE
    address: str = ""
    our_address: str = ""
    server_version: int | None = None
    server_time: str = ""
    heard_at: int = 0
    seen: str = ""

    def __str__(self) -> str:
        return f"{self.where} ({self.words})"

    @property
    def where(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_named(self) -> bool:
        """Whether the address was set rather than guessed."""
        return self.origin is Origin.NAMED

    @property
    def is_local(self) -> bool:
        """Whether the address is this machine's own."""
        return _is_loopback(self.address or self.host)

    @property
    def words(self) -> str:
        """What was found, as a person says it."""
        if self.outcome is Outcome.FILTERED and self.is_local:
            return _NO_ANSWER_HERE
        if self.outcome is Outcome.NOT_TWS and self.seen:
            return f"{self.outcome.words}: its answer begins {self.seen!r}"
        if self.server_version is not None:
            return f"{self.outcome.words}: server version {self.server_version}"
        return self.outcome.words

    @property
    def line(self) -> str:
        """The finding on a line of its own, with why the address was tried where that needs saying."""
        why = "" if self.origin is Origin.LOCAL else f" ({self.origin})"
        return f"{self.where}{why}: {self.words}"


def answering(findings: Sequence[Finding]) -> Finding | None:
    """Return the TWS to talk to: the named one, else the first that answers; None when there is none."""
    found = [each for each in findings if each.outcome is Outcome.OK]
    return min(found, key=lambda each: not each.is_named, default=None)


def nearest(findings: Sequence[Finding]) -> Finding:
    """Return the finding nearest to a connection, which is where to begin: the named address's, unless another is."""
    named = [each for each in findings if each.is_named]
    others = [each for each in findings if each.outcome in _AT_THE_DOOR]
    at_the_door = any(each.outcome in _AT_THE_DOOR for each in named)
    considered = named if named and (at_the_door or not others) else others if named else findings
    return min(considered, key=lambda each: _NEAREST_FIRST.index(each.outcome))


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
