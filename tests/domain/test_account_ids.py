"""What an account's id says of the money in it, and how much of it is shown."""

import pytest

from src.domain.account_ids import masked, mode_of
from src.domain.market import Mode


@pytest.mark.parametrize(
    ("account", "mode"),
    [
        ("DUSIM01", Mode.SIMULATED), ("SIM0001", Mode.SIMULATED), ("DU0000001", Mode.PAPER), ("DF0000001", Mode.PAPER),
        ("U0000001", Mode.LIVE), ("F0000001", Mode.LIVE), ("", Mode.LIVE),
    ],
)  # fmt: skip
def test_the_mode_is_the_accounts(account: str, mode: Mode) -> None:
    assert mode_of(account) is mode


def test_account_ids_are_masked_unless_they_are_play_money() -> None:
    assert masked("U0000567") == "U0****67"
    assert masked("DU0000567") == "DU*****67"
    assert masked("U123") == "U123"
    assert masked("SIM0001") == "SIM0001"
    assert masked("DUSIM01") == "DUSIM01"
