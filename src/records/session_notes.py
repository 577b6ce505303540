"""What a session was told to do, beside its recording: a small JSON file that a report is made from.

It names the strategy and its options, the symbols, the timeframe and where prices come from; never an account's id,
an address or a secret.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from src.domain.errors import JournalError
from src.records.journal_file import FOLDER, prepare_folder

_SUFFIX: Final = ".notes.json"


def write_notes(state_dir: Path, session: str, notes: Mapping[str, Any]) -> None:
    """Replace the notes of a session. OSError when they cannot be written."""
    path = prepare_folder(state_dir) / f"{session}{_SUFFIX}"
    draft = path.with_suffix(".new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(dict(notes), file, indent=1)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise


def read_notes(state_dir: Path, session: str) -> dict[str, Any]:
    """The notes of a session; empty when there are none. JournalError: damaged."""
    path = state_dir / FOLDER / f"{session}{_SUFFIX}"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise JournalError(f"the notes {path} are damaged ({error}): move them away") from None
    return dict(found) if isinstance(found, dict) else {}
