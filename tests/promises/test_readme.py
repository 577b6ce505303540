"""What the README shows is what a person gets."""

import re
from pathlib import Path

from tests.conftest import ROOT, Run

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def without_times(text: str) -> list[str]:
    """Lines with what differs from run to run, and from folder to folder, taken out."""
    text = re.sub(r"^Report: \S+/reports/[a-z2-7]{10}\.html$", "Report", text.strip(), flags=re.MULTILINE)
    return [re.sub(r" in [\d.]+ s \([\d,]+ bars per second\)", "", line.rstrip()) for line in text.splitlines()]


def test_the_summary_shown_is_the_one_of_make_run(run: Run) -> None:
    """The same command as in the Makefile, and the same numbers as in the README."""
    match = re.search(r"^RUN\s*:=\s*(.+)$", MAKEFILE, re.MULTILINE)
    assert match is not None
    shown = README.split("`make run` prints:")[1].split("```text\n")[1].split("```")[0]
    done = run("live_trader.py", *match[1].split(), cwd=ROOT)
    assert done.returncode == 0
    assert without_times(done.stdout) == without_times(shown)


def test_every_link_of_the_documents_leads_somewhere() -> None:
    """Relative links, from the file in which they stand."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    links = [(page, target) for page in pages for target in LINK.findall(page.read_text(encoding="utf-8"))]
    assert len(links) > 10
    assert [(page.name, target) for page, target in links if not (page.parent / Path(target)).exists()] == []
