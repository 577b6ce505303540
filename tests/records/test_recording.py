"""A recording: what a session saw, as columns, whole after closing and up to its last part after a crash."""

import logging
import math
import stat
import sys
import threading
from pathlib import Path

import pytest

from src.domain.errors import JournalError
from src.domain.market import Bar, Contract, Quote, Source
from src.records import recording as module
from src.records.recording import SessionRecording, read_recording

SESSION = "aaaaaaaaaa"
MINUTE = 60_000_000_000
MSFT, NVDA = Contract("MSFT"), Contract("NVDA")


def bar(contract: Contract, number: int) -> Bar:
    return Bar(contract, number * MINUTE, (number + 1) * MINUTE, 100.0, 101.0, 99.0, 100.0 + number, 5.0)


def record(recording: SessionRecording, numbers: range) -> None:
    for number in numbers:
        recording.bars((bar(MSFT, number), bar(NVDA, number)))
        recording.equity((number + 1) * MINUTE, 100_000.0 + number)
    recording.quote(Quote(MSFT, 7, 99.5, 100.5, 1.0, 2.0, math.nan, Source.DELAYED))


def test_what_was_seen_comes_back_as_columns(tmp_path: Path) -> None:
    """In the order in which it was seen, with its source."""
    recording = SessionRecording(tmp_path, SESSION)
    record(recording, range(3))
    assert recording.close() == (tmp_path / "journal").resolve() / f"{SESSION}.parquet"
    seen = read_recording(tmp_path, SESSION)
    assert seen is not None
    assert list(seen.bars) == ["MSFT", "NVDA"]
    assert seen.bars["NVDA"]["close"].tolist() == [100.0, 101.0, 102.0]
    assert seen.bars["NVDA"]["start"].tolist() == [0, MINUTE, 2 * MINUTE]
    assert seen.bars["NVDA"]["time"].tolist() == [MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert seen.equity["equity"].tolist() == [100_000.0, 100_001.0, 100_002.0]
    assert seen.quotes["MSFT"]["bid"].tolist() == [99.5]
    assert seen.quotes["MSFT"]["source"].tolist() == ["delayed"]
    assert math.isnan(seen.quotes["MSFT"]["last"][0])
    assert [file.suffix for file in (tmp_path / "journal").iterdir()] == [".parquet"]


def test_parts_are_joined_and_readable_before_that(tmp_path: Path) -> None:
    """Without closing, as after a crash, everything up to the last part is there."""
    recording = SessionRecording(tmp_path, SESSION)
    record(recording, range(2))
    recording._write_part()
    record(recording, range(2, 4))
    recording._write_part()
    record(recording, range(4, 5))
    seen = read_recording(tmp_path, SESSION)
    assert seen is not None
    assert seen.equity["equity"].tolist() == [100_000.0 + number for number in range(4)]
    recording.close()
    seen = read_recording(tmp_path, SESSION)
    assert seen is not None
    assert seen.bars["MSFT"]["close"].tolist() == [100.0 + number for number in range(5)]


def test_a_burst_does_not_wait_for_the_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So memory does not grow with a long replay."""
    monkeypatch.setattr(module, "_ROWS", 10)
    recording, written = SessionRecording(tmp_path, SESSION), threading.Event()
    monkeypatch.setattr(module, "_write", lambda *_: written.set())
    record(recording, range(5))
    assert written.wait(60)


def test_nothing_seen_is_no_file(tmp_path: Path) -> None:
    """And no thread."""
    threads = {*threading.enumerate()}
    recording = SessionRecording(tmp_path, SESSION)
    assert {*threading.enumerate()} <= threads
    assert recording.close() is None
    assert read_recording(tmp_path, SESSION) is None


def test_a_disk_that_fails_ends_the_recording_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning; what is added later is not kept."""

    def full(path: Path, tables: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    recording = SessionRecording(tmp_path, SESSION)
    record(recording, range(2))
    with caplog.at_level(logging.WARNING):
        recording._write_part()
        record(recording, range(2))
        assert recording.close() is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "No space left" in caplog.text
    assert recording._bars == []


def test_a_damaged_recording_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    """So is a name that is no session's: it would lead elsewhere."""
    recording = SessionRecording(tmp_path, SESSION)
    record(recording, range(2))
    path = recording.close()
    assert path is not None
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(JournalError, match=f"{SESSION}.parquet is damaged"):
        read_recording(tmp_path, SESSION)
    with pytest.raises(JournalError, match="not the id of a session"):
        read_recording(tmp_path, "../elsewhere")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions otherwise")
def test_it_is_for_its_owner_only(tmp_path: Path) -> None:
    """As the journal is."""
    recording = SessionRecording(tmp_path, SESSION)
    record(recording, range(1))
    path = recording.close()
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
