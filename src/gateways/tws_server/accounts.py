"""Accounts over the wire: positions, account updates and summaries, profit and loss; asked once, then told of changes.

After a fill the positions go out at once; the account's values a moment later, those that have changed.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from src.domain.account import Position
from src.domain.events import Event, PositionChanged
from src.domain.orders import AccountId
from src.gateways.tws_codec import (
    AccountSummaryEnd,
    AccountSummaryMessage,
    AccountUpdateMulti,
    AccountUpdateMultiEnd,
    AcctDownloadEnd,
    AcctUpdateTime,
    AcctValue,
    CancelAccountSummary,
    CancelAccountUpdatesMulti,
    CancelPositions,
    CancelPositionsMulti,
    FamilyCode,
    FamilyCodes,
    ManagedAccounts,
    PortfolioValue,
    PositionData,
    PositionEnd,
    PositionMulti,
    PositionMultiEnd,
    ReqAccountSummary,
    ReqAccountUpdates,
    ReqAccountUpdatesMulti,
    ReqFamilyCodes,
    ReqManagedAccts,
    ReqPositions,
    ReqPositionsMulti,
)
from src.gateways.tws_server.account_values import AccountRow, AccountView, account_rows, ledger_rows, summary_rows
from src.gateways.tws_server.connection import Connection
from src.gateways.tws_server.context import Context, Handlers, wire_contract
from src.gateways.tws_server.times import new_york

_CENT: Final = Decimal("0.01")
_LEDGER_AND_NLV: Final = frozenset({"NetLiquidation", "NetLiquidation-S"})


@dataclass(slots=True)
class _Watch:
    """What one client has asked to be kept informed of; by request id, with what it was told last."""

    positions: bool = False
    positions_multi: dict[int, AccountId] = field(default_factory=dict)
    updates: AccountId | None = None
    told: dict[tuple[str, str], str] = field(default_factory=dict)
    multi: dict[int, tuple[AccountId, bool, dict[tuple[str, str], str]]] = field(default_factory=dict)
    summaries: dict[int, tuple[list[str], dict[tuple[str, str, str], str]]] = field(default_factory=dict)


class AccountDesk:
    """Answers questions about the accounts, and keeps telling what changes."""

    def __init__(self, context: Context) -> None:
        self._context, self._exchange = context, context.venue.exchange
        self._watches: dict[Connection, _Watch] = {}
        self.has_news = False  # something has traded since the values were told
        self.handlers: Handlers = {
            ReqManagedAccts: self._managed,
            ReqFamilyCodes: self._families,
            ReqPositions: self._positions,
            CancelPositions: self._cancel_positions,
            ReqPositionsMulti: self._positions_multi,
            CancelPositionsMulti: lambda client, message: self._of(client).positions_multi.pop(message.req_id, None),
            ReqAccountUpdates: self._updates,
            ReqAccountUpdatesMulti: self._updates_multi,
            CancelAccountUpdatesMulti: lambda client, message: self._of(client).multi.pop(message.req_id, None),
            ReqAccountSummary: self._summary,
            CancelAccountSummary: lambda client, message: self._of(client).summaries.pop(message.req_id, None),
        }

    def _of(self, client: Connection) -> _Watch:
        return self._watches.setdefault(client, _Watch())

    def forget(self, client: Connection) -> None:
        """The client is gone."""
        self._watches.pop(client, None)

    def view(self, account: AccountId) -> AccountView:
        """An account as it is now."""
        with self._context.venue.lock:
            summary = self._exchange.account_summary(account, self._context.now())
            return AccountView(summary, self._exchange.pnl(account), self._exchange.positions(account))

    def _accounts_of(self, name: str) -> tuple[AccountId, ...]:
        """The accounts that a request means by a name, by `All` or by nothing."""
        return self._context.accounts if name in ("", "All") else (self._context.account(name),)

    # --- questions -------------------------------------------------------------------------------------------------

    def _managed(self, client: Connection, message: ReqManagedAccts) -> None:
        del message
        client.send(ManagedAccounts(",".join(self._context.accounts)))

    def _families(self, client: Connection, message: ReqFamilyCodes) -> None:
        del message
        client.send(FamilyCodes(tuple(FamilyCode(account, "") for account in self._context.accounts)))

    def _positions(self, client: Connection, message: ReqPositions) -> None:
        del message
        self._of(client).positions = True
        for account in self._context.accounts:
            for position in self.view(account).positions:
                if position.quantity:
                    client.send(_position(position))
        client.send(PositionEnd())

    def _cancel_positions(self, client: Connection, message: CancelPositions) -> None:
        del message
        self._of(client).positions = False

    def _positions_multi(self, client: Connection, message: ReqPositionsMulti) -> None:
        for account in self._accounts_of(message.account):
            self._of(client).positions_multi[message.req_id] = AccountId(message.account)
            for position in self.view(account).positions:
                if position.quantity:
                    client.send(_position_multi(message.req_id, position))
        client.send(PositionMultiEnd(message.req_id))

    def _updates(self, client: Connection, message: ReqAccountUpdates) -> None:
        watch = self._of(client)
        if not message.subscribe:
            watch.updates = None
            return
        account = self._context.accounts[0] if not message.acct_code else self._context.account(message.acct_code)
        if watch.updates not in (None, account):
            client.error(-1, 2100, "API client has been unsubscribed from account data.")
        watch.updates, watch.told = account, {}
        self._send_updates(client, watch, account)
        client.send(AcctDownloadEnd(account))

    def _send_updates(self, client: Connection, watch: _Watch, account: AccountId) -> None:
        view = self.view(account)
        for row in _changes(account_rows(view), watch.told):
            client.send(AcctValue(row.key, row.value, row.currency, account))
        for position in view.positions:
            client.send(_portfolio(position))
        client.send(AcctUpdateTime(f"{new_york(self._context.now()):%H:%M}"))

    def _updates_multi(self, client: Connection, message: ReqAccountUpdatesMulti) -> None:
        account = self._context.account(message.account)
        told: dict[tuple[str, str], str] = {}
        self._of(client).multi[message.req_id] = (account, message.ledger_and_nlv, told)
        self._send_multi(client, message.req_id, account, told, only_ledger=message.ledger_and_nlv)
        client.send(AccountUpdateMultiEnd(message.req_id))

    def _send_multi(
        self,
        client: Connection,
        req_id: int,
        account: AccountId,
        told: dict[tuple[str, str], str],
        *,
        only_ledger: bool,
    ) -> None:
        view = self.view(account)
        rows = account_rows(view)
        if only_ledger:
            rows = [row for row in rows if row.key in _LEDGER_AND_NLV] + ledger_rows(view)
        for row in _changes(rows, told):
            client.send(AccountUpdateMulti(req_id, account, "", row.key, row.value, row.currency))

    def _summary(self, client: Connection, message: ReqAccountSummary) -> None:
        tags = [tag.strip() for tag in message.tags.split(",") if tag.strip()]
        told: dict[tuple[str, str, str], str] = {}
        self._of(client).summaries[message.req_id] = (tags, told)
        self._send_summary(client, message.req_id, tags, told)
        client.send(AccountSummaryEnd(message.req_id))

    def _send_summary(
        self, client: Connection, req_id: int, tags: list[str], told: dict[tuple[str, str, str], str]
    ) -> None:
        for account in self._context.accounts:
            for row in summary_rows(self.view(account), tags):
                key = (account, row.key, row.currency)
                if told.get(key) != row.value:
                    told[key] = row.value
                    client.send(AccountSummaryMessage(req_id, account, row.key, row.value, row.currency))

    # --- changes ---------------------------------------------------------------------------------------------------

    def take(self, event: Event) -> None:
        """Tell a position that has changed; the account's values follow with `tell_values`."""
        if not isinstance(event, PositionChanged):
            return
        self.has_news = True
        position = event.position
        for client, watch in self._watches.items():
            if watch.positions:
                client.send(_position(position))
            for req_id, account in watch.positions_multi.items():
                if account in ("", "All", position.account):
                    client.send(_position_multi(req_id, position))
            if watch.updates == position.account:
                client.send(_portfolio(position))

    def tell_values(self, *, summaries: bool = True) -> None:
        """Tell every client what has changed of the values it follows; of a trade TWS's summaries do not tell."""
        self.has_news = False
        for client, watch in self._watches.items():
            if client.is_slow:
                continue
            if watch.updates is not None:
                self._send_updates(client, watch, watch.updates)
            for req_id, (account, only_ledger, told) in watch.multi.items():
                self._send_multi(client, req_id, account, told, only_ledger=only_ledger)
            for req_id, (tags, last) in watch.summaries.items() if summaries else ():
                self._send_summary(client, req_id, tags, last)


def _changes(rows: list[AccountRow], told: dict[tuple[str, str], str]) -> list[AccountRow]:
    """The rows that differ from what was told; told they are from now on."""
    changed = [row for row in rows if told.get((row.key, row.currency)) != row.value]
    told.update(((row.key, row.currency), row.value) for row in changed)
    return changed


def _position(position: Position) -> PositionData:
    contract = wire_contract(position.contract, exchange=position.contract.primary_exchange)
    return PositionData(position.account, contract, position.quantity, position.average_cost)


def _position_multi(req_id: int, position: Position) -> PositionMulti:
    contract = wire_contract(position.contract, exchange=position.contract.primary_exchange)
    return PositionMulti(req_id, position.account, contract, position.quantity, position.average_cost)


def _portfolio(position: Position) -> PortfolioValue:
    return PortfolioValue(
        wire_contract(position.contract),
        position.quantity,
        position.market_price,
        position.market_value.quantize(_CENT),
        position.average_cost,
        position.unrealized_pnl.quantize(_CENT),
        position.realized_pnl.quantize(_CENT),
        position.account,
    )
