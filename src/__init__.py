"""Understudy: a trading client for Interactive Brokers that can play every part itself."""

import sys

# Whatever is imported comes through here first: what stands here must run on Python 3.8.
if sys.version_info < (3, 11):  # noqa: UP036  # that is what it is for
    sys.stderr.write(
        "Understudy needs Python 3.11 or newer, and this is Python {}.{}: install one (Debian and Ubuntu: "
        "python3.11 and python3.11-venv; Windows and macOS: python.org) and run the script with it\n".format(
            *sys.version_info[:2]
        )
    )
    raise SystemExit(2)
