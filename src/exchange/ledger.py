"""Cash and positions. `Ledger.apply` alone moves money.

Commission is part of the cost basis, as IB states it: a position's average cost includes what its opening cost, and
realized P&L is net of the commission of both ends. Cash moves at the trade; settlement (T+1) is not modelled.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from src.domain.market import Contract
from src.domain.orders import AccountId
from src.exchange.margin import Rates, rates_of
from src.exchange.units import dollars


@dataclass(slots=True)
class Holding:
    """Shares of one contract (negative when short) and their signed cost basis, commission included (dollars)."""

    contract: Contract
    quantity: int = 0
    basis: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    opened_on: int = -1  # the day (epoch days) of the last opening trade, for counting day trades
    rates: Rates = field(init=False)

    def __post_init__(self) -> None:
        self.rates = rates_of(self.contract)

    @property
    def average_cost(self) -> Decimal:
        """Dollars a share; 0 when flat."""
        return self.basis / self.quantity if self.quantity else Decimal(0)


@dataclass(slots=True)
class Account:
    """One account's money. `day_start` is its equity when the day began; None before the first mark."""

    account_id: AccountId
    cash: Decimal
    holdings: dict[int, Holding] = field(default_factory=dict)
    realized: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    day_start: Decimal | None = None
    day_trades: list[int] = field(default_factory=list)


class Ledger:
    """The accounts of an exchange."""

    def __init__(self) -> None:
        self.accounts: dict[AccountId, Account] = {}

    def open(self, account_id: AccountId, cash: Decimal) -> Account:
        """Open an account with `cash` dollars."""
        account = self.accounts[account_id] = Account(account_id, cash, day_start=cash)
        return account

    def apply(
        self, account: Account, contract: Contract, signed: int, price: int, commission: Decimal, day: int
    ) -> tuple[Holding, Decimal | None]:
        """Book one execution: `signed` shares at `price` units, `commission` dollars, on epoch day `day`.

        Returns the holding and the dollars realized, None when the trade only opened.
        """
        value = dollars(signed * price)
        account.cash -= value + commission
        account.commission += commission
        holding = account.holdings.get(contract.con_id)
        if holding is None:
            holding = account.holdings[contract.con_id] = Holding(contract)
        before = holding.quantity
        holding.quantity = before + signed
        if before * signed >= 0:
            holding.basis += value + commission
            holding.opened_on = day
            return holding, None
        if holding.opened_on == day:
            account.day_trades.append(day)
        closed = min(abs(signed), abs(before))
        if closed == abs(signed) == abs(before):
            realized = -holding.basis - value - commission
            holding.basis = Decimal(0)
        else:
            share = Decimal(closed) / abs(signed)
            closing = (value + commission) * share
            opened = holding.basis * closed / abs(before)
            realized = -opened - closing
            holding.basis -= opened
            if closed < abs(signed):  # the trade went through flat and opened the other side
                holding.basis = value + commission - closing
                holding.opened_on = day
        holding.realized += realized
        account.realized += realized
        return holding, realized
