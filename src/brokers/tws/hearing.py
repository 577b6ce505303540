"""What one connection's TWS says, handed to the session's books: the `Inbox` of its wire. On the loop's thread only.

Each connection has one of its own: a late word of a connection that is gone is not taken for one of the next.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from src.brokers.tws import convert
from src.brokers.tws.connection import Connection
from src.domain.account import OrderPreview
from src.domain.errors import NotSupportedError
from src.domain.events import Notice
from src.domain.market import Contract
from src.domain.orders import AccountId, CommissionReport, OrderId
from src.runtime.clock import monotonic

if TYPE_CHECKING:
    from src.brokers.tws.session import Session

#: IB's 50 messages a second were exceeded.
_PACING: Final = 100


class Hearing:
    """The inbox of one connection of `session`; `connection` is set as soon as there is one."""

    connection: Connection

    def __init__(self, session: "Session") -> None:
        self._session = session

    def numbered(self, con_id: int) -> Contract | None:
        """The contract of this number, if it is known."""
        return self._session.contracts.numbered(con_id)

    def known(self, contract: Contract) -> Contract:
        """The contract under the one name that it has here."""
        return self._session.contracts.known(contract)

    def on_open_order(self, found: convert.OpenOrder) -> None:
        """See `Inbox`, here and below."""
        self.connection.answering()
        self._session.book.opened(found)

    def on_completed_order(self, found: convert.OpenOrder) -> None:  # noqa: D102
        self.connection.answering()
        self._session.book.completed(found)

    def on_order_status(self, report: convert.StatusReport) -> None:  # noqa: D102
        self._session.book.reported(report)

    def on_execution(self, executed: convert.Executed, request: int) -> None:  # noqa: D102
        live, execution = request < 0, executed.execution
        if not live:
            self.connection.answering()
        moved = self._session.book.executed(executed, live=live or self._session.connections > 0)
        if moved is None:
            return
        if self._session.is_synchronised and not live:
            text = f"an execution that TWS had not told, found in its list: {execution.exec_id}"
            notice = Notice(self._session.now(), 0, text, execution.account, execution.order_id)
            self._session.book.events.append(notice)
        if live:
            self._session.account.executed(execution, moved)
        if live or self._session.is_synchronised:  # one that was missed has moved a position unseen
            self._session.looking.confirm_later(missed=not live)

    def on_commission(self, report: CommissionReport) -> None:  # noqa: D102
        execution = self._session.book.charged(
            report, live=self._session.is_synchronised or self._session.connections > 0
        )
        if execution is not None and self._session.is_synchronised:
            self._session.account.charged(execution, report)

    def on_preview(self, order_id: OrderId, preview: OrderPreview | None) -> None:  # noqa: D102
        self._session.orders.previewed(order_id, preview)

    def on_position(self, account: AccountId, contract: Contract, quantity: Decimal, cost: Decimal) -> None:  # noqa: D102
        self.connection.answering()
        self._session.account.position(account, contract, quantity, cost)

    def on_portfolio(self, row: convert.PortfolioRow) -> None:  # noqa: D102
        self.connection.answering()
        self._session.account.portfolio(row)

    def on_account_value(self, account: AccountId, tag: str, value: str, currency: str) -> None:  # noqa: D102
        self._session.account.value(account, tag, value, currency)

    def on_account_time(self) -> None:  # noqa: D102
        self._session.account.values_told()

    def on_account_summary(self, account: AccountId, tag: str, value: str, currency: str) -> None:  # noqa: D102
        self._session.account.summary(account, tag, value, currency)

    def on_pnl(self, values: tuple[Decimal | None, Decimal | None, Decimal | None]) -> None:  # noqa: D102
        self._session.account.profit(*values)

    def on_price(self, request: int, tick: int, price: float, size: float) -> bool:  # noqa: D102
        return self._session.quotes.price(request, tick, price, size) or self._session.lending.knows(request)

    def on_size(self, request: int, tick: int, size: float) -> bool:  # noqa: D102
        return self._session.quotes.size(request, tick, size) or self._session.lending.size(request, tick, size)

    def on_generic(self, request: int, tick: int, value: float) -> bool:  # noqa: D102
        return self._session.lending.generic(request, tick, value)

    def on_data_type(self, request: int, data_type: int) -> bool:  # noqa: D102
        return self._session.quotes.data_type(request, data_type) or self._session.lending.knows(request)

    def on_real_time_bar(self, request: int, start: int, prices: tuple[float, ...]) -> bool:  # noqa: D102
        return self._session.live_bars.bar(request, start, prices)

    def on_error(self, request: int, code: int, text: str) -> None:  # noqa: D102
        session = self._session
        self.connection.heard(code, text)
        if code == _PACING:
            session.slow_down()
        if session.orders.knows(OrderId(request)):
            session.orders.heard(OrderId(request), code, text, session.now())
        elif session.quotes.knows(request):
            session.quotes.heard(request, code, text)
        elif session.lending.knows(request):
            session.lending.heard(request, code, text)
        elif session.live_bars.knows(request):
            session.live_bars.heard(request, code, text)
        elif request == session.pnl_request:
            session.pnl_failure = NotSupportedError(f"no profit and loss of the account: {text}", code=code)
        elif request < 0:
            session.heard_of_all(code, text)

    def on_impossible_id(self, order_id: int) -> None:  # noqa: D102
        self._session.break_off(self.connection.refuse_id(order_id), for_good=True)

    def on_packet(self) -> None:  # noqa: D102
        self._session.last_message = monotonic()
        self.connection.packet()

    def on_packet_end(self) -> None:  # noqa: D102
        self._session.finish()

    def on_closed(self, reason: str) -> None:  # noqa: D102
        self.connection.closed(reason)
        self._session.closed(self, reason or "TWS has closed the connection")

    def on_time(self, moment: int) -> None:  # noqa: D102
        self._session.standing.told_time(moment)
