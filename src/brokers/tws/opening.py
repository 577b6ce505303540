"""Makes the broker for an address where something answers."""

from typing import TYPE_CHECKING

from src.brokers.egress import Egress
from src.brokers.findings import Finding
from src.settings import Settings

if TYPE_CHECKING:
    from src.brokers.tws.broker import TwsBroker


def open_tws(
    settings: Settings, finding: Finding, *, client_id: int | None = None, egress: Egress | None = None
) -> "TwsBroker":
    """A broker connected to the TWS at a finding's address; as client `client_id`, by default the settings' own.

    Without an `egress` to count them, orders leave as they are asked for.

    ConnectionFailedError, ConfigurationError or LiveTradingRefusedError; then nothing is left open.
    """
    from src.brokers.tws.broker import TwsBroker  # brings asyncio

    broker = TwsBroker(settings, finding.host, finding.port, client_id=client_id, egress=egress)
    broker.connect()
    return broker
