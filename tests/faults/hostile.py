"""T12: every public method of the facade with values that no caller should give.

In each call at least one value is wrong. What comes of it is an error of ours, never one of Python's, and no order
leaves: over a gateway the proxy counts the bytes, on the simulator the venue has heard of none.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from src.brokers.ib_gateway import IBGatewayClient
from src.brokers.opening import Play
from src.domain.errors import BrokerError
from src.settings import Settings
from tests.faults.harness import FaultStage
from tests.faults.results import Result

Values = st.SearchStrategy[Any]
_CANCEL_ORDER: Final = "4"
_KNOWN: Final = re.compile(r"NVDA|MSFT|[A-Z]{3}\.[A-Z]{3}")  # the last are currency pairs
_UNPRINTABLE: Final = 10**5_000  # Python refuses to write it out

_NOTHING: Final = [None, True, False, [], [5], {}, (), b"5", object(), 1 + 2j, Fraction(1, 3), Settings]
#: What no setting reads; None leaves one as it is.
_NO_WORD: Final = [[], [5], {}, (), object(), 1 + 2j, Settings]
_NO_NUMBER: Final[Values] = (
    st.sampled_from([*_NOTHING, "", "five", "1,5", "0x10", "5\0", "NaN", "sNaN", "-Infinity", "1e400", "\ud800"])
    | st.sampled_from([float("nan"), float("inf"), float("-inf"), 1e308, -_UNPRINTABLE, _UNPRINTABLE])
    | st.sampled_from([Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), Decimal("1E+999999"), Decimal("-0")])
    | st.integers(max_value=0)
    | st.integers(min_value=10**12)
    | st.text("abcxyz \0\n\N{GREEK SMALL LETTER ALPHA}", max_size=50)
)
_FRACTIONS: Final[Values] = st.sampled_from([0.5, 1.5, 5e-324, "2.5", Decimal("0.1"), Decimal("1E-9999")])
_QUANTITY: Final = _NO_NUMBER | _FRACTIONS
_PRICE: Final = _NO_NUMBER | st.sampled_from([100.005, "0.001", 5e-324, Decimal("1E-9999"), Decimal("99.999"), 1e15])
_SYMBOL: Final[Values] = (
    st.sampled_from([*_NOTHING, 5, float("nan"), "", "  ", "NOSUCH", "NV\0DA", "NVDA\nMSFT", "NVDA\0", "N" * 10**6])
    | st.sampled_from(["\N{GREEK CAPITAL LETTER NU}VDA", "\ud800", "\N{FULLWIDTH LATIN CAPITAL LETTER N}VDA", "NVDA;1"])
    | st.text(max_size=30).filter(lambda text: not _KNOWN.fullmatch(text.strip().upper()))
)
_ACTION: Final[Values] = st.sampled_from([*_NOTHING, 1, "HOLD", "", "BUY ", "BUY\0", "B" * 10**6]) | st.text(
    max_size=9
).filter(lambda text: text.upper() not in {"BUY", "SELL"})
_SECONDS: Final[Values] = st.sampled_from(
    [*_NOTHING, -1, "long", "NaN", float("nan"), float("inf"), float("-inf"), -_UNPRINTABLE, _UNPRINTABLE]
) | st.floats(max_value=-1e-9)
_ORDER_ID: Final[Values] = st.sampled_from(
    [*_NOTHING, "1", 1.0, float("nan"), _UNPRINTABLE, -_UNPRINTABLE, 2**31, 2**63, 2**64, 10**9]
) | st.integers(max_value=0)
_SIZE: Final[Values] = st.sampled_from([*_NOTHING, 1, "1 min", "1M", "", "\0", float("nan")]) | st.text(
    max_size=9
).filter(lambda text: text not in {"1m", "5m", "15m", "30m", "1h", "1d"})
_COUNT: Final[Values] = st.sampled_from(
    [*_NOTHING, 1.5, "5", float("nan"), 10**9, _UNPRINTABLE, -_UNPRINTABLE]
) | st.integers(max_value=0)
_SINCE: Final[Values] = st.sampled_from([*_NOTHING[1:], "2020", date(2020, 1, 1), 0, float("nan"), _UNPRINTABLE])
_FUNCTION: Final[Values] = st.sampled_from([each for each in _NOTHING if not callable(each)] + ["fn", 5])
_HOST: Final[Values] = st.sampled_from([*_NO_WORD, 5, "", " ", "a b", "host\0", "host\nname", "h" * 10**5, "\ud800"])
_PORT: Final[Values] = st.sampled_from([*_NO_WORD, -1, 65_536, 1.5, "port", float("nan"), _UNPRINTABLE, -_UNPRINTABLE])
_CLIENT_ID: Final[Values] = st.sampled_from([*_NO_WORD, -1, 1.5, "id", float("nan"), 2**31, _UNPRINTABLE])
#: What is right, beside something that is wrong.
_RIGHT: Final[Mapping[int, Values]] = {
    id(_QUANTITY): st.sampled_from([1, 5.0, "7", Decimal(3)]),
    id(_PRICE): st.sampled_from([100, 100.01, "99.5", Decimal(120)]),
    id(_SYMBOL): st.sampled_from(["NVDA", "msft", " NVDA "]),
    id(_ACTION): st.sampled_from(["BUY", "sell"]),
    id(_SECONDS): st.sampled_from([0, 0.01, "0"]),
    id(_ORDER_ID): st.sampled_from([10**8]),  # of no order
    id(_SIZE): st.sampled_from(["1m", "1h"]),
    id(_COUNT): st.sampled_from([1, 10]),
    id(_SINCE): st.just(None),
    id(_FUNCTION): st.just(None),
    id(_HOST): st.just("127.0.0.1"),
    id(_PORT): st.just(7497),
    id(_CLIENT_ID): st.just(3),
}


#: Each method with what it takes.
METHODS: Final[Mapping[str, tuple[Values, ...]]] = {
    "get_current_price": (_SYMBOL,),
    "get_quote": (_SYMBOL,),
    "get_bars": (_SYMBOL, _SIZE, _COUNT),
    "stream": (_SYMBOL, _SYMBOL),
    "place_market_order": (_SYMBOL, _QUANTITY, _ACTION, _SECONDS),
    "place_limit_order": (_SYMBOL, _QUANTITY, _PRICE, _ACTION),
    "place_stop_order": (_SYMBOL, _QUANTITY, _PRICE, _ACTION),
    "place_stop_limit_order": (_SYMBOL, _QUANTITY, _PRICE, _PRICE, _ACTION),
    "place_bracket_order": (_SYMBOL, _QUANTITY, _ACTION, _PRICE, _PRICE, _PRICE),
    "close_position": (_SYMBOL, _SECONDS),
    "modify_order": (_ORDER_ID, _QUANTITY, _PRICE, _PRICE),
    "wait_for_order": (_ORDER_ID, _SECONDS),
    "get_order": (_ORDER_ID,),
    "cancel_order": (_ORDER_ID,),
    "get_fills": (_SINCE,),
    "tws": (_FUNCTION,),
    "IBGatewayClient": (_HOST, _PORT, _CLIENT_ID),
}
_KEYWORDS: Final = {"place_market_order": "wait", "close_position": "wait"}
#: Where a None says "as it is" or "all of them".
_OPTIONAL: Final = {("place_bracket_order", 5), ("modify_order", 1), ("modify_order", 2), ("modify_order", 3)}
#: A cancel of what is not there may answer that it is not cancelled.
_MAY_ANSWER: Final = {"cancel_order": (False,)}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: the method and what is given to it."""

    method: str
    values: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.method}({', '.join(map(_shown, self.values))})"

    def make(self, client: IBGatewayClient) -> object:
        """Make it."""
        if self.method == "IBGatewayClient":
            return IBGatewayClient(*self.values)
        if (keyword := _KEYWORDS.get(self.method)) is not None:
            return getattr(client, self.method)(*self.values[:-1], **{keyword: self.values[-1]})
        return getattr(client, self.method)(*self.values)


