"""What every log line passes on its way out, whoever wrote it: account ids masked, control characters taken away.

At the handlers, not at loggers, so that the lines of other libraries pass it too. A message is one line; a traceback
keeps its lines, and no ids.
"""

import logging
import sys
from typing import Final

from src.domain.privacy import in_one_line, printable, without_ids

_FORMATTER: Final = logging.Formatter()


class Redaction(logging.Filter):
    """Makes a record fit to be read by anybody."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean the record in place; it is always let through."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # somebody's format and arguments do not fit: the handler says so
            return True
        record.msg, record.args = in_one_line(without_ids(message)), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = printable(without_ids(_FORMATTER.formatException(record.exc_info)))
        return True


_REDACTION: Final = Redaction()


def redact_logs() -> None:
    """Let every handler of the root logger, and the one for programs without any, pass on clean lines only."""
    for handler in (*logging.getLogger().handlers, logging.lastResort):
        if handler is not None and _REDACTION not in handler.filters:
            handler.addFilter(_REDACTION)


def begin_log(*, verbose: bool, as_json: bool) -> None:
    """Write clean lines to standard error from now on: warnings, or when `verbose` everything; or objects of JSON."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s: %(message)s")
    redact_logs()
    if as_json:
        for handler in logging.getLogger().handlers:
            handler.setFormatter(_JsonLines())


class _JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback is one of its fields."""
        import json  # only who asks for it pays

        from src.runtime.clock import NS, to_datetime

        entry = {
            "time": to_datetime(int(record.created * NS)).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)
