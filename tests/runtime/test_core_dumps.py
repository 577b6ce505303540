"""No image of a trader's memory is left behind."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = """
import resource
from src.runtime.core_dumps import leave_none

_, before = resource.getrlimit(resource.RLIMIT_CORE)
leave_none()
least, most = resource.getrlimit(resource.RLIMIT_CORE)
print(least, most == before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no core dumps")
def test_a_process_can_be_told_to_leave_no_core_dump() -> None:
    """The limit that a person set stays the most that it may be raised to."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == ["0", "True"]
