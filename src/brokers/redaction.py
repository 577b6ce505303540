"""What every log line passes on its way out, whoever wrote it: account ids masked, control characters taken away.

At the handlers, not at loggers, so that the lines of other libraries pass it too. A message is one line; a traceback
keeps its lines, and no ids.
"""

import logging
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
