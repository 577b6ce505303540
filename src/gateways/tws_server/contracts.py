"""Contract details, matching symbols and market rules."""

from decimal import Decimal
from typing import Final

from src.exchange.listings import Listing
from src.gateways.tws_codec import (
    ContractData,
    ContractDataEnd,
    MarketRule,
    PriceIncrement,
    ReqContractDetails,
    ReqMarketRule,
    ReqMatchingSymbols,
    ReqSecDefOptParams,
    SecurityDefinitionOptionParameterEnd,
    SymbolSample,
    SymbolSamples,
)
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers, wire_contract
from src.gateways.tws_server.listed import MARKET_RULE, ORDER_TYPES, stock_type, venues
from src.gateways.tws_server.refusals import invalid
from src.gateways.tws_server.times import ZONE_ID, hours

_MIN_SIZE: Final = Decimal("0.0001")


class ContractDesk:
    """Answers questions about what is listed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.handlers: Handlers = {
            ReqContractDetails: self._details,
            ReqMatchingSymbols: self._matching,
            ReqMarketRule: self._rule,
            ReqSecDefOptParams: self._options,
        }

    def _details(self, client: Connection, message: ReqContractDetails) -> None:
        listing = self._context.listing(message.contract)
        exchange = message.contract.exchange or None
        client.send(self._data(message.req_id, listing, exchange))
        client.send(ContractDataEnd(message.req_id))

    def _data(self, req_id: int, listing: Listing, exchange: str | None) -> ContractData:
        sessions, now = self._context.market.sessions, self._context.now()
        contract = wire_contract(listing.contract, exchange=exchange)
        places = venues(listing)
        return ContractData(
            req_id,
            contract,
            market_name=contract.trading_class,
            min_tick=listing.min_tick,
            order_types=ORDER_TYPES,
            valid_exchanges=",".join(places),
            long_name=listing.long_name,
            time_zone_id=ZONE_ID,
            trading_hours=hours(sessions, now, liquid=False),
            liquid_hours=hours(sessions, now, liquid=True),
            agg_group=1,
            market_rule_ids=",".join(str(MARKET_RULE) for _ in places),
            stock_type=stock_type(listing),
            min_size=_MIN_SIZE,
            size_increment=_MIN_SIZE,
            suggested_size_increment=Decimal(100),
        )

    def _matching(self, client: Connection, message: ReqMatchingSymbols) -> None:
        samples = tuple(
            SymbolSample(each.con_id, each.symbol, "STK", each.primary_exchange, "USD", description=each.long_name)
            for each in self._context.catalogue.matching(message.pattern)
        )
        client.send(SymbolSamples(message.req_id, samples))

    def _rule(self, client: Connection, message: ReqMarketRule) -> None:
        if message.market_rule_id != MARKET_RULE:
            raise invalid(f"Unknown market rule {message.market_rule_id}", "b4")
        # SEC Rule 612 lets prices below one dollar move by a hundredth of a cent.
        increments = (PriceIncrement(0.0, 0.0001), PriceIncrement(1.0, 0.01))
        client.send(MarketRule(MARKET_RULE, increments))

    def _options(self, client: Connection, message: ReqSecDefOptParams) -> None:
        client.send(SecurityDefinitionOptionParameterEnd(message.req_id))  # there are no options here
