"""The garbage collector, told that a session begins."""

import gc


def settle_heap() -> None:
    """Exempt what the start-up has made from collection, and collect rarely from here on.

    A session makes millions of short-lived tuples and hardly a cycle: the default thresholds look at all of them.
    For a process that is a session, not for a library in somebody else's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
