"""The kill switch and the other latches: they outlive the process, and a person clears them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from src.brokers import kill
from src.brokers.kill import Latches, TraderFile, TraderNote

DAY = ["2025-06-02"]


@pytest.fixture(autouse=True)
def always_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every question looks at the folder."""
    monkeypatch.setattr(kill, "_FRESH", 0.0)
    DAY[0] = "2025-06-02"


def latches(folder: Path, account: str = "abc", *, lasting: bool = True) -> Latches:
    """The latches of a process that has just begun."""
    return Latches(folder, account, lambda: DAY[0], lasting=lasting)


def test_an_empty_file_of_that_name_is_enough(tmp_path: Path) -> None:
    own = latches(tmp_path)
    assert own.kill is None
    assert own.standing == ""
    (tmp_path / "KILL").touch()
    assert own.kill == kill.Kill("the file KILL")
    assert "python -m src resume" in own.standing


def test_every_account_hears_of_the_one_for_all_and_only_one_of_its_own(tmp_path: Path) -> None:
    latches(tmp_path, "abc").throw("enough")
    assert latches(tmp_path, "abc").kill is not None
    assert latches(tmp_path, "xyz").kill is None
    kill.throw(tmp_path, "all of you", flatten=True)
    assert latches(tmp_path, "xyz").kill == kill.Kill("all of you", flatten=True)


def test_latches_hold_over_a_restart_until_they_are_cleared(tmp_path: Path) -> None:
    first = latches(tmp_path)
    first.throw("enough")
    first.halt("40 orders in a minute")
    first.block(7, "a position moved")
    again = latches(tmp_path)
    assert "enough" in again.standing
    assert "a position moved" in again.blocked(7)
    assert again.blocked(8) == ""
    assert kill.resume(tmp_path) == ["BLOCKED: a position moved", "HALT: 40 orders in a minute", "KILL: enough"]
    assert (again.kill, again.standing, again.blocked(7)) == (None, "", "")
    assert kill.resume(tmp_path) == []


def test_a_day_s_loss_holds_for_the_day(tmp_path: Path) -> None:
    latches(tmp_path).reduce("$2,000 lost today")
    assert "$2,000 lost today" in latches(tmp_path).standing
    DAY[0] = "2025-06-03"
    assert latches(tmp_path).standing == ""


def test_a_folder_that_cannot_be_written_still_stops_this_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = latches(tmp_path / "missing")
    own.halt("too fast")
    assert "too fast" in own.standing
    assert "until this process ends only" in caplog.text


def test_play_that_is_forgotten_latches_nothing_for_others(tmp_path: Path) -> None:
    own = latches(tmp_path, lasting=False)
    own.halt("too fast")
    assert "too fast" in own.standing
    assert list(tmp_path.iterdir()) == []
    kill.throw(tmp_path, "all of you")
    assert own.kill is not None


def test_a_folder_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    own = latches(tmp_path / "file")
    assert own.kill is not None
    assert "cannot be read" in own.standing


def test_latches_are_readable_by_their_owner_only_and_name_no_account(tmp_path: Path) -> None:
    latches(tmp_path).throw("enough")
    [path] = tmp_path.iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_a_trader_says_who_it_is_while_it_runs(tmp_path: Path) -> None:
    note = TraderNote(123, 1, "127.0.0.1", 7497, "session")
    file = TraderFile(tmp_path, "abc", note)
    assert [each for _, each in kill.traders(tmp_path)] == [note]
    kill.forget_those_gone(tmp_path, "abc")
    assert [each for _, each in kill.traders(tmp_path)] == [note]
    file._lock.release()  # as the system does when a process ends
    kill.forget_those_gone(tmp_path, "other")
    assert [each for _, each in kill.traders(tmp_path)] == [note]
    kill.forget_those_gone(tmp_path, "abc")
    assert list(kill.traders(tmp_path)) == []
    file = TraderFile(tmp_path, "abc", note)
    (tmp_path / "TRADER-abc-broken").write_text("{")
    assert len(list(kill.traders(tmp_path))) == 1
    file.close()
    assert list(kill.traders(tmp_path)) == []


def test_nobody_is_let_through_while_another_still_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch was thrown before this process began; the first look takes its time, and the second waits for it."""
    latches(tmp_path).throw("enough")
    monkeypatch.setattr(kill, "_FRESH", 60.0)
    looking, go_on = Event(), Event()
    read = kill._read

    def slowly(path: Path) -> str:
        looking.set()
        assert go_on.wait(60)
        return read(path)

    monkeypatch.setattr(kill, "_read", slowly)
    own = latches(tmp_path)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(lambda: own.standing)
        assert looking.wait(60)
        second = threads.submit(lambda: own.standing)
        assert not second.done()
        go_on.set()
        assert "enough" in first.result(60)
        assert "enough" in second.result(60)
