"""What every part of the gateway works with: the market, who is connected, and the catalogue of what is listed."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol

from src.domain.market import Contract
from src.domain.orders import AccountId, Fill
from src.exchange.listings import Listing
from src.gateways.tws_codec import WireContract
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.listed import Catalogue, trading_class
from src.gateways.tws_server.options import GatewayOptions
from src.gateways.tws_server.refusals import ACCOUNT_MISSING, RefusedError, unknown_contract
from src.runtime.market import Market

Handlers = Mapping[type, Callable[[Connection, Any], object]]


class Wake(Protocol):
    """Has the market looked at again soon."""

    def __call__(self, ordered: Contract | None = None) -> None:
        """`ordered`: an order in this contract was given, and nothing else is new."""
        ...


class Context:
    """The market and its clients. `deliver` tells what the market has brought; `wake` has it looked at again soon."""

    def __init__(self, market: Market, options: GatewayOptions, deliver: Callable[[], None], wake: "Wake") -> None:
        self.market, self.options = market, options
        self.venue = market.venue
        self.catalogue = Catalogue(market.listings)
        self.accounts: tuple[AccountId, ...] = tuple(market.venue.exchange.ledger.accounts)
        self._known = {str(account): account for account in self.accounts}
        self._last_named: tuple[WireContract, Listing] | None = None
        self.clients: dict[int, Connection] = {}
        self.deliver, self.wake = deliver, wake

    def now(self) -> int:
        """Market time."""
        return self.venue.now()

    def listing(self, contract: WireContract) -> Listing:
        """What a client's contract names; RefusedError 200."""
        last = self._last_named
        if last is not None and contract is last[0]:  # orders of one contract name it by one object
            return last[1]
        found = self.catalogue.find(
            contract.con_id,
            contract.symbol,
            contract.local_symbol,
            contract.sec_type,
            contract.exchange,
            contract.primary_exchange,
            contract.currency,
        )
        if found is None:
            raise unknown_contract()
        self._last_named = contract, found
        return found

    def account(self, account_id: str) -> AccountId:
        """The account that a request names, or the only one; RefusedError."""
        if not account_id and len(self.accounts) == 1:
            return self.accounts[0]
        if account_id in self._known:
            return self._known[account_id]
        if not account_id:
            raise RefusedError(ACCOUNT_MISSING, "You must specify an account.")
        raise RefusedError(321, f"Error validating request.-'bF' : cause - Invalid account code '{account_id}'")

    def fills(self, account: AccountId) -> tuple[Fill, ...]:
        """The executions of an account, with what they cost."""
        with self.venue.lock:
            return self.venue.exchange.fills(account)

    def settle(self) -> None:
        """Let a command reach the exchange: a replay that waits for its clients lets the latency pass, a clock does."""
        self.venue.settle(self.market.latency)
        self.deliver()
        self.wake()

    def others(self, client_id: int) -> Iterator[Connection]:
        """Who sees the orders of a client: itself, and the master."""
        own = self.clients.get(client_id)
        if own is not None:
            yield own
        master = self.options.master_client_id
        if master is not None and master != client_id and master in self.clients:
            yield self.clients[master]


@lru_cache(maxsize=4096)
def wire_contract(contract: Contract, *, exchange: str | None = None) -> WireContract:
    """A contract as replies name it; `exchange` where it is not the one that orders are sent to."""
    return WireContract(
        con_id=contract.con_id,
        symbol=contract.symbol,
        sec_type=contract.sec_type,
        exchange=contract.exchange if exchange is None else exchange,
        primary_exchange=contract.primary_exchange,
        currency=contract.currency,
        local_symbol=contract.local_symbol,
        trading_class=trading_class(contract),
    )
