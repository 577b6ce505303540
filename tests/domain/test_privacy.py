"""Account ids and control characters in texts of somebody else's."""

import pytest

from src.domain.privacy import in_one_line, printable, without_ids


@pytest.mark.parametrize("account", ["U1234567", "DU7654321", "F1234567", "DF123456", "I1234567"])
@pytest.mark.parametrize("text", ["{}", "account={}, and {}.", "'{}'", "[{}]", "Order({})\n{}"])
def test_an_account_id_is_masked_wherever_it_stands(account: str, text: str) -> None:
    shown = without_ids(text.replace("{}", account))
    assert account not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "text", ["DUSIM01", "SIM0001", "NVDA 1234567", "127.0.0.1:7497", "0000e0d5.65.01.01", "ISO8601"]
)
def test_what_is_no_account_id_stays(text: str) -> None:
    assert without_ids(text) == text


def test_a_line_stays_one_line_and_a_terminal_is_not_spoken_to() -> None:
    evil = "rejected\r\nERROR: all is well\x1b[2J\x00\x9b1m\u2028next"
    assert in_one_line(evil) == "rejected ERROR: all is well 1m next"
    assert printable("one\n\ttwo\x1b[31m\x07") == "one\n\ttwo  "
