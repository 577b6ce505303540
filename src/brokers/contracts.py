"""From a symbol as a person writes it to the one contract meant, and the prices that it can be ordered at.

What the broker has answered once is kept for the session: contracts do not change under a connection.
"""

from decimal import Decimal, localcontext
from typing import Final

from src.brokers.broker import Broker
from src.domain.errors import InvalidOrderError, UnknownContractError, shown
from src.domain.market import Contract, ContractDetails, contract_named
from src.domain.orders import checked_amount

_LONGEST_SYMBOL: Final = 20


class Contracts:
    """The contracts of one broker, by symbol. Any thread may ask; at worst a question is asked twice."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._contracts: dict[str, Contract] = {}
        self._details: dict[Contract, ContractDetails] = {}

    def find(self, symbol: object) -> Contract:
        """Return what a symbol means, in either case: NVDA, EUR.USD; UnknownContractError when there is none such."""
        if type(symbol) is str and (known := self._contracts.get(symbol)) is not None:
            return known
        if not isinstance(symbol, str):
            raise UnknownContractError(f"a symbol is a text such as 'NVDA', not {shown(symbol)}")
        name = symbol.strip().upper()
        if not name or len(name) > _LONGEST_SYMBOL or not (name.isascii() and name.isprintable()):
            raise UnknownContractError(f"{symbol[:_LONGEST_SYMBOL]!r} is not a symbol: it is a text such as 'NVDA'")
        if name not in self._contracts:
            self._contracts[name] = self._broker.qualify(contract_named(name))
        return self._contracts[name]

    def price(self, contract: Contract, value: object, name: str) -> Decimal:
        """Return `value` as a price of `contract`; InvalidOrderError, naming `name`, unless it stands on the tick."""
        price, tick = checked_amount(value, name), self.details(contract).min_tick
        with localcontext() as context:  # the caller's thread may have a precision of its own
            context.prec = 34
            if tick > 0 and price % tick:
                near = max(tick, (price / tick).to_integral_value() * tick)
                raise InvalidOrderError(
                    f"{name} {price} is off the tick of {contract.local_symbol}, {tick}: try {near}"
                )
        return price

    def details(self, contract: Contract) -> ContractDetails:
        """Return what the broker says of a contract."""
        if contract not in self._details:
            self._details[contract] = self._broker.contract_details(contract)
        return self._details[contract]
