"""A session tells a person how it ended, through a command of theirs."""

from pathlib import Path

from tests.conftest import ROOT, Run


def test_a_session_tells_its_summary_to_a_command(run: Run, tmp_path: Path) -> None:
    """The text on standard input, with the mode first."""
    command = "tee told.txt"
    done = run(*(str(ROOT / "live_trader.py"), "--backend", "simulated", "--duration", "0.02"), NOTIFY_COMMAND=command)
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "told.txt").read_text()
    assert told.startswith("[SIMULATED] session ")
    assert "the session is over\n0 orders, 0 fills" in told
