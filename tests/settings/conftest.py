"""Files that only their owner can read, as the set-up makes `.env`."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def for_their_owner_only() -> Iterator[None]:
    """What a test writes is as private as what the set-up writes."""
    before = os.umask(0o077)
    yield
    os.umask(before)
