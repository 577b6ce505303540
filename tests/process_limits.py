"""A limit that the system sets this process, lowered for as long as a context lasts; not on Windows."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limited(name: str, to: int) -> Iterator[None]:
    """`name` as the module resource has it, RLIMIT_FSIZE or RLIMIT_NOFILE."""
    import resource  # not on Windows

    which = getattr(resource, name)
    limits = resource.getrlimit(which)
    resource.setrlimit(which, (to, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(which, limits)