def _shown(value: object) -> str:
    if isinstance(value, int) and abs(value) >= 10**40:
        return "10**5000" if value > 0 else "-10**5000"
    return repr(value)[:60]


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """A call in which at least one value is wrong."""
    method = draw(st.sampled_from(sorted(METHODS)))
    takes = METHODS[method]
    wrong = draw(st.sets(st.integers(0, len(takes) - 1), min_size=1))
    values = []
    for place, kind in enumerate(takes):
        if place not in wrong:
            values.append(draw(_RIGHT[id(kind)]))
        elif (method, place) in _OPTIONAL:
            values.append(draw(kind.filter(lambda value: value is not None)))
        else:
            values.append(draw(kind))
    return Call(method, tuple(values))


def found(call: Call, client: IBGatewayClient, sent: Callable[[], int]) -> list[str]:
    """What is wrong with what comes of a call."""
    before = sent()
    try:
        answer = call.make(client)
    except BrokerError as error:
        differences = [] if str(error) else [f"I16: {call} raises {type(error).__name__} without a word"]
    except Exception as error:  # noqa: BLE001  # what it is, is the finding
        differences = [f"I16: {call} raises {type(error).__name__}: {error}"]
    else:
        right = call.method in _MAY_ANSWER and answer in _MAY_ANSWER[call.method]
        differences = [] if right else [f"I16: {call} is answered by {answer!r:.100}"]
    if sent() != before:
        differences.append(f"I16: {call} has sent an order")
    return differences


