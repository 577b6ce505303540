"""A session of the pure exchange on bars of its own, printed event by event. Run by `test_determinism.py`.

It needs nothing but Python itself and the repository on its path: one seed gives one log, on every Python.
"""

import sys
from decimal import Decimal
from random import Random

from src.domain.market import Bar, Contract, Quote, Source
from src.domain.orders import AccountId, Action, Bracket, Order, OrderChange, OrderType, TimeInForce
from src.exchange.commission import fee_schedule
from src.exchange.exchange import Exchange
from src.exchange.fill_models import IDEAL, Liquidity, realistic
from src.exchange.sessions import Sessions
from src.exchange.terms import Listed

ACCOUNT = AccountId("SIM1")
MINUTE = 60_000_000_000
CONTRACTS = tuple(Contract(name, con_id=number) for number, name in enumerate(("AAA", "BBB", "CCC"), 1))


def drawn(random: Random, contract: Contract, price: int) -> Order:
    """Any order near the market; prices in cents."""
    kind = random.choice(tuple(OrderType))
    limit, stop = (Decimal(price + random.randrange(-30, 31)).scaleb(-2) for _ in range(2))
    return Order(
        contract,
        random.choice(tuple(Action)),
        Decimal(random.randrange(1, 400)),
        kind,
        limit if kind.has_limit else None,
        stop if kind.has_stop else None,
        random.choice(tuple(TimeInForce)),
        oca_group=random.choice(("", "", "red")),
    )


def session(seed: int) -> None:
    """Print what happens in two hundred minutes."""
    random = Random(seed)  # noqa: S311  # the same each time, not secret
    markets = realistic({contract.con_id: Liquidity(5_000 * contract.con_id, 100) for contract in CONTRACTS})
    preset = random.choice((IDEAL, markets))
    listed = [Listed(contract, Decimal("0.01")) for contract in CONTRACTS]
    exchange = Exchange(listed, preset, Sessions.always(), fee_schedule("fixed"))
    exchange.open_account(ACCOUNT, Decimal(50_000))
    prices = dict.fromkeys((contract.con_id for contract in CONTRACTS), 5_000)

    def move(contract: Contract) -> float:
        prices[contract.con_id] += random.randrange(-20, 21)
        return prices[contract.con_id] / 100

    def show(events: tuple[object, ...]) -> None:
        for event in events:
            print(event)

    for minute in range(200):
        now = minute * MINUTE
        quoted, *barred = CONTRACTS
        middle = move(quoted)
        show(exchange.quote(Quote(quoted, now, middle - 0.01, middle + 0.01, 200, 200, middle, Source.SIMULATED)))
        for _ in range(random.randrange(3)):
            contract = random.choice(CONTRACTS)
            show(exchange.submit(ACCOUNT, drawn(random, contract, prices[contract.con_id]), now))
        if minute % 10 == 0:
            entry = Order(quoted, Action.BUY, Decimal(20))
            bracket = Bracket.around(entry, Decimal(str(middle + 0.5)).quantize(Decimal("0.01")), Decimal(30))
            show(exchange.submit_bracket(ACCOUNT, bracket, now))
        for trade in exchange.open_trades(ACCOUNT)[:1]:
            change = OrderChange(quantity=Decimal(random.randrange(1, 500)))
            show(exchange.modify(ACCOUNT, trade.order_id, change, now))
        for trade in exchange.open_trades(ACCOUNT)[8:]:
            show(exchange.cancel(ACCOUNT, trade.order_id, now))
        bars = []
        for contract in barred:
            opening, high, low, close = (move(contract) for _ in range(4))
            ordered = sorted((opening, high, low, close))
            bars.append(Bar(contract, now, now + MINUTE, opening, ordered[-1], ordered[0], close, 900.0))
        show(exchange.advance(now + MINUTE, tuple(bars)))
    print(exchange.account_summary(ACCOUNT, 200 * MINUTE))
    print(exchange.save())


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        session(number)
