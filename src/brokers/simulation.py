"""A simulated broker from the settings: its market, its account, and where the account is kept."""

import math
from typing import TYPE_CHECKING, Final

from src.brokers.simulated import SimulatedBroker
from src.domain.orders import AccountId
from src.exchange.state import ExchangeState
from src.runtime.market import Market, MarketRules, recorded_market, seeded_market

if TYPE_CHECKING:
    from src.brokers.opening import Play
    from src.records.simulated_account import SimulatedAccountFile
    from src.runtime.files import Recording
    from src.settings import Settings

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
        return _broker(_seeded(settings, play, state), file)
    except BaseException:
        file.close()
        raise


def open_recorded(settings: "Settings", recording: "Recording", speed: float = math.inf) -> SimulatedBroker:
    """A broker over recorded prices; `speed` is market seconds per real second."""
    return _broker(recorded_market(_rules(settings), recording, {ACCOUNT: settings.initial_capital}, speed))


def _seeded(settings: "Settings", play: "Play", state: ExchangeState | None) -> Market:
    accounts = {ACCOUNT: settings.initial_capital}
    return seeded_market(_rules(settings), settings.symbols, accounts, speed=play.speed, start=play.start, state=state)


def _rules(settings: "Settings") -> MarketRules:
    return MarketRules(
        preset=settings.sim_preset, hours=settings.sim_market_hours, fees=settings.sim_fees, seed=settings.sim_seed
    )


def _broker(market: Market, file: "SimulatedAccountFile | None" = None) -> SimulatedBroker:
    details = tuple(each.details for each in market.listings)
    return SimulatedBroker(market.venue, ACCOUNT, details, market.latency, file)