def attempt(client: IBGatewayClient, sent: Callable[[], int], examples: int, chance: int) -> Result:
    """So many calls; a failing one is made as small as it can be."""
    result = Result()

    @seed(chance)
    @settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink], report_multiple_bugs=False,
    )  # fmt: skip
    @given(call=calls())
    def run(call: Call) -> None:
        result.trials += 1
        assert not (wrong := found(call, client, sent)), wrong[0]

    try:
        run()
    except AssertionError as error:
        result.failures.append(str(error).splitlines()[0])
    return result


@contextmanager
def over_a_gateway(folder: Path) -> Iterator[tuple[IBGatewayClient, Callable[[], int]]]:
    """A client behind the proxy, and how many bytes of orders and cancels have passed it."""
    with FaultStage(folder) as stage:
        chosen = Settings(
            host="127.0.0.1", port=stage.proxy.port, backend="tws", state_dir=folder, symbols=("NVDA", "MSFT"),
            order_timeout=2.0,
        )  # fmt: skip
        with IBGatewayClient(settings=chosen) as client:
            yield client, lambda: stage.proxy.order_bytes + len(stage.proxy.sent(_CANCEL_ORDER))


@contextmanager
def on_the_simulator(folder: Path) -> Iterator[tuple[IBGatewayClient, Callable[[], int]]]:
    """A client on the simulated exchange, and how many orders it has heard of."""
    start = datetime(2025, 1, 2, 15, 0, tzinfo=UTC)
    with IBGatewayClient(
        settings=Settings(backend="simulated", sim_preset="ideal", state_dir=folder, symbols=("NVDA", "MSFT")),
        play=Play(start=int(start.timestamp()) * 10**9),
    ) as client:
        yield client, lambda: len(client.broker.open_trades()) + len(client.broker.completed_trades())


def hostile_values(folder: Path, seed: int, *, examples: int = 150) -> Result:
    """T12: values that nobody should give, over a gateway and on the simulator."""
    result = Result()
    for place in (over_a_gateway, on_the_simulator):
        own = folder / place.__name__
        own.mkdir()
        with place(own) as (client, sent):
            made = attempt(client, sent, examples, seed)
        result.trials += made.trials
        result.failures += [f"{each} [T12 seed {seed}, {place.__name__}]" for each in made.failures]
    return result
