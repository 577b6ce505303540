"""The file of the simulated account: kept whole, for one process at a time, for its owner's eyes."""

import json
import logging
import stat
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from src.domain.errors import ConfigurationError
from src.domain.market import Contract
from src.domain.orders import (
    AccountId,
    Action,
    CommissionReport,
    Execution,
    Fill,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from src.exchange.state import AccountState, ExchangeState, HoldingState, OrderState
from src.records.simulated_account import SimulatedAccountFile, clear

ACCOUNT = AccountId("SIM0001")
NVDA = Contract("NVDA", primary_exchange="NASDAQ", con_id=4815747)
ORDER = Order(
    NVDA, Action.SELL, Decimal(10), OrderType.STOP_LIMIT, Decimal("99.5"), Decimal("100.0001"), TimeInForce.GTC,
    outside_rth=True, account=ACCOUNT, order_ref="abc-1", oca_group="one", parent_id=OrderId(3),
)  # fmt: skip
EXECUTION = Execution(
    "1.1", OrderId(4), NVDA, ACCOUNT, Action.SELL, Decimal(3), Decimal("106.4625"), 5, Decimal(3), Decimal("106.4625")
)
STATE = ExchangeState(
    1_748_876_400_123_456_789,
    7,
    9,
    (
        AccountState(
            ACCOUNT, Decimal("-0.12345678901234567890123456789"), Decimal("1E-7"), Decimal(3), None, (1, 2),
            (HoldingState(NVDA, -5, Decimal("-532.3125"), Decimal("0.1"), 20_000, None),),
        ),
    ),
    (
        OrderState(
            OrderId(4), ORDER, OrderStatus.PENDING_CANCEL, 3, 3_193_875, Decimal("1.0"), 8, 5, triggered=True,
            held=False, on_book=True, code=None, reason="ünïcode", exits=(OrderId(5), OrderId(6)), group_filled=3,
        ),
    ),
    (Fill(EXECUTION, CommissionReport("1.1", Decimal("1.0"), None)), Fill(EXECUTION)),
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> SimulatedAccountFile:
    """An account's file in a folder that does not exist yet."""
    return SimulatedAccountFile(tmp_path / "state" / "deep")


def path_of(tmp_path: Path) -> Path:
    return tmp_path / "state" / "deep" / "simulated_account.json"


def test_nothing_was_kept_yet(file: SimulatedAccountFile) -> None:
    """No account is no error."""
    assert file.load() is None


def test_everything_comes_back_as_it_was(file: SimulatedAccountFile) -> None:
    """Every Decimal to its last digit, every None, every tuple."""
    file.save(STATE)
    assert file.load() == STATE
    assert repr(file.load()) == repr(STATE)


def test_the_last_state_counts_and_no_draft_is_left(file: SimulatedAccountFile, tmp_path: Path) -> None:
    """It replaces the one before as a whole."""
    file.save(STATE)
    later = ExchangeState(2, 2, 2, (), (), ())
    file.save(later)
    assert file.load() == later
    assert sorted(each.name for each in path_of(tmp_path).parent.iterdir()) == [
        "simulated_account.json",
        "simulated_account.json.lock",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_only_its_owner_can_read_it(file: SimulatedAccountFile, tmp_path: Path) -> None:
    """Folder and file."""
    file.save(STATE)
    assert stat.S_IMODE(path_of(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(path_of(tmp_path).parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"now": "soon"}', b"\xff\xfe", json.dumps({"now": 1}).encode()]
)
def test_a_damaged_file_is_named_with_its_repair(file: SimulatedAccountFile, tmp_path: Path, content: bytes) -> None:
    """Never a traceback of the parser, never a silent new account."""
    path_of(tmp_path).write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"simulated_account\.json.*sim reset"):
        file.load()


def test_a_second_client_trades_on_a_copy_that_is_not_kept(
    file: SimulatedAccountFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It reads the account, says so, and writes nothing; once the first has gone, the next one owns it."""
    file.save(STATE)
    with caplog.at_level(logging.WARNING):
        second = SimulatedAccountFile(path_of(tmp_path).parent)
    assert ["copy" in record.getMessage() for record in caplog.records] == [True]
    assert second.load() == STATE
    second.save(ExchangeState(2, 2, 2, (), (), ()))
    assert file.load() == STATE
    second.close()
    file.close()
    third = SimulatedAccountFile(path_of(tmp_path).parent)
    third.save(ExchangeState(3, 3, 3, (), (), ()))
    assert third.load() == ExchangeState(3, 3, 3, (), (), ())
    third.close()


def test_a_client_that_comes_back_owns_an_account_that_nobody_has_touched(file: SimulatedAccountFile) -> None:
    """Close and reopen: it goes on keeping."""
    file.save(STATE)
    file.close()
    file.reopen()
    later = ExchangeState(2, 2, 2, (), (), ())
    file.save(later)
    assert file.load() == later
    file.close()


def test_a_client_that_comes_back_late_does_not_overwrite_anothers_trades(
    file: SimulatedAccountFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody traded meanwhile: its own copy is not kept, and it says so."""
    file.save(STATE)
    file.close()
    other = SimulatedAccountFile(path_of(tmp_path).parent)
    theirs = ExchangeState(2, 2, 2, (), (), ())
    other.save(theirs)
    other.close()
    with caplog.at_level(logging.WARNING):
        file.reopen()
    assert "not kept" in caplog.text
    file.save(STATE)
    assert other.load() == theirs


def test_nothing_is_written_after_closing(file: SimulatedAccountFile, tmp_path: Path) -> None:
    """Another process may own it by then."""
    file.save(STATE)
    file.close()
    file.save(ExchangeState(2, 2, 2, (), (), ()))
    assert SimulatedAccountFile(path_of(tmp_path).parent).load() == STATE


def test_clearing_forgets_the_account_unless_it_is_in_use(file: SimulatedAccountFile, tmp_path: Path) -> None:
    """A running session keeps its account, also before it has been written; nothing to clear is no error."""
    folder = path_of(tmp_path).parent
    assert not clear(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="in use"):
        clear(folder)
    file.save(STATE)
    with pytest.raises(ConfigurationError, match="in use"):
        clear(folder)
    assert file.load() == STATE
    file.close()
    assert clear(folder)
    assert not clear(folder)
    assert file.load() is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_draft_that_could_not_be_written_is_removed(file: SimulatedAccountFile, tmp_path: Path) -> None:
    """The account as it was stays whole."""
    file.save(STATE)
    draft = path_of(tmp_path).with_suffix(".new")
    draft.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        file.save(ExchangeState(2, 2, 2, (), (), ()))
    assert not draft.is_symlink()
    assert file.load() == STATE


def test_a_directory_in_the_files_place_is_named(file: SimulatedAccountFile, tmp_path: Path) -> None:
    """To read it and to clear it: one sentence."""
    path_of(tmp_path).mkdir()
    with pytest.raises(ConfigurationError, match=r"simulated_account\.json cannot be read: Is a directory"):
        file.load()
    file.close()
    with pytest.raises(ConfigurationError, match=r"simulated_account\.json cannot be removed: "):
        clear(path_of(tmp_path).parent)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """With the setting that says where it is."""
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="IBKR_STATE_DIR"):
        SimulatedAccountFile(tmp_path / "state")
