"""A session's process collects garbage rarely."""

import gc

from src.runtime.heap import settle_heap


def test_what_the_start_up_made_is_exempt_and_collections_are_rare() -> None:
    before = gc.get_threshold()
    try:
        settle_heap()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
