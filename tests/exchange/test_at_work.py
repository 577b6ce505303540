"""The orders at work, and where they are found."""

from src.domain.orders import AccountId, OrderId
from src.exchange.at_work import AtWork
from src.exchange.working import Working
from tests.exchange.examples import buy, sell
from tests.exchange.markets import AAA, BBB

OURS, THEIRS = AccountId("SIM1"), AccountId("SIM2")


def test_orders_are_found_by_account_and_contract_in_the_order_they_came() -> None:
    """What others have at work is not among them, and a contract without orders is not named."""
    wanted = [buy(1, account=OURS), buy(2, account=THEIRS), sell(3, account=OURS), buy(4, account=OURS, contract=BBB)]
    first, theirs, second, other = orders = [Working(each, OrderId(n), 0) for n, each in enumerate(wanted, 1)]
    at_work = AtWork()
    assert not at_work
    for order in orders:
        at_work.add(order)
    assert list(at_work) == orders
    assert list(at_work.of(OURS, AAA.con_id)) == [first, second]
    assert list(at_work.of(THEIRS, AAA.con_id)) == [theirs]
    assert list(at_work.of(THEIRS, BBB.con_id)) == []
    at_work.remove(other)
    assert set(at_work.by_contract(OURS)) == {AAA.con_id}
    assert at_work.by_contract(AccountId("SIM3")) == {}


def test_what_was_never_accepted_is_not_missed() -> None:
    """A rejected order is done without having been at work."""
    at_work, order = AtWork(), Working(buy(1, account=OURS), OrderId(1), 0)
    at_work.remove(order)
    at_work.add(order)
    at_work.remove(order)
    assert not at_work
    assert not at_work.of(OURS, AAA.con_id)
