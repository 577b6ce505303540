"""Why the gateway itself refuses a request: TWS's codes and texts."""

from typing import Final

from src.domain.market import Contract

UNKNOWN_CONTRACT: Final = 200
REJECTED: Final = 201
CANCELLED: Final = 202
VALIDATION: Final = 321
NO_DATA: Final = 162
DUPLICATE_ORDER: Final = 103
ALREADY_FILLED: Final = 104
MISMATCH: Final = 105
NOT_CANCELLABLE: Final = 161
UNKNOWN_TICKER: Final = 300
DEPTH_LIMIT: Final = 309
UNKNOWN_DEPTH: Final = 310
DUPLICATE_TICKER: Final = 322
CLIENT_ID_IN_USE: Final = 326
NOT_SUBSCRIBED: Final = 354
INVALID_REAL_TIME: Final = 420
UNSUPPORTED_TYPE: Final = 387
ACCOUNT_MISSING: Final = 435
NO_TICKS: Final = 10189
CANCEL_UNKNOWN: Final = 10147
CANCEL_TOO_LATE: Final = 10148


class RefusedError(Exception):
    """A request that is refused, with TWS's code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def unknown_contract() -> RefusedError:
    """200."""
    return RefusedError(UNKNOWN_CONTRACT, "No security definition has been found for the request")


def no_trades(contract: Contract) -> RefusedError:
    """162: nobody prints the trades of a currency pair."""
    name = f"{contract.symbol}/{contract.sec_type}@{contract.exchange}"
    text = f"No historical market data for {name} Last: ask for MIDPOINT, BID, ASK or BID_ASK"
    return RefusedError(NO_DATA, f"Historical Market Data Service error message:{text}")


def rejected(reason: str) -> RefusedError:
    """201."""
    return RefusedError(REJECTED, f"Order rejected - reason:{reason}")


def invalid(cause: str, request: str = "bA") -> RefusedError:
    """321, with the short name that TWS has for the kind of request."""
    return RefusedError(VALIDATION, f"Error validating request.-'{request}' : cause - {cause}")
