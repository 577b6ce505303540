"""What is wrong with bytes or values that should be TWS's: one error, naming message, field and finding."""

from src.domain.errors import BrokerError


class WireError(BrokerError, ValueError):
    """A frame, message or field that is not TWS's text protocol (IB's codes 320 and 507).

    `message` is the message's name, `field` the field's, `found` what stood there. `request_id` is the request's or
    order's id when it was read before the fault: the answer (an error 320) goes under it.
    """

    def __init__(self, message: str, field: str, found: str, *, request_id: int | None = None) -> None:
        super().__init__(f"{message}: {field}: {found}", code=320)
        self.message, self.field, self.found, self.request_id = message, field, found, request_id
