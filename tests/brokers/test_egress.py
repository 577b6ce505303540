"""The egress counter: never more out than in, and one breach is the end."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from src.brokers.egress import Egress
from src.domain.errors import OrderRefusedError


def test_what_was_permitted_leaves() -> None:
    egress = Egress()
    egress.permit(3)
    for _ in range(3):
        egress.leaving()
    assert egress.left == 3
    assert not egress.breached


def test_one_more_than_permitted_stops_everything(caplog: pytest.LogCaptureFixture) -> None:
    egress = Egress()
    egress.permit()
    egress.leaving()
    with pytest.raises(OrderRefusedError, match="no intent stands behind"):
        egress.leaving()
    assert egress.breached
    with pytest.raises(OrderRefusedError):
        egress.permit()
    with pytest.raises(OrderRefusedError):
        egress.leaving()
    assert egress.left == 1
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]


def test_what_did_not_leave_is_no_right_for_another() -> None:
    egress = Egress()
    egress.permit(2)
    egress.leaving()
    egress.revoke()
    with pytest.raises(OrderRefusedError):
        egress.leaving()


def test_what_has_left_cannot_be_revoked() -> None:
    """An unclear answer must not make the next order a breach."""
    egress = Egress()
    egress.permit()
    egress.leaving()
    egress.revoke()
    egress.permit()
    egress.leaving()
    assert egress.left == 2


def test_threads_never_get_more_out_than_in() -> None:
    egress = Egress()
    egress.permit(500)

    def leave(_: int) -> bool:
        try:
            egress.leaving()
        except OrderRefusedError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(leave, range(2_000))) == 500
    assert egress.breached
