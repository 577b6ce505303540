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
from src.gateways.tws_server.listed import ORDER_TYPES, has_trades, market_rule, stock_type, venues
from src.gateways.tws_server.refusals import invalid
from src.gateways.tws_server.times import ZONE_ID, hours

#: The least size, and the size that people trade in: shares come in parts, currencies in whole units.
_SHARES: Final = Decimal("0.0001"), Decimal(100)
_UNITS: Final = Decimal(1), Decimal(1)


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
        least, usual = _SHARES if has_trades(listing.contract) else _UNITS
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
            market_rule_ids=",".join(str(market_rule(listing)) for _ in places),
            stock_type=stock_type(listing),
            min_size=least,
            size_increment=least,
            suggested_size_increment=usual,
        )

    def _matching(self, client: Connection, message: ReqMatchingSymbols) -> None:
        samples = tuple(
            SymbolSample(
                each.con_id,
                each.symbol,
                each.sec_type,
                each.primary_exchange or each.exchange,
                each.currency,
                description=each.long_name,
            )
            for each in self._context.catalogue.matching(message.pattern)
        )
        client.send(SymbolSamples(message.req_id, samples))

    def _rule(self, client: Connection, message: ReqMarketRule) -> None:
        increments = self._context.catalogue.increments(message.market_rule_id)
        if not increments:
            raise invalid(f"Unknown market rule {message.market_rule_id}", "b4")
        steps = tuple(PriceIncrement(float(edge), float(tick)) for edge, tick in increments)
        client.send(MarketRule(message.market_rule_id, steps))

    def _options(self, client: Connection, message: ReqSecDefOptParams) -> None:
        client.send(SecurityDefinitionOptionParameterEnd(message.req_id))  # there are no options here
