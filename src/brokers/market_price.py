"""What a contract is worth now, as one number: of its quote, and where nobody quotes or has traded, of its last bar."""

from src.brokers import answers
from src.brokers.broker import Broker
from src.domain.errors import NoMarketDataError, NotSupportedError
from src.domain.market import BarSize, Contract


def market_price(broker: Broker, contract: Contract) -> float:
    """Dollars: last if inside the spread, else the middle, else the last close; NoMarketDataError says why not."""
    cause = "neither bid and ask nor a last price"
    try:
        if (price := answers.current_price(broker.quote(contract))) is not None:
            return price
    except NoMarketDataError as error:
        cause = str(error)
    if (price := _last_close(broker, contract)) is None:
        raise NoMarketDataError(f"no price of {contract.local_symbol}: {cause}")
    return price


def _last_close(broker: Broker, contract: Contract) -> float | None:
    try:
        bars = broker.bars(contract, BarSize.MIN_1, 1)
    except (NoMarketDataError, NotSupportedError):
        return None
    return bars[-1].close if bars and answers.is_price(bars[-1].close) else None
