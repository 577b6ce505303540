"""`python -m src report`: the report of a session, the last one unless another is named."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from src.console.report.writing import as_csv, as_html, as_json
from src.domain.errors import ConfigurationError
from src.records.report import SessionReport, report_of
from src.settings import load_settings

#: Where reports go, in the state folder.
_FOLDER: Final = "reports"
_FORMATS: Final[dict[str, Callable[[SessionReport], str]]] = {
    "html": as_html,
    "csv": as_csv,
    "json": lambda report: json.dumps(as_json(report), indent=2) + "\n",
}


def main(arguments: Sequence[str], prog: str) -> int:
    """Write a report and say where; CSV and JSON go to standard output unless a file is named."""
    parser = argparse.ArgumentParser(prog=prog, description="What a session did, what it cost, and why.")
    parser.add_argument("--session", help="the session's id (default: the last one; `python -m src orders` lists them)")
    parser.add_argument("--format", choices=tuple(_FORMATS), default="html")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it (html: the state folder)")
    options = parser.parse_args(arguments)
    state_dir = load_settings().state_dir
    report = report_of(state_dir, options.session)
    text = _FORMATS[options.format](report)
    if options.out is None and options.format != "html":
        sys.stdout.write(text)
        return 0
    path = options.out or _default_path(state_dir, report)
    _write(path, text, make_folder=options.out is None)
    sys.stdout.write(f"Report: {path}\n")
    return 0


def write_report(state_dir: Path, session: str) -> Path:
    """Write a session's report into the state folder; return where. ConfigurationError and JournalError."""
    report = report_of(state_dir, session)
    path = _default_path(state_dir, report)
    _write(path, as_html(report), make_folder=True)
    return path


def _default_path(state_dir: Path, report: SessionReport) -> Path:
    return state_dir / _FOLDER / f"{report.session.facts.session}.html"


def _write(path: Path, text: str, *, make_folder: bool) -> None:
    """For its owner's eyes alone. A folder that a person has named is not made: it may be a slip."""
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(f"the report {path} cannot be written: {error.strerror}") from None
