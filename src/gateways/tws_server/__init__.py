"""The paper gateway: unmodified TWS API programs trade on the simulated exchange through it.

with PaperGateway(seeded_market(MarketRules(), ["NVDA"], {AccountId("DUSIM01"): Decimal(100_000)})) as gateway:
    ib.connect("127.0.0.1", gateway.port, clientId=1)
"""

from src.gateways.tws_server.gateway import PaperGateway, serve
from src.gateways.tws_server.options import DEFAULT_ACCOUNT, DEFAULT_PORT, GatewayOptions, checked_account

__all__ = ["DEFAULT_ACCOUNT", "DEFAULT_PORT", "GatewayOptions", "PaperGateway", "checked_account", "serve"]
