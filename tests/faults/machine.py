"""T3: whatever happens to orders, in any order: a state machine over a guarded TwsBroker and the paper gateway.

Steps are drawn: orders that fill, fill in part or work, executions told twice, late, corrected or annulled, statuses
that never come, cancels that race, a connection that ends and comes back, a session that ends, or is killed, and
begins again on the same journal. After each the journal is held against the gateway's truth.
"""

import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from src.domain.errors import BrokerError
from src.domain.intents import IntentRecord, IntentState
from src.domain.orders import OrderChange, Trade
from src.domain.outcomes import execution_family
from tests.faults import oracle
from tests.faults.harness import FaultStage, soon, wait_for
from tests.faults.proxy import Do
from tests.faults.results import Result

_S: Final = IntentState
_ENDED: Final = frozenset({_S.FILLED, _S.CANCELLED, _S.REJECTED})
_SIDES: Final = st.sampled_from(["BUY", "SELL"])


class Orders(RuleBasedStateMachine):
    """One account over its sessions. What is found goes to `result`, with the steps that led there."""

    result: Result
    number = 0

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="orders-")
        self.stage = FaultStage(Path(self._folder.name), seed=self.number + 1).__enter__()
        self.stage.open()
        self.steps: list[str] = []
        self.is_away = False
        self._orders = 0
        self._seen: dict[str, IntentRecord] = {}

    def teardown(self) -> None:
        """Come back, and look whether all is known in the end."""
        try:
            if not self.result.failures:
                self.return_()
                self._hold()
        finally:
            self.stage.__exit__(None, None, None)
            self._folder.cleanup()

    # --- orders -----------------------------------------------------------------------------------------------------

    @rule(side=_SIDES, shares=st.integers(1, 100), works=st.booleans())
    def place(self, side: str, shares: int, works: bool) -> None:  # hypothesis names it
        self._orders += 1
        self._say(f"place {side} {shares}{' away' * works} as o-{self._orders}")
        if not self.is_away:
            with suppress(BrokerError):
                order = self.stage.order(side, shares, away=1.0 if works else None, ref=f"o-{self._orders}")
                self.stage.attempt(order)

    @rule(side=_SIDES, shares=st.integers(2, 100), part=st.integers(1, 99))
    def fill_in_part(self, side: str, shares: int, part: int) -> None:
        self._play(f"- {{on: newOrder, action: partial, shares: {min(part, shares - 1)}, count: 1}}")
        self.place(side, shares, works=False)

    @rule(which=st.integers(0, 9))
    def fill(self, which: int) -> None:
        """Change a working order so that it fills."""
        self._say("fill a working order")
        if (trade := self._working(which)) is not None and (price := trade.order.limit_price) is not None:
            better = round(price * (100 + 3 * trade.order.action.sign) / 100, 2)
            with suppress(BrokerError):
                self.stage.broker.modify_order(trade.order_id, OrderChange(limit_price=better))

    @rule(which=st.integers(0, 9), races=st.booleans())
    def cancel(self, which: int, races: bool) -> None:
        """Cancel a working order; in a race it fills at the same moment."""
        self._say(f"cancel{', and it fills' * races}")
        if (trade := self._working(which)) is not None:
            if races:
                self.stage.gateway.play("- {on: cancelOrder, action: delay, seconds: 0.02, count: 1}")
                self.fill(which)
            with suppress(BrokerError):
                self.stage.broker.cancel_order(trade.order_id)

    # --- what is told of them ---------------------------------------------------------------------------------------

    @rule(times=st.integers(2, 5))
    def tell_twice(self, times: int) -> None:
        self._play(f"- {{on: [execDetails, commissionReport], action: duplicate, times: {times}, count: 2}}")

    @rule(answer=st.sampled_from(["execDetails", "orderStatus", "openOrder", "commissionReport"]))
    def tell_late(self, answer: str) -> None:
        self._play(f"- {{on: {answer}, action: reorder, count: 1}}")

    @rule(
        answer=st.sampled_from(["execDetails", "orderStatus", "openOrder", "commissionReport"]), count=st.integers(1, 3)
    )
    def tell_never(self, answer: str, count: int) -> None:
        self._play(f"- {{on: {answer}, action: drop, count: {count}}}")

    @rule(cents=st.integers(-50, 50), shares=st.integers(1, 20))
    def correct(self, cents: int, shares: int) -> None:
        """The last execution was of other terms."""
        if (last := self._last()) is not None:
            price, held = last
            self._play(f"- {{at: 0, action: correct, price: {price + cents / 100:.2f}, shares: {min(shares, held)}}}")

    @rule()
    def bust(self) -> None:
        if self._last() is not None:
            self._play("- {at: 0, action: bust}")

    # --- connections and sessions -----------------------------------------------------------------------------------

    @rule(how=st.sampled_from([Do.RESET, Do.FIN]))
    def leave(self, how: Do) -> None:
        """Lose the connection, and find nobody for a while."""
        self._say(f"lose the connection by {how}")
        self.is_away = True
        self.stage.proxy.refuse()
        self.stage.proxy.end(how)
        self._await(connected=False)

    @rule()
    def return_(self) -> None:
        self._say("come back")
        if self.is_away:
            self.is_away = False
            self.stage.proxy.listen()
            self._await(connected=True)

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        """A new session on the same journal."""
        self._say(f"restart{' after a crash' * crash}")
        if self.is_away:
            self.is_away = False
            self.stage.proxy.listen()
        self.stage.restart(crash=crash)

    # --- what holds -------------------------------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        """After each step: I1, I10 at once, and where there is a connection the rest as soon as news has come."""
        self._hold()

    def _hold(self) -> None:
        self.result.trials += 1
        if self.is_away:
            found = oracle.never_twice(self.stage.truth()) + self._monotone(self.stage.written())
        else:
            found = self.stage.settled(also=self._monotone) or self._positions()
        if found:
            self.result.failures += [f"{found[0]} [T3: {'; '.join(self.steps)}]"]
        assert not found, found

    def _monotone(self, written: oracle.Written) -> list[str]:
        """I10: what has ended does not work again, and what has filled is not less, unless it was corrected."""
        found: dict[str, str] = {}
        for record in written.intents:
            ref, before = record.order_ref, self._seen.get(record.order_ref)
            self._seen[ref] = record
            if before is None:
                continue
            if record.filled < before.filled:
                found[ref] = f"I10: {before.filled} of {ref} were filled, and now {record.filled}"
            if before.state in _ENDED and record.state not in _ENDED:
                found[ref] = f"I10: {ref} was {before.state}, and is {record.state}"
        if found:  # what was corrected is asked for afterwards: it may have come about as the journal was read
            for ref in self._corrected():
                found.pop(ref, None)
        return [*found.values()]

    def _positions(self) -> list[str]:
        """I7: what the broker shows is what is held."""

        def shown() -> dict[str, int]:
            held = soon(self.stage.broker.positions)
            return {each.contract.symbol: int(each.quantity) for each in held if each.quantity}

        def true() -> dict[str, int]:
            return {symbol: shares for (_, symbol), shares in self.stage.truth().positions.items()}

        if wait_for(lambda: shown() == true(), 20.0):
            return []
        return [f"I7: {shown()} is shown, and {true()} held"]

    # ----------------------------------------------------------------------------------------------------------------

    def _say(self, step: str) -> None:
        self.steps.append(step)

    def _play(self, rules: str) -> None:
        self._say(rules[2:])
        self.stage.gateway.play(rules)

    def _working(self, which: int) -> Trade | None:
        if self.is_away:
            return None
        with suppress(BrokerError):
            working = sorted(self.stage.broker.open_trades(), key=lambda each: each.order_id)
            return working[which % len(working)] if working else None
        return None

    def _last(self) -> tuple[float, int] | None:
        """Price and shares of the last execution."""
        done = [each for order in self.stage.truth().orders for each in order.executions]
        if not done:
            return None
        last = max(done, key=lambda each: each.time)
        return float(last.price), max(int(last.shares), 1)

    def _corrected(self) -> set[str]:
        """The orders of which some execution was."""
        orders = self.stage.truth().orders
        return {
            order.order_ref for order in orders for each in order.executions if execution_family(each.exec_id)[1] > 1
        }

    def _await(self, *, connected: bool) -> None:
        assert wait_for(lambda: self.stage.broker.is_connected is connected, 60.0), f"{connected=} after 60 s"


def any_order(folder: Path, seed_: int, *, examples: int = 3, steps: int = 12) -> Result:
    """T3: so many lives of an account, of so many steps; the first of them is short."""
    del folder  # each life has one of its own
    found = Result()
    machine = type("Orders", (Orders,), {"result": found, "number": seed_})
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate], print_blob=False,
    )  # fmt: skip
    try:
        run_state_machine_as_test(seed(seed_)(machine), settings=chosen)
    except Exception as error:  # noqa: BLE001  # the finding itself, or that it does not happen again
        if not found.failures:
            found.failures.append(f"T3: {_cause(error)}")
    found.failures = [f"{each} [seed {seed_}]" for each in found.failures[:1]]
    return found


def _cause(error: BaseException) -> str:
    """What was raised in the first place and where, though it did not happen again when it was tried again."""
    again = ""
    while isinstance(error, BaseExceptionGroup):
        again, error = ", once and not again", error.exceptions[0]
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno}{again})"
