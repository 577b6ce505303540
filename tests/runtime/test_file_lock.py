"""One process at a time, until it ends, however it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from src.runtime.file_lock import FileLock
from tests.conftest import ROOT

HOLDER = """
import sys
from pathlib import Path
from src.runtime.file_lock import FileLock
print(FileLock(Path(sys.argv[1])).acquire(), flush=True)
sys.stdin.read()
"""


def ask_elsewhere(path: Path) -> "subprocess.Popen[str]":
    """A process that tries to take the lock, prints whether it could, and holds it until its input ends."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_file_is_made_and_stays(tmp_path: Path) -> None:
    """Readable by its owner only; releasing twice is once."""
    path = tmp_path / "lock"
    lock = FileLock(path)
    assert lock.acquire()
    lock.release()
    lock.release()
    assert path.exists()
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o077 == 0
    assert lock.acquire()
    lock.release()


def test_a_second_holder_in_the_same_process_is_refused(tmp_path: Path) -> None:
    """Two clients in one program are two owners."""
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


@pytest.mark.parametrize("end", ["quietly", "killed"])
def test_another_process_has_it_until_that_one_ends(tmp_path: Path, end: str) -> None:
    """Also when it is killed: nothing has to be cleaned up."""
    path = tmp_path / "lock"
    with ask_elsewhere(path) as process:
        assert answer(process) == "True"
        assert not FileLock(path).acquire()
        if end == "killed":
            process.kill()
        else:
            assert process.stdin is not None
            process.stdin.close()
        process.wait(20)
    lock = FileLock(path)
    assert lock.acquire()
    with ask_elsewhere(path) as process:
        assert answer(process) == "False"
        assert process.stdin is not None
        process.stdin.close()
        process.wait(20)
    lock.release()


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    """Not a lock that somebody else has."""
    with pytest.raises(OSError, match="missing"):
        FileLock(tmp_path / "missing" / "lock").acquire()
