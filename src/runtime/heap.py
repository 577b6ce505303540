"""The garbage collector, told that a session begins."""

import gc


def settle_heap(*, in_real_time: bool = False) -> None:
    """Exempt what the start-up has made from collection, and collect rarely from here on.

    A session makes millions of short-lived tuples and hardly a cycle: the default thresholds look at all of them. A
    replay is looked at in large pieces, which is least work; a session in real time in small ones, so that no order
    waits for a large one: looking at 50,000 objects takes ten milliseconds and more. Older objects are looked at as
    rarely in both.
    For a process that is a session, not for a library in somebody else's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*((2_000, 500, 50) if in_real_time else (50_000, 20, 50)))
