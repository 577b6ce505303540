"""Whether this process leaves an image of its memory behind when it crashes. Account ids and orders stand in it."""

import sys


def leave_none() -> None:
    """Leave no core dump from now on; who wants one may raise the limit again. Windows makes none of itself."""
    if sys.platform == "win32":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
