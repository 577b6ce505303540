"""Every error that Understudy raises, under one root. A message says what to do next.

`code` is TWS's message code where there is one; `retryable` says whether the same call may succeed later unchanged.
"""

from typing import ClassVar, Final

_LONGEST_SHOWN: Final = 60


def shown(value: object) -> str:
    """A caller's value as a message shows it: whatever it is, in one short piece."""
    try:
        text = repr(value)
    except ValueError:  # an int of more digits than Python writes out
        return f"an {type(value).__name__} of thousands of digits"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


class BrokerError(Exception):
    """Root of all our errors: `except BrokerError` catches every one."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class ConfigurationError(BrokerError):
    """A setting, file or option is wrong; the message names the key, never a secret value."""


class NotConnectedError(BrokerError):
    """No broker is connected: call `connect()` first."""

    retryable = True


class CancelKeptError(NotConnectedError):
    """A cancel could not be sent now: it is kept, and sent once the venue is there again. It need not be repeated."""

    retryable = False


class ConnectionFailedError(BrokerError):
    """No connection came about; `phase` names the step that failed."""

    retryable = True

    def __init__(self, phase: str, cause: str, *, code: int | None = None) -> None:
        super().__init__(f"{phase}: {cause}", code=code)
        self.phase, self.cause = phase, cause


class ClientIdInUseError(ConnectionFailedError):
    """Another program holds this client id (TWS code 326)."""


class ConnectionLostError(BrokerError):
    """The connection ended while a request was under way."""

    retryable = True


class RequestTimeoutError(BrokerError):
    """The venue did not answer a request in time."""

    retryable = True


class NotSynchronisedError(BrokerError):
    """The account's state is not known yet; it is not flat, it is unknown."""

    retryable = True


class OrderOutcomeUnknownError(BrokerError):
    """An order may or may not be at the venue: look before anything else is sent."""


class InvalidOrderError(BrokerError, ValueError):
    """The order is malformed; nothing was sent."""


class UnknownContractError(BrokerError):
    """No such contract, or several; `candidates` lists what was found (TWS code 200)."""

    def __init__(self, message: str, *, candidates: tuple[str, ...] = (), code: int | None = 200) -> None:
        super().__init__(message, code=code)
        self.candidates = candidates


class NoMarketDataError(BrokerError):
    """There is no usable price now; the message names the cause."""

    retryable = True


class UnknownOrderError(BrokerError):
    """No order bears this id here (TWS codes 135, 10147)."""


class PacingViolationError(BrokerError):
    """IB's request limits would be broken."""

    retryable = True


class OrderRejectedError(BrokerError):
    """The venue refused an order, a modification or a cancel; `reason` is its text, `order_id` the order's if any."""

    def __init__(self, message: str, *, reason: str = "", code: int | None = 201, order_id: int | None = None) -> None:
        super().__init__(message, code=code)
        self.reason, self.order_id = reason or message, order_id


class OrderRefusedError(OrderRejectedError):
    """A limit of ours refused the order; nothing was sent."""


class LiquidatedError(BrokerError):
    """The venue has closed a position of the account for want of margin: no new risk before a person has looked."""


class LiveTradingRefusedError(BrokerError):
    """Real money needs three agreeing facts (decision D9); they do not agree."""


class NotSupportedError(BrokerError):
    """This backend cannot do that."""


class DataFileError(ConfigurationError):
    """A price file is unusable; the message names file, line, column and what was expected."""


class JournalError(BrokerError):
    """The journal cannot be used: damaged, newer than this version, another account's. The file is left as it is."""


class JournalInUseError(JournalError):
    """Another process writes this journal: it trades on the same account."""

    retryable = True


class JournalUnavailableError(JournalError):
    """An intent could not be written down, so nothing may be sent."""

    retryable = True
