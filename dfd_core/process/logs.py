"""How dfd's processes log: one line an event, for people on a terminal, as JSON everywhere else.

Whoever logs redacts; what stands before an @ in a URL goes here once more.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from dfd_core.names import without_secrets
from dfd_core.settings import LogSettings

_HUMAN = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """A JSON object a line: at (UTC), level, logger, process, event, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.processName,
            "event": without_secrets(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


class HumanLines(logging.Formatter):
    """Time, level, logger and what happened."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback where there is one."""
        return without_secrets(super().format(record))


def start_logging(settings: LogSettings, level: int = logging.INFO) -> None:
    """Log to standard error from now on, in the form that `settings.format` asks for."""
    human = settings.format == "human" or (settings.format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(HumanLines(_HUMAN) if human else JsonLines())
    logging.basicConfig(level=level, handlers=[handler])
