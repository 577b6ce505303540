"""A session's process collects garbage rarely."""

import gc

import pytest

from src.runtime.heap import settle_heap


@pytest.mark.parametrize("in_real_time", [False, True])
def test_what_the_start_up_made_is_exempt_and_collections_are_rare(*, in_real_time: bool) -> None:
    before = gc.get_threshold()
    try:
        settle_heap(in_real_time=in_real_time)
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_in_real_time_new_objects_are_looked_at_in_small_pieces_and_old_ones_no_more_often() -> None:
    before = gc.get_threshold()
    try:
        settle_heap()
        in_large = gc.get_threshold()
        settle_heap(in_real_time=True)
        in_small = gc.get_threshold()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    assert in_small[0] < in_large[0]
    assert in_small[0] * in_small[1] >= in_large[0] * in_large[1]
