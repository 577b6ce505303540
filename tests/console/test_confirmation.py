"""Real money is begun by a person who types a part of its account's id, or where nobody can be asked."""

import io
import logging

import pytest

from src.console.confirmation import agrees_to_live


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "agreed"), [("67\n", True), (" 67 \n", True), ("yes\n", False), ("\n", False), ("", False)]
)
def test_only_the_end_of_the_accounts_id_begins_it(monkeypatch: pytest.MonkeyPatch, typed: str, agreed: bool) -> None:
    """The question names the account, masked, and says that the money is real."""
    shown = _Terminal()
    monkeypatch.setattr("sys.stdin", _Terminal(typed))
    monkeypatch.setattr("sys.stderr", shown)
    assert agrees_to_live("U1234567") is agreed
    assert "REAL MONEY" in shown.getvalue()
    assert "U1****67" in shown.getvalue()
    assert "U1234567" not in shown.getvalue()


def test_without_a_terminal_the_log_says_what_begins(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The settings have named the account already."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with caplog.at_level(logging.WARNING):
        assert agrees_to_live("U1234567")
    assert "REAL MONEY" in caplog.text
    assert "U1234567" not in caplog.text
