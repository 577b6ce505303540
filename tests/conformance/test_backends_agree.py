"""One sequence of commands, given to the simulated broker in this process and to TwsBroker over a socket.

Both stand on the same prices and the same time. What came of each command, each order's life, the fills, the
commissions and the positions are compared (decision D11), in the order in which they were told.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from src.domain.errors import BrokerError
from src.domain.events import CommissionCharged, Event, Filled, OrderChanged, PositionChanged
from src.domain.market import Contract
from src.domain.orders import Action, Bracket, OrderChange, OrderId, OrderStatus, Trade
from src.exchange.fill_models import IDEAL
from tests.conformance.conftest import MSFT, NVDA, START, Stage, order, over_the_socket, simulated
from tests.conformance.tws_stage import StageClock

#: A TWS says these of its own accord, on the way to what an exchange says.
PASSING = {OrderStatus.PENDING_SUBMIT, OrderStatus.PENDING_CANCEL}


class StillClock(StageClock):
    """Time passes only when it is moved: the preset has no latency, so nothing waits for it."""

    def _run(self, more: int) -> None:
        del more


@dataclass
class Player:
    """One broker on its stage, and what it has told."""

    stage: Stage
    ids: list[OrderId] = field(default_factory=list)
    outcomes: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.stage.broker.connect()
        self.stream = self.stage.broker.events()
        self.base = {each: self.stage.price(each, 0) for each in (NVDA, MSFT)}

    def price(self, contract: Contract, away: int) -> Decimal:
        return self.base[contract] + Decimal(away) / 100

    def do(self, command: Callable[["Player"], Trade | Sequence[Trade] | None]) -> None:
        """Give one command; note what came of it."""
        try:
            found = command(self)
        except BrokerError as error:
            self.outcomes.append(type(error).__name__)
            order_id = getattr(error, "order_id", None)
            if order_id is not None and order_id not in self.ids:
                self.ids.append(order_id)
            return
        trades = found if isinstance(found, Sequence) else [found] if found else []
        self.ids += [trade.order_id for trade in trades if trade.order_id not in self.ids]
        self.outcomes.append([(trade.status, trade.filled) for trade in trades])

    def number(self, order_id: OrderId) -> int:
        return self.ids.index(order_id)

    def end(self, trade: Trade) -> tuple[Any, ...]:
        average = cents(trade.average_fill_price)
        return (
            self.number(trade.order_id),
            trade.status,
            trade.filled,
            average,
            cents(trade.commission),
            trade.code or 0,
        )

    def log(self) -> dict[str, Any]:
        """What was told, with orders numbered as they were placed."""
        events: list[Event] = list(self.stream.unread)
        lives: dict[int, list[Any]] = {}
        for event in events:
            if isinstance(event, OrderChanged) and event.trade.status not in PASSING:
                trade = event.trade
                said = (trade.status, shape(trade))  # over the wire an execution comes before its status
                life = lives.setdefault(self.number(trade.order_id), [])
                if said not in life[-1:]:
                    life.append(said)
        fills = [event.fill.execution for event in events if isinstance(event, Filled)]
        return {
            "outcomes": self.outcomes,
            "lives": lives,
            "fills": [
                (self.number(each.order_id), each.contract.symbol, each.side, each.shares, each.price, each.time)
                for each in fills
            ],
            "commissions": [
                (self.number(event.order_id), event.report.commission, cents(event.report.realized_pnl or Decimal(0)))
                for event in events
                if isinstance(event, CommissionCharged)
            ],
            "moved": [
                (event.position.contract.symbol, event.position.quantity)
                for event in events
                if isinstance(event, PositionChanged)
            ],
            "held": sorted(
                (each.contract.symbol, each.quantity, cents(each.average_cost))
                for each in self.stage.broker.positions()
            ),
            "ends": sorted(map(self.end, self.stage.broker.completed_trades())),
            "working": sorted(self.number(trade.order_id) for trade in self.stage.broker.open_trades()),
            "cash": self.stage.broker.account_summary().total_cash_value.quantize(Decimal("0.01")),
        }


def cents(amount: Decimal) -> Decimal:
    """An amount to the hundredth of a cent: the wire carries doubles."""
    return amount.quantize(Decimal("0.0001"))


def shape(trade: Trade) -> tuple[Any, ...]:
    """What was asked for."""
    asked = trade.order
    return (asked.contract.symbol, asked.action, asked.quantity, asked.order_type, asked.limit_price, asked.stop_price)


# --- commands -------------------------------------------------------------------------------------------------------

Command = Callable[[Player], Trade | Sequence[Trade] | None]
CENTS = st.integers(-60, 60)
WHICH = st.integers(0, 30)


def place(contract: Contract, action: Action, quantity: int, limit: int | None, stop: int | None) -> Command:
    def run(player: Player) -> Trade:
        level, trigger = (None if away is None else player.price(contract, away) for away in (limit, stop))
        wanted = order(action, quantity, level, trigger, contract)
        return player.stage.broker.place_order(wanted)

    return run


def bracket(contract: Contract, action: Action, entry: int, profit: int, loss: int) -> Command:
    def run(player: Player) -> Sequence[Trade]:
        parent = order(action, 10, player.price(contract, entry), None, contract)
        up, down = (profit, -loss) if action is Action.BUY else (-profit, loss)
        exits = [player.price(contract, entry) + Decimal(away) / 100 for away in (up, down)]
        return player.stage.broker.place_bracket(Bracket.around(parent, *exits))

    return run


def modify(which: int, quantity: int | None, limit: int | None) -> Command:
    def run(player: Player) -> Trade | None:
        if not player.ids:
            return None
        order_id = player.ids[which % len(player.ids)]
        contract = player.stage.broker.trade(order_id).order.contract
        own = NVDA if contract.symbol == "NVDA" else MSFT
        change = OrderChange(
            Decimal(quantity) if quantity else None, None if limit is None else player.price(own, limit)
        )
        return player.stage.broker.modify_order(order_id, change)

    return run


def cancel(which: int) -> Command:
    def run(player: Player) -> Trade | None:
        return player.stage.broker.cancel_order(player.ids[which % len(player.ids)]) if player.ids else None

    return run


def wait(seconds: int) -> Command:
    def run(player: Player) -> None:
        player.stage.pass_time(seconds)

    return run


CONTRACTS, ACTIONS = st.sampled_from([NVDA, MSFT]), st.sampled_from(Action)
QUANTITIES = st.one_of(st.integers(1, 300), st.just(900_000))
COMMANDS = st.lists(
    st.one_of(
        st.builds(place, CONTRACTS, ACTIONS, QUANTITIES, st.none() | CENTS, st.none() | CENTS),
        st.builds(bracket, CONTRACTS, ACTIONS, CENTS, st.integers(1, 60), st.integers(1, 60)),
        st.builds(modify, WHICH, st.none() | st.integers(1, 300), st.none() | CENTS),
        st.builds(cancel, WHICH),
        st.builds(wait, st.integers(1, 8)),
    ),
    min_size=8,
    max_size=25,
)
filled = 0


def play(stage: Stage, commands: Sequence[Command]) -> dict[str, Any]:
    """Let a broker play the sequence; return what it told."""
    try:
        player = Player(stage)
        for command in commands:
            player.do(command)
        stage.pass_time(3)
        return player.log()
    finally:
        stage.close()


# No shrinking: it takes minutes, and a sequence is short.
@settings(max_examples=20, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(COMMANDS)
def agree(commands: Sequence[Command]) -> None:
    """Both tell the same."""
    global filled  # noqa: PLW0603
    ours = simulated(IDEAL)
    ours.pass_time(1)  # it has seen one instant less
    expected = play(ours, commands)
    found = play(over_the_socket(IDEAL, StillClock(START)), commands)
    for name, said in expected.items():
        assert found[name] == said, name
    filled += len(expected["fills"])


def test_both_backends_tell_the_same() -> None:
    """Random orders, brackets, changes, cancels and waits; enough of them fill."""
    agree()
    assert filled > 15
