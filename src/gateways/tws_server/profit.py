"""Profit and loss over the wire, about once a second: of an account, and of one of its positions.

A position's profit of the day is all of its profit: what it was worth yesterday is not kept.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from src.domain.orders import AccountId
from src.gateways.tws_codec import CancelPnL, CancelPnLSingle, PnL, PnLSingle, Reply, ReqPnL, ReqPnLSingle
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers
from src.gateways.tws_server.refusals import DUPLICATE_TICKER, RefusedError

_PLACES: Final = Decimal("0.0001")
_NOTHING: Final = Decimal(0)


@dataclass(slots=True)
class _Watch:
    """An account, or one position of it, and what was told last."""

    account: AccountId
    con_id: int | None
    told: Reply | None = None


class ProfitDesk:
    """Tells profit and loss to those who follow it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._watches: dict[tuple[Connection, int], _Watch] = {}
        self.handlers: Handlers = {
            ReqPnL: lambda client, message: self._follow(client, message, None),
            ReqPnLSingle: lambda client, message: self._follow(client, message, message.con_id),
            CancelPnL: lambda client, message: self._watches.pop((client, message.req_id), None),
            CancelPnLSingle: lambda client, message: self._watches.pop((client, message.req_id), None),
        }

    @property
    def is_followed(self) -> bool:
        """A profit moves only with what somebody follows."""
        return False

    def forget(self, client: Connection) -> None:
        """The client is gone."""
        for key in [key for key in self._watches if key[0] is client]:
            del self._watches[key]

    def _follow(self, client: Connection, message: ReqPnL | ReqPnLSingle, con_id: int | None) -> None:
        key = client, message.req_id
        if key in self._watches:
            raise RefusedError(DUPLICATE_TICKER, "Error processing request.-'b1' : cause - Duplicate request id")
        watch = self._watches[key] = _Watch(self._context.account(message.account), con_id)
        self._tell_one(client, message.req_id, watch)

    def tell(self) -> None:
        """Tell everybody what has changed."""
        for (client, req_id), watch in self._watches.items():
            if not client.is_slow:
                self._tell_one(client, req_id, watch)

    def _tell_one(self, client: Connection, req_id: int, watch: _Watch) -> None:
        message = self._of_account(req_id, watch) if watch.con_id is None else self._of_position(req_id, watch)
        if message != watch.told:
            watch.told = message
            client.send(message)

    def _of_account(self, req_id: int, watch: _Watch) -> Reply:
        with self._context.venue.lock:
            pnl = self._context.venue.exchange.pnl(watch.account)
        return PnL(req_id, *(value.quantize(_PLACES) for value in (pnl.daily, pnl.unrealized, pnl.realized)))

    def _of_position(self, req_id: int, watch: _Watch) -> Reply:
        with self._context.venue.lock:
            positions = self._context.venue.exchange.positions(watch.account)
        found = next((each for each in positions if each.contract.con_id == watch.con_id), None)
        if found is None:
            return PnLSingle(req_id, _NOTHING, None, None, None, None)
        unrealized, realized = found.unrealized_pnl.quantize(_PLACES), found.realized_pnl.quantize(_PLACES)
        value = found.market_value.quantize(_PLACES)
        return PnLSingle(req_id, found.quantity, unrealized + realized, unrealized, realized, value)
