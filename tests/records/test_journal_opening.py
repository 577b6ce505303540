"""Opening a journal: what is damaged, newer, another's or in a wrong place is refused, and left as it is."""

import random
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from src.domain.errors import ConfigurationError, JournalError
from src.domain.intents import CancelStep
from src.domain.journal_facts import CancelNoted
from src.domain.market import Mode
from src.records.journal import Journal
from src.records.journal_file import drive_problem, journal_name
from src.records.journal_reading import JournalReader
from tests.records.conftest import ACCOUNT, SESSIONS, OpenJournal, intent, session_facts


def corrupted(path: Path, deed: Callable[[bytes], bytes]) -> bytes:
    content = deed(path.read_bytes())
    path.write_bytes(content)
    return content


def closed_journal(open_journal: OpenJournal) -> Path:
    journal = open_journal()
    for number in range(40):
        journal.intend([intent(number)])
    journal.close("done")
    return journal.path


@pytest.mark.parametrize(
    ("deed", "sentence"),
    [
        (lambda content: b"x" * len(content), "damaged"),
        (lambda content: content[:5000], "damaged"),
        (lambda content: content.replace(b"MSFT", b"NVDA"), "is not what was written"),
        (lambda content: content[:60] + b"\0\0\0\x63" + content[64:], "has version 99, and this program reads 2"),
        (lambda content: content[:68] + b"\0\0\0\0" + content[72:], "is not a journal"),
    ],
    ids=["rubbish", "cut", "changed", "newer", "other"],
)
def test_a_damaged_journal_is_refused_and_left_as_it_is(
    open_journal: OpenJournal, deed: Callable[[bytes], bytes], sentence: str
) -> None:
    """The sentence names the file and what to do."""
    path = closed_journal(open_journal)
    content = corrupted(path, deed)
    with pytest.raises(JournalError, match=sentence) as error:
        open_journal(SESSIONS[1])
    assert str(path) in str(error.value)
    assert "move it away" in str(error.value)
    assert path.read_bytes() == content


def test_a_flipped_bit_is_found_or_does_not_matter(open_journal: OpenJournal) -> None:
    """Anywhere in the file: the next session refuses, or reads what was written."""
    path = closed_journal(open_journal)
    whole = path.read_bytes()
    with JournalReader(path) as reader:
        written = reader.facts()
    chance, refused = random.Random(4), 0  # noqa: S311
    for _ in range(300):
        place, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
        try:
            with JournalReader(path) as reader:
                reader.verify()
                assert reader.facts() == written
        except JournalError:
            refused += 1
    assert refused > 20


def test_another_accounts_journal_under_this_name_is_refused(open_journal: OpenJournal) -> None:
    """Renamed by hand, say."""
    path = closed_journal(open_journal)
    path.rename(path.with_name(journal_name(Mode.LIVE, ACCOUNT)))
    with pytest.raises(JournalError, match="another account's, or another mode's"):
        open_journal(SESSIONS[1], mode=Mode.LIVE)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks for a privilege to make links")
def test_a_link_in_the_journals_place_is_refused(open_journal: OpenJournal, tmp_path: Path) -> None:
    """It would let somebody else choose what is written over."""
    path = closed_journal(open_journal)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="cannot be opened"):
        open_journal(SESSIONS[1])


def test_a_folder_that_is_none_is_a_wrong_setting(tmp_path: Path) -> None:
    """Named by its key."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="IBKR_STATE_DIR"):
        Journal.open(tmp_path / "file", Mode.PAPER, ACCOUNT, session_facts(), lambda: 1)


def test_an_interrupted_beginning_is_begun_again(open_journal: OpenJournal, tmp_path: Path) -> None:
    """An empty file, or one that has its first page and no table."""
    folder = tmp_path / "state" / "journal"
    folder.mkdir(parents=True)
    path = folder / journal_name(Mode.PAPER, ACCOUNT)
    sqlite3.connect(path).execute("PRAGMA journal_mode = WAL").connection.close()
    assert path.stat().st_size > 0
    journal = open_journal()
    journal.intend([intent(1)])
    assert len(journal.intents()) == 1


MOUNTS = """\
/dev/sdc / ext4 rw,relatime 0 0
C:\\134 /mnt/c 9p rw,noatime,aname=drvfs;path=C:\\134;uid=1000 0 0
drvfsD /mnt/d virtiofs rw 0 0
tmpfs /mnt/c/inner tmpfs rw 0 0
server:/home /home nfs4 rw 0 0
E: /mnt/my\\040drive drvfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "problem"),
    [
        ("/srv/state", None),
        ("/mnt/cellar", None),
        ("/mnt/c/inner/state", None),
        ("/mnt/c/Users/me", "Windows drive"),
        ("/mnt/d", "Windows drive"),
        ("/mnt/my drive/x", "Windows drive"),
        ("/home/me", "network drive"),
    ],
)
def test_drives_where_locks_do_not_hold(folder: str, problem: str | None) -> None:
    """By the nearest mount; the sentence names the setting."""
    found = drive_problem(PurePosixPath(folder), MOUNTS)
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert problem in found
        assert "IBKR_STATE_DIR" in found


def test_a_journal_of_an_earlier_version_is_read_and_goes_on(open_journal: OpenJournal) -> None:
    """Nothing that it has is written anew; what it lacks is added."""
    journal = open_journal()
    journal.intend([intent(1)])
    journal.close("done")
    with sqlite3.connect(journal.path) as first_version:
        first_version.execute("DROP TABLE cancels")  # its triggers with it
        first_version.execute("PRAGMA user_version = 1")
    first_version.close()
    with JournalReader(journal.path) as reader:
        reader.verify()
        before = reader.intents()
    noted = CancelNoted(intent(1).order_ref, 5, CancelStep.KEPT, "away")
    again = open_journal(SESSIONS[1])
    again.record(noted)
    again.close("done")
    with JournalReader(journal.path) as reader:
        assert reader.facts(CancelNoted) == (noted,)
        [record] = reader.intents()
    assert (*before, record.cancel) == (replace(record, cancel=None, updated=before[0].updated), CancelStep.KEPT)
    with sqlite3.connect(journal.path) as beside, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        beside.execute("DELETE FROM cancels")
    beside.close()
