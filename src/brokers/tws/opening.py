"""Makes the broker for an address where something answers."""

from typing import TYPE_CHECKING

from src.brokers.egress import Egress
from src.brokers.findings import Finding
from src.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from src.brokers.tws.broker import TwsBroker
    from src.brokers.tws.session import Address


def open_tws(
    settings: Settings,
    finding: Finding,
    *,
    client_id: int | None = None,
    egress: Egress | None = None,
    where: "Callable[[], Address | None] | None" = None,
) -> "TwsBroker":
    """A broker connected to the TWS at a finding's address; as client `client_id`, by default the settings' own.

    `where` looks for TWS anew after the connection was lost.

    Without an `egress` to count them, orders leave as they are asked for.

    ConnectionFailedError, ConfigurationError or LiveTradingRefusedError; then nothing is left open.
    """
    from src.brokers.tws.broker import TwsBroker  # brings asyncio

    broker = TwsBroker(settings, finding.host, finding.port, client_id=client_id, egress=egress, where=where)
    broker.connect()
    return broker
