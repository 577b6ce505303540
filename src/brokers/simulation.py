"""A simulated broker from the settings: its market, its account, and where the account is kept."""

import logging
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from src.brokers.simulated import SimulatedBroker
from src.domain.orders import AccountId
from src.exchange.state import ExchangeState
from src.runtime.clock import NS, iso, wall_clock
from src.runtime.market import Market, MarketRules, recorded_market, seeded_market

if TYPE_CHECKING:
    from src.brokers.opening import Play
    from src.records.simulated_account import SimulatedAccountFile
    from src.runtime.files import Recording
    from src.settings import Settings

_log = logging.getLogger(__name__)
_CENT: Final = Decimal("0.01")
_CLOCKS_DIFFER: Final = 60 * NS
#: The simulated account: `SIM` can be taken for no real one.
ACCOUNT: Final = AccountId("SIM0001")


def open_simulated(settings: "Settings", play: "Play") -> SimulatedBroker:
    """A broker over a market of its own: recorded prices when `play.replay` names files, seeded ones otherwise.

    With `play.persistent` the account is read from, and written to, the state folder.
    """
    if play.replay:
        from src.runtime.files import load

        return open_recorded(settings, load(play.replay, settings.symbols or None), play.speed)
    if not play.persistent:
        return _broker(_seeded(settings, play, None))
    from src.records.simulated_account import SimulatedAccountFile

    file = SimulatedAccountFile(settings.state_dir)
    try:
        state = file.load()
        if state is not None:
            _compare(settings, state, wall_clock() if play.start is None else play.start)
        return _broker(_seeded(settings, play, state), file)
    except BaseException:
        file.close()
        raise


def _compare(settings: "Settings", state: ExchangeState, now: int) -> None:
    """Warn where the account that is kept is not what was asked for, or cannot be traded on yet."""
    anew = "To begin anew: python -m src sim reset"
    if state.now > now + _CLOCKS_DIFFER:
        _log.warning(
            "the simulated account was last used at %s, which is ahead of this machine's clock: prices stand still and "
            "orders do not fill before then. Set the clock right if it is wrong. %s", iso(state.now), anew
        )  # fmt: skip
    for account in state.accounts:
        # What came in and went out is in the cost of what is held and in what was realized.
        began = account.cash + sum(holding.basis for holding in account.holdings) - account.realized
        if "initial_capital" in settings.given and abs(began - settings.initial_capital) >= _CENT:
            _log.warning(
                "INITIAL_CAPITAL counts for a new account: the one that is kept began with $%s. %s",
                f"{began:,.2f}",
                anew,
            )


def open_recorded(settings: "Settings", recording: "Recording", speed: float = math.inf) -> SimulatedBroker:
    """A broker over recorded prices; `speed` is market seconds per real second."""
    return _broker(recorded_market(_rules(settings), recording, {ACCOUNT: settings.initial_capital}, speed))


def _seeded(settings: "Settings", play: "Play", state: ExchangeState | None) -> Market:
    accounts = {ACCOUNT: settings.initial_capital}
    return seeded_market(_rules(settings), settings.symbols, accounts, speed=play.speed, start=play.start, state=state)


def _rules(settings: "Settings") -> MarketRules:
    return MarketRules(
        preset=settings.sim_preset,
        hours=settings.sim_market_hours,
        fees=settings.sim_fees,
        seed=settings.sim_seed,
        hard_to_borrow=settings.sim_hard_to_borrow,
    )


def _broker(market: Market, file: "SimulatedAccountFile | None" = None) -> SimulatedBroker:
    details = tuple(each.details for each in market.listings)
    return SimulatedBroker(market.venue, ACCOUNT, details, market.latency, file)
